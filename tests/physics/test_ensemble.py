"""Runs of ensembles: the same bits however they are cut, stored, resumed or shared by threads."""

import dataclasses
import itertools
import logging
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.load import InputError
from bayespin.numerics.stochastic import keyed_block_noise
from bayespin.physics import ensemble
from bayespin.physics.ensemble import Execution, Schedule, block_of, extend, run
from bayespin.physics.ensemble_storage import digest
from bayespin.rng import Key
from tests.physics.toys import OrnsteinUhlenbeck

KEY = Key.root(3).child("ensemble")
SYSTEM = OrnsteinUhlenbeck(std=(1.0, 0.2))
SCHEDULE = Schedule(replicas=22, steps=40, record_every=3, discard=2, block=8)
WHOLE = run(SYSTEM, SCHEDULE, KEY)


def assert_same(a, b):
    assert a.series.keys() == b.series.keys()
    for name in a.series:
        assert a.series[name].equal(b.series[name])
    for name in ("times", "state", "status", "failed_step"):
        assert getattr(a, name).equal(getattr(b, name)), name
    assert a.schedule == b.schedule


def test_records_are_the_states_of_the_whole_ensemble_in_one_piece():
    """Blocks 0, 1, 2 (the last of 6 replicas) against all 22 replicas advanced together."""
    state = torch.cat(
        [SYSTEM.initial(n, KEY.child("initial", b)) for b, n in enumerate((8, 8, 6))], -1
    )
    noise = keyed_block_noise(KEY.child("noise"), state, 8, -1)
    kept = []
    for count in range(41):
        if count >= 2 and (count - 2) % 3 == 0:
            kept.append(state)
        if count < 40:
            state = SYSTEM.advance(state, noise, range(count, count + 1))
    assert WHOLE.series["x"].equal(torch.stack(kept))
    assert WHOLE.state.equal(state)
    assert WHOLE.times.tolist() == [2.0 + 3 * n for n in range(13)]
    assert WHOLE.series["clock"].equal(WHOLE.times.float()[:, None, None].expand(13, 2, 22))
    assert bool(WHOLE.sound.all())


def test_a_run_without_burn_in_records_its_start():
    found = run(SYSTEM, Schedule(replicas=4, steps=2), KEY)
    assert found.series["x"][0].equal(SYSTEM.initial(4, KEY.child("initial", 0)))
    assert found.times.tolist() == [0.0, 1.0, 2.0]


@given(
    discard=st.integers(0, 12),
    every=st.integers(1, 9),
    cuts=st.lists(st.integers(1, 29), max_size=5, unique=True).map(sorted),
)
def test_every_record_falls_into_exactly_one_segment(discard, every, cuts):
    schedule = Schedule(replicas=1, steps=30, discard=discard, record_every=every)
    edges = [0, *cuts, 30]
    rows = [row for a, b in itertools.pairwise(edges) for row in schedule.recorded(a, b)]
    assert rows == list(range(schedule.records))
    for a, b in itertools.pairwise(edges):
        counts = [discard + every * row for row in schedule.recorded(a, b)]
        assert all(a < count <= b or count == a == 0 for count in counts)


@pytest.mark.parametrize("segment", [1, 5, 100])
@pytest.mark.parametrize("workers", [1, 2])
def test_neither_workers_nor_segments_change_a_bit(segment, workers):
    assert_same(run(SYSTEM, SCHEDULE, KEY, Execution(workers=workers, segment=segment)), WHOLE)


@pytest.mark.parametrize("block, replicas", [(0, 8), (1, 8), (2, 6)])
def test_a_block_alone_equals_the_block_in_the_whole(block, replicas):
    schedule = dataclasses.replace(SCHEDULE, replicas=replicas, first_block=block)
    alone = run(SYSTEM, schedule, KEY)
    part = slice(8 * block, 8 * block + replicas)
    assert alone.series["x"].equal(WHOLE.series["x"][..., part])
    assert alone.state.equal(WHOLE.state[..., part])


@pytest.mark.parametrize("first", [2, 3, 17, 40])
def test_an_extended_run_equals_the_long_one(first):
    short = run(SYSTEM, dataclasses.replace(SCHEDULE, steps=first), KEY)
    assert_same(extend(SYSTEM, short, 40), WHOLE)
    with pytest.raises(ValueError, match=f"at least the {first} steps taken so far, but is 1"):
        extend(SYSTEM, short, 1)


class Interrupted(OrnsteinUhlenbeck):
    """Stops as by Ctrl-C when it has advanced so often; the same system otherwise."""

    left = 0

    def advance(self, state, noise, steps):
        if Interrupted.left == 0:
            raise KeyboardInterrupt
        Interrupted.left -= 1
        return super().advance(state, noise, steps)


