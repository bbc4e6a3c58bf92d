"""Converters with errors: thresholds one by one, random walks, noise, and a saturating front."""

import bisect
import math

import pytest
import torch

from bayespin.array.converter import Adc, Dac
from bayespin.array.converter_errors import (
    AdcErrors,
    MadeAdcs,
    bent_drives,
    bent_levels,
    shared_converters,
)
from bayespin.array.quantised import converted_moments
from bayespin.rng import InjectedNoise, Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples, variance_is
from tests.statistical.faults import Fault
from tests.statistical.power import check_fails

ADC = Adc(bits=5)
TILES, IMAGES, OUTPUTS = 2, 40, 6
FULL = torch.linspace(1, 2, OUTPUTS, dtype=torch.float64).expand(TILES, OUTPUTS)


def made(errors, per=1, seed=0):
    converter = shared_converters(TILES, OUTPUTS, per)
    return MadeAdcs.draw(ADC, errors, converter, KeyedNoise.from_key(Key.root(seed)))


def inputs(seed=1):
    draw = Key.root(seed).generator()
    return 1.2 * torch.randn(TILES, IMAGES, OUTPUTS, generator=draw, dtype=torch.float64)


def silence():
    return InjectedNoise([])


def test_perfect_converters_are_the_ideal_one():
    y = inputs()
    found = made(AdcErrors()).convert(y, FULL, silence())
    assert torch.equal(found, ADC.convert_(y.clone(), FULL[:, None]))


@pytest.mark.parametrize("per", [1, 4])
def test_codes_count_the_thresholds_below(per):
    """Every conversion anew in plain Python; walks of several steps, converters shared by four."""
    adcs = made(AdcErrors(offset=0.7, dnl=0.5, saturation=0.9), per)
    assert adcs.thresholds is not None
    ideal = torch.arange(1 - ADC.half_steps, ADC.half_steps + 1) - 0.5
    assert float((adcs.thresholds - ideal).abs().max()) > 0.8  # rounding first would be wrong
    y = inputs()
    found = adcs.convert(y, FULL, silence())
    for t in range(TILES):
        for j in range(OUTPUTS):
            step = float(FULL[t, j]) / ADC.half_steps
            levels = adcs.thresholds[int(adcs.converter[t, j])].tolist()
            for i in range(IMAGES):
                v = float(y[t, i, j]) / step
                v = min(max(v, -0.9 * ADC.half_steps), 0.9 * ADC.half_steps)
                code = bisect.bisect_left(levels, v + float(adcs.offset[t, j])) - ADC.half_steps
                assert float(found[t, i, j]) == pytest.approx(code * step, rel=1e-12)


def test_outputs_that_share_a_converter():
    assert shared_converters(2, 5, 2).tolist() == [[0, 0, 1, 1, 2], [3, 3, 4, 4, 5]]
    adcs = made(AdcErrors(dnl=0.1), per=4)
    assert adcs.thresholds is not None
    assert len(adcs.thresholds) == 4
    assert len({tuple(row) for row in adcs.thresholds.tolist()}) == 4


def walk_is_a_bridge():
    """Ends are right, and the middle has DNL² i (N − i)/N; sees 8 % of the variance."""
    dnl, steps, count = 0.05, 20, required_samples(math.sqrt(2), 0.08)
    like = torch.empty(count, steps + 1, dtype=torch.float64)
    error = bent_levels(like, dnl, KeyedNoise.from_key(Key.root(5))) - torch.arange(steps + 1)
    assert float(error[:, [0, -1]].abs().max()) < 1e-12
    for i in (1, 10):
        mean_is(error[:, i], 0.0, bias=1e-3 * dnl)
        # Scaling the widths differs from subtracting by DNL²: a percent of the variance.
        variance_is(error[:, i], dnl**2 * i * (steps - i) / steps, bias=0.01 * dnl**2 * i)


def test_walk_is_a_bridge():
    walk_is_a_bridge()


def test_a_walk_with_a_loose_end_is_seen():
    def loose(_):
        def levels(like, dnl, noise):
            steps = (1 + dnl * noise.normal(like[:, 1:])).cumsum(1)
            return torch.nn.functional.pad(steps, (1, 0))

        return levels

    fault = Fault("loose end", "bayespin.array.converter_errors:bent_levels", loose)
    check_fails(walk_is_a_bridge, fault)


