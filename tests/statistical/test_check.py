"""The checks themselves: each can fail, and fails a correct program as often as it says."""

import math

import numpy as np
import pytest
from scipy import stats

from tests.statistical.check import (
    ALPHA,
    CHECKS,
    Ledger,
    bound_catches,
    ks_is,
    mean_is,
    proportion_at_most,
    proportion_is,
    required_samples,
    variance_is,
)

REPEATS = 1000
LOOSE = 0.1


def unpaid() -> Ledger:
    return Ledger(math.inf)


def rejections(check) -> int:
    failed = 0
    for _ in range(REPEATS):
        try:
            check()
        except AssertionError:
            failed += 1
    return failed


def false_alarms_are_as_stated(check) -> None:
    proportion_is(rejections(check), REPEATS, LOOSE)


@pytest.fixture
def random():
    return np.random.default_rng(20221122)


def test_mean_false_alarms(random):
    ledger = unpaid()
    false_alarms_are_as_stated(
        lambda: mean_is(random.normal(3.0, 2.0, 20), 3.0, alpha=LOOSE, ledger=ledger)
    )


@pytest.mark.parametrize("law", ["normal", "uniform", "laplace"])
def test_variance_false_alarms(random, law):
    """Within a factor of 1.5 at 2000 samples: the kurtosis is estimated, so not exact."""
    ledger = unpaid()
    scale = {"normal": 1.0, "uniform": 1 / 12, "laplace": 2.0}[law]
    draw = getattr(random, law)
    failed = rejections(lambda: variance_is(draw(size=2000), scale, alpha=LOOSE, ledger=ledger))
    low = stats.binom(REPEATS, LOOSE / 1.5).ppf(ALPHA)
    high = stats.binom(REPEATS, LOOSE * 1.5).isf(ALPHA)
    assert low <= failed <= high


def test_proportion_false_alarms_never_exceed_alpha(random):
    """The count is discrete, so its rate lies below alpha; here it is summed exactly."""
    law, refused = stats.binom(200, 0.3), 0.0
    for k in range(201):
        try:
            proportion_is(k, 200, 0.3, alpha=LOOSE, ledger=unpaid())
        except AssertionError:
            refused += law.pmf(k)
    assert LOOSE / 2 < refused <= LOOSE


@pytest.mark.parametrize("wrong", [0.2, 0.1])
def test_bounds_are_refused_as_often_as_stated(wrong):
    """Summed exactly: at most `alpha` at the bound, and the stated power above it."""
    law, refused = stats.binom(300, wrong), 0.0
    for k in range(301):
        try:
            proportion_at_most(k, 300, 0.1, alpha=LOOSE, ledger=unpaid())
        except AssertionError:
            refused += law.pmf(k)
    assert refused == pytest.approx(bound_catches(wrong, 300, 0.1, alpha=LOOSE), rel=1e-9)
    assert refused > 0.99 if wrong > 0.1 else LOOSE / 2 < refused <= LOOSE


def test_ks_false_alarms(random):
    ledger = unpaid()
    false_alarms_are_as_stated(
        lambda: ks_is(random.normal(size=50), stats.norm.cdf, alpha=LOOSE, ledger=ledger)
    )


def test_each_check_fails_on_what_is_wrong_and_names_both_sides(random):
    x = random.normal(size=20_000)
    wrong = [
        (lambda: mean_is(x, 0.1), r"mean must be 0\.1, but is .*z = -1\d\."),
        (lambda: mean_is(x + 0.1, 0.0), r"mean must be 0, but is .*z = \+1\d\."),
        (lambda: variance_is(x, 1.1), r"variance must be 1\.1, but is .*z = -"),
        (lambda: variance_is(1.05 * x, 1.0), r"variance must be 1, but is .*z = \+"),
        (lambda: proportion_is(600, 1000, 0.5), r"proportion must be 0\.5, but is 0\.6: z = \+"),
        (lambda: proportion_is(400, 1000, 0.5), r"proportion must be 0\.5, but is 0\.4: z = -"),
        (lambda: ks_is(x, stats.norm(0.1).cdf), r"distribution at .* must be .*, but is .*z = \+"),
    ]
    for check, message in wrong:
        with pytest.raises(AssertionError, match=message):
            check()


