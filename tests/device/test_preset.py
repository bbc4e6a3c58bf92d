"""The reference preset, derived again: every number of physics.md §9 that follows from others."""

import math
from dataclasses import replace

import pytest
import torch

from bayespin.device import domain_wall_mtj, presets, stochastic_mtj
from bayespin.device.domain_wall_mtj import DomainWallMtj
from bayespin.load import build, read_resource
from bayespin.physics import equilibrium, transport

PRESET = read_resource("presets", "easyplane-50nm")
PILLAR = presets.junction()
TRACK = build(DomainWallMtj, PRESET["track"], "preset")
LEVELS = stochastic_mtj.level_anisotropies(PILLAR)
GAIN = 4


def ends(values):
    """Cap first, as the reference writes them."""
    return values[[-1, 0]].tolist()


def test_resistances():
    assert PILLAR.resistance_area / PILLAR.layer.area == pytest.approx(255e3, rel=3e-3)
    assert TRACK.resistance_area / TRACK.area == pytest.approx(42e3, rel=1e-2)


def test_interface_anisotropy_in_the_digits_of_the_reference():
    assert (PILLAR.anisotropy_high, PILLAR.anisotropy_low) == pytest.approx(
        (1.13e-3, 0.49e-3), abs=0.005e-3
    )
    assert PILLAR.levels == TRACK.levels == 16


def test_fields_spreads_and_times():
    assert ends(stochastic_mtj.easy_plane_field(PILLAR, LEVELS)) == pytest.approx(
        [0.020, 0.600], rel=3e-3
    )
    delta = stochastic_mtj.stability(PILLAR, LEVELS, 300.0)
    assert ends(equilibrium.easy_plane_std(delta)) == pytest.approx([0.219, 0.040], abs=5e-4)
    times = stochastic_mtj.correlation_time(PILLAR, LEVELS)
    assert ends(times * 1e9) == pytest.approx([14.2, 0.47], rel=1e-2)


@pytest.mark.parametrize("window, spreads", [(1e-8, [0.197, 0.012]), (2e-9, [0.214, 0.024])])
def test_spread_after_the_read_window(window, spreads):
    found = ends(stochastic_mtj.read_spread(PILLAR, LEVELS, 300.0, window))
    assert found == pytest.approx(spreads, abs=6e-4)


def test_every_level_is_gaussian():
    assert bool(stochastic_mtj.is_gaussian(PILLAR, LEVELS, 320.0).all())


def window_over(full_scale):
    spread = stochastic_mtj.read_spread(PILLAR, LEVELS, 300.0, 1e-8)
    scale = GAIN * math.sqrt(2) * stochastic_mtj.conductance_amplitude(PILLAR) / full_scale
    return ends(scale * spread)


def noise_over(full_scale, gain):
    """Read noise of one cell at full input over w_max: both tracks, and both pillars with g²."""
    low, high = domain_wall_mtj.conductance_window(TRACK)
    pillars = 2 * stochastic_mtj.mean_conductance(PILLAR)
    conductance = torch.tensor(low + high + gain**2 * pillars, dtype=torch.float64)
    variance = transport.mean_current_variance(conductance, 0.1, 300.0, 1e-8)
    return math.sqrt(float(variance)) / 0.1 / full_scale


def test_window_of_sigma():
    """0.005 to 0.09 of w_max holds for a track without dead zones; they raise it by 1/0.913."""
    parallel, antiparallel = domain_wall_mtj.saturated_conductances(TRACK)
    assert window_over(parallel - antiparallel) == pytest.approx([0.0912, 0.0056], abs=1e-4)
    low, high = domain_wall_mtj.conductance_window(TRACK)
    assert (high - low) / (parallel - antiparallel) == pytest.approx(0.913, abs=1e-3)
    assert window_over(high - low) == pytest.approx([0.0998, 0.0061], abs=1e-4)


def test_read_noise():
    """The reference's 0.005 of w_max is the noise of the tracks alone.

    The pillars' shot noise passes the gain: at g = 4 the cell has 0.0099 of w_max, and 0.0108
    with dead zones, which is more than the smallest spread that the pillars can hold.
    """
    parallel, antiparallel = domain_wall_mtj.saturated_conductances(TRACK)
    assert noise_over(parallel - antiparallel, 0) == pytest.approx(0.0052, abs=1e-4)
    assert noise_over(parallel - antiparallel, GAIN) == pytest.approx(0.0099, abs=1e-4)
    low, high = domain_wall_mtj.conductance_window(TRACK)
    assert noise_over(high - low, GAIN) == pytest.approx(0.0108, abs=1e-4)


def test_every_section_says_where_its_values_come_from():
    assert set(PRESET["source"]) == set(PRESET) - {"source"}
    assert all("onfidence" in text or "calibration" in text for text in PRESET["source"].values())


def test_a_wrong_thickness_would_be_noticed():
    """The numbers above pin the geometry: 5 % of thickness moves the field at the cap by 60 %."""
    other = replace(PILLAR, layer=replace(PILLAR.layer, thickness=2.31e-9))
    fields = stochastic_mtj.easy_plane_field(other, stochastic_mtj.level_anisotropies(other))
    assert ends(fields) != pytest.approx([0.020, 0.600], rel=3e-3)
