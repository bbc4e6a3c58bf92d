"""Error bars of correlated series, on an Ornstein-Uhlenbeck process whose answers are known."""

import dataclasses
import logging
import math

import pytest
import torch
from scipy import stats

from bayespin.numerics.stochastic import keyed_step_noise
from bayespin.physics import sampling
from bayespin.physics.ensemble import Execution, Schedule, run
from bayespin.physics.relaxation import window_factor
from bayespin.physics.sampling import (
    SeriesTooShort,
    Target,
    correlation_time,
    ks_distance,
    normal_law,
    read_average,
    sample_until,
    shape_estimates,
    statistics,
)
from bayespin.rng import Key
from tests.physics.toys import OrnsteinUhlenbeck
from tests.statistical.check import ALPHA, LEDGER, Ledger, mean_is, variance_is
from tests.statistical.faults import Fault, planted

KEPT = math.exp(-0.2)
TIME = (1 + KEPT) / (2 * (1 - KEPT))
"""Integrated correlation time of ρ^l in steps, 1/2 + ∑ ρ^l = 5.017 for ρ = exp(−1/5)."""
ENSEMBLES, REPLICAS, RECORDS = 800, 40, 150


def process(seed, ensembles=ENSEMBLES, replicas=REPLICAS, records=RECORDS):
    """Independent ensembles of a process of mean 0, variance 1 and correlation time 5 steps."""
    system = OrnsteinUhlenbeck(std=(1.0,) * ensembles)
    schedule = Schedule(replicas=replicas, steps=records - 1)
    return run(system, schedule, Key.root(seed).child("sampling"))


@pytest.fixture(scope="module")
def found(seed):
    return process(seed)


@pytest.fixture(scope="module")
def measured(found):
    return statistics(found, "x")


def pulls(estimate, exact):
    return (estimate.value - exact) / estimate.standard_error


def means_have_honest_errors(pulled, ledger=LEDGER):
    """Means of normal batches: Student's law of 39 degrees of freedom, variance 39/37.

    Power: with 800 pulls a variance wrong by 0.4, errors wrong by 17 %, is seen 999 times in 1000.
    Records taken as independent give a variance of 10.
    """
    variance_is(pulled, 39 / 37, ledger=ledger)


def test_errors_of_means_are_honest(measured):
    means_have_honest_errors(pulls(measured.mean, 0.0))


def test_records_taken_as_independent_are_caught(found):
    each_record = Fault(
        "every record is a batch",
        "bayespin.physics.sampling:_batched",
        lambda right: lambda series: (series, len(series)),
    )
    ensembles = found.series["x"].unbind(1)
    with planted(each_record):
        wrong = [float(pulls(shape_estimates(x)[0], 0.0)) for x in ensembles]
    with pytest.raises(AssertionError, match=r"variance must be 1\.05"):
        means_have_honest_errors(wrong, Ledger(1.0))


@pytest.mark.parametrize(
    "name, exact, excess", [("std", 1.0, 0.04), ("excess_kurtosis", 0.0, 0.23)]
)
def test_errors_of_shapes_are_honest(measured, name, exact, excess):
    """As for means to leading order; 14,400 pulls of such batches varied by `excess` more."""
    variance_is(pulls(getattr(measured, name), exact), 39 / 37, bias=excess)


def variance_of_average(count, kept=KEPT):
    """Variance of an average of `count` records with correlation ρ^l, exact at any length.

    (1 + 2 ∑ (1 − l/n) ρ^l)/n.
    """
    return (1 + 2 * sum((1 - lag / count) * kept**lag for lag in range(1, count))) / count


@pytest.mark.parametrize(
    "order, name, low",
    [(1, "mean", 0.0), (2, "std", 0.005), (3, "skewness", 0.03), (4, "excess_kurtosis", 0.08)],
)
def test_effective_samples_are_those_of_hermite_moments(measured, order, name, low):
    """The k-th Hermite polynomial of x forgets as ρ^{kl}: k = 1 for the mean, to 4 for kurtosis.

    Error² = 1/(effective samples) is compared, which is what is unbiased; its reciprocal is not.
    `low` is its bias of order 1/n, 0.997, 0.97 and 0.92 of the exact value at 1,600 other
    ensembles. Each of 800 is known to 21-30 %, so their mean to 1.1 %, and 6 % is 5.5 of that.
    """
    exact = variance_of_average(RECORDS, KEPT**order) / REPLICAS
    found = (1 / getattr(measured, name).effective_samples).mean()
    assert float(found) == pytest.approx((1 - low) * exact, rel=0.06)


