"""Correlation times, read windows and sampling against closed forms and tables."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from bayespin.physics import relaxation as rx
from bayespin.physics.free_layer import FreeLayer


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_correlation_time_values():
    """physics.md §4 and §9: 4.7 ns at 60 mT, 14.2 ns at 20 mT, 0.47 ns at 0.6 T, α 0.02."""
    found = rx.correlation_time(0.02, real(0.06, 0.02, 0.6)) * 1e9
    torch.testing.assert_close(found, real(4.73, 14.2, 0.473), rtol=2e-3, atol=0)


def test_window_factor_table():
    found = rx.window_factor(real(0.1, 0.3, 1, 3, 10))
    torch.testing.assert_close(found, real(0.984, 0.952, 0.858, 0.675, 0.424), atol=5.1e-4, rtol=0)


@given(r=st.floats(1e-6, 200))
def test_window_factor_is_the_double_integral_of_the_correlation(r):
    """Var of a mean over [0, r] = (2/r²) ∫ (r − t) e^{−t} dt."""
    exact = 2 / r**2 * integrate.quad(lambda t: (r - t) * math.exp(-t), 0, r, limit=200)[0]
    assert float(rx.window_factor(real(r))) == pytest.approx(math.sqrt(exact), rel=1e-7)


def test_window_factor_limits_and_gradient():
    assert float(rx.window_factor(real(1e-5))) == pytest.approx(1 - 1e-5 / 6, abs=1e-11)
    assert float(rx.window_factor(real(1e6))) == pytest.approx(math.sqrt(2e-6), rel=1e-6)
    assert torch.autograd.gradcheck(rx.window_factor, (real(1e-4, 0.5, 9.0).requires_grad_(),))


def test_sampling_correlation_and_effective_samples():
    rho = rx.sampling_correlation(real(3.0))
    assert float(rho) == pytest.approx(0.05, abs=5e-4)
    assert float(rx.effective_samples(100, rho)) == pytest.approx(90.5, abs=0.1)


@given(rho=st.floats(-0.9, 0.9))
def test_effective_samples_is_the_variance_of_an_ar1_mean(rho):
    """n/n_eff = 1 + 2 ∑ (1 − k/n) ρ^k for large n."""
    n = 4000
    k = torch.arange(1, n, dtype=torch.float64)
    inflation = float(1 + 2 * ((1 - k / n) * rho**k).sum())
    assert float(rx.effective_samples(n, real(rho))) == pytest.approx(n / inflation, rel=0.06)


@given(window=st.floats(1e-3, 20), gap=st.floats(0, 5))
def test_read_correlation_is_the_double_integral_over_two_windows(window, gap):
    exact = integrate.dblquad(lambda a, b: math.exp(-(gap + window + a - b)), 0, window, 0, window)[
        0
    ]
    variance = (window * float(rx.window_factor(real(window)))) ** 2
    found = rx.read_correlation(real(window), real(window + gap))
    assert float(found) == pytest.approx(exact / variance, rel=1e-6)


def test_read_correlation_reduces_to_sampling_and_refuses_overlap():
    found = rx.read_correlation(real(1e-5), real(3.0))
    assert float(found) == pytest.approx(math.exp(-3), rel=1e-4)
    with pytest.raises(ValueError, match="at least the window"):
        rx.read_correlation(real(2.0), real(1.0))


def test_slowest_rate_table_of_an_easy_axis():
    """Exact rates of the micromagnetics reference (§5.5)."""
    sigma = real(0, 0.5, 1, 2, 5, 10, 15, 20)
    exact = real(1, 0.81352, 0.65314, 0.40384, 0.067703, 1.44108e-3, 1.86324e-5, 1.97166e-7)
    torch.testing.assert_close(rx.fokker_planck_rate(sigma), exact, rtol=2e-5, atol=0)


def test_slowest_rate_of_an_easy_plane_tends_to_the_linear_one():
    """λ1 τ_N → Δ − 1/2: the linearised time is short by 1/(2Δ)."""
    delta = real(20, 40, 80)
    excess = delta - rx.fokker_planck_rate(-delta)
    torch.testing.assert_close(excess, real(0.5, 0.5, 0.5), atol=0.06, rtol=0)
    with pytest.raises(ValueError, match="must lie in"):
        rx.fokker_planck_rate(real(-101.0))


def test_linear_and_free_diffusion_time_share_one_scale():
    """τ_N/Δ = (1 + α²)/(αγB_k) exactly, for B_k = 2K/M_s and Δ = KV/kT."""
    layer = FreeLayer(saturation_magnetisation=1e6, diameter=5e-8, thickness=2e-9, damping=0.3)
    energy = 4e3
    delta = energy * layer.volume / (1.380649e-23 * 300)
    time = rx.correlation_time(0.3, real(2 * energy / 1e6))
    assert float(time) == pytest.approx(rx.free_diffusion_time(layer, 300.0) / delta, rel=1e-12)


def test_precession_frequency():
    assert float(rx.precession_frequency(real(1.0))) == pytest.approx(28.025e9, rel=1e-4)
