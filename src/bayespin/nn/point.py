"""The deterministic twin of a mean-field layer."""

import torch
from torch import nn

from bayespin.nn.product import Product
from bayespin.rng import Key
from bayespin.shapes import Tensor


class PointLayer(nn.Module):
    """A linear map with one weight value per connection: y = W x + b."""

    def __init__(self, product: Product, key: Key) -> None:
        """Draw weights uniformly from ±1/√rows, the usual start of a deterministic network."""
        super().__init__()
        self.product = product
        bound = product.rows**-0.5
        start = torch.empty(product.weight_shape)
        self.weight = nn.Parameter(start.uniform_(-bound, bound, generator=key.generator()))
        self.bias = nn.Parameter(torch.zeros(product.outputs))

    @classmethod
    def holding(cls, product: Product, weight: Tensor, bias: Tensor) -> "PointLayer":
        """Return a layer with these weights, trained elsewhere."""
        layer = cls(product, Key((0,)))  # its draw is overwritten
        layer.weight = nn.Parameter(weight.detach().clone())
        layer.bias = nn.Parameter(bias.detach().clone())
        return layer

    def forward(self, x: Tensor) -> Tensor:
        """Return W x + b."""
        return self.product.apply(x, self.weight) + self.product.per_output(self.bias)
