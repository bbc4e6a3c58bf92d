"""A rectifier that saturates, as what drives a row of a chip does."""

import torch
from torch import nn

from bayespin.cite import cites
from bayespin.shapes import Float, Tensor


@cites("arXiv:1805.06085")
class ClippedReLU(nn.Module):
    """min(max(x, 0), c), with c `ceiling` in the state of the network.

    A row's driver sends no more than its full scale. With a ceiling that a few activations reach,
    this is part of the network that is trained, and the same in software and on the chip. Source:
    Choi et al., arXiv:1805.06085, where c is learned; here it is set by a quantile
    (`network.ceilings`).

    Raises:
        ValueError: a ceiling that is not positive and finite.
    """

    ceiling: Tensor

    def __init__(self, ceiling: float = torch.finfo(torch.float32).max) -> None:
        """Take a ceiling; by default none."""
        super().__init__()
        if not 0 < ceiling < torch.inf:
            raise ValueError(f"`ceiling` must be positive and finite, but is {ceiling}.")
        self.register_buffer("ceiling", torch.tensor(ceiling))

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the clipped input."""
        return torch.minimum(torch.relu(x), self.ceiling)
