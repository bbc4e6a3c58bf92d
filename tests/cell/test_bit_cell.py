"""The bit cell by hand: every number from the preset's values and the formulas of the physics."""

import math
from dataclasses import replace

import pytest

from bayespin.cell.bit_cell import BitCell, CellLayout
from bayespin.load import InputError, fingerprint, read_resource

CELL = BitCell.preset()
PRESET_HASH = "ba51cb00992b"

K_B, Q, MU0, GAMMA = 1.380649e-23, 1.602176634e-19, 1.25663706e-6, 1.76085963e11
TMR = 1.5 / (1 + (0.1 / 0.5) ** 2)
TRACK_P = 300e-9 * 40e-9 / 500e-12
TRACK_SWING = TRACK_P * TMR / (1 + TMR)
DEAD_ZONE = math.pi * math.sqrt(12e-12 / (536e3 - MU0 * 0.795e6**2 / 2))
FULL_SCALE = TRACK_SWING * (1 - 2 * DEAD_ZONE / 300e-9)
PILLAR_AREA = math.pi * 50e-9**2 / 4
PILLAR_P = PILLAR_AREA / 500e-12
PILLAR_MEAN = PILLAR_P * (1 + 1 / (1 + TMR)) / 2
PILLAR_AMPLITUDE = PILLAR_P * (1 - 1 / (1 + TMR)) / 2


def spread_by_hand(field, temperature, window=10e-9):
    """s_T of an easy plane of a field in tesla: 1/√(2Δ) times the boxcar average over a read."""
    stability = field * 1e6 / 2 * PILLAR_AREA * 2.2e-9 / (K_B * temperature)
    ratio = window * 0.02 * GAMMA * field / (1 + 0.02**2)
    return math.sqrt(1 / (2 * stability) * 2 / ratio * (1 - (1 - math.exp(-ratio)) / ratio))


def test_preset_is_frozen():
    """Changing any value of the preset changes every published number: it must be deliberate."""
    content = read_resource("presets", "easyplane-50nm")
    assert fingerprint(content)[:12] == PRESET_HASH
    warmer = {**content, "environment": {**content["environment"], "use_temperature": "321 K"}}
    assert fingerprint(warmer)[:12] != PRESET_HASH


def test_full_scale_leaves_the_dead_zones_out():
    assert pytest.approx(FULL_SCALE, rel=1e-6) == CELL.full_scale
    low, high = CELL.track_window
    lost = TRACK_SWING * DEAD_ZONE / 300e-9
    assert low == pytest.approx(TRACK_P - TRACK_SWING + lost, rel=1e-6)
    assert high == pytest.approx(TRACK_P - lost, rel=1e-6)
    assert 1.2 * CELL.full_scale < TRACK_SWING  # what forgetting them would give


def test_pillar_conductances():
    assert CELL.pillar_conductance == pytest.approx(PILLAR_MEAN, rel=1e-9)
    assert CELL.pillar_amplitude == pytest.approx(PILLAR_AMPLITUDE, rel=1e-9)


@pytest.mark.parametrize("gain", [1.0, 4.0])
@pytest.mark.parametrize("temperature", [300.0, 320.0])
def test_sigma_levels(gain, temperature):
    """16 fields from 0.6 T to 20 mT in equal ratios; the reference gives them to 0.3 %."""
    fields = [0.6 * (0.020 / 0.6) ** (level / 15) for level in range(16)]
    scale = gain * math.sqrt(2) * PILLAR_AMPLITUDE / FULL_SCALE
    expected = [scale * spread_by_hand(field, temperature) for field in fields]
    assert CELL.sigma_levels(gain, temperature).tolist() == pytest.approx(expected, rel=3e-3)


def test_floor_and_cap_of_the_reference():
    """0.0069 to 0.1125 of w_max at zero bias; 2.3 % less with the TMR at 0.1 V in both pairs."""
    levels = CELL.sigma_levels(4.0, 300.0)
    assert levels[[0, -1]].tolist() == pytest.approx([0.0069, 0.1125], rel=0.03)
    assert bool((levels.diff() > 0).all())


@pytest.mark.parametrize("gain", [1.0, 4.0, 8.0])
def test_read_noise(gain):
    """2kTG/T_r · x coth x at 320 K, tracks at mid-scale, pillars times g²."""
    x = Q * 0.1 / (2 * K_B * 320)
    conductance = 2 * TRACK_P - TRACK_SWING + gain**2 * 2 * PILLAR_MEAN
    variance = 2 * K_B * 320 * conductance / 10e-9 * x / math.tanh(x)
    expected = math.sqrt(variance) / 0.1 / FULL_SCALE
    assert CELL.read_noise(gain) == pytest.approx(expected, rel=1e-6)
    assert CELL.read_noise(0.0) < 0.0068 < CELL.read_noise(gain)


def test_sigma_window_adds_the_read_noise():
    low, high = CELL.sigma_window(4.0, 0.5)
    levels, noise = CELL.sigma_levels(4.0, 300.0), CELL.read_noise(4.0)
    assert low == pytest.approx(0.5 * math.hypot(float(levels[0]), noise), rel=1e-9)
    assert high == pytest.approx(0.5 * math.hypot(float(levels[-1]), noise), rel=1e-9)


def test_sampling_period_covers_the_slowest_pillar():
    slowest = (1 + 0.02**2) / (0.02 * GAMMA * 0.020)
    assert CELL.sampling_period() == pytest.approx(3 * slowest, rel=3e-3)
    patient = replace(CELL, read=replace(CELL.read, window=1e-6))
    assert patient.sampling_period() == 1e-6


@pytest.mark.parametrize(
    "section,change",
    [
        ("programming", {"sigma_residual": -0.01}),
        ("programming", {"conductance_spread": math.nan}),
        ("programming", {"stray_field": -1e-3}),
        ("programming", {"verify_tolerance": -0.1}),
        ("programming", {"verify_attempts": 0}),
        ("read", {"voltage": 0.0}),
        ("read", {"window": -1e-9}),
        ("read", {"input_bits": 0}),
        ("read", {"adc_bits": 17}),
        ("environment", {"use_temperature": 0.0}),
        ("environment", {"programming_temperature": 601.0}),
        ("environment", {"use_temperature": math.nan}),
        ("cell", {"column_gains": (1.0, 0.0)}),
        ("cell", {"column_gains": ()}),
    ],
)
def test_impossible_values_are_refused_by_name(section, change):
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"^`{name}` must .*, but (is|are) ") as raised:
        replace(getattr(CELL, section), **change)
    assert str(value) in str(raised.value)


def test_unknown_preset_names_the_nearest():
    with pytest.raises(InputError, match=r"did you mean `easyplane-50nm`"):
        BitCell.preset("easy-plane-50nm")
    assert CellLayout(column_gains=(1.0,)).column_gains == (1.0,)
