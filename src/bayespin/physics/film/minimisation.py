"""Stable states of a film, by descent of the energy on the product of unit spheres."""

from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.physics.film.motion import (
    AXIS,
    Films,
    effective_field,
    with_vacuum_filled,
    without_vacuum,
)
from bayespin.physics.llg import cross, unit
from bayespin.shapes import Bool, Float, Tensor


@dataclass(frozen=True)
class Relaxed:
    """Where a descent ended."""

    state: Float[Tensor, " batch 3 z y x"]
    torque: Float[Tensor, " batch"]
    """Largest |m × B| of a cell, in tesla."""
    steps: int
    converged: Bool[Tensor, " batch"]


@cites("10.1063/1.4862839")
def relax(
    films: Films,
    m: Float[Tensor, " batch 3 z y x"],
    tolerance: float = 1e-6,
    largest_count: int = 20_000,
    held: Bool[Tensor, "z y x"] | None = None,
) -> Relaxed:
    """Return the energy minimum downhill of m, for each film of the batch by itself.

    Steepest descent m' = [(4 − τ²g²)m − 4τg]/(4 + τ²g²) with g = m × (m × B), which stays on the
    sphere, and Barzilai and Borwein's τ, alternately (s·s)/(s·y) and (s·y)/(y·y) with s = δm and
    y = δg. Ends when |m × B| <= `tolerance` x B_stiff in every free cell.

    Symbols: B effective field of the film and its drive at t = 0 (T); τ step (1/T); B_stiff
    `Film.stiffest_field` (T); `held` cells keep their direction.

    Source: Exl et al. (2014). A state that ran out of `largest_count` steps is marked.

    Raises:
        ValueError: the tolerance is not positive.
    """
    if not tolerance > 0:
        raise ValueError(f"Argument `tolerance` must be positive, but is {tolerance:g}.")
    stiffest = films.film.stiffest_field
    free = films.film.occupied.to(m)
    if held is not None:
        free = free * ~held.to(m.device)
    start = without_vacuum(films, m)
    m = unit(with_vacuum_filled(films, m), AXIS)  # the descent keeps any length that it is given
    shape = (-1, 1, 1, 1, 1)
    descent = _descent(films, m, free)
    pace = torch.full((len(m),), 1 / stiffest, dtype=m.dtype, device=m.device)
    steps = 0
    while steps < largest_count:
        size = _largest(descent)
        running = size > tolerance * stiffest
        if not bool(running.any()):
            break
        moved = _turned(m, descent, pace.reshape(shape))
        moved = torch.where(running.reshape(shape), moved, m)
        changed = _descent(films, moved, free)
        pace = torch.where(running, _pace(moved - m, changed - descent, steps, 1 / stiffest), pace)
        m, descent, steps = moved, changed, steps + 1
    size = _largest(descent)
    settled = without_vacuum(films, m)
    if held is not None:
        settled = torch.where(held.to(m.device), start, settled)
    return Relaxed(settled, size, steps, size <= tolerance * stiffest)


def _descent(films: Films, m: Tensor, free: Tensor) -> Tensor:
    """Return m × (m × B), the uphill direction, in the cells that may move."""
    return cross(m, cross(m, effective_field(films, m), AXIS), AXIS) * free


def _turned(m: Tensor, uphill: Tensor, pace: Tensor) -> Tensor:
    square = pace.square() * uphill.square().sum(AXIS, keepdim=True)
    return ((4 - square) * m - 4 * pace * uphill) / (4 + square)


def _pace(step: Tensor, change: Tensor, count: int, smallest: float) -> Tensor:
    """Return Barzilai and Borwein's step; a small safe one where the curvature is not positive."""
    across = (step * change).flatten(1).sum(1)
    if count % 2:
        pace = step.square().flatten(1).sum(1) / across
    else:
        pace = across / change.square().flatten(1).sum(1)
    safe = pace.isfinite() & (pace > 0)
    return torch.where(safe, pace, smallest).clamp(max=1e6 * smallest)


def _largest(values: Tensor) -> Tensor:
    return values.square().sum(AXIS).sqrt().flatten(1).amax(1)
