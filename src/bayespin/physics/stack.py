"""Operating points of a stochastic junction, one entry per point: what is characterised."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import torch

from bayespin.constants import BOLTZMANN, GYROMAGNETIC_RATIO
from bayespin.numerics.quadrature import LogDensity
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import SPLITTING_ANGLE, Macrospins
from bayespin.shapes import Bool, Float, Tensor

Orientation = Literal["easy-plane", "perpendicular"]
"""Easy-plane: K_eff < 0, read by a perpendicular reference, u = m_z. Perpendicular: K_eff > 0, read
by an in-plane reference, u = m_x."""

READ_OUT = {"easy-plane": 2, "perpendicular": 0}
"""The component of m that is u."""


@dataclass(frozen=True, kw_only=True)
class StackPoints:
    """Operating points of one pillar, a flat list; what is one number holds at every point.

    Raises:
        ValueError: an unknown orientation, an anisotropy that is not finite or of the wrong sign,
            a temperature or M_s that is not positive, or lists of unlike length.
    """

    layer: FreeLayer
    """Geometry and damping; M_s where no other is given."""
    orientation: Orientation = "easy-plane"
    anisotropy: Float[Tensor, " points"]
    """K_eff at the temperature of the point, J/m³; negative for an easy plane."""
    temperature: float | Float[Tensor, " points"] = 300.0
    """K."""
    saturation_magnetisation: float | Float[Tensor, " points"] | None = None
    """M_s at the temperature of the point, A/m."""
    stray_field: float | Float[Tensor, " points"] = 0.0
    """B along u, T."""
    in_plane_anisotropy: float | Float[Tensor, " points"] = 0.0
    """K_ip along x, J/m³: a pillar that is longer along x."""

    def __post_init__(self) -> None:
        if self.orientation not in READ_OUT:
            raise ValueError(
                f"`orientation` must be easy-plane or perpendicular, but is {self.orientation!r}."
            )
        for field in dataclasses.fields(self)[2:]:
            self._check(field.name)
        sign = -1 if self.orientation == "easy-plane" else 1
        wrong = self.anisotropy[sign * self.anisotropy < 0]
        if len(wrong):
            rule = "negative" if sign < 0 else "positive"
            raise ValueError(
                f"`anisotropy` must be {rule} or zero for the orientation {self.orientation}, "
                f"but is {float(wrong[0]):g} J/m³."
            )

    def _check(self, name: str) -> None:
        given = getattr(self, name)
        if given is None:
            return
        values = torch.as_tensor(given)
        if values.ndim and len(values) != len(self.anisotropy):
            raise ValueError(
                f"`{name}` must be one number or one for each of the {len(self.anisotropy)} "
                f"points, but has {len(values)}."
            )
        if not bool(values.isfinite().all()):
            raise ValueError(f"`{name}` must be finite, but is not.")
        positive = name in ("temperature", "saturation_magnetisation")
        if positive and not bool((values > 0).all()):
            raise ValueError(f"`{name}` must be positive, but is {float(values.min()):g}.")

    def __len__(self) -> int:
        """Return the number of operating points."""
        return len(self.anisotropy)

    def each(self, name: str) -> Float[Tensor, " points"]:
        """Return one of the swept quantities at every point, in float64."""
        given = getattr(self, name)
        if given is None:
            given = self.layer.saturation_magnetisation
        return torch.as_tensor(given, dtype=torch.float64).expand(len(self))

    def at(self, chosen: Tensor) -> "StackPoints":
        """Return the points of an index or a mask, every quantity as a list."""
        lists = {f.name: self.each(f.name)[chosen] for f in dataclasses.fields(self)[2:]}
        return dataclasses.replace(self, **lists)

    @property
    def stability(self) -> Float[Tensor, " points"]:
        """Δ = |K_eff|V/kT."""
        energy = self.each("anisotropy").abs() * self.layer.volume
        return energy / (BOLTZMANN * self.each("temperature"))

    @property
    def anisotropy_field(self) -> Float[Tensor, " points"]:
        """B_k = 2|K_eff|/M_s, T."""
        return 2 * self.each("anisotropy").abs() / self.each("saturation_magnetisation")

    @property
    def diffusion_time(self) -> Float[Tensor, " points"]:
        """τ_N of `relaxation.free_diffusion_time`, s."""
        moment = self.each("saturation_magnetisation") * self.layer.volume
        mobility = 2 * self.layer.damping * GYROMAGNETIC_RATIO * BOLTZMANN
        return (1 + self.layer.damping**2) * moment / (mobility * self.each("temperature"))

    @property
    def decay_time(self) -> Float[Tensor, " points"]:
        """About the time in which u forgets, 1/(αγB_k/(1 + α²) + 1/τ_N), s.

        To 15 % of the slowest mode of an easy plane. A guide for sampling, not a law.
        """
        rate = GYROMAGNETIC_RATIO * self.anisotropy_field / (1 + self.layer.damping**2)
        return 1 / (self.layer.damping * rate + 1 / self.diffusion_time)

    @property
    def shifted(self) -> Bool[Tensor, " points"]:
        """True where a start from Boltzmann's law of K_eff alone is out of equilibrium."""
        return (self.each("stray_field") != 0) | (self.each("in_plane_anisotropy") != 0)


