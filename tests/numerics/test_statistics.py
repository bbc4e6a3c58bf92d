"""Streaming statistics against the same statistics of the whole."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.numerics import statistics
from bayespin.numerics.statistics import (
    Autocovariance,
    Moments,
    integrated_time,
    pooled_autocovariance,
    window_lag,
)
from bayespin.rng import Key, KeyedNoise


def draws(*shape, word="draws"):
    noise = KeyedNoise.from_key(Key.root(5).child(word))
    return noise.normal(torch.empty(shape, dtype=torch.float64))


@given(cuts=st.lists(st.integers(1, 59), max_size=4, unique=True).map(sorted))
def test_moments_of_any_split_equal_those_of_the_whole(cuts):
    x = 1e6 + draws(60, 3)
    parts = torch.tensor_split(x, cuts)
    merged = Moments.of(parts[0])
    for part in parts[1:]:
        merged = merged + Moments.of(part)
    torch.testing.assert_close(merged.mean, x.mean(0), rtol=1e-14, atol=0)
    torch.testing.assert_close(merged.variance, x.var(0), rtol=1e-8, atol=0)
    torch.testing.assert_close(merged.std, x.std(0), rtol=1e-8, atol=0)
    torch.testing.assert_close(merged.standard_error, x.std(0) / 60**0.5, rtol=1e-8, atol=0)


def test_no_samples_are_refused_and_one_has_no_variance():
    with pytest.raises(ValueError, match="at least one sample"):
        Moments.of(torch.empty(0, 2))
    assert Moments.of(torch.ones(1, 1)).variance.isnan().all()


@given(cuts=st.lists(st.integers(1, 49), max_size=6, unique=True).map(sorted))
def test_autocovariance_of_any_split_equals_that_of_the_whole(cuts):
    x = 3 + draws(50, 2)
    parts = torch.tensor_split(x, cuts)
    merged = Autocovariance.of(parts[0], 7)
    for part in parts[1:]:
        merged = merged + Autocovariance.of(part, 7)
    centred = x - x.mean(0)
    exact = torch.stack(
        [(centred[: 50 - lag] * centred[lag:]).sum(0) / (50 - lag) for lag in range(8)]
    )
    torch.testing.assert_close(merged.covariance(), exact, rtol=1e-11, atol=1e-12)


def test_series_of_different_lags_do_not_merge():
    with pytest.raises(ValueError, match="3 lags"):
        Autocovariance.of(draws(9), 2) + Autocovariance.of(draws(9), 3)
    with pytest.raises(ValueError, match="longer than 5"):
        Autocovariance.of(draws(4), 5).covariance()
    with pytest.raises(ValueError, match="at least 1"):
        Autocovariance.of(draws(4), 0)


def test_integrated_time_of_an_exponential():
    step, time = 0.05, 1.7
    lags = torch.arange(400, dtype=torch.float64)
    found = integrated_time(torch.exp(-lags * step / time), step, window=8.0)
    assert found == pytest.approx(time, rel=2e-3)
    with pytest.raises(ValueError, match="must reach"):
        integrated_time(torch.exp(-lags[:20] * step / time), step)


@pytest.mark.parametrize("part", [1, 100, 2**22])
def test_pooled_autocovariance_is_the_sum_over_pairs(part, monkeypatch):
    monkeypatch.setattr(statistics, "_PART", part)
    x = 1e3 + draws(37, 5)
    centred = x - x.mean()
    exact = [float((centred[: 37 - lag] * centred[lag:]).mean()) for lag in range(37)]
    found = pooled_autocovariance(x)
    torch.testing.assert_close(found, torch.tensor(exact).double(), rtol=1e-5, atol=1e-6)
    assert pooled_autocovariance(x.float()).dtype == torch.float64


def test_the_window_closes_where_its_definition_says():
    """C_l/C_0 = ½^l: 1/2 + ∑ = 3/2 − ½^M, and 6 (3/2 − ½^M) lies between 8 and 9 for M = 9."""
    covariance = 3 * 0.5 ** torch.arange(20, dtype=torch.float64)
    assert window_lag(covariance) == 9
    assert integrated_time(covariance, 2.0) == pytest.approx(2 * (1.5 - 0.5**9), rel=1e-12)
