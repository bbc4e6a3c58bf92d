"""A simulation of a domain wall in a notched track: as two coordinates, and as whole films."""

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import torch

from bayespin.physics import domain_wall, wall_ensemble
from bayespin.physics.drive import largest
from bayespin.physics.ensemble import Schedule, Trajectories
from bayespin.physics.film import texture
from bayespin.physics.film.film import Film
from bayespin.physics.film.geometry import Notch, Track, cells_inside
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.motion import Films
from bayespin.physics.free_layer import thermal_energy
from bayespin.physics.spin_torque import drift_velocity, spin_hall_field
from bayespin.physics.systems import FilmEnsemble, WallEnsemble
from bayespin.physics.wall_calibration import (
    calibrate,
    place_in_volume,
    volume_position,
)
from bayespin.physics.wall_ensemble import Notches, Walls, WallTrack
from bayespin.shapes import Float, Tensor
from bayespin.study.simulation import films, stepping
from bayespin.study.simulation.schema import WallSimulation
from bayespin.study.simulation.sections import Drive, Pulse

STEP_FRACTION: Final = 0.05
"""Of the largest stable step of the coordinates: accurate to 1 %."""
PLACES: Final = 25
"""Places at which a wall is held to measure the potential of a notch."""


@dataclass(frozen=True, kw_only=True)
class Coordinates:
    """What a calibration found, in plain numbers: one notch stands for all."""

    wall_width: float
    """Δ, m."""
    cross_section: float
    """S, m²."""
    hard_axis: float
    """B_p, T."""
    dmi: float
    """B_D, T."""
    notch_depth: float
    """U0, J."""
    notch_width: float
    """w, m."""
    misfit: float
    """Largest departure of the potential from a Gaussian, over its depth."""


def wall_in_film(
    films: Films, m: Float[Tensor, "replicas 3 z y x"], time: float
) -> dict[str, Float[Tensor, " replicas"]]:
    """Return position and angle of the wall in each film, and the components of ⟨m⟩.

    q = (L'/2)(1 + ⟨m_z⟩/m_D) as `volume_position`, with m_D the magnetisation of the domains, the
    median over the columns of cells of |m_z|: below 1 at temperature.
    """
    film = films.film
    weight = film.moment_density.to(m)
    columns = (m[:, 2] * weight).sum((1, 2)) / weight.sum((0, 1)).clamp(min=1e-300)
    domain = columns.abs().median(-1).values
    averages = dict(zip(("m_x", "m_y", "m_z"), film.average(m).unbind(-1), strict=True))
    return averages | {
        "wall_position": volume_position(film, m / domain[:, None, None, None, None]),
        "wall_angle": texture.wall_angle(m, film.mesh),
    }


def track_film(simulation: WallSimulation, length: float, places: tuple[float, ...]) -> Film:
    """Return a track of some length as a film, with the simulation's notches at x = `places`.

    Raises:
        ValueError: the mesh does not fit the memory, or a material value is impossible.
    """
    track, cell = simulation.track, simulation.beside.cell
    cells = (math.ceil(length / cell - 1e-6), math.ceil(track.width / cell - 1e-6), 1)
    films.require_room(cells)
    size = (length / cells[0], track.width / cells[1], track.thickness)
    box = Mesh(cells=cells, cell=size)
    notches = tuple(
        Notch(position=place, depth=track.notch_depth, width=track.notch_width) for place in places
    )
    shape = Track(length=length, width=track.width, notches=notches)
    mesh = replace(box, mask=cells_inside(shape, box))
    return films.film_of(simulation.material, mesh, simulation.material.uniaxial_anisotropy)


