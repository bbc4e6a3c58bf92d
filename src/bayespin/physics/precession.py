"""A precession that dephases, as a damped cosine shows it: what a fit to its memory finds."""

import functools
import math

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.optimize import least_squares

from bayespin.cite import cites
from bayespin.shapes import Float, Tensor

_DECAYS = 4.0
"""Decay times over which a damped cosine is fitted to an autocorrelation, as in
`characterised.correlations`."""
_LEAST, _MOST, _NODES = 1e-3, 1e2, 41


def envelope(time: np.ndarray, detuning: float) -> np.ndarray:
    """Return the complex envelope of the memory of m_x of a perpendicular layer.

    E(t) = e^t/[cosh at + c sinh at]², a = √(1 − iδ), c = (a² + 1)/(2a), so that the autocorrelation
    is Re[E(Γt) e^{−iωt}]; e^{−t} for δ → 0.

    Symbols: t `time` in units of 1/Γ; δ `detuning`, ω/(ΓΔ). Derivation, source and the other
    symbols: `relaxation.dephasing_window_factor`.
    """
    root = np.sqrt(complex(1, -detuning))
    mixing = (root * root + 1) / (2 * root)
    return np.exp(time) / (np.cosh(root * time) + mixing * np.sinh(root * time)) ** 2


def fitted_envelope(detuning: float) -> complex:
    """Return the q whose e^{−qt} is nearest to `envelope` over four of its own decay times.

    Least squares in the complex plane, which is that of a damped cosine where ω ≫ Γ. Re q = Γτ⁻¹
    of the fit, Im q its shift of frequency in units of Γ.
    """
    rate = np.array([1.0, 0.0])
    for _ in range(4):
        times = np.linspace(0, _DECAYS / rate[0], 201)
        rate = least_squares(_misses, rate, args=(times, envelope(times, detuning))).x
    return complex(rate[0], rate[1])


def _misses(rate: np.ndarray, times: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    missed = np.exp(-complex(rate[0], rate[1]) * times) - wanted
    return np.concatenate([missed.real, missed.imag])


@functools.cache
def _rates() -> CubicSpline:
    """Return Re q and Im q as splines of ln δ."""
    grid = np.linspace(math.log(_LEAST), math.log(_MOST), _NODES)
    found = [fitted_envelope(math.exp(one)) for one in grid]
    return CubicSpline(grid, [[q.real, q.imag] for q in found])


@cites("10.1103/PhysRev.130.1677")
def fitted_precession(
    correlation_time: Float[Tensor, "*batch"],
    angular_frequency: Float[Tensor, "*batch"],
    stability: Float[Tensor, "*batch"],
) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
    """Return τ (s) and f (Hz) of the damped cosine that fits the memory of a perpendicular layer.

    τ = 1/(Γ Re q), f = (ω + Γ Im q)/2π, q(ω/ΓΔ) of `fitted_envelope`, a spline to 1e-4.

    Symbols: Γ = 1/`correlation_time` (1/s), linear theory; ω = γB_k/(1 + α²) (rad/s); Δ stability
    factor. The tail alone decays by `relaxation.precession_memory`, up to 8 % faster.

    First order in 1/Δ of the frequency: against macrospins of α = 0.02 τ within 2 % and f within
    0.2 % for Δ >= 25, τ 11 % too long and f 0.7 % at Δ = 12. |Im q| falls into f, which is lower.
    """
    rate = 1 / correlation_time
    detuning = (angular_frequency / (rate * stability)).clamp(min=_LEAST, max=_MOST)
    found = torch.from_numpy(_rates()(detuning.double().log().cpu().numpy())).to(rate)
    turning = angular_frequency + rate * found[..., 1]
    return correlation_time / found[..., 0], turning / (2 * math.pi)
