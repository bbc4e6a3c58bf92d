"""The linear map inside a layer, apart from what its weights are.

A product knows how an input meets a weight tensor, and how that weight tensor unrolls into the
(rows, outputs) matrix that a crossbar holds. Software layers, hardware layers and the array's own
tests share it, so a new kind of layer is one new product.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch.nn.functional as F

from bayespin.shapes import Float, Tensor


@runtime_checkable
class Product(Protocol):
    """A linear map of inputs by a weight tensor."""

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weight tensor, outputs first."""
        ...

    @property
    def rows(self) -> int:
        """Crossbar rows: the inputs that meet in one output."""
        ...

    @property
    def outputs(self) -> int:
        """Crossbar outputs: features of a dense layer, channels of a convolution."""
        ...

    @property
    def fresh_inputs(self) -> int:
        """Inputs fetched for one more position; the others stay in the row registers."""
        ...

    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the output for `weight` of shape (k·outputs, ...): k stacked maps of one input."""
        ...

    def per_output(self, vector: Float[Tensor, " outputs"]) -> Tensor:
        """Return a vector over outputs, shaped to broadcast against an output."""
        ...

    def signs_like(self, x: Tensor) -> Tensor:
        """Return an empty tensor with one entry per image and input channel (for Flipout)."""
        ...

    def positions(self, output: Tensor) -> int:
        """Return how often each tile is read to make one image's output."""
        ...


@dataclass(frozen=True)
class Dense:
    """y = W x, with W of shape (outputs, inputs)."""

    inputs: int
    outputs: int

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(outputs, inputs)."""
        return (self.outputs, self.inputs)

    @property
    def rows(self) -> int:
        """One row per input."""
        return self.inputs

    @property
    def fresh_inputs(self) -> int:
        """All inputs: there is one position."""
        return self.inputs

    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return x Wᵀ."""
        return F.linear(x, weight)

    def per_output(self, vector: Float[Tensor, " outputs"]) -> Tensor:
        """Return the vector as it is: outputs are the last axis."""
        return vector

    def signs_like(self, x: Tensor) -> Tensor:
        """Return an empty tensor of the shape of `x`."""
        return x.new_empty(x.shape)

    def positions(self, output: Tensor) -> int:
        """Return 1: a dense layer reads each tile once."""
        return 1


@dataclass(frozen=True)
class Convolution:
    """y = W * x over two axes, with W of shape (outputs, channels, kernel, kernel)."""

    channels: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(outputs, channels, kernel, kernel)."""
        return (self.outputs, self.channels, self.kernel, self.kernel)

    @property
    def rows(self) -> int:
        """One row per weight of a filter."""
        return self.channels * self.kernel**2

    @property
    def fresh_inputs(self) -> int:
        """The columns of the window that a step uncovers: channels · kernel · stride."""
        return self.channels * self.kernel * min(self.stride, self.kernel)

    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the cross-correlation of `x` with `weight`."""
        return F.conv2d(x, weight, stride=self.stride, padding=self.padding)

    def per_output(self, vector: Float[Tensor, " outputs"]) -> Tensor:
        """Return the vector with two trailing axes: channels stand before height and width."""
        return vector[:, None, None]

    def signs_like(self, x: Tensor) -> Tensor:
        """Return an empty tensor (images, channels, 1, 1)."""
        return x.new_empty((*x.shape[:2], 1, 1))

    def positions(self, output: Tensor) -> int:
        """Return height × width of the feature map."""
        return output.shape[-1] * output.shape[-2]
