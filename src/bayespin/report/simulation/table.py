"""The table of a simulation in a terminal: narrow, with what it is held against beside it."""

from collections.abc import Mapping
from typing import Any

from bayespin.report.formatting import count, decimals, percent, quantity, with_error
from bayespin.report.naming import known
from bayespin.report.simulation.page import warnings_of
from bayespin.report.table import Table

Row = Mapping[str, Any]


def table(results: Row) -> Table:
    """Return the rows of a simulation: one for each operating point, component or notch."""
    make = {"macrospin": _macrospins, "film": _films, "wall": _walls}[results["kind"]]
    found = make(results)
    rows = tuple(tuple(cell.replace("\u00a0", " ") for cell in row) for row in found.rows)
    notes = (*warnings_of(results), *found.notes)
    return Table(header=found.header, rows=rows, notes=notes)


def _macrospins(results: Row) -> Table:
    def cells(row: Row) -> tuple[str, ...]:
        distance = row.get("distance") or {}
        return (
            quantity(row.get("anisotropy_field"), "T").replace("-", "−"),
            with_error(row.get("std")),
            decimals(row.get("exact_std"), 4),
            with_error(row.get("correlation_time"), "s"),
            quantity(row.get("exact_time"), "s"),
            count((row.get("mean") or {}).get("effective_samples")),
            decimals(distance.get("value"), 4),
            count(row.get("failed")),
        )

    return Table(
        header=("2K/Ms", "std of u", "exact", "τ", "exact τ", "eff. n", "KS", "bad"),
        rows=tuple(map(cells, results.get("rows") or ())),
        notes=(
            "u = m_z; eff. n: effective samples of the mean; KS: distance to the exact law, "
            "below 1.36/√(eff. n) 95 times in 100; bad: trajectories not finite.",
        ),
    )


def _films(results: Row) -> Table:
    def cells(row: Row) -> tuple[str, ...]:
        alone = known(row.get("macrospin_std"))
        return (
            f"average {row.get('component')}",
            with_error(row.get("mean")),
            with_error(row.get("std")),
            decimals(alone, 4),
            with_error(row.get("correlation_time"), "s"),
            count((row.get("mean") or {}).get("effective_samples")),
            count(row.get("failed")),
        )

    return Table(
        header=("", "mean", "std", "macrospin", "τ", "eff. n", "bad"),
        rows=tuple(map(cells, results.get("rows") or ())),
        notes=(
            "macrospin: std of one moment of the same volume and energies; bad: not finite.",
            "A τ that is a dash is too long for the run, which has not come to equilibrium then.",
        ),
    )


def _walls(results: Row) -> Table:
    def cells(row: Row) -> tuple[str, ...]:
        return (
            f"notch {row.get('notch')}",
            quantity(row.get("x"), "m"),
            quantity(row.get("position"), "m"),
            count(row.get("walls")),
            percent(row.get("share"), 1),
            count(row.get("films")),
        )

    bad = f"{count(results.get('failed'))} of {count(results.get('trajectories'))}"
    return Table(
        header=("walls that end in", "x", "q", "walls", "share", "films"),
        rows=tuple(map(cells, results.get("rows") or ())),
        notes=(f"q: metres of full track to the left; walls not finite: {bad}.",),
    )
