"""Converters: codes, steps, clipping, and the noise of an ideal quantiser."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.array.converter import Adc, Dac, smallest_range
from bayespin.rng import Key
from tests.statistical.check import mean_is, required_samples, variance_is

BITS = (2, 4, 8)
RANGE = 1.5
reals = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=40)


def converted(adc, y, full=RANGE):
    y = torch.as_tensor(y, dtype=torch.float64).clone()
    return adc.convert_(y, torch.tensor(full, dtype=torch.float64))


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_dac_codes_are_equally_spaced_and_end_at_the_ends(bits):
    dac = Dac(bits=bits, full_scale=3.0)
    top = 2**bits - 1
    levels = torch.linspace(0, 3.0, top + 1)
    assert dac.codes(levels).tolist() == list(range(top + 1))
    assert dac.codes(torch.tensor([-1.0, -1e-9, 3.1, 1e9])).tolist() == [0, 0, top, top]
    inside = torch.linspace(0, 3.0, 1001)
    error = (dac.codes(inside) * 3.0 / dac.steps - inside).abs()
    assert float(error.max()) <= 0.5 * 3.0 / top + 1e-6


def test_dac_leaves_its_input_alone():
    x = torch.tensor([0.2, 0.7])
    Dac(bits=4, full_scale=1.0).codes(x)
    assert torch.equal(x, torch.tensor([0.2, 0.7]))


@given(y=reals, bits=st.sampled_from(BITS))
def test_adc_is_monotone_clips_and_repeats_itself(y, bits):
    adc = Adc(bits=bits)
    found = converted(adc, sorted(y))
    assert bool((found.diff() >= 0).all())
    assert float(found.abs().max()) <= RANGE * (1 + 1e-12)
    assert torch.equal(converted(adc, found), found)
    assert torch.equal(converted(adc, [-v for v in sorted(y)]), -found)


@given(y=st.floats(-RANGE, RANGE), bits=st.sampled_from(BITS))
def test_adc_errs_by_half_a_step_inside_its_range(y, bits):
    step = RANGE / (2 ** (bits - 1) - 1)
    found = float(converted(Adc(bits=bits), [y]))
    assert abs(found - y) <= step / 2 * (1 + 1e-9)


def adc_codes_and_ends():
    for bits in BITS:
        found = converted(Adc(bits=bits), torch.linspace(-2 * RANGE, 2 * RANGE, 4001))
        codes = found.unique()
        assert len(codes) == 2**bits - 1
        assert [float(codes[0]), float(codes[-1])] == pytest.approx([-RANGE, RANGE], rel=1e-12)
        assert codes.diff().tolist() == pytest.approx(
            [RANGE / (2 ** (bits - 1) - 1)] * (2**bits - 2)
        )


def test_adc_codes_and_ends():
    """2^b − 1 codes about zero: one code more and one step less is the usual mistake."""
    adc_codes_and_ends()


@pytest.mark.parametrize("bits", BITS)
def test_noise_of_an_ideal_quantiser(bits):
    """Uniform input: error uniform in ±Δ/2, mean 0 and variance Δ²/12; sees 2 % of it."""
    # A uniform law's fourth moment gives its square a standard deviation of √0.8 of the mean.
    count = required_samples(math.sqrt(0.8), 0.02)
    adc, generator = Adc(bits=bits), Key.root(bits).generator()
    y = torch.empty(count, dtype=torch.float64).uniform_(-RANGE, RANGE, generator=generator)
    error = (converted(adc, y) - y) / (RANGE / adc.half_steps)
    mean_is(error, 0.0)
    variance_is(error, 1 / 12)


def test_more_bits_err_less_and_gain_six_decibels_each():
    y = torch.linspace(-RANGE, RANGE, 100_001, dtype=torch.float64)
    errors = [float((converted(Adc(bits=b), y) - y).square().mean()) for b in range(4, 13)]
    ratios = [more / less for less, more in zip(errors[1:], errors, strict=False)]
    assert all(4 * 0.999 < ratio < 4 * 1.4 for ratio in ratios)


def test_each_output_has_its_own_range():
    y = torch.tensor([[5.0, 5.0], [0.3, 0.3]])
    found = Adc(bits=8).convert_(y, torch.tensor([1.0, 2.0]))
    assert found[0].tolist() == pytest.approx([1.0, 2.0])
    assert found[1].tolist() == pytest.approx([38 / 127, 2 * 19 / 127])
    assert found is y


@given(
    y=st.lists(st.integers(1, 10**6), min_size=1, max_size=300, unique=True),
    share=st.sampled_from([0.0, 1e-4, 0.01, 0.1, 0.29]),
)
def test_smallest_range_clips_at_most_its_share_and_could_not_be_smaller(y, share):
    samples = torch.tensor(y) * torch.where(torch.arange(len(y)) % 2 == 0, 1e-3, -1e-3)
    found = smallest_range(samples, share)
    magnitude = samples.abs()
    allowed = share * len(y)
    assert int((magnitude > found).sum()) <= allowed
    smaller = magnitude[magnitude < found]
    if len(smaller) > 0:
        assert int((magnitude > float(smaller.max())).sum()) > allowed


def test_smallest_range_of_silence_is_positive():
    assert 0 < smallest_range(torch.zeros(10)) < 1e-30


@pytest.mark.parametrize(
    "make,message",
    [
        (lambda: Dac(bits=0, full_scale=1.0), "`bits` of a DAC must be 1 to 16, but is 0"),
        (lambda: Dac(bits=17, full_scale=1.0), "`bits` of a DAC must be 1 to 16, but is 17"),
        (lambda: Dac(bits=8, full_scale=0.0), "`full_scale` must be positive, but is 0.0"),
        (lambda: Dac(bits=8, full_scale=math.nan), "`full_scale` must be positive, but is nan"),
        (lambda: Adc(bits=1), "`bits` of an ADC must be 2 to 16, but is 1"),
        (lambda: Adc(bits=17), "`bits` of an ADC must be 2 to 16, but is 17"),
    ],
)
def test_impossible_converters_are_refused(make, message):
    with pytest.raises(ValueError, match=f"^{message}\\.$"):
        make()


@pytest.mark.parametrize("place", [0.0, 0.4, 0.97, 1.2])
def test_straight_through_gradients_are_those_of_the_mean(place):
    """Finite differences of averages over the same noise of two steps, rounding included."""
    adc, share = Adc(bits=6), (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    full = torch.tensor(RANGE, dtype=torch.float64, requires_grad=True)
    noise = torch.special.ndtri(share) * 2 * RANGE / adc.half_steps
    mean = torch.tensor(place * RANGE, dtype=torch.float64, requires_grad=True)
    found = adc.straight_through(mean + noise, full)
    assert torch.equal(found.detach(), converted(adc, (mean + noise).detach()))
    slopes = torch.autograd.grad(found.mean(), (mean, full))

    def average(m, r):
        return float(adc.convert_(m + noise, torch.tensor(r, dtype=torch.float64)).mean())

    m, d = place * RANGE, 2e-3
    by_mean = (average(m + d, RANGE) - average(m - d, RANGE)) / (2 * d)
    by_range = (average(m, RANGE + d) - average(m, RANGE - d)) / (2 * d)
    assert float(slopes[0]) == pytest.approx(by_mean, abs=5e-3)
    assert float(slopes[1]) == pytest.approx(by_range, abs=5e-3)


def test_straight_through_codes_of_a_dac():
    dac = Dac(bits=4, full_scale=2.0)
    x = torch.tensor([-0.3, 0.0, 0.41, 1.2, 2.3], requires_grad=True)
    found = dac.straight_through(x)
    assert torch.equal(found.detach(), dac.codes(x.detach()))
    (slope,) = torch.autograd.grad(found.sum(), x)
    assert slope[2:].tolist() == [7.5, 7.5, 0.0]
    assert float(slope[0]) == 0.0


def test_signed_codes_are_the_codes_of_both_polarities():
    dac = Dac(bits=4, full_scale=2.0)
    x = torch.linspace(-2.5, 2.5, 101)
    assert torch.equal(dac.signed_codes(x), dac.codes(x) - dac.codes(-x))
