"""Spin torques as effective fields: what a spin current does to a magnetisation.

Sign convention: in dm/dt = −γ m×B the field b(m×p) turns m towards p for b > 0 (damping-like), the
field b p makes it precess about p (field-like). A spin-Hall current along +x has p = +y.
"""

import math
from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.constants import BOHR_MAGNETON, ELEMENTARY_CHARGE, REDUCED_PLANCK
from bayespin.physics.drive import Driven, at, largest
from bayespin.physics.llg import Components, components, vector_product
from bayespin.shapes import Float, Tensor


@cites("10.1209/0295-5075/100/57002", "10.1103/RevModPhys.87.1213")
def spin_hall_field(
    spin_hall_angle: float,
    current_density: float | Float[Tensor, "..."],
    saturation_magnetisation: float,
    thickness: float,
) -> float | Float[Tensor, "..."]:
    """Return the damping-like field of a spin-Hall current, B_SH = ħθ_SH J/(2eM_s t), in tesla.

    Symbols: ħ (J s); θ_SH spin-Hall angle, signed; J charge current density in the heavy metal
    (A/m²); e elementary charge (C); M_s (A/m); t thickness of the magnet (m).

    Source: Thiaville et al. (2012); Sinova et al. (2015). 4.99 mT per 1e11 A/m² at θ_SH 0.1, M_s
    1.1 MA/m, t 0.6 nm. A metal much thicker than its spin diffusion length; else θ_SH is effective.
    """
    per_current = REDUCED_PLANCK * spin_hall_angle / (2 * ELEMENTARY_CHARGE)
    return per_current * current_density / (saturation_magnetisation * thickness)


@cites("10.1016/0304-8853(96)00062-5")
def slonczewski_field(
    polarisation: float,
    current_density: float | Float[Tensor, "..."],
    saturation_magnetisation: float,
    thickness: float,
) -> float | Float[Tensor, "..."]:
    """Return the damping-like field of a current through a junction, ħPJ/(2eM_s t), in tesla.

    Symbols: P spin polarisation of the current; J current density (A/m²), positive where electrons
    flow from the polariser into the free layer; M_s (A/m), t thickness (m) of the free layer.

    Source: Slonczewski (1996). The amplitude b of `SpinTorque`, whose `asymmetry` gives the angle
    dependence.
    """
    flow = polarisation * current_density / ELEMENTARY_CHARGE
    return REDUCED_PLANCK / 2 * flow / (saturation_magnetisation * thickness)


@cites("10.1209/epl/i2004-10452-6")
def drift_velocity(
    current_density: float | Float[Tensor, "..."],
    polarisation: float,
    saturation_magnetisation: float,
) -> float | Float[Tensor, "..."]:
    """Return the drift velocity of Zhang and Li, u = µ_B P J/(eM_s), in m/s.

    Symbols: µ_B Bohr magneton (J/T); P spin polarisation; J density of the electrons' flow (A/m²),
    positive along it: the conventional current runs the other way; e (C); M_s (A/m).

    Source: Thiaville et al. (2005). 72.35 m/s at 1e12 A/m², P 1, M_s 800 kA/m.
    """
    per_current = BOHR_MAGNETON * polarisation / ELEMENTARY_CHARGE
    return per_current * current_density / saturation_magnetisation


@dataclass(frozen=True, kw_only=True)
class SpinTorque:
    """A damping-like and a field-like torque of one spin polarisation p.

    B = b η(m·p) m×p + b_fl p, η = 2Λ²/[(Λ² + 1) + (Λ² − 1) m·p].

    Symbols: b damping-like, b_fl field-like amplitude (T); Λ asymmetry, with which η runs from Λ²
    (antiparallel) over 2Λ²/(Λ² + 1) at right angles to 1 (parallel); Λ = 1 is η = 1, as for spin
    Hall torques and symmetric tunnel junctions.

    Source: Slonczewski (1996); Xiao, Zangwill and Stiles, DOI 10.1103/PhysRevB.70.172405.

    Raises:
        ValueError: `direction` has not three components of length 1, Λ is below 1, or a value is
            not finite.
    """

    direction: Float[Tensor, " 3"]
    """p, unit vector."""
    damping_like: Driven = 0.0
    """b, T; a tensor broadcasts over m, such as `*points 1 1` for macrospins."""
    field_like: Driven = 0.0
    """b_fl, T, as `damping_like`."""
    asymmetry: float = 1.0
    """Λ."""

    def __post_init__(self) -> None:
        length, shape = float(self.direction.double().norm()), tuple(self.direction.shape)
        if shape != (3,) or not abs(length - 1) < 1e-3:
            raise ValueError(
                f"`direction` must have length 1 and shape (3,), but has length {length:g} "
                f"and shape {shape}."
            )
        if not 1 <= self.asymmetry < math.inf:
            raise ValueError(f"`asymmetry` must be at least 1, but is {self.asymmetry:g}.")
        for name in ("damping_like", "field_like"):
            if not math.isfinite(bound := largest(getattr(self, name))):
                raise ValueError(f"`{name}` must be finite, but is {bound:g} T.")

    @property
    def largest_field(self) -> float:
        """The largest field in tesla, as far as its amplitudes are known."""
        return self.asymmetry**2 * largest(self.damping_like) + largest(self.field_like)

    def field(
        self, magnetisation: Float[Tensor, "..."], time: float | Tensor, axis: int
    ) -> Float[Tensor, "..."]:
        """Return the effective field in tesla; `axis` is the component axis of m."""
        return torch.cat(self.field_components(components(magnetisation, axis), time), axis)

    def field_components(self, m: Components, time: float | Tensor) -> Components:
        """Return the effective field in tesla for the components of m."""
        p = Components(*self.direction.to(m.x).unbind())
        amplitude, field_like = (
            value.to(m.x) if isinstance(value, Tensor) else value
            for value in (at(self.damping_like, time), at(self.field_like, time))
        )
        if self.asymmetry == 1 and not isinstance(amplitude, Tensor):
            torqued = vector_product(m, p.mul(amplitude))  # three products fewer
        else:
            torqued = self._asymmetric(m, p, amplitude)
        if isinstance(field_like, Tensor) or field_like != 0:
            torqued = Components(*(a + field_like * b for a, b in zip(torqued, p, strict=True)))
        return torqued

    def _asymmetric(self, m: Components, p: Components, amplitude: float | Tensor) -> Components:
        if self.asymmetry != 1:
            square = self.asymmetry**2
            along = (m.x * p.x).addcmul_(m.y, p.y).addcmul_(m.z, p.z)
            amplitude = amplitude * (2 * square / ((square + 1) + (square - 1) * along))
        return Components(*(part * amplitude for part in vector_product(m, p)))
