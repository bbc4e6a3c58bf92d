"""Curves that are costly to compute, looked up in a table of equal steps."""

from collections.abc import Callable

import torch

from bayespin.shapes import Float, Tensor


def lookup(
    table: Float[Tensor, " nodes"], position: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the table at fractional indices, linear between nodes, constant beyond its ends.

    Error h²f''/8 for steps h.
    """
    last = table.shape[0] - 1
    clamped = position.clamp(0, last)
    lower = clamped.detach().floor().clamp(max=last - 1)
    index = lower.to(torch.int64)
    values = table.to(position)
    start = values[index]
    return start + (clamped - lower) * (values[index + 1] - start)


def tabulated(
    curve: Callable[[Float[Tensor, " some"]], Float[Tensor, " some"]],
    points: Float[Tensor, "*batch"],
    nodes: int = 4097,
) -> Float[Tensor, "*batch"]:
    """Return curve(points); for more than `nodes` points, values between `nodes` equal steps.

    Error h²f''/8 with h the range of the points over `nodes` − 1.
    """
    if points.numel() <= nodes:
        return curve(points.flatten()).reshape(points.shape)
    low, high = points.aminmax()
    grid = torch.lerp(low, high, torch.linspace(0, 1, nodes).to(points))
    steps = (nodes - 1) / (high - low).clamp(min=1e-12)
    return lookup(curve(grid), (points - low) * steps)
