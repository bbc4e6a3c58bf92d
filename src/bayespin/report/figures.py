"""Figures of a study, each drawn on axes that the caller owns and returns.

    figure = matplotlib.figure.Figure()
    ood_ladder(figure.add_subplot(), results["rows"])

Nothing here opens a window or touches matplotlib's global state.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
    StrMethodFormatter,
)

from bayespin.report.naming import Row, RowStyle, known, ladder, row_key, style_of
from bayespin.report.palette import PARTS, colour
from bayespin.report.reference import HEADLINE_BLEND, PAPER

LADDERS: Final = {
    "ood_ece": "calibration error, ECE (1)",
    "ood_signed_error": "confidence − accuracy (1)",
    "ood_accuracy": "accuracy (%)",
}
"""Quantities that `ood_ladder` draws, with their axis labels."""
_QUARTERS: Final = (0, 0.25, 0.5, 0.75, 1)
_PERCENT: Final = ("0", "", "50", "", "100")
_STEPS: Final = (1, 2, 2.5, 5, 10)
_VISIBLE: Final = 0.01
"""Least probability worth a mark of its own beside the bars."""


def _numbers(values: Iterable[object]) -> np.ndarray:
    """Return floats, with NaN for nulls."""
    return np.array([np.nan if known(v) is None else float(str(v)) for v in values])


def reliability_diagram(axes: Axes, bins: Mapping[str, Any], style: RowStyle) -> Axes:
    """Draw accuracy per confidence bin, and hatched the gap to the bin's mean confidence.

    Args:
        axes: where to draw.
        bins: `edges` (n + 1), `confidence`, `accuracy` and `count` (n); null in empty bins.
        style: colour of the bars.
    """
    edges, used = _numbers(bins["edges"]), _numbers(bins["count"]) > 0
    left, width = edges[:-1][used], np.diff(edges)[used]
    confidence, accuracy = (_numbers(bins[name])[used] for name in ("confidence", "accuracy"))
    axes.bar(
        left, accuracy, width, align="edge", color=colour(style.role), linewidth=0, label="accuracy"
    )
    axes.bar(
        left,
        confidence - accuracy,
        width,
        bottom=accuracy,
        align="edge",
        facecolor="none",
        edgecolor=colour("ink"),
        linewidth=0.8,
        hatch="/////",
        label="gap to confidence",
    )
    axes.plot([0, 1], [0, 1], color=colour("muted"), linewidth=1, linestyle="--", zorder=3)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 1), ylabel="accuracy (%)")
    axes.set_yticks(_QUARTERS, labels=_PERCENT)
    return axes


def reliability_counts(axes: Axes, bins: Mapping[str, Any]) -> Axes:
    """Draw the share of the images in each confidence bin, to go below a reliability diagram."""
    edges, count = _numbers(bins["edges"]), np.nan_to_num(_numbers(bins["count"]))
    share = 100 * count / max(count.sum(), 1)
    axes.bar(edges[:-1], share, np.diff(edges), align="edge", color=colour("muted"), linewidth=0)
    axes.set(xlim=(edges[0], edges[-1]), ylim=(0, 100), xlabel="confidence (%)")
    axes.set_ylabel("images (%)")
    axes.set_xticks(_QUARTERS, labels=_PERCENT)
    axes.set_yticks([0, 50, 100], labels=["0", "", "100"])
    return axes


def ood_ladder(axes: Axes, rows: Sequence[Row], quantity_name: str = "ood_ece") -> Axes:
    """Draw one quantity of every row against the fraction of out-of-distribution image blended in.

    Args:
        axes: where to draw.
        rows: rows of the results; a row without the ladder is left out.
        quantity_name: a key of `LADDERS`.

    Raises:
        ValueError: another quantity.
    """
    if quantity_name not in LADDERS:
        raise ValueError(
            f"Argument `quantity_name` must be one of {', '.join(LADDERS)}, "
            f"but is {quantity_name!r}."
        )
    for row in rows:
        points, style = ladder(row.get(quantity_name)), style_of(row_key(row))
        if points:
            axes.plot(
                *zip(*points, strict=True),
                color=colour(style.role),
                marker=style.marker,
                markersize=5,
                linestyle=style.line,
                label=style.label,
                clip_on=False,
            )
    axes.set(xlabel="blend fraction f (1)", ylabel=LADDERS[quantity_name], xlim=(0, 0.9))
    axes.set_xticks([0, 0.3, 0.6, 0.9])
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    if quantity_name == "ood_accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    if quantity_name == "ood_signed_error":
        axes.axhline(0, color=colour("muted"), linewidth=1, zorder=1)
    else:
        axes.update_datalim([(0, 0)])
        axes.autoscale_view(scalex=False)
        axes.set_ylim(bottom=0, auto=True)
    return axes


def paper_points(axes: Axes) -> Axes:
    """Mark the paper's three calibration errors at f = 0.5, measured with letters."""
    for row in PAPER:
        axes.plot(
            [HEADLINE_BLEND],
            [row.ood_ece],
            marker="*",
            markersize=11,
            markerfacecolor=colour(style_of(row.twin).role),
            markeredgecolor=colour("ink"),
            markeredgewidth=0.6,
            linestyle="none",
            zorder=4,
            label=f"paper: {row.name} (letters)",
        )
    top = 1.08 * max(row.ood_ece for row in PAPER)
    axes.set_ylim(top=max(axes.get_ylim()[1], top))
    return axes