@pytest.mark.parametrize("left, kept", [(0, 0), (1, 0), (9, 1), (33, 7)])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, left, kept):
    """17 calls of `advance` per block here, in segments of 12 steps; whole segments are kept."""
    system = Interrupted(**vars(SYSTEM))
    stored = Execution(checkpoint=tmp_path / "run", segment=12)
    Interrupted.left = left
    with pytest.raises(KeyboardInterrupt):
        run(system, SCHEDULE, KEY, stored)
    files = sorted((tmp_path / "run").iterdir())
    assert len(files) == kept
    before = [path.stat().st_mtime_ns for path in files]
    Interrupted.left = 1000
    assert_same(run(system, SCHEDULE, KEY, stored), WHOLE)
    assert [path.stat().st_mtime_ns for path in files] == before
    Interrupted.left = 0
    assert_same(run(system, SCHEDULE, KEY, stored), WHOLE)


def test_ctrl_c_reaches_every_worker(tmp_path):
    system = Interrupted(**vars(SYSTEM))
    Interrupted.left = 20
    stored = Execution(checkpoint=tmp_path, segment=1, workers=2)
    with pytest.raises(KeyboardInterrupt):
        run(system, SCHEDULE, KEY, stored)
    Interrupted.left = 1000
    assert_same(run(system, SCHEDULE, KEY, stored), WHOLE)


def test_a_stored_run_can_be_extended_and_read_with_another_segment(tmp_path):
    stored = Execution(checkpoint=tmp_path, segment=7)
    short = run(SYSTEM, dataclasses.replace(SCHEDULE, steps=16), KEY, stored)
    other = dataclasses.replace(stored, segment=11, workers=2)
    assert_same(extend(SYSTEM, short, 40, other), WHOLE)
    assert_same(run(SYSTEM, SCHEDULE, KEY, stored), WHOLE)
    with pytest.raises(InputError, match=r"must end by step 15, .* ends at step 16; ask for"):
        run(SYSTEM, dataclasses.replace(SCHEDULE, steps=15), KEY, stored)


