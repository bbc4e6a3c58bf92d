"""Moments behind a converter against plain sums over codes, and against conversions."""

import itertools
import math

import pytest
import torch
from scipy import stats

from bayespin.array import quantised
from bayespin.array.coding import (
    FEATURE_ERROR,
    BitSerial,
    PulseWidth,
    brute_force,
    coded_variance,
)
from bayespin.array.converter import Adc
from bayespin.array.quantised import clipped_probability, converted_moments, exact_moments
from bayespin.cell.interface import ProgrammedCells
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples, variance_is
from tests.statistical.faults import Fault
from tests.statistical.power import check_fails

STEP = 0.4
DEVIATIONS = [0.0, 1e-3, 0.1, 0.3, 0.6, 0.89, 0.91, 1.0, 2.0, 5.0, 40.0]


def by_hand(mean, deviation, adc, full_range):
    """Codes and their probabilities, one by one."""
    half = adc.half_steps
    step = full_range / half
    codes = range(-half, half + 1)
    law = stats.norm(mean, deviation)
    edges = [-math.inf, *((k - 0.5) * step for k in codes[1:]), math.inf]
    shares = [law.cdf(b) - law.cdf(a) for a, b in itertools.pairwise(edges)]
    first = sum(p * k * step for p, k in zip(shares, codes, strict=True))
    return first, sum(p * (k * step - first) ** 2 for p, k in zip(shares, codes, strict=True))


@pytest.mark.parametrize("bits", [2, 4])
def test_exact_moments_are_the_sum_over_codes(bits):
    adc = Adc(bits=bits)
    full = torch.tensor(STEP * adc.half_steps, dtype=torch.float64)
    for mean in (-3.0, -0.61, 0.0, 0.2, 0.7, 1.3):
        for deviation in (0.05, 0.4, 1.7):
            m, s = (torch.tensor(v, dtype=torch.float64) for v in (mean, deviation))
            found = exact_moments(m, s, adc, full)
            hand = by_hand(mean, deviation, adc, float(full))
            assert float(found[0]) == pytest.approx(hand[0], rel=1e-9, abs=1e-12)
            assert float(found[1]) == pytest.approx(hand[1], rel=1e-9, abs=1e-12)


def grid(bits, deviation):
    adc = Adc(bits=bits)
    full = STEP * adc.half_steps
    mean = torch.linspace(-1.4 * full - 1, 1.4 * full + 1, 997, dtype=torch.float64)
    spread = torch.full_like(mean, deviation * STEP)
    return mean, spread, adc, torch.tensor(full, dtype=torch.float64)


def closed_form_is_exact():
    """Means within and far outside the range, deviations of every regime, 2 to 8 bits."""
    for bits in (2, 4, 8):
        for deviation in DEVIATIONS:
            case = grid(bits, deviation)
            exact, found = exact_moments(*case), converted_moments(*case)
            assert float((found[0] - exact[0]).abs().max()) <= 1e-4 * STEP
            assert float((found[1] - exact[1]).abs().max()) <= 5e-4 * STEP**2


def test_closed_form_is_exact():
    closed_form_is_exact()


@pytest.mark.parametrize("name,wrong", [("NARROW", 0.3), ("_NEAR", 2)])
def test_too_few_thresholds_are_seen(name, wrong):
    fault = Fault(name, f"bayespin.array.quantised:{name}", lambda _: wrong)
    check_fails(closed_form_is_exact, fault)


def test_the_rounding_term_is_seen():
    """Without Δ²/12 the variance of a wide Gaussian is that of the Gaussian."""
    mean, spread, adc, full = grid(8, 2.0)
    inside = mean.abs() < 0.8 * full
    variance = converted_moments(mean, spread, adc, full)[1][inside]
    widrow = torch.full_like(variance, (2 * STEP) ** 2 + STEP**2 / 12)
    torch.testing.assert_close(variance, widrow, rtol=1e-9, atol=0)


def test_one_call_holds_both_regimes():
    """Deviations that differ element by element, and a range for every output."""
    shape = (2, 5, 40)
    draw = Key.root(3).generator()
    mean = 3 * torch.randn(shape, generator=draw, dtype=torch.float64)
    spread = STEP * torch.exp(2 * torch.randn(shape, generator=draw, dtype=torch.float64) - 1)
    full = torch.linspace(1, 4, 40, dtype=torch.float64).expand(2, 1, 40)
    exact = exact_moments(mean, spread, Adc(bits=4), full)
    found = converted_moments(mean, spread, Adc(bits=4), full)
    step = full / 7
    assert float(((found[0] - exact[0]) / step).abs().max()) <= 1e-4
    assert float(((found[1] - exact[1]) / step.square()).abs().max()) <= 5e-4


