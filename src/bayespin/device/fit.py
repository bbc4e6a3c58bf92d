"""The compact model of a stochastic junction, fitted to a table of σ and τ.

Δ(x) = (c0 m² + c1 x mⁿ) T_ref/T,    σ = A s(Δ),    τ = τ_N m (T_ref/T)/λ1(Δ)

Symbols: x the setting; A = (G_P − G_AP)/2 (S), known; s the spread of u, λ1 the slowest rate of its
law in units of 1/τ_N; T_ref 300 K; m = M_s(T)/M_s(T_ref) and n of a `free_layer.ThermalLaw`, where
the shape anisotropy falls as m² and K_i, the setting x, as mⁿ. Without such a law m = 1, and a
table over many temperatures may refuse the model. c0, c1 and τ_N are fitted.

Perpendicular: 1/λ1 = 1/Δ in linear theory; with a damping, that of `precession.fitted_precession`,
which holds for stiff rows only, so τ of rows with A²/2σ² < 20 is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy import stats
from scipy.optimize import least_squares

from bayespin.device.stochastic_mtj import GAUSSIAN_STABILITY
from bayespin.device.table import SpreadTable
from bayespin.load import InputError
from bayespin.physics import equilibrium, precession, relaxation
from bayespin.physics.free_layer import REFERENCE_TEMPERATURE, ThermalLaw, magnetisation_ratio
from bayespin.shapes import Bool, Float, Tensor

NAMES = ("intercept", "slope", "diffusion_time")
_UNLIKELY = 0.01
_LARGEST_MISS = 4.0
_SMALLEST = 1e-6
_PRECESSING = 20.0
"""Δ from which the memory of a precession follows its law, within 3 % at a damping of 0.02."""

Orientation = Literal["easy-plane", "perpendicular"]


@dataclass(frozen=True, kw_only=True)
class Junction:
    """What is known of a junction before the fit.

    Raises:
        ValueError: an amplitude or a damping that is not positive.
    """

    amplitude: float
    """A = (G_P − G_AP)/2 in S: σ and τ alone cannot tell it from Δ at large Δ."""
    orientation: Orientation = "easy-plane"
    """Which law u follows."""
    damping: float | None = None
    """α, for the memory of a perpendicular layer beyond linear theory; not fitted."""
    thermal: ThermalLaw | None = None
    """How M_s and K_i fall with temperature; then the setting must be K_i."""

    def __post_init__(self) -> None:
        for name in ("amplitude", "damping"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"`{name}` must be positive, but is {value:g}.")


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

    junction: Junction
    """What was given."""
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
    """ln(τ/law) in standard errors; NaN where τ was left out."""

    @property
    def probability(self) -> float:
        """Chance of a chi² this large if the law holds; NaN without errors in the table."""
        return float(stats.chi2.sf(self.chi_squared, self.degrees)) if self.weighted else np.nan

    @property
    def holds(self) -> Bool[Tensor, " rows"]:
        """Rows that both curves meet within 4 standard errors."""
        tau = self.tau_residual.nan_to_num().abs()
        worst = torch.maximum(self.sigma_residual.abs(), tau)
        return worst <= _LARGEST_MISS

    @property
    def gaussian(self) -> Bool[Tensor, " rows"]:
        """Rows with Δ >= 5, where u is Gaussian."""
        return self.stability >= GAUSSIAN_STABILITY


def fit_compact(table: SpreadTable, junction: Junction) -> CompactFit:
    """Return the compact model that fits a table best, by weighted least squares of ln σ and ln τ.

    Weights are the table's `sigma_error` and `tau_error`; without both, all rows weigh alike and
    the errors come from the scatter. Standard errors: of the covariance (JᵀJ)⁻¹.

    Args:
        table: at least 3 settings; every temperature counts.
        junction: what is known of it.

    Raises:
        InputError: σ exceeds `amplitude`/√3, which no such law allows.
        ValueError: a temperature beyond the thermal law.
    """
    largest = float(table.columns["sigma"].max())
    if not largest < junction.amplitude / 3**0.5:
        raise InputError(
            f"`sigma` must stay below {junction.amplitude / 3**0.5:.3g} S, the amplitude over √3, "
            f"but reaches {largest:.3g} S; check `tmr` and the units."
        )
    errors = _errors(table)
    weighted = errors is not None
    model = _Model(table.columns, junction, errors)
    found = least_squares(model.residuals, model.start(), method="lm", xtol=1e-12, ftol=1e-12)
    degrees = len(found.fun) - 3
    scale = 1.0 if weighted else (2 * found.cost / degrees) ** 0.5
    covariance = scale**2 * np.linalg.inv(found.jac.T @ found.jac)
    stability, sigma, tau = model.curves(found.x)
    missed = model.misses(found.x) / scale
    return CompactFit(
        junction=junction, **model.parameters(found.x, covariance), weighted=weighted,
        chi_squared=float(2 * found.cost), degrees=degrees, stability=stability,
        sigma=sigma, tau=tau, sigma_residual=missed[0],
        tau_residual=missed[1].where(model.remembered, torch.nan),
    )  # fmt: skip


def _errors(table: SpreadTable) -> Tensor | None:
    """Return the relative errors of σ and τ in two rows, if the table has them."""
    rows, found = table.columns, []
    for name in ("sigma", "tau"):
        error = rows.get(f"{name}_error")
        if error is None or not bool((error > 0).all()):
            return None
        found.append(error / rows[name])
    return torch.stack(found)


class _Model:
    """Residuals of the compact model; p = (c0', c1', ln τ_N), the setting scaled to [−1, 1]."""

    def __init__(
        self, rows: Mapping[str, Tensor], junction: Junction, errors: Tensor | None
    ) -> None:
        low, high = rows["setting"].aminmax()
        self.rows, self.junction = rows, junction
        self.errors = torch.ones(2, len(rows["setting"])).double() if errors is None else errors
        self.centre, self.half = float(low + high) / 2, float(high - low) / 2
        self.scaled = (rows["setting"] - self.centre) / self.half
        self.cold = REFERENCE_TEMPERATURE / rows["temperature"]
        law = junction.thermal
        kelvins = rows["temperature"].tolist()
        ratio = [1.0 if law is None else magnetisation_ratio(law, one) for one in kelvins]
        self.moment = torch.tensor(ratio, dtype=torch.float64)
        power = 2.0 if law is None else law.anisotropy_exponent
        self.shape, self.interface = self.moment.square(), self.moment**power
        self.remembered = self._remembered()

    def _remembered(self) -> Tensor:
        """Return the rows whose τ is fitted: the stiff ones of a precession, all if none is."""
        all_rows = torch.ones_like(self.scaled, dtype=torch.bool)
        if self.junction.orientation == "easy-plane" or self.junction.damping is None:
            return all_rows
        stiff = (self.junction.amplitude / self.rows["sigma"]).square() / 2 >= _PRECESSING
        return stiff if bool(stiff.any()) else all_rows

    def start(self) -> np.ndarray:
        """Return where the search begins: Δ ≈ A²/2σ² at each row, τ_N ≈ τ λ1(Δ)."""
        delta = (self.junction.amplitude / self.rows["sigma"]).square() / 2 / self.cold
        factors = torch.stack([self.shape, self._setting_factor()], -1)
        first = np.zeros(3)
        first[:2] = np.linalg.lstsq(factors.numpy(), delta.numpy(), rcond=None)[0]
        tau = self.curves(first)[2]
        first[2] = float((self.rows["tau"] / tau).log()[self.remembered].mean())
        return first

    def _setting_factor(self) -> Tensor:
        """Return what c1' multiplies; c0' multiplies m², and all of the setting's centre is in it.

        c0 m² + c1 x mⁿ = c0' m² + c1' [x' mⁿ + (x_c/h)(mⁿ − m²)], x = x_c + h x'.
        """
        middle = self.centre / self.half * (self.interface - self.shape)
        return self.scaled * self.interface + middle

    def curves(self, p: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Return Δ, σ and τ of every row."""
        delta = (p[0] * self.shape + p[1] * self._setting_factor()) * self.cold
        delta = delta.clamp(min=_SMALLEST)
        time = float(np.exp(p[2])) * self.cold * self.moment
        if self.junction.orientation == "easy-plane":
            spread = equilibrium.easy_plane_std(delta)
            tau = time / relaxation.easy_plane_rate(delta)
        else:
            spread, tau = equilibrium.perpendicular_std(delta), time / delta
            if self.junction.damping is not None:
                omega = 1 / (self.junction.damping * tau)
                tau = precession.fitted_precession(tau, omega, delta)[0]
        return delta, self.junction.amplitude * spread, tau

    def misses(self, p: np.ndarray) -> Tensor:
        """Return ln(σ/law) and ln(τ/law) over their relative errors, in two rows."""
        _, sigma, tau = self.curves(p)
        ratio = torch.stack([self.rows["sigma"] / sigma, self.rows["tau"] / tau])
        return ratio.log() / self.errors

    def residuals(self, p: np.ndarray) -> np.ndarray:
        """Return what is squared: σ of every row, τ of those whose memory follows the law."""
        sigma, tau = self.misses(p)
        return torch.cat([sigma, tau[self.remembered]]).numpy()

    def parameters(self, p: np.ndarray, covariance: np.ndarray) -> dict[str, Fitted]:
        """Return c0, c1, τ_N and their standard errors."""
        shift, time = self.centre / self.half, float(np.exp(p[2]))
        values = (p[0] - shift * p[1], p[1] / self.half, time)
        variance = covariance[0, 0] - 2 * shift * covariance[0, 1] + shift**2 * covariance[1, 1]
        errors = (
            variance**0.5, covariance[1, 1] ** 0.5 / self.half, time * covariance[2, 2] ** 0.5,
        )  # fmt: skip
        return {
            name: Fitted(value=float(value), standard_error=float(error))
            for name, value, error in zip(NAMES, values, errors, strict=True)
        }


def describe(fit: CompactFit) -> str:
    """Return what a fit found, in lines for a terminal."""
    unsure = int((~fit.holds).sum())
    soft = int((~fit.gaussian).sum())
    lines = [
        f"Compact model, {fit.junction.orientation}: D(x) = (c0 + c1 x) 300 K/T, sigma = A s(D)",
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
    left_out = int(fit.tau_residual.isnan().sum())
    if left_out:
        lines.append(f"{left_out} of {rows} rows are too soft for the law of tau: left out")
    lines.append(f"{soft} of {rows} rows have D < 5, where reads are not Gaussian")
    return "\n".join(lines)
