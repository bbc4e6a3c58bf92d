"""The sections of a simulation's file: plain frozen dataclasses, in SI."""

import re
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from bayespin.load import unit_of
from bayespin.units import Unit, format_quantity

Vector = tuple[float, ...]
"""Three numbers along x, y and z."""


def require(instance: Any, *, positive: str = "", not_negative: str = "") -> None:
    """Refuse a field that is given and not of its sign; names are separated by blanks."""
    for names, sign in ((positive, "be positive"), (not_negative, "not be negative")):
        for name in names.split():
            value = getattr(instance, name)
            if value is not None and not (value > 0 if sign == "be positive" else value >= 0):
                hint = typing.get_type_hints(type(instance), include_extras=True)[name]
                unit = unit_of(hint)
                said = f"{value:g}" if unit is None else format_quantity(value, unit.symbol)
                raise ValueError(f"`{name}` must {sign}, but is {said}.")


def _require_vector(name: str, value: Vector) -> None:
    if len(value) != 3:
        raise ValueError(
            f"`{name}` must hold three numbers, along x, y and z, but holds {len(value)}."
        )


def require_name(name: str) -> None:
    """Refuse a name that cannot name a folder."""
    if re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name, re.ASCII) is None:
        raise ValueError(
            f"`name` must be letters, digits, `-`, `_` and `.`, since it names a folder, but is "
            f"{name!r}."
        )


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """What is switched on for a while, once or repeatedly, on top of the constant drive."""

    start: Annotated[float, Unit("s")]
    """Of the first pulse."""
    width: Annotated[float, Unit("s")]
    """Of each pulse; its edges are sharp."""
    count: int = 1
    """Number of pulses."""
    period: Annotated[float | None, Unit("s")] = None
    """From the start of one pulse to that of the next; needed for more than one."""
    field: Annotated[Vector, Unit("T")] = (0.0, 0.0, 0.0)
    """Uniform field along x, y, z."""
    current_density: Annotated[float, Unit("A/m2")] = 0.0
    """As in [drive]."""
    voltage: Annotated[float, Unit("V")] = 0.0
    """As in [drive]."""

    def __post_init__(self) -> None:
        require(self, positive="width period count", not_negative="start")
        _require_vector("field", self.field)
        if self.count > 1 and self.period is None:
            raise ValueError(f"`period` must be given for {self.count} pulses, but is missing.")
        if self.period is not None and self.width > self.period:
            raise ValueError(
                f"`width` must be at most the period, {format_quantity(self.period, 's')}, but is "
                f"{format_quantity(self.width, 's')}."
            )


@dataclass(frozen=True, kw_only=True)
class Drive:
    """What acts from outside: a constant part, and pulses, each a table [[drive.pulses]]."""

    field: Annotated[Vector, Unit("T")] = (0.0, 0.0, 0.0)
    """Uniform field along x, y, z."""
    current_density: Annotated[float, Unit("A/m2")] = 0.0
    """Conventional current, along +x in films and tracks; what it does is in [torque]."""
    voltage: Annotated[float, Unit("V")] = 0.0
    """Over the barrier of a macrospin's junction: shifts its anisotropy."""
    pulses: tuple[Pulse, ...] = ()
    """Added to the constant part."""

    def __post_init__(self) -> None:
        _require_vector("field", self.field)

    @property
    def still(self) -> bool:
        """Whether nothing acts but a constant field and a constant voltage."""
        return not self.pulses and self.current_density == 0


