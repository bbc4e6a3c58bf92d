"""The Landau-Lifshitz-Gilbert equation, once for macrospins and films.

Everything that drives a magnetisation is an effective field B(m, t) in tesla, spin torques too.
The component axis is passed as `axis`: −2 for macrospins (*points 3 replicas), −4 for films
(*batch 3 z y x).
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from bayespin.cite import cites
from bayespin.constants import BOLTZMANN, GYROMAGNETIC_RATIO
from bayespin.shapes import Float, Tensor
from bayespin.units import format_quantity


class Components(NamedTuple):
    """Vectors as their x, y and z: every operation runs over contiguous memory.

    `add` and `mul` are those of a tensor, so that a step method takes either.
    """

    x: Tensor
    y: Tensor
    z: Tensor

    def add(self, other: "Components", *, alpha: float = 1.0) -> "Components":
        """Return self + alpha other."""
        return Components(*(a.add(b, alpha=alpha) for a, b in zip(self, other, strict=True)))

    def mul(self, factor: float) -> "Components":
        """Return factor self."""
        return Components(*(a.mul(factor) for a in self))


def components(vectors: Float[Tensor, "..."], axis: int) -> Components:
    """Return x, y, z as views that keep the axis, so that they broadcast as the vectors do."""
    return Components(*(vectors.narrow(axis, i, 1) for i in range(3)))


def vector_product(a: Components, b: Components) -> Components:
    """Return a × b in new tensors; several times faster than `torch.linalg.cross`."""
    return Components(
        (a.y * b.z).addcmul_(a.z, b.y, value=-1),
        (a.z * b.x).addcmul_(a.x, b.z, value=-1),
        (a.x * b.y).addcmul_(a.y, b.x, value=-1),
    )


def cross(a: Float[Tensor, "..."], b: Float[Tensor, "..."], axis: int) -> Float[Tensor, "..."]:
    """Return a × b along `axis`, a new tensor; the other axes broadcast."""
    return torch.cat(vector_product(components(a, axis), components(b, axis)), axis)


def unit(vectors: Float[Tensor, "*shape"], axis: int) -> Float[Tensor, "*shape"]:
    """Return v/|v|, the vectors scaled back onto the unit sphere."""
    x, y, z = components(vectors, axis)
    return vectors * (x * x).addcmul_(y, y).addcmul_(z, z).rsqrt_()


def gyration_rate(damping: float | Tensor) -> float | Tensor:
    """Return γ/(1 + α²), the prefactor of both torques in Landau-Lifshitz form, rad/(s T)."""
    return GYROMAGNETIC_RATIO / (1 + damping**2)


def damped_turning(
    m: Components, rate: Components, damping: float | Float[Tensor, "..."]
) -> Components:
    """Return m × (ω + α m×ω), which is `torque` for ω = −γB/(1 + α²), in the unit of ω."""
    inner = vector_product(m, rate)
    if isinstance(damping, Tensor):
        inner = Components(
            *(torch.addcmul(w, p, damping) for w, p in zip(rate, inner, strict=True))
        )
    else:
        inner = rate.add(inner, alpha=damping)
    return vector_product(m, inner)


def rotated(m: Components, half: Components) -> Components:
    """Return m turned about the vector v = `half` by the angle 2 atan|v|, without any series.

    m + 2/(1 + |v|²) [v×m + v×(v×m)], the Cayley transform of the rotation: exact in length, and by
    an angle of 2|v| − (2/3)|v|³ + …
    """
    across = vector_product(half, m)
    bent = across.add(vector_product(half, across))
    square = (half.x * half.x).addcmul_(half.y, half.y).addcmul_(half.z, half.z)
    factor = 2 / (1 + square)
    return Components(*(torch.addcmul(a, factor, b) for a, b in zip(m, bent, strict=True)))


def diffused(m: Components, noise: Components, spread: Float[Tensor, "..."]) -> Components:
    """Return m after free diffusion on the sphere by the variance s² per direction, weak order 2.

    `rotated` by v = √(s² + ¾s⁴) noise/2. Gaussian rotation vectors of variance q leave
    1 − Λq/2 + (Λ²/8 + 3Λ/8)q² + … of a spherical harmonic with Λ = l(l + 1), where diffusion leaves
    e^{−Λs²/2}: ¾s⁴ makes the two equal to s⁴ for every l.

    Symbols: noise N(0, 1); s² `spread`, small against 1.
    """
    reach = (spread + 0.75 * spread.square()).sqrt() / 2
    return rotated(m, Components(*(reach * part for part in noise)))


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
    m, b = components(magnetisation, axis), components(field, axis)
    return torch.cat(damped_turning(m, b, damping), axis).mul_(-gyration_rate(damping))


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


def check_temperature(temperature: float | Float[Tensor, "..."]) -> None:
    """Refuse temperatures (K) that are negative or not finite.

    Raises:
        ValueError: names the first of them.
    """
    values = torch.as_tensor(temperature)
    wrong = values[~((values >= 0) & values.isfinite())]
    if wrong.numel():
        found = float(wrong[0])
        rule = "negative" if found < 0 else "negative nor infinite"
        raise ValueError(f"`temperature` must not be {rule}, but is {found:g} K.")


def check_time_step(time_step: float, stiffest_field: float, damping: float) -> None:
    """Refuse a time step that is not positive or beyond `largest_stable_step`.

    Without any field (0 T) every positive step passes.

    Raises:
        ValueError: names the largest stable step.
    """
    if not 0 < time_step < math.inf:
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
