"""What the page of a characterised pillar says: captions, tables, sentences, tiles."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bayespin.report.formatting import MISSING, count, decimals, figures, quantity, with_error
from bayespin.report.naming import known
from bayespin.report.table import Table
from bayespin.report.tables import Cell, Line
from bayespin.report.verdict import Tile

Row = Mapping[str, Any]

TABLE: Final = (
    "Standard deviation and correlation time of u, the projection of the free layer on the "
    "reference, at an instant. Lines: Boltzmann's law, and the slowest mode of the Fokker-Planck "
    "equation or, of a perpendicular layer, a precession that dephases. Below: simulated over law "
    "− 1. Bars of two standard errors; one colour per temperature."
)
TABLE_NOTE: Final = (
    "σ of the conductance is G0 P² times the standard deviation of u, before any read window. τ: "
    "fitted to the autocorrelation, a damped cosine where the moment precesses. KS: distance of "
    "the distribution functions to a normal law of the same mean and spread; below the "
    "resolution it cannot be told from one."
)
WINDOWS: Final = (
    "Standard deviation of u averaged over a read, against its length. Lines: Boltzmann's s times "
    "the window factor of the correlation; bars of two standard errors."
)
HISTOGRAMS: Final = "Density of every recorded u of every replica."
QUANTILES: Final = (
    "Q–Q plots: quantiles of u in units of its standard deviation against those of a normal law, "
    "out to 3.5 standard deviations. Points on the line are Gaussian."
)
MEMORY: Final = (
    "Autocorrelation of u, pooled over replicas. Line: e^(−t/τ), for a perpendicular layer times "
    "cos ωt, with τ and ω of the laws, not fitted."
)
GAUSSIAN: Final = (
    "Excess kurtosis of u, and the Kolmogorov-Smirnov distance to a normal law, against the "
    "stability factor Δ. Lines: exact for Boltzmann's law."
)
DISTURBANCES: Final = (
    "Mean of u in a stray field along the reference (dashed: B/B_k); spread under a read voltage, "
    "which moves K_i; spread of a read in a pillar with an anisotropy in the plane, over that of "
    "a round one."
)
FIT: Final = (
    "What the compact model leaves of each row, in standard errors: ln σ and ln τ less the "
    "model's. Dashed: 4 standard errors, beyond which a row is said to depart. One colour per "
    "temperature."
)
FILM: Final = (
    "The same disk as cells coupled by exchange and stray field, with its own demagnetising field, "
    "over a macrospin of the same K_eff. 1: it moves as one. Bars of two standard errors."
)
VERDICT_NOTE: Final = (
    "Ratio: weighted mean of simulated over predicted. A point departs where it is off by more "
    "than its statistics (one false alarm in a hundred characterisations) and the time step (the "
    "allowance) explain."
)


def with_sign(estimate: Any) -> str:
    """Return a value near zero with its error: "−0.004 ± 0.012"."""
    value, error = known((estimate or {}).get("value")), known((estimate or {}).get("se"))
    if value is None:
        return MISSING
    text = f"{round(value, 3) + 0.0:.3f}" + ("" if error is None else f" ± {error:.3f}")
    return text.replace("-", "−")


def scaled(estimate: Any, scale: float) -> dict[str, float | None]:
    """Return an estimate in another unit."""
    parts = {name: known((estimate or {}).get(name)) for name in ("value", "se")}
    return {name: None if one is None else scale * one for name, one in parts.items()}


def _setting(row: Row) -> str:
    return f"{1e3 * row['setting']:.4f} mJ/m²"


def table_lines(rows: Sequence[Row]) -> list[Line]:
    """Return one line for each operating point of the table at its first temperature."""
    main = [row for row in rows if row["varied"] == "setting"]
    own = [row for row in main if row["temperature"] == main[0]["temperature"]]
    lines = []
    for row in own:
        laws = row["laws"]
        cells = (
            Cell(column="B_k", value=quantity(row["anisotropy_field"], "T")),
            Cell(column="Δ", value=figures(row["stability"])),
            Cell(column="Std of u", value=with_error(row["std"]),
                 below=(f"law {figures(laws['std'], 4)}",)),
            Cell(column="τ", value=with_error(row["decay_time"], "s"),
                 below=(f"law {quantity(laws['slowest_time'], 's')}",)),
            *_frequency_cell(row),
            Cell(column="Excess kurtosis", value=with_sign(row["excess_kurtosis"])),
            Cell(column="KS to normal", value=decimals(row["normality"]["value"], 4),
                 below=(f"resolved {decimals(row['normality']['resolution'], 4)}",)),
        )  # fmt: skip
        lines.append(Line(name=_setting(row), role="", detail="", cells=cells))
    return lines


def table_note(rows: Sequence[Row]) -> str:
    """Return what is below the table: its columns, and where the other temperatures are."""
    kelvins = list(dict.fromkeys(row["temperature"] for row in rows if row["varied"] == "setting"))
    if len(kelvins) == 1:
        return TABLE_NOTE
    others = ", ".join(quantity(one, "K") for one in kelvins[1:])
    return f"At {quantity(kelvins[0], 'K')}; {others} are in table.csv. {TABLE_NOTE}"


def _frequency_cell(row: Row) -> tuple[Cell, ...]:
    law = row["laws"]["frequency"]
    if not law:
        return ()
    cell = Cell(column="f", value=with_error(row["frequency"], "Hz"),
                below=(f"law {quantity(law, 'Hz')}",))  # fmt: skip
    return (cell,)


def verdict_lines(found: Sequence[Row]) -> list[Line]:
    """Return how each closed form fares."""
    lines = []
    for one in found:
        departing, points = one["departing"], one["points"]
        reach = one["departs_from"]
        ends = dict.fromkeys(figures(one) for one in reach or ())
        where = f"Δ {' to '.join(ends)}" if ends else ""
        off = known(one["worst"]["value"])
        worst = MISSING if off is None else f"{100 * (off - 1):+.1f} %".replace("-", "−")
        cells = (
            Cell(column="Verdict", value="holds" if not departing else "departs",
                 below=(where,) if where else ()),
            Cell(column="Points that depart", value=f"{count(departing)} of {count(points)}"),
            Cell(column="Ratio", value=with_error(one["ratio"])),
            Cell(column="Worst point", value=worst,
                 below=(f"± {decimals(100 * (known(one['worst']['se']) or 0), 1)} %, "
                        f"Δ {figures(one['worst_stability'])}",)),
            Cell(column="Allowance", value=f"{100 * one['allowance']:g} %"),
        )  # fmt: skip
        role = "aleatoric" if not departing else "spintronic"
        lines.append(Line(name=one["law"], role=role, detail="", cells=cells))
    return lines


def fit_lines(found: Row) -> list[Line]:
    """Return the parameters of the compact model with standard errors."""
    named = (
        ("Δ at setting 0 and 300 K, c0", "intercept", "1"),
        ("Δ per setting, c1 (m²/J)", "slope", "1"),
        ("τ_N at 300 K", "diffusion_time", "s"),
    )
    lines = []
    for name, key, unit in named:
        value, error = found[key]["value"], found[key]["se"]
        relative = f"{100 * abs(error / value):.2g} %" if value else MISSING
        cells = (
            Cell(column="Value", value=with_error(found[key], unit)),
            Cell(column="Standard error", value=relative),
        )
        lines.append(Line(name=name, role="", detail="", cells=cells))
    return lines


def fit_sentence(found: Row) -> str:
    """Say how well the compact model holds, and which τ it was not fitted to."""
    text = (
        f"Δ(x) = (c0 m² + c1 x mⁿ) · 300 K/T, σ = G0P² s(Δ), τ = τ_N m (300 K/T)/λ1(Δ), m the "
        f"magnetisation over that at 300 K, n the exponent of K_i, both the preset's. χ² "
        f"{decimals(found.get('chi_squared'), 1)} for {count(found.get('degrees'))} degrees of "
        f"freedom, probability {figures(found.get('probability'), 2)}"
    )
    soft = sum(known(one["tau"]) is None for one in found.get("residuals") or ())
    if soft:
        text += f", without the τ of {count(soft)} rows too soft for the law of a precession"
    departing, rows = known(found.get("departing")), count(found.get("rows"))
    if departing:
        return f"{text}: it does not hold at {count(departing)} of {rows} rows of the table."
    return f"{text}: it holds at all {rows} rows of the table."


def film_lines(films: Sequence[Row]) -> list[Line]:
    """Return films over macrospins."""
    return [
        Line(
            name=quantity(row["diameter"], "m"),
            role="",
            detail=f"B_k {quantity(row['anisotropy_field'], 'T')}",
            cells=(
                Cell(column="Δ", value=figures(row["stability"])),
                Cell(column="Std of u, film", value=with_error(row["std"])),
                Cell(column="Macrospin", value=figures(row["macrospin_std"], 4)),
                Cell(column="Ratio", value=with_error(row["ratio_std"])),
                Cell(column="τ, film", value=with_error(row["decay_time"], "s")),
                Cell(column="Macrospin ", value=quantity(row["macrospin_decay_time"], "s")),
                Cell(column="Ratio ", value=with_error(row["ratio_decay_time"])),
            ),
        )
        for row in films
    ]


def film_sentence(films: Sequence[Row]) -> str:
    """Say where films and macrospins part."""
    said = []
    for row in films:
        ratio = row["ratio_std"]
        value, error = known(ratio["value"]), known(ratio["se"])
        if value is None or error is None or abs(value - 1) <= 3 * error:
            continue
        said.append(
            f"{quantity(row['diameter'], 'm')} at B_k {quantity(row['anisotropy_field'], 'T')}: "
            f"{with_error(ratio)}"
        )
    if not said:
        return "No spread of a film differs from the macrospin's by three standard errors."
    return f"Spreads that differ by more than three standard errors: {'; '.join(said)}."


def gaussian_sentence(results: Row) -> str:
    """Say from which Δ on the law may be taken as Gaussian."""
    found = results.get("gaussian") or {}
    reached = known(found.get("from_stability"))
    if reached is None:
        return "Even the stiffest setting simulated here is not Gaussian."
    main = [row for row in results["rows"] if row["varied"] in ("setting", "stability")]
    softest = min(row["stability"] for row in main) == reached
    reach = figures(reached)
    where = f"Down to Δ = {reach}, the softest" if softest else f"From Δ = {reach} on"
    return (
        f"{where}, no simulated |excess kurtosis| exceeds "
        f"{figures(found.get('excess_kurtosis'))} by more than two standard errors; the rule of "
        f"this library is Δ ≥ 5."
    )


def sentences(results: Row) -> list[str]:
    """Return the opening sentences: what was swept, and how the laws fare."""
    rows, device = results["rows"], results["device"]
    main = [row for row in rows if row["varied"] == "setting"]
    temperatures = sorted({row["temperature"] for row in main})
    reach = quantity(temperatures[0], "K")
    if len(temperatures) > 1:
        reach += f" to {quantity(temperatures[-1], 'K')}"
    easy_plane = device["orientation"] == "easy-plane"
    layer = (
        "an easy-plane free layer under a perpendicular reference"
        if easy_plane
        else "a perpendicular free layer under a reference in the plane"
    )
    said = [
        f"A {quantity(device['diameter'], 'm')} pillar with {layer}, at "
        f"{len(main) // len(temperatures)} settings of its anisotropy, {reach}: macrospins, "
        f"{count(results['run']['replicas'])} at each point."
    ]
    departing = [one["law"] for one in results.get("verdicts") or () if one["departing"]]
    if departing:
        said.append(f"Closed forms that depart somewhere: {', '.join(departing)}.")
    elif results.get("verdicts"):
        said.append("Every closed form that it was held against holds.")
    return said


def tiles(results: Row) -> list[Tile]:
    """Return the headline numbers."""
    rows, device = results["rows"], results["device"]
    main = [row for row in rows if row["varied"] == "setting"]
    main = [row for row in main if row["temperature"] == main[0]["temperature"]]

    def reach(name: str, unit: str, scale: float = 1.0) -> str:
        values = [v for row in main if (v := known((row[name] or {}).get("value"))) is not None]
        if not values:
            return MISSING
        low, high = (quantity(scale * v, unit) if unit else figures(v)
                     for v in (min(values), max(values)))  # fmt: skip
        return f"{low} – {high}"

    worst = max((row["std"]["se"] / row["std"]["value"] for row in main), default=None)
    stability = [row["stability"] for row in main]
    return [
        Tile(label="σ of the conductance", value=reach("std", "S", device["amplitude"]),
             lines=(f"of {quantity(device['mean_conductance'], 'S')}, at an instant",)),
        Tile(label="Correlation time", value=reach("decay_time", "s"),
             lines=(f"at {quantity(main[0]['temperature'], 'K')}",)),
        Tile(label="Stability factor Δ",
             value=f"{figures(min(stability))} – {figures(max(stability))}", lines=()),
        Tile(label="Standard error of σ",
             value=MISSING if worst is None else f"{100 * worst:.2g} %", lines=("at worst",)),
    ]  # fmt: skip


def table(results: Row) -> Table:
    """Return the table of the terminal: the settings at the first temperature, in 80 columns."""
    main = [row for row in results["rows"] if row["varied"] == "setting"]
    own = [row for row in main if row["temperature"] == main[0]["temperature"]]
    amplitude = results["device"]["amplitude"]

    def cells(row: Row) -> tuple[str, ...]:
        std, decay, laws = row["std"], row["decay_time"], row["laws"]
        return (
            f"{1e3 * row['setting']:.4f}",
            quantity(row["anisotropy_field"], "T"),
            figures(row["stability"]),
            quantity(scaled(std, amplitude)["value"], "S"),
            _percent(std),
            _over(std, laws["std"]),
            quantity(decay["value"], "s"),
            _percent(decay),
            _over(decay, laws["slowest_time"]),
            with_sign(row["excess_kurtosis"]).split(" ")[0],
        )

    return Table(
        header=("K_i mJ/m2", "B_k", "Δ", "σ", "±", "/law", "τ", "±", "/law", "kurtosis"),
        rows=tuple(map(cells, own)),
        notes=tuple(_table_notes(results, len({row["temperature"] for row in main}))),
    )


def _percent(estimate: Any) -> str:
    value, error = known(estimate["value"]), known(estimate["se"])
    return MISSING if not value or error is None else f"{100 * error / value:.2f}%"


def _over(estimate: Any, law: float) -> str:
    value = known(estimate["value"])
    return MISSING if value is None or not law else decimals(value / law, 3)


def _table_notes(results: Row, kelvins: int) -> list[str]:
    said = ["σ of the conductance at an instant; /law: over the closed form; excess kurtosis."]
    if kelvins > 1:
        first = quantity(results["rows"][0]["temperature"], "K")
        said.append(f"At {first}; the other {kelvins - 1} temperatures are in table.csv.")
    departing = [one["law"] for one in results.get("verdicts") or () if one["departing"]]
    if departing:
        said.append(f"Laws that depart somewhere: {', '.join(departing)}.")
    return said


def facts(results: Row) -> dict[str, Any]:
    """Return how the run was made."""
    run, rows = results["run"], results["rows"]
    return {
        "operating points": count(len(rows)),
        "replicas": count(run["replicas"]),
        "decay times": figures(run["decay_times"]),
        "preset": results["device"]["preset"],
        "not finite": count(sum(row["failed"] for row in rows)),
        "seed": run["seed"],
    }
