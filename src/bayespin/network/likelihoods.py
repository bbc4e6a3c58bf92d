"""What a network's outputs say about a target: the likelihood that training maximises.

| likelihood | outputs | p(y | outputs) |
|---|---|---|
| `Categorical` | one logit a class | softmax |
| `Gaussian` | mean m and raw scale r of every target | N(m, s²), s = floor + ln(1 + e^r) |

The second is heteroscedastic: the network itself says how noisy the data are at an input (Nix and
Weigend, doi:10.1109/ICNN.1994.374138). The floor keeps the density finite where data repeat.
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F

from bayespin.shapes import Float, Tensor

_HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)


@runtime_checkable
class Likelihood(Protocol):
    """A law of targets given a network's outputs."""

    def check(self, outputs: Float[Tensor, "examples outputs"], targets: Tensor) -> None:
        """Accept outputs and targets that belong together.

        Raises:
            ValueError: targets that are no targets, or a head of another width.
        """
        ...

    def loss(self, outputs: Float[Tensor, "examples outputs"], targets: Tensor) -> Tensor:
        """Return the mean negative log-likelihood, in nats."""
        ...


@dataclass(frozen=True)
class Categorical:
    """One of several classes: cross-entropy of the softmax."""

    def check(self, outputs: Float[Tensor, "examples outputs"], targets: Tensor) -> None:
        """Accept whole labels from 0 to one less than the outputs.

        Raises:
            ValueError: labels of another kind or outside the classes.
        """
        if targets.is_floating_point() or targets.ndim != 1:
            raise ValueError(
                f"Labels must be one whole number for each example, but are {targets.dtype} of "
                f"shape {tuple(targets.shape)}; take `Gaussian` for numbers to be regressed on."
            )
        low, high, classes = int(targets.min()), int(targets.max()), outputs.shape[1]
        if not 0 <= low <= high < classes:
            raise ValueError(
                f"Labels must be 0 to {classes - 1}, as the network has {classes} outputs, but "
                f"are {low} to {high}."
            )

    def loss(self, outputs: Float[Tensor, "examples outputs"], targets: Tensor) -> Tensor:
        """Return the mean cross-entropy."""
        return F.cross_entropy(outputs, targets)


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Numbers with noise of their own at every input.

    Raises:
        ValueError: a floor that is not positive.
    """

    floor: float = 1e-3
    """Least s, in the unit of the targets."""

    def __post_init__(self) -> None:
        if not 0 < self.floor < float("inf"):
            raise ValueError(f"`floor` must be positive and finite, but is {self.floor}.")

    def law(
        self, outputs: Float[Tensor, "*reads outputs"]
    ) -> tuple[Float[Tensor, "*reads targets"], Float[Tensor, "*reads targets"]]:
        """Return m and s: the first half of the outputs, and the scale from the second."""
        mean, raw = outputs.chunk(2, -1)
        return mean, self.floor + F.softplus(raw)

    def check(self, outputs: Float[Tensor, "examples outputs"], targets: Tensor) -> None:
        """Accept finite targets, with two outputs for each.

        Raises:
            ValueError: targets that are whole, not finite, or of another number than the outputs.
        """
        if not targets.is_floating_point() or targets.ndim != 2:
            raise ValueError(
                f"Targets of a regression must be floats of shape (examples, targets), but are "
                f"{targets.dtype} of shape {tuple(targets.shape)}."
            )
        if not bool(torch.isfinite(targets).all()):
            raise ValueError("Targets must be finite, but hold NaN or infinity.")
        if outputs.shape[1] != 2 * targets.shape[1]:
            raise ValueError(
                f"The network must have {2 * targets.shape[1]} outputs, mean and scale of each "
                f"target, but has {outputs.shape[1]}."
            )

    def loss(self, outputs: Float[Tensor, "examples outputs"], targets: Tensor) -> Tensor:
        """Return the mean of ½ ln 2π + ln s + (y − m)²/(2 s²), summed over an example's targets."""
        mean, scale = self.law(outputs)
        each = _HALF_LOG_TWO_PI + scale.log() + ((targets - mean) / scale).square() / 2
        return each.sum(-1).mean()