class WallModel:
    """What a simulation of walls runs.

    Raises:
        ValueError: an impossible value, a track that holds no wall, or a mesh that does not fit
            the memory.
    """

    def __init__(self, simulation: WallSimulation) -> None:
        drive, torque = simulation.drive, simulation.torque
        fields = [drive.field, *(pulse.field for pulse in drive.pulses)]
        if any(any(field[:2]) for field in fields):
            raise ValueError("`drive.field` must be along z for walls as coordinates, but is not.")
        if torque.field_like:
            raise ValueError(
                f"`torque.field_like` must be 0 for walls as coordinates, but is "
                f"{torque.field_like:g}."
            )
        self.simulation = simulation
        self.film = track_film(simulation, simulation.track.length, simulation.track.places)
        self.wall_width = films.wall_width(simulation.material)
        self.beside = self._films() if simulation.beside.films else None

    def _films(self) -> FilmEnsemble:
        """Return the films of the whole track, with the wall in its first notch."""
        simulation = self.simulation
        drive = films.film_drive(
            simulation.drive,
            simulation.torque,
            simulation.material.saturation_magnetisation,
            simulation.track.thickness,
        )
        # +πD cos φ is the energy of D in a film (`wall_motion.dmi_field`).
        angle = math.pi if simulation.material.interfacial_dmi > 0 else 0.0
        place = simulation.track.places[simulation.track.start]
        start = texture.wall(self.film.mesh, place, self.wall_width, angle)
        run = replace(simulation.run, replicas=simulation.beside.films, time_step=None)
        return films.ensemble(self.film, drive, run, start, wall_in_film)

    @property
    def beside_schedule(self) -> Schedule:
        """Steps and records of the films."""
        run = replace(self.simulation.run, replicas=self.simulation.beside.films)
        assert self.beside is not None
        return stepping.schedule(run, self.beside.time_step)

    def calibrated(self) -> Coordinates:
        """Return what a short film with one notch tells the coordinates.

        Raises:
            ValueError: the film is not perpendicular, or a wall in it did not come to rest.
        """
        track = self.simulation.track
        length = track.notch_width + 2 * (math.pi + 6) * self.wall_width
        found = calibrate(
            track_film(self.simulation, length, (length / 2,)), (length / 2,), places=PLACES
        )
        notches = found.track.notches
        assert notches is not None
        return Coordinates(
            wall_width=float(found.track.wall_width),
            cross_section=float(found.track.cross_section),
            hard_axis=float(found.track.hard_axis),
            dmi=float(found.track.dmi),
            notch_depth=float(notches.depth),
            notch_width=float(notches.width),
            misfit=found.misfit,
        )

    @property
    def places(self) -> Float[Tensor, " notches"]:
        """Positions q of the notches, m: volume on the left over the full cross section."""
        x = torch.tensor(self.simulation.track.places, dtype=torch.float64)
        return place_in_volume(self.film, x)

    def walls(self, found: Coordinates) -> WallEnsemble:
        """Return the walls as a system, with the time step that is given or chosen.

        Raises:
            ValueError: the time step is too large, or does not divide the time between records.
        """
        simulation, material = self.simulation, self.simulation.material
        run, drive, torque = simulation.run, simulation.drive, simulation.torque
        dead = domain_wall.end_dead_zone(found.wall_width)
        ends = place_in_volume(self.film, torch.tensor([0.0, simulation.track.length]).double())
        track = WallTrack(
            wall_width=found.wall_width,
            saturation_magnetisation=material.saturation_magnetisation,
            cross_section=found.cross_section,
            damping=material.damping,
            hard_axis=found.hard_axis,
            dmi=found.dmi,
            nonadiabaticity=torque.nonadiabaticity,
            notches=Notches(
                position=self.places[:, None],
                depth=torch.tensor(found.notch_depth, dtype=torch.float64),
                width=torch.tensor(found.notch_width, dtype=torch.float64),
            ),
            ends=(float(ends[0]) + dead, float(ends[1]) - dead),
        )
        spin_hall = stepping.driven(drive, self._spin_hall)
        stable = wall_ensemble.largest_stable_step(track, largest(spin_hall))
        walls = Walls(
            track=track,
            temperature=run.temperature,
            time_step=stepping.time_step(run, stable, STEP_FRACTION),
            field=stepping.driven(drive, lambda one: torch.tensor(one.field[2]).double()),
            spin_hall_field=spin_hall,
            drift_velocity=stepping.driven(drive, self._drift),
        )
        return WallEnsemble(
            walls=walls,
            position=self.places[simulation.track.start, None],
            dtype=getattr(torch, run.dtype),
            device=run.device,
        )

    def _spin_hall(self, one: Drive | Pulse) -> Tensor:
        material, track = self.simulation.material, self.simulation.track
        field = spin_hall_field(
            self.simulation.torque.spin_hall_angle,
            one.current_density,
            material.saturation_magnetisation,
            track.thickness,
        )
        return torch.tensor(field, dtype=torch.float64)

    def _drift(self, one: Drive | Pulse) -> Tensor:
        """Return u along x; electrons run against the conventional current."""
        speed = drift_velocity(
            -one.current_density,
            self.simulation.torque.polarisation,
            self.simulation.material.saturation_magnetisation,
        )
        return torch.tensor(float(speed), dtype=torch.float64)

    def summary(self, found: Coordinates) -> dict[str, float | None]:
        """Return the coordinates' parameters, with the notch depth in kT where T is not 0."""
        temperature = self.simulation.run.temperature
        depth = found.notch_depth / thermal_energy(temperature) if temperature > 0 else None
        return {**found.__dict__, "notch_depth_kt": depth}

    def rows(self, walls: Trajectories, beside: Trajectories | None) -> list[dict[str, Any]]:
        """Return for each notch where it is and how many walls and films end nearest to it."""
        ends = [one for one in (walls, beside) if one is not None]
        counts = [self._nearest(one) for one in ends]
        sound = max(int(walls.sound.sum()), 1)
        return [
            {
                "notch": notch,
                "x": self.simulation.track.places[notch],
                "position": float(self.places[notch]),
                "walls": counts[0][notch],
                "share": counts[0][notch] / sound,
                "films": counts[1][notch] if beside is not None else None,
            }
            for notch in range(len(self.places))
        ]

    def _nearest(self, found: Trajectories) -> list[int]:
        last = found.series["wall_position"][-1][found.sound].double()
        nearest = (last[:, None] - self.places).abs().argmin(-1)
        return torch.bincount(nearest, minlength=len(self.places)).tolist()
