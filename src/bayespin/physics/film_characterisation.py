"""The same operating points by micromagnetics: a disk of cells where macrospins have one moment.

A disk parts from its macrospin in two ways. A wide one does not move as one. And at any width the
thermal motion of the cells against each other, which the anisotropies measured on a film already
contain, lowers K_u by more than it lowers the shape anisotropy: near compensation, where both
nearly cancel, the easy plane is stronger than the difference of the two numbers put in.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bayespin.constants import BOLTZMANN, GYROMAGNETIC_RATIO
from bayespin.numerics.stochastic import StepNoise
from bayespin.physics import characterisation, macrospin, stack
from bayespin.physics.characterised import (
    BATCHES,
    TURN_RECORDS,
    Characterised,
    Guess,
    Measured,
    lag_count,
    measured,
    spread_of_reads,
)
from bayespin.physics.ensemble import Execution, Schedule, run
from bayespin.physics.film import motion
from bayespin.physics.film.film import Film
from bayespin.physics.film.geometry import cells_inside, inscribed_ellipse
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.motion import Films
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.llg import largest_stable_step
from bayespin.physics.read_windows import record_averages
from bayespin.physics.sampling import Estimate, Statistics, merged, statistics
from bayespin.physics.stack import READ_OUT, StackPoints
from bayespin.physics.systems import FilmEnsemble, Recorded
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor

STABLE_SHARE = 0.8
"""Of the largest stable time step of a film."""
RECORDS_PER_DECAY = 16
PARTED = 0.05
"""Relative difference from which two descriptions are said to part, where errors show it."""
SIGMAS = 3.0


@dataclass(frozen=True, kw_only=True)
class FilmSampling:
    """How finely and how long disks are simulated.

    Raises:
        ValueError: a value that is not positive, or fewer than 32 replicas.
    """

    windows: tuple[float, ...]
    """Read windows, s."""
    exchange: float
    """A, J/m."""
    cell: float = 4.2e-9
    """Width of a cell, m."""
    duration: float
    """Time recorded, s."""
    wait: float
    """Time before the first record, s: replicas start as macrospins in equilibrium."""
    replicas: int = 32

    def __post_init__(self) -> None:
        for name in ("exchange", "cell", "duration"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name):g}.")
        if not 0 <= self.wait < math.inf:
            raise ValueError(f"`wait` must not be negative, but is {self.wait:g} s.")
        if self.replicas < BATCHES:
            raise ValueError(
                f"`replicas` must be at least {BATCHES} for error bars, but is {self.replicas}."
            )


def disk_mesh(layer: FreeLayer, cell: float) -> Mesh:
    """Return square cells of a width near `cell` (m), one layer, those inside the disk magnetic."""
    count = max(2, round(layer.diameter / cell))
    width = layer.diameter / count
    box = Mesh(cells=(count, count, 1), cell=(width, width, layer.thickness))
    return dataclasses.replace(box, mask=cells_inside(inscribed_ellipse(box), box))


def disk_layer(layer: FreeLayer, cell: float) -> FreeLayer:
    """Return the round layer of as much volume as the cells of `disk_mesh`."""
    mesh = disk_mesh(layer, cell)
    area = mesh.count * mesh.cell[0] * mesh.cell[1]
    return dataclasses.replace(layer, diameter=math.sqrt(4 * area / math.pi))


def mesh_shape_anisotropy(film: Film) -> float:
    """Return the density that holds the uniform film in its plane, as its cells have it, J/m³.

    K = (M_s/2)⟨B_x(m = x) − B_z(m = z)⟩ of the demagnetising field B: `free_layer.shape_anisotropy`
    of the staircase. Near compensation K_u must cancel this one, not that of a cylinder: 1 % of
    the two is 11 mT at 1 MA/m.
    """
    like = torch.zeros(2, 3, *film.mesh.shape, dtype=torch.float64)
    like[0, 0], like[1, 2] = film.occupied, film.occupied
    bare = dataclasses.replace(film, uniaxial_anisotropy=0.0, exchange=0.0, interfacial_dmi=0.0)
    field = bare.linear_field(like)(like)
    moments = film.moment_density
    energy = -(field * like * moments).sum((1, 2, 3, 4)) / 2 / film.occupied.sum()
    return float(energy[1] - energy[0])


@dataclass(frozen=True, kw_only=True)
class DiskEnsemble:
    """Disks (points, replicas, 3, z, y, x) that start as macrospins in equilibrium."""

    films: FilmEnsemble
    points: StackPoints
    replica_axis: int = -5

    @property
    def time_step(self) -> float:
        """Length of a step, s."""
        return self.films.time_step

    def initial(self, replicas: int, key: Key) -> Float[Tensor, "points replicas 3 z y x"]:
        """Return uniform disks, each in a direction from Boltzmann's law of K_eff."""
        spins = stack.macrospins(self.points, self.time_step)
        m = macrospin.init(spins, replicas, key.generator()).float().movedim(-1, 1)
        return m[..., None, None, None] * self.films.films.film.occupied.float()

    def noise(self, key: Key, state: Float[Tensor, "points replicas 3 z y x"]) -> StepNoise:
        """Return keyed noise of the shape of the state."""
        return self.films.noise(key, state)

    def advance(
        self, state: Float[Tensor, "points replicas 3 z y x"], noise: StepNoise, steps: range
    ) -> Float[Tensor, "points replicas 3 z y x"]:
        """Return the disks after the steps."""
        return self.films.advance(state, noise, steps)

    def observables(self, state: Float[Tensor, "points replicas 3 z y x"], time: float) -> Recorded:
        """Return u of each disk."""
        average = self.films.films.film.average(state)
        return {"u": average[..., READ_OUT[self.points.orientation]]}


