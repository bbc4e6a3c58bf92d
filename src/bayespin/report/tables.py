"""Tables of the page as cells of text: a main line, and below it what to compare it with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bayespin.report.formatting import (
    count,
    decimals,
    figures,
    percent,
    quantity,
)
from bayespin.report.naming import Row, at_blend, known, row_key, style_of
from bayespin.report.reference import HEADLINE_BLEND, paper_row


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: its column's name, the value, and smaller lines below it."""

    column: str
    value: str
    below: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a table: a name with a colour role (may be empty) and its cells."""

    name: str
    role: str
    detail: str
    cells: tuple[Cell, ...]


def _spread(row: Row, name: str, digits: int, scale: float = 1.0) -> tuple[str, ...]:
    """Return ("± 0.0003",) where the results hold a standard error."""
    error = known((row.get("se") or {}).get(name))
    return () if error is None else (f"± {decimals(scale * error, digits)}",)


def result_lines(rows: Sequence[Row], *, paper: bool = True) -> list[Line]:
    """Return the results table; with `paper` its number stands below ours where it has one."""
    lines = []
    for row in rows:
        style, reads = style_of(row_key(row)), known(row.get("reads"))
        detail = "" if reads is None else "one pass" if reads == 1 else f"{count(reads)} reads"
        lines.append(
            Line(name=style.label, role=style.role, detail=detail, cells=_result_cells(row, paper))
        )
    return lines


def _result_cells(row: Row, compared: bool) -> tuple[Cell, ...]:
    paper = paper_row(row_key(row)) if compared else None
    accuracy, ece, ood_ece = ("", "", "") if paper is None else (
        f"paper {percent(paper.accuracy)}",
        f"paper {decimals(paper.ece, 4)}",
        f"paper {decimals(paper.ood_ece, 4)}",
    )  # fmt: skip
    low, high = row.get("ece_floor_range") or (None, None)
    floor = () if known(low) is None else (f"{decimals(low, 4)}–{decimals(high, 4)}",)
    ood = at_blend(row.get("ood_ece"), HEADLINE_BLEND)
    total = known(row.get("auroc_total"))
    return (
        Cell(column="Accuracy", value=percent(row.get("accuracy")),
             below=(*_spread(row, "accuracy", 2, 100), accuracy)),
        Cell(column="NLL", value=decimals(row.get("nll"), 3), below=_spread(row, "nll", 3)),
        Cell(column="Brier", value=decimals(row.get("brier"), 3), below=_spread(row, "brier", 3)),
        Cell(column="ECE", value=decimals(row.get("ece"), 4),
             below=(*_spread(row, "ece", 4), ece)),
        Cell(column="ECE floor", value=decimals(row.get("ece_floor"), 4), below=floor),
        Cell(column="OOD ECE", value=decimals(ood, 4), below=(ood_ece,)),
        Cell(column="AUROC", value=decimals(row.get("auroc_epistemic"), 3),
             below=() if total is None else (f"total {decimals(total, 3)}",)),
        Cell(column="Energy", value=quantity(row.get("energy_j"), "J")),
        Cell(column="Latency", value=quantity(row.get("latency_s"), "s")),
    )  # fmt: skip


def mapping_lines(entries: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Return one line for each layer: how its weights sit on the chip."""
    lines = []
    for entry in entries:
        outside, weights = known(entry.get("outside_window")), known(entry.get("weights"))
        share = () if outside is None or not weights else (percent(outside / weights, 1),)
        cells = (
            Cell(column="Tiles", value=count(entry.get("tiles"))),
            Cell(column="Weights", value=count(entry.get("weights"))),
            Cell(column="Largest weight", value=figures(entry.get("weight_max"))),
            Cell(column="σ gain", value=figures(entry.get("gain"))),
            Cell(column="σ outside window", value=count(outside), below=share),
            Cell(column="below floor", value=count(entry.get("below_floor"))),
            Cell(column="above cap", value=count(entry.get("above_cap"))),
            Cell(column="μ clipped", value=count(entry.get("clipped"))),
            Cell(column="ADC range", value=figures(entry.get("adc_range")),
                 below=_told(entry, "adc_range_from_moments", "moments: {}", figures)),
            Cell(column="ADC clipped", value=percent(entry.get("adc_clipped"), 3),
                 below=_told(entry, "adc_clipped_expected", "expected: {}",
                             lambda share: percent(share, 3))),
            Cell(column="ADC steps a σ", value=figures(entry.get("adc_steps_per_sigma"))),
        )  # fmt: skip
        detail = f"{count(entry.get('inputs'))} × {count(entry.get('outputs'))}"
        lines.append(Line(name=str(entry.get("layer")), role="", detail=detail, cells=cells))
    return lines


