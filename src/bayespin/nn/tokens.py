"""From a feature map to the sequence of tokens that attention mixes.

Source: Dosovitskiy et al., arXiv:2010.11929.
"""

import torch
from torch import nn

from bayespin.cite import cites
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor


class Tokens(nn.Module):
    """Positions of a feature map in raster order, each with a learned vector for its place.

    t[n, i, c] = x[n, c, i] + p[i, c]. Attention does not know the order of its tokens: only p
    tells them apart. It is digital, and has one value.
    """

    place: nn.Parameter

    def __init__(self, count: int, features: int, key: Key) -> None:
        """Draw p ~ N(0, 0.02²) from `key`, for `count` positions."""
        super().__init__()
        start = torch.empty(count, features)
        self.place = nn.Parameter(start.normal_(0.0, 0.02, generator=key.generator()))

    @cites("arXiv:2010.11929")
    def forward(
        self, x: Float[Tensor, "images features height width"]
    ) -> Float[Tensor, "images tokens features"]:
        """Return one token for each position."""
        return x.flatten(2).transpose(1, 2) + self.place
