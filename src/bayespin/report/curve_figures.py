"""Figures of choices a user has: how many images to answer, and how many reads to take.

Each is drawn on axes that the caller owns and returns, like those of `report.figures`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
)
from numpy.typing import ArrayLike

from bayespin.report.naming import Row, known, row_key, style_of
from bayespin.report.palette import colour

QUANTITIES: Final = {
    "accuracy": "accuracy (%)",
    "nll": "negative log-likelihood (nat)",
    "brier": "Brier score (1)",
    "ece": "calibration error, ECE (1)",
    "auroc_total": "AUROC of total entropy (1)",
    "auroc_epistemic": "AUROC of epistemic entropy (1)",
}
"""Quantities that `reads_curve` draws, with their axis labels."""
_STEPS: Final = (1, 2, 2.5, 5, 10)
_MARKS: Final = 5
"""Marks on a curve of many points."""


def _curves(
    rows: Sequence[Row], field: str, x: str, y: str
) -> Iterator[tuple[str, list[float], list[float]]]:
    """Yield the key and the points of each row that has them, nulls left out."""
    for row in rows:
        curve = row.get(field)
        if not isinstance(curve, Mapping) or curve.get(y) is None:
            continue
        both = zip(map(known, curve[x]), map(known, curve[y]), strict=True)
        points = [(a, b) for a, b in both if a is not None and b is not None]
        if points:
            yield row_key(row), [a for a, _ in points], [b for _, b in points]


def _draw(axes: Axes, key: str, x: list[float], y: list[float]) -> Line2D:
    style = style_of(key)
    (line,) = axes.plot(
        x,
        y,
        color=colour(style.role),
        marker=style.marker,
        markersize=5,
        linestyle=style.line,
        label=style.label,
        clip_on=False,
    )
    return line


def risk_coverage(axes: Axes, rows: Sequence[Row]) -> Axes:
    """Draw the error rate among the images answered against the share that is answered.

    Args:
        axes: where to draw.
        rows: rows with `risk_coverage`, the lists of `metrics.RiskCoverage.as_lists`; a row
            without them is left out. Curves end at the error rate of all images.
    """
    for key, coverage, risk in _curves(rows, "risk_coverage", "coverage", "risk"):
        # Marks tell rows apart without colour; on a hundred points they would hide the curve.
        every = max(1, len(coverage) // _MARKS)
        _draw(axes, key, coverage, risk).set_markevery((every - 1, every))
    axes.set(xlabel="images answered (%)", ylabel="wrong among them (%)", xlim=(0, 1))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], labels=("0", "25", "50", "75", "100"))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    axes.set_ylim(bottom=0, auto=True)
    return axes


def reads_curve(axes: Axes, rows: Sequence[Row], quantity_name: str = "accuracy") -> Axes:
    """Draw one quantity against the number of reads, on a logarithmic axis.

    Args:
        axes: where to draw.
        rows: rows with `reads_curve`, the lists of `metrics.ReadsCurve.as_lists`; a row without
            the quantity is left out.
        quantity_name: a key of `QUANTITIES`.

    Raises:
        ValueError: another quantity.
    """
    if quantity_name not in QUANTITIES:
        raise ValueError(
            f"Argument `quantity_name` must be one of {', '.join(QUANTITIES)}, "
            f"but is {quantity_name!r}."
        )
    axes.set_xscale("log")
    for key, reads, values in _curves(rows, "reads_curve", "reads", quantity_name):
        _draw(axes, key, reads, values)
    axes.set(xlabel="reads", ylabel=QUANTITIES[quantity_name])
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    if quantity_name == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    return axes


def price(axes: Axes, per_read: float, label: str) -> Axes:
    """Add an upper axis to `reads_curve` that says what the reads cost.

    Args:
        axes: a drawing of `reads_curve`.
        per_read: energy or latency of one read, in the unit of the label.
        label: of the upper axis, "energy (nJ)".

    Raises:
        ValueError: a price that is not positive.
    """
    if not per_read > 0:
        raise ValueError(f"Argument `per_read` must be positive, but is {per_read}.")

    def cost(reads: ArrayLike) -> np.ndarray:
        return np.asarray(reads, dtype=float) * per_read

    def bought(spent: ArrayLike) -> np.ndarray:
        return np.asarray(spent, dtype=float) / per_read

    upper = axes.secondary_xaxis("top", functions=(cost, bought))
    upper.set_xlabel(label)
    upper.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    upper.xaxis.set_minor_formatter(NullFormatter())
    return axes
