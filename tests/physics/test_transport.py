"""Conductances and current noise against hand-worked values and both limits."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.constants import BOLTZMANN, ELEMENTARY_CHARGE
from bayespin.physics import transport as tr
from bayespin.rng import Key
from tests.statistical.check import variance_is


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("tmr, product", [(1.0, 0.333), (1.5, 0.429), (2.0, 0.500)])
def test_polarisation_table(tmr, product):
    assert tr.polarisation_product(tmr) == pytest.approx(product, abs=5e-4)


@given(tmr=st.floats(0.01, 10), area=st.floats(1e-16, 1e-13), ra=st.floats(1e-12, 1e-8))
def test_conductance_ends_are_parallel_and_antiparallel(tmr, area, ra):
    mean, product = tr.mean_conductance(ra, area, tmr), tr.polarisation_product(tmr)
    found = tr.conductance(real(1.0, -1.0), mean, product)
    parallel, antiparallel = found.tolist()
    assert parallel == pytest.approx(area / ra, rel=1e-12)
    assert antiparallel == pytest.approx(tr.antiparallel_conductance(ra, area, tmr), rel=1e-12)
    assert parallel / antiparallel - 1 == pytest.approx(tmr, rel=1e-9)


def test_conductance_and_not_resistance_is_linear():
    found = tr.conductance(real(-1, 0, 1), 1.0, 0.4)
    assert float(found[0] + found[2]) == pytest.approx(2 * float(found[1]))
    assert float(1 / found[0] + 1 / found[2]) > 2.3 * float(1 / found[1])


def test_magnetoresistance_halves_at_the_half_voltage():
    assert tr.tmr_at_bias(1.5, 0.5, 0.5) == pytest.approx(0.75)
    assert tr.tmr_at_bias(1.5, 0.0, 0.5) == 1.5
    with pytest.raises(ValueError, match="`tmr` must be positive"):
        tr.polarisation_product(0.0)


def test_noise_is_johnsons_at_rest_and_shot_at_high_voltage():
    g = real(4e-6)
    rest = float(tr.current_noise_density(g, 0.0, 300.0))
    assert rest == pytest.approx(4 * BOLTZMANN * 300 * 4e-6, rel=1e-12)
    high = float(tr.current_noise_density(g, 2.0, 300.0))
    assert high == pytest.approx(2 * ELEMENTARY_CHARGE * 4e-6 * 2.0, rel=1e-12)


@pytest.mark.parametrize("voltage, ratio", [(0.02, 1.05), (0.05, 1.29), (0.1, 2.02), (0.2, 3.87)])
def test_excess_over_johnson_noise(voltage, ratio):
    """energy.md §5: x coth x, x = qV/2kT at 300 K, for either sign of the voltage."""
    g = real(1.0)
    rest = tr.current_noise_density(g, 0.0, 300.0)
    for sign in (1, -1):
        assert float(tr.current_noise_density(g, sign * voltage, 300.0) / rest) == pytest.approx(
            ratio, abs=0.006
        )


@given(voltage=st.floats(1e-7, 1e-4))
def test_noise_is_smooth_through_zero_voltage(voltage):
    x = ELEMENTARY_CHARGE * voltage / (2 * BOLTZMANN * 300)
    found = float(tr.current_noise_density(real(1.0), voltage, 300.0)) / (4 * BOLTZMANN * 300)
    assert found == pytest.approx(1 + x * x / 3, rel=1e-9)


def test_variance_of_a_read_in_the_shot_limit_is_poissons():
    """N = IT/q electrons of variance N: var(I) = qI/T."""
    g, voltage, window = real(1e-6), 2.0, 1e-8
    found = float(tr.mean_current_variance(g, voltage, 300.0, window))
    assert found == pytest.approx(ELEMENTARY_CHARGE * 2e-6 / window, rel=1e-9)


def test_variance_of_a_read_against_sampled_electrons():
    """Draw Poisson electron counts: the convention (one- or two-sided) is a factor of two."""
    current, window = 2e-6, 1e-8
    electrons = torch.full((40_000,), current * window / ELEMENTARY_CHARGE, dtype=torch.float64)
    counts = torch.poisson(electrons, generator=Key.root(7).generator())
    sampled = counts * ELEMENTARY_CHARGE / window
    exact = float(tr.mean_current_variance(real(1e-6), 2.0, 300.0, window))
    variance_is(sampled / 1e-6, exact / 1e-12)
    for wrong in (0.5, 2.0):
        with pytest.raises(AssertionError):
            variance_is(sampled / 1e-6, wrong * exact / 1e-12)


def test_variance_of_a_read_at_rest_is_equipartition_on_a_capacitor():
    """An RC that averages exponentially has the noise of a boxcar of 2RC: kT/C on the capacitor."""
    g, capacitance = 1e-5, 1e-15
    variance = tr.mean_current_variance(real(g), 0.0, 300.0, 2 * capacitance / g)
    assert float(variance) / g**2 == pytest.approx(BOLTZMANN * 300 / capacitance, rel=1e-12)


def test_impossible_windows_are_refused():
    with pytest.raises(ValueError, match="`window` must be positive"):
        tr.mean_current_variance(real(1.0), 0.1, 300.0, 0.0)


@pytest.mark.parametrize("xi, shift", [(30, 42), (60, 83), (100, 139), (300, 417)])
def test_one_volt_moves_the_anisotropy_field(xi, shift):
    """physics.md §5, mT per volt at t_MgO = t = 1.2 nm, M_s = 1 MA/m."""
    moved = tr.voltage_controlled_anisotropy(xi * 1e-15, real(1.0), 1.2e-9)
    assert float(moved) * 2 / 1.2e-9 / 1e6 * 1e3 == pytest.approx(shift, abs=0.5)


def test_johnson_voltage():
    assert tr.johnson_voltage(300.0) == pytest.approx(51.7e-3, abs=1e-4)
    assert math.isclose(tr.johnson_voltage(600.0), 2 * tr.johnson_voltage(300.0))
