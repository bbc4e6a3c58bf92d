"""The multi-bit junction: hand-worked values, round trips and monotony."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.device import domain_wall_mtj as device
from bayespin.device.domain_wall_mtj import DomainWallMtj, WritePulse
from bayespin.physics import domain_wall

PULSE = WritePulse(
    current_density=5e11,
    spin_hall_angle=0.3,
    duration=3e-9,
    metal_thickness=5e-9,
    metal_resistivity=2e-6,
)


def track(**changes):
    settings = {
        "length": 300e-9,
        "width": 40e-9,
        "thickness": 1.2e-9,
        "tmr": 1.5,
        "half_voltage": 0.5,
        "resistance_area": 500e-12,
        "exchange": 12e-12,
        "uniaxial_anisotropy": 536e3,
        "saturation_magnetisation": 0.795e6,
        "damping": 0.05,
        "dmi": 3e-4,
        "notch_depth": 9e-9,
        "notch_width": 9e-9,
        "levels": 16,
        "missed_step_probability": 1e-3,
        "double_step_probability": 2e-3,
        "notch_spread": 0.1,
        "cycle_spread": 0.05,
        "barrier": 2e-19,
        "attempt_rate": 1e10,
        "write": PULSE,
    }
    return DomainWallMtj(**{**settings, **changes})


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_dead_zone_and_pitch_by_hand():
    """K_eff = 536 − 397.1 = 138.9 kJ/m³, Δ = 9.295 nm, πΔ = 29.2 nm; (300 − 58.4)/15 = 16.1 nm."""
    assert device.dead_zone(track()) == pytest.approx(29.2e-9, abs=5e-11)
    assert device.notch_pitch(track()) == pytest.approx(16.1e-9, abs=5e-11)


def test_conductance_window_by_hand():
    parallel, antiparallel = device.saturated_conductances(track())
    assert (parallel, antiparallel) == pytest.approx((24e-6, 9.6e-6))
    low, high = device.conductance_window(track())
    assert low == pytest.approx(9.6e-6 + 14.4e-6 * 29.2 / 300, rel=1e-3)
    assert high == pytest.approx(24e-6 - 14.4e-6 * 29.2 / 300, rel=1e-3)
    assert device.saturated_conductances(track(), 0.5)[1] == pytest.approx(24e-6 / 1.75)


@given(level=st.floats(0, 15), voltage=st.floats(-0.3, 0.3))
def test_level_to_conductance_and_back(level, voltage):
    g = device.conductance(track(), real(level), voltage)
    low, high = device.conductance_window(track(), voltage)
    assert low * (1 - 1e-12) <= float(g) <= high * (1 + 1e-12)
    assert float(device.level_of(track(), g, voltage)) == pytest.approx(level, abs=1e-9)


def test_levels_are_equidistant_in_conductance_and_end_at_the_window():
    g = device.conductance(track(), torch.arange(16, dtype=torch.float64))
    steps = g.diff()
    torch.testing.assert_close(steps, steps[:1].expand(15), rtol=1e-9, atol=0)
    window = real(*device.conductance_window(track()))
    torch.testing.assert_close(g[[0, -1]], window, rtol=1e-9, atol=0)


def test_nearest_level_and_the_ends():
    wanted = device.conductance(track(), real(3.4, 3.6))
    assert device.nearest_level(track(), wanted).tolist() == [3, 4]
    assert device.nearest_level(track(), real(0.0, 1.0)).tolist() == [0, 15]
    beyond = device.conductance(track(), real(-2.0, 17.0))
    window = real(*device.conductance_window(track()))
    torch.testing.assert_close(beyond, window, rtol=1e-9, atol=0)


def test_linear_conductance_is_that_of_the_wall_profile():
    """The integrated tanh profile at each notch, against the linear law: 0.01 % of the swing."""
    width = device.dead_zone(track()) / torch.pi
    levels = torch.arange(16, dtype=torch.float64)
    position = device.dead_zone(track()) + levels * device.notch_pitch(track())
    exact = domain_wall.parallel_fraction_exact(position, 300e-9, width)
    torch.testing.assert_close(device.parallel_fraction(track(), levels), exact, atol=1e-4, rtol=0)


def test_pulse_by_hand():
    """energy.md §2.5: 2 µΩm, 50 × 5 × 500 nm, 5e11 A/m², 3 ns: 188 fJ; 300 × 40 nm: 90 fJ."""
    assert track(length=500e-9, width=50e-9).pulse_energy == pytest.approx(187.5e-15)
    assert track().pulse_energy == pytest.approx(90e-15)
    assert track().pulse_time == 3e-9
    assert track().step_errors() == (1e-3, 2e-3)


def test_retention_by_hand():
    """2e-19 J is 48.287 kT at 300 K: e^48.287/10 GHz = 9.35e10 s, 3,000 years; 100 at 320 K."""
    held = [track().retention_time(kelvin) for kelvin in (300.0, 320.0)]
    assert held == pytest.approx([9.35e10, 4.57e9], rel=5e-3)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"width": 0.0}, "`width` must be positive"),
        ({"levels": 1}, "`levels` must be at least 2"),
        ({"notch_spread": -0.1}, "`notch_spread` must not be negative"),
        ({"missed_step_probability": 1.0}, r"must lie in \[0, 1\)"),
        (
            {"double_step_probability": 0.9995},
            "must add up to less than 1, but are 0.001 and 0.9995",
        ),
        ({"cycle_spread": -0.1}, "`cycle_spread` must not be negative"),
        ({"attempt_rate": 0.0}, "`attempt_rate` must be positive"),
        ({"length": 50e-9}, "`length` must exceed two dead zones, 5.84e-08 m"),
        ({"uniaxial_anisotropy": 3e5}, "must exceed the shape anisotropy"),
    ],
)
def test_impossible_tracks_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        track(**changes)
