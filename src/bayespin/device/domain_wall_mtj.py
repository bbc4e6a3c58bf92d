"""The multi-bit junction: a level of a domain wall in, a conductance out.

A junction over a notched track with one wall. Its conductance is linear in the wall position
between the dead zones at the ends, where no wall can be held. A pulse of current in the metal under
the track moves the wall by one notch, or fails to.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from bayespin.constants import BOLTZMANN
from bayespin.physics import domain_wall, transport
from bayespin.shapes import Float, Int, Tensor
from bayespin.units import Unit


@dataclass(frozen=True, kw_only=True)
class WritePulse:
    """A rectangular pulse of current along the metal under the track: one notch for one pulse.

    Raises:
        ValueError: a quantity that is not positive.
    """

    current_density: Annotated[float, Unit("A/m2")]
    """J, in the metal."""
    spin_hall_angle: float
    """θ_SH, damping-like efficiency."""
    duration: Annotated[float, Unit("s")]
    metal_thickness: Annotated[float, Unit("m")]
    metal_resistivity: Annotated[float, Unit("Ohm m")]

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name):g}.")


@dataclass(frozen=True, kw_only=True)
class DomainWallMtj:
    """A junction of `length` × `width` over a track, with `levels` equidistant notches.

    Raises:
        ValueError: a quantity is out of range, the film is not perpendicular, or the dead zones
            leave no length for notches.
    """

    length: Annotated[float, Unit("m")]
    width: Annotated[float, Unit("m")]
    thickness: Annotated[float, Unit("m")]
    tmr: float
    """(G_P − G_AP)/G_AP at zero bias, as a fraction."""
    half_voltage: Annotated[float, Unit("V")]
    """Bias that halves the TMR."""
    resistance_area: Annotated[float, Unit("Ohm m2")]
    """Of the parallel state."""
    exchange: Annotated[float, Unit("J/m")]
    uniaxial_anisotropy: Annotated[float, Unit("J/m3")]
    saturation_magnetisation: Annotated[float, Unit("A/m")]
    damping: float
    dmi: Annotated[float, Unit("J/m2")]
    """D of `wall_motion.dmi_field`: positive favours φ = 0."""
    notch_depth: Annotated[float, Unit("m")]
    """Of the triangular cut into either edge."""
    notch_width: Annotated[float, Unit("m")]
    """Of the cut at the edge."""
    levels: int
    missed_step_probability: float
    """That a pulse leaves the wall where it was."""
    double_step_probability: float
    """That a pulse carries the wall two notches."""
    notch_spread: float
    """Standard deviation of a notch from its place, in levels: drawn once per device and notch."""
    cycle_spread: float
    """Standard deviation of a wall within its notch, in levels: drawn at every write."""
    barrier: Annotated[float, Unit("J")]
    """E between neighbouring notches."""
    attempt_rate: Annotated[float, Unit("Hz")]
    """Γ0, with which heat tries the barrier, both ways together."""
    write: WritePulse

    def __post_init__(self) -> None:
        positive = ("length", "width", "thickness", "tmr", "half_voltage", "resistance_area",
                    "exchange", "saturation_magnetisation", "attempt_rate", "damping",
                    "notch_depth", "notch_width")  # fmt: skip
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name):g}.")
        if self.levels < 2:
            raise ValueError(f"`levels` must be at least 2, but is {self.levels}.")
        for name in ("notch_spread", "cycle_spread", "barrier"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, but is {getattr(self, name):g}.")
        for name in ("missed_step_probability", "double_step_probability"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}` must lie in [0, 1), but is {getattr(self, name):g}.")
        if self.missed_step_probability + self.double_step_probability >= 1:
            raise ValueError(
                f"`missed_step_probability` and `double_step_probability` must add up to less "
                f"than 1, but are {self.missed_step_probability:g} and "
                f"{self.double_step_probability:g}."
            )
        if not self.length > 2 * dead_zone(self):
            raise ValueError(
                f"`length` must exceed two dead zones, {2 * dead_zone(self):.3g} m, "
                f"but is {self.length:.3g} m."
            )

    @property
    def area(self) -> float:
        """Length times width, m²."""
        return self.length * self.width

    @property
    def pulse_time(self) -> float:
        """Duration of a write pulse, s."""
        return self.write.duration

    @property
    def pulse_energy(self) -> float:
        """E = ρ J² (w t_HM L) t_pulse, heat of a pulse in the metal under the track, in joules.

        Symbols: ρ resistivity (Ω m), t_HM thickness (m) of the metal; J current density (A/m²); w
        width, L length of the track (m). The magnet carries no current; leads, switch and driver
        are priced with the array.
        """
        pulse = self.write
        volume = self.area * pulse.metal_thickness
        return pulse.metal_resistivity * pulse.current_density**2 * volume * pulse.duration

    def step_errors(self) -> tuple[float, float]:
        """Return the probabilities that a pulse moves the wall by none, and by two notches."""
        return self.missed_step_probability, self.double_step_probability

    def retention_time(self, temperature: float) -> float:
        """Return exp(E/kT)/Γ0, the mean time in seconds until heat moves a wall by a notch.

        Symbols: E `barrier` (J); k Boltzmann's constant; T temperature (K); Γ0 `attempt_rate`
        (1/s). The rate of `wall_pinning.escape_rate` to both sides; inside the track.
        """
        return math.exp(self.barrier / (BOLTZMANN * temperature)) / self.attempt_rate


def dead_zone(track: DomainWallMtj) -> float:
    """Return πΔ_DW, Δ_DW = √(A/(K_u − µ0 M_s²/2)): the length lost at each end, in metres."""
    anisotropy = domain_wall.track_anisotropy(
        track.uniaxial_anisotropy, track.saturation_magnetisation
    )
    return domain_wall.end_dead_zone(domain_wall.width_parameter(track.exchange, anisotropy))


def notch_pitch(track: DomainWallMtj) -> float:
    """Return (L − 2πΔ_DW)/(levels − 1), the distance of neighbouring notches, in metres."""
    return (track.length - 2 * dead_zone(track)) / (track.levels - 1)


def parallel_fraction(
    track: DomainWallMtj, level: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the parallel fraction x = (πΔ_DW + level · pitch)/L.

    Symbols: level in [0, levels − 1], a real number so that placement errors are in it; L length
    (m). x stays within [πΔ_DW/L, 1 − πΔ_DW/L]: a wall pushed into a dead zone rests at its edge.
    """
    bounded = level.clamp(0, track.levels - 1)
    return (dead_zone(track) + bounded * notch_pitch(track)) / track.length


