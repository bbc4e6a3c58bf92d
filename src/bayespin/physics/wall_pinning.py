"""How a notch lets go of a wall: barriers under drive, depinning field, rate of escape."""

import math
from typing import NamedTuple

import torch

from bayespin.cite import cites
from bayespin.constants import BOLTZMANN
from bayespin.physics.llg import gyration_rate
from bayespin.physics.wall_ensemble import (
    WallTrack,
    angle_stiffness,
    position_stiffness,
    potential,
    resting_angle,
)
from bayespin.shapes import Float, Tensor


class Passage(NamedTuple):
    """The highest climb on a way along the track."""

    barrier: Float[Tensor, "*points replicas"]
    """J; 0 where the way only falls."""
    bottom: Float[Tensor, "*points replicas"]
    """q where the climb begins, m."""
    top: Float[Tensor, "*points replicas"]
    """q where it ends, m."""


def passage(
    track: WallTrack,
    way: tuple[float, float],
    field: Float[Tensor, "*points replicas"],
    points: int = 4001,
) -> Passage:
    """Return the climb in V(q) = U(q) − 2M_sSBq that a wall meets on a way from one q to another.

    The largest V(top) − V(bottom) with bottom before top, on a grid. To leave a notch, let the way
    begin half way to the notch behind it, and end at the notch ahead.

    Symbols: B everything that acts as a constant field on q: B + (π/2)B_SH cos φ + βu/(γΔ) (T).
    The barrier is accurate to U0 (dq/w)², dq the grid's spacing.
    """
    path = torch.linspace(*way, points, dtype=torch.float64, device=field.device)
    place = path.reshape(-1, *[1] * field.ndim).expand(-1, *field.shape)
    tilt = 2 * track.moment_density * field
    energies = potential(track.notches, place) - tilt * place
    lowest, where = energies.cummin(0)
    climb, top = (energies - lowest).max(0, keepdim=True)
    bottom = where.gather(0, top)
    return Passage(climb[0], path[bottom[0]], path[top[0]])


def depinning_field(
    depth: float | Tensor, width: float | Tensor, moment_density: float | Tensor
) -> float | Tensor:
    """Return the field that tears a wall from a lone notch without heat, in tesla.

    B_dep = max U'/(2M_sS) = √(2/e) U0/(2M_sSw), with the wall at q − q_k = w/√2.

    Symbols: U0 depth (J); w width (m) of `Notches`; M_sS moment per length (A m).
    """
    return math.sqrt(2 / math.e) * depth / (2 * moment_density * width)


@cites("10.1016/0003-4916(69)90153-5", "10.1103/RevModPhys.62.251")
def escape_rate(
    track: WallTrack, climb: Passage, temperature: float
) -> Float[Tensor, "*points replicas"]:
    """Return the rate at which heat carries a wall over a barrier, by Kramers and Langer, in 1/s.

    Γ = (λ/2π) √(a/|b|) exp(−E/kT), with λ the growth rate at the top,
    λ = (γ/(2(1 + α²))) [√(α²(c + b)² − 4(1 + α²)bc) − α(c + b)].

    Symbols: E barrier (J); a > 0 and b < 0 stiffness fields of the position at the bottom and the
    top, c >= 0 that of the angle at rest (T); α damping; γ (rad/(s T)); T (K). λ → γ|b|/α for
    c → ∞ (locked), αγ|b|/(1 + α²) for c = 0 (free).

    Source: Langer (1969); Hänggi, Talkner and Borkovec (1990). For E of several kT, static drive
    and damping that is not too weak: a swing through the well must lose more than kT. Infinite
    where E is 0: nothing holds the wall.
    """
    bottom = position_stiffness(track, climb.bottom)
    top = position_stiffness(track, climb.top)
    angle = angle_stiffness(track, resting_angle(track, climb.top))
    alpha = track.damping
    drag = alpha * (angle + top)
    root = (drag.square() - 4 * (1 + alpha**2) * top * angle).sqrt()
    growth = gyration_rate(alpha) / 2 * (root - drag)
    attempts = growth / (2 * math.pi) * (bottom / -top).sqrt()
    rate = attempts * torch.exp(-climb.barrier / (BOLTZMANN * temperature))
    return torch.where(climb.barrier > 0, rate, math.inf)
