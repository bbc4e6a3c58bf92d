"""Figures of the page about the chip's cells: their device, what they hold, what was programmed."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from bayespin.report.captions import ANEW, DEVICE, HELD, LEVELS
from bayespin.report.cell_figures import (
    QUANTITIES,
    device_curve,
    level_histogram,
    shade_steps,
    weight_map,
)
from bayespin.report.formatting import count, figures, percent
from bayespin.report.naming import known
from bayespin.report.plates import PANEL, Mark, Panel, Plate
from bayespin.report.svg import inline_svg

_ROLES: Final = ("perread", "spintronic", "other")
"""Colours of a cell's kinds of device, in the order of the results."""
_TITLES: Final = {"sigma": "Spread of one look", "tau": "Memory"}


def device_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return σ and τ of the stochastic device against its setting."""
    device = results.get("device")
    if not device:
        return None
    panels = []
    for name, (_, symbol) in QUANTITIES.items():

        def draw(figure: Figure, name: str = name) -> None:
            device_curve(figure.add_subplot(), device, name)

        low, high = (known(device["levels"][name][end]) for end in (0, -1))
        ratio = f"a factor of {figures(high / low)}" if low and high else ""
        svg = inline_svg(
            draw,
            size=PANEL,
            name=f"device{name}",
            alt=f"{symbol} of the stochastic device against its setting.",
        )
        panels.append(Panel(title=f"{_TITLES[name]}, {symbol}", note=ratio, role="", svg=svg))
    marks = [Mark(kind="line", role="spintronic", label="what this run used; dots: its levels",
                  marker="o")]  # fmt: skip
    if device.get("points"):
        marks.append(Mark(kind="line", role="ink", label="table, one standard error", marker="D"))
    if device.get("law"):
        marks.append(Mark(kind="line", role="muted", label="closed form", line="--"))
    caption = DEVICE.replace("{source}", str(device.get("source") or "closed forms"))
    caption = caption.replace("{temperature}", figures(device.get("temperature")))
    if device.get("study"):
        caption += ANEW.replace("{study}", str(device["study"]))
    return Plate(name="device", caption=caption, marks=tuple(marks), panels=tuple(panels))


def held_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return the map of pairs (μ, σ), one panel for each layer."""
    panels = []
    for place, (layer, entry) in enumerate((results.get("weights") or {}).items()):

        def draw(figure: Figure, entry: Mapping[str, Any] = entry) -> None:
            weight_map(figure.add_subplot(), entry)

        shades = ", ".join(map(str, shade_steps(np.asarray(entry["counts"], dtype=float))))
        note = f"{percent(entry.get('held_share'), 1)} inside; shades from {shades} weights a bin"
        svg = inline_svg(
            draw,
            size=PANEL,
            name=f"held{place}",
            alt=f"Trained weights of layer {layer} over the pairs of mean and standard deviation "
            f"that a cell can hold. {note}.",
        )
        panels.append(Panel(title=str(layer), note=note, role="", svg=svg))
    if not panels:
        return None
    return Plate(
        name="held",
        caption=HELD,
        marks=(
            Mark(kind="block", role="frozen", label="trained weights"),
            Mark(kind="window", role="aleatoric", label="window and levels of the cell"),
            Mark(kind="line", role="spintronic", label="0.1 nat lost", line="--"),
        ),
        panels=tuple(panels),
    )


def levels_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return the histogram of levels after programming, one panel for each layer."""
    entries = [entry for entry in results.get("programming") or () if entry.get("levels")]
    panels = []
    for place, entry in enumerate(entries):
        levels = entry["levels"]

        def draw(figure: Figure, levels: Mapping[str, Any] = levels) -> None:
            rows = np.atleast_1d(figure.subplots(len(levels), 1))
            for axes, role, (name, counts) in zip(rows, _ROLES, levels.items(), strict=False):
                level_histogram(axes, counts, role)
                axes.set_xlabel(f"level of {name}")

        cells = known(entry.get("cells"))
        svg = inline_svg(
            draw,
            size=(PANEL[0], 120 * len(levels) + 30),
            name=f"levels{place}",
            alt=f"Histograms of the levels of layer {entry.get('layer')} after programming: "
            f"{', '.join(levels)}.",
        )
        note = "" if cells is None else f"{count(cells)} weights"
        panels.append(Panel(title=str(entry.get("layer")), note=note, role="", svg=svg))
    if not panels:
        return None
    names = list(dict.fromkeys(name for entry in entries for name in entry["levels"]))
    marks = tuple(
        Mark(kind="block", role=role, label=name) for role, name in zip(_ROLES, names, strict=False)
    )
    return Plate(name="levels", caption=LEVELS, marks=marks, panels=tuple(panels))
