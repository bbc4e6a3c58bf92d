"""Figures of what is varied beside the setting, and of macrospin against micromagnetics."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bayespin.report.characterisation.figures import ROLES, SIGMAS, plain_ticks, value
from bayespin.report.formatting import prefixed
from bayespin.report.palette import colour

Row = Mapping[str, Any]
_STEPS: Final = (1, 2, 2.5, 5, 10)


def mean_shift(axes: Axes, rows: Sequence[Row]) -> Axes:
    """Draw the mean of u in stray fields against B/B_k, over Boltzmann's law of each point."""
    own = [row for row in rows if row["varied"] == "stray_field"]
    ratio = [row["stray_field"] / row["anisotropy_field"] for row in own]
    ends = [min(0.0, *ratio), max(0.0, *ratio)]
    axes.plot(ends, ends, color=colour("muted"), linewidth=1, linestyle="--")
    axes.plot(
        ratio, [row["laws"]["mean"] for row in own], color=colour("ink"), marker="_", linewidth=0,
        markersize=9,
    )  # fmt: skip
    axes.errorbar(
        ratio, [value(row, "mean") for row in own],
        yerr=[SIGMAS * value(row, "mean", "se") for row in own], color=colour("spintronic"),
        linestyle="none", marker="o", markersize=3.5, elinewidth=1.2,
    )  # fmt: skip
    axes.set(xlabel="stray field over anisotropy field, B/B_k (1)", ylabel="mean of u (1)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    return axes


def voltage_shift(axes: Axes, rows: Sequence[Row]) -> Axes:
    """Draw s at read voltages over s of the table's, against B_k of the table's point."""
    own = [row for row in rows if row["varied"] == "read_voltage"]
    main = {row["setting"]: row for row in rows if row["varied"] == "setting"
            and row["temperature"] == own[0]["temperature"]}  # fmt: skip
    voltages = list(dict.fromkeys(row["read_voltage"] for row in own))
    for role, voltage in zip(ROLES, voltages, strict=False):
        these = [row for row in own if row["read_voltage"] == voltage]
        these.sort(key=lambda row: main[row["setting"]]["anisotropy_field"])
        middle = [main[row["setting"]] for row in these]
        field = [1e3 * row["anisotropy_field"] for row in middle]
        law = [r["laws"]["std"] / m["laws"]["std"] for r, m in zip(these, middle, strict=True)]
        axes.plot(field, law, color=colour(role), linewidth=1.2)
        axes.errorbar(
            field,
            [value(r, "std") / m["laws"]["std"] for r, m in zip(these, middle, strict=True)],
            yerr=[SIGMAS * value(r, "std", "se") / m["laws"]["std"]
                  for r, m in zip(these, middle, strict=True)],
            color=colour(role), linestyle="none", marker="o", markersize=3.5, elinewidth=1.2,
        )  # fmt: skip
    axes.axhline(1, color=colour("line"), linewidth=1, zorder=1)
    axes.set_ylabel("s over s without it (1)")
    return _field_axis(axes)


def out_of_round(axes: Axes, rows: Sequence[Row], window: int) -> Axes:
    """Draw s_T over that of a round pillar against B_k, one colour for each in-plane field.

    Lines: the closed form of an out-of-round pillar.
    """
    own = [row for row in rows if row["varied"] == "in_plane_anisotropy"]
    fields = list(dict.fromkeys(row["in_plane_anisotropy"] for row in own))
    for role, field in zip(ROLES, fields, strict=False):
        these = [row for row in own if row["in_plane_anisotropy"] == field]
        these.sort(key=lambda row: row["anisotropy_field"])
        law = [row["laws"]["round_read_std"][window] for row in these]
        flat = [row["laws"]["read_std"][window] for row in these]
        axes.plot(
            [1e3 * row["anisotropy_field"] for row in these],
            [known / middle for known, middle in zip(flat, law, strict=True)],
            color=colour(role), linewidth=1.2,
        )  # fmt: skip
        axes.errorbar(
            [1e3 * row["anisotropy_field"] for row in these],
            [row["read_std"][window]["value"] / known for row, known in
             zip(these, law, strict=True)],
            yerr=[SIGMAS * row["read_std"][window]["se"] / known for row, known in
                  zip(these, law, strict=True)],
            color=colour(role), linestyle="none", marker="o", markersize=3.5, elinewidth=1.2,
        )  # fmt: skip
    axes.axhline(1, color=colour("line"), linewidth=1, zorder=1)
    axes.set_ylabel("s_T over the round pillar's (1)")
    return _field_axis(axes)


def fit_residuals(axes: Axes, left: Sequence[Row], name: str) -> Axes:
    """Draw what the compact model leaves of σ or τ against Δ, in standard errors.

    Args:
        axes: where to draw.
        left: the fit's `residuals`.
        name: "sigma" or "tau".
    """
    kelvins = list(dict.fromkeys(row["temperature"] for row in left))
    for role, kelvin in zip(ROLES, kelvins, strict=False):
        own = [r for r in left if r["temperature"] == kelvin and r[name] is not None]
        axes.plot(
            [row["stability"] for row in own], [row[name] for row in own], color=colour(role),
            linestyle="none", marker="o", markersize=3.5,
        )  # fmt: skip
    axes.axhline(0, color=colour("ink"), linewidth=1, zorder=1)
    for limit in (-4, 4):
        axes.axhline(limit, color=colour("muted"), linewidth=1, linestyle="--", zorder=1)
    axes.set(xscale="log", xlabel="stability factor Δ (1)", ylabel="off the model (errors)")
    plain_ticks(axes.xaxis)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    return axes


def film_ratio(axes: Axes, films: Sequence[Row], name: str) -> Axes:
    """Draw a statistic of whole films over the macrospin's against B_k, bars of two errors.

    Args:
        axes: where to draw.
        films: rows with `anisotropy_field`, `diameter` and `ratio_<name>`.
        name: "std" or "decay_time".
    """
    diameters = sorted({row["diameter"] for row in films})
    for role, diameter in zip(ROLES, diameters, strict=False):
        own = [row for row in films if row["diameter"] == diameter]
        own.sort(key=lambda row: row["anisotropy_field"])
        axes.errorbar(
            [1e3 * row["anisotropy_field"] for row in own],
            [value(row, f"ratio_{name}") for row in own],
            yerr=[SIGMAS * value(row, f"ratio_{name}", "se") for row in own],
            color=colour(role), marker="o", markersize=3.5, elinewidth=1.2, linewidth=0.8,
        )  # fmt: skip
    axes.axhline(1, color=colour("ink"), linewidth=1, zorder=1)
    axes.set_ylabel({"std": "s, film over macrospin", "decay_time": "τ, film over macrospin"}[name])
    return _field_axis(axes)


def _field_axis(axes: Axes) -> Axes:
    axes.set(xscale="log", xlabel="anisotropy field B_k (mT)")
    plain_ticks(axes.xaxis)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    return axes


def legend_of_diameters(films: Sequence[Row]) -> list[tuple[str, str]]:
    """Return role and name of every diameter that `film_ratio` draws."""
    diameters = sorted({row["diameter"] for row in films})
    named = []
    for role, diameter in zip(ROLES, diameters, strict=False):
        scale, symbol = prefixed(diameter, "m")
        named.append((role, f"d = {diameter / scale:g} {symbol}"))
    return named
