"""What a simulation is: a kind, and the sections that it has.

A file says `kind`; each kind has its own schema: `MacrospinSimulation`, `FilmSimulation` and
`WallSimulation`, which share the sections [drive], [torque] and [run].
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bayespin.load import InputError, build, nearest, read_resource
from bayespin.study.simulation.sections import (
    Beside,
    Drive,
    Geometry,
    Layer,
    Material,
    NotchedTrack,
    Run,
    Target,
    Torque,
    require,
    require_name,
    require_no_junction,
)
from bayespin.units import format_quantity


@dataclass(frozen=True, kw_only=True)
class MacrospinSimulation:
    """Thermal macrospins of a free layer, held against their exact laws where there are any."""

    name: str
    """Names the run folder."""
    title: str
    """Heads the table and the report."""
    kind: Literal["macrospin"]
    """Chooses this schema."""
    layer: Layer = field(default_factory=Layer)
    drive: Drive = field(default_factory=Drive)
    torque: Torque = field(default_factory=Torque)
    run: Run
    target: Target | None = None

    def __post_init__(self) -> None:
        require_name(self.name)
        if self.torque.nonadiabaticity:
            raise ValueError(
                f"`torque.nonadiabaticity` must be 0 for a macrospin, which has no gradient, but "
                f"is {self.torque.nonadiabaticity:g}."
            )
        if not self.run.temperature > 0:
            raise ValueError(
                f"`run.temperature` must be positive, since macrospins start from Boltzmann's law, "
                f"but is {self.run.temperature:g} K."
            )
        if self.target is not None and not self.target.longest >= self.run.duration:
            raise ValueError(
                f"`target.longest` must be at least the duration, "
                f"{format_quantity(self.run.duration, 's')}, but is "
                f"{format_quantity(self.target.longest, 's')}."
            )


@dataclass(frozen=True, kw_only=True)
class FilmSimulation:
    """Micromagnetic replicas of one film."""

    name: str
    """Names the run folder."""
    title: str
    """Heads the table and the report."""
    kind: Literal["film"]
    """Chooses this schema."""
    initial: str = "x"
    """Where the magnetisation starts: along "x", "y" or "z", "random", "vortex", "wall", or the
    path of an OVF file on the same cells."""
    frames: int = 24
    """Maps of the first replica that are kept, for the animation; at least 2."""
    snapshots: int = 4
    """Replicas whose final state is written as OVF and VTK."""
    material: Material
    geometry: Geometry
    drive: Drive = field(default_factory=Drive)
    torque: Torque = field(default_factory=Torque)
    run: Run

    def __post_init__(self) -> None:
        require_name(self.name)
        require_no_junction(self.drive, self.torque, "film")
        require(self, not_negative="snapshots")
        words = ("x", "y", "z", "random", "vortex", "wall")
        if self.initial not in words and not self.initial.lower().endswith((".ovf", ".omf")):
            raise ValueError(
                f"`initial` must be one of {', '.join(words)}, or a file that ends in .ovf, but is "
                f"{self.initial!r}{nearest(self.initial, words)}."
            )
        if self.frames < 2:
            raise ValueError(f"`frames` must be at least 2, but is {self.frames}.")


@dataclass(frozen=True, kw_only=True)
class WallSimulation:
    """A domain wall in a notched track: many as two coordinates, and a few as whole films."""

    name: str
    """Names the run folder."""
    title: str
    """Heads the table and the report."""
    kind: Literal["wall"]
    """Chooses this schema."""
    material: Material
    track: NotchedTrack
    beside: Beside = field(default_factory=Beside)
    drive: Drive = field(default_factory=Drive)
    torque: Torque = field(default_factory=Torque)
    run: Run

    def __post_init__(self) -> None:
        require_name(self.name)
        require_no_junction(self.drive, self.torque, "wall")


Simulation = MacrospinSimulation | FilmSimulation | WallSimulation
_KINDS: dict[str, type[Simulation]] = {
    "macrospin": MacrospinSimulation, "film": FilmSimulation, "wall": WallSimulation,
}  # fmt: skip


def read(content: Mapping[str, Any], where: str) -> Simulation:
    """Return the simulation that a file's content describes; `where` names the file in messages.

    Raises:
        InputError: no such kind, or an unknown, missing, ill-typed or impossible field.
    """
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        given = "is missing" if kind is None else f"is {kind!r}{nearest(str(kind), list(_KINDS))}"
        raise InputError(f"{where}: `kind` must be one of {', '.join(_KINDS)}, but {given}.")
    return build(_KINDS[kind], content, where)


def shipped(name: str) -> Simulation:
    """Return a simulation of the package by name.

    Raises:
        InputError: no such simulation; the sentence names the nearest one.
    """
    return read(read_resource("simulations", name), f"simulation {name}")
