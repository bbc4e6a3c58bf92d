"""How fast a stochastic free layer forgets, and what a read window makes of it."""

import math

import numpy as np
import torch

from bayespin.cite import cites
from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.physics.free_layer import FreeLayer, thermal_energy
from bayespin.shapes import Float, Tensor


@cites("10.1103/PhysRev.130.1677")
def correlation_time(
    damping: float, anisotropy_field: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the correlation time of m_z of an easy-plane layer, τ = (1 + α²)/(αγB_k), in seconds.

    Linearised dynamics: m_z is an Ornstein-Uhlenbeck process with autocorrelation exp(−t/τ).

    Symbols: α Gilbert damping; γ gyromagnetic ratio (rad/(s T)); B_k anisotropy field (T).

    Valid for Δ ≫ 1: the exact slowest mode (`fokker_planck_rate`) is slower, by 5 % at Δ = 13 and
    13 % at Δ = 5.6. For α ≪ 1 this is 1/(αγB_k).
    """
    return (1 + damping**2) / (damping * GYROMAGNETIC_RATIO * anisotropy_field)


@cites("10.1103/PhysRev.130.1677", "10.1103/PhysRevB.58.14937")
def free_diffusion_time(layer: FreeLayer, temperature: float) -> float:
    """Return the time in which a free moment forgets its direction.

    τ_N = (1 + α²) M_s V/(2αγkT), in seconds: ⟨m(t)·m(0)⟩ = exp(−t/τ_N) without anisotropy.

    Symbols: α damping; M_s (A/m); V volume (m³); γ (rad/(s T)); T temperature (K).
    """
    moment = layer.saturation_magnetisation * layer.volume
    return (
        (1 + layer.damping**2)
        * moment
        / (2 * layer.damping * GYROMAGNETIC_RATIO * thermal_energy(temperature))
    )


@cites("10.1103/PhysRev.130.1677")
def fokker_planck_rate(
    barrier: Float[Tensor, "*batch"], terms: int = 96
) -> Float[Tensor, "*batch"]:
    """Return λ1 τ_N, the slowest rate of m_z of a uniaxial macrospin in units of 1/τ_N.

    The smallest non-zero eigenvalue of −(1/2) e^{−σu²} d/du[(1 − u²) e^{σu²} d/du], found in the
    odd Legendre polynomials: [A + σB] c = λ c.

    Symbols: σ = K_eff V/kT, signed: σ > 0 a perpendicular easy axis (λ1 is twice the escape rate
    of a well), σ = −Δ an easy plane (λ1 τ_N → Δ − 1/2, so τ = τ_N/λ1 exceeds `correlation_time`).

    Source: Brown (1963). |σ| <= 100 with the default number of terms; beyond σ = 25 the rate is
    below rounding.

    Raises:
        ValueError: |σ| exceeds 100.
    """
    if bool((barrier.abs() > 100).any()):
        raise ValueError("Argument `barrier` must lie in [-100, 100], but does not.")
    order = np.arange(2 * terms + 4)
    # u P_n = up_n P_{n+1} + down_n P_{n-1}; (1-u²) P_n' = slope_n (P_{n-1} - P_{n+1})
    up, down = (order + 1) / (2 * order + 1), order / (2 * order + 1)
    slope = order * (order + 1) / (2 * order + 1)
    size = 2 * terms + 3
    multiply = np.zeros((size, size))
    derive = np.zeros((size, size))  # (1-u²) d/du
    for n in range(size - 1):
        multiply[n + 1, n], derive[n + 1, n] = up[n], -slope[n]
        multiply[n, n + 1], derive[n, n + 1] = down[n + 1], slope[n + 1]
    odd = np.arange(1, 2 * terms, 2)
    diffusion = np.diag(order[odd] * (order[odd] + 1) / 2)
    drift = (multiply @ derive)[np.ix_(odd, odd)]
    matrix = torch.as_tensor(diffusion).to(barrier) - barrier[..., None, None] * torch.as_tensor(
        drift
    ).to(barrier)
    return torch.linalg.eigvals(matrix).real.amin(-1)


def window_factor(window_over_time: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return s_T/s, what averaging over a read window leaves of an exponential correlation.

    s_T/s = √{(2/r)[1 − (1 − e^{−r})/r]}, r = T_r/τ.

    Symbols: T_r length of the boxcar read (s); τ correlation time (s). Exact for an
    Ornstein-Uhlenbeck process, whose average over the window stays Gaussian; → 1 − r/6 for r → 0,
    → √(2/r) for r → ∞.
    """
    small = window_over_time < 1e-3
    r = torch.where(small, torch.ones_like(window_over_time), window_over_time)
    variance = 2 / r * (1 + torch.expm1(-r) / r)
    series = 1 - window_over_time / 3 + window_over_time.square() / 12
    return torch.where(small, series, variance).sqrt()


def sampling_correlation(period_over_time: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return ρ = exp(−T_s/τ), the correlation of samples a period T_s apart (instantaneous reads).

    Window averages of length T_r <= T_s correlate by more: see `read_correlation`.
    """
    return torch.exp(-period_over_time)


def read_correlation(
    window_over_time: Float[Tensor, "*batch"], period_over_time: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the correlation of two boxcar reads of length T_r whose starts are T_s apart.

    ρ = e^{−T_s/τ} · 2(cosh r − 1)/(r² f²), r = T_r/τ, f = `window_factor`(r), for T_s >= T_r.

    Symbols: τ correlation time (s). Exact for an Ornstein-Uhlenbeck process; reduces to
    `sampling_correlation` for T_r → 0. Successive reads j apart correlate by ρ e^{−(j−1)T_s/τ}.

    Raises:
        ValueError: a window is longer than its period.
    """
    if bool((window_over_time > period_over_time).any()):
        raise ValueError("Argument `period_over_time` must be at least the window, but is less.")
    gap = period_over_time - window_over_time
    r = window_over_time.clamp(min=1e-6)
    # e^{-T_s/τ} 2(cosh r - 1) = e^{-gap} (1 - e^{-r})², which cannot overflow
    return torch.exp(-gap) * (torch.expm1(-r) / (r * window_factor(r))).square()


def effective_samples(
    samples: float, correlation: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return T(1 − ρ)/(1 + ρ): independent samples as good for a mean as T of an AR(1) series.

    Symbols: T number of samples; ρ correlation of neighbours, |ρ| < 1. Valid for T ≫ 1/(1 − ρ).
    """
    return samples * (1 - correlation) / (1 + correlation)


def precession_frequency(anisotropy_field: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return f = γB_k/2π in hertz: how fast m_x of a perpendicular layer turns."""
    return GYROMAGNETIC_RATIO * anisotropy_field / (2 * math.pi)
