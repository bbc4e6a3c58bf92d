"""Radial features: a number as a few bumps near it."""

import torch
from torch import nn

from bayespin.cite import cites
from bayespin.shapes import Float, Tensor


@cites("10.1162/neco.1989.1.2.281")
class Bumps(nn.Module):
    """φ_k(x) = exp(−(x − c_k)²/(2 w²)) with centres c_k evenly spaced and w their distance.

    Features between 0 and 1, as rows of an array take them; where there are no data, none of the
    weights behind them is learnt, and a Bayesian layer doubts. Computed digitally. Source: Moody
    and Darken, doi:10.1162/neco.1989.1.2.281.

    Raises:
        ValueError: fewer than two bumps, or a range that is none.
    """

    centres: Tensor

    def __init__(self, low: float, high: float, count: int) -> None:
        """Place so many bumps from `low` to `high`."""
        super().__init__()
        if count < 2 or not low < high:
            raise ValueError(
                f"`count` must be at least 2 and `low` below `high`, but they are {count}, {low} "
                f"and {high}."
            )
        self.register_buffer("centres", torch.linspace(low, high, count))
        self.width = (high - low) / (count - 1)

    def forward(self, x: Float[Tensor, "examples 1"]) -> Float[Tensor, "examples bumps"]:
        """Return the features."""
        return torch.exp(-((x - self.centres) / self.width).square() / 2)