def characterise_film(
    points: StackPoints, sampling: FilmSampling, key: Key, execution: Execution | None = None
) -> Characterised:
    """Return the statistics of u averaged over micromagnetic disks at the same operating points.

    K_u = K_eff + `mesh_shape_anisotropy`, so that a disk held uniform is the macrospin of
    `disk_layer`. Points of one temperature and M_s run together.

    Raises:
        ValueError: an in-plane anisotropy, or as `ensemble.run`.
        InputError: as `ensemble.run`.
    """
    if bool((points.each("in_plane_anisotropy") != 0).any()):
        raise ValueError("`in_plane_anisotropy` must be 0 for a film, but is not; take macrospins.")
    execution = execution or Execution()
    pairs = torch.stack((points.each("temperature"), points.each("saturation_magnetisation")), 1)
    kinds, number = pairs.unique(dim=0, return_inverse=True)
    parts, order = [], []
    for kind in range(len(kinds)):
        group = torch.nonzero(number == kind)[:, 0]
        folder = execution.checkpoint and execution.checkpoint / f"films-{kind}"
        own = dataclasses.replace(execution, checkpoint=folder)
        parts.append(_of_group(points.at(group), sampling, key.child("films", kind), own))
        order.append(group)
    return characterisation.joined_points(parts, sampling.windows, torch.cat(order).argsort())


def disks(points: StackPoints, sampling: FilmSampling) -> Films:
    """Return the films of points that share a temperature and an M_s."""
    moment = float(points.each("saturation_magnetisation")[0])
    anisotropy = points.each("anisotropy")
    middle = float(anisotropy.mean())
    film = Film(
        mesh=disk_mesh(points.layer, sampling.cell),
        saturation_magnetisation=moment,
        exchange=sampling.exchange,
        damping=points.layer.damping,
    )
    uniaxial = middle + mesh_shape_anisotropy(film)
    film = dataclasses.replace(film, uniaxial_anisotropy=uniaxial)
    axis = READ_OUT[points.orientation]
    field = torch.zeros(len(points), 1, 3, 1, 1, 1)
    field[:, 0, axis, 0, 0, 0] = points.each("stray_field").float()
    shift = (anisotropy - middle).float().reshape(-1, 1, 1, 1, 1, 1)
    added = 2 * float(shift.abs().max()) / moment + float(field.abs().max())
    stiffest = film.stiffest_field + added
    return motion.films(
        film,
        motion.Drive(
            anisotropy_shift=shift if bool(shift.any()) else 0.0,
            applied_field=field if bool(field.any()) else 0.0,
        ),
        time_step=STABLE_SHARE * largest_stable_step(stiffest, points.layer.damping),
        temperature=float(points.each("temperature")[0]),
        like=torch.zeros((), dtype=torch.float32),
    )


def _of_group(
    points: StackPoints, sampling: FilmSampling, key: Key, execution: Execution
) -> tuple[Statistics, Measured]:
    films = disks(points, sampling)
    system = DiskEnsemble(films=FilmEnsemble(films=films), points=points)
    apart = float(points.decay_time.min()) / RECORDS_PER_DECAY
    turns = GYROMAGNETIC_RATIO * points.anisotropy_field / (2 * math.pi)
    if points.orientation == "perpendicular":
        apart = min(apart, 1 / (4 * TURN_RECORDS * float(turns.max())))
    every = max(1, int(apart / films.time_step))
    interval = every * films.time_step
    discard = every * math.ceil(sampling.wait / interval)
    schedule = Schedule(
        replicas=sampling.replicas,
        steps=discard + every * math.ceil(sampling.duration / interval),
        record_every=every,
        discard=discard,
    )
    found = run(system, schedule, key, execution)
    averages = [record_averages(found.series["u"], interval, window) for window in sampling.windows]
    each = []
    for point in range(len(points)):
        sound = found.sound[point]
        reads = [spread_of_reads(average[:, point, sound]) for average in averages]
        turning = points.orientation == "perpendicular"
        frequency = float(turns[point]) if turning else 0.0
        lags = lag_count(points.layer.damping, turning)
        guess = Guess(float(points.decay_time[point]), frequency, lags)
        each.append(measured(found.series["u"][:, point, sound], reads, interval, guess))
    return statistics(found, "u", characterisation.laws(points)), merged(each, torch.stack)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One description over the other, at every point."""

    value: Float[Tensor, "*points"]
    standard_error: Float[Tensor, "*points"]

    @property
    def parted(self) -> Sequence[bool]:
        """True where the ratio is off 1 by more than 5 %, and by more than three of its errors."""
        off = (self.value - 1).abs()
        return ((off > PARTED) & (off > SIGMAS * self.standard_error)).tolist()


def ratio(film: Estimate, macrospin_: Estimate) -> Ratio:
    """Return film/macrospin, errors of both added as independent."""
    value = film.value / macrospin_.value
    relative = torch.hypot(
        film.standard_error / film.value, macrospin_.standard_error / macrospin_.value
    )
    return Ratio(value=value, standard_error=value.abs() * relative)


def renormalised_field(
    points: StackPoints, film: Characterised
) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
    """Return the B_k (T) at which a macrospin would spread as the disks do, and its error.

    s² ≈ kT/(M_sVB_k), so that B_k,film = B_k (s(Δ)/s_film)², for Δ of 5 and more.
    """
    spread = film.statistics.std
    energy = BOLTZMANN * points.each("temperature")
    moment = points.each("saturation_magnetisation") * points.layer.volume
    found = energy / (moment * spread.value.square())
    return found, 2 * found * spread.standard_error / spread.value
