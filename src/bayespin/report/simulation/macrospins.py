"""What the page of a simulation of macrospins shows."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray
from matplotlib.figure import Figure

from bayespin.report.formatting import MISSING, count, decimals, figures, quantity, with_error
from bayespin.report.naming import known
from bayespin.report.plates import Mark
from bayespin.report.sections import Drawing, Group, Section
from bayespin.report.simulation.figures import correlation_curve, sound, value_histogram
from bayespin.report.simulation.parts import course
from bayespin.report.tables import Cell, Line
from bayespin.report.verdict import Tile
from bayespin.study.simulation.statistics import correlation

Row = Mapping[str, Any]
SIMULATED: Final = (Mark(kind="block", role="spintronic", label="simulated"),)
LAW: Final = Mark(kind="line", role="ink", label="exact law")


def point_title(row: Row) -> str:
    """Return what tells an operating point apart: its anisotropy field."""
    strength = quantity(abs(known(row.get("anisotropy_field")) or 0.0), "T")
    easy = "easy plane" if (known(row.get("anisotropy_field")) or 0.0) < 0 else "easy axis"
    return f"{easy}, {strength}"


def _value(row: Row, name: str, part: str = "value") -> float | None:
    return known((row.get(name) or {}).get(part))


def macrospin_sections(results: Row, data: xarray.Dataset) -> list[Section]:
    """Return the law that was sampled and how fast it is forgotten, one panel per point."""
    rows: Sequence[Row] = results.get("rows") or ()
    law = Group(
        name="law",
        caption=_LAW_CAPTION,
        drawings=tuple(_law_drawing(row, data, place) for place, row in enumerate(rows)),
        marks=(*SIMULATED, LAW),
    )
    sampled = Section(
        name="law",
        title="What is sampled",
        question="Is every value taken as often as Boltzmann's law says?",
        groups=(law,),
        lines=tuple(_point_line(row) for row in rows),
        first="Free layer",
        caption="Statistics of u = m_z with standard errors",
        note=_STATISTICS_NOTE,
    )
    memory = [_memory_drawing(row, data, place) for place, row in enumerate(rows)]
    shown = tuple(drawing for drawing in memory if drawing is not None)
    if not shown:
        titles = [point_title(row) for row in rows]
        course_of = Section(
            name="course",
            title="Over time",
            question="What does the drive do to the replicas?",
            groups=(course(data, ("m_x", "m_y", "m_z"), titles),),
        )
        return [sampled, course_of]
    forgotten = Section(
        name="memory",
        title="How fast it forgets",
        question="How long until the next sample is a new one?",
        groups=(Group(name="memory", caption=_MEMORY_CAPTION, drawings=shown, marks=_MEMORY),),
    )
    return [sampled, forgotten]


def _law_drawing(row: Row, data: xarray.Dataset, place: int) -> Drawing:
    law = row.get("law")

    def draw(figure: Figure) -> None:
        values = sound(data, "m_z", place)
        value_histogram(
            figure.add_subplot(),
            values,
            None if law is None else (np.array(law[0]), np.array(law[1])),
        )

    return Drawing(
        name=f"law-{place}",
        title=point_title(row),
        note=f"std {with_error(row.get('std'))}, exact {figures(row.get('exact_std'), 4)}",
        alt=f"Histogram of m_z, {point_title(row)}, over the exact law.",
        draw=draw,
    )


def _memory_drawing(row: Row, data: xarray.Dataset, place: int) -> Drawing | None:
    times = {
        name: time
        for name, key in (("Fokker-Planck", "exact_time"), ("linear", "linear_time"))
        if (time := known(row.get(key))) is not None
    }
    values, records = sound(data, "m_z", place), data["time"].values
    if not times or not values.shape[1] or len(records) < 4:
        return None
    interval = float(records[1] - records[0])
    longest = min(round(4 * max(times.values()) / interval), 2 * len(records) // 3)

    def draw(figure: Figure) -> None:
        curve, error = correlation(values, longest)
        lags = interval * np.arange(longest + 1)
        correlation_curve(figure.add_subplot(), lags, curve, times, error)

    return Drawing(
        name=f"memory-{place}",
        title=point_title(row),
        note=f"τ {with_error(row.get('correlation_time'), 's')}, slowest mode "
        f"{quantity(times.get('Fokker-Planck'), 's')}",
        alt=f"Autocorrelation of m_z, {point_title(row)}, against exponentials.",
        draw=draw,
    )


_MEMORY: Final = (
    Mark(kind="line", role="spintronic", label="simulated, band of two standard errors"),
    Mark(kind="line", role="ink", label="slowest mode, Fokker-Planck", line="--"),
    Mark(kind="line", role="perread", label="linearised, (1 + α²)/(αγB)", line=":"),
)
_LAW_CAPTION: Final = (
    "Density of every recorded u = m_z of every replica, and the law p(u) ∝ exp(σu² + bu) that "
    "needs no simulation."
)
_MEMORY_CAPTION: Final = (
    "Autocorrelation of u = m_z, pooled over replicas. The slowest mode is an eigenvalue of the "
    "Fokker-Planck equation; the linearised time holds for a stiff easy plane."
)
_STATISTICS_NOTE: Final = (
    "Effective samples: independent samples that would give the error of the mean. KS: largest "
    "distance of the distribution functions; samples of the exact law itself come closer than "
    "the resolution 95 times in 100. Slowest mode: 1/λ of the Fokker-Planck equation. "
    "A dash: the run is too short to tell."
)


def _rounded(value: object) -> str:
    """Return four decimals; a rounded zero has no sign."""
    number = known(value)
    return decimals(None if number is None else round(number, 4) + 0.0, 4).replace("-", "−")


def _point_line(row: Row) -> Line:
    worth = _value(row, "mean", "effective_samples")
    distance, resolution = _value(row, "distance"), _value(row, "distance", "resolution")
    cells = (
        Cell(column="Δ", value=decimals(abs(known(row.get("barrier")) or 0.0), 1)),
        Cell(column="Mean", value=with_error(row.get("mean"))),
        Cell(column="Std", value=with_error(row.get("std")),
             below=(f"exact {figures(row.get('exact_std'), 4)}",)),
        Cell(column="Excess kurtosis", value=with_error(row.get("excess_kurtosis")),
             below=(f"exact {_rounded(row.get('exact_excess_kurtosis'))}",)),
        Cell(column="Correlation time", value=with_error(row.get("correlation_time"), "s"),
             below=(f"slowest mode {quantity(row.get('exact_time'), 's')}",)),
        Cell(column="Effective samples", value=count(worth)),
        Cell(column="KS to the law", value=decimals(distance, 4),
             below=(f"resolution {decimals(resolution, 4)}",)),
        Cell(column="Not finite", value=count(row.get("failed"))),
    )  # fmt: skip
    setting = known(row.get("interface_anisotropy"))
    detail = "" if setting is None else f"K_i {1e3 * setting:.4f} mJ/m²"
    return Line(name=point_title(row), role="", detail=detail, cells=cells)


def macrospin_sentences(results: Row) -> list[str]:
    """Return the opening sentences: what ran, and how well the law is met."""
    rows, run = results.get("rows") or (), results.get("run") or {}
    said = [
        f"{count(results.get('trajectories'))} macrospins, {count(run.get('replicas'))} for each "
        f"of {len(rows)} anisotropies, at {quantity(run.get('temperature'), 'K')} over "
        f"{quantity(run.get('duration'), 's')}."
    ]
    found = [away for row in rows if (away := _away(row)) is not None]
    if found:
        said.append(
            f"Their standard deviations of u = m_z are within {decimals(max(found), 1)} standard "
            f"errors of the exact law."
        )
    target = results.get("target")
    if target:
        met = "was reached" if target["reached"] else "was not reached in the time allowed"
        said.append(f"The error asked for {met}: {figures(target['error'])}.")
    return said


def _away(row: Row) -> float | None:
    """Return by how many standard errors the spread misses the exact one."""
    value, error, exact = (
        _value(row, "std"), _value(row, "std", "se"), known(row.get("exact_std")),
    )  # fmt: skip
    if value is None or exact is None or not error:
        return None
    return abs(value - exact) / error


def macrospin_tiles(results: Row) -> list[Tile]:
    """Return the headline numbers."""
    rows, run = results.get("rows") or (), results.get("run") or {}
    stds, times, worth = (
        [v for row in rows if (v := _value(row, name, part)) is not None]
        for name, part in (
            ("std", "value"), ("correlation_time", "value"), ("mean", "effective_samples"),
        )
    )  # fmt: skip

    def reach(values: Sequence[float], unit: str) -> str:
        if not values:
            return MISSING
        low, high = (quantity(v, unit) if unit else figures(v) for v in (min(values), max(values)))
        return low if low == high else f"{low} – {high}"

    return [
        Tile(label="Macrospins", value=count(results.get("trajectories")),
             lines=(f"{count(results.get('steps'))} steps of "
                    f"{quantity(results.get('time_step_s'), 's')}",)),
        Tile(label="Standard deviation of u", value=reach(stds, ""),
             lines=(f"at {quantity(run.get('temperature'), 'K')}",)),
        Tile(label="Correlation time", value=reach(times, "s"), lines=("integrated",)),
        Tile(label="Effective samples", value=count(min(worth)) if worth else MISSING,
             lines=("of the slowest setting",)),
    ]  # fmt: skip