def test_correlation_times_and_their_errors(measured):
    """Biased by −e⁻⁶ of the window and −2τ/(nR) of the mean taken away: 0.4 %.

    Sokal's formula for the error is on the safe side: pulls varied by 0.79.
    """
    time = measured.correlation_time
    mean_is(time.value, TIME, bias=0.004 * TIME)
    assert 0.6 < float(pulls(time, TIME).var()) < 1.1
    torch.testing.assert_close(time.effective_samples, REPLICAS * RECORDS / (2 * time.value))


def test_a_process_comes_as_near_to_its_law_as_the_resolution_says(found, measured):
    """At most 5 % of distances may exceed 1.36/√n_eff; with n_eff of the mean it is 1 %."""

    def distances(law, count):
        worth = measured.mean.effective_samples
        each = [ks_distance(found.series["x"][:, n], law, worth[n]) for n in range(count)]
        return torch.tensor([[d.value, d.resolution] for d in each])

    value, resolution = distances(normal_law(torch.tensor(0.0), torch.tensor(1.0)), ENSEMBLES).T
    LEDGER.charge(ALPHA)
    assert int((value > resolution).sum()) <= stats.binom.isf(ALPHA, ENSEMBLES, 0.05)
    value, resolution = distances(normal_law(torch.tensor(0.3), torch.tensor(1.0)), 100).T
    # Φ moved by 0.3 is 2 Φ(0.15) − 1 = 0.119 away, twice the resolution of 600 samples.
    assert float(value.mean()) == pytest.approx(0.119, rel=0.1)
    assert float((value > resolution).double().mean()) > 0.9


def test_the_distance_is_that_of_scipy():
    x = torch.linspace(-2, 3, 101).square().reshape(1, -1)
    found = ks_distance(x, normal_law(torch.tensor(1.0), torch.tensor(2.0)), torch.tensor(100.0))
    exact = stats.ks_1samp(x.numpy().ravel(), stats.norm(1, 2).cdf).statistic
    assert float(found.value) == pytest.approx(exact, rel=1e-6)
    assert float(found.resolution) == pytest.approx(0.136)


def test_shapes_are_those_of_the_pooled_values():
    x = torch.linspace(0, 2, 64 * 50).double().square().exp().reshape(50, 64)
    values = x.numpy().ravel()
    found = [float(estimate.value) for estimate in shape_estimates(x)]
    exact = [values.mean(), values.std(), stats.skew(values), stats.kurtosis(values)]
    assert found == pytest.approx(exact, rel=1e-9)


def test_errors_of_independent_normal_samples_are_the_textbook_ones():
    """s/√n, s/√(2n), √(6/n), √(24/n), to the 2 % that 4096 batches know them."""
    key = Key.root(1).child("white")
    x = 3 * keyed_step_noise(key, torch.empty(100, 4096))(0)
    found = shape_estimates(x)
    n = x.numel()
    exact = [3 / n**0.5, 3 / (2 * n) ** 0.5, (6 / n) ** 0.5, (24 / n) ** 0.5]
    assert [float(e.standard_error) for e in found] == pytest.approx(exact, rel=0.06)
    for estimate in found:
        assert float(estimate.effective_samples) == pytest.approx(n, rel=0.12)
    assert float(correlation_time(x, 2.0).value) == pytest.approx(1.0, rel=0.02)


def test_parts_of_long_trajectories_are_batches(seed):
    """2 replicas, 16 batches of 30τ each; E[error²] = (v_batch − v_mean)/(B − 1) is exact.

    τ of one ensemble is known to 13 %, so that none comes near the 10τ at which it is refused.
    """
    found = process(seed, ensembles=400, replicas=2, records=16 * 150)
    estimates = [shape_estimates(x)[0] for x in found.series["x"].unbind(1)]
    squares = torch.stack([estimate.standard_error.square() for estimate in estimates])
    whole = variance_of_average(2400) / 2
    exact = (variance_of_average(150) - whole) / 31
    # Each of 400 is known to √(2/31) = 25 %, so their mean to 1.3 %.
    assert float(squares.mean()) == pytest.approx(exact, rel=0.07)
    assert 0.95 < exact / whole < 0.98  # neighbouring batches know of each other