@dataclass(frozen=True, kw_only=True)
class Torque:
    """What the current does to the magnetisation."""

    spin_hall_angle: float = 0.0
    """θ_SH of a heavy metal below that carries the current; its spins are along +y."""
    field_like: float = 0.0
    """Field-like over damping-like torque of the heavy metal."""
    polarisation: float = 0.0
    """P of the current in the magnet: Slonczewski's torque in a macrospin's junction, with a
    reference along +z; Zhang and Li's along a film or track."""
    nonadiabaticity: float = 0.0
    """β of Zhang and Li."""
    asymmetry: float = 1.0
    """Λ of Slonczewski's torque."""

    def __post_init__(self) -> None:
        if not 0 <= self.polarisation <= 1:
            raise ValueError(f"`polarisation` must be 0 to 1, but is {self.polarisation:g}.")
        if not self.asymmetry >= 1:
            raise ValueError(f"`asymmetry` must be at least 1, but is {self.asymmetry:g}.")


def require_no_junction(drive: Drive, torque: Torque, kind: str) -> None:
    """Refuse what acts through a junction where there is none."""
    for one in (drive, *drive.pulses):
        if one.voltage:
            raise ValueError(
                f"`drive.voltage` must be 0 V for a {kind}, which has no junction, but is "
                f"{format_quantity(one.voltage, 'V')}."
            )
    if torque.asymmetry != 1:
        raise ValueError(
            f"`torque.asymmetry` must be 1 for a {kind}, which has no junction, but is "
            f"{torque.asymmetry:g}."
        )


@dataclass(frozen=True, kw_only=True)
class Run:
    """How the ensemble is stepped and recorded."""

    duration: Annotated[float, Unit("s")]
    """From the start to the last record."""
    record_every: Annotated[float, Unit("s")]
    """Time between records; the time step divides it."""
    settle: Annotated[float, Unit("s")] = 0.0
    """Time at the start that is not recorded, to come to equilibrium; part of the duration."""
    time_step: Annotated[float | None, Unit("s")] = None
    """A part of the largest stable one if not given."""
    replicas: int
    """Independent copies of each operating point."""
    temperature: Annotated[float, Unit("K")] = 300.0
    """Of the noise; 0 K switches it off."""
    seed: int = 0
    """Decides all random numbers."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the magnetisation."""
    device: Literal["cpu", "cuda"] = "cpu"
    """What computes."""

    def __post_init__(self) -> None:
        require(self, positive="duration record_every time_step replicas",
                 not_negative="settle temperature")  # fmt: skip
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"`seed` must be 0 to 2^32 − 1, but is {self.seed}.")
        if not self.settle + self.record_every <= self.duration * (1 + 1e-9):
            raise ValueError(
                f"`duration` must hold `settle` and a record after it, that is at least "
                f"{format_quantity(self.settle + self.record_every, 's')}, but is "
                f"{format_quantity(self.duration, 's')}."
            )


@dataclass(frozen=True, kw_only=True)
class Target:
    """An error that is asked for: the run goes on past its duration until it is reached."""

    statistic: Literal["mean", "std", "skewness", "excess_kurtosis", "distance", "normality"]
    """Of u = m_z: its standard error, or the resolution of a Kolmogorov-Smirnov distance, to the
    exact law or to a normal one."""
    error: float
    """Largest error at any operating point."""
    longest: Annotated[float, Unit("s")]
    """Duration after which the run ends anyway."""

    def __post_init__(self) -> None:
        require(self, positive="error longest")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The free layer of a preset's junction, with one operating point per anisotropy."""

    preset: str = "easyplane-50nm"
    """Name of a shipped preset; the fields below change it where given."""
    saturation_magnetisation: Annotated[float | None, Unit("A/m")] = None
    """M_s."""
    diameter: Annotated[float | None, Unit("m")] = None
    """Of the disk."""
    thickness: Annotated[float | None, Unit("m")] = None
    """Of the disk."""
    damping: float | None = None
    """Gilbert damping α."""
    interface_anisotropy: Annotated[tuple[float, ...], Unit("J/m2")] = ()
    """K_i of each operating point; the preset's levels if not given."""

    def __post_init__(self) -> None:
        require(self, positive="saturation_magnetisation diameter thickness damping")


