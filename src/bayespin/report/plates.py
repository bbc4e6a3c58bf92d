"""Figures of the page: panels small enough for a phone, with a legend and a caption in HTML."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup
from matplotlib.figure import Figure

from bayespin.report.figures import (
    energy_bars,
    entropy_ladder,
    ood_ladder,
    paper_points,
    reliability_counts,
    reliability_diagram,
    sigma_histogram,
)
from bayespin.report.formatting import count, decimals, percent, quantity
from bayespin.report.naming import CHIP, Row, find_row, known, ladder, row_key, style_of
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


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One entry of a legend: `kind` is block, line, hatch or star."""

    kind: str
    role: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Plate:
    """Panels that share a legend and a caption; `wide` panels take the full width."""

    name: str
    caption: str
    marks: tuple[Mark, ...]
    panels: tuple[Panel, ...]
    wide: bool = False


Draw = Callable[[Figure], object]


def _panel(name: str, title: str, note: str, alt: str, draw: Draw) -> Panel:
    svg = inline_svg(draw, size=PANEL, name=name, alt=alt)
    return Panel(title=title, note=note, role="", svg=svg)


def row_marks(rows: Sequence[Row]) -> tuple[Mark, ...]:
    """Return the legend of the rows, in their order."""
    styles = [style_of(row_key(row)) for row in rows]
    return tuple(Mark(kind="line", role=style.role, label=style.label) for style in styles)


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

        ece, floor = decimals(row.get("ece"), 4), row.get("ece_floor_range")
        low, high = floor if floor else (None, None)
        note = f"ECE {ece}; perfect calibration would show {decimals(low, 4)} to {decimals(high, 4)}"
        svg = inline_svg(
            draw,
            size=(PANEL[0], 300),
            name=f"reliability{place}",
            alt=f"Reliability diagram of {style.label}: accuracy per confidence bin. {note}.",
        )
        panels.append(
            Panel(
                title=style.label,
                note=note if known(low) is not None else f"ECE {ece}",
                role=style.role,
                svg=svg,
            )
        )
    if not panels:
        return None
    return Plate(
        name="reliability",
        caption="Bars that end on the dashed diagonal mean that a stated confidence can be taken at "
        "its word. Hatching above a bar is over-confidence, hatching inside it under-confidence. "
        "The strip below shows how few images the low-confidence bins hold: a gap there weighs "
        "little in the ECE.",
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

    def errors(figure: Figure) -> None:
        paper_points(ood_ladder(figure.add_subplot(), rows))

    def signed(figure: Figure) -> None:
        ood_ladder(figure.add_subplot(), rows, "ood_signed_error")

    def accuracy(figure: Figure) -> None:
        ood_ladder(figure.add_subplot(), rows, "ood_accuracy")

    ood = (results.get("data") or {}).get("ood") or "out-of-distribution images"
    panels = [
        _panel("oodece", "Calibration error", "stars: the paper, with EMNIST letters",
               f"Expected calibration error against the fraction of {ood} blended in.", errors),
        _panel("oodsigned", "Direction of the error", "above zero: over-confident",
               "Mean confidence minus accuracy against the blend fraction.", signed),
        _panel("oodaccuracy", "Accuracy", "label of the clean image kept",
               "Accuracy against the blend fraction.", accuracy),
    ]  # fmt: skip
    return Plate(
        name="ood",
        caption=f"Each test image is mixed with one of another kind, x = (1 − f)·x_test + f·x_other "
        f"({ood}). All networks lose accuracy as f grows; the question is whether they know. A "
        "Bayesian network's calibration error should stay low where the deterministic one's climbs. "
        "The signed error tells honest calibration from over- and under-confidence that merely "
        "cross at one f.",
        marks=(
            *row_marks(rows),
            Mark(kind="star", role="ink", label="paper, in the colour of the matching row"),
        ),
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
        caption="Total entropy of the averaged prediction, H(E[p]), split into what every read agrees "
        "is ambiguous (aleatoric, E[H(p)]) and what the reads disagree about (epistemic, the rest). "
        "The epistemic band should widen with f: it is the network saying that it has not seen such "
        "images. A deterministic network has none.",
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
            alt=f"Histogram of σ in layer {layer}, learned and programmed, over the device's window. "
            f"{note}",
        )
        panels.append(Panel(title=str(layer), note=note, role="", svg=svg))
    if not panels:
        return None
    return Plate(
        name="sigma",
        caption="What training asked for, and what the cells hold. Weights below the window get more "
        "noise than they learned, weights above it less; the programmed line shows where they end "
        "up, level steps and placement error included.",
        marks=(
            Mark(kind="block", role="frozen", label="learned σ"),
            Mark(kind="line", role="spintronic", label="programmed σ"),
            Mark(kind="window", role="aleatoric", label="the device's window"),
        ),
        panels=tuple(panels),
    )


def energy_split(row: Row | None) -> dict[str, dict[str, float]]:
    """Return the energy of a prediction by component, largest first, and by layer, in joules."""
    breakdown = (row or {}).get("breakdown") or {}
    split = {}
    for title, name in (("component", "energy_j"), ("layer", "energy_by_layer_j")):
        parts = {
            str(part): value
            for part, joules in (breakdown.get(name) or {}).items()
            if (value := known(joules)) is not None
        }
        if parts:
            split[title] = parts
    if "component" in split:
        ordered = sorted(split["component"].items(), key=lambda item: -item[1])
        split["component"] = dict(ordered)
    return split


def energy_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return the energy of one prediction on the spintronic chip, split two ways."""
    row = find_row(results.get("rows") or (), CHIP)
    split = energy_split(row)
    if row is None or not split:
        return None

    def draw(figure: Figure) -> None:
        energy_bars(figure.add_subplot(), {f"by {title}": parts for title, parts in split.items()})

    total, reads = quantity(row.get("energy_j"), "J"), count(row.get("reads"))
    note = f"{total} for one prediction of {reads} reads"
    alt = f"Energy by component and by layer: {note}. The tables below hold the numbers."
    svg = inline_svg(draw, size=(700, 170), name="energy", alt=alt)
    return Plate(
        name="energy",
        caption="The same energy split two ways: by what spends it and by where in the network. "
        "Colours are keyed in the tables below.",
        marks=(),
        panels=(Panel(title="Spintronic chip", note=note, role="spintronic", svg=svg),),
        wide=True,
    )
