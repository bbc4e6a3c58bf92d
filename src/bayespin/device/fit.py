"""The compact model of a stochastic junction, fitted to a table of σ and τ.

Δ(x) = (c0 + c1 x) T_ref/T,    σ = A s(Δ),    τ = τ_N (T_ref/T)/λ1(Δ)

Symbols: x the setting; A = (G_P − G_AP)/2 (S), known; s the spread of u, λ1 the slowest rate of its
law in units of 1/τ_N (Δ itself for a perpendicular layer, linear theory); T_ref 300 K. c0, c1 and
τ_N are fitted. M_s and K_i are taken as independent of temperature: fit tables of a wide range of
temperatures one by one.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import stats
from scipy.optimize import least_squares

from bayespin.device.stochastic_mtj import GAUSSIAN_STABILITY
from bayespin.device.table import SpreadTable
from bayespin.load import InputError
from bayespin.physics import equilibrium, relaxation
from bayespin.physics.free_layer import REFERENCE_TEMPERATURE
from bayespin.shapes import Bool, Float, Tensor

NAMES = ("intercept", "slope", "diffusion_time")
_UNLIKELY = 0.01
_LARGEST_MISS = 4.0
_SMALLEST = 1e-6

Orientation = Literal["easy-plane", "perpendicular"]


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A number from a fit and one standard error, in SI."""

    value: float
    standard_error: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the two-sided normal interval at a level of confidence."""
        reach = float(stats.norm.isf((1 - level) / 2)) * self.standard_error
        return self.value - reach, self.value + reach


@dataclass(frozen=True, kw_only=True)
class CompactFit:
    """What a fit found, and how well the law holds; rows are the table's."""

    orientation: Orientation
    amplitude: float
    """A in S."""
    intercept: Fitted
    """c0, Δ at setting 0 and 300 K."""
    slope: Fitted
    """c1, Δ per unit of the setting."""
    diffusion_time: Fitted
    """τ_N at 300 K in s."""
    weighted: bool
    """Errors are the table's; else they are estimated from the scatter, and chi² says nothing."""
    chi_squared: float
    degrees: int
    """Residuals less parameters."""
    stability: Float[Tensor, " rows"]
    sigma: Float[Tensor, " rows"]
    """Of the law, S."""
    tau: Float[Tensor, " rows"]
    """Of the law, s."""
    sigma_residual: Float[Tensor, " rows"]
    """ln(σ/law) in standard errors."""
    tau_residual: Float[Tensor, " rows"]

    @property
    def probability(self) -> float:
        """Chance of a chi² this large if the law holds; NaN without errors in the table."""
        return float(stats.chi2.sf(self.chi_squared, self.degrees)) if self.weighted else np.nan

    @property
    def holds(self) -> Bool[Tensor, " rows"]:
        """Rows that both curves meet within 4 standard errors."""
        worst = torch.maximum(self.sigma_residual.abs(), self.tau_residual.abs())
        return worst <= _LARGEST_MISS

    @property
    def gaussian(self) -> Bool[Tensor, " rows"]:
        """Rows with Δ >= 5, where u is Gaussian."""
        return self.stability >= GAUSSIAN_STABILITY


def fit_compact(
    table: SpreadTable, amplitude: float, orientation: Orientation = "easy-plane"
) -> CompactFit:
    """Return the compact model that fits a table best, by weighted least squares of ln σ and ln τ.

    Weights are the table's `sigma_error` and `tau_error`; without both, all rows weigh alike and
    the errors come from the scatter. Standard errors: of the covariance (JᵀJ)⁻¹.

    Args:
        table: at least 3 settings; every temperature counts.
        amplitude: (G_P − G_AP)/2 in S: σ and τ alone cannot tell it from Δ at large Δ.
        orientation: which law u follows.

    Raises:
        InputError: σ exceeds `amplitude`/√3, which no such law allows.
    """
    rows, weighted = _rows(table)
    if not float(table.columns["sigma"].max()) < amplitude / 3**0.5:
        raise InputError(
            f"`sigma` must stay below {amplitude / 3**0.5:.3g} S, the amplitude over √3, but "
            f"reaches {float(table.columns['sigma'].max()):.3g} S; check `tmr` and the units."
        )
    model = _Model(rows, amplitude, orientation)
    found = least_squares(model.residuals, model.start(), method="lm", xtol=1e-12, ftol=1e-12)
    count = 2 * len(rows["setting"])
    scale = 1.0 if weighted else (2 * found.cost / (count - 3)) ** 0.5
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    values, errors = model.parameters(found.x, scale * np.sqrt(covariance.diagonal()), covariance)
    stability, sigma, tau = model.curves(found.x)
    over = torch.from_numpy(found.fun).reshape(2, -1) / scale
    fitted = {
        name: Fitted(value=float(v), standard_error=float(e))
        for name, v, e in zip(NAMES, values, errors, strict=True)
    }
    return CompactFit(
        orientation=orientation, amplitude=amplitude, **fitted, weighted=weighted,
        chi_squared=float(2 * found.cost), degrees=count - 3, stability=stability,
        sigma=sigma, tau=tau, sigma_residual=over[0], tau_residual=over[1],
    )  # fmt: skip


