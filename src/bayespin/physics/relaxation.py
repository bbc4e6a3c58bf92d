"""How fast a stochastic free layer forgets, and what a read window makes of it."""

import functools
import math

import numpy as np
import torch
from scipy import special

from bayespin.cite import cites
from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.numerics.interpolation import lookup
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


_SLOW_NODES, _LARGEST = 257, 100.0


@functools.cache
def _easy_plane_rates() -> Tensor:
    """Return ln λ1 τ_N of easy planes at equal steps of ln(1 + Δ) up to Δ = 100."""
    grid = torch.linspace(0, math.log1p(_LARGEST), _SLOW_NODES, dtype=torch.float64)
    return fokker_planck_rate(-torch.expm1(grid).clamp(max=_LARGEST), terms=64).log()


def easy_plane_rate(stability: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return λ1 τ_N of an easy plane, `fokker_planck_rate`(−Δ) looked up in a table.

    Within 5e-5 of it for Δ <= 100; beyond, λ1 τ_N = Δ − 1/2 − 3/(4Δ).

    Symbols: Δ stability factor; τ_N `free_diffusion_time`, so that τ = τ_N/λ1τ_N.
    """
    step = math.log1p(_LARGEST) / (_SLOW_NODES - 1)
    within = lookup(_easy_plane_rates(), stability.log1p() / step).exp()
    beyond = stability - 0.5 - 0.75 / stability.clamp(min=1)
    return torch.where(stability <= _LARGEST, within, beyond)


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


def precessing_window_factor(
    window_over_time: Float[Tensor, "*#batch"], phase: Float[Tensor, "*#batch"]
) -> Float[Tensor, "*batch"]:
    """Return s_T/s of a correlation e^{−t/τ} cos ωt after a boxcar read.

    (s_T/s)² = 2 Re[(z − 1 + e^{−z})/z²], z = T_r/τ − iωT_r.

    Symbols: T_r length of the read (s); τ correlation time (s); ω angular frequency (rad/s), ωT_r
    the `phase`. The double integral of the correlation over the window; `window_factor` at ω = 0.
    """
    z = torch.complex(*torch.broadcast_tensors(window_over_time, -phase))
    return _boxcar(z).real.clamp(min=0).sqrt()


def _boxcar(z: Tensor) -> Tensor:
    """Return 2(z − 1 + e^{−z})/z², the average of e^{−z|x − y|} over the unit square."""
    small = z.abs() < 1e-2
    safe = torch.where(small, torch.ones_like(z), z)
    series = 1 - z / 3 + z * z / 12 - z * z * z / 60
    return torch.where(small, series, 2 * (safe + torch.expm1(-safe)) / (safe * safe))


@cites("10.1103/PhysRev.130.1677")
def dephasing_window_factor(
    window: float,
    correlation_time: Float[Tensor, "*batch"],
    angular_frequency: Float[Tensor, "*batch"],
    stability: Float[Tensor, "*batch"],
    terms: int = 48,
) -> Float[Tensor, "*batch"]:
    """Return s_T/s of m_x of a perpendicular layer, whose frequency falls with its amplitude.

    C(t) = Re e^{Γt − iωt}/[cosh at + c sinh at]², a = Γ√(1 − iω/(ΓΔ)), c = (a² + Γ²)/(2Γa).

    Derivation: ψ = m_x + i m_y turns at ωm_z ≈ ω(1 − I/2Δ), I = Δ|ψ|² of law e^{−I}, and decays at
    Γ: E[ψ(t)|ψ] = ψ exp(A − BI), with Riccati equations for A and B. In powers of e^{−2at} it is
    a sum of exponentials, ∑ (n+1) ρⁿ 4/(1+c)² e^{−[2(n+1)a − Γ + iω]t}, ρ = (c − 1)/(c + 1), each
    averaged as in `precessing_window_factor`, which is the limit Δ → ∞.

    Symbols: T_r `window` (s); Γ = 1/τ (1/s), τ as of an easy plane; ω = γB_k/(1 + α²) (rad/s);
    Δ stability factor.

    Source: Brown (1963) for the noise. First order in 1/Δ of the frequency, so for Δ >= 10.
    """
    rate = 1 / correlation_time
    detuning = angular_frequency / (rate * stability)
    root = torch.complex(torch.ones_like(detuning), -detuning).sqrt()
    mixing = (root * root + 1) / (2 * root)
    ratio = (mixing - 1) / (mixing + 1)
    n = torch.arange(terms, dtype=rate.dtype, device=rate.device)
    weight = (n + 1) * ratio[..., None] ** n * (4 / (1 + mixing) ** 2)[..., None]
    turning = torch.complex(-torch.ones_like(rate), angular_frequency / rate)[..., None]
    z = (2 * (n + 1) * root[..., None] + turning) * (window * rate)[..., None]
    return (weight * _boxcar(z)).sum(-1).real.clamp(min=0).sqrt()


def precession_memory(
    correlation_time: Float[Tensor, "*batch"],
    angular_frequency: Float[Tensor, "*batch"],
    stability: Float[Tensor, "*batch"],
) -> Float[Tensor, "*batch"]:
    """Return the time 1/(2 Re a − Γ) in s in which the envelope of a precession decays at last.

    Symbols: as in `dephasing_window_factor`; below τ = 1/Γ, because frequencies differ.
    """
    detuning = angular_frequency * correlation_time / stability
    root = torch.complex(torch.ones_like(detuning), -detuning).sqrt()
    return correlation_time / (2 * root.real - 1)


def _running(barrier: float) -> tuple[float, float]:
    """Return what orbits over the barrier keep of ⟨u²⟩, and of its diffusion at low friction.

    P = ∑ (2π)²/T, Q = ∑ (2π)²/A over running orbits of energy E, T = ∮dθ/√(2(E + U cos θ)) their
    period, A = ∮√(2(E + U cos θ))dθ their action, both relative to those of U = 0.
    """
    nodes, weights = np.polynomial.laguerre.laggauss(80)
    energy = nodes + 2 * barrier
    modulus, top = 2 * barrier / energy, np.sqrt(2 * energy)
    period = 4 * special.ellipk(modulus) / top
    action = 4 * special.ellipe(modulus) * top
    scale = 8 * math.pi**2 * math.exp(-barrier) / ((2 * math.pi) ** 1.5 * special.i0(barrier))
    return float(scale * (weights / period).sum()), float(scale * (weights / action).sum())


@cites("10.1007/978-3-642-61544-3")
def out_of_round_factor(
    window_over_time: Float[Tensor, "*#batch"], speed: Float[Tensor, "*#batch"], barrier: float
) -> Float[Tensor, "*batch"]:
    """Return what an in-plane anisotropy leaves of the s_T of a round easy plane.

    f² = [P w²(rP/D) + (1 − P) 2(1 − e^{−y²/2})/y² w²(r)]/w²(r), y = Ωr, w `window_factor`,
    Ω² = v²U I1(U)/(3 I0(U)(1 − P)), D = Q + (I0(U)^{−2} − Q)/(1 + 0.52 v U^{1.16}).

    u and twice the azimuth are momentum and place of a particle in a cosine potential: P is the
    part of u² that is on orbits that run round, 1 − P swings in the wells and averages away, D is
    the diffusion of the particle against that of a free one, from overdamped to underdamped (Q).

    Symbols: r = T_r/τ; v `speed` = 2s/α with s of the round pillar; U `barrier` = M_sV B_ip/(4kT),
    B_ip = 2K_ip/M_s (T).

    Source: Risken, The Fokker-Planck Equation (1989), ch. 11, for the particle. P, Q and Ω are
    derived, the coefficients of D fitted to its Klein-Kramers equation at 36 points: 0.26 <= U <=
    1.3, 7 <= v <= 22, 0.07 <= r <= 21, error below 6 %. Beyond U = 1.5 the law ends.
    """
    if barrier == 0:
        return torch.ones(torch.broadcast_shapes(window_over_time.shape, speed.shape)).to(speed)
    kept, slow = _running(barrier)
    kept = min(kept, 1 - min(barrier, 0.3) ** 2 / 2)  # where the quadrature rounds to 1
    bessel = special.i1(barrier) / special.i0(barrier)
    strong = float(special.i0(barrier)) ** -2
    diffusion = slow + (strong - slow) / (1 + 0.52 * speed * barrier**1.16)
    swing = math.sqrt(barrier * bessel / (3 * (1 - kept))) * speed * window_over_time
    y = swing.square().clamp(min=1e-9) / 2
    running = window_factor(window_over_time * (kept / diffusion).clamp(min=1)).square()
    rest = (1 - kept) * -torch.expm1(-y) / y
    return (kept * running / window_factor(window_over_time).square() + rest).sqrt()