def test_too_few_correlation_times_are_refused():
    slow = process(0, ensembles=1, replicas=2, records=480)
    with pytest.raises(SeriesTooShort, match=r"160 correlation times where 2 replicas .* lasts"):
        statistics(slow, "x")
    shorter = process(0, ensembles=1, replicas=2, records=20)
    with pytest.raises(SeriesTooShort, match="take more replicas or a longer run"):
        statistics(shorter, "x")


def test_a_correlation_time_longer_than_the_run_is_not_told():
    """The errors are still right: each replica is worth about one sample."""
    measured = statistics(process(0, ensembles=2, replicas=200, records=8), "x")
    assert measured.correlation_time.value.isnan().all()
    assert float(measured.mean.effective_samples.min()) > 150
    assert float(measured.mean.effective_samples.max()) < 450


def test_what_does_not_vary_has_no_shape():
    measured = statistics(process(0, ensembles=1, replicas=50, records=5), "clock")
    assert measured.std.value.item() == pytest.approx(2**0.5)
    constant = shape_estimates(torch.full((5, 50), 2.0))
    assert [float(e.value) for e in constant[:2]] == [2.0, 0.0]
    assert constant[2].value.isnan()
    assert constant[3].standard_error.isnan()
    with pytest.raises(ValueError, match="all its values are the same"):
        correlation_time(torch.full((5, 50), 2.0), 1.0)


def test_trajectories_that_are_not_finite_are_left_out_and_counted(caplog):
    system = OrnsteinUhlenbeck(std=(1.0, 0.1), fatal=3.0)
    found = run(system, Schedule(replicas=300, steps=50), Key.root(0))
    measured = statistics(found, "x")
    bad = int((found.status[0] == 1).sum())
    assert bad > 3
    assert measured.excluded.tolist() == [bad, 0]
    kept = found.series["x"][:, 0, found.sound[0]]
    assert float(measured.mean.value[0]) == pytest.approx(float(kept.double().mean()), rel=1e-12)
    deadly = run(
        dataclasses.replace(system, fatal=-9.0), Schedule(replicas=40, steps=9), Key.root(0)
    )
    with pytest.raises(ValueError, match="must have a sound trajectory"):
        statistics(deadly, "x")


def test_laws_must_match_points(found, measured):
    with pytest.raises(ValueError, match="one law for each of the 800 operating points"):
        statistics(found, "x", [normal_law(torch.tensor(0.0), torch.tensor(1.0))])
    with pytest.raises(ValueError, match="`distance` must have a law"):
        measured.error("distance")


def test_twelve_settings_of_a_junction_have_the_effective_samples_of_the_issue():
    """τ = 14 ns, 1024 x 200 ns: 7,300 effective samples, kurtosis ± 0.06, normality ± 0.016."""
    system = OrnsteinUhlenbeck(correlation_time=14e-9, time_step=1e-9)
    found = run(system, Schedule(replicas=1024, steps=200), Key.root(0).child("issue"))
    measured = statistics(found, "x")
    assert float(measured.correlation_time.value) == pytest.approx(14e-9, rel=0.15)
    assert float(measured.correlation_time.effective_samples) == pytest.approx(7314, rel=0.15)
    assert float(measured.mean.effective_samples) == pytest.approx(7314, rel=0.3)
    # Kurtosis itself forgets four times as fast as x: half the error of 7,300 samples.
    assert 0.025 < float(measured.excess_kurtosis.standard_error) < 0.06
    assert float(measured.normality.resolution) == pytest.approx(0.016, rel=0.15)


TOY = OrnsteinUhlenbeck(std=(1.0, 2.0))
FIRST = Schedule(replicas=100, steps=40, record_every=2, discard=4)


