"""Pulses on a row of notches: counting, thresholds, direction, attempts at a barrier."""

import math
from dataclasses import replace

import pytest
import torch

from bayespin.constants import BOLTZMANN
from bayespin.physics import wall_motion, wall_pinning, wall_writing
from bayespin.physics.wall_ensemble import potential, potential_slope
from bayespin.physics.wall_writing import FURTHEST, WritePulses, row_of_notches
from bayespin.rng import Key
from tests.physics.walls import MOMENT, WIDTH, real, track

PITCH, KEY = 16e-9, Key.root(4)
CHIRAL = wall_motion.dmi_field(1e-3, MOMENT, WIDTH)


def notched(depth=60.0, **changes):
    row = row_of_notches(9, PITCH, depth * BOLTZMANN * 300, 5e-9)
    return track(**({"dmi": CHIRAL, "damping": 0.5, "notches": row} | changes))


def pulses(amplitude, width, **changes):
    return WritePulses(
        mechanism="spin-orbit", amplitude=real(*amplitude), width=real(*width), **changes
    )


def threshold(wall):
    """B_SH whose push (π/2)B_SH equals the steepest slope of the row."""
    q = torch.linspace(0, PITCH, 4001, dtype=torch.float64)
    steepest = float(potential_slope(wall.notches, q).max())
    return steepest / (2 * wall.moment_density) / (math.pi / 2)


def written(wall, shape, temperature=0.0, replicas=1):
    return wall_writing.write_statistics(wall, shape, temperature, replicas, KEY)


def test_a_pulse_has_its_area_and_its_place():
    shape = pulses((2.0, -3.0), (1e-10, 2e-10)).shape
    times = torch.linspace(0, 1e-9, 20_001, dtype=torch.float64)
    values = torch.stack([shape(float(t)) for t in times])[..., 0]
    area = torch.trapezoid(values, times, dim=0)
    torch.testing.assert_close(area, real(2e-10, -6e-10), rtol=1e-3, atol=0)
    assert float(values[times < shape.start].abs().max()) == 0


def test_walls_leave_above_the_threshold_only():
    """Heavily damped and without heat: stays at 0.9 of the depinning field, leaves at 1.1."""
    wall = notched()
    at = threshold(wall)
    found = written(wall, pulses((0.9 * at, 1.1 * at), (0.5e-9, 0.5e-9), settle=0.3e-9))
    assert found.missed.tolist() == [1, 0]


def test_direction_and_mirror():
    """A reversed current moves the wall as far the other way, and counts as the same step."""
    wall = notched()
    there = pulses((1.3 * threshold(wall),), (0.3e-9,), settle=0.3e-9)
    forth, back = written(wall, there), written(wall, wall_writing.mirrored(there))
    assert forth.counts.tolist() == back.counts.tolist()
    assert float(forth.paths[-1]) > PITCH / 2
    torch.testing.assert_close(forth.paths, -back.paths, rtol=1e-6, atol=1e-15)


def test_shares_and_errors_by_hand():
    counts = torch.tensor([[0, 0, 0, 1, 9, 80, 8, 2, 0]])
    empty = torch.zeros(1, 1)
    found = wall_writing.WriteStatistics(
        steps=torch.arange(-FURTHEST, FURTHEST + 1), counts=counts, offset=empty,
        times=torch.zeros(1), paths=empty[None],
    )  # fmt: skip
    shares = [float(x) for x in (found.missed, found.single, found.double)]
    assert shares == pytest.approx([0.10, 0.80, 0.10])
    assert float(found.error[0, 5]) == pytest.approx(math.sqrt(82 / 104 * 22 / 104 / 104))
    assert float(found.error[0, 0]) == pytest.approx(math.sqrt(2 / 104 * 102 / 104 / 104))


def test_barrier_and_attempts_of_a_row():
    """E is U between the notches less U in one; Γ0 e^{−E/kT} is the escape rate to both sides."""
    wall = notched(40.0)
    barrier, attempts = wall_writing.row_barrier(wall)
    crest, bottom = potential(wall.notches, real(PITCH / 2, 0.0)).tolist()
    assert barrier == pytest.approx(crest - bottom, rel=1e-3)
    still = torch.zeros(1, dtype=torch.float64)
    climb = wall_pinning.passage(wall, (-PITCH / 2, PITCH), still)
    for kelvin in (300.0, 350.0):
        exact = 2 * float(wall_pinning.escape_rate(wall, climb, kelvin))
        rate = attempts * math.exp(-barrier / (BOLTZMANN * kelvin))
        assert rate == pytest.approx(exact, rel=0.02)


def test_heat_moves_walls_as_often_as_the_barrier_says():
    """Some 6 kT, no pulse to speak of: the share that left, against Kramers, good to kT/2E."""
    wall = notched(7.0)
    barrier, attempts = wall_writing.row_barrier(wall)
    rate = attempts * math.exp(-barrier / (BOLTZMANN * 300))
    rest = pulses((1e-9,), (20e-12,), lead=0.1e-9, settle=0.25 / rate)
    found = written(wall, rest, 300.0, 1200)
    left = int((found.paths[-1].abs() > PITCH / 2).sum())
    exact = (1 - math.exp(-2 * rate * 0.25 / rate)) / 2  # gone and perhaps back, equal wells
    assert abs(left / 1200 - exact) < 0.25 * exact
    assert left > 100


def test_a_smooth_track_is_crossed_at_the_velocity_of_a_chiral_wall():
    wall = track(dmi=CHIRAL, hard_axis=0.0)
    field = real(0.02)
    times, paths = wall_writing.write_paths(wall, pulses((0.02,), (2e-9,)), 0.0, 1, KEY)
    during = (times > 1.3e-9) & (times < 2.2e-9)
    q, t = paths[during, 0, 0], times[during]
    velocity = (q[-1] - q[0]) / (t[-1] - t[0])
    exact = wall_motion.spin_hall_velocity(field, WIDTH, 0.2, CHIRAL)
    torch.testing.assert_close(velocity[None], exact, rtol=5e-3, atol=0)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"width": real(1e-12)}, "`width` must be at least the rise"),
        ({"settle": 0.0}, "`settle` must be positive"),
    ],
)
def test_impossible_pulses_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        replace(pulses((0.1,), (1e-10,)), **changes)


def test_a_smooth_track_has_no_notches_to_count():
    with pytest.raises(ValueError, match="must have at least three notches, but has 0"):
        written(track(), pulses((0.1,), (1e-10,)))