@pytest.mark.parametrize(
    "system, schedule, key",
    [
        (OrnsteinUhlenbeck(std=(1.0, 0.21)), SCHEDULE, KEY),
        (SYSTEM, dataclasses.replace(SCHEDULE, replicas=21), KEY),
        (SYSTEM, dataclasses.replace(SCHEDULE, record_every=4), KEY),
        (SYSTEM, SCHEDULE, KEY.child("other")),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(tmp_path, system, schedule, key):
    stored = Execution(checkpoint=tmp_path)
    run(SYSTEM, SCHEDULE, KEY, stored)
    with pytest.raises(InputError, match="must be of this run, but is of one with another system"):
        run(system, schedule, key, stored)


@pytest.mark.parametrize("length", [0, 5, 300, -1])
def test_a_damaged_checkpoint_is_refused_and_mended_by_its_own_advice(tmp_path, length):
    stored = Execution(checkpoint=tmp_path, segment=20)
    run(SYSTEM, SCHEDULE, KEY, stored)
    damaged = sorted(tmp_path.iterdir())[3]
    damaged.write_bytes(damaged.read_bytes()[:length])
    with pytest.raises(InputError, match=r"is damaged .*delete it") as refusal:
        run(SYSTEM, SCHEDULE, KEY, stored)
    assert str(damaged) in str(refusal.value)
    damaged.unlink()
    assert_same(run(SYSTEM, SCHEDULE, KEY, stored), WHOLE)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="must be writable, but is not"):
        run(SYSTEM, SCHEDULE, KEY, Execution(checkpoint=tmp_path / "file" / "run"))


def test_what_is_not_finite_is_reported_and_nothing_else_changes(caplog):
    fatal = 2.2
    with caplog.at_level(logging.WARNING, logger=ensemble.__name__):
        found = run(dataclasses.replace(SYSTEM, fatal=fatal), SCHEDULE, KEY)
    every_step = run(SYSTEM, dataclasses.replace(SCHEDULE, record_every=1, discard=0), KEY)
    steps = torch.arange(41)[:, None, None]
    # The start is drawn, not stepped, and so never fatal.
    died = torch.where((every_step.series["x"] > fatal) & (steps > 0), steps, 99).amin(0)
    seen = died.clamp(min=2)
    seen = (2 + 3 * ((seen - 2 + 2) // 3)).clamp(max=40).where(died < 99, torch.tensor(-1))
    assert 0 < int((seen >= 0).sum()) < 44
    assert found.failed_step.equal(seen)
    assert found.status.equal((seen >= 0).to(torch.int8))
    sound = found.sound
    assert found.series["x"][:, sound].equal(WHOLE.series["x"][:, sound])
    assert f"{int((~sound).sum())} of 44 trajectories are not finite" in caplog.text
    assert f"the first after {int(seen[seen >= 0].min())} steps" in caplog.text


def test_a_state_that_the_records_do_not_show_is_seen_at_the_end():
    class Blind(OrnsteinUhlenbeck):
        def observables(self, state, time):
            return {"one": torch.ones_like(state)}

    found = run(Blind(fatal=1.0), Schedule(replicas=30, steps=3), KEY)
    assert found.status.equal(found.state.isnan().to(torch.int8))
    assert set(found.failed_step.unique().tolist()) == {-1, 3}


def test_axes_of_cells_and_components_count_for_their_trajectory():
    class Cells(OrnsteinUhlenbeck):
        def initial(self, replicas, key):
            return torch.zeros(2, replicas, 3, 4)

        def noise(self, key, state):
            return lambda index: None

        def advance(self, state, noise, steps):
            state = state.clone()
            state[1, 2, 0, 3] = math.nan
            return state

        def observables(self, state, time):
            return {"first": state[..., 0, 0]}

    found = run(Cells(replica_axis=-3), Schedule(replicas=6, steps=1, block=3), KEY)
    assert found.state.shape == (2, 6, 3, 4)
    assert found.status.nonzero().tolist() == [[1, 2], [1, 5]]  # the third of each block


def test_progress_counts_steps_of_blocks():
    seen = []
    run(SYSTEM, SCHEDULE, KEY, Execution(segment=25, progress=lambda *n: seen.append(n)))
    assert seen == [(25, 120), (40, 120), (65, 120), (80, 120), (105, 120), (120, 120)]


def test_blocks_fill_a_cache_and_no_more():
    assert block_of(torch.empty(3, 1)) == 32768
    assert block_of(torch.empty(12, 3, 1)) == 2048
    assert block_of(torch.empty(1, 3, 1, 16, 16)) == 128
    assert block_of(torch.empty(1, 3, 1, 500, 500)) == 1
    assert run(SYSTEM, Schedule(replicas=3, steps=1), KEY).schedule.block == 65536


def test_what_does_not_fit_memory_is_refused_with_what_would():
    """Per replica 16 bytes of records (20 with the look at them) and 8 of state."""

    def refused(memory, **changed):
        schedule = dataclasses.replace(SCHEDULE, **changed)
        with pytest.raises(ValueError, match=r"must") as refusal:
            run(SYSTEM, schedule, KEY, Execution(memory=memory))
        return str(refusal.value)

    assert "`block` must be at most 5 " in refused(1000)
    assert "One replica must fit 1e-07 GB of memory" in refused(100)
    free = 8 * 24 * 8
    assert "`replicas` must be at most 13 " in refused(free + 500)
    assert "`record_every` must be at least 8 steps" in refused(free + 22 * (16 + 5 * 20))
    run(
        SYSTEM, dataclasses.replace(SCHEDULE, record_every=8), KEY,
        Execution(memory=free + 22 * (16 + 5 * 20)),
    )  # fmt: skip


@pytest.mark.parametrize(
    "field, value, text",
    [
        ("replicas", 0, "at least 1"),
        ("steps", 0, "at least 1"),
        ("record_every", 0, "at least 1"),
        ("block", 0, "at least 1"),
        ("discard", -1, "not be negative"),
        ("first_block", -1, "not be negative"),
        ("discard", 41, "at most the 40 steps"),
    ],
)
def test_impossible_schedules_are_refused(field, value, text):
    with pytest.raises(ValueError, match=f"`{field}` must .*{text}"):
        dataclasses.replace(SCHEDULE, **{field: value})


@pytest.mark.parametrize("field", ["workers", "segment"])
def test_impossible_executions_are_refused(field):
    with pytest.raises(ValueError, match=f"`{field}` must be at least 1, but is 0"):
        Execution(**{field: 0})


def test_digests_tell_values_apart():
    def enclosing(value):
        return lambda: value

    values = [
        None, 0, 0.0, -0.0, "0", (0,), (0, 0), [0], {"a": 0}, {"a": 1}, torch.zeros(2),
        torch.zeros(2, 1), torch.zeros(2).double(), torch.zeros(2).numpy(), torch.ones(2),
        enclosing(1), enclosing(2), enclosing(SYSTEM), SYSTEM, SYSTEM.initial,
        dataclasses.replace(SYSTEM, time_step=2.0), torch.float32, torch.float64,
    ]  # fmt: skip
    found = [digest(value) for value in values]
    assert len(set(found)) == len(found)
    assert found == [digest(value) for value in values]
    slow, fast = (lambda time: 0.1 * time), (lambda time: 0.2 * time)
    fast.__qualname__ = slow.__qualname__
    assert digest(slow) != digest(fast)
    circle = []
    circle.append(circle)
    assert digest(circle) == digest(circle)