def entropy_ladder(axes: Axes, row: Row, top: float) -> Axes:
    """Draw total entropy against the blend fraction, split into aleatoric and epistemic.

    Args:
        axes: where to draw.
        row: a row of the results with `ood_entropy`, in nats.
        top: upper end of the axis in nats, so that rows can be compared.
    """
    entropy = row.get("ood_entropy")
    rungs = entropy if isinstance(entropy, Mapping) else {}
    parts = {
        part: dict(ladder({f: (rung or {}).get(part) for f, rung in rungs.items()}))
        for part in ("total", "aleatoric", "epistemic")
    }
    fractions = np.array(sorted(parts["total"]))
    total = _numbers(parts["total"].get(f) for f in fractions)
    aleatoric = _numbers(parts["aleatoric"].get(f) for f in fractions)
    axes.fill_between(
        fractions, 0, aleatoric, color=colour("aleatoric"), linewidth=0, label="aleatoric"
    )
    axes.fill_between(
        fractions, aleatoric, total, color=colour("epistemic"), linewidth=0, label="epistemic"
    )
    axes.plot(fractions, total, color=colour("ink"), marker=".", label="total", clip_on=False)
    axes.set(xlim=(0, 0.9), ylim=(0, top), xlabel="blend fraction f (1)", ylabel="entropy (nat)")
    axes.set_xticks([0, 0.3, 0.6, 0.9])
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS))
    return axes


