"""What each part of the chip in the loss buys: LeNet-5 on chips, held-out images of Fashion-MNIST.

One network is trained without the chip, and then on from there once per row, each with one thing
more of how it will be read: nothing (mapped after training), the drivers' steps and ceilings, the
levels of σ, range and errors of μ, the read noise. Every row has as many steps, is put on the same
`CHIPS` chips, conv1 on two cells, and is read `READS` times. Figures are means over the chips; the
test images are never looked at.

Takes about an hour on one core; `BAYESPIN_AWARENESS_IMAGES` makes it shorter, and less telling.
"""

import copy
import math
import os
from dataclasses import replace

import torch
from _measure import report

from bayespin.chip.accelerator import Accelerator
from bayespin.network import metrics
from bayespin.network.architectures import lenet5
from bayespin.network.ceilings import clippable, set_ceilings
from bayespin.network.models import Network
from bayespin.network.prediction import predict
from bayespin.network.slicing import sliced
from bayespin.network.training import Recipe, fit
from bayespin.nn.estimators import Sampling
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.read_law import ReadLaw
from bayespin.nn.standardisation import Standardise
from bayespin.rng import Key
from bayespin.study import data

KEY, CHIP = Key.root(0).child("awareness"), Accelerator.from_preset()
IMAGES = int(os.environ.get("BAYESPIN_AWARENESS_IMAGES", "55000"))
HELD, READS, CHIPS, CEILING = 5000, 50, 3, 0.9
FIRST, FURTHER, SLICES = 10, 10, ("conv1",)
RECIPE = Recipe(epochs=FIRST, batch=128, learning_rate=2e-3, schedule="constant", kl_weight=0.5,
                estimator="local_reparameterised", window=SigmaWindow(cap=0.3))  # fmt: skip
ROWS = ("nothing", "drivers", "spreads", "means", "read_noise")


def law_of(row: str, law: ReadLaw) -> ReadLaw:
    """Return what of a law this row and those before it know."""
    known = ROWS.index(row)
    if known < ROWS.index("read_noise"):
        law = replace(law, read_noise=0.0)
    if known < ROWS.index("means"):
        law = replace(law, mean_limit=math.inf, mean_error=0.0)
    if known < ROWS.index("spreads"):
        law = replace(law, sigma_levels=None, noise_floor=0.0)
    return law


def judged(network: Network, held: data.Images) -> dict[str, float]:
    """Return means over chips, and of the software itself, of three metrics."""
    shown = {"software": [network], "chip": []}
    for number in range(CHIPS):
        key = KEY.child("chip", number)
        twin = CHIP.deploy(sliced(network, dict.fromkeys(SLICES, 2)), held.images[:500], key)
        shown["chip"].append(twin.network)
    found: dict[str, float] = {}
    images, labels = held.images[500:][:IMAGES], held.labels[500:][:IMAGES]
    for where, networks in shown.items():
        means = [
            predict(one, images, Sampling.PER_READ, READS, KEY.child("reads")).mean
            for one in networks
        ]
        for name in ("accuracy", "nll", "ece"):
            scores = [getattr(metrics, name)(mean, labels) for mean in means]
            found[f"{where}_{name}"] = sum(scores) / len(scores)
    return found


def main() -> None:
    """Train on from one network in five ways, and put each on chips."""
    train, _ = data.fashion_mnist(data.find_fashion_mnist(None))
    examples = (train.images[:IMAGES], train.labels[:IMAGES])
    held = data.Images(images=train.images[-HELD:], labels=train.labels[-HELD:])
    start = clippable(lenet5(KEY.child("initial"), MeanFieldLayer, Standardise.like(examples[0])))
    fit(start, examples, RECIPE, KEY.child("first"))
    figures: dict[str, float] = {}
    for row in ROWS:
        network, reads = copy.deepcopy(start), dict[str, ReadLaw]()
        if row != "nothing":
            set_ceilings(network, held.images[:500], CEILING, KEY.child("ceilings"))
            laws = CHIP.read_laws(network, held.images[:500], KEY.child("laws"), SLICES)
            reads = {name: law_of(row, law) for name, law in laws.items()}
        recipe = replace(RECIPE, epochs=FURTHER, schedule="cosine", reads=reads)
        fit(network, examples, recipe, KEY.child("further"))
        figures |= {f"{row}_{name}": v for name, v in judged(network.eval(), held).items()}
    units = {name: "nat" if name.endswith("nll") else "1" for name in figures}
    references = {name: "nothing" + name.removeprefix(name.rsplit("_", 2)[0]) for name in figures}
    report("awareness", figures, units, references)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