@pytest.mark.parametrize(
    "statistic, error, samples",
    [("mean", 0.02, (2 / 0.02) ** 2), ("normality", 0.02, (1.36 / 0.02) ** 2)],
)
def test_a_run_lasts_until_its_error_is_small_enough(statistic, error, samples):
    target = Target(observable="x", statistic=statistic, error=error, longest=10_000)
    found = sample_until(TOY, FIRST, Key.root(0), target)
    assert found.reached
    assert found.error <= error
    assert float(found.statistics.error(statistic).max()) == found.error
    # Not much longer than it must be: batches of 100 replicas know errors to 7 %.
    steps = found.trajectories.schedule.steps
    needed = samples * 2 * TIME / 100
    assert 0.7 * needed < steps < 1.8 * needed
    whole = run(TOY, dataclasses.replace(FIRST, steps=steps), Key.root(0))
    assert found.trajectories.series["x"].equal(whole.series["x"])


def test_a_target_out_of_reach_ends_at_the_longest_run(caplog):
    target = Target(observable="x", statistic="mean", error=1e-4, longest=300)
    with caplog.at_level(logging.WARNING, logger=sampling.__name__):
        found = sample_until(TOY, FIRST, Key.root(0), target)
    assert not found.reached
    assert found.trajectories.schedule.steps == 300
    assert "after the 300 steps allowed, more than the 0.0001 asked for" in caplog.text
    with pytest.raises(ValueError, match="`longest` must be at least the 40 steps"):
        sample_until(TOY, FIRST, Key.root(0), dataclasses.replace(target, longest=39))


def test_few_replicas_run_until_they_have_batches():
    target = Target(observable="x", statistic="std", error=0.2, longest=5000)
    few = dataclasses.replace(FIRST, replicas=4)
    assert sample_until(TOY, few, Key.root(0), target).reached
    with pytest.raises(SeriesTooShort):
        sample_until(TOY, few, Key.root(0), dataclasses.replace(target, longest=100))


def test_an_interrupted_search_ends_with_the_same_bits(tmp_path):
    target = Target(observable="x", statistic="std", error=0.03, longest=5000)
    whole = sample_until(TOY, FIRST, Key.root(0), target)
    stored = Execution(checkpoint=tmp_path, segment=30)
    sample_until(TOY, FIRST, Key.root(0), target, stored)
    files = sorted(tmp_path.iterdir())
    for path in files[len(files) // 2 :]:
        path.unlink()
    again = sample_until(TOY, FIRST, Key.root(0), target, stored)
    assert again.trajectories.series["x"].equal(whole.trajectories.series["x"])
    assert again.error == whole.error


def test_impossible_targets_are_refused():
    with pytest.raises(ValueError, match="`error` must be positive, but is 0"):
        Target(observable="x", statistic="mean", error=0.0, longest=1)
    with pytest.raises(ValueError, match="`laws` must be given"):
        Target(observable="x", statistic="distance", error=0.1, longest=1)


def test_boxcar_reads_of_a_path_are_its_integrals():
    """x = t²: (1/T)∫ over [a, a + T] = a² + aT + T²/3, the trapezoidal rule adds dt²/6."""
    t = 0.25 * torch.arange(18).double()[:, None]
    found = read_average(t.square(), 0.25, 1.0)
    start = torch.arange(4).double()[:, None]
    torch.testing.assert_close(found, start.square() + start + 1 / 3 + 0.25**2 / 6)


def test_reads_of_a_process_have_the_spread_of_window_factor(found):
    """s_T/s of windows of 2τ; 800 x 40 x 14 reads know it to 0.2 %, steps of τ/5 add 0.2 %."""
    reads = read_average(found.series["x"], 1.0, 10.0)
    assert reads.shape == (14, ENSEMBLES, REPLICAS)
    exact = float(window_factor(torch.tensor(2.0).double()))
    assert float(reads.double().std()) == pytest.approx(exact, rel=0.015)


@pytest.mark.parametrize(
    "window, text", [(0.4, "whole number"), (0.1, "whole number"), (9.0, "most the 4 s")]
)
def test_impossible_windows_are_refused(window, text):
    with pytest.raises(ValueError, match=f"`window` must be .*{text}"):
        read_average(torch.zeros(17, 2), 0.25, window)
