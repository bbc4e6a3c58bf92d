"""Figures of the page: panels small enough for a phone, with a legend and a caption in HTML."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from markupsafe import Markup
from matplotlib.figure import Figure

from bayespin.report.captions import ENTROPY, LADDER, RELIABILITY, SIGMA
from bayespin.report.figures import (
    entropy_ladder,
    ood_ladder,
    paper_points,
    reliability_counts,
    reliability_diagram,
    sigma_histogram,
)
from bayespin.report.formatting import count, decimals, percent
from bayespin.report.naming import Row, find_row, known, ladder, row_key, style_of
from bayespin.report.reference import comparable
from bayespin.report.svg import inline_svg

PANEL: Final = (348, 250)
"""Width and height of a panel in CSS pixels: one column of a phone."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One drawing with its title and a line of numbers below the title."""

    title: str
    note: str
    role: str
    svg: Markup
    span: Literal["column", "page"] = "column"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One entry of a legend: `kind` is block, window, hatch, line or star.

    `marker` and `line` are those of the row that a line stands for.
    """

    kind: str
    role: str
    label: str
    marker: str = ""
    line: str = "-"


@dataclass(frozen=True, kw_only=True)
class Plate:
    """Panels that share a legend and a caption."""

    name: str
    caption: str
    marks: tuple[Mark, ...]
    panels: tuple[Panel, ...]


Draw = Callable[[Figure], object]


def _panel(name: str, title: str, note: str, alt: str, draw: Draw) -> Panel:
    svg = inline_svg(draw, size=PANEL, name=name, alt=alt)
    return Panel(title=title, note=note, role="", svg=svg)


def row_marks(rows: Sequence[Row]) -> tuple[Mark, ...]:
    """Return the legend of the rows, in their order."""
    styles = [style_of(row_key(row)) for row in rows]
    return tuple(
        Mark(kind="line", role=s.role, label=s.label, marker=s.marker, line=s.line) for s in styles
    )


def calibration_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return a reliability diagram for each row that has one."""
    rows, panels = results.get("rows") or (), []
    for place, (key, bins) in enumerate((results.get("reliability") or {}).items()):
        style, row = style_of(key), find_row(rows, key) or {}

        def draw(figure: Figure, bins: Mapping[str, Any] = bins, key: str = key) -> None:
            upper, lower = figure.subplots(
                2, 1, sharex=True, gridspec_kw={"height_ratios": [3.4, 1]}
            )
            reliability_diagram(upper, bins, style_of(key))
            upper.tick_params(labelbottom=False)
            reliability_counts(lower, bins)

        low, high = row.get("ece_floor_range") or (None, None)
        note = f"ECE {decimals(row.get('ece'), 4)}"
        if known(low) is not None:
            note += f" (floor {decimals(low, 4)}–{decimals(high, 4)})"
        svg = inline_svg(
            draw,
            size=(PANEL[0], 300),
            name=f"reliability{place}",
            alt=f"Reliability diagram of {style.label}: accuracy per confidence bin. {note}.",
        )
        panels.append(Panel(title=style.label, note=note, role=style.role, svg=svg))
    if not panels:
        return None
    return Plate(
        name="reliability",
        caption=RELIABILITY,
        marks=(
            Mark(kind="block", role="muted", label="accuracy of the bin (in the row's colour)"),
            Mark(kind="hatch", role="ink", label="gap to the mean confidence"),
        ),
        panels=tuple(panels),
    )


def ood_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return calibration error, signed error and accuracy against the blend fraction."""
    rows = [row for row in results.get("rows") or () if ladder(row.get("ood_ece"))]
    if not rows:
        return None

    paper = comparable(results)
    star = Mark(kind="star", role="ink", label="paper, in the colour of the matching row")

    def errors(figure: Figure) -> None:
        axes = ood_ladder(figure.add_subplot(), rows)
        if paper:
            paper_points(axes)

    def signed(figure: Figure) -> None:
        ood_ladder(figure.add_subplot(), rows, "ood_signed_error")

    def accuracy(figure: Figure) -> None:
        ood_ladder(figure.add_subplot(), rows, "ood_accuracy")

    ood = (results.get("data") or {}).get("ood") or "out-of-distribution images"
    panels = [
        _panel("oodece", "Calibration error",
               "stars: the paper, with EMNIST letters" if paper else "in 15 bins of confidence",
               f"Expected calibration error against the fraction of {ood} blended in.", errors),
        _panel("oodsigned", "Direction of the error", "above zero: over-confident",
               "Mean confidence minus accuracy against the blend fraction.", signed),
        _panel("oodaccuracy", "Accuracy", "label of the clean image kept",
               "Accuracy against the blend fraction.", accuracy),
    ]  # fmt: skip
    return Plate(
        name="ood",
        caption=LADDER.replace("{ood}", str(ood)),
        marks=(*row_marks(rows), *([star] if paper else ())),
        panels=tuple(panels),
    )


def entropy_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return the entropy ladder of every row that has one, on one scale."""
    rows = [row for row in results.get("rows") or () if row.get("ood_entropy")]
    totals = [
        total
        for row in rows
        for rung in row["ood_entropy"].values()
        if (total := known((rung or {}).get("total"))) is not None
    ]
    if not totals:
        return None
    top, panels = 1.08 * max(totals), []
    for place, row in enumerate(rows):
        style = style_of(row_key(row))

        def draw(figure: Figure, row: Row = row) -> None:
            entropy_ladder(figure.add_subplot(), row, top)

        svg = inline_svg(
            draw,
            size=(PANEL[0], 210),
            name=f"entropy{place}",
            alt=f"Total entropy of {style.label} against the blend fraction, split into aleatoric "
            "and epistemic.",
        )
        panels.append(Panel(title=style.label, note="", role=style.role, svg=svg))
    return Plate(
        name="entropy",
        caption=ENTROPY,
        marks=(
            Mark(kind="block", role="aleatoric", label="aleatoric"),
            Mark(kind="block", role="epistemic", label="epistemic"),
            Mark(kind="line", role="ink", label="total"),
        ),
        panels=tuple(panels),
    )


def sigma_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return the histogram of learned σ over the device's window, one panel for each layer."""
    histograms = results.get("sigma") or {}
    layers = {entry.get("layer"): entry for entry in results.get("mapping") or ()}
    panels = []
    for place, (layer, histogram) in enumerate(histograms.items()):

        def draw(figure: Figure, histogram: Mapping[str, Any] = histogram) -> None:
            sigma_histogram(figure.add_subplot(), histogram)

        entry = layers.get(layer, {})
        outside, weights = known(entry.get("outside_window")), known(entry.get("weights"))
        note = ""
        if outside is not None and weights is not None and weights > 0:
            share = percent(outside / weights, 1)
            note = f"{count(outside)} of {count(weights)} weights outside ({share})"
        svg = inline_svg(
            draw,
            size=(PANEL[0], 210),
            name=f"sigma{place}",
            alt=f"Histogram of σ in layer {layer}, learned and programmed, over the window. {note}",
        )
        panels.append(Panel(title=str(layer), note=note, role="", svg=svg))
    if not panels:
        return None
    return Plate(
        name="sigma",
        caption=SIGMA,
        marks=(
            Mark(kind="block", role="frozen", label="learned σ"),
            Mark(kind="line", role="spintronic", label="programmed σ"),
            Mark(kind="window", role="aleatoric", label="the device's window"),
        ),
        panels=tuple(panels),
    )
