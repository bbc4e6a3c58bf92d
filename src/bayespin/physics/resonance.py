"""Ferromagnetic resonance of a uniform magnetisation at rest along z (Kittel).

Everything follows from two stiffness fields B_x and B_y: the torque field per unit m_x and m_y.
"""

import math
from typing import NamedTuple

from bayespin.cite import cites
from bayespin.constants import GYROMAGNETIC_RATIO, VACUUM_PERMEABILITY
from bayespin.shapes import Float, Tensor

Quantity = float | Float[Tensor, "*batch"]


class StiffnessFields(NamedTuple):
    """The fields that hold m along z against a tilt towards x and towards y, in tesla."""

    x: Quantity
    y: Quantity


@cites("10.1103/PhysRev.73.155")
def ellipsoid_stiffness(
    field: Quantity,
    saturation_magnetisation: float,
    factors: tuple[float, float, float],
    uniaxial_anisotropy: Quantity = 0.0,
) -> StiffnessFields:
    """Return B_x = B0 + (N_x − N_z) µ0M_s + 2K_u/M_s and B_y = B0 + (N_y − N_z) µ0M_s + 2K_u/M_s.

    Symbols: B0 applied field along z (T); N demagnetising factors (x, y, z) of trace 1; M_s
    (A/m); K_u uniaxial anisotropy along z (J/m³). Sphere: N = 1/3 each, B0 alone. Film across y
    (m in its plane): N = (0, 1, 0). Film across z: N = (0, 0, 1).

    Source: Kittel (1948).
    """
    moment = VACUUM_PERMEABILITY * saturation_magnetisation
    along = field + 2 * uniaxial_anisotropy / saturation_magnetisation
    return StiffnessFields(
        along + (factors[0] - factors[2]) * moment, along + (factors[1] - factors[2]) * moment
    )


def in_plane_film_stiffness(field: Quantity, saturation_magnetisation: float) -> StiffnessFields:
    """Return the stiffness fields B0 and B0 + µ0M_s of a film magnetised in its plane, without K_u.

    f = (γ/2π) √(B0 (B0 + µ0M_s)).
    """
    return ellipsoid_stiffness(field, saturation_magnetisation, (0.0, 1.0, 0.0))


def perpendicular_film_stiffness(
    field: Quantity, saturation_magnetisation: float, uniaxial_anisotropy: Quantity
) -> StiffnessFields:
    """Return both stiffness fields B0 + 2K_u/M_s − µ0M_s of a film magnetised across its plane.

    f = (γ/2π)(B0 + 2K_u/M_s − µ0M_s). For a disk take `ellipsoid_stiffness` with its own factors.
    """
    return ellipsoid_stiffness(
        field, saturation_magnetisation, (0.0, 0.0, 1.0), uniaxial_anisotropy
    )


@cites("10.1103/PhysRev.73.155")
def resonance_frequency(stiffness: StiffnessFields) -> Quantity:
    """Return Kittel's frequency f = (γ/2π) √(B_x B_y) in hertz, without damping.

    Symbols: B_x, B_y stiffness fields (T), both positive or the state is unstable; γ (rad/(s T)).
    """
    return GYROMAGNETIC_RATIO / (2 * math.pi) * (stiffness.x * stiffness.y) ** 0.5


@cites("10.1109/TMAG.2004.836740")
def decay_rate(stiffness: StiffnessFields, damping: float) -> Quantity:
    """Return the rate in 1/s at which a small precession decays, αγ(B_x + B_y)/(2(1 + α²)).

    The half width at half maximum of the line in angular frequency. Exact for any α for which m
    still precesses (`ring_down_frequency` is real).

    Source: Gilbert's equation (2004), linearised.
    """
    return damping * GYROMAGNETIC_RATIO * (stiffness.x + stiffness.y) / (2 * (1 + damping**2))


def ring_down_frequency(stiffness: StiffnessFields, damping: float) -> Quantity:
    """Return the frequency of a decaying precession in hertz.

    f = (γ/(2π(1 + α²))) √((1 + α²) B_x B_y − α²(B_x + B_y)²/4).

    Equals `resonance_frequency` to order α; for B_x = B_y = B it is γB/(2π(1 + α²)).
    """
    total, damped = stiffness.x + stiffness.y, 1 + damping**2
    square = damped * stiffness.x * stiffness.y - damping**2 * total**2 / 4
    return GYROMAGNETIC_RATIO / (2 * math.pi * damped) * square**0.5
