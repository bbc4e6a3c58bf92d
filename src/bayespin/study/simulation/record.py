"""Ensembles carried out with progress and checkpoints, and written for people and other tools."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bayespin.load import InputError
from bayespin.physics.drive import at, largest
from bayespin.physics.ensemble import Execution, Schedule, System, Trajectories, extend, run
from bayespin.physics.files.dataset import (
    QUANTITIES,
    Provenance,
    Quantity,
    film_snapshots,
    save_dataset,
    trajectories,
)
from bayespin.physics.files.ovf import write_ovf
from bayespin.physics.files.snapshot import Snapshot
from bayespin.physics.files.vtk import write_vti
from bayespin.physics.film.mesh import Mesh
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor
from bayespin.study.run import Watch
from bayespin.study.simulation import stepping
from bayespin.study.simulation.sections import Drive
from bayespin.study.store import RunFolder

if TYPE_CHECKING:
    import xarray

_QUANTITIES = {"interface_anisotropy": Quantity("J/m2", "interface anisotropy energy per area")}
_SEGMENTS = 40
"""Checkpoints, and moves of the progress bar, in a run."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all parts of a run share."""

    name: str
    """Of the simulation."""
    folder: RunFolder
    """Filled beside its place."""
    key: Key
    watch: Watch
    provenance: Provenance

    def execution(self, what: str, schedule: Schedule) -> Execution:
        """Return how one ensemble is carried out, with a checkpoint folder of its own."""
        size = schedule.steps * -(-schedule.replicas // (schedule.block or schedule.replicas))
        return Execution(
            workers=self.watch.workers,
            progress=lambda done, total: self.watch.progress(what, done, max(total, size)),
            checkpoint=self.folder.work / "checkpoints" / what.replace(" ", "-"),
            segment=max(1, schedule.steps // _SEGMENTS),
        )

    def carried_out(self, what: str, system: System, schedule: Schedule) -> Trajectories:
        """Run an ensemble, or resume it.

        Raises:
            InputError: its records or states do not fit the memory, or a checkpoint is damaged.
        """
        with refusals_of(self.name):
            return run(system, schedule, self.key.child(what), self.execution(what, schedule))

    def filmed(
        self, what: str, system: System, schedule: Schedule, frames: int
    ) -> tuple[Trajectories, Float[Tensor, "frames 3 z y x"], list[float]]:
        """Run films, and keep the first replica's state at so many of the records.

        Returns:
            The trajectories, the states, and their times in seconds.

        Raises:
            InputError: as `carried_out`.
        """
        last = schedule.records - 1
        rows = sorted({round(k * last / (frames - 1)) for k in range(frames)})
        counts = [schedule.discard + row * schedule.record_every for row in rows]
        counts = [count for count in counts if count > 0]
        execution, states = self.execution(what, schedule), []
        with refusals_of(self.name):
            found = run(system, replace(schedule, steps=counts[0]), self.key.child(what), execution)
            states.append(found.state[0])
            for count in counts[1:]:
                found = extend(system, found, count, execution)
                states.append(found.state[0])
        return found, torch.stack(states), [count * system.time_step for count in counts]


@contextmanager
def refusals_of(name: str) -> Generator[None]:
    """Turn a refusal by the physics into one sentence that names the simulation."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"simulation {name}: {error}") from None


def dataset_of(
    found: Trajectories,
    provenance: Provenance,
    drive: Drive,
    points: Mapping[str, Tensor] | None = None,
) -> "xarray.Dataset":
    """Return trajectories as a dataset, with the current or voltage over time where there is one.

    `points` says what tells operating points apart.
    """
    dataset = trajectories(
        found.series, found.times, found.status, provenance, points=points, quantities=_QUANTITIES
    )
    for name in ("current_density", "voltage"):
        driven = stepping.driven(
            drive, lambda one, n=name: torch.tensor(getattr(one, n), dtype=torch.float64)
        )
        if largest(driven) > 0:
            values = [float(at(driven, float(time))) for time in found.times]
            known = QUANTITIES[name]
            dataset[name] = ("time", values, {"units": known.units, "long_name": known.long_name})
    return dataset


def save_film(
    path: Path,
    frames: Float[Tensor, "frames 3 z y x"],
    times: Sequence[float],
    mesh: Mesh,
    provenance: Provenance,
) -> None:
    """Write the magnetisation of the first replica at some times."""
    moments = torch.tensor(times, dtype=torch.float64)
    save_dataset(path, film_snapshots(frames[:, None], moments, mesh, provenance))


def save_snapshots(
    folder: Path, found: Trajectories, mesh: Mesh, title: str, count: int
) -> list[str]:
    """Write the final state of the first sound replicas as OVF and VTK; return the names."""
    place, names = folder / "snapshots", []
    place.mkdir(exist_ok=True)
    for replica in found.sound.nonzero()[:count, -1].tolist():
        snapshot = Snapshot(
            m=found.state[replica],
            mesh=mesh,
            time=found.schedule.steps * found.time_step,
            title=f"{title}, replica {replica}",
        )
        names += [f"snapshots/replica-{replica:03d}.ovf", f"snapshots/replica-{replica:03d}.vti"]
        write_ovf(folder / names[-2], snapshot)
        write_vti(folder / names[-1], snapshot)
    return names
