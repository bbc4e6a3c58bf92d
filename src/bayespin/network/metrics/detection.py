"""Telling strangers from the known, and errors from hits, by a score."""

import math
from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.network.metrics.probabilities import mean_over_ties
from bayespin.shapes import Bool, Float, Int, Tensor


def _require_scores(name: str, scores: Float[Tensor, " scores"]) -> None:
    if len(scores) == 0 or not bool(torch.isfinite(scores).all()):
        raise ValueError(
            f"Argument `{name}` must hold at least one score and only finite ones, "
            f"but holds {len(scores)}, {int((~torch.isfinite(scores)).sum())} of them not finite."
        )


def _flagged(
    inside: Float[Tensor, " known"], outside: Float[Tensor, " strangers"]
) -> tuple[Int[Tensor, " thresholds"], Int[Tensor, " thresholds"]]:
    """Return how many known and strange images score at or above each distinct score, falling."""
    thresholds = torch.unique(torch.cat([inside, outside])).flip(0)
    known, strangers = inside.sort().values, outside.sort().values
    return (
        len(known) - torch.searchsorted(known, thresholds),
        len(strangers) - torch.searchsorted(strangers, thresholds),
    )


@cites("10.1214/aoms/1177730491", "arXiv:1610.02136")
def auroc(inside: Float[Tensor, " known"], outside: Float[Tensor, " strangers"]) -> float:
    """Return the probability that a stranger scores above a known image; 0.5 is chance.

    AUROC = P(s_out > s_in) + P(s_out = s_in) / 2

    inside, outside: scores of in-distribution and out-of-distribution images, higher meaning more
    foreign (epistemic or total entropy, 1 - confidence). Counted exactly, ties as one half.

    Source: Mann and Whitney, Ann. Math. Stat. 18, 50 (1947); Hendrycks and Gimpel,
    arXiv:1610.02136.

    Raises:
        ValueError: a set of scores is empty or not finite.
    """
    _require_scores("inside", inside)
    _require_scores("outside", outside)
    known = inside.double().sort().values
    strangers = outside.double().contiguous()
    below = torch.searchsorted(known, strangers).sum()
    not_above = torch.searchsorted(known, strangers, right=True).sum()
    return int(below + not_above) / (2 * len(inside) * len(outside))


@cites("arXiv:1610.02136")
def fpr95(inside: Float[Tensor, " known"], outside: Float[Tensor, " strangers"]) -> float:
    """Return the share of known images flagged when at least 95 % of strangers are; 0 to 1.

    FPR95 = min over thresholds t with P(s_out >= t) >= 0.95 of P(s_in >= t)

    Strangers are the positives. Low is good; chance is about 0.95.

    Raises:
        ValueError: a set of scores is empty or not finite.
    """
    _require_scores("inside", inside)
    _require_scores("outside", outside)
    known, strangers = _flagged(inside.double(), outside.double())
    # In integers: 19 of 20 is 95 %, whatever 19 / 20 rounds to.
    enough = 100 * strangers >= 95 * len(outside)
    return int(known[enough].min()) / len(inside)


@cites("10.1145/1143844.1143874")
def aupr(inside: Float[Tensor, " known"], outside: Float[Tensor, " strangers"]) -> float:
    """Return the average precision of finding strangers; chance is their share of all images.

    AP = sum_k (R_k - R_(k-1)) P_k over falling distinct thresholds

    R: recall of strangers; P: share of strangers among the flagged. No interpolation, which
    would flatter (Davis and Goadrich, doi:10.1145/1143844.1143874).

    Raises:
        ValueError: a set of scores is empty or not finite.
    """
    _require_scores("inside", inside)
    _require_scores("outside", outside)
    known, strangers = _flagged(inside.double(), outside.double())
    gained = torch.diff(strangers, prepend=strangers.new_zeros(1)).double() / len(outside)
    return float((gained * strangers / (known + strangers)).sum())


def _risks(
    confidence: Float[Tensor, " images"], correct: Bool[Tensor, " images"]
) -> Float[Tensor, " images"]:
    """Return the error rate among the k most confident images, k = 1..N."""
    _require_scores("confidence", confidence)
    if len(correct) != len(confidence):
        raise ValueError(
            f"Argument `correct` must hold one value for each of {len(confidence)} images, "
            f"but holds {len(correct)}."
        )
    wrong = mean_over_ties(confidence, (~correct).double())
    falling = wrong[confidence.argsort(descending=True)]
    return falling.cumsum(0) / torch.arange(1, len(falling) + 1, device=falling.device)


