"""The bit cell by hand: every number from the preset's values and the formulas of the physics."""

import math
from dataclasses import replace

import pytest

from bayespin.cell.bit_cell import BitCell, CellLayout
from bayespin.device.table import with_table
from bayespin.load import InputError, fingerprint, read_resource

CELL = BitCell.preset()
TRACK = CELL.track
PRESET_HASH = "3f803cf48c86"

K_B, Q, MU0, GAMMA = 1.380649e-23, 1.602176634e-19, 1.25663706e-6, 1.76085963e11
TMR = 1.5 / (1 + (0.1 / 0.5) ** 2)
TRACK_P = 300e-9 * 40e-9 / 500e-12
TRACK_SWING = TRACK_P * TMR / (1 + TMR)
DEAD_ZONE = math.pi * math.sqrt(
    TRACK.exchange / (TRACK.uniaxial_anisotropy - MU0 * TRACK.saturation_magnetisation**2 / 2)
)
FULL_SCALE = TRACK_SWING * (1 - 2 * DEAD_ZONE / 300e-9)
PILLAR_AREA = math.pi * 50e-9**2 / 4
PILLAR_P = PILLAR_AREA / 500e-12
PILLAR_MEAN = PILLAR_P * (1 + 1 / (1 + TMR)) / 2
PILLAR_AMPLITUDE = PILLAR_P * (1 - 1 / (1 + TMR)) / 2


def spread_by_hand(field, temperature=300, window=10e-9):
    """s_T of an easy plane of a field in tesla: 1/√(2Δ) times the boxcar average over a read."""
    stability = field * 1e6 / 2 * PILLAR_AREA * 2.2e-9 / (K_B * temperature)
    ratio = window * 0.02 * GAMMA * field / (1 + 0.02**2)
    return math.sqrt(1 / (2 * stability) * 2 / ratio * (1 - (1 - math.exp(-ratio)) / ratio))


def test_preset_is_frozen():
    """Changing any value of the preset changes every published number: it must be deliberate."""
    content = with_table(read_resource("presets", "easyplane-50nm"))
    assert fingerprint(content)[:12] == PRESET_HASH
    warmer = {**content, "environment": {**content["environment"], "use_temperature": "321 K"}}
    assert fingerprint(warmer)[:12] != PRESET_HASH


def test_full_scale_leaves_the_dead_zones_out():
    assert pytest.approx(FULL_SCALE, rel=1e-6) == CELL.full_scale
    low, high = CELL.track_window
    lost = TRACK_SWING * DEAD_ZONE / 300e-9
    assert low == pytest.approx(TRACK_P - TRACK_SWING + lost, rel=1e-6)
    assert high == pytest.approx(TRACK_P - lost, rel=1e-6)
    assert 1.05 * CELL.full_scale < TRACK_SWING  # what forgetting them would give


def test_pillar_conductances():
    """Nominal, but for the field of the spin torque at full drive, b/α: below 1 %."""
    assert CELL.pillar_conductance == pytest.approx(PILLAR_MEAN, rel=1e-2)
    assert CELL.pillar_conductance != pytest.approx(PILLAR_MEAN, rel=1e-4)


@pytest.mark.parametrize("gain", [1.0, 4.0])
def test_sigma_levels(gain):
    """16 fields from 0.6 T to 20 mT in equal ratios, and the shift of a read at full drive.

    The voltage lowers K_i by ξV/t_MgO, so it adds 2ξV/(t_MgO t M_s) = 4.5 mT to every field. The
    table's levels have standard errors of 0.3 % in s and 1 % in τ.
    """
    shift = 2 * 60e-15 * 0.1 / (1.2e-9 * 2.2e-9 * 1e6)
    fields = [0.6 * (0.020 / 0.6) ** (level / 15) + shift for level in range(16)]
    scale = gain * math.sqrt(2) * PILLAR_AMPLITUDE / FULL_SCALE
    expected = [scale * spread_by_hand(field) for field in fields]
    assert CELL.sigma_levels(gain, 300.0).tolist() == pytest.approx(expected, rel=2e-2)


def test_a_read_that_raises_the_anisotropy_widens_the_spread():
    raised = replace(CELL, cell=replace(CELL.cell, pillar_polarity=1))
    ratio = raised.sigma_levels(4.0, 300.0) / CELL.sigma_levels(4.0, 300.0)
    assert 1.2 < float(ratio[-1]) < 1.6
    assert 1.0 < float(ratio[0]) < 1.03


def test_spreads_grow_from_level_to_level_and_with_temperature():
    levels = [CELL.sigma_levels(4.0, kelvin) for kelvin in (300.0, 310.0)]
    assert bool((levels[0].diff() > 0).all())
    assert bool((levels[1][:12] > levels[0][:12]).all())


@pytest.mark.parametrize("gain", [1.0, 4.0, 8.0])
def test_read_noise(gain):
    """2kTG/T_r · x coth x at 320 K, tracks at mid-scale, pillars times g²."""
    x = Q * 0.1 / (2 * K_B * 320)
    conductance = 2 * TRACK_P - TRACK_SWING + gain**2 * 2 * CELL.pillar_conductance
    variance = 2 * K_B * 320 * conductance / 10e-9 * x / math.tanh(x)
    expected = math.sqrt(variance) / 0.1 / FULL_SCALE
    assert CELL.read_noise(gain) == pytest.approx(expected, rel=1e-6)
    assert CELL.read_noise(0.0) < CELL.read_noise(gain)


def test_sigma_window_adds_the_read_noise():
    low, high = CELL.sigma_window(4.0, 0.5)
    levels, noise = CELL.sigma_levels(4.0, 300.0), CELL.read_noise(4.0)
    assert low == pytest.approx(0.5 * math.hypot(float(levels[0]), noise), rel=1e-9)
    assert high == pytest.approx(0.5 * math.hypot(float(levels[-1]), noise), rel=1e-9)


def test_sampling_period_covers_the_slowest_pillar():
    slowest = (1 + 0.02**2) / (0.02 * GAMMA * 0.020)
    cold = replace(CELL, environment=replace(CELL.environment, use_temperature=300.0))
    # The slowest mode at Δ = 10 lags behind the linear law by a few percent.
    assert 1.0 < cold.sampling_period() / (3 * slowest) < 1.1
    assert CELL.sampling_period() < cold.sampling_period()
    patient = replace(CELL, read=replace(CELL.read, window=1e-6))
    assert patient.sampling_period() == 1e-6


@pytest.mark.parametrize(
    "section,change",
    [
        ("variation", {"setting_spread": -0.01}),
        ("variation", {"conductance_spread": math.nan}),
        ("variation", {"stray_field": -1e-3}),
        ("variation", {"dead_gate_probability": 1.5}),
        ("programming", {"sigma_tolerance": 0.0}),
        ("programming", {"mean_tolerance": -0.1}),
        ("programming", {"sigma_verify_reads": 15}),
        ("programming", {"mean_attempts": 1}),
        ("read", {"voltage": 0.0}),
        ("read", {"window": -1e-9}),
        ("read", {"input_bits": 0}),
        ("read", {"adc_bits": 17}),
        ("environment", {"use_temperature": 0.0}),
        ("environment", {"programming_temperature": 601.0}),
        ("environment", {"use_temperature": math.nan}),
        ("cell", {"column_gains": (1.0, 0.0)}),
        ("cell", {"column_gains": ()}),
        ("cell", {"pillar_polarity": 0}),
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
    assert CellLayout(column_gains=(1.0,), pillar_polarity=-1).column_gains == (1.0,)