def conductance(
    track: DomainWallMtj, level: Float[Tensor, "*batch"], voltage: float = 0.0
) -> Float[Tensor, "*batch"]:
    """Return G = G_AP + (G_P − G_AP) x in siemens at a level and a bias voltage (V)."""
    parallel, antiparallel = saturated_conductances(track, voltage)
    return antiparallel + (parallel - antiparallel) * parallel_fraction(track, level)


def level_of(
    track: DomainWallMtj, target: Float[Tensor, "*batch"], voltage: float = 0.0
) -> Float[Tensor, "*batch"]:
    """Return the real-valued level whose conductance is `target` (S), the inverse of `conductance`.

    Targets beyond the usable range give the nearest end level.
    """
    low, high = conductance_window(track, voltage)
    return ((target - low) / (high - low) * (track.levels - 1)).clamp(0, track.levels - 1)


def nearest_level(
    track: DomainWallMtj, target: Float[Tensor, "*batch"], voltage: float = 0.0
) -> Int[Tensor, "*batch"]:
    """Return the whole level whose conductance is nearest to `target` (S); see `level_of`."""
    return level_of(track, target, voltage).round().long()


def saturated_conductances(track: DomainWallMtj, voltage: float = 0.0) -> tuple[float, float]:
    """Return (G_P, G_AP) in siemens of the track without a wall, at a bias voltage (V)."""
    tmr = transport.tmr_at_bias(track.tmr, voltage, track.half_voltage)
    return (
        transport.parallel_conductance(track.resistance_area, track.area),
        transport.antiparallel_conductance(track.resistance_area, track.area, tmr),
    )


def conductance_window(track: DomainWallMtj, voltage: float = 0.0) -> tuple[float, float]:
    """Return the usable (lowest, highest) conductance in siemens: dead zones excluded."""
    parallel, antiparallel = saturated_conductances(track, voltage)
    lost = dead_zone(track) / track.length
    swing = parallel - antiparallel
    return antiparallel + lost * swing, parallel - lost * swing
