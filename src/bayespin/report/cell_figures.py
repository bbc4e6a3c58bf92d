"""Figures of what a chip's cells hold: levels after programming, pairs (μ, σ), laws of the device.

Each is drawn on axes that the caller owns and returns, like those of `report.figures`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    StrMethodFormatter,
)

from bayespin.report.formatting import prefixed
from bayespin.report.naming import known
from bayespin.report.palette import colour

LOSS: Final = 0.1
"""Divergence in nats up to which a pair counts as held."""
QUANTITIES: Final = {"sigma": ("S", "σ"), "tau": ("s", "τ")}
"""Quantities that `device_curve` draws: unit and symbol."""
_STEPS: Final = (1, 2, 2.5, 5, 10)


def level_histogram(axes: Axes, counts: Sequence[float], role: str) -> Axes:
    """Draw how many devices ended at each level.

    Args:
        axes: where to draw.
        counts: number of devices per level, level 0 first.
        role: colour of the bars.
    """
    axes.bar(range(len(counts)), counts, width=0.82, color=colour(role), linewidth=0)
    axes.grid(visible=False, axis="x")
    axes.set(xlim=(-0.7, len(counts) - 0.3), ylabel="devices")
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=_STEPS, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return axes


def holding_loss(entry: Mapping[str, Any], mean: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return the expected divergence in nats from what a cell holds to N(μ, σ²), as [σ, μ].

    ln(σ/σ') + (σ'² + δ² + c²)/(2σ²) − 1/2 with σ' the held spread nearest in ratio, δ the expected
    error of a mean at that level, and c = max(|μ| − w_max, 0), the part that is clipped. It is what
    `nn.mapping` minimises over all weights of a layer, without its clipped inputs.

    Args:
        entry: `weight_max`, and per level `held` and `mean_error` in weight units.
        mean: μ of each column.
        sigma: σ of each row.
    """
    held, error = (np.asarray(entry[name], dtype=float) for name in ("held", "mean_error"))
    nearest = np.abs(np.log(sigma[:, None] / held)).argmin(1)
    clipped = np.clip(np.abs(mean) - entry["weight_max"], 0, None)
    square = held[nearest][:, None] ** 2 + error[nearest][:, None] ** 2 + clipped**2
    shape = np.log(sigma / held[nearest])[:, None]
    return shape + square / (2 * sigma[:, None] ** 2) - 0.5


def shade_steps(counts: np.ndarray) -> list[int]:
    """Return three numbers of weights per bin, each a darker shade: evenly spaced in ratio."""
    largest = max(1.0, float(counts.max()))
    return sorted({max(1, round(largest ** (step / 3))) for step in range(3)})


