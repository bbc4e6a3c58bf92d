"""Switching rates against the exact slowest mode, quadrature, and tabulated ratios."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from bayespin.constants import BOLTZMANN, GYROMAGNETIC_RATIO
from bayespin.physics import relaxation, switching
from bayespin.physics.free_layer import FreeLayer


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_asymptote_over_the_exact_mode():
    """micromagnetics.md §5.5: 2Γ/λ1, and the same with 1 − 1/σ; λ1 is twice the rate of a well."""
    barrier = real(0.5, 1, 2, 5, 10, 15, 20)
    exact = relaxation.fokker_planck_rate(barrier)
    ratio = 2 * switching.neel_brown_rate(barrier) / exact
    table = real(0.297, 0.636, 1.070, 1.256, 1.124, 1.076, 1.055)
    torch.testing.assert_close(ratio, table, rtol=0, atol=6e-4)
    corrected = 2 * switching.corrected_neel_brown_rate(barrier[2:]) / exact[2:]
    torch.testing.assert_close(
        corrected, real(0.535, 1.004, 1.012, 1.005, 1.002), rtol=0, atol=6e-4
    )


def test_rate_in_seconds_is_the_form_of_leliaert():
    """(αγ/(1+α²)) √(8K³V/(2πM_s²kT)) e^{−σ}, AIP Adv. 7, 125010, term for term."""
    layer = FreeLayer(saturation_magnetisation=1e6, diameter=20e-9, thickness=1.5e-9, damping=0.1)
    anisotropy, temperature = 1e5, 300.0
    kt = BOLTZMANN * temperature
    sigma = anisotropy * layer.volume / kt
    root = 8 * anisotropy**3 * layer.volume / (2 * math.pi * 1e6**2 * kt)
    exact = 0.1 * GYROMAGNETIC_RATIO / (1 + 0.1**2) * math.sqrt(root) * math.exp(-sigma)
    time = relaxation.free_diffusion_time(layer, temperature)
    assert float(switching.neel_brown_rate(real(sigma))) / time == pytest.approx(exact, rel=1e-12)


def escape_rate(sigma, h, points=20_001):
    """1/T, T the mean first-passage time from u = 1 to u = −0.7, beyond the top, times τ_N.

    T = 2τ_N ∫ du/[(1 − u²) p(u)] ∫_u^1 p, p = exp(σu² + 2σhu).
    """
    u = np.linspace(-0.7, 1, points)
    exponent = sigma * u * u + 2 * sigma * h * u
    weight = np.exp(exponent - exponent.max())
    above = integrate.cumulative_simpson(weight[::-1], x=-u[::-1], initial=0)[::-1]
    # at u = 1 the inner integral is (1 - u) p, so that the integrand ends at 1/2
    integrand = np.append(above[:-1] / weight[:-1] / (1 - u[:-1] ** 2), 0.5)
    return 1 / (2 * integrate.simpson(integrand, x=u))


@pytest.mark.parametrize("h", [-0.2, 0.0, 0.1])
def test_field_along_the_axis(h):
    """The error against quadrature falls as 1/σ, as that of an asymptote must."""
    barrier = np.array([30.0, 60.0]) / (1 + h) ** 2
    found = switching.neel_brown_rate(torch.tensor(barrier), h).numpy()
    error = found / [escape_rate(sigma, h) for sigma in barrier] - 1
    assert 0 < error[0] < 0.045
    assert error[0] / error[1] == pytest.approx(2, rel=0.05)


@given(rate=st.floats(1e3, 1e9), time=st.floats(1e-12, 1e-6))
def test_two_equal_pulses_are_one_of_twice_the_length(rate, time):
    """Staying is multiplicative; the two-state process obeys Chapman and Kolmogorov's equation."""
    rates, back = real(rate), real(rate / 3)
    once, twice = (switching.switching_probability(rates, n * time) for n in (1, 2))
    torch.testing.assert_close(twice, once * (2 - once), rtol=1e-12, atol=0)
    there, here = (
        switching.reversal_probability(a, b, time) for a, b in ((rates, back), (back, rates))
    )
    torch.testing.assert_close(
        switching.reversal_probability(rates, back, 2 * time),
        (1 - there) * there + there * (1 - here),
        rtol=1e-9,
        atol=0,
    )


def test_pulse_of_one_mean_time():
    rate = real(2.5e7)
    assert float(switching.mean_switching_time(rate)) == pytest.approx(40e-9)
    chance = switching.switching_probability(rate, switching.mean_switching_time(rate))
    assert float(chance) == pytest.approx(1 - math.exp(-1))
    long = switching.reversal_probability(rate, rate, 1.0)
    assert float(long) == pytest.approx(0.5)


def test_no_well_is_refused():
    with pytest.raises(ValueError, match=r"must lie inside \(-1, 1\), but reaches 1.2"):
        switching.neel_brown_rate(real(5.0), -1.2)
