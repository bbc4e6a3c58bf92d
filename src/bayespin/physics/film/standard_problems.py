"""Problems that every micromagnetic code of the field solves, ready to run, with known answers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.minimisation import relax
from bayespin.physics.film.motion import Drive, films, solve
from bayespin.physics.film.texture import s_state, vortex
from bayespin.physics.spin_torque import drift_velocity
from bayespin.shapes import Float, Tensor

MOMENT_DENSITY, STIFFNESS = 8e5, 1.3e-11
"""M_s (A/m) and A (J/m) of permalloy in muMAG problems 4 and 5."""

FIELDS_OF_PROBLEM_4 = {"a": (-24.6e-3, 4.3e-3, 0.0), "b": (-35.5e-3, -6.3e-3, 0.0)}
"""Applied fields of problem 4, T."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A film, where it starts, and what drives it."""

    film: Film
    drive: Drive
    start: Float[Tensor, " 1 3 z y x"]


@cites("10.1109/20.950978")
def reversal(field: str = "a", cells: tuple[int, int, int] = (128, 32, 1)) -> Problem:
    """Return muMAG standard problem 4: a permalloy bar, 500 x 125 x 3 nm, reversed by a field.

    A = 13 pJ/m, M_s = 800 kA/m, K = 0, α = 0.02. `start` lies near the S-state: relax it without
    the field first, then apply it.

    Source: https://www.ctcms.nist.gov/~rdm/std4/spec4.html; McMichael et al. (2001).

    Raises:
        ValueError: `field` is neither "a" nor "b".
    """
    if field not in FIELDS_OF_PROBLEM_4:
        raise ValueError(f"Argument `field` must be a or b, but is {field!r}.")
    size = (500e-9, 125e-9, 3e-9)
    nx, ny, nz = cells
    mesh = Mesh(cells=cells, cell=(size[0] / nx, size[1] / ny, size[2] / nz))
    applied = torch.tensor(FIELDS_OF_PROBLEM_4[field], dtype=torch.float64)
    return Problem(
        film=_permalloy(mesh, damping=0.02),
        drive=Drive(applied_field=applied),
        start=s_state(mesh)[None],
    )


@cites("10.1063/1.3126702")
def driven_vortex(
    nonadiabaticity: float = 0.05, cells: tuple[int, int, int] = (32, 32, 2)
) -> Problem:
    """Return muMAG standard problem 5: a vortex, 100 x 100 x 10 nm, pushed by a current.

    A = 13 pJ/m, M_s = 800 kA/m, α = 0.1, current density 1e12 A/m² along +x with P = 1: electrons
    drift along −x at u = µ_B P J/(e M_s (1 + ξ²)) = 72.17 m/s for ξ = 0.05. Relax without the
    current first.

    Symbols: ξ `nonadiabaticity`, β of Zhang and Li.

    Source: Najafi et al. (2009).
    """
    mesh = Mesh(cells=cells, cell=(100e-9 / cells[0], 100e-9 / cells[1], 10e-9 / cells[2]))
    speed = drift_velocity(1e12, 1.0, MOMENT_DENSITY)
    velocity = torch.tensor([-speed / (1 + nonadiabaticity**2), 0.0, 0.0], dtype=torch.float64)
    return Problem(
        film=_permalloy(mesh, damping=0.1),
        drive=Drive(drift_velocity=velocity, nonadiabaticity=nonadiabaticity),
        start=vortex(mesh)[None],
    )


def _permalloy(mesh: Mesh, damping: float) -> Film:
    return Film(
        mesh=mesh, saturation_magnetisation=MOMENT_DENSITY, exchange=STIFFNESS, damping=damping
    )


@dataclass(frozen=True, kw_only=True)
class Trace:
    """How the average magnetisation of a problem moved."""

    relaxed: Float[Tensor, "3"]
    """⟨m⟩ of the state without drive, in which the problem begins."""
    times: Float[Tensor, " time"]
    """s, from 0."""
    average: Float[Tensor, " time 3"]
    """⟨m⟩ at those times."""
    state: Float[Tensor, " 1 3 z y x"]
    """m at the end."""


def solve_problem(
    problem: Problem,
    duration: float,
    interval: float,
    tolerance: float = 1e-6,
    progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Relax a problem without its drive, switch the drive on, and follow ⟨m⟩.

    Symbols: duration and interval between records (s); tolerance of a step's error in m.
    """
    film, m = problem.film, problem.start
    quiet = films(film, Drive(), time_step=1e-15, like=m, evaluation="direct")
    m = relax(quiet, m, tolerance=1e-7).state
    driven = films(film, problem.drive, time_step=1e-15, like=m, evaluation="direct")
    count, step = round(duration / interval), torch.tensor([1e-14], dtype=torch.float64)
    average = [film.average(m)[0]]
    for record in range(count):
        span = (record * interval, (record + 1) * interval)
        found = solve(driven, m, span, tolerance, step)
        m, step = found.state, found.next_step
        average.append(film.average(m)[0])
        if progress is not None:
            progress(record + 1, count)
    times = interval * torch.arange(count + 1, dtype=torch.float64)
    return Trace(relaxed=average[0], times=times, average=torch.stack(average), state=m)