def _rows(table: SpreadTable) -> tuple[dict[str, Tensor], bool]:
    """Return the columns with relative errors, and whether those are the table's."""
    rows = dict(table.columns)
    errors = [rows.get(f"{name}_error") for name in ("sigma", "tau")]
    weighted = all(e is not None and bool((e > 0).all()) for e in errors)
    for name in ("sigma", "tau"):
        error = rows[f"{name}_error"] / rows[name] if weighted else torch.ones_like(rows[name])
        rows[f"{name}_relative"] = error
    return rows, weighted


class _Model:
    """Residuals of the compact model; p = (c0', c1', ln τ_N), the setting scaled to [−1, 1]."""

    def __init__(self, rows: dict[str, Tensor], amplitude: float, orientation: Orientation) -> None:
        low, high = rows["setting"].aminmax()
        self.rows, self.amplitude, self.orientation = rows, amplitude, orientation
        self.centre, self.half = float(low + high) / 2, float(high - low) / 2
        self.scaled = (rows["setting"] - self.centre) / self.half
        self.cold = REFERENCE_TEMPERATURE / rows["temperature"]

    def start(self) -> np.ndarray:
        """Return where the search begins: Δ ≈ A²/2σ² at each row, τ_N ≈ τ λ1(Δ)."""
        delta = (self.amplitude / self.rows["sigma"]).square() / 2 / self.cold
        slope, intercept = np.polyfit(self.scaled.numpy(), delta.numpy(), 1)
        first = np.array([max(intercept, 1.1 * abs(slope)), slope, 0.0])
        tau = self.curves(first)[2]
        return first + np.array([0, 0, float((self.rows["tau"] / tau).log().mean())])

    def curves(self, p: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Return Δ, σ and τ of every row."""
        delta = ((p[0] + p[1] * self.scaled) * self.cold).clamp(min=_SMALLEST)
        time = float(np.exp(p[2])) * self.cold
        if self.orientation == "easy-plane":
            rate, spread = relaxation.easy_plane_rate(delta), equilibrium.easy_plane_std(delta)
        else:
            rate, spread = delta, equilibrium.perpendicular_std(delta)
        return delta, self.amplitude * spread, time / rate

    def residuals(self, p: np.ndarray) -> np.ndarray:
        """Return ln(σ/law) and ln(τ/law) over their relative errors."""
        _, sigma, tau = self.curves(p)
        parts = (
            (self.rows[name] / law).log() / self.rows[f"{name}_relative"]
            for name, law in (("sigma", sigma), ("tau", tau))
        )
        return torch.cat(list(parts)).numpy()

    def parameters(
        self, p: np.ndarray, errors: np.ndarray, covariance: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return c0, c1, τ_N and their standard errors."""
        shift = self.centre / self.half
        scale = errors[0] / covariance[0, 0] ** 0.5
        variance = covariance[0, 0] - 2 * shift * covariance[0, 1] + shift**2 * covariance[1, 1]
        time = np.exp(p[2])
        values = np.array([p[0] - shift * p[1], p[1] / self.half, time])
        return values, np.array([scale * variance**0.5, errors[1] / self.half, time * errors[2]])


def describe(fit: CompactFit) -> str:
    """Return what a fit found, in lines for a terminal."""
    unsure = int((~fit.holds).sum())
    soft = int((~fit.gaussian).sum())
    lines = [
        f"Compact model, {fit.orientation}: D(x) = (c0 + c1 x) 300 K/T, sigma = A s(D)",
        f"c0     {fit.intercept.value:12.5g} +- {fit.intercept.standard_error:.2g}",
        f"c1     {fit.slope.value:12.5g} +- {fit.slope.standard_error:.2g} per unit of setting",
        f"tau_N  {fit.diffusion_time.value:12.5g} +- {fit.diffusion_time.standard_error:.2g} s",
    ]
    if fit.weighted:
        poor = fit.probability < _UNLIKELY
        verdict = "the law does not hold throughout" if poor else "the law holds"
        lines.append(
            f"chi2 {fit.chi_squared:.1f} for {fit.degrees} degrees of freedom "
            f"(p = {fit.probability:.2g}): {verdict}"
        )
    else:
        lines.append("no errors in the table: they are taken from the scatter about the law")
    rows = len(fit.stability)
    lines.append(f"{unsure} of {rows} rows miss the law by more than 4 standard errors")
    lines.append(f"{soft} of {rows} rows have D < 5, where reads are not Gaussian")
    return "\n".join(lines)