def test_codes_never_fall_even_where_some_are_missing():
    adcs = made(AdcErrors(dnl=1.0))
    ramp = torch.linspace(-2.5, 2.5, 2001, dtype=torch.float64)
    found = adcs.convert(ramp[None, :, None].expand(TILES, -1, OUTPUTS), FULL, silence())
    assert bool((found.diff(dim=1) >= 0).all())
    codes = (found / FULL[:, None] * ADC.half_steps).round()
    assert bool((codes[:, 0] == -ADC.half_steps).all())
    assert bool((codes[:, -1] == ADC.half_steps).all())
    assert len(codes[0, :, 0].unique()) < 2 * ADC.half_steps + 1


def test_thermal_noise_and_offset_have_the_moments_of_the_closed_form():
    """One draw of √(s² + n²) before the converter serves both; sees 4 % of the variance."""
    errors = AdcErrors(offset=0.4, thermal_noise=0.8)
    adcs = made(errors)
    count = required_samples(math.sqrt(2), 0.04)
    m, s, step = 0.31, 0.05, float(FULL[0, 0]) / ADC.half_steps
    noise = KeyedNoise.from_key(Key.root(9))
    y = torch.full((TILES, count, OUTPUTS), m, dtype=torch.float64)
    y += s * noise.normal(y)
    found = adcs.convert(y, FULL, noise)[0, :, 0]
    deviation = adcs.deviation(torch.full_like(y[:, :1], s), FULL)[0, 0, 0]
    assert float(deviation) == pytest.approx(math.hypot(s, 0.8 * step), rel=1e-12)
    centre = torch.tensor(m, dtype=torch.float64) + adcs.offset[0, 0] * step
    first, second = converted_moments(centre, deviation, ADC, FULL[0, 0])
    mean_is(found, float(first), bias=1e-4 * step)
    variance_is(found, float(second), bias=5e-4 * step**2)


def test_offsets_have_their_spread():
    converter = shared_converters(40, 400, 8)
    noise = KeyedNoise.from_key(Key.root(2))
    offset = MadeAdcs.draw(ADC, AdcErrors(offset=0.3), converter, noise).offset
    mean_is(offset, 0.0)
    variance_is(offset, 0.09)


def test_an_integrator_that_saturates_below_the_range_clips_first():
    y = inputs()
    found = made(AdcErrors(saturation=0.5)).convert(y, FULL, silence())
    limit = 0.5 * FULL[:, None]
    clipped = torch.minimum(torch.maximum(y, -limit), limit)
    assert torch.equal(found, ADC.convert_(clipped, FULL[:, None]))


def test_the_same_noise_makes_the_same_converters():
    errors = AdcErrors(offset=0.3, dnl=0.2)
    one, same, other = made(errors), made(errors), made(errors, seed=1)
    assert torch.equal(one.offset, same.offset)
    assert torch.equal(one.thresholds, same.thresholds)
    assert not torch.equal(one.thresholds, other.thresholds)


@pytest.mark.parametrize("bits", [1, 8])
def test_bent_drives_rise_from_zero_to_full_scale(bits):
    drives = bent_drives(Dac(bits=bits, full_scale=1.0), 0.3, KeyedNoise.from_key(Key.root(1)))
    assert len(drives) == 2**bits
    assert float(drives[0]) == 0.0
    assert float(drives[-1]) == pytest.approx(1.0, rel=1e-12)
    assert bool((drives.diff() >= 0).all())
    if bits == 8:
        error = drives * 255 - torch.arange(256)
        assert float(error.abs().max()) > 0.5


def test_refusals():
    for name in ("offset", "thermal_noise"):
        with pytest.raises(ValueError, match=f"`{name}` must be finite and not negative"):
            AdcErrors(**{name: -0.1})
    with pytest.raises(ValueError, match="`dnl` must be 0 to 1 steps"):
        AdcErrors(dnl=1.1)
    with pytest.raises(ValueError, match="`saturation` must be positive"):
        AdcErrors(saturation=0.0)
