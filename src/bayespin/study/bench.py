"""What runs of ensembles share: a run folder's life, checkpoints, progress, refusals in words."""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bayespin.load import InputError
from bayespin.physics.ensemble import Execution, Schedule, System, Trajectories, extend, run
from bayespin.physics.files.dataset import Provenance
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor
from bayespin.study import provenance
from bayespin.study.store import RunFolder
from bayespin.study.watch import Watch

_SEGMENTS = 40
"""Checkpoints, and moves of the progress bar, in a run."""
_VERSIONS = ("bayespin", "torch", "numpy")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What all parts of a run share."""

    where: str
    """Names the run in messages, such as "simulation notched-track"."""
    folder: RunFolder
    """Filled beside its place."""
    key: Key
    watch: Watch
    provenance: Provenance

    def execution(self, what: str, schedule: Schedule | None = None) -> Execution:
        """Return how one ensemble is carried out, with a checkpoint folder of its own.

        Without a schedule, whoever runs the ensemble cuts it into segments.
        """
        size, segment = 1, None
        if schedule is not None:
            size = schedule.steps * -(-schedule.replicas // (schedule.block or schedule.replicas))
            segment = max(1, schedule.steps // _SEGMENTS)
        return Execution(
            workers=self.watch.workers,
            progress=lambda done, total: self.watch.progress(what, done, max(total, size)),
            checkpoint=self.folder.work / "checkpoints" / what.replace(" ", "-"),
            segment=segment,
        )

    def carried_out(self, what: str, system: System, schedule: Schedule) -> Trajectories:
        """Run an ensemble, or resume it.

        Raises:
            InputError: its records or states do not fit the memory, or a checkpoint is damaged.
        """
        with refusals_of(self.where):
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
        with refusals_of(self.where):
            found = run(system, replace(schedule, steps=counts[0]), self.key.child(what), execution)
            states.append(found.state[0])
            for count in counts[1:]:
                found = extend(system, found, count, execution)
                states.append(found.state[0])
        return found, torch.stack(states), [count * system.time_step for count in counts]


@contextmanager
def refusals_of(where: str) -> Generator[None]:
    """Turn a refusal by the physics into one sentence that names the run."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def completed(folder: RunFolder, fill: Callable[[str], None], *, force: bool) -> Path:
    """Return a finished run folder; one that is finished already, at once.

    Interrupted at any point, the same call resumes where `fill` keeps steps and checkpoints.

    Args:
        folder: finished, begun or not yet made.
        fill: writes what belongs into the working folder, given when the run was first started.
        force: begin anew, and replace a finished run when the new one is whole.

    Raises:
        InputError: the folder cannot be used.
    """
    if folder.finished and not force:
        return folder.final
    folder.require_writable()
    if force:
        folder.discard()
    folder.open()
    fill(folder.step("started", lambda: {"utc": provenance.now()})["utc"])
    shutil.rmtree(folder.work / "checkpoints", ignore_errors=True)
    return folder.publish()


def origin_of(title: str, source: str, seed: int) -> Provenance:
    """Return what the data files of a run say of where they come from."""
    software = provenance.software()
    return Provenance(
        title=title,
        source=source,
        seed=seed,
        versions={name: software[name] for name in _VERSIONS},
    )


def require_device(where: str, device: str) -> None:
    """Refuse a CUDA device where there is none.

    Raises:
        InputError: there is none.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"{where}: `run.device` must be cpu on a machine without a CUDA device, but is cuda."
        )
