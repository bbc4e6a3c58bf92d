"""What to see in each figure, in sentences."""

from typing import Final

RELIABILITY: Final = (
    "Bars that end on the dashed diagonal mean that a stated confidence can be taken at its word. "
    "The floor is what a perfectly calibrated network would show on as many images (5 "
    "to 95\u00a0%). Hatching above a bar is over-confidence, hatching inside it "
    "under-confidence. The strip below shows how few images the low-confidence bins hold: a gap "
    "there weighs little in the ECE."
)
LADDER: Final = (
    "Each test image is mixed with one of another kind, x = (1 − f)·x_test + f·x_other; the others "
    "are {ood}. All networks lose accuracy as f grows; the question is whether they know. A "
    "Bayesian network's calibration error should stay low where the deterministic one's climbs. "
    "The signed error tells honest calibration from over- and under-confidence that merely cross "
    "at one\u00a0f."
)
ENTROPY: Final = (
    "Total entropy of the averaged prediction, H(E[p]), split into what every read agrees is "
    "ambiguous (aleatoric, E[H(p)]) and what the reads disagree about (epistemic, the rest). The "
    "epistemic band should widen with f: it is the network saying that it has not seen such "
    "images. A deterministic network has none."
)
SIGMA: Final = (
    "What training asked for, and what the cells hold. Weights below the window get more noise "
    "than they learned, weights above it less; the programmed line shows where they end up, level "
    "steps and placement error included."
)
DEVICE: Final = (
    "The device that a weight's spread comes from, at {temperature}\u00a0K: the standard deviation "
    "of its conductance at one instant, and the time in which a read forgets the one before. A "
    "read averages over its window, so slow levels keep more of their spread than fast ones. "
    "Numbers from {source}."
)
ANEW: Final = (
    " `bayespin characterize {study}` simulates the device anew and makes its page: histogram and "
    "Q–Q plot of its looks, their autocorrelation, where the closed forms hold."
)
HELD: Final = (
    "Where a weight lies inside the frame, the cell holds its σ to half a level and its μ to the "
    "error of writing. Beyond the dashed line the cell's Gaussian differs from the trained one by "
    "more than 0.1\u00a0nat: above and below because σ runs out, to the sides because μ is "
    "clipped, and near the floor because the error of μ weighs against a small σ."
)
LEVELS: Final = (
    "How many devices of the chip ended at each level. A heap at one end of the spread's levels is "
    "weights that ask for more than the device has; tracks heap at the level that their pairs rest "
    "at."
)
