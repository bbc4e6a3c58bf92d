"""What the page of a simulation of films shows."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import xarray
from matplotlib.figure import Figure

from bayespin.report.formatting import MISSING, count, figures, quantity, with_error
from bayespin.report.naming import known
from bayespin.report.plates import Mark
from bayespin.report.sections import Animation, Drawing, Group, Section
from bayespin.report.simulation.figures import single_replica, sound, time_cursor, value_histogram
from bayespin.report.simulation.magnetisation import (
    Colours,
    add_colour_scale,
    magnetisation_map,
    paint,
)
from bayespin.report.simulation.parts import course
from bayespin.report.tables import Cell, Line
from bayespin.report.verdict import Tile

Row = Mapping[str, Any]
TOO_SHORT: Final = (
    "A correlation time that is a dash is too long for the run: the replicas still remember their "
    "start, and mean and spread are those of the way, not of equilibrium."
)
_LAW_CAPTION: Final = (
    "Density of the film's average m_z over all records and replicas. The line is the law of a "
    "macrospin with the volume and the uniform-state energies of the film: beyond sampling, the "
    "difference is what spin waves make of it."
)

_MAP_CAPTIONS: Final[dict[Colours, str]] = {
    "angle": "Colour: the angle in the plane as hue, white up, black down; arrows: the part in the "
    "plane.",
    "up_down": "Colour: m_z, from down (blue) to up (orange); arrows: the part in the plane.",
}


def first_layer(film: xarray.Dataset, frame: int) -> xarray.DataArray:
    """Return the lowest layer of the first replica at one frame, dims component, y, x."""
    m = film["m"].isel(time=frame, replica=0, z=0)
    return m.isel(point=0) if "point" in m.dims else m


def map_drawing(film: xarray.Dataset, frame: int, colours: Colours, name: str) -> Drawing:
    """Return the map of one frame."""
    time = quantity(float(film["time"].values[frame]), "s")

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        magnetisation_map(axes, first_layer(film, frame), colours)
        add_colour_scale(axes, colours)

    return Drawing(
        name=name,
        title=f"After {time}",
        note="first replica",
        alt=f"Map of the magnetisation after {time}.",
        draw=draw,
    )


def colours_of(film: xarray.Dataset) -> Colours:
    """Return which colours tell more: m_z where the film is perpendicular, else the angle."""
    m = np.nan_to_num(first_layer(film, -1).values)
    return "up_down" if (m[2] ** 2).sum() > (m[:2] ** 2).sum() else "angle"


def film_sections(results: Row, data: xarray.Dataset, film: xarray.Dataset) -> list[Section]:
    """Return the animated map, the law of the average, and its course."""
    rows = results.get("rows") or ()
    law = next((row for row in rows if row.get("component") == "m_z"), {})
    sampled = Group(
        name="law",
        caption=_LAW_CAPTION,
        drawings=(_law_drawing(law, data),),
        marks=(
            Mark(kind="block", role="spintronic", label="simulated"),
            Mark(kind="line", role="ink", label="macrospin, exact law"),
        ),
    )
    return [
        _maps(data, film),
        Section(
            name="law",
            title="What is sampled",
            question="How does the average of the film spread, and does it move as one?",
            groups=(sampled, course(data, ("m_x", "m_y", "m_z"), ())),
            lines=tuple(_line(row) for row in rows),
            first="Average",
            caption="Statistics of the film's average with standard errors",
            note=TOO_SHORT,
        ),
    ]


def _maps(data: xarray.Dataset, film: xarray.Dataset) -> Section:
    """Return the first replica, moving and at three times."""
    last, colours = film.sizes["time"] - 1, colours_of(film)
    maps = Group(
        name="maps",
        caption=_MAP_CAPTIONS[colours],
        drawings=tuple(
            map_drawing(film, k, colours, f"map-{k}") for k in sorted({0, last // 2, last})
        ),
    )
    return Section(
        name="map",
        title="The film",
        question="What does one replica look like?",
        animations=(_animation(data, film, colours),),
        groups=(maps,),
    )


def _law_drawing(row: Row, data: xarray.Dataset) -> Drawing:
    law = row.get("law")

    def draw(figure: Figure) -> None:
        curve = None if law is None else (np.array(law[0]), np.array(law[1]))
        value_histogram(figure.add_subplot(), sound(data, "m_z"), curve)

    return Drawing(
        name="law",
        title="Average m_z",
        note=f"std {with_error(row.get('std'))}, macrospin {figures(row.get('macrospin_std'), 4)}",
        alt="Histogram of the average m_z over the law of a macrospin.",
        draw=draw,
    )


def _animation(data: xarray.Dataset, film: xarray.Dataset, colours: Colours) -> Animation:
    """Return the map of the first replica, beside its averages over time."""
    roles = {"m_x": "perread", "m_y": "aleatoric", "m_z": "spintronic"}

    def begin(figure: Figure) -> Callable[[int], object]:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
        image = magnetisation_map(left, first_layer(film, 0), colours, arrows=0)
        add_colour_scale(left, colours)
        single_replica(right, data, roles).set_ylabel("average of the film (1)")
        right.legend(frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
        move = time_cursor(right, data)

        def change(frame: int) -> None:
            image.set_data(paint(first_layer(film, frame).values, colours))
            move(float(film["time"].values[frame]))

        return change

    return Animation(
        name="film",
        caption="The first replica, and the average of its magnetisation over time.",
        alt="Animated map of the magnetisation of the first replica, beside its average.",
        begin=begin,
        frames=film.sizes["time"],
    )


def _line(row: Row) -> Line:
    worth = known((row.get("mean") or {}).get("effective_samples"))
    exact = known(row.get("macrospin_std"))
    cells = (
        Cell(column="Mean", value=with_error(row.get("mean"))),
        Cell(column="Std", value=with_error(row.get("std")),
             below=() if exact is None else (f"macrospin {figures(exact, 4)}",)),
        Cell(column="Excess kurtosis", value=with_error(row.get("excess_kurtosis"))),
        Cell(column="Correlation time", value=with_error(row.get("correlation_time"), "s")),
        Cell(column="Effective samples", value=count(worth)),
    )  # fmt: skip
    return Line(name=str(row.get("component")), role="", detail="", cells=cells)


def film_sentences(results: Row) -> list[str]:
    """Return the opening sentences: what ran, and how the film differs from a macrospin."""
    run = results.get("run") or {}
    said = [
        f"{count(results.get('trajectories'))} replicas of a film of "
        f"{count(results.get('cells'))} magnetic cells, at {quantity(run.get('temperature'), 'K')} "
        f"over {quantity(run.get('duration'), 's')}."
    ]
    law = next((r for r in results.get("rows") or () if r.get("component") == "m_z"), {})
    alone = known(law.get("macrospin_std"))
    if alone is not None and known((law.get("std") or {}).get("value")) is not None:
        said.append(
            f"Its average m_z spreads by {with_error(law['std'])}; a macrospin of the same volume "
            f"and energies would spread by {figures(alone, 4)}."
        )
    return said


def film_tiles(results: Row) -> list[Tile]:
    """Return the headline numbers."""
    law = next((r for r in results.get("rows") or () if r.get("component") == "m_z"), {})
    worth = known((law.get("mean") or {}).get("effective_samples"))
    return [
        Tile(label="Replicas", value=count(results.get("trajectories")),
             lines=(f"{count(results.get('cells'))} magnetic cells each",)),
        Tile(label="Time step", value=quantity(results.get("time_step_s"), "s"),
             lines=(f"{count(results.get('steps'))} steps",)),
        Tile(label="Spread of m_z", value=with_error(law.get("std")),
             lines=(f"macrospin {figures(law.get('macrospin_std'), 4)}",)),
        Tile(label="Effective samples", value=MISSING if worth is None else count(worth),
             lines=("of m_z",)),
    ]  # fmt: skip
