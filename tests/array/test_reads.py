"""Successive reads: the closed form of their correlation, its limits, and nodes against cells."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.array.reads import Chain, ReadSchedule, Step, exact_reads
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples, variance_is

KEY = Key.root(0).child("reads")
PRESET = ReadSchedule(window=10e-9, gap=32e-9)
TAU = torch.logspace(math.log10(0.47e-9), math.log10(14.2e-9), 50, dtype=torch.float64)


def windows(tau: float, schedule: ReadSchedule, lag: int, steps: int = 400) -> float:
    """Correlation of two window averages, by the double sum over exp(−|t − t'|/τ)."""
    t = (torch.arange(steps, dtype=torch.float64) + 0.5) * schedule.window / steps
    apart = lag * (schedule.window + schedule.gap)
    within = torch.exp(-(t[:, None] - t).abs() / tau).mean()
    return float(torch.exp(-(t[:, None] + apart - t) / tau).mean() / within)


@pytest.mark.parametrize("tau", [2e-9, 1e-8, 3e-7])
@pytest.mark.parametrize("gap", [0.0, 5e-9])
def test_correlations_are_those_of_averaged_windows(tau, gap):
    schedule = ReadSchedule(window=1e-8, gap=gap)
    step = Step.of(torch.tensor(tau).double(), schedule)
    for lag in (1, 2, 5):
        exact = windows(tau, schedule, lag)
        assert float(step.correlation(lag)) == pytest.approx(exact, rel=2e-4, abs=1e-12)


def test_short_windows_and_long_ones_are_limits():
    """τ much longer than all times is a frozen cell, τ much shorter a fresh one."""
    held = Step.of(torch.tensor(1.0).double(), PRESET)
    assert float(held.correlation(7)) == pytest.approx(1.0, abs=1e-6)
    fresh = Step.of(torch.tensor(1e-12).double(), PRESET)
    assert float(fresh.correlation(1)) < 1e-12


def reads_are_correlated_as_in_the_closed_form(tau: float, count: int):
    """Products of reads see 2 % of the variance, pooled over cells."""
    schedule = ReadSchedule(window=1e-8, gap=2e-9)
    step = Step.of(torch.tensor(tau).double(), schedule)
    noise = KeyedNoise.from_key(KEY.child("cells"))
    state = noise.normal(torch.empty(count, dtype=torch.float64))
    averages = []
    for _ in range(4):
        state, average = step.advance(state, noise)
        averages.append(average)
    for average in averages:
        variance_is(average, 1.0)
    for lag in (1, 3):
        mean_is(averages[0] * averages[lag], float(step.correlation(lag)))


@pytest.mark.parametrize("tau", [3e-9, 4e-8])
def test_reads_are_correlated_as_in_the_closed_form(tau):
    reads_are_correlated_as_in_the_closed_form(tau, required_samples(math.sqrt(2), 0.02))


@given(tau=st.floats(1e-12, 1e-3), gap=st.floats(0.0, 1e-7), window=st.floats(1e-9, 3e-8))
def test_one_number_per_read_makes_the_same_covariances(tau, gap, window):
    """⟨ū²⟩ = P + d² and ⟨ū ū'⟩ = ρ^(ℓ−1) (ρ P + h d), and P does not change from read to read."""
    step = Step.of(torch.tensor(tau, dtype=torch.float64), ReadSchedule(window=window, gap=gap))
    chain = Chain.of(step)
    power = chain.foreseen.square()
    assert float(power + chain.fresh.square()) == pytest.approx(1.0, rel=1e-12)
    assert float(chain.kept.square() * power + chain.passed_on.square()) == pytest.approx(
        float(power), rel=1e-9, abs=1e-300
    )
    for lag in (1, 2, 7):
        found = chain.kept ** (lag - 1) * (chain.kept * power + chain.passed_on * chain.fresh)
        assert float(found) == pytest.approx(float(step.correlation(lag)), rel=1e-6, abs=1e-12)


def test_exact_reads_have_the_covariance_of_the_sum_over_cells():
    """Σ x x' S² f over cells, for inputs that change; sees 3 % of the variance."""
    schedule, rows = ReadSchedule(window=1e-8, gap=2e-9), 6
    draw = KEY.child("exact").generator()
    spread = 0.1 + torch.rand(rows, 1, generator=draw, dtype=torch.float64)
    tau = TAU[torch.randint(0, 50, (rows, 1), generator=draw)]
    x = torch.rand(3, rows, generator=draw, dtype=torch.float64)
    images = required_samples(math.sqrt(2), 0.03)
    y = exact_reads(
        x[:, None].expand(3, images, rows), spread, tau, schedule,
        KeyedNoise.from_key(KEY.child("draws")),
    )[..., 0]  # fmt: skip
    step = Step.of(tau, schedule)
    for one, other in ((0, 0), (0, 1), (0, 2), (1, 2)):
        f = step.correlation(other - one) if other > one else torch.ones_like(tau)
        exact = float((x[one, :, None] * x[other, :, None] * spread.square() * f).sum())
        mean_is(y[one] * y[other], exact)


@pytest.mark.parametrize("field, value", [("window", 0.0), ("gap", -1e-9), ("gap", math.nan)])
def test_schedules_that_cannot_be_are_refused(field, value):
    with pytest.raises(ValueError, match=f"`{field}` must"):
        ReadSchedule(**{"window": 1e-8, "gap": 0.0} | {field: value})
