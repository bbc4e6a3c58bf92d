"""The one interface of layers whose output is random: software and hardware twins share it."""

from abc import ABC, abstractmethod

from torch import nn

from bayespin.nn.estimators import Estimator
from bayespin.nn.product import Product
from bayespin.rng import Noise
from bayespin.shapes import Tensor

Moments = tuple[Tensor, Tensor]
"""Mean and standard deviation of what is drawn, of equal or broadcastable shapes."""


class RandomLayer(nn.Module, ABC):
    """A linear layer with random weights.

    `draw(moments(x), noise)` is one read with fresh noise per output element. The two steps are
    apart because the moments of a network's first layer are the same in every Monte-Carlo pass.
    """

    product: Product

    @abstractmethod
    def moments(self, x: Tensor) -> Moments:
        """Return mean and standard deviation of what one read of `x` draws."""

    @abstractmethod
    def draw(self, moments: Moments, noise: Noise) -> Tensor:
        """Return one output with these moments."""

    @abstractmethod
    def forward(self, x: Tensor, noise: Noise, estimator: Estimator) -> Tensor:
        """Return one random output; `estimator` says what shares a weight draw."""
