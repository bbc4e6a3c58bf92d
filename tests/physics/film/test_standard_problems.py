"""muMAG problems 4 and 5 against the constants that mumax3 keeps in its own tests.

Its γ is 1.7595e11 rad/(s T), ours that of the free electron, 0.08 % larger: states are compared at
equal γt.
"""

import pytest
import torch

from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.physics.film.standard_problems import driven_vortex, reversal, solve_problem

STRETCH = 1.7595e11 / GYROMAGNETIC_RATIO
S_STATE = (0.96697, 0.12527, 0.0)
AFTER_1_NS = {"a": (-0.98461, 0.12604, 0.04327), "b": (-0.96923, -0.12040, -0.00531)}


def run(problem, duration, interval=5e-11):
    return solve_problem(problem, duration * STRETCH, interval * STRETCH, tolerance=1e-6)


def test_s_state_of_a_coarse_bar():
    """64 x 16 cells of 7.8 nm, coarser than the exchange length; second order makes the difference
    to 128 x 32 cells three times the error of the latter, 7e-4.
    """
    with pytest.warns(UserWarning, match="exchange length, 5.69 nm, but is 7.81 nm"):
        trace = run(reversal("a", (64, 16, 1)), 1e-10, 1e-10)
    assert trace.relaxed.tolist() == pytest.approx(S_STATE, abs=3e-3)
    # On its way: the shared reference run on 128 x 32 cells has (0.5227, 0.6648, −0.0845).
    assert trace.average[-1].tolist() == pytest.approx((0.5227, 0.6648, -0.0845), abs=0.01)


def first_zero(times, values):
    """When a falling record first crosses zero, by linear interpolation."""
    after = int((values < 0).nonzero()[0])
    before = after - 1
    share = values[before] / (values[before] - values[after])
    return float(times[before] + share * (times[after] - times[before]))


@pytest.mark.slow
@pytest.mark.parametrize("field", ["a", "b"])
def test_problem_4(field):
    trace = run(reversal(field), 1e-9, 1e-12)
    assert trace.relaxed.tolist() == pytest.approx(S_STATE, abs=1e-4)
    assert trace.average[-1].tolist() == pytest.approx(AFTER_1_NS[field], abs=1e-2)
    if field == "a":
        zero = first_zero(trace.times / STRETCH, trace.average[:, 0])
        assert zero == pytest.approx(0.13861e-9, rel=5e-3)


@pytest.mark.slow
def test_problem_5():
    """mumax3, 32 x 32 x 4 cells, after 1 ns; the vortex goes on to settle near (−0.21, 0.01)."""
    trace = run(driven_vortex(0.05, (32, 32, 4)), 8e-9)
    after_1_ns = trace.average[20]
    assert after_1_ns.tolist() == pytest.approx((-0.23480, -0.09454, 0.02296), abs=2e-3)
    assert torch.linalg.vector_norm(trace.average[-1, :2] - trace.average[-20, :2]) < 0.02
    assert float(trace.average[-1, 0]) == pytest.approx(-0.21, abs=0.02)