def _shade(axes: Axes, counts: np.ndarray, edges: tuple[np.ndarray, np.ndarray]) -> None:
    """Shade the bins that reach each of `shade_steps`, runs of bins as one rectangle."""
    across, up = edges
    for least in shade_steps(counts):
        corners, codes = [], []
        for row, full in enumerate(counts >= least):
            ends = np.flatnonzero(np.diff(np.concatenate([[0], full, [0]])))
            for left, right in zip(across[ends[::2]], across[ends[1::2]], strict=True):
                low, high = up[row], up[row + 1]
                corners += [(left, low), (right, low), (right, high), (left, high), (left, low)]
                codes += [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
        if corners:
            patch = PathPatch(
                Path(corners, codes), facecolor=colour("frozen"), alpha=0.42, linewidth=0
            )
            axes.add_patch(patch)


def weight_map(axes: Axes, entry: Mapping[str, Any]) -> Axes:
    """Draw which pairs (μ, σ) a cell can hold, and a layer's trained weights over it.

    The frame is the cell's window, its lines the levels of σ; beyond the dashed line a weight loses
    more than `LOSS` nats.

    Args:
        axes: where to draw; its y axis becomes logarithmic.
        entry: `mean_edges`, `sigma_edges` (weight units), `counts` (a row for each bin of σ), and
            what `holding_loss` takes.
    """
    means, sigmas = (np.asarray(entry[name], dtype=float) for name in ("mean_edges", "sigma_edges"))
    held, limit = np.asarray(entry["held"], dtype=float), float(entry["weight_max"])
    axes.set_yscale("log")
    axes.grid(visible=False)
    _shade(axes, np.asarray(entry["counts"], dtype=float), (means, sigmas))
    axes.hlines(held, -limit, limit, color=colour("aleatoric"), linewidth=0.5)
    frame_x = [-limit, limit, limit, -limit, -limit]
    frame_y = [held.min(), held.min(), held.max(), held.max(), held.min()]
    axes.plot(frame_x, frame_y, color=colour("aleatoric"), linewidth=1.8)
    wide = np.linspace(min(means[0], -1.2 * limit), max(means[-1], 1.2 * limit), 97)
    tall = np.geomspace(min(sigmas[0], held.min() / 1.6), max(sigmas[-1], 1.6 * held.max()), 97)
    axes.contour(
        wide, tall, holding_loss(entry, wide, tall), levels=[LOSS],
        colors=[colour("spintronic")], linewidths=1.4, linestyles="dashed",
    )  # fmt: skip
    axes.set(xlim=(wide[0], wide[-1]), ylim=(tall[0], tall[-1]))
    axes.set(xlabel="μ (weight units)", ylabel="σ (weight units)")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    _plain_log(axes, (1.0, 3.0))
    return axes


def _plain_log(axes: Axes, marks: tuple[float, ...]) -> None:
    """Label a logarithmic y axis with plain numbers."""
    axes.yaxis.set_major_locator(LogLocator(subs=marks, numticks=20))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def device_curve(axes: Axes, device: Mapping[str, Any], name: str) -> Axes:
    """Draw σ or τ of a stochastic device against its setting: curve, law, levels, table points.

    Args:
        axes: where to draw; its y axis becomes logarithmic.
        device: `setting_unit`; `levels` and `curve`, each with lists `setting`, `sigma` (S) and
            `tau` (s); `law`, the same or null; `points`, null or also with `sigma_error` and
            `tau_error`, one standard error each.
        name: a key of `QUANTITIES`.

    Raises:
        ValueError: another quantity.
    """
    if name not in QUANTITIES:
        raise ValueError(
            f"Argument `name` must be one of {', '.join(QUANTITIES)}, but is {name!r}."
        )
    unit, symbol = QUANTITIES[name]
    curve, levels = device["curve"], device["levels"]
    scale, label = prefixed(max(curve[name]), unit)
    across, setting = _setting_axis(max(map(abs, curve["setting"])), device["setting_unit"])

    def scaled(part: Mapping[str, Any], field: str, by: float) -> np.ndarray:
        return np.array([known(v) or np.nan for v in part[field]]) / by

    for part, role, line in ((device.get("law"), "muted", "--"), (curve, "spintronic", "-")):
        if part is not None:
            axes.plot(
                scaled(part, "setting", across), scaled(part, name, scale),
                color=colour(role), linestyle=line, linewidth=1.6,
            )  # fmt: skip
    axes.plot(
        scaled(levels, "setting", across), scaled(levels, name, scale), linestyle="none",
        marker="o", markersize=4.5, color=colour("spintronic"),
    )  # fmt: skip
    points = device.get("points")
    if points is not None:
        axes.errorbar(
            scaled(points, "setting", across), scaled(points, name, scale),
            yerr=scaled(points, f"{name}_error", scale), linestyle="none", marker="D",
            markersize=4, markerfacecolor="none", color=colour("ink"), elinewidth=1.2, capsize=3,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set(xlabel=f"setting ({setting})", ylabel=f"{symbol} ({label})")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    _plain_log(axes, (1.0, 2.0, 5.0))
    return axes


def _setting_axis(largest: float, unit: str) -> tuple[float, str]:
    """Return (scale, symbol) of an axis of settings; of a compound unit its first part is scaled.

    0.0011 J/m2 is an axis in mJ/m².
    """
    if unit in ("", "1"):
        return 1.0, "1"
    head, slash, tail = unit.partition("/")
    scale, symbol = prefixed(largest, head)
    return scale, f"{symbol}{slash}{tail}".replace("2", "²").replace("3", "³")
