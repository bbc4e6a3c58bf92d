"""The linear map inside a layer, apart from what its weights are.

A product knows how an input meets a weight tensor, and how that weight tensor unrolls into the
(rows, outputs) matrix that a crossbar holds. Software layers, hardware layers and the array's own
tests share it, so a new kind of layer is one new product.

Tiles. A dense layer or a convolution is one matrix of K rows: ⌈K/N⌉ tiles of at most N rows. A
convolution of G groups is G matrices on the diagonal of a larger one. A row carries the inputs of
one group only, so groups do not share tiles: G · ⌈K/N⌉ of them, with outputs/G outputs each.
"""

import math
from dataclasses import dataclass, replace
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

    @property
    def groups(self) -> int:
        """Matrices that share neither rows nor outputs; 1 for most products."""
        ...

    def unrolled(self, x: Tensor) -> Float[Tensor, "images positions drives"]:
        """Return the inputs on all rows at every position, groups one after the other.

        With W the (groups, rows, outputs/groups) weights, `apply` is unrolled(x) · W.
        """
        ...

    def one_output(self) -> "Product":
        """Return the product with one output in each group: sums over rows of anything."""
        ...


@dataclass(frozen=True)
class Dense:
    """y = W x at every position, with W of shape (outputs, inputs).

    Inputs are (images, inputs), or (images, *positions, inputs): tokens of a sequence, one read
    of the same tiles each.
    """

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
    def groups(self) -> int:
        """1: every input meets every output."""
        return 1

    @property
    def fresh_inputs(self) -> int:
        """All inputs: positions have none in common."""
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
        """Return the number of positions, 1 where there is no such axis."""
        return math.prod(output.shape[1:-1])

    def unrolled(self, x: Tensor) -> Float[Tensor, "images positions drives"]:
        """Return the inputs with all positions in one axis."""
        return x.reshape(len(x), -1, self.inputs)

    def one_output(self) -> "Dense":
        """Return the product with one output."""
        return replace(self, outputs=1)


Extents = int | tuple[int, ...]
"""One number for all axes, or one for each."""

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


@dataclass(frozen=True)
class Convolution:
    """y = W * x over one to three axes, with W of shape (outputs, channels/groups, *kernel).

    As in torch: at position p, with s the stride, d the dilation and x zero outside,

        y[o, p] = Σ_{c, k} W[o, c, k] x[g C/G + c, s p + d k − padding],   g = ⌊o G / outputs⌋.

    Raises:
        ValueError: sizes that are not positive, one size per axis for another number of axes,
            or groups that do not divide channels and outputs.
    """

    channels: int
    outputs: int
    kernel: Extents
    stride: Extents = 1
    padding: Extents = 0
    dilation: Extents = 1
    groups: int = 1
    axes: int = 2

    def __post_init__(self) -> None:
        if self.axes not in _CONVOLVE:
            raise ValueError(f"`axes` must be 1, 2 or 3, but is {self.axes}.")
        for name in ("kernel", "stride", "padding", "dilation"):
            found, least = self._each(getattr(self, name)), int(name != "padding")
            if len(found) != self.axes or min(found) < least:
                raise ValueError(
                    f"`{name}` must be one number or {self.axes}, at least {least}, "
                    f"but is {getattr(self, name)}."
                )
        for name in ("channels", "outputs"):
            if self.groups < 1 or getattr(self, name) < 1 or getattr(self, name) % self.groups:
                raise ValueError(
                    f"`{name}` must be a positive multiple of `groups`, "
                    f"but is {getattr(self, name)} with {self.groups} groups."
                )

    def _each(self, extents: Extents) -> tuple[int, ...]:
        return extents if isinstance(extents, tuple) else (extents,) * self.axes

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(outputs, channels of a group, *kernel)."""
        return (self.outputs, self.channels // self.groups, *self._each(self.kernel))

    @property
    def rows(self) -> int:
        """One row per weight of a filter; every group has as many of its own."""
        return math.prod(self.weight_shape[1:])

    @property
    def fresh_inputs(self) -> int:
        """Taps that a step along the last axis puts on inputs that no tap was on before."""
        *across, along = self._each(self.kernel)
        stride, dilation = self._each(self.stride)[-1], self._each(self.dilation)[-1]
        fresh = along if stride % dilation else min(stride // dilation, along)
        return self.channels * math.prod(across) * fresh

    def apply(self, x: Tensor, weight: Tensor) -> Tensor:
        """Return the cross-correlation of `x` with `weight`."""
        maps = len(weight) // self.outputs
        if self.groups > 1 and maps > 1:  # torch wants all maps of a group side by side
            grouped = weight.unflatten(0, (maps, self.groups, -1)).transpose(0, 1).flatten(0, 2)
            y = self._convolved(x, grouped)
            return y.unflatten(1, (self.groups, maps, -1)).transpose(1, 2).flatten(1, 3)
        return self._convolved(x, weight)

    def _convolved(self, x: Tensor, weight: Tensor) -> Tensor:
        return _CONVOLVE[self.axes](
            x,
            weight,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def one_output(self) -> "Convolution":
        """Return the product with one output in each group: sums over rows of anything."""
        return replace(self, outputs=self.groups)

    def per_output(self, vector: Float[Tensor, " outputs"]) -> Tensor:
        """Return the vector with trailing axes: channels stand before the positions."""
        return vector.view(-1, *[1] * self.axes)

    def signs_like(self, x: Tensor) -> Tensor:
        """Return an empty tensor (images, channels, 1, ...)."""
        return x.new_empty((*x.shape[:2], *[1] * self.axes))

    def positions(self, output: Tensor) -> int:
        """Return the size of the feature map."""
        return math.prod(output.shape[-self.axes :])

    def unrolled(self, x: Tensor) -> Float[Tensor, "images positions drives"]:
        """Return the patch under the kernel at every position, positions in raster order.

        Rows of a patch are in weight order (channel, then kernel), so groups follow each other.
        """
        sizes = zip(
            *(self._each(e) for e in (self.kernel, self.stride, self.dilation)), strict=True
        )
        patches = F.pad(x, [p for p in reversed(self._each(self.padding)) for _ in range(2)])
        for axis, (kernel, stride, dilation) in enumerate(sizes, start=2):
            windows = patches.unfold(axis, dilation * (kernel - 1) + 1, stride)
            patches = windows[..., ::dilation]
        # (images, channels, positions..., kernel...) → (images, positions, rows)
        positions, taps = range(2, 2 + self.axes), range(2 + self.axes, 2 + 2 * self.axes)
        ordered = patches.permute(0, *positions, 1, *taps)
        return ordered.flatten(1 + self.axes).flatten(1, self.axes)
