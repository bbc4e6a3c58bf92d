"""The stochastic junction against its own macrospin and against limits."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.device import stochastic_mtj as device
from bayespin.device.stochastic import Gate, ReadPoint, StochasticDevice
from bayespin.device.stochastic_mtj import StochasticMtj
from bayespin.numerics.quadrature import shape
from bayespin.numerics.stochastic import keyed_step_noise
from bayespin.physics import equilibrium, macrospin
from bayespin.physics import free_layer as free
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins
from bayespin.rng import Key
from tests.statistical.check import mean_is, variance_is


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


GATE = Gate(
    kind="non-volatile",
    step_error=0.1,
    resolution=2e-3,
    pulse_energy=2.4e-15,
    pulse_time=1e-7,
    endurance=1e9,
    drift_per_decade=1e-3,
)


def junction(**changes):
    layer = FreeLayer(saturation_magnetisation=1e6, diameter=5e-8, thickness=2.2e-9, damping=0.02)
    settings = {
        "layer": layer,
        "tmr": 1.5,
        "half_voltage": 0.5,
        "resistance_area": 500e-12,
        "anisotropy_low": 0.4894e-3,
        "anisotropy_high": 1.1273e-3,
        "levels": 16,
        "gate": GATE,
        "voltage_control": 60e-15,
        "barrier_thickness": 1.2e-9,
    }
    return StochasticMtj(**{**settings, **changes})


def test_levels_run_from_floor_to_cap_with_equal_ratios_of_field():
    mtj = junction()
    levels = device.level_anisotropies(mtj)
    ends = real(mtj.anisotropy_low, mtj.anisotropy_high)
    torch.testing.assert_close(levels[[0, -1]], ends, rtol=1e-12, atol=0)
    fields = device.easy_plane_field(mtj, levels)
    ratios = fields[1:] / fields[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand(15), rtol=1e-9, atol=0)
    spreads = device.read_spread(mtj, levels, 300.0, 10e-9)
    steps = spreads[1:] / spreads[:-1]
    ratio = float(1 / ratios[0])
    assert bool(((steps > 0.999 * math.sqrt(ratio)) & (steps < ratio)).all())
    assert device.spread_window(mtj, 300.0, 10e-9) == (float(spreads[0]), float(spreads[-1]))


def test_equal_steps_of_anisotropy_would_not_have_equal_ratios():
    """Why the levels are geometric in field: a linear ladder crowds its levels at the floor."""
    mtj = junction()
    linear = torch.linspace(mtj.anisotropy_low, mtj.anisotropy_high, 16, dtype=torch.float64)
    spreads = device.read_spread(mtj, linear, 300.0, 10e-9)
    steps = spreads[1:] / spreads[:-1]
    assert float(steps.min()) < 1.08
    assert float(steps.max()) > 1.9


@pytest.fixture(scope="module")
def simulated():
    """u of a fast pillar (α 0.5) averaged over 0.5 ns, without and with a stray field."""
    mtj = junction(layer=dataclasses.replace(junction().layer, damping=0.5))
    anisotropy = free.interface_anisotropy_for_field(mtj.layer, real(0.04))
    stray = 6e-3
    spins = Macrospins(
        layer=mtj.layer,
        effective_anisotropy=free.effective_anisotropy(mtj.layer, anisotropy).expand(2, 1),
        applied_field=torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, stray]])[..., None].double(),
        temperature=300.0,
        time_step=5e-12,
    )
    start = macrospin.init(spins, 6000, Key.root(21).generator())
    noise = keyed_step_noise(Key.root(21).child("noise"), start)
    settled = macrospin.simulate(spins, start, noise, range(400))
    total = torch.zeros(2, 6000, dtype=torch.float64)
    macrospin.simulate(spins, settled, noise, range(400, 500), lambda _, m: total.add_(m[:, 2]))
    return mtj, anisotropy, stray, total / 100


def test_read_spread_is_that_of_the_simulated_macrospin(simulated):
    """Bias: the linearised τ is 3 % short at Δ = 21, where r = 1.4 turns it into 2 % of s_T²."""
    mtj, anisotropy, _, averages = simulated
    exact = float(device.read_spread(mtj, anisotropy, 300.0, 0.5e-9)) ** 2
    variance_is(averages[0], exact, bias=0.025 * exact)
    instantaneous = float(device.read_spread(mtj, anisotropy, 300.0, 1e-15)) ** 2
    with pytest.raises(AssertionError):  # σ must be calibrated as s_T, not s
        variance_is(averages[0], instantaneous, bias=0.025 * exact)


def test_mean_shift_is_that_of_the_simulated_macrospin(simulated):
    mtj, anisotropy, stray, averages = simulated
    exact = float(device.mean_shift(mtj, anisotropy, real(stray), 300.0))
    assert exact == pytest.approx(stray / 0.04, rel=0.01)
    mean_is(averages[1], exact, bias=0.002)
    mean_is(averages[0], 0.0)
    with pytest.raises(AssertionError):
        mean_is(averages[1], -exact, bias=0.002)


@given(anisotropy=st.floats(0.5e-3, 1.12e-3), cooler=st.floats(250, 400), warmer=st.floats(0, 100))
def test_heat_widens_the_spread(anisotropy, cooler, warmer):
    mtj = junction()
    low, high = (
        device.read_spread(mtj, real(anisotropy), t, 1e-8) for t in (cooler, cooler + warmer)
    )
    assert float(high) >= float(low)


def test_spread_goes_with_the_root_of_temperature():
    mtj = junction()
    levels = device.level_anisotropies(mtj)[:8]
    cool, warm = (device.read_spread(mtj, levels, t, 1e-15) for t in (300.0, 320.0))
    torch.testing.assert_close(warm, cool * math.sqrt(320 / 300), rtol=1e-6, atol=0)


@given(window=st.floats(1e-10, 1e-7))
def test_a_longer_read_narrows_every_level_and_most_the_fast_ones(window):
    mtj = junction()
    levels = device.level_anisotropies(mtj)
    kept = device.read_spread(mtj, levels, 300.0, 2 * window) / device.read_spread(
        mtj, levels, 300.0, window
    )
    assert bool((kept < 1).all())
    assert bool((kept.diff() > -1e-12).all())


def test_mean_shift_by_quadrature_broadcasts_levels_against_fields():
    mtj = junction()
    levels, fields = device.level_anisotropies(mtj), real(-1.5e-3, 0.0, 4e-3)[:, None]
    found = device.mean_shift(mtj, levels, fields, 300.0)
    delta = device.stability(mtj, levels, 300.0).expand(3, 16)
    moment = mtj.layer.saturation_magnetisation * mtj.layer.volume
    zeeman = (moment * fields / free.thermal_energy(300.0)).expand(3, 16)
    exact = shape(equilibrium.easy_plane_law(delta, zeeman)).mean
    torch.testing.assert_close(found, exact, atol=1e-9, rtol=0)


def test_conductance_by_hand_and_under_bias():
    mtj = junction()
    parallel = math.pi / 4 * 50e-9**2 / 500e-12
    assert device.mean_conductance(mtj) == pytest.approx(parallel * 0.7)
    assert device.conductance_amplitude(mtj) == pytest.approx(parallel * 0.3)
    biased = device.conductance_amplitude(mtj, 0.5)
    assert biased == pytest.approx(parallel * (1 - 1 / 1.75) / 2)


def test_gaussian_from_stability_five():
    mtj = junction()
    assert bool(device.is_gaussian(mtj, device.level_anisotropies(mtj), 300.0).all())
    field = 2 * 4.9 * free.thermal_energy(300.0) / mtj.layer.volume / 1e6
    soft, perpendicular = (
        free.interface_anisotropy_for_field(mtj.layer, real(sign * field)) for sign in (1, -10)
    )
    assert not bool(device.is_gaussian(mtj, soft, 300.0))
    assert not bool(device.is_gaussian(mtj, perpendicular, 300.0))


def test_read_voltage_moves_the_anisotropy_field():
    """ξ = 60 fJ/(V m) and 0.1 V: 8 mT on a 1.2 nm layer (physics.md §5), 4.5 mT on 2.2 nm."""
    mtj = junction()
    moved = device.anisotropy_shift(mtj, real(0.1))
    shift = device.easy_plane_field(mtj, real(1e-3)) - device.easy_plane_field(mtj, 1e-3 + moved)
    assert float(shift) == pytest.approx(8.3e-3 * 1.2 / 2.2, rel=0.01)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"tmr": 0.0}, "`tmr` must be positive"),
        ({"levels": 1}, "`levels` must be at least 2"),
        ({"anisotropy_low": 1.2e-3}, r"must lie in \[0, anisotropy_high\)"),
        ({"anisotropy_high": 1.2e-3}, "must stay below compensation, 0.001149 J/m2"),
    ],
)
def test_impossible_junctions_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        junction(**changes)


def test_fluctuation_is_the_law_of_one_read_in_siemens():
    mtj = junction()
    assert isinstance(mtj, StochasticDevice)
    settings = mtj.level_settings()
    read = ReadPoint(temperature=320.0, window=1e-8, voltage=0.1)
    found = mtj.fluctuation(settings, read, stray_field=1.5e-3)
    gated = settings + device.anisotropy_shift(mtj, real(0.1))  # the read voltage softens K_eff
    amplitude = device.conductance_amplitude(mtj, 0.1)
    spread = amplitude * device.read_spread(mtj, gated, 320.0, 1e-8)
    torch.testing.assert_close(found.deviation, spread, rtol=1e-6, atol=0)
    shift = (found.mean - device.mean_conductance(mtj, 0.1)) / amplitude
    pushed = 1.5e-3 + 0.6856e-3  # the spin torque of 0.1 V, b/α
    torch.testing.assert_close(
        shift[:8], (pushed / device.easy_plane_field(mtj, gated))[:8], rtol=1e-4, atol=0
    )
    assert bool((found.correlation_time.diff() > 0).all())