@dataclass(frozen=True, kw_only=True)
class Material:
    """The magnet of a film or track."""

    saturation_magnetisation: Annotated[float, Unit("A/m")]
    """M_s."""
    exchange: Annotated[float, Unit("J/m")]
    """Stiffness A."""
    damping: float
    """Gilbert damping α."""
    uniaxial_anisotropy: Annotated[float, Unit("J/m3")] = 0.0
    """K_u without the part of the shape; positive for an easy axis along z."""
    interfacial_dmi: Annotated[float, Unit("J/m2")] = 0.0
    """D of D [m_z div m − (m·∇) m_z]."""

    def __post_init__(self) -> None:
        require(self, positive="saturation_magnetisation exchange damping")


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The film and its cells."""

    outline: Literal["rectangle", "ellipse"] = "rectangle"
    """Seen from above."""
    size: Annotated[Vector, Unit("m")]
    """Lengths along x, y, z."""
    cells: tuple[int, ...]
    """Number of cells along x, y, z."""
    grain_size: Annotated[float | None, Unit("m")] = None
    """Mean diameter of grains; without it the film has none."""
    grain_spread: float = 0.0
    """Relative standard deviation of K_u from grain to grain."""

    def __post_init__(self) -> None:
        _require_vector("size", self.size)
        _require_vector("cells", self.cells)
        require(self, positive="grain_size", not_negative="grain_spread")
        if not min(self.size) > 0:
            raise ValueError(
                f"`size` must be positive along each axis, but is "
                f"{format_quantity(min(self.size), 'm')}."
            )
        if not min(self.cells) >= 1:
            raise ValueError(
                f"`cells` must be at least 1 along each axis, but is {list(self.cells)}."
            )


@dataclass(frozen=True, kw_only=True)
class NotchedTrack:
    """A straight track along x, with equal notches in both of its edges."""

    length: Annotated[float, Unit("m")]
    """Along x."""
    width: Annotated[float, Unit("m")]
    """Along y, between notches."""
    thickness: Annotated[float, Unit("m")]
    """Along z."""
    notches: int
    """Number of notches, about the middle of the track."""
    notch_spacing: Annotated[float, Unit("m")]
    """From notch to notch."""
    notch_depth: Annotated[float, Unit("m")]
    """From either edge into the track."""
    notch_width: Annotated[float, Unit("m")]
    """At the edge of the track; the notch is a triangle."""
    start: int = 0
    """Notch in which the wall starts, counted from 0 at the left."""

    def __post_init__(self) -> None:
        require(
            self, positive="length width thickness notches notch_spacing notch_depth notch_width"
        )
        if not 2 * self.notch_depth < self.width:
            raise ValueError(
                f"`notch_depth` must be below half the width, "
                f"{format_quantity(self.width / 2, 'm')}, but is "
                f"{format_quantity(self.notch_depth, 'm')}."
            )
        needed = (self.notches - 1) * self.notch_spacing + self.notch_width
        if not needed < self.length:
            raise ValueError(
                f"`length` must exceed {format_quantity(needed, 'm')}, which the notches take, but "
                f"is {format_quantity(self.length, 'm')}."
            )
        if not 0 <= self.start < self.notches:
            raise ValueError(
                f"`start` must be 0 to {self.notches - 1}, one of the notches, but is {self.start}."
            )

    @property
    def places(self) -> tuple[float, ...]:
        """Positions of the notches along x, m."""
        first = self.length / 2 - (self.notches - 1) * self.notch_spacing / 2
        return tuple(first + k * self.notch_spacing for k in range(self.notches))


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Micromagnetic films of the same track, under the same pulses, beside the ensemble."""

    films: int = 1
    """Number of films; 0 leaves them out."""
    cell: Annotated[float, Unit("m")] = 4e-9
    """Side of a cell along x and y."""
    frames: int = 50
    """Maps of the first film that are kept, for the animation; at least 2."""

    def __post_init__(self) -> None:
        require(self, positive="cell", not_negative="films")
        if self.frames < 2:
            raise ValueError(f"`frames` must be at least 2, but is {self.frames}.")