@pytest.mark.parametrize("deviation", [0.25, 0.95, 2.5])
@pytest.mark.parametrize("place", [0.3, 0.9, 1.1])
def test_conversions_have_these_moments(deviation, place):
    """Sees 1.5 % of a standard deviation in the mean and 5 % of the variance."""
    adc = Adc(bits=5)
    full = torch.tensor(STEP * adc.half_steps, dtype=torch.float64)
    mean, spread = place * full + 0.13 * STEP, torch.tensor(deviation * STEP, dtype=torch.float64)
    first, second = converted_moments(mean, spread, adc, full)
    # The law is skewed beyond the range: a kurtosis of up to 10 is allowed for.
    like = torch.empty(required_samples(3.0, 0.05), dtype=torch.float64)
    key = Key.root(1).child(int(100 * deviation), int(10 * place))
    y = adc.convert_(mean + spread * KeyedNoise.from_key(key).normal(like), full)
    if float(second) < 1e-9 * STEP**2:  # clipped always
        assert torch.equal(y, torch.full_like(y, float(first)))
        return
    mean_is(y, float(first), bias=1e-4 * STEP)
    variance_is(y, float(second), bias=5e-4 * STEP**2)


@pytest.mark.parametrize("deviation", [0.2, 0.6, 1.3, 4.0])
def test_gradients_are_those_of_finite_differences(deviation):
    adc = Adc(bits=4)
    full = torch.tensor([STEP * adc.half_steps], dtype=torch.float64, requires_grad=True)
    mean = torch.tensor([-3.1, -2.3, 0.11, 0.53, 2.61], dtype=torch.float64, requires_grad=True)
    spread = torch.full((5,), deviation * STEP, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda m, s, r: converted_moments(m, s, adc, r), (mean, spread, full), atol=1e-6
    )


def test_gradients_are_near_those_of_the_exact_sum():
    mean, spread, adc, full = grid(4, 1.3)
    slopes = []
    for law in (exact_moments, converted_moments):
        m, s = mean.clone().requires_grad_(), spread.clone().requires_grad_()
        first, second = law(m, s, adc, full)
        slopes.append(torch.autograd.grad((first + second).sum(), (m, s)))
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-3)


def test_single_precision_serves():
    mean, spread, adc, full = grid(8, 2.0)
    single = converted_moments(mean.float(), spread.float(), adc, full.float())
    double = converted_moments(mean, spread, adc, full)
    assert float((single[0] - double[0]).abs().max()) <= 2e-3 * STEP
    inside = mean.abs() < full
    ratio = (single[1][inside].double() / double[1][inside] - 1).abs()
    assert float(ratio.max()) < 0.02


@pytest.mark.parametrize("mean,deviation", [(0.0, 1.0), (0.9, 0.3), (-2.0, 0.5), (3.0, 0.0)])
def test_clipped_probability(mean, deviation):
    law = stats.norm(mean, deviation) if deviation else stats.norm(mean, 1e-9)
    m, s, full = (torch.tensor(v, dtype=torch.float64) for v in (mean, deviation, 1.5))
    found = float(clipped_probability(m, s, full))
    assert found == pytest.approx(law.cdf(-1.5) + law.sf(1.5), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize(
    "coding", [PulseWidth(bits=4, window=1e-8), BitSerial(bits=4, window=1e-8)]
)
def test_variance_is_carried_from_the_dac_to_the_output(coding):
    """Two tiles: cells in time, conversion, digital sum; sees 5 % of the variance."""
    draw = Key.root(8).generator()
    shape = (3, 1)
    parts = [
        ProgrammedCells.differential(
            torch.rand(shape, generator=draw, dtype=torch.float64) - 0.5,
            0.2 + torch.rand(shape, generator=draw, dtype=torch.float64),
            load=2.0,
            correlation_time=4e-9,
        )
        for _ in range(2)
    ]
    adc, codes = Adc(bits=4), torch.tensor([[3, 15, 9]])
    full, count = torch.tensor(2.0, dtype=torch.float64), required_samples(math.sqrt(2), 0.05)
    first, second, found = 0.0, 0.0, torch.zeros(count, dtype=torch.float64)
    for t, cells in enumerate(parts):
        mean = (codes / 15).double() @ cells.mean
        deviation = coded_variance(cells, coding).of(codes.double()).sqrt()
        moments = converted_moments(mean, deviation, adc, full)
        first, second = first + float(moments[0]), second + float(moments[1])
        noise = KeyedNoise.from_key(Key.root(8).child(t, type(coding).__name__))
        y = mean + brute_force(codes.expand(count, -1), cells, coding, noise)
        found += adc.convert_(y, full)[:, 0]
    mean_is(found, first, bias=1e-3)
    variance_is(found, second, bias=FEATURE_ERROR * second)


def test_regimes_meet():
    """What the two forms say where one takes over from the other differs by less than the bound."""
    mean, _, adc, full = grid(5, 1.0)
    sides = []
    for factor in (1 - 1e-9, 1 + 1e-9):
        spread = torch.full_like(mean, quantised.NARROW * STEP * factor)
        sides.append(converted_moments(mean, spread, adc, full))
    for one, other, unit in zip(*sides, (STEP, STEP**2), strict=True):
        assert float((one - other).abs().max()) < 5e-4 * unit
