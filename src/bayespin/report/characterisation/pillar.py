"""What the page of a characterised pillar shows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from bayespin.report.characterisation import figures as drawn
from bayespin.report.characterisation import words
from bayespin.report.characterisation.comparisons import (
    film_ratio,
    fit_residuals,
    legend_of_diameters,
    mean_shift,
    out_of_round,
    voltage_shift,
)
from bayespin.report.formatting import figures, quantity, with_error
from bayespin.report.plates import PANEL, Draw, Mark
from bayespin.report.sections import WIDE, Drawing, Group, Section

Row = Mapping[str, Any]
TALL: Final = (PANEL[0], 330)
SHOWN: Final = 3
"""Settings that histograms, Q–Q plots and autocorrelations are drawn of."""
LAW: Final = Mark(kind="line", role="ink", label="law")
SIMULATED: Final = Mark(kind="line", role="spintronic", label="simulated, ± 2 standard errors",
                        marker="o", line="none")  # fmt: skip


def sections(results: Row, run_dir: Path) -> list[Section]:
    """Return what the page shows, in the order of its questions."""
    rows: Sequence[Row] = results["rows"]
    films = (results.get("film") or {}).get("rows") or ()
    found = [
        _table_section(rows),
        _window_section(results),
        _shape_section(results),
        _memory_section(rows),
        _gaussian_section(results),
        _law_section(results),
    ]
    if results.get("fit"):
        found.append(_fit_section(results["fit"], drawn.temperatures(rows)))
    if any(row["varied"] in ("stray_field", "read_voltage", "in_plane_anisotropy") for row in rows):
        found.append(_disturbance_section(results))
    return [*found, _film_section(results)] if films else found


def chosen(rows: Sequence[Row]) -> list[Row]:
    """Return some rows of the table at its first temperature, smallest spread first."""
    own = [row for row in rows if row["varied"] == "setting"]
    own = [row for row in own if row["temperature"] == own[0]["temperature"]]
    own.sort(key=lambda row: row["laws"]["std"])
    if len(own) <= SHOWN:
        return own
    return [own[round(k * (len(own) - 1) / (SHOWN - 1))] for k in range(SHOWN)]


def _drawing(name: str, title: str, draw: Draw, note: str = "", alt: str = "") -> Drawing:
    return Drawing(name=name, title=title, note=note, alt=alt or title, draw=draw)


def _with_residuals(rows: Sequence[Row], name: str) -> Draw:
    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [2.4, 1]})
        drawn.against_field(upper, rows, name)
        upper.set_xlabel("")
        drawn.residuals(lower, rows, name)

    return draw


def _table_section(rows: Sequence[Row]) -> Section:
    marks = tuple(
        Mark(kind="line", role=role, label=quantity(one, "K"), marker="o")
        for role, one in zip(drawn.ROLES, drawn.temperatures(rows), strict=False)
    )
    drawings = tuple(
        Drawing(name=f"{name.replace('_', '-')}-against-field", title=title, note="", alt=alt,
                draw=_with_residuals(rows, name), size=TALL)
        for name, title, alt in (
            ("std", "Spread of u", "Standard deviation of u against the anisotropy field."),
            ("decay_time", "Correlation time", "Correlation time against the anisotropy field."),
        )
    )  # fmt: skip
    return Section(
        name="table",
        title="σ and τ of every setting",
        question="How far does the conductance fluctuate, and how fast does it forget?",
        groups=(Group(name="table", caption=words.TABLE, drawings=drawings, marks=marks),),
        lines=tuple(words.table_lines(rows)),
        first="Setting",
        caption="Operating points of the table, with standard errors",
        note=words.table_note(rows),
    )


def _settings_marks(rows: Sequence[Row]) -> tuple[Mark, ...]:
    return tuple(
        Mark(kind="line", role=role, label=f"B_k {quantity(row['anisotropy_field'], 'T')}",
             marker="o")
        for role, row in zip(drawn.ROLES, chosen(rows), strict=False)
    )  # fmt: skip


def _window_section(results: Row) -> Section:
    rows, windows = results["rows"], results["windows"]

    def draw(figure: Figure) -> None:
        drawn.read_windows(figure.add_subplot(), chosen(rows), windows)

    drawing = Drawing(
        name="read-windows",
        title="Spread of a read",
        note="",
        alt="Standard deviation of a read against its window.",
        draw=draw,
        size=WIDE,
    )
    group = Group(
        name="windows", caption=words.WINDOWS, drawings=(drawing,), marks=_settings_marks(rows)
    )
    return Section(
        name="windows",
        title="What a read window leaves",
        question="A read averages over its window: which σ does the cell see?",
        groups=(group,),
    )


def _shape_section(results: Row) -> Section:
    bars, lines = [], []
    for place, row in enumerate(chosen(results["rows"])):

        def bar(figure: Figure, row: Row = row) -> None:
            drawn.histogram(figure.add_subplot(), row)

        def line(figure: Figure, row: Row = row) -> None:
            drawn.normal_quantiles(figure.add_subplot(), row, results["probabilities"])

        title = f"B_k {quantity(row['anisotropy_field'], 'T')}, Δ {figures(row['stability'])}"
        note = f"excess kurtosis {words.with_sign(row['excess_kurtosis'])}"
        bars.append(_drawing(f"histogram-{place}", title, bar, note, f"Histogram of u, {title}."))
        distance = row["normality"]
        note = f"KS {figures(distance['value'], 2)}, resolved {figures(distance['resolution'], 2)}"
        alt = f"Quantiles of u against those of a normal law, {title}."
        lines.append(_drawing(f"quantiles-{place}", title, line, note, alt))
    marks = (
        Mark(kind="block", role="spintronic", label="simulated"),
        Mark(kind="line", role="ink", label="normal law of the same mean and std"),
    )
    return Section(
        name="shape",
        title="Is it a Gaussian?",
        question="Histogram, and quantiles against those of a normal law, of some settings.",
        groups=(
            Group(name="histograms", caption=words.HISTOGRAMS, drawings=tuple(bars), marks=marks),
            Group(name="quantiles", caption=words.QUANTILES, drawings=tuple(lines)),
        ),
    )


def _memory_section(rows: Sequence[Row]) -> Section:
    drawings = []
    for place, row in enumerate(chosen(rows)):

        def draw(figure: Figure, row: Row = row) -> None:
            drawn.autocorrelation(figure.add_subplot(), row)

        title = f"B_k {quantity(row['anisotropy_field'], 'T')}"
        law = quantity(row["laws"]["slowest_time"], "s")
        note = f"τ {with_error(row['decay_time'], 's')}, law {law}"
        alt = f"Autocorrelation of u, {title}."
        drawings.append(_drawing(f"autocorrelation-{place}", title, draw, note, alt))
    return Section(
        name="memory",
        title="How fast it forgets",
        question="How long must the next read wait to be a new one?",
        groups=(
            Group(name="memory", caption=words.MEMORY, drawings=tuple(drawings),
                  marks=(SIMULATED, LAW)),
        ),
    )  # fmt: skip


def _gaussian_section(results: Row) -> Section:
    orientation = results["device"]["orientation"]

    def panel(name: str, title: str) -> Drawing:
        def draw(figure: Figure) -> None:
            axes = figure.add_subplot()
            drawn.gaussian_break(axes, results["rows"], name, orientation)

        return _drawing(
            f"gaussian-{name.replace('_', '-')}", title, draw, alt=f"{title} against Δ."
        )

    drawings = (
        panel("excess_kurtosis", "Excess kurtosis"),
        panel("normality", "Distance to normal"),
    )
    marks = (
        SIMULATED,
        LAW,
        Mark(kind="line", role="muted", label="what could be told apart (KS)"),
        Mark(kind="block", role="ideal", label="Δ < 5 (pale): not Gaussian"),
    )
    return Section(
        name="gaussian",
        title="Where the Gaussian breaks",
        question="From which barrier on may a weight be called Gaussian?",
        groups=(Group(name="gaussian", caption=words.GAUSSIAN, drawings=drawings, marks=marks),),
        note=words.gaussian_sentence(results),
    )


def _law_section(results: Row) -> Section:
    return Section(
        name="laws",
        title="Where the closed forms hold",
        question="Simulated over predicted, at every operating point and every window.",
        lines=tuple(words.verdict_lines(results.get("verdicts") or ())),
        first="Law",
        caption="Closed forms and exact laws against the simulation",
        note=words.VERDICT_NOTE,
    )


def _fit_section(found: Row, kelvins: Sequence[float]) -> Section:
    left = sorted(found["residuals"], key=lambda one: kelvins.index(one["temperature"]))

    def panel(name: str, title: str) -> Drawing:
        def draw(figure: Figure) -> None:
            fit_residuals(figure.add_subplot(), left, name)

        return _drawing(f"fit-{name}", title, draw, alt=f"{title} against Δ.")

    marks = tuple(
        Mark(kind="line", role=role, label=quantity(one, "K"), marker="o", line="none")
        for role, one in zip(drawn.ROLES, kelvins, strict=False)
    )
    drawings = (panel("sigma", "Residuals of σ"), panel("tau", "Residuals of τ"))
    group = Group(name="fit", caption=words.FIT, drawings=drawings, marks=marks)
    return Section(
        name="fit",
        title="The compact model",
        question="Three numbers for the whole table: do they hold?",
        groups=(group,),
        lines=tuple(words.fit_lines(found)),
        first="Parameter",
        caption="Weighted least squares of ln σ and ln τ",
        note=words.fit_sentence(found),
    )


def _disturbance_section(results: Row) -> Section:
    rows, windows = results["rows"], results["windows"]
    window = min(range(len(windows)), key=lambda k: abs(windows[k] - 10e-9))
    panels = {
        "stray_field": ("Stray field", "mean-shift", lambda axes: mean_shift(axes, rows)),
        "read_voltage": ("Read voltage", "voltage-shift", lambda axes: voltage_shift(axes, rows)),
        "in_plane_anisotropy": (
            f"Out of round, {quantity(windows[window], 's')} read", "out-of-round",
            lambda axes: out_of_round(axes, rows, window),
        ),
    }  # fmt: skip
    drawings = []
    for varied, (title, name, put) in panels.items():
        values = list(dict.fromkeys(r[varied] for r in rows if r["varied"] == varied))
        if values:
            unit = {"read_voltage": "V"}.get(varied, "T")
            note = ", ".join(quantity(one, unit) for one in values)
            colours = " (colours in this order)" if varied != "stray_field" else ""

            def draw(figure: Figure, put: Any = put) -> None:
                put(figure.add_subplot())

            drawings.append(_drawing(name, title, draw, note + colours))
    return Section(
        name="disturbances",
        title="What disturbs it",
        question="A field, a read voltage, a pillar that is not round: what do they move?",
        groups=(
            Group(name="disturbances", caption=words.DISTURBANCES, drawings=tuple(drawings),
                  marks=(SIMULATED, LAW)),
        ),
    )  # fmt: skip


def _film_section(results: Row) -> Section:
    films = results["film"]["rows"]

    def panel(name: str, title: str) -> Drawing:
        def draw(figure: Figure) -> None:
            film_ratio(figure.add_subplot(), films, name)

        return _drawing(f"film-{name.replace('_', '-')}", title, draw, alt=f"{title} against B_k.")

    marks = tuple(
        Mark(kind="line", role=role, label=label, marker="o")
        for role, label in legend_of_diameters(films)
    )
    drawings = (panel("std", "Spread"), panel("decay_time", "Correlation time"))
    return Section(
        name="film",
        title="Where macrospin and micromagnetics part",
        question="Is a disk of cells that exchange couples still one moment?",
        groups=(Group(name="film", caption=words.FILM, drawings=drawings, marks=marks),),
        lines=tuple(words.film_lines(films)),
        first="Disk",
        caption="Whole films over macrospins at the same operating points",
        note=words.film_sentence(films),
    )