def sigma_histogram(axes: Axes, histogram: Mapping[str, Any]) -> Axes:
    """Draw learned and programmed σ of one layer over the window the device can hold.

    Args:
        axes: where to draw; its x axis becomes logarithmic.
        histogram: `edges` (n + 1, weight units), `target` and `programmed` (n counts each; either
            may be missing), `window` (lowest and highest σ of the device, weight units).
    """
    edges = _numbers(histogram["edges"])
    axes.set_xscale("log")
    axes.grid(visible=False, axis="x")
    low, high = (known(end) for end in histogram.get("window") or (None, None))
    if low is not None and high is not None:
        axes.axvspan(low, high, color=colour("aleatoric"), alpha=0.16, linewidth=0, zorder=0)
        axes.axvline(low, color=colour("aleatoric"), linewidth=1, zorder=1)
        axes.axvline(high, color=colour("aleatoric"), linewidth=1, zorder=1)
    target, programmed = histogram.get("target"), histogram.get("programmed")
    if target is not None:
        axes.stairs(
            _numbers(target), edges, fill=True, color=colour("frozen"), alpha=0.75, label="learned"
        )
    if programmed is not None:
        axes.stairs(
            _numbers(programmed),
            edges,
            color=colour("spintronic"),
            linewidth=1.6,
            label="programmed",
        )
    counts = sum(np.nan_to_num(_numbers(c)) for c in (target, programmed) if c is not None)
    used = np.flatnonzero(np.broadcast_to(counts, edges.size - 1))
    ends = [edges[0], edges[-1]] if used.size == 0 else [edges[used[0]], edges[used[-1] + 1]]
    ends += [end for end in (low, high) if end is not None]
    axes.set(xlim=(min(ends) / 1.1, max(ends) * 1.1))
    axes.set(xlabel="σ (weight units)", ylabel="number of weights")
    narrow = max(ends) < 4 * min(ends)  # where ticks at 1 and 3 would be too few, and others crowd
    ticks = MaxNLocator(4, steps=_STEPS) if narrow else LogLocator(subs=(1.0, 3.0), numticks=20)
    axes.xaxis.set_major_locator(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=_STEPS, integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return axes


def stacked_bar(axes: Axes, parts: Mapping[str, float], scale: float, label: str) -> Axes:
    """Draw the parts of a whole as one stacked horizontal bar.

    Args:
        axes: where to draw.
        parts: name to size in SI units, stacked in the order given and coloured by `PARTS`, whose
            last colour is for all that remain.
        scale: unit of the axis in SI units, 1e-9 for nJ.
        label: name of the axis, with that unit.
    """
    start = 0.0
    for number, (name, value) in enumerate(parts.items()):
        axes.barh(
            0,
            value / scale,
            left=start / scale,
            color=PARTS[min(number, len(PARTS) - 1)],
            linewidth=0,
            label=name,
        )
        start += value
    axes.set_yticks([])
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set(xlim=(0, 1.01 * start / scale if start > 0 else 1), xlabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    return axes


def predictive_distribution(
    axes: Axes, rows: Mapping[str, Mapping[str, Any]], classes: Sequence[str], truth: int | None
) -> Axes:
    """Draw one image's class probabilities: bars with 5–95 % whiskers over reads.

    Args:
        axes: where to draw.
        rows: row key to `mean` and, where reads differ, `low` and `high` (one number per class);
            the last row is drawn as bars, the others as marks.
        classes: names of the classes.
        truth: index of the true class, set in bold; None where no class is right.

    Marks below one per cent are left out.
    """
    place = np.arange(len(classes))
    *others, main = rows.items()
    mean, low, high = (_numbers(main[1].get(key) or []) for key in ("mean", "low", "high"))
    axes.barh(place, mean, height=0.66, color=colour(style_of(main[0]).role), linewidth=0)
    if low.size and high.size:
        axes.hlines(place, low, high, color=colour("ink"), linewidth=1.6)
    for key, row in others:
        style = style_of(key)
        marks = _numbers(row.get("mean") or [None] * len(classes))
        axes.plot(
            np.where(marks >= _VISIBLE, marks, np.nan),
            place,
            linestyle="none",
            marker=style.marker,
            markersize=5,
            markerfacecolor="none",
            markeredgecolor=colour(style.role),
            markeredgewidth=1.3,
            label=style.label,
        )
    axes.set_yticks(place, labels=[name[:14] for name in classes])
    if truth is not None and 0 <= truth < len(classes):
        label = axes.get_yticklabels()[truth]
        label.set(color=colour("ink"), fontweight="bold")
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set(xlim=(-0.02, 1.02), ylim=(len(classes) - 0.4, -0.6), xlabel="probability (%)")
    axes.set_xticks(_QUARTERS, labels=_PERCENT)
    return axes
