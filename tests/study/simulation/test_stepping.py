"""Waveforms and steps of a simulation, against values worked by hand."""

import dataclasses

import pytest
import torch

from bayespin.physics.drive import at, largest
from bayespin.study.simulation import stepping
from bayespin.study.simulation.sections import Drive, Pulse, Run


def current(one: Drive | Pulse) -> torch.Tensor:
    return torch.tensor(one.current_density, dtype=torch.float64)


def test_pulses_stand_on_the_constant_part():
    """J(t) = 1 + 2 on [1, 2) and [4, 5), − 3 on [4, 6)."""
    train = Pulse(start=1.0, width=1.0, period=3.0, count=2, current_density=2.0)
    reverse = Pulse(start=4.0, width=2.0, current_density=-3.0)
    silent = Pulse(start=0.0, width=9.0, voltage=1.0)
    drive = Drive(current_density=1.0, pulses=(train, reverse, silent))
    driven = stepping.driven(drive, current)
    times = [0.5, 1.5, 2.5, 4.5, 5.5, 7.0]
    assert [float(at(driven, time)) for time in times] == [1.0, 3.0, 1.0, 0.0, -2.0, 1.0]
    assert largest(driven) == 6.0
    moved = stepping.driven(drive, current, torch.tensor(10.0))
    assert float(at(moved, 1.5)) == 13.0


def test_without_pulses_a_drive_is_constant():
    found = stepping.driven(Drive(voltage=2.0), current, torch.tensor(1.0))
    assert isinstance(found, torch.Tensor)
    assert found == 1.0


RUN = Run(duration=10e-9, record_every=1e-10, settle=1e-9, replicas=3)


def test_a_chosen_step_is_the_largest_whole_part_of_a_record():
    """A fifth of 21 ps is 4.2 ps: 24 steps of 4.17 ps make 100 ps, 23 would be of 4.35 ps."""
    assert stepping.time_step(RUN, 21e-12, 0.2) == pytest.approx(1e-10 / 24, rel=1e-15)
    assert stepping.time_step(RUN, 1e-8, 0.2) == 1e-10
    # Exactly whole, up to the rounding of a division.
    assert stepping.time_step(RUN, 25e-12, 0.2) == pytest.approx(5e-12, rel=1e-15)


def test_a_given_step_must_be_stable_and_divide_a_record():
    given = dataclasses.replace(RUN, time_step=5e-12)
    assert stepping.time_step(given, 21e-12, 0.2) == pytest.approx(5e-12, rel=1e-15)
    with pytest.raises(ValueError, match=r"at most 3.4 ps, the largest stable one.*is 5 ps"):
        stepping.time_step(given, 3.45e-12, 0.2)
    odd = dataclasses.replace(RUN, time_step=7e-12)
    with pytest.raises(ValueError, match=r"`run.record_every`.*such as 98 ps, but is 100 ps"):
        stepping.time_step(odd, 21e-12, 0.2)
    long = dataclasses.replace(RUN, time_step=3e-10)
    with pytest.raises(ValueError, match=r"`run.record_every`.*such as 300 ps"):
        stepping.time_step(long, 1e-9, 0.2)


def test_the_schedule_counts_settling_and_records():
    """1 ns of settling in steps of 5 ps, then 90 records of 20 steps after the first."""
    found = stepping.schedule(RUN, 5e-12)
    assert (found.discard, found.record_every, found.steps) == (200, 20, 2000)
    assert (found.records, found.replicas) == (91, 3)
    uneven = dataclasses.replace(RUN, duration=10.05e-9)
    assert stepping.schedule(uneven, 5e-12).steps == 2000


def test_a_run_without_end_is_refused():
    endless = dataclasses.replace(RUN, duration=1e6)
    with pytest.raises(ValueError, match=r"`run.duration` must be at most 5.5 s.*is 1 Ms"):
        stepping.schedule(endless, 5e-12)