def _told(
    entry: Mapping[str, Any], name: str, words: str, written: Callable[[float], str]
) -> tuple[str, ...]:
    number = known(entry.get(name))
    return () if number is None else (words.format(written(number)),)


def programming_lines(entries: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Return one line for each layer: what programming took, and what it left."""
    lines = []
    for entry in entries:
        cells = known(entry.get("cells"))
        pulses, worn = entry.get("pulses") or {}, entry.get("endurance_used") or {}
        told = (
            Cell(column="Pulses a weight", value=figures(_over(sum(pulses.values()), cells)),
                 below=tuple(f"{name} {figures(_over(n, cells))}" for name, n in pulses.items())),
            Cell(column="Verify reads a weight",
                 value=count(_over(entry.get("verify_reads"), cells))),
            Cell(column="Energy in devices",
                 value=quantity(sum((entry.get("energy_j") or {}).values()), "J")),
            Cell(column="Time", value=quantity(entry.get("time_s"), "s")),
            *(_residual(entry.get(name) or {}, column)
              for name, column in (("mean", "μ error, of w_max"), ("sigma", "σ error, relative"))),
            Cell(column="Endurance used",
                 value=figures(max((pair[1] for pair in worn.values()), default=None), 2)),
        )  # fmt: skip
        lines.append(Line(name=str(entry.get("layer")), role="", detail="", cells=told))
    return lines


def _over(value: object, cells: float | None) -> float | None:
    number = known(value)
    return None if number is None or not cells else number / cells


def _residual(residual: Mapping[str, Any], column: str) -> Cell:
    """Return an rms error, and below it its largest value and the loops that did not converge."""
    failed = sum((residual.get("failed") or {}).values())
    largest = known(residual.get("largest"))
    below = () if largest is None else (f"largest {percent(largest, 1)}",)
    short = (f"{count(failed)} gave up",) if failed else ()
    return Cell(column=column, value=percent(residual.get("rms")), below=(*below, *short))


def seed_lines(rows: Sequence[Row]) -> list[Line]:
    """Return one line for each seed and row."""
    return [
        Line(
            name=style_of(row_key(row)).label,
            role=style_of(row_key(row)).role,
            detail=f"seed {row.get('seed')}",
            cells=(
                Cell(column="Accuracy", value=percent(row.get("accuracy"))),
                Cell(column="NLL", value=decimals(row.get("nll"), 3)),
                Cell(column="ECE", value=decimals(row.get("ece"), 4)),
                Cell(
                    column="OOD ECE",
                    value=decimals(at_blend(row.get("ood_ece"), HEADLINE_BLEND), 4),
                ),
                Cell(column="AUROC", value=decimals(row.get("auroc_epistemic"), 3)),
            ),
        )
        for row in rows
    ]


def baseline_lines(results: Mapping[str, Any], chip: Row | None) -> list[Line]:
    """Return the same network on digital hardware, and how many times the chip's energy it is."""
    ours = known((chip or {}).get("energy_j"))
    lines = []
    for entry in results.get("baselines") or ():
        energy = known(entry.get("energy_j"))
        ratio = None if energy is None or not ours else energy / ours
        cells = (
            Cell(column="Energy", value=quantity(energy, "J")),
            Cell(column="× chip", value=figures(ratio, 3)),
        )
        lines.append(Line(name=str(entry.get("name", "")), role="", detail="", cells=cells))
    return lines
