"""Correlation times, read windows and sampling against closed forms and tables."""

import math

import numpy as np
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


@given(r=st.floats(1e-3, 20), phase=st.floats(0, 60))
def test_precessing_window_factor_is_the_double_integral_of_a_damped_cosine(r, phase):
    exact = (
        2
        * integrate.quad(
            lambda t: (1 - t) * math.exp(-r * t) * math.cos(phase * t), 0, 1, limit=400
        )[0]
    )
    found = float(rx.precessing_window_factor(real(r), real(phase))) ** 2
    assert found == pytest.approx(exact, abs=1e-8)


def test_without_precession_the_window_factors_agree():
    r = real(1e-4, 0.3, 1.0, 10.0)
    torch.testing.assert_close(
        rx.precessing_window_factor(r, torch.zeros(4).double()),
        rx.window_factor(r),
        rtol=1e-9,
        atol=0,
    )


def test_dephasing_window_factor_is_the_double_integral_of_its_correlation():
    """Γ = 0.2/ns, ω = 10 rad/ns, Δ = 15: its C(t) by quadrature; Δ → ∞ is the damped cosine."""
    rate, omega, delta = 0.2e9, 10e9, 15.0
    root = rate * np.sqrt(1 - 1j * omega / (rate * delta))
    mixing = (root**2 + rate**2) / (2 * rate * root)

    def correlation(t):
        spread = np.cosh(root * t) + mixing * np.sinh(root * t)
        return (np.exp((rate - 1j * omega) * t) / spread**2).real

    for window in (0.2e-9, 1e-9, 5e-9):
        times = np.linspace(0, window, 20001)
        weighted = (1 - times / window) * np.array([correlation(t) for t in times])
        exact = math.sqrt(2 * integrate.simpson(weighted, x=times) / window)
        found = rx.dephasing_window_factor(window, real(1 / rate), real(omega), real(delta))
        assert float(found) == pytest.approx(exact, rel=1e-6)
        stable = rx.dephasing_window_factor(window, real(1 / rate), real(omega), real(1e9))
        plain = rx.precessing_window_factor(real(window * rate), real(window * omega))
        assert float(stable) == pytest.approx(float(plain), rel=1e-6)


def test_precession_memory_is_the_decay_of_its_correlation():
    time, omega, delta = real(5e-9), real(10e9), real(15.0)
    found = float(rx.precession_memory(time, omega, delta))
    root = np.sqrt(1 - 1j * 10e9 * 5e-9 / 15)
    assert found == pytest.approx(5e-9 / (2 * root.real - 1))
    assert float(rx.precession_memory(time, omega, real(1e9))) == pytest.approx(5e-9)


def test_tabulated_rate_of_an_easy_plane():
    delta = torch.linspace(0, 100, 37, dtype=torch.float64)
    exact = rx.fokker_planck_rate(-delta)
    torch.testing.assert_close(rx.easy_plane_rate(delta), exact, rtol=5e-5, atol=0)
    ends = rx.easy_plane_rate(real(100.0, 100.001))
    assert float(ends[1] - ends[0]) == pytest.approx(0.001, abs=5e-4)


@pytest.mark.parametrize(
    "field, in_plane, window, exact",
    [
        (0.02, 1e-3, 3e-9, 0.981),
        (0.02, 5e-3, 1e-8, 0.480),
        (0.06, 1e-3, 1e-8, 0.906),
        (0.06, 2.5e-3, 1e-8, 0.697),
        (0.06, 5e-3, 1e-9, 0.829),
        (0.2, 1e-3, 3e-8, 0.892),
        (0.2, 5e-3, 3e-9, 0.469),
    ],
)
def test_out_of_round_factor_against_the_klein_kramers_equation(field, in_plane, window, exact):
    """Numbers: matrix exponentials in 60 Hermite and 49 Fourier functions; 2.2 nm, α 0.02."""
    layer = FreeLayer(saturation_magnetisation=1e6, diameter=5e-8, thickness=2.2e-9, damping=0.02)
    thermal = 1.380649e-23 * 300
    moment = layer.saturation_magnetisation * layer.volume
    speed = 2 / math.sqrt(moment * field / thermal) / 0.02
    ratio = window / rx.correlation_time(0.02, real(field))
    found = rx.out_of_round_factor(ratio, real(speed), moment * in_plane / (4 * thermal))
    assert float(found) == pytest.approx(exact, rel=0.065)
    assert float(rx.out_of_round_factor(ratio, real(speed), 0.0)) == 1.0
    assert float(rx.out_of_round_factor(ratio, real(speed), 1e-4)) == pytest.approx(1, abs=1e-3)