@cites("arXiv:1805.08206")
def aurc(confidence: Float[Tensor, " images"], correct: Bool[Tensor, " images"]) -> float:
    """Return the area under the risk-coverage curve: mean error rate over all coverages; 0 to 1.

    AURC = (1/N) sum_k r_k,  r_k = error rate among the k most confident images

    confidence: any score that is high where the model trusts itself. Images of equal confidence
    count with their mean error, the expectation over their orders.

    Source: Geifman, Uziel and El-Yaniv, arXiv:1805.08206.

    Raises:
        ValueError: no image, a confidence that is not finite, or lengths that differ.
    """
    return float(_risks(confidence, correct).mean())


@cites("arXiv:1705.08500")
def risk_at_coverage(
    confidence: Float[Tensor, " images"], correct: Bool[Tensor, " images"], coverage: float = 0.8
) -> float:
    """Return the error rate on the `coverage` most confident part of the images (rounded up).

    Source: Geifman and El-Yaniv, arXiv:1705.08500.

    Raises:
        ValueError: no image, a confidence that is not finite, or `coverage` outside (0, 1].
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"Argument `coverage` must lie in (0, 1], but is {coverage}.")
    risks = _risks(confidence, correct)
    # The small step keeps a product that is whole but for rounding, 0.07 x 100, from rounding up.
    kept = max(math.ceil(coverage * len(risks) - 1e-9), 1)
    return float(risks[kept - 1])


@cites("arXiv:1705.08500")
def coverage_at_risk(
    confidence: Float[Tensor, " images"], correct: Bool[Tensor, " images"], risk: float = 0.05
) -> float:
    """Return the largest share of images, most confident first, with an error rate <= `risk`.

    Zero when even the most confident image errs more often.

    Source: Geifman and El-Yaniv, arXiv:1705.08500.

    Raises:
        ValueError: no image, a confidence that is not finite, or `risk` outside [0, 1].
    """
    if not 0 <= risk <= 1:
        raise ValueError(f"Argument `risk` must lie in [0, 1], but is {risk}.")
    risks = _risks(confidence, correct)
    allowed = torch.nonzero(risks <= risk).flatten()
    return 0.0 if len(allowed) == 0 else (int(allowed[-1]) + 1) / len(risks)


@dataclass(frozen=True, kw_only=True)
class RiskCoverage:
    """Error rate among the most confident images, against the share of images that they are."""

    coverage: Float[Tensor, " images"]
    risk: Float[Tensor, " images"]

    def as_lists(self, points: int = 100) -> dict[str, list[float]]:
        """Return the curve at evenly spaced coverages up to 1, as lists fit for JSON.

        Raises:
            ValueError: fewer than one point.
        """
        if points < 1:
            raise ValueError(f"Argument `points` must be at least 1, but is {points}.")
        images = len(self.risk)
        places = sorted({-(-images * k // points) - 1 for k in range(1, points + 1)})
        return {"coverage": self.coverage[places].tolist(), "risk": self.risk[places].tolist()}


@cites("arXiv:1805.08206")
def risk_coverage(
    confidence: Float[Tensor, " images"], correct: Bool[Tensor, " images"]
) -> RiskCoverage:
    """Return the curve whose area is `aurc`, one point for each number of images kept.

    coverage_k = k/N,  risk_k = error rate among the k most confident images

    Source: Geifman, Uziel and El-Yaniv, arXiv:1805.08206.

    Raises:
        ValueError: no image, a confidence that is not finite, or lengths that differ.
    """
    risk = _risks(confidence, correct)
    kept = torch.arange(1, len(risk) + 1, dtype=torch.float64, device=risk.device)
    return RiskCoverage(coverage=kept / len(risk), risk=risk)


@cites("arXiv:2407.01032")
def augrc(confidence: Float[Tensor, " images"], correct: Bool[Tensor, " images"]) -> float:
    """Return the area under the generalised risk-coverage curve; 0 to 1/2.

    AUGRC = ∫ P(wrong and kept) d coverage = (1 − AUROC_f) a (1 − a) + (1 − a)²/2

    Symbols: a accuracy; AUROC_f probability that a right image is more confident than a wrong one,
    ties one half. It is the mean rate of errors that slip through, over all coverages; unlike
    `aurc` it does not weigh the few most confident images most. The integral is by trapezoids
    through all points from (0, 0), with which the second form is exact.

    Source: Traub et al., arXiv:2407.01032.

    Raises:
        ValueError: no image, a confidence that is not finite, or lengths that differ.
    """
    curve = risk_coverage(confidence, correct)
    slipped = curve.risk * curve.coverage
    return float((slipped.sum() - slipped[-1] / 2) / len(slipped))
