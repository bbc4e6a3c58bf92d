"""The interfaces of what is random: layers with random weights, and other random stages.

Software and hardware twins of a layer share one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import nn

from bayespin.nn.estimators import Estimator
from bayespin.nn.product import Product
from bayespin.rng import Noise
from bayespin.shapes import Tensor

Reader = Callable[[Noise], Tensor]

Moments = tuple[Tensor, Tensor]
"""Mean and standard deviation of what is drawn, of equal or broadcastable shapes."""


@runtime_checkable
class RandomStage(Protocol):
    """A module whose output is random: called with its input, noise and an estimator."""

    def reader(self, x: Tensor, estimator: Estimator) -> Reader:
        """Return what gives one random output for each source of noise."""
        ...


class RandomLayer(nn.Module, ABC):
    """A linear layer with random weights.

    `draw(moments(x), noise)` is one read with fresh noise per output element.
    """

    product: Product

    @abstractmethod
    def moments(self, x: Tensor) -> Moments:
        """Return mean and standard deviation of what one read of `x` draws."""

    @abstractmethod
    def draw(self, moments: Moments, noise: Noise) -> Tensor:
        """Return one output with these moments."""

    @abstractmethod
    def reader(self, x: Tensor, estimator: Estimator) -> Reader:
        """Return what gives one random output for each source of noise.

        All that does not depend on noise is done here, once for many reads of the same inputs;
        `estimator` says what shares a weight draw.
        """

    def forward(self, x: Tensor, noise: Noise, estimator: Estimator) -> Tensor:
        """Return one random output."""
        return self.reader(x, estimator)(noise)
