"""Runs of ensembles: blocks of replicas, recorded, checkpointed, extended.

One runner for macrospins, films and walls; `systems` shows each of them as a `System`. Replicas
are advanced in blocks of fixed size. A block is the unit of randomness *and* of computation, so
that its numbers depend neither on the other blocks, nor on workers, nor on where a run was cut,
to the last bit, whatever kernels a torch operation picks for a shape.
"""

import dataclasses
import logging
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch

from bayespin.numerics.memory import free_memory
from bayespin.numerics.parallel import in_order
from bayespin.numerics.stochastic import StepNoise
from bayespin.physics.ensemble_storage import Storage, Stretch, digest
from bayespin.rng import Key
from bayespin.shapes import Bool, Float, Int, Tensor

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (block-steps done, block-steps in all)."""

BLOCK_NUMBERS = {"cpu": 2**17, "cuda": 2**22}
"""Numbers in the state of a block: what caches hold, or what fills a GPU; part of the results."""
SEGMENT_NUMBERS = 2**28
"""Numbers advanced between checkpoints: some ten seconds of a CPU core."""
COPIES = 24
"""Copies of a block's state that a stochastic step may need at once, noise and fields included."""


@runtime_checkable
class System(Protocol):
    """What can be run as an ensemble.

    The state is one tensor: operating points first, then the axis of the replicas, with component
    or cell axes between or behind: (*points, 3, replicas) or (*points, replicas, 3, z, y, x).
    """

    @property
    def time_step(self) -> float:
        """Length of a step in seconds."""
        ...

    @property
    def replica_axis(self) -> int:
        """The replica axis of the state, counted from the end."""
        ...

    def initial(self, replicas: int, key: Key) -> Tensor:
        """Return the state of `replicas` replicas at time 0."""
        ...

    def noise(self, key: Key, state: Tensor) -> StepNoise:
        """Return the noise that `advance` takes for such a state, a function of key and step."""
        ...

    def advance(self, state: Tensor, noise: StepNoise, steps: range) -> Tensor:
        """Return the state after the steps with these indices; step i begins at i `time_step`.

        Any split of the steps must give the same state to the last bit.
        """
        ...

    def observables(self, state: Tensor, time: float) -> dict[str, Tensor]:
        """Return what is recorded, each of shape (*points, replicas)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How many replicas are run for how long, and what is kept; decides the numbers of a run.

    Raises:
        ValueError: a count below 1, or more steps discarded than taken.
    """

    replicas: int
    steps: int
    record_every: int = 1
    """Steps between records."""
    discard: int = 0
    """Steps before the first record, for a start out of equilibrium; 0 records the start too."""
    block: int | None = None
    """Replicas of a block; chosen by `block_of` when not given."""
    first_block: int = 0
    """Index of the first block: a run of block k alone equals that block in a run of all."""

    def __post_init__(self) -> None:
        counts = {"replicas": self.replicas, "steps": self.steps}
        counts |= {
            "record_every": self.record_every,
            "block": 1 if self.block is None else self.block,
        }
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1, but is {value}.")
        for name in ("discard", "first_block"):
            if getattr(self, name) < 0:
                raise ValueError(f"`{name}` must not be negative, but is {getattr(self, name)}.")
        if self.discard > self.steps:
            raise ValueError(
                f"`discard` must be at most the {self.steps} steps of the run, "
                f"but is {self.discard}."
            )

    @property
    def records(self) -> int:
        """Number of records: one after `discard` steps, then one every `record_every` steps."""
        return (self.steps - self.discard) // self.record_every + 1

    def recorded(self, start: int, stop: int) -> range:
        """Return the records that fall after step counts in (start, stop], with 0 if start is."""
        before = -1 if start == 0 else start
        first = max(0, (before - self.discard) // self.record_every + 1)
        last = (stop - self.discard) // self.record_every
        return range(first, max(first, last + 1))


def _silent(done: int, total: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a run is carried out; changes nothing in its numbers.

    Raises:
        ValueError: fewer than one worker or step in a segment.
    """

    workers: int = 1
    """Blocks advanced at once, each on one thread."""
    progress: Progress = _silent
    """May be called from the threads of the workers."""
    checkpoint: Path | None = None
    """Folder that keeps finished segments; the same run resumes from it."""
    segment: int | None = None
    """Steps between checkpoints, progress reports and looks for Ctrl-C."""
    memory: int | None = None
    """Bytes that may be taken; what is free when not given."""

    def __post_init__(self) -> None:
        for name, value in (("workers", self.workers), ("segment", self.segment)):
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be at least 1, but is {value}.")


@dataclass(frozen=True, kw_only=True)
class Trajectories:
    """What was recorded of an ensemble. Statistics take only trajectories whose status is 0."""

    times: Float[Tensor, " time"]
    """Times of the records, s, float64."""
    series: dict[str, Float[Tensor, " time *points replica"]]
    state: Tensor
    """The state after the last step, all replicas."""
    status: Int[Tensor, "*points replica"]
    """0 for a sound trajectory, 1 for one that is no longer finite (int8)."""
    failed_step: Int[Tensor, "*points replica"]
    """Steps taken when a trajectory was first seen to be not finite; −1 for sound ones."""
    schedule: Schedule
    """As run, with its block size."""
    key: Key
    time_step: float
    """s."""

    @property
    def sound(self) -> Bool[Tensor, "*points replica"]:
        """True where the whole trajectory is finite."""
        return self.status == 0


def block_of(state: Tensor) -> int:
    """Return the default block size for the state of one replica.

    The largest power of two whose state has at most 2^17 numbers on a CPU (40,000 macrospins or
    cells: the working set that caches hold), 2^22 on a GPU.
    """
    fit = BLOCK_NUMBERS[state.device.type] // max(1, state.numel())
    return 1 << max(0, fit.bit_length() - 1)


@torch.no_grad()
def run(
    system: System, schedule: Schedule, key: Key, execution: Execution | None = None
) -> Trajectories:
    """Advance an ensemble from its initial state and record it.

    Block b draws its start from key.child("initial", b) and its noise from
    key.child("noise").child("block", b), as `keyed_block_noise` does for all blocks in one piece.
    With `execution.checkpoint`, what is stored there is taken and the rest computed: an interrupted
    run loses at most one segment per worker, and ends with the same bits.

    Raises:
        ValueError: the records or the states would not fit the memory; the sentence says what
            would.
        InputError: the checkpoint is of another run, or damaged.
    """
    return _Run(system, schedule, key, execution or Execution()).complete(None)


@torch.no_grad()
def extend(
    system: System, found: Trajectories, steps: int, execution: Execution | None = None
) -> Trajectories:
    """Go on from where `found` ended until `steps` steps are taken in all.

    Equal, to the last bit, to a run of that many steps from the start.

    Raises:
        ValueError: `steps` is less than what was taken, or more than memory holds.
        InputError: the checkpoint is of another run, or damaged.
    """
    if steps < found.schedule.steps:
        raise ValueError(
            f"Argument `steps` must be at least the {found.schedule.steps} steps taken so far, "
            f"but is {steps}."
        )
    schedule = dataclasses.replace(found.schedule, steps=steps)
    return _Run(system, schedule, found.key, execution or Execution()).complete(found)


class _Run:
    """One run in the making: whole arrays, of which every block fills its own part."""

    def __init__(self, system: System, schedule: Schedule, key: Key, execution: Execution) -> None:
        probe = system.initial(1, key.child("probe"))
        self._system, self._key, self._execution = system, key, execution
        self._size = schedule.block or block_of(probe)
        self._schedule = dataclasses.replace(schedule, block=self._size)
        self._device, self._stop, self._lock = probe.device, threading.Event(), threading.Lock()
        self._done = 0
        seen = system.observables(probe, 0.0)
        require_memory(probe, seen, self._schedule, execution)
        self._shapes = {name: (value.shape[:-1], value.dtype) for name, value in seen.items()}
        self._series = {
            name: torch.empty((schedule.records, *points, schedule.replicas), dtype=dtype)
            for name, (points, dtype) in self._shapes.items()
        }

    def complete(self, found: Trajectories | None) -> Trajectories:
        """Advance every block, after what `found` already holds, and return the whole."""
        schedule, axis = self._schedule, self._system.replica_axis
        if found is not None:
            for name, values in found.series.items():
                self._series[name][: len(values)] = values
        begun = [None] * self._count if found is None else found.state.split(self._size, axis)
        start = 0 if found is None else found.schedule.steps
        self._done = start * self._count
        storage = self._storage()

        def one(block: int) -> Tensor:
            return self._block(block, begun[block], start, storage)

        states = in_order(one, range(self._count), self._execution.workers, self._stop)
        state = torch.cat(list(states), axis)
        steps = schedule.discard + schedule.record_every * torch.arange(schedule.records)
        failed = _failed_steps(self._series, steps, state, axis, schedule.steps)
        _warn_of(failed)
        return Trajectories(
            times=steps.double() * self._system.time_step,
            series=self._series,
            state=state,
            status=(failed >= 0).to(torch.int8),
            failed_step=failed,
            schedule=schedule,
            key=self._key,
            time_step=self._system.time_step,
        )

    @property
    def _count(self) -> int:
        return -(-self._schedule.replicas // self._size)

    def _storage(self) -> Storage | None:
        if self._execution.checkpoint is None:
            return None
        identity = dataclasses.replace(self._schedule, steps=max(1, self._schedule.discard))
        storage = Storage(
            self._execution.checkpoint,
            digest([self._system, identity, self._key, str(self._device)]),
        )
        storage.open()
        return storage

    @torch.no_grad()  # again, for the threads of workers
    def _block(
        self, block: int, state: Tensor | None, start: int, storage: Storage | None
    ) -> Tensor:
        """Advance one block to the end and return its state there."""
        number, steps = self._schedule.first_block + block, self._schedule.steps
        replicas = slice(block * self._size, min((block + 1) * self._size, self._schedule.replicas))
        if state is None:
            state = self._system.initial(
                replicas.stop - replicas.start, self._key.child("initial", number)
            )
        state = state.to(self._device)
        noise = self._system.noise(self._key.child("noise").child("block", number), state)
        while start < steps:
            stretch = None if storage is None else storage.load(number, start, steps)
            if stretch is None:
                stretch = self._advance(state, noise, start)
                if storage is not None:
                    storage.save(number, start, stretch)
            rows = self._schedule.recorded(start, stretch.stop)
            for name, values in stretch.series.items():
                self._series[name][rows.start : rows.stop, ..., replicas] = values.cpu()
            with self._lock:
                self._done += stretch.stop - start
                self._execution.progress(self._done, steps * self._count)
            start, state = stretch.stop, stretch.state.to(self._device)
        return state.cpu()

    def _advance(self, state: Tensor, noise: StepNoise, start: int) -> Stretch:
        """Take one segment of steps from `start`, recording on the way."""
        schedule, replicas = self._schedule, state.shape[self._system.replica_axis]
        segment = self._execution.segment or max(1, SEGMENT_NUMBERS // state.numel())
        stop = min(start + segment, schedule.steps)
        rows = schedule.recorded(start, stop)
        series = {
            name: torch.empty((len(rows), *points, replicas), dtype=dtype, device=self._device)
            for name, (points, dtype) in self._shapes.items()
        }
        for place, row in enumerate(rows):
            count = schedule.discard + row * schedule.record_every
            state = self._steps(state, noise, range(start, count))
            observed = self._system.observables(state, count * self._system.time_step)
            for name, values in observed.items():
                series[name][place] = values
            start = count
        state = self._steps(state, noise, range(start, stop))
        return Stretch(stop=stop, state=state, series=series)

    def _steps(self, state: Tensor, noise: StepNoise, steps: range) -> Tensor:
        if self._stop.is_set():
            raise CancelledError
        return self._system.advance(state, noise, steps) if steps else state


def require_memory(
    probe: Tensor, seen: dict[str, Tensor], schedule: Schedule, execution: Execution
) -> None:
    """Refuse a run that would not fit, and say what would; `probe` is the state of one replica.

    A block needs 24 copies of its state per worker; on the CPU, the records need their size and a
    quarter (for the look at what is finite), and the final state twice its size.

    Raises:
        ValueError: with the largest block, the most replicas, or the fewest steps between records
            that fit.
    """
    work_free = execution.memory or free_memory(probe.device)
    each = COPIES * probe.nbytes * execution.workers
    block = min(schedule.block or 1, schedule.replicas)
    if each > work_free:
        raise ValueError(
            f"One replica must fit {_gigabytes(work_free)} of memory, but takes {_gigabytes(each)} "
            f"while it is advanced; take fewer cells, operating points or workers."
        )
    if each * block > work_free:
        raise ValueError(
            f"`block` must be at most {work_free // each} to fit {_gigabytes(work_free)} of "
            f"memory, but is {block}."
        )
    free = (execution.memory or free_memory()) - (0 if probe.is_cuda else each * block)
    record = sum(value.nbytes for value in seen.values()) * 5 // 4
    if (record + 2 * probe.nbytes) * schedule.replicas > free:
        most = free // (record + 2 * probe.nbytes)
        raise ValueError(
            f"`replicas` must be at most {most} to fit {_gigabytes(free)} of memory with one "
            f"record, but is {schedule.replicas}."
        )
    records = (free // schedule.replicas - 2 * probe.nbytes) // max(1, record)
    if schedule.records > records:
        fewest = -(-(schedule.steps - schedule.discard + 1) // records)
        raise ValueError(
            f"`record_every` must be at least {fewest} steps for the records of "
            f"{schedule.replicas} replicas to fit {_gigabytes(free)} of memory, "
            f"but is {schedule.record_every}."
        )


def _gigabytes(size: int) -> str:
    return f"{max(size, 0) / 1e9:.3g} GB"


def _failed_steps(
    series: dict[str, Tensor], steps: Int[Tensor, " time"], state: Tensor, axis: int, last: int
) -> Int[Tensor, "*points replica"]:
    """Return the step count at which a trajectory was first not finite, −1 if it never was."""
    points = next(iter(series.values())).ndim - 2  # the number of axes of operating points
    # Axes behind the replicas are cells and components, axes between points and replicas too.
    sound = state.isfinite().movedim(axis, points)[..., None].flatten(points + 1).all(-1)
    never = torch.iinfo(torch.int64).max
    failed = torch.where(sound, never, last)
    for values in series.values():
        finite = values.isfinite()
        first = steps[finite.to(torch.int8).argmin(0)]
        failed = torch.where(finite.all(0), failed, torch.minimum(failed, first))
    return failed.masked_fill(failed == never, -1)


def _warn_of(failed: Int[Tensor, "*points replica"]) -> None:
    bad = failed >= 0
    if bool(bad.any()):
        logger.warning(
            "%d of %d trajectories are not finite, the first after %d steps; they are left out of "
            "every statistic: take a smaller time step.",
            int(bad.sum()), bad.numel(), int(failed[bad].min()),
        )  # fmt: skip
