"""What the page of a characterised track shows and says."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayespin.report.characterisation.figures import plain_ticks
from bayespin.report.formatting import decimals, figures, quantity
from bayespin.report.palette import colour
from bayespin.report.plates import PANEL, Mark
from bayespin.report.sections import Drawing, Group, Section
from bayespin.report.table import Table
from bayespin.report.tables import Cell, Line
from bayespin.report.verdict import Tile

Row = Mapping[str, Any]
YEAR: Final = 365.25 * 86400
PARTS: Final = {"missed": "stays", "single": "one notch", "double": "two or more"}


def sentences(results: Row) -> list[str]:
    """Return what the page says first."""
    device, wall, own = results["device"], results["wall"], results["own"]
    pulse, best = results["pulse"], best_pulse(results["rows"], "spin-orbit")
    walls, middle = sum(own["counts"]), len(own["counts"]) // 2
    return [
        f"The barrier between notches is {figures(wall['barrier_kt'])} kT at "
        f"{quantity(results['temperature'], 'K')} by the fit, {figures(wall['held_barrier_kt'])} "
        f"kT at the crest of the held walls: a level is held for "
        f"{lasting(results['retention'], results['temperature'])} on average.",
        f"Of the spin-orbit pulses of the grid, {quantity(best['current_density'], 'A/m2')} for "
        f"{quantity(best['width'], 's')} moves a rigid wall by one notch most reliably: "
        f"{decimals(100 * best['single'], 1)} ± {decimals(100 * best['single_error'], 1)} % of "
        f"{walls} walls, in the worse direction.",
        f"The preset's own pulse, {quantity(pulse['current_density'], 'A/m2')} for "
        f"{quantity(pulse['time'], 's')}, moves {own['counts'][middle + 1]} of {walls} rigid walls "
        f"by one notch. The preset says {device['missed_step_probability']:g} missed and "
        f"{device['double_step_probability']:g} doubled, which is not taken from rigid walls (for "
        f"the reference track, from twelve whole films): rigid walls and films part here.",
        f"A pulse takes {quantity(pulse['energy'], 'J')} and would warm its metal by "
        f"{figures(pulse['heating'])} K if no heat left it; heat is not simulated.",
    ]


def best_pulse(rows: Sequence[Row], mechanism: str) -> Row:
    """Return the pulse whose share of single steps is largest in its worse direction."""
    forth = [r for r in rows if (r["mechanism"], r["direction"]) == (mechanism, "forth")]
    back = [r for r in rows if (r["mechanism"], r["direction"]) == (mechanism, "back")]
    worse = [min(pair, key=lambda r: r["single"]) for pair in zip(forth, back, strict=True)]
    return max(worse, key=lambda r: r["single"])


def lasting(retention: Sequence[Row], temperature: float) -> str:
    """Return the mean time to a hop at the temperature nearest to one, in words."""
    nearest = min(retention, key=lambda row: abs(row["temperature"] - temperature))
    seconds = nearest["seconds"]
    return f"{figures(seconds / YEAR)} years" if seconds > YEAR else quantity(seconds, "s")


def tiles(results: Row) -> list[Tile]:
    """Return the headline numbers."""
    device, wall = results["device"], results["wall"]
    best = best_pulse(results["rows"], "spin-orbit")
    return [
        Tile(label="Levels", value=str(device["levels"]),
             lines=(f"notches {quantity(wall['pitch'], 'm')} apart in volume",)),
        Tile(label="Barrier", value=f"{figures(wall['barrier_kt'])} kT",
             lines=(f"held for {lasting(results['retention'], results['temperature'])}",)),
        Tile(label="Best single steps", value=f"{decimals(100 * best['single'], 1)} %",
             lines=(f"± {decimals(100 * best['single_error'], 1)} %, rigid walls",)),
        Tile(label="Energy of a pulse", value=quantity(results["pulse"]["energy"], "J"),
             lines=(f"in {quantity(results['pulse']['time'], 's')}",)),
    ]  # fmt: skip


def facts(results: Row) -> dict[str, Any]:
    """Return how the run was made."""
    return {
        "preset": results["device"]["preset"],
        "walls at each pulse": results["walls"],
        "temperature": quantity(results["temperature"], "K"),
        "cell of the calibration": results["run"]["cell"],
        "misfit of the notches": f"{100 * results['wall']['misfit']:.0f} % of the barrier",
        "seed": results["provenance"]["seeds"][0],
    }


def table(results: Row) -> Table:
    """Return the table of the terminal: both directions of every pulse."""
    return Table(
        header=("pulse", "A/m2", "width", "direction", *PARTS.values()),
        rows=tuple(
            (
                row["mechanism"],
                f"{row['current_density']:.2g}",
                quantity(row["width"], "s"),
                row["direction"],
                *(f"{row[name]:.2f} ± {row[f'{name}_error']:.2f}" for name in PARTS),
            )
            for row in results["rows"]
            if row["single"] > 0
        ),
        notes=(f"of {results['walls']} rigid walls; pulses that move none by one are left out",),
    )


def step_map(axes: Axes, rows: Sequence[Row], part: str) -> Axes:
    """Draw the share of one outcome over current density and width, both directions averaged."""
    density = sorted({row["current_density"] for row in rows})
    width = sorted({row["width"] for row in rows})
    shares = np.zeros((len(density), len(width)))
    for row in rows:
        shares[density.index(row["current_density"]), width.index(row["width"])] += row[part] / 2
    axes.imshow(shares, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="Blues")
    for (j, i), share in np.ndenumerate(shares):
        axes.text(i, j, f"{100 * share:.0f}", ha="center", va="center",
                  color="white" if share > 0.6 else colour("ink"), fontsize=8)  # fmt: skip
    axes.set_xticks(range(len(width)), [f"{1e9 * one:.2g}" for one in width])
    axes.set_yticks(range(len(density)), [f"{one / 1e12:.2g}" for one in density])
    axes.set_xlabel("width (ns)")
    axes.set_ylabel("current density (10¹² A/m²)")
    axes.grid(visible=False)
    return axes


def paths(axes: Axes, own: Row, which: str, pitch: float) -> Axes:
    """Draw positions of walls over time, in notches."""
    times, found = 1e9 * np.array(own["times"]), np.array(own[which]) / pitch
    role = "spintronic" if which == "notched" else "perread"
    axes.plot(times, found, color=colour(role), alpha=0.35, linewidth=0.8)
    axes.set_xlabel("time (ns)")
    axes.set_ylabel("position (notches)")
    return axes


def final_notches(axes: Axes, own: Row) -> Axes:
    """Draw how many walls ended how many notches along."""
    axes.bar(own["steps"], own["counts"], color=colour("spintronic"))
    axes.set_xlabel("notches moved")
    axes.set_ylabel("walls")
    return axes


def retention(axes: Axes, results: Row) -> Axes:
    """Draw the mean time to a hop against temperature, with ten years marked."""
    kelvin = [row["temperature"] for row in results["retention"]]
    axes.semilogy(kelvin, [row["seconds"] / YEAR for row in results["retention"]], "o-",
                  color=colour("spintronic"))  # fmt: skip
    plain_ticks(axes.yaxis)
    axes.axhline(10, color=colour("muted"), linestyle="--")
    axes.set_xlabel("temperature (K)")
    axes.set_ylabel("mean time to a hop (years)")
    return axes


def staircase(axes: Axes, results: Row) -> Axes:
    """Draw conductance against the place of the wall, levels as dots and dead zones shaded."""
    held = results["levels"]
    places = [row["fraction"] for row in held]
    siemens = [1e6 * row["conductance"] for row in held]
    slope = (siemens[-1] - siemens[0]) / (places[-1] - places[0])
    ends = [siemens[0] - slope * places[0], siemens[-1] + slope * (1 - places[-1])]
    axes.plot([0, 1], ends, color=colour("muted"), linestyle="--")
    axes.plot(places, siemens, "o", color=colour("spintronic"))
    axes.axvspan(0, places[0], color=colour("grid"))
    axes.axvspan(places[-1], 1, color=colour("grid"))
    axes.set_xlim(0, 1)
    axes.set_xlabel("wall position over the length (1)")
    axes.set_ylabel("conductance (µS)")
    return axes


def _drawing(name: str, title: str, draw: Any, size: tuple[float, float] = PANEL) -> Drawing:
    def drawn(figure: Figure) -> None:
        draw(figure.add_subplot())

    return Drawing(name=name, title=title, note="", alt=f"{title}.", draw=drawn, size=size)


def _map_section(results: Row, mechanism: str, title: str, caption: str) -> Section:
    rows = [row for row in results["rows"] if row["mechanism"] == mechanism]
    drawings = tuple(
        _drawing(f"{mechanism}-{part}", words, lambda axes, p=part: step_map(axes, rows, p))
        for part, words in PARTS.items()
    )
    lines = tuple(
        Line(
            name=f"{quantity(row['current_density'], 'A/m2')}, {quantity(row['width'], 's')}",
            role="",
            detail=row["direction"],
            cells=tuple(
                Cell(column=words, value=decimals(row[part], 3),
                     below=(f"± {decimals(row[f'{part}_error'], 3)}",))
                for part, words in PARTS.items()
            ),
        )
        for row in rows
        if row["single"] > 0
    )  # fmt: skip
    return Section(
        name=mechanism,
        title=title,
        question="Which pulse moves a wall by one notch, and which goes astray?",
        groups=(Group(name=mechanism, caption=caption, drawings=drawings),),
        lines=lines,
        first="Pulse",
        caption="Shares of the walls, with standard errors",
        note="Pulses that move no wall by one notch are left out; table.csv has them all.",
    )


def _motion_caption(own: Row) -> str:
    return (
        f"Walls as two coordinates under the track's own pulse; {len(own['notched'][0])} are "
        f"drawn. On the smooth track they end {quantity(own['smooth_mean'], 'm')} along with a "
        f"spread of {quantity(own['smooth_spread'], 'm')}, of which "
        f"{quantity(own['smooth_spread_at_pulse_end'], 'm')} is there when the pulse ends; the "
        f"rest is drift. In a notch the spread is {quantity(own['spread_in_notch'], 'm')}."
    )


def sections(results: Row, run_dir: Path) -> list[Section]:
    """Return what the page shows, in the order of its questions."""
    own, pitch = results["own"], results["wall"]["pitch"]
    motion = (
        _drawing("paths-notched", "With notches", lambda a: paths(a, own, "notched", pitch)),
        _drawing("paths-smooth", "Without notches", lambda a: paths(a, own, "smooth", pitch)),
        _drawing("final-notches", "Where walls end", lambda a: final_notches(a, own)),
    )
    held = (
        _drawing("retention", "Retention", lambda a: retention(a, results)),
        _drawing("levels", "Levels", lambda a: staircase(a, results)),
    )
    return [
        _map_section(results, "spin-orbit", "Spin-orbit pulses",
                     "Per cent of the walls, both directions averaged; current in the metal."),
        Section(
            name="motion", title="Walls on their way",
            question="Why notches, when a smooth track has more levels?",
            groups=(Group(name="motion", caption=_motion_caption(own), drawings=motion),),
        ),
        _map_section(results, "spin-transfer", "Spin-transfer pulses",
                     "The same for a current in the magnet itself, positive along the electrons."),
        Section(
            name="holding", title="Holding a level",
            question="How long does a level stay, and what is its conductance?",
            groups=(Group(
                name="holding",
                caption="Mean time until heat carries a rigid wall to a neighbouring notch, by "
                        "Kramers and Langer; dashed: ten years. Conductance of the levels at zero "
                        "bias; shaded: ends of the track where no wall is held.",
                drawings=held, marks=(Mark(kind="line", role="muted", label="ten years; all of "
                                           "the track", line="--"),),
            ),),
        ),
    ]  # fmt: skip
