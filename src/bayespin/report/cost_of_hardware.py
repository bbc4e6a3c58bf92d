"""What each flaw of the chip costs, and what more reads buy: figures and tables of the page."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayespin.report.curve_figures import QUANTITIES, reads_curve
from bayespin.report.formatting import count, decimals, figures, percent, quantity
from bayespin.report.naming import CHIP, find_row, known
from bayespin.report.palette import colour
from bayespin.report.plates import PANEL, Mark, Panel, Plate
from bayespin.report.svg import inline_svg
from bayespin.report.tables import Cell, Line

MEASURES: Final = {
    "accuracy": ("Accuracy", "accuracy − base (points)", 100.0),
    "nll": ("NLL", "NLL − base (nats)", 1.0),
    "ood_ece": ("OOD ECE", "OOD ECE − base (1)", 1.0),
}
"""Title, axis and scale of what `flaw_differences` draws."""
_FLAWS: Final = (
    "Each flaw alone, on a chip that has no other; below the line the whole chip. A dot right of "
    "zero is a gain in accuracy and a loss in NLL and calibration. Lines: two standard errors over "
    "the seeds."
)
_READS: Final = (
    "The same reads, averaged over the first N of them. Accuracy saturates first, the doubt about "
    "foreign images last."
)


def flaw_differences(axes: Axes, results: Mapping[str, Any], measure: str) -> Axes:
    """Draw how one measure moves with each flaw, as a difference from the base.

    Args:
        axes: where to draw.
        results: with `flaws`, and `flaws_se` where there are several seeds.
        measure: a key of `MEASURES`.

    Raises:
        ValueError: another measure.
    """
    if measure not in MEASURES:
        raise ValueError(
            f"Argument `measure` must be one of {', '.join(MEASURES)}, but is {measure!r}."
        )
    flaws, scale = results["flaws"], MEASURES[measure][2]
    errors = results.get("flaws_se") or [{} for _ in flaws]
    base = flaws[0][measure]
    for place, (flaw, error) in enumerate(zip(flaws[1:], errors[1:], strict=True)):
        whole = flaw["name"].startswith("all")
        reach = 2 * scale * (known(error.get(measure)) or 0.0)
        axes.errorbar(
            [scale * (flaw[measure] - base)], [place], xerr=[reach], marker="o", markersize=5,
            color=colour("spintronic" if whole else "perread"), elinewidth=1.4, linestyle="none",
        )  # fmt: skip
    axes.axvline(0, color=colour("muted"), linewidth=1, zorder=1)
    axes.set_yticks(range(len(flaws) - 1), labels=[flaw["name"] for flaw in flaws[1:]])
    axes.set_ylim(len(flaws) - 1.4, -0.6)
    axes.set_xlabel(MEASURES[measure][1])
    return axes


def flaw_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return what each flaw of the chip costs, where a run measured it."""
    if not results.get("flaws"):
        return None
    panels = []
    for name, (title, label, _) in MEASURES.items():

        def draw(figure: Figure, name: str = name) -> None:
            flaw_differences(figure.add_subplot(), results, name)

        svg = inline_svg(draw, size=PANEL, name=f"flaw{name}", alt=f"{label} for each flaw.")
        panels.append(Panel(title=title, note="", role="", svg=svg))
    marks = (
        Mark(kind="line", role="perread", label="one flaw alone", marker="o"),
        Mark(kind="line", role="spintronic", label="all together", marker="o"),
    )
    return Plate(name="flaws", caption=_FLAWS, marks=marks, panels=tuple(panels))


def flaw_lines(results: Mapping[str, Any]) -> list[Line]:
    """Return the table beside `flaw_plate`."""
    flaws = results.get("flaws") or ()
    errors = results.get("flaws_se") or [{} for _ in flaws]
    return [
        Line(
            name=str(flaw["name"]),
            role="",
            detail="",
            cells=(
                _cell("Accuracy", percent(flaw["accuracy"]), percent(error.get("accuracy"))),
                _cell("NLL", decimals(flaw["nll"], 3), decimals(error.get("nll"), 3)),
                _cell("ECE", decimals(flaw["ece"], 4), decimals(error.get("ece"), 4)),
                _cell("OOD ECE", decimals(flaw["ood_ece"], 4), decimals(error.get("ood_ece"), 4)),
                _cell("Energy", quantity(flaw["energy_j"], "J"), ""),
            ),
        )
        for flaw, error in zip(flaws, errors, strict=True)
    ]


def _cell(column: str, value: str, error: str) -> Cell:
    return Cell(column=column, value=value, below=(f"± {error}",) if error not in ("", "–") else ())


def reads_plate(results: Mapping[str, Any]) -> Plate | None:
    """Return metrics of the chip against the number of reads."""
    found = results.get("reads")
    if not found:
        return None
    chip = {"model": "bnn", "where": "spintronic", "sampling": "per_read"}
    row, panels = {**chip, "reads_curve": found["curve"]}, []
    for name in ("accuracy", "nll", "ece", "auroc_epistemic"):

        def draw(figure: Figure, name: str = name) -> None:
            reads_curve(figure.add_subplot(), [row], name)

        svg = inline_svg(draw, size=PANEL, name=f"reads{name}", alt=f"{QUANTITIES[name]} by reads.")
        panels.append(Panel(title=QUANTITIES[name].partition(" (")[0], note="", role="", svg=svg))
    return Plate(name="reads", caption=_READS, marks=(), panels=tuple(panels))


def stopping_lines(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Return what stopping early saves, by kind of evidence."""
    found, chip = results.get("reads") or {}, find_row(rows, CHIP) or {}
    most = known(chip.get("reads"))
    lines = []
    for name, one in (found.get("stopped") or {}).items():
        share = None if not most else one["mean_reads"] / most
        energy, latency = known(chip.get("energy_j")), known(chip.get("latency_s"))
        lines.append(
            Line(
                name=name,
                role="",
                detail=f"stated error {percent(one['error'], 0)}",
                cells=(
                    Cell(column="Mean reads", value=figures(one["mean_reads"])),
                    Cell(column="Decided", value=percent(one["decided"], 1)),
                    Cell(column="Accuracy", value=percent(one["accuracy"])),
                    Cell(column="Other class", value=percent(one["changed"])),
                    Cell(column="Energy", value=_part(energy, share, "J")),
                    Cell(column="Latency", value=_part(latency, share, "s")),
                ),
            )
        )
    return lines


def _part(whole: float | None, share: float | None, unit: str) -> str:
    return quantity(None if whole is None or share is None else whole * share, unit)


def reads_said(results: Mapping[str, Any]) -> str:
    """Return on how many images the curve and the rules stand."""
    found = results.get("reads") or {}
    return f"{count(found.get('images'))} test images, and as many foreign ones." if found else ""
