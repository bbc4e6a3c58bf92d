"""The Landau-Lifshitz-Gilbert equation, once for macrospins and films.

Everything that drives a magnetisation is an effective field B(m, t) in tesla, spin torques too.
The component axis is passed as `axis`: −2 for macrospins (*points 3 replicas), −4 for films
(*batch 3 z y x).
"""

import math

import numpy as np
import torch

from bayespin.cite import cites
from bayespin.constants import BOLTZMANN, GYROMAGNETIC_RATIO
from bayespin.shapes import Float, Tensor
from bayespin.units import format_quantity

Components = tuple[Tensor, Tensor, Tensor]


def _components(vectors: Tensor, axis: int) -> Components:
    """Return x, y, z with the axis kept: contiguous where the later axes are."""
    return vectors.narrow(axis, 0, 1), vectors.narrow(axis, 1, 1), vectors.narrow(axis, 2, 1)


def _cross(a: Components, b: Components) -> Components:
    """Return a × b; several times faster than `torch.linalg.cross`."""
    return (
        (a[1] * b[2]).addcmul_(a[2], b[1], value=-1),
        (a[2] * b[0]).addcmul_(a[0], b[2], value=-1),
        (a[0] * b[1]).addcmul_(a[1], b[0], value=-1),
    )


def cross(a: Float[Tensor, "..."], b: Float[Tensor, "..."], axis: int) -> Float[Tensor, "..."]:
    """Return a × b along `axis`, a new tensor; the other axes broadcast."""
    return torch.cat(_cross(_components(a, axis), _components(b, axis)), axis)


def unit(vectors: Float[Tensor, "*shape"], axis: int) -> Float[Tensor, "*shape"]:
    """Return v/|v|, the vectors scaled back onto the unit sphere."""
    x, y, z = _components(vectors, axis)
    return vectors * (x * x).addcmul_(y, y).addcmul_(z, z).rsqrt_()


def gyration_rate(damping: float | Tensor) -> float | Tensor:
    """Return γ/(1 + α²), the prefactor of both torques in Landau-Lifshitz form, rad/(s T)."""
    return GYROMAGNETIC_RATIO / (1 + damping**2)


@cites("10.1103/PhysRev.130.1677", "10.1103/PhysRevB.58.14937")
def torque(
    magnetisation: Float[Tensor, "..."],
    field: Float[Tensor, "..."],
    damping: float | Float[Tensor, "..."],
    axis: int,
) -> Float[Tensor, "..."]:
    """Return dm/dt = −γ/(1+α²) [m×B + α m×(m×B)], in 1/s.

    Symbols: m unit magnetisation; B field with its thermal and spin-torque parts (T); α damping, a
    number or a tensor that broadcasts over m; γ (rad/(s T)). Perpendicular to m. The form solved
    for dm/dt of dm/dt = −γ m×B + α m×dm/dt, for any B(m, t).

    Source: Brown (1963); García-Palacios and Lázaro (1998).
    """
    m, b = _components(magnetisation, axis), _components(field, axis)
    precession = _cross(m, b)
    if isinstance(damping, Tensor):
        inner = [torch.addcmul(one, p, damping) for one, p in zip(b, precession, strict=True)]
    else:
        inner = [torch.add(one, p, alpha=damping) for one, p in zip(b, precession, strict=True)]
    total = torch.cat(_cross(m, (inner[0], inner[1], inner[2])), axis)
    return total.mul_(-gyration_rate(damping))


@cites("10.1103/PhysRev.130.1677", "10.1103/PhysRevB.58.14937")
def thermal_field_std(
    damping: float | Float[Tensor, "..."],
    saturation_magnetisation: float | Float[Tensor, "..."],
    volume: float | Float[Tensor, "..."],
    temperature: float | Float[Tensor, "..."],
    time_step: float,
) -> float | Float[Tensor, "..."]:
    """Return the standard deviation of each component of the thermal field over one step, in T.

    B_th = √(2αkT/(γ M_s V Δt)), for the form of the equation used in `torque`.

    Symbols: α damping; k Boltzmann's constant; T temperature (K); γ (rad/(s T)); M_s (A/m); V
    volume of the macrospin or cell (m³); Δt time step (s).

    Source: Brown (1963); García-Palacios and Lázaro (1998).
    """
    moment = saturation_magnetisation * volume
    energy = 2 * damping * (BOLTZMANN * temperature)
    return (energy / (GYROMAGNETIC_RATIO * time_step) / moment) ** 0.5


def largest_stable_step(stiffest_field: float, damping: float) -> float:
    """Return the time step in seconds at which Heun stops damping the fastest precession.

    y = γBΔt solves |1 + z + z²/2| = 1 for z = (−α + i) y/(1 + α²), that is
    y³ − 4αy² + 8α²y − 8α(1 + α²) = 0, which has one real root: y → 2α^{1/3} for small α (0.54 at
    α = 0.02), y → 2α for large α.

    Symbols: B stiffest field (T), the largest frequency over γ; α damping; γ (rad/(s T)).

    Stability is not accuracy: averages have biases of order Δt below it.

    Raises:
        ValueError: the field or the damping is not positive: without damping no step is stable.
    """
    for name, value in (("stiffest_field", stiffest_field), ("damping", damping)):
        if not value > 0:
            raise ValueError(f"Argument `{name}` must be positive, but is {value:g}.")
    cubic = [1, -4 * damping, 8 * damping**2, -8 * damping * (1 + damping**2)]
    roots = np.roots(cubic)
    angle = float(roots[np.abs(roots.imag).argmin()].real)
    return angle / (GYROMAGNETIC_RATIO * stiffest_field)


def check_time_step(time_step: float, stiffest_field: float, damping: float) -> None:
    """Refuse a time step that is not positive or beyond `largest_stable_step`.

    Without any field (0 T) every positive step passes.

    Raises:
        ValueError: names the largest stable step.
    """
    if not time_step > 0:
        raise ValueError(f"`time_step` must be positive, but is {time_step:g} s.")
    if stiffest_field == 0:
        return
    largest = largest_stable_step(stiffest_field, damping)
    if time_step > largest:
        digit = 10.0 ** (math.floor(math.log10(largest)) - 1)
        # Rounded down, so that the step that the sentence names is taken.
        named = format_quantity(math.floor(largest / digit) * digit, "s")
        raise ValueError(
            f"`time_step` must be at most {named} for a field of "
            f"{format_quantity(stiffest_field, 'T')} and damping {damping:g}, "
            f"but is {format_quantity(time_step, 's')}."
        )
