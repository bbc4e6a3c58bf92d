"""How good and how honest a predictive distribution of a number is.

A Bayesian network predicts a mixture: read r says N(m_r, s_r²), and

    p(y) = (1/R) Σ_r N(y; m_r, s_r²),    Var y = E[s_r²] + Var m_r,

aleatoric and epistemic by the law of total variance. All metrics are of this mixture, in the unit
of the targets; float64.
"""

import math
from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.shapes import Float, Tensor

_STEPS = 60
"""Bisections of a quantile: far below float64."""


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Gaussians of equal weight, one for each read.

    Raises:
        ValueError: shapes that differ, values that are not finite, or a spread not positive.
    """

    mean: Float[Tensor, "reads examples"]
    deviation: Float[Tensor, "reads examples"]

    def __post_init__(self) -> None:
        if self.mean.shape != self.deviation.shape or self.mean.numel() == 0:
            raise ValueError(
                f"`mean` and `deviation` must have one shape and some entries, but have "
                f"{tuple(self.mean.shape)} and {tuple(self.deviation.shape)}."
            )
        finite = bool(torch.isfinite(self.mean).all() & torch.isfinite(self.deviation).all())
        if not (finite and bool((self.deviation > 0).all())):
            raise ValueError("`mean` and `deviation` must be finite, and the second positive.")

    @property
    def centre(self) -> Float[Tensor, " examples"]:
        """E y."""
        return self.mean.double().mean(0)

    @property
    def aleatoric(self) -> Float[Tensor, " examples"]:
        """E[s²]."""
        return self.deviation.double().square().mean(0)

    @property
    def epistemic(self) -> Float[Tensor, " examples"]:
        """Var m over the reads."""
        return self.mean.double().var(0, correction=0)

    @property
    def spread(self) -> Float[Tensor, " examples"]:
        """√(Var y)."""
        return (self.aleatoric + self.epistemic).sqrt()

    def below(self, y: Float[Tensor, " examples"]) -> Float[Tensor, " examples"]:
        """Return P(Y <= y)."""
        return torch.special.ndtr((y - self.mean.double()) / self.deviation.double()).mean(0)

    def quantile(self, share: float) -> Float[Tensor, " examples"]:
        """Return y with P(Y <= y) = share, by bisection."""
        if not 0 < share < 1:
            raise ValueError(f"Argument `share` must be between 0 and 1, but is {share}.")
        z = torch.special.ndtri(torch.tensor(share, dtype=torch.float64))
        ends = self.mean.double() + z * self.deviation.double()
        low, high = ends.amin(0), ends.amax(0)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            under = self.below(middle) < share
            low, high = torch.where(under, middle, low), torch.where(under, high, middle)
        return (low + high) / 2


def rmse(found: Mixture, targets: Float[Tensor, " examples"]) -> float:
    """Return √E(y − E Y)²."""
    return float((targets - found.centre).square().mean().sqrt())


def regression_nll(found: Mixture, targets: Float[Tensor, " examples"]) -> float:
    """Return the mean of −ln p(y) of the mixture, in nats."""
    z = (targets - found.mean.double()) / found.deviation.double()
    logs = -0.5 * z.square() - found.deviation.double().log() - 0.5 * math.log(2 * math.pi)
    return float(-(logs.logsumexp(0) - math.log(len(logs))).mean())


def matched_nll(found: Mixture, targets: Float[Tensor, " examples"]) -> float:
    """Return the mean of −ln p(y) of the one Gaussian with the mixture's mean and variance."""
    single = Mixture(mean=found.centre[None], deviation=found.spread[None])
    return regression_nll(single, targets)


@cites("10.1198/016214506000001437")
def crps(found: Mixture, targets: Float[Tensor, " examples"]) -> float:
    """Return the mean continuous ranked probability score, in the unit of the targets.

    CRPS = E|Y − y| − ½ E|Y − Y'|, with E|N(m, s²)| = A(m, s) = m (2 Φ(m/s) − 1) + 2 s φ(m/s):
    (1/R) Σ A(y − m_r, s_r) − (1/2R²) Σ A(m_r − m_q, √(s_r² + s_q²)). The second sum runs over
    pairs of reads.

    Source: Grimit et al., doi:10.1256/qj.05.235, for mixtures of Gaussians.
    """
    mean, deviation = found.mean.double(), found.deviation.double()
    near = _folded(targets - mean, deviation).mean(0)
    apart = torch.zeros_like(near)
    for m, s in zip(mean, deviation, strict=True):
        apart += _folded(mean - m, (deviation.square() + s.square()).sqrt()).mean(0)
    return float((near - apart / (2 * len(mean))).mean())


def _folded(mean: Tensor, deviation: Tensor) -> Tensor:
    z = mean / deviation
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    return mean * (2 * torch.special.ndtr(z) - 1) + 2 * deviation * density


@dataclass(frozen=True)
class Interval:
    """How often a central interval holds the target, and how wide it is."""

    wanted: float
    coverage: float
    width: float
    """Mean, in the unit of the targets."""


def interval(found: Mixture, targets: Float[Tensor, " examples"], share: float) -> Interval:
    """Return coverage and mean width of the central interval that should hold a share."""
    low, high = found.quantile((1 - share) / 2), found.quantile((1 + share) / 2)
    inside = ((targets >= low) & (targets <= high)).double().mean()
    return Interval(share, float(inside), float((high - low).mean()))


def miscalibration(
    found: Mixture, targets: Float[Tensor, " examples"], levels: int = 99
) -> tuple[float, float]:
    """Return mean absolute and root-mean-square distance of observed from wanted shares.

    Of targets below the quantile at each of `levels` shares, evenly between 0 and 1; the first is
    the miscalibration area. 0 is perfect, ½ the most for the first.

    Source: Kuleshov et al., arXiv:1807.00263.
    """
    shares = torch.arange(1, levels + 1, dtype=torch.float64) / (levels + 1)
    at = found.below(targets.double()).sort().values
    observed = torch.searchsorted(at, shares, right=True).double() / len(at)
    gap = observed - shares
    return float(gap.abs().mean()), float(gap.square().mean().sqrt())
