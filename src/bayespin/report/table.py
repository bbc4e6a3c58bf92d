"""The results table for a terminal: plain strings that fit in 80 columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bayespin.report.formatting import MISSING, decimals, quantity
from bayespin.report.naming import Row, at_blend, known, row_key, style_of
from bayespin.report.reference import HEADLINE_BLEND, PAPER, PaperRow, comparable

HEADER: Final = (
    "network", "acc. %", "NLL", "ECE", "floor", "OOD ECE", "AUROC", "energy", "latency",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Table:
    """A header and rows of as many strings; the first column reads left, the others right."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the table as aligned text, one blank between columns."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        cells = (
            [cell.rjust(width) if place else cell.ljust(width)
             for place, (cell, width) in enumerate(zip(row, widths, strict=True))]
            for row in (self.header, *self.rows)
        )  # fmt: skip
        return [" ".join(row).rstrip() for row in cells]


def _ours(row: Row) -> tuple[str, ...]:
    accuracy = known(row.get("accuracy"))
    return (
        style_of(row_key(row)).short,
        decimals(None if accuracy is None else 100 * accuracy, 2),
        decimals(row.get("nll"), 3),
        decimals(row.get("ece"), 4),
        decimals(row.get("ece_floor"), 4),
        decimals(at_blend(row.get("ood_ece"), HEADLINE_BLEND), 4),
        decimals(row.get("auroc_epistemic"), 3),
        quantity(row.get("energy_j"), "J").replace("\u00a0", " "),
        quantity(row.get("latency_s"), "s").replace("\u00a0", " "),
    )


def _paper(row: PaperRow) -> tuple[str, ...]:
    percent, ece, ood = decimals(100 * row.accuracy, 2), decimals(row.ece, 4), row.ood_ece
    return (
        row.short, percent, MISSING, ece, MISSING, decimals(ood, 4), MISSING, MISSING, MISSING,
    )  # fmt: skip


def table(results: Mapping[str, Any]) -> Table:
    """Return the rows of a study and, below them, the paper's where they are of the same images.

    Columns: accuracy in per cent; negative log-likelihood in nats; expected calibration error, and
    what a perfectly calibrated model would show on as many images ("floor"); the same error on
    images blended half and half with others; area under the ROC curve of epistemic entropy; energy
    and latency of one prediction with all its reads.
    """
    data = results.get("data") or {}
    ood, paper = data.get("ood"), PAPER if comparable(results) else ()
    notes = (
        "OOD ECE at f = 0.5"
        + (f", blended with {ood}" if ood else "")
        + ("; the paper's with EMNIST letters." if paper else "."),
        "AUROC of epistemic entropy; energy and latency per prediction with all its reads.",
    )
    quick = ("Quick run: a short training and few images; do not quote.",)
    return Table(
        header=HEADER,
        rows=(*map(_ours, results.get("rows") or ()), *map(_paper, paper)),
        notes=(*quick, *notes) if results.get("quick") else notes,
    )
