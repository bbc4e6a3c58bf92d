"""A simulation of films: mesh, material and start from its sections; films as a `System`."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from bayespin.numerics.memory import free_memory
from bayespin.numerics.quadrature import LogDensity, cumulative, gauss_legendre, shape
from bayespin.physics import domain_wall, free_layer
from bayespin.physics.drive import largest
from bayespin.physics.ensemble import Trajectories
from bayespin.physics.equilibrium import easy_plane_log_density
from bayespin.physics.files.ovf import read_ovf
from bayespin.physics.film import motion, texture
from bayespin.physics.film.film import Film
from bayespin.physics.film.geometry import (
    cells_inside,
    grains,
    inscribed_ellipse,
    spread_over_grains,
)
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.motion import Films
from bayespin.physics.llg import largest_stable_step
from bayespin.physics.spin_torque import SpinTorque, drift_velocity, spin_hall_field
from bayespin.physics.systems import FilmEnsemble, film_averages
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor
from bayespin.study.simulation import statistics, stepping
from bayespin.study.simulation.schema import FilmSimulation
from bayespin.study.simulation.sections import Drive, Geometry, Material, Pulse, Run, Torque
from bayespin.units import format_quantity

STEP_FRACTION: Final = 1 / 3
"""Of the largest stable step: the variance of the very stiffest mode, of the size of the cells, is
1/27 = 4 % too large, that of modes of half its field 0.5 %."""
_SAME: Final = 1e-6
"""Relative difference of two cell sizes that are the same."""

Observe = Callable[[Films, Tensor, float], dict[str, Tensor]]


def require_room(cells: tuple[int, ...]) -> None:
    """Refuse a mesh that would not fit the memory, before anything is computed on it.

    Raises:
        ValueError: names the largest mesh of the same shape that fits.
    """
    free, needed = free_memory(), math.prod(cells) * motion.DEMAGNETISATION_BYTES
    if needed <= free:
        return
    axes = max(1, sum(n > 1 for n in cells))
    shrink = (free / needed) ** (1 / axes)
    fits = " x ".join(str(max(1, math.floor(n * shrink))) if n > 1 else "1" for n in cells)
    raise ValueError(
        f"`cells` must fit {format_quantity(float(free), 'B')} of memory, which {fits} would, but "
        f"are {' x '.join(map(str, cells))}."
    )


def along_axis(axis: int, size: float) -> Float[Tensor, "3 1 1 1"]:
    """Return a vector along x (0), y (1) or z (2), to broadcast over a film."""
    vector = torch.zeros(3, dtype=torch.float64)
    vector[axis] = size
    return vector.reshape(3, 1, 1, 1)


def film_drive(
    drive: Drive, torque: Torque, saturation_magnetisation: float, thickness: float
) -> motion.Drive:
    """Return what the fields and currents of a simulation do to a film.

    A conventional current along +x: its spin-Hall spins are along +y, its electrons drift to −x.
    """

    def spin_hall(one: Drive | Pulse) -> Tensor:
        field = spin_hall_field(
            torque.spin_hall_angle, one.current_density, saturation_magnetisation, thickness
        )
        return torch.tensor(field, dtype=torch.float64)

    def drift(one: Drive | Pulse) -> Tensor:
        speed = drift_velocity(one.current_density, torque.polarisation, saturation_magnetisation)
        return along_axis(0, -float(speed))

    def applied(one: Drive | Pulse) -> Tensor:
        return torch.tensor(one.field, dtype=torch.float64).reshape(3, 1, 1, 1)

    torques = []
    if torque.spin_hall_angle and not drive.still:
        torques.append(
            SpinTorque(
                direction=torch.tensor((0.0, 1.0, 0.0)),
                damping_like=stepping.driven(drive, spin_hall),
                field_like=stepping.driven(drive, lambda one: torque.field_like * spin_hall(one)),
            )
        )
    moving = torque.polarisation and not drive.still
    return motion.Drive(
        applied_field=stepping.driven(drive, applied),
        spin_torques=tuple(torques),
        drift_velocity=stepping.driven(drive, drift) if moving else 0.0,
        nonadiabaticity=torque.nonadiabaticity,
    )


def largest_field(film: Film, drive: motion.Drive) -> float:
    """Return a bound of the fields that a film meets: its own, the applied one, spin torques, T."""
    total = film.stiffest_field + largest(drive.applied_field)
    return total + sum(torque.largest_field for torque in drive.spin_torques)


def ensemble(
    film: Film,
    drive: motion.Drive,
    run: Run,
    start: Float[Tensor, "3 z y x"] | None,
    observe: Observe = film_averages,
) -> FilmEnsemble:
    """Return films as a system, with the time step that is given or chosen.

    Raises:
        ValueError: the time step is too large, or does not divide the time between records.
    """
    damping = float(torch.as_tensor(film.damping).min())
    stable = largest_stable_step(largest_field(film, drive), damping)
    dtype = getattr(torch, run.dtype)
    films = motion.films(
        film,
        drive,
        time_step=stepping.time_step(run, stable, STEP_FRACTION),
        temperature=run.temperature,
        like=torch.zeros((), dtype=dtype, device=run.device),
    )
    return FilmEnsemble(films=films, start=start, observe=observe, dtype=dtype, device=run.device)


def mesh_of(geometry: Geometry) -> Mesh:
    """Return the mesh of a film.

    Raises:
        ValueError: no cell is magnetic.
    """
    nx, ny, nz = geometry.cells
    cell = tuple(size / count for size, count in zip(geometry.size, geometry.cells, strict=True))
    box = Mesh(cells=(nx, ny, nz), cell=(cell[0], cell[1], cell[2]))
    if geometry.outline == "rectangle":
        return box
    return replace(box, mask=cells_inside(inscribed_ellipse(box), box))


def film_of(material: Material, mesh: Mesh, anisotropy: float | Tensor) -> Film:
    """Return the film of a material on a mesh; `anisotropy` is K_u or a map of it, J/m³."""
    return Film(
        mesh=mesh,
        saturation_magnetisation=material.saturation_magnetisation,
        exchange=material.exchange,
        damping=material.damping,
        uniaxial_anisotropy=anisotropy,
        interfacial_dmi=material.interfacial_dmi,
    )


def wall_width(material: Material) -> float:
    """Return the width parameter of a wall in a thin perpendicular film of a material, in metres.

    Raises:
        ValueError: the film is not perpendicular.
    """
    anisotropy = domain_wall.track_anisotropy(
        material.uniaxial_anisotropy, material.saturation_magnetisation
    )
    return domain_wall.width_parameter(material.exchange, anisotropy)


def start_from_file(path: Path, mesh: Mesh) -> Float[Tensor, "3 z y x"]:
    """Return the magnetisation in an OVF file, which must be on the cells of the mesh.

    Raises:
        InputError: the file cannot be read as OVF.
        ValueError: it is on other cells, or has no magnet where the film has.
    """
    found = read_ovf(path)
    sizes = zip(found.mesh.cell, mesh.cell, strict=True)
    if found.mesh.cells != mesh.cells or any(abs(a / b - 1) > _SAME for a, b in sizes):
        raise ValueError(
            f"`initial` must be on the cells of the geometry, {_cells_in_words(mesh)}, but "
            f"`{path}` is on {_cells_in_words(found.mesh)}."
        )
    missing = int((mesh.occupied & ~found.mesh.occupied).sum())
    if missing:
        raise ValueError(
            f"`initial` must have a direction in every magnetic cell of the geometry, but `{path}` "
            f"is zero in {missing} of them."
        )
    return (found.m * mesh.occupied.to(found.m)).double()


def _cells_in_words(mesh: Mesh) -> str:
    counts = " x ".join(map(str, mesh.cells))
    return f"{counts} of {' x '.join(format_quantity(size, 'm', 5) for size in mesh.cell)}"


class FilmModel:
    """What a simulation of films runs, and what is known of it without running.

    Raises:
        InputError: the OVF file of the start cannot be read.
        ValueError: an impossible value, a mesh that does not fit the memory or the start, or a
            time step that is too large.
    """

    def __init__(self, simulation: FilmSimulation) -> None:
        material, geometry = simulation.material, simulation.geometry
        self.simulation = simulation
        require_room(geometry.cells)
        self.mesh = mesh_of(geometry)
        self.film = film_of(material, self.mesh, self._anisotropy())
        drive = film_drive(
            simulation.drive,
            simulation.torque,
            material.saturation_magnetisation,
            geometry.size[2],
        )
        self.system = ensemble(self.film, drive, simulation.run, self._start())
        self.schedule = stepping.schedule(simulation.run, self.system.time_step)

    def _anisotropy(self) -> float | Tensor:
        geometry, mean = self.simulation.geometry, self.simulation.material.uniaxial_anisotropy
        if geometry.grain_size is None or geometry.grain_spread == 0:
            return mean
        key = Key.root(self.simulation.run.seed).child("grains")
        numbers = grains(self.mesh, geometry.grain_size, key.child("places").generator())
        noise = KeyedNoise.from_key(key.child("anisotropy"))
        return spread_over_grains(numbers, mean, geometry.grain_spread, noise)

    def _start(self) -> Float[Tensor, "3 z y x"] | None:
        word, mesh = self.simulation.initial, self.mesh
        directions = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
        if word == "random":
            return None
        if word == "vortex":
            return texture.vortex(mesh)
        if word in directions:
            return texture.uniform(mesh, directions[word])
        if word == "wall":
            return texture.wall(mesh, mesh.extent[0] / 2, wall_width(self.simulation.material), 0.0)
        return start_from_file(Path(word), mesh)

    @property
    def macrospin_barrier(self) -> float:
        """K_eff V/kT of the same film if it moved as one, negative for an easy plane.

        K_eff V = E(m = x) − E(m = z) of the uniform film, with its own demagnetising field.
        """
        if not self.simulation.run.temperature > 0:
            return math.nan
        like = torch.zeros((), dtype=torch.float64)
        linear, energies = self.film.linear_field(like), []
        for direction in ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)):
            m = texture.uniform(self.mesh, direction)
            inner = (m * linear(m)).sum(-4) * self.film.moment_density
            energies.append(float(-inner.sum() / 2 * self.mesh.cell_volume))
        thermal = free_layer.thermal_energy(self.simulation.run.temperature)
        return (energies[0] - energies[1]) / thermal

    @property
    def log_density(self) -> LogDensity | None:
        """The law of u = m_z if the film moved as one, where its drive leaves one."""
        drive, run = self.simulation.drive, self.simulation.run
        if not drive.still or any(drive.field[:2]) or not run.temperature > 0:
            return None
        moment = float(self.film.moment_density.sum()) * self.mesh.cell_volume
        zeeman = moment * drive.field[2] / free_layer.thermal_energy(run.temperature)
        barrier = torch.tensor([self.macrospin_barrier], dtype=torch.float64)
        return easy_plane_log_density(-barrier, torch.full_like(barrier, zeeman))

    def rows(self, found: Trajectories) -> list[dict[str, Any]]:
        """Return the statistics of each component of <m>, and the macrospin's of m_z."""
        rows = []
        for name in ("m_x", "m_y", "m_z"):
            if self.simulation.drive.pulses:
                (numbers,) = statistics.last_record(found, name)
            else:
                (numbers,) = statistics.stationary(found, name)
            rows.append({"component": name, **numbers, "failed": int((~found.sound).sum())})
        if self.log_density is not None:
            one = torch.ones(1, dtype=torch.float64)
            law = shape(gauss_legendre(self.log_density, -one, one, 800))
            places, distribution = cumulative(self.log_density, -one, one, 8001)
            rows[2] |= {
                "macrospin_mean": statistics.number(law.mean[0]),
                "macrospin_std": statistics.number(law.std[0]),
                "law": statistics.curve(places[0], distribution[0]),
            }
        return rows
