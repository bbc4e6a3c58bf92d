"""Figures of a simulation, each drawn from its xarray dataset on axes that the caller owns.

    figure = matplotlib.figure.Figure()
    positions(figure.add_subplot(), xarray.open_dataset("trajectories.nc"))

A replica whose status is not 0 is left out of every curve.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bayespin.report.formatting import prefixed
from bayespin.report.palette import colour

BINS: Final = 60
SYMBOLS: Final = {
    "m_x": "⟨m_x⟩", "m_y": "⟨m_y⟩", "m_z": "⟨m_z⟩", "wall_position": "wall position q",
    "wall_angle": "wall angle φ",
}  # fmt: skip
"""What axes call recorded quantities."""
_BAND: Final = (0.05, 0.95)
_SHOWN: Final = 6
"""Single replicas drawn over the band."""
_STEPS: Final = (1, 2, 2.5, 5, 10)


def sound(dataset: xarray.Dataset, name: str, point: int = 0) -> np.ndarray:
    """Return a recorded quantity as (time, replica), without the replicas that failed."""
    values, status = dataset[name], dataset["status"]
    if "point" in values.dims:
        values = values.isel(point=point)
    if "point" in status.dims:
        status = status.isel(point=point)
    kept = values.transpose("time", "replica").values[:, status.values == 0]
    return kept.astype(float)


def _scaled_time(dataset: xarray.Dataset) -> tuple[np.ndarray, str]:
    times = dataset["time"].values
    scale, symbol = prefixed(float(times[-1]), "s")
    return times / scale, symbol


def value_histogram(
    axes: Axes,
    values: np.ndarray,
    law: tuple[np.ndarray, np.ndarray] | None = None,
    role: str = "spintronic",
) -> Axes:
    """Draw the density of recorded values, and over it the exact law where there is one.

    Args:
        axes: where to draw.
        values: recorded values of u in [−1, 1], of any shape.
        law: points and densities of the exact law.
        role: colour of the histogram.
    """
    flat = values.ravel()
    edges = np.linspace(*_reach(flat, law), BINS + 1)
    counts, _ = np.histogram(flat, edges)
    density = counts / (max(flat.size, 1) * np.diff(edges))
    axes.stairs(density, edges, fill=True, color=colour(role), alpha=0.55, label="simulated")
    if law is not None:
        axes.plot(*law, color=colour("ink"), linewidth=1.4, label="exact law")
    axes.set(xlim=(edges[0], edges[-1]), xlabel="u = m_z (1)", ylabel="density (1)")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
    return axes


def _reach(values: np.ndarray, law: tuple[np.ndarray, np.ndarray] | None) -> tuple[float, float]:
    """Return the part of [−1, 1] that holds the values and the law down to a thousandth."""
    ends = [float(values.min()), float(values.max())] if values.size else [-1.0, 1.0]
    if law is not None:
        visible = law[0][law[1] > 1e-3 * law[1].max()]
        ends += [float(visible[0]), float(visible[-1])]
    margin = max(0.05 * (max(ends) - min(ends)), 1e-6)
    return max(min(ends) - margin, -1.0), min(max(ends) + margin, 1.0)


def correlation_curve(
    axes: Axes,
    lags: np.ndarray,
    correlation: np.ndarray,
    times: dict[str, float],
    error: np.ndarray | None = None,
) -> Axes:
    """Draw an autocorrelation against exponentials.

    Args:
        axes: where to draw.
        lags: s.
        correlation: C(t)/C(0) of the recorded values.
        times: name of a decay to its time in seconds, drawn as e^(−t/τ).
        error: standard error of `correlation`, a band of two of them.
    """
    scale, symbol = prefixed(float(lags[-1]), "s")
    if error is not None:
        axes.fill_between(
            lags / scale, correlation - 2 * error, correlation + 2 * error,
            color=colour("spintronic"), alpha=0.25, linewidth=0,
        )  # fmt: skip
    axes.plot(lags / scale, correlation, color=colour("spintronic"), label="simulated")
    looks = (("ink", "--"), ("perread", ":"), ("aleatoric", "-."))
    for (name, tau), (role, line) in zip(times.items(), looks, strict=False):
        curve = np.exp(-lags / tau)
        axes.plot(
            lags / scale, curve, color=colour(role), linestyle=line, linewidth=1.4, label=name
        )
    axes.axhline(0, color=colour("line"), linewidth=1, zorder=1)
    axes.set(xlim=(0, lags[-1] / scale), xlabel=f"lag t ({symbol})")
    axes.set_ylabel("autocorrelation (1)")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    return axes


def over_time(axes: Axes, dataset: xarray.Dataset, name: str, point: int = 0) -> Axes:
    """Draw a recorded quantity over time: median, 5 to 95 % of the replicas, and a few of them.

    Args:
        axes: where to draw.
        dataset: trajectories, with times in s.
        name: variable with dims time and replica (and point); its axis is in its own units, with
            a prefix where they are metres.
        point: which operating point.
    """
    values, (times, symbol) = sound(dataset, name, point), _scaled_time(dataset)
    scale, unit = 1.0, str(dataset[name].attrs.get("units", "1"))
    if unit == "m":
        scale, unit = prefixed(float(np.abs(values).max()) if values.size else 1.0, "m")
    values = values / scale
    if values.shape[1]:
        low, median, high = np.quantile(values, (_BAND[0], 0.5, _BAND[1]), axis=1)
        axes.fill_between(
            times, low, high, color=colour("spintronic"), alpha=0.22, linewidth=0,
            label="5 to 95 %",
        )  # fmt: skip
        for replica in values.T[:_SHOWN]:
            axes.plot(times, replica, color=colour("muted"), linewidth=0.7, alpha=0.8)
        axes.plot(times, median, color=colour("spintronic"), label="median")
    axes.set(xlim=(times[0], times[-1]), xlabel=f"time ({symbol})")
    axes.set_ylabel(f"{SYMBOLS.get(name, name)} ({unit})")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    return axes


def single_replica(
    axes: Axes, dataset: xarray.Dataset, names: Mapping[str, str], replica: int = 0
) -> Axes:
    """Draw recorded quantities of one replica over time; `names` gives each its colour role."""
    times, symbol = _scaled_time(dataset)
    for name, role in names.items():
        values = dataset[name].isel(replica=replica)
        values = values.isel(point=0) if "point" in values.dims else values
        axes.plot(times, values.values, color=colour(role), linewidth=1.4, label=name)
    axes.set(xlim=(times[0], times[-1]), xlabel=f"time ({symbol})")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    return axes


def time_cursor(axes: Axes, dataset: xarray.Dataset) -> Callable[[float], None]:
    """Draw an upright line at the first time of axes over time; return what moves it, given s."""
    times = dataset["time"].values
    scale, _ = prefixed(float(times[-1]), "s")
    line = axes.axvline(times[0] / scale, color=colour("ink"), linewidth=1.2)

    def move(time: float) -> None:
        line.set_xdata([time / scale, time / scale])

    return move


def mark_pulses(axes: Axes, dataset: xarray.Dataset, name: str = "current_density") -> Axes:
    """Shade the times at which a drive is on, on axes over time; the last drawn data keep place."""
    if name not in dataset:
        return axes
    drive = np.abs(dataset[name].values.reshape(dataset.sizes["time"], -1)).max(1)
    times, _ = _scaled_time(dataset)
    on = drive > 0.5 * drive.max() if drive.max() > 0 else drive > 0
    steps = np.flatnonzero(np.diff(np.concatenate(([0], on.astype(int), [0]))))
    for first, last in zip(steps[::2], steps[1::2], strict=True):
        axes.axvspan(
            times[first], times[min(last, times.size - 1)], color=colour("ideal"), alpha=0.16,
            linewidth=0, zorder=0,
        )  # fmt: skip
    return axes


def mark_notches(axes: Axes, positions: Sequence[float], along: Any, scale: float) -> Axes:
    """Draw a thin line at each notch, with `along` one of `axes.axhline` and `axes.axvline`."""
    axes.grid(visible=False, axis="y" if along == axes.axhline else "x")
    for position in positions:
        along(position / scale, color=colour("muted"), linewidth=0.8, linestyle=":", zorder=0.5)
    return axes


def final_positions(
    axes: Axes, dataset: xarray.Dataset, notches: Sequence[float], bins: int = 80
) -> Axes:
    """Draw where the walls are at the end: share of the replicas per bin, over the notches.

    Args:
        axes: where to draw.
        dataset: with `wall_position` (time, replica), in m.
        notches: positions of the notches in m, drawn as lines.
        bins: number of bins between the first and the last place that matters.
    """
    last = sound(dataset, "wall_position")[-1]
    places = np.concatenate((last, np.asarray(notches, dtype=float)))
    low, high = (float(places.min()), float(places.max())) if places.size else (0.0, 1e-9)
    margin = max(0.05 * (high - low), 1e-9)
    scale, unit = prefixed(high + margin, "m")
    edges = np.linspace(low - margin, high + margin, bins + 1) / scale
    counts, _ = np.histogram(last / scale, edges)
    mark_notches(axes, notches, axes.axvline, scale)
    axes.stairs(
        100 * counts / max(last.size, 1), edges, fill=True, color=colour("spintronic"), alpha=0.85
    )
    axes.set(xlim=(edges[0], edges[-1]), xlabel=f"final wall position ({unit})")
    axes.set_ylabel("replicas (%)")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
    return axes