def test_nan_and_constant_samples_do_not_pass():
    with pytest.raises(AssertionError, match="z = "):
        mean_is([math.nan] * 10, 0.0, ledger=unpaid())
    with pytest.raises(AssertionError, match="inf"):
        mean_is([1.0] * 10, 0.9, ledger=unpaid())
    mean_is([1.0] * 10, 1.0, ledger=unpaid())


def test_bias_allows_itself_and_no_more(random):
    x = random.normal(size=100_000)
    mean_is(x + 0.05, 0.0, bias=0.05, ledger=unpaid())
    with pytest.raises(AssertionError):
        mean_is(x + 0.10, 0.0, bias=0.05, ledger=unpaid())
    variance_is(1.05 * x, 1.0, bias=0.11, ledger=unpaid())
    with pytest.raises(AssertionError):
        variance_is(1.10 * x, 1.0, bias=0.11, ledger=unpaid())


def test_too_few_events_or_samples_are_refused():
    with pytest.raises(ValueError, match="20 events or more, not 10"):
        proportion_is(10, 1000, 0.01, ledger=unpaid())
    with pytest.raises(ValueError, match="20 events or more at the bound, not 3"):
        proportion_at_most(1, 300, 0.01, ledger=unpaid())
    with pytest.raises(ValueError, match="500 or more, but holds 3"):
        variance_is([1.0, 2.0, 3.0], 1.0, ledger=unpaid())


@pytest.mark.parametrize("kind", [float, lambda x: [x], np.float64, lambda x: np.array([x])])
def test_small_numbers_are_compared_to_a_part_of_themselves(kind):
    """Not to pytest's 1e-12, which joules, cubic metres and seconds are smaller than."""
    assert kind(1e-20) == pytest.approx(kind(1e-20 * (1 + 1e-7)))
    assert kind(1e-20) != pytest.approx(kind(1.1e-20))
    assert kind(1e-20) != pytest.approx(kind(0.0))


def test_ledger_refuses_more_than_the_budget():
    ledger = Ledger(CHECKS * ALPHA)
    for _ in range(CHECKS):
        ledger.charge(ALPHA)
    with pytest.raises(AssertionError, match="use fewer, larger checks"):
        ledger.charge(ALPHA)


@pytest.mark.parametrize(
    "temperature_error,samples,rounding",
    [(0.10, 9.2e3, 100), (0.05, 37e3, 1e3), (0.02, 229e3, 1e3), (0.01, 916e3, 1e3)],
)
def test_required_samples_of_the_langevin_law(temperature_error, samples, rounding):
    """Mean of m_z at xi = 2: L = 1/tanh(xi) - 1/xi, variance 1 - 2 L/xi - L^2, shift xi L' e."""
    xi = 2.0
    mean = 1 / math.tanh(xi) - 1 / xi
    sd = math.sqrt(1 - 2 * mean / xi - mean**2)
    slope = 1 / xi**2 - 1 / math.sinh(xi) ** 2
    found = required_samples(sd, xi * slope * temperature_error)
    assert found == pytest.approx(samples, abs=rounding)


def test_required_samples_give_the_stated_power(random):
    n = required_samples(2.0, 0.5, alpha=LOOSE, power=0.9)
    ledger = unpaid()
    # The means themselves are drawn as samples of n, so power is what the real check shows.
    caught = rejections(
        lambda: mean_is(random.normal(0.5, 2.0, n), 0.0, alpha=LOOSE, ledger=ledger)
    )
    assert stats.binom(REPEATS, 0.88).ppf(ALPHA) <= caught <= stats.binom(REPEATS, 0.91).isf(ALPHA)