def macrospins(points: StackPoints, time_step: float) -> Macrospins:
    """Return the macrospins of the points, in float32.

    Only fields enter the equation of motion: B_k = 2K/M_s and the thermal field ∝ √(T/M_s). So a
    point of another M_s' is the same as one of M_s with K and T multiplied by M_s/M_s'.
    """
    scale = points.layer.saturation_magnetisation / points.each("saturation_magnetisation")
    field = torch.zeros(len(points), 3, 1)
    field[:, READ_OUT[points.orientation], 0] = points.each("stray_field").float()
    across = (points.each("in_plane_anisotropy") * scale).float()[:, None]
    return Macrospins(
        layer=points.layer,
        effective_anisotropy=(points.each("anisotropy") * scale).float()[:, None],
        in_plane_anisotropy=across if bool(across.any()) else 0.0,
        applied_field=field if bool(field.any()) else 0.0,
        temperature=(points.each("temperature") * scale)[:, None],
        time_step=time_step,
        stable_angle=SPLITTING_ANGLE,
    )


def log_density(points: StackPoints) -> LogDensity:
    """Return ln p(u) of Boltzmann's law at every point, up to a constant.

    Easy plane, u = m_z: −Δu² + bu + ln I0(κ(1 − u²)/2) + κ(1 − u²)/2.
    Perpendicular, u = m_x: κu² + bu + ln I0(Δ(1 − u²)/2) + Δ(1 − u²)/2.

    Symbols: Δ = |K_eff|V/kT; b = M_s V B/kT; κ = K_ip V/kT; I0 modified Bessel function, from the
    integral over the azimuth about u.
    """
    thermal = BOLTZMANN * points.each("temperature")
    volume = points.layer.volume
    b = points.each("saturation_magnetisation") * volume * points.each("stray_field") / thermal
    in_plane = points.each("in_plane_anisotropy") * volume / thermal
    out_of_plane = points.each("anisotropy") * volume / thermal
    plane = points.orientation == "easy-plane"
    along, across = (out_of_plane, in_plane) if plane else (in_plane, out_of_plane)

    def density(u: Tensor) -> Tensor:
        azimuthal = across[..., None] * (1 - u.square()) / 2
        bessel = torch.special.i0e(azimuthal).log() + azimuthal.abs() + azimuthal
        return u * (b[..., None] + along[..., None] * u) + bessel

    return density


def interval(points: StackPoints) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
    """Return the part of [−1, 1] that carries the law, 12 standard deviations either way."""
    stiffness = points.stability.clamp(min=1e-3)
    moment = points.each("saturation_magnetisation") * points.layer.volume
    b = moment * points.each("stray_field") / (BOLTZMANN * points.each("temperature"))
    across = points.each("in_plane_anisotropy") / points.each("anisotropy").abs().clamp(min=1e-9)
    sign = 1 if points.orientation == "easy-plane" else -1
    softened = (stiffness * (1 + sign * across)).clamp(min=1e-3)
    softest = torch.minimum(stiffness, softened)
    peak = (b / (2 * softest)).clamp(-1, 1)
    reach = 12 / (2 * softest).sqrt() + (b / (2 * stiffness) - peak).abs()
    return (peak - reach).clamp(min=-1), (peak + reach).clamp(max=1)
