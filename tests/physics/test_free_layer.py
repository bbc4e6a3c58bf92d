"""Geometry and anisotropy of a free layer against tabulated values and limits."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, special

from bayespin.constants import BOLTZMANN
from bayespin.physics import free_layer as free
from bayespin.physics.free_layer import FreeLayer


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def pillar(**changes):
    layer = {"saturation_magnetisation": 1e6, "diameter": 50e-9, "thickness": 2.2e-9}
    return FreeLayer(**{**layer, "damping": 0.02, **changes})


@pytest.mark.parametrize("aspect", [0.01, 0.044, 0.3, 1.0, 4.0])
def test_demagnetising_factor_by_numerical_integration(aspect):
    """Independent route: N_z = 2 ∫ J1(k R)²/k (1 − e^{−kt})/(kt) dk of two charged discs."""
    radius, thickness = 1.0, 2 * aspect

    def integrand(k):
        return 2 * special.j1(k) ** 2 / k * -math.expm1(-k * thickness) / (k * thickness)

    edges = np.concatenate(([1e-12], np.arange(1, 401) * math.pi * radius))
    head = sum(integrate.quad(integrand, a, b)[0] for a, b in itertools.pairwise(edges))
    # Beyond the last edge J1² averages 1/(πk) and the exponential is gone.
    tail = 2 / (math.pi * thickness) / (2 * edges[-1] ** 2)
    _, perpendicular = free.demagnetising_factors(2 * radius, thickness)
    assert perpendicular == pytest.approx(head + tail, abs=3e-7 / aspect)


def test_demagnetising_factors_known_values():
    in_plane, perpendicular = free.demagnetising_factors(50e-9, 2.2e-9)
    assert perpendicular - in_plane == pytest.approx(0.8315, abs=5e-5)
    assert free.demagnetising_factors(1.0, 1.0)[1] == pytest.approx(0.3116, abs=5e-5)
    assert free.demagnetising_factors(1.0, 0.9065)[1] == pytest.approx(1 / 3, abs=1e-5)


@given(aspect=st.floats(1e-5, 1e3))
def test_demagnetising_factors_trace_bounds_and_order(aspect):
    in_plane, perpendicular = free.demagnetising_factors(1.0, aspect)
    assert 2 * in_plane + perpendicular == pytest.approx(1, abs=1e-14)
    assert 0 < perpendicular < 1
    assert perpendicular > free.demagnetising_factors(1.0, 1.01 * aspect)[1]


@pytest.mark.parametrize("aspect", [1e-6, 1e-4, 1e-3])
def test_demagnetising_factor_thin_limit(aspect):
    _, perpendicular = free.demagnetising_factors(1.0, aspect)
    thin = 2 * aspect / math.pi * (math.log(4 / aspect) - 0.5)
    assert 1 - perpendicular == pytest.approx(thin, abs=aspect**2 + 1e-9)


def test_easy_plane_fields_of_the_reference_pillar():
    """physics.md §3: B_k 20 to 200 mT at K_i 1.13 to 0.93 mJ/m², K_i → 0 ends above 1 T."""
    layer = pillar()
    anisotropies = free.interface_anisotropy_for_field(layer, real(0.02, 0.2, 0.6))
    torch.testing.assert_close(anisotropies * 1e3, real(1.13, 0.93, 0.49), atol=0.005, rtol=0)
    bare = free.anisotropy_field(layer, free.effective_anisotropy(layer, real(0.0)))
    assert 1.0 < float(bare) < 1.1


def test_one_per_cent_of_interface_anisotropy_is_22_mt_on_a_thin_layer():
    """physics.md §5, which speaks of t = 1.2 nm and K_i 1.3 mJ/m²."""
    layer = pillar(thickness=1.2e-9)
    effective = free.effective_anisotropy(layer, real(1.3e-3, 1.01 * 1.3e-3))
    change = float((effective[1] - effective[0]) * 2 / layer.saturation_magnetisation)
    assert change == pytest.approx(22e-3, abs=0.5e-3)


@given(field=st.floats(1e-4, 1.0), diameter=st.floats(1e-8, 1e-7), thickness=st.floats(5e-10, 4e-9))
def test_field_to_interface_anisotropy_and_back(field, diameter, thickness):
    layer = pillar(diameter=diameter, thickness=thickness)
    anisotropy = free.interface_anisotropy_for_field(layer, real(field))
    effective = free.effective_anisotropy(layer, anisotropy)
    assert float(effective) < 0
    assert float(free.anisotropy_field(layer, effective)) == pytest.approx(field, rel=1e-9)


def test_stability_factor_by_hand():
    layer = pillar(diameter=50e-9, thickness=1.2e-9)
    volume = math.pi / 4 * 50e-9**2 * 1.2e-9
    assert layer.volume == pytest.approx(volume)
    found = free.stability_factor(layer, real(-1e4), 300.0)
    assert float(found) == pytest.approx(1e4 * volume / (BOLTZMANN * 300), rel=1e-12)


@pytest.mark.parametrize("name", ["saturation_magnetisation", "diameter", "thickness", "damping"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_impossible_layers_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be positive"):
        pillar(**{name: value})


def test_impossible_temperatures_are_refused():
    with pytest.raises(ValueError, match="`temperature` must be positive"):
        free.stability_factor(pillar(), real(1.0), 0.0)


def test_magnetisation_and_anisotropy_fall_with_temperature():
    """T* = 1200 K: 300 K is an eighth of T*^{3/2}, 675 K 27/64; so m = (37/64)/(7/8) at 675 K."""
    law = free.ThermalLaw(bloch_temperature=1200.0, anisotropy_exponent=2.0)
    ratio = 37 / 64 / (7 / 8)
    assert free.magnetisation_ratio(law, 675.0) == pytest.approx(ratio, rel=1e-12)
    assert free.magnetisation_ratio(law, 300.0) == 1
    hot = free.layer_at(pillar(), law, 675.0)
    assert hot.saturation_magnetisation == pytest.approx(1e6 * ratio, rel=1e-12)
    found = free.interface_anisotropy_at(real(1e-3), law, 675.0)
    torch.testing.assert_close(found, real(1e-3 * ratio**2), rtol=1e-12, atol=0)
    assert free.layer_at(pillar(), None, 675.0) == pillar()
    with pytest.raises(ValueError, match=r"inside \(0, 1200\) K, but is 1200 K"):
        free.magnetisation_ratio(law, 1200.0)
    with pytest.raises(ValueError, match="`bloch_temperature` must exceed 300 K"):
        free.ThermalLaw(bloch_temperature=300.0, anisotropy_exponent=2.0)
    with pytest.raises(ValueError, match="`anisotropy_exponent` must not be negative"):
        free.ThermalLaw(bloch_temperature=1200.0, anisotropy_exponent=-1.0)
