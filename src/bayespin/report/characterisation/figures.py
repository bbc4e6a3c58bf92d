"""Figures of a characterised pillar, drawn from the rows of results.json on axes of the caller.

rows = json.loads(Path("results.json").read_text())["rows"]
against_field(matplotlib.figure.Figure().add_subplot(), rows, "std")
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from scipy.special import ndtri

from bayespin.physics import equilibrium, relaxation
from bayespin.report.formatting import prefixed
from bayespin.report.palette import colour

Row = Mapping[str, Any]
ROLES: Final = ("perread", "spintronic", "aleatoric", "ideal", "epistemic", "frozen", "other")
"""Colours of curves beside one another."""
LABELS: Final = {"std": "std of u, s (1)", "decay_time": "correlation time τ"}
LAWS: Final = {"std": "std", "decay_time": "slowest_time"}
"""What a law calls each statistic."""
SIGMAS: Final = 2
"""Standard errors of an error bar."""
_STEPS: Final = (1, 2, 2.5, 5, 10)


def value(row: Row, name: str, part: str = "value") -> float:
    """Return a number of a statistic of a row, not a number where it is unknown."""
    found = (row.get(name) or {}).get(part)
    return math.nan if found is None else float(found)


def temperatures(rows: Sequence[Row]) -> list[float]:
    """Return the temperatures of the table, the first one first."""
    return list(dict.fromkeys(row["temperature"] for row in rows if row["varied"] == "setting"))


def plain_ticks(axis: Axis) -> None:
    """Write plain numbers at 1, 2 and 5 of each decade of a logarithmic axis, or 1 of many."""
    low, high = axis.get_view_interval()
    many = high > 300 * low
    axis.set_major_locator(LogLocator(subs=(1.0,) if many else (1.0, 2.0, 5.0), numticks=12))
    axis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _log_field(axes: Axes) -> None:
    axes.set_xscale("log")
    plain_ticks(axes.xaxis)
    axes.set_xlabel("anisotropy field B_k (mT)")


def against_field(axes: Axes, rows: Sequence[Row], name: str) -> Axes:
    """Draw a statistic of the table against B_k, with its law, one colour per temperature.

    Args:
        axes: where to draw.
        rows: of results.json.
        name: "std" or "decay_time".
    """
    scale, unit = 1.0, ""
    if name == "decay_time":
        largest = max(value(row, name) for row in rows if row["varied"] == "setting")
        scale, symbol = prefixed(largest, "s")
        unit = f" ({symbol})"
    for role, temperature in zip(ROLES, temperatures(rows), strict=False):
        own = _of(rows, temperature)
        field = [1e3 * row["anisotropy_field"] for row in own]
        law = [float(row["laws"][LAWS[name]]) / scale for row in own]
        axes.plot(field, law, color=colour(role), linewidth=1.2, zorder=2)
        axes.errorbar(
            field, [value(row, name) / scale for row in own],
            yerr=[SIGMAS * value(row, name, "se") / scale for row in own],
            color=colour(role), linestyle="none", marker="o", markersize=3.5, elinewidth=1.2,
        )  # fmt: skip
    axes.set_yscale("log")
    plain_ticks(axes.yaxis)
    axes.set_ylabel(LABELS[name] + unit)
    _log_field(axes)
    return axes


def _of(rows: Sequence[Row], temperature: float) -> list[Row]:
    chosen = [r for r in rows if r["varied"] == "setting" and r["temperature"] == temperature]
    return sorted(chosen, key=lambda row: row["anisotropy_field"])


def residuals(axes: Axes, rows: Sequence[Row], name: str, law: str | None = None) -> Axes:
    """Draw simulated over law − 1 in per cent against B_k, bars of two standard errors."""
    key = LAWS[name] if law is None else law
    for role, temperature in zip(ROLES, temperatures(rows), strict=False):
        own = [row for row in _of(rows, temperature) if row["laws"][key]]
        axes.errorbar(
            [1e3 * row["anisotropy_field"] for row in own],
            [100 * (value(row, name) / row["laws"][key] - 1) for row in own],
            yerr=[100 * SIGMAS * value(row, name, "se") / row["laws"][key] for row in own],
            color=colour(role), linestyle="none", marker="o", markersize=3, elinewidth=1,
        )  # fmt: skip
    axes.axhline(0, color=colour("ink"), linewidth=1)
    axes.set_ylabel("off law (%)")
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
    _log_field(axes)
    return axes


def read_windows(axes: Axes, rows: Sequence[Row], windows: Sequence[float]) -> Axes:
    """Draw the std of a read against its window for some rows, with the law of each."""
    scale, symbol = prefixed(max(windows), "s")
    fine = np.geomspace(min(windows), max(windows), 200)
    for role, row in zip(ROLES, rows, strict=False):
        found = [one["value"] for one in row["read_std"]]
        errors = [SIGMAS * one["se"] for one in row["read_std"]]
        axes.plot(fine / scale, _read_law(row, fine), color=colour(role), linewidth=1.2)
        axes.errorbar(
            np.array(windows) / scale, found, yerr=errors, color=colour(role), linestyle="none",
            marker="o", markersize=3.5, elinewidth=1.2,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel=f"read window T_r ({symbol})")
    for axis in (axes.xaxis, axes.yaxis):
        plain_ticks(axis)
    axes.set_ylabel("std of a read, s_T (1)")
    return axes


def _read_law(row: Row, windows: np.ndarray) -> np.ndarray:
    laws, fine = row["laws"], torch.from_numpy(windows)
    if not laws["frequency"]:
        return laws["std"] * relaxation.window_factor(fine / laws["slowest_time"]).numpy()
    time, turning, stability = (
        torch.tensor(one, dtype=torch.float64)
        for one in (laws["linear_time"], 2 * math.pi * laws["linear_frequency"], row["stability"])
    )
    factors = [
        float(relaxation.dephasing_window_factor(one, time, turning, stability))
        for one in windows.tolist()
    ]
    return laws["std"] * np.array(factors)


def histogram(axes: Axes, row: Row) -> Axes:
    """Draw the density of u at one point over the normal law of the same mean and std."""
    edges, counts = np.array(row["edges"]), np.array(row["counts"], dtype=float)
    density = counts / (max(counts.sum(), 1) * np.diff(edges))
    mean, std = value(row, "mean"), value(row, "std")
    u = np.linspace(edges[0], edges[-1], 301)
    normal = np.exp(-(((u - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
    axes.stairs(density, edges, fill=True, color=colour("spintronic"), alpha=0.55)
    axes.plot(u, normal, color=colour("ink"), linewidth=1.3)
    axes.set(xlim=(edges[0], edges[-1]), xlabel="u (1)", ylabel="density (1)")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
    return axes


def normal_quantiles(axes: Axes, row: Row, probabilities: Sequence[float]) -> Axes:
    """Draw the quantiles of (u − mean)/std against those of a normal law (a Q-Q plot)."""
    expected = ndtri(np.array(probabilities))
    found = (np.array(row["quantiles"]) - value(row, "mean")) / value(row, "std")
    ends = (expected[0], expected[-1])
    axes.plot(ends, ends, color=colour("ink"), linewidth=1)
    axes.plot(expected, found, color=colour("spintronic"), marker=".", markersize=3.5, linewidth=0)
    axes.set(xlabel="quantile of the normal law", ylabel="quantile of u (std)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=_STEPS))
    return axes


def autocorrelation(axes: Axes, row: Row) -> Axes:
    """Draw the autocorrelation of u at one point, bars of two standard errors, over its law."""
    lags, laws = np.array(row["lags"]), row["laws"]
    scale, symbol = prefixed(float(lags[-1]), "s")
    fine = np.linspace(0, lags[-1], 600)
    law = np.exp(-fine / laws["slowest_time"]) * np.cos(2 * math.pi * laws["frequency"] * fine)
    axes.plot(fine / scale, law, color=colour("ink"), linewidth=1.2)
    axes.errorbar(
        lags / scale, row["autocorrelation"],
        yerr=SIGMAS * np.array(row["autocorrelation_error"], dtype=float),
        color=colour("spintronic"), linestyle="none", marker="o", markersize=3, elinewidth=1,
    )  # fmt: skip
    axes.axhline(0, color=colour("line"), linewidth=1, zorder=1)
    axes.set(xlim=(0, lags[-1] / scale), xlabel=f"lag t ({symbol})", ylabel="autocorrelation (1)")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    return axes


def gaussian_break(axes: Axes, rows: Sequence[Row], name: str, orientation: str) -> Axes:
    """Draw |excess kurtosis| or the KS distance to a normal law against Δ, Δ < 5 shaded.

    Args:
        axes: where to draw.
        rows: of results.json; every point without a stray field or an in-plane anisotropy.
        name: "excess_kurtosis" or "normality".
        orientation: whose exact law is drawn.
    """
    own = [row for row in rows if row["varied"] in ("setting", "stability")]
    found = np.array([[row["stability"], value(row, name)] for row in own])
    part = "se" if name == "excess_kurtosis" else "resolution"
    error = np.array([value(row, name, part) for row in own])
    low, high = min(0.8, float(found[:, 0].min())), 1.2 * float(found[:, 0].max())
    axes.axvspan(low, 5, color=colour("ideal"), alpha=0.16, linewidth=0, zorder=0)
    curve = np.geomspace(low, high, 120)
    axes.plot(curve, _exact(curve, name, orientation), color=colour("ink"), linewidth=1.2)
    if name == "excess_kurtosis":
        axes.errorbar(
            found[:, 0], found[:, 1], yerr=SIGMAS * error, color=colour("spintronic"),
            linestyle="none", marker="o", markersize=3.5, elinewidth=1.2,
        )  # fmt: skip
        axes.axhline(0, color=colour("line"), linewidth=1, zorder=1)
        axes.set_ylabel("excess kurtosis (1)")
    else:
        axes.plot(*found.T, color=colour("spintronic"), marker="o", markersize=3.5, linewidth=0)
        axes.plot(found[:, 0], error, color=colour("muted"), marker="_", linewidth=0)
        axes.set_yscale("log")
        axes.set_ylim(bottom=3e-4)
        plain_ticks(axes.yaxis)
        axes.set_ylabel("KS distance to normal (1)")
    axes.set(xscale="log", xlim=(low, high), xlabel="stability factor Δ (1)")
    plain_ticks(axes.xaxis)
    return axes


def _exact(stability: np.ndarray, name: str, orientation: str) -> np.ndarray:
    """Return a statistic of Boltzmann's law without a field."""
    delta = torch.from_numpy(stability)
    plane = orientation == "easy-plane"
    law = equilibrium.easy_plane_law if plane else equilibrium.perpendicular_law
    moments = equilibrium.shape(law(delta))
    if name == "excess_kurtosis":
        return moments.excess_kurtosis.numpy()
    density = equilibrium.easy_plane_log_density if plane else equilibrium.perpendicular_log_density
    none = torch.zeros_like(delta)
    return equilibrium.distance_to_normal(density(delta, none), moments).numpy()
