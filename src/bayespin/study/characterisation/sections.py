"""The sections of a characterisation's file: plain frozen dataclasses, in SI."""

from dataclasses import dataclass
from typing import Annotated

from bayespin.physics.stack import Orientation
from bayespin.study.simulation.sections import require
from bayespin.units import Unit, format_quantity


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The junction: a preset's, with what is changed in it."""

    preset: str = "easyplane-50nm"
    """Name of a shipped preset; the fields below change it where given."""
    orientation: Orientation | None = None
    """The preset's if not given. Easy-plane under a perpendicular reference, or perpendicular
    under one in the plane."""
    saturation_magnetisation: Annotated[float | None, Unit("A/m")] = None
    """M_s at the reference temperature."""
    diameter: Annotated[float | None, Unit("m")] = None
    """Of the disk."""
    thickness: Annotated[float | None, Unit("m")] = None
    """Of the free layer."""
    damping: float | None = None
    """Gilbert damping α."""
    interface_anisotropy: Annotated[float | None, Unit("J/m2")] = None
    """K_i without a gate voltage; only for `sweep.gate_voltages`."""

    def __post_init__(self) -> None:
        require(self, positive="saturation_magnetisation diameter thickness damping")


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What is swept: every setting at every temperature, other lists one by one about a middle."""

    # The middle is the first value of each list, at the first temperature.
    settings: Annotated[tuple[float, ...], Unit("J/m2")] = ()
    """K_i at the reference temperature; the preset's levels if not given."""
    gate_voltages: Annotated[tuple[float, ...], Unit("V")] = ()
    """Instead of settings: voltages of a volatile gate, each of which shifts K_i."""
    levels: int | None = None
    """Instead of both: how many of the preset's levels, evenly chosen."""
    stabilities: tuple[float, ...] = ()
    """Δ at the first temperature of more points that are no part of the table: small ones show
    where the Gaussian breaks."""
    temperatures: Annotated[tuple[float, ...], Unit("K")] = (300.0,)
    """Of the device."""
    read_windows: Annotated[tuple[float, ...], Unit("s")] = (1e-9, 3e-9, 10e-9, 30e-9)
    """Over which a read averages."""
    stray_fields: Annotated[tuple[float, ...], Unit("T")] = (0.0,)
    """Along the reference."""
    read_voltages: Annotated[tuple[float, ...], Unit("V")] = (0.0,)
    """Over the junction while it is read: shift K_i."""
    in_plane_anisotropies: Annotated[tuple[float, ...], Unit("T")] = (0.0,)
    """Anisotropy field of an out-of-round pillar."""

    def __post_init__(self) -> None:
        given = [n for n in ("settings", "gate_voltages", "levels") if getattr(self, n)]
        if len(given) > 1:
            raise ValueError(f"`{given[1]}` must be left out beside `{given[0]}`, but is given.")
        if self.levels is not None and self.levels < 2:
            raise ValueError(f"`levels` must be at least 2, but is {self.levels}.")
        for name, unit in (("temperatures", "K"), ("read_windows", "s")):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"`{name}` must hold at least one value, but is empty.")
            if not min(values) > 0:
                said = format_quantity(min(values), unit)
                raise ValueError(f"`{name}` must be positive, but holds {said}.")
        if self.stabilities and not min(self.stabilities) > 0:
            raise ValueError(
                f"`stabilities` must be positive, but holds {min(self.stabilities):g}."
            )
        for name in ("stray_fields", "read_voltages", "in_plane_anisotropies"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` must hold at least one value, but is empty.")


@dataclass(frozen=True, kw_only=True)
class PillarRun:
    """How long the ensemble of macrospins runs."""

    replicas: int = 1024
    """Independent macrospins at each operating point, at least 32."""
    decay_times: float = 60.0
    """How long each is recorded, in decay times of the slowest point that shares its time step."""
    sigma_error: float | None = None
    """Instead of `decay_times`: relative standard error of σ that is asked for at every point."""
    seed: int = 0
    """Decides all random numbers."""

    def __post_init__(self) -> None:
        require(self, positive="replicas decay_times sigma_error")
        if self.replicas < 32:
            raise ValueError(
                f"`replicas` must be at least 32 for error bars, but is {self.replicas}."
            )
        if not self.decay_times >= 8:
            raise ValueError(f"`decay_times` must be at least 8, but is {self.decay_times:g}.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"`seed` must be 0 to 2^32 − 1, but is {self.seed}.")


@dataclass(frozen=True, kw_only=True)
class FilmTwin:
    """The same disk as a film of cells, at some of the settings and the first temperature."""

    cell: Annotated[float, Unit("m")] = 5e-9
    """Width of a cell."""
    exchange: Annotated[float, Unit("J/m")] = 15e-12
    """Stiffness A, which a macrospin has not."""
    diameters: Annotated[tuple[float, ...], Unit("m")] = ()
    """Of the disks; the stack's if not given. Each keeps the K_eff of the settings."""
    settings: int = 3
    """How many of the settings, evenly chosen from the stiffer half, which forgets quickly."""
    replicas: int = 32
    """Independent films at each setting, at least 32."""
    decay_times: float = 10.0
    """How long each is recorded, in decay times of the slowest setting; half of it before."""

    def __post_init__(self) -> None:
        require(self, positive="cell exchange settings replicas decay_times")
        if self.diameters and not min(self.diameters) > 0:
            said = format_quantity(min(self.diameters), "m")
            raise ValueError(f"`diameters` must be positive, but holds {said}.")
        if self.replicas < 32:
            raise ValueError(
                f"`replicas` must be at least 32 for error bars, but is {self.replicas}."
            )
