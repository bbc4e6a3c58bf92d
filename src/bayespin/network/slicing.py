"""Weight slicing: one weight's mean on several cells, each making good what those before it miss.

A layer y = x W becomes stages that read the same inputs, and their sum. On a chip the first slice
holds the weights; then every cell is read N times, and what it is off, δ = μ − μ₁, goes into the
next slice, whose full scale is that of δ. With relative errors ε₁, ε₂ ... of programming, the mean
is off by about ε₁ ε₂ w_max in place of ε₁ w_max, and by the error of the look, √(σ² + r²)/√N with
read noise r. Each slice has tiles and converters of its own: reads and energy multiply.

The first slice carries the spread. Later ones add the least that cells hold at their full scale,
about a hundredth of the variance where spreads are the smallest of their window.
"""

from collections.abc import Mapping

import torch
from torch import nn

from bayespin.network.models import Network
from bayespin.nn.hardware import HardwareLayer
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.rng import Noise
from bayespin.shapes import Tensor

_SOFTWARE_SIGMA = 1e-3
"""σ of a remainder in software, over the mean σ of its layer: nothing to speak of."""
_QUIET = 0.02
"""σ that a remainder asks for, over its largest mean: about the least that cells hold."""


class Sum(nn.Module):
    """The sum of all inputs."""

    def forward(self, *parts: Tensor) -> Tensor:
        """Return it."""
        return torch.stack(parts).sum(0)


class Remainder(MeanFieldLayer):
    """A later slice: nothing in software, on a chip what earlier slices are off.

    Symbols: `wanted` the whole mean; `earlier` names of the slices before.
    """

    wanted: Tensor
    earlier: tuple[str, ...]
    reads: int

    @classmethod
    def of(cls, layer: MeanFieldLayer, earlier: tuple[str, ...], reads: int) -> "Remainder":
        """Return the slice after `earlier` ones of a layer, whose cells are read `reads` times."""
        found = cls.holding(
            layer.product,
            torch.zeros_like(layer.mean),
            torch.full_like(layer.mean, _SOFTWARE_SIGMA * float(layer.sigma().detach().mean())),
            torch.zeros_like(layer.bias),
            layer.prior_sigma,
        )
        assert isinstance(found, cls)
        found.register_buffer("wanted", layer.mean.detach().clone())
        found.earlier, found.reads = earlier, reads
        return found

    def missing(self, slices: list[HardwareLayer], noise: Noise) -> MeanFieldLayer:
        """Return the layer that makes good what the slices before it are off.

        Args:
            slices: of the chip, in order.
            noise: of the reads that measure their cells.
        """
        left = self.wanted.double()
        for layer in slices:
            seen, variance = layer.acting_mean(), layer.programmed_sigma(0.0).double().square()
            look = (variance.mean() / self.reads).sqrt()
            left = left - (seen + look * noise.normal(seen))
        sigma = torch.full_like(left, _QUIET * float(left.abs().max()))
        left, sigma = (t.to(self.mean.dtype) for t in (left, sigma))
        return MeanFieldLayer.holding(self.product, left, sigma, self.bias, self.prior_sigma)


def sliced(network: Network, slices: Mapping[str, int], reads: int = 10_000) -> Network:
    """Return the network with the means of some layers on several cells each.

    Args:
        network: to be deployed; it is left as it is, and the slices share its layers.
        slices: number of slices by name of a mean-field layer.
        reads: N of each cell, when a slice is measured for the next.

    Raises:
        ValueError: a name that is no mean-field layer, fewer than two slices, or fewer than one
            read.
    """
    for name, count in slices.items():
        if not isinstance(dict(network.stages.items()).get(name), MeanFieldLayer):
            raise ValueError(
                f"Argument `slices` must name mean-field layers of the network, but names `{name}`."
            )
        if count < 2:
            raise ValueError(
                f"Argument `slices` must hold numbers of at least 2, but is {count} for `{name}`."
            )
    if reads < 1:
        raise ValueError(f"Argument `reads` must be at least 1, but is {reads}.")
    stages, feeds = dict[str, nn.Module](), dict[str, tuple[str, ...]]()
    for name, stage in network.stages.items():
        source = tuple(network.feeds[name])
        if name not in slices:
            stages[name], feeds[name] = stage, source
            continue
        assert isinstance(stage, MeanFieldLayer)
        names = tuple(f"{name}_slice{s + 1}" for s in range(slices[name]))
        for s, part in enumerate(names):
            stages[part] = stage if s == 0 else Remainder.of(stage, names[:s], reads)
            feeds[part] = source
        stages[name], feeds[name] = Sum(), names
    return Network(stages, feeds)
