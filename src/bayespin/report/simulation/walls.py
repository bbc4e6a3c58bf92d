"""What the page of a simulation of walls shows."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import xarray
from matplotlib.figure import Figure

from bayespin.report.formatting import count, decimals, percent, prefixed, quantity
from bayespin.report.naming import known
from bayespin.report.palette import colour
from bayespin.report.plates import Mark
from bayespin.report.sections import WIDE, Animation, Drawing, Group, Section
from bayespin.report.simulation.figures import (
    final_positions,
    mark_notches,
    mark_pulses,
    over_time,
    time_cursor,
)
from bayespin.report.simulation.films import first_layer
from bayespin.report.simulation.magnetisation import add_colour_scale, magnetisation_map, paint
from bayespin.report.simulation.parts import BAND, PULSES
from bayespin.report.tables import Cell, Line
from bayespin.report.verdict import Tile

Row = Mapping[str, Any]
FILM: Final = Mark(kind="line", role="perread", label="whole films", line="--")
NOTCH: Final = Mark(kind="line", role="muted", label="notches", line=":")
_POSITION: Final = (
    "Position q of the wall, as metres of full track to its left. The walls as two coordinates "
    "know the track from a calibration; the films beside them hold every cell."
)
_FINAL: Final = "Where the walls are at the end; every line is a notch."
_NOTE: Final = (
    "Each wall counts for the notch that it is nearest to at the end. A track that is read as a "
    "weight has one level per notch, so the shares are the errors of programming."
)


def _notches(results: Row) -> list[float]:
    return [float(row["position"]) for row in results.get("rows") or ()]


def _draw_films(axes: Any, films: xarray.Dataset | None, scale: float, times: float) -> None:
    """Draw the position of the wall in each film, as dashed lines."""
    if films is None:
        return
    position = films["wall_position"]
    position = position.isel(point=0) if "point" in position.dims else position
    axes.plot(
        films["time"].values / times, position.transpose("time", "replica").values / scale,
        color=colour("perread"), linestyle="--", linewidth=1.6,
    )  # fmt: skip


def _positions(
    figure_axes: Any, results: Row, data: xarray.Dataset, films: xarray.Dataset | None
) -> None:
    axes = over_time(figure_axes, data, "wall_position")
    mark_pulses(axes, data)
    values = data["wall_position"].values
    scale, _ = prefixed(float(abs(values).max()), "m")
    times, _ = prefixed(float(data["time"].values[-1]), "s")
    mark_notches(axes, _notches(results), axes.axhline, scale)
    _draw_films(axes, films, scale, times)


def wall_sections(
    results: Row,
    data: xarray.Dataset,
    films: xarray.Dataset | None,
    film: xarray.Dataset | None,
) -> list[Section]:
    """Return the animation, positions over time, and where the walls end."""
    passing = [] if film is None else [_passing(results, data, films, film)]
    ends = Section(
        name="position",
        title="From notch to notch",
        question="Where does the wall go, and does it stop where it should?",
        groups=(_position_group(results, data, films),),
        lines=tuple(_line(row) for row in results.get("rows") or ()),
        first="Notch",
        caption="Where the walls end",
        note=_NOTE,
    )
    return [*passing, ends]


def _position_group(results: Row, data: xarray.Dataset, films: xarray.Dataset | None) -> Group:
    """Return positions over time and at the end."""
    over_time_drawing = Drawing(
        name="wall-position-over-time",
        title="Wall position over time",
        note="",
        alt="Position of the walls over time, with the notches as lines.",
        draw=lambda figure: _positions(figure.add_subplot(), results, data, films),
    )
    final_drawing = Drawing(
        name="final-positions",
        title="Final positions",
        note=_FINAL,
        alt="Histogram of the final positions over the notches.",
        draw=lambda figure: final_positions(figure.add_subplot(), data, _notches(results)),
    )
    beside = () if films is None else (FILM,)
    driven = (PULSES,) if "current_density" in data else ()
    return Group(
        name="position",
        caption=_POSITION,
        drawings=(over_time_drawing, final_drawing),
        marks=(*BAND, *driven, *beside, NOTCH),
    )


def _passing(
    results: Row, data: xarray.Dataset, films: xarray.Dataset | None, film: xarray.Dataset
) -> Section:
    """Return the film of the wall that passes the notches, and some of its maps."""

    def begin(figure: Figure) -> Callable[[int], object]:
        upper, lower = figure.subplots(2, 1, height_ratios=(1, 1.7))
        image = magnetisation_map(upper, first_layer(film, 0), arrows=0)
        add_colour_scale(upper)
        _positions(lower, results, data, films)
        move = time_cursor(lower, data)

        def change(frame: int) -> None:
            image.set_data(paint(first_layer(film, frame).values, "up_down"))
            move(float(film["time"].values[frame]))

        return change

    return Section(
        name="passing",
        title="The wall passes the notches",
        question="What happens in the track?",
        animations=(
            Animation(
                name="wall",
                caption="Above, m_z of a whole film of the track; below, the positions of all "
                "walls, and of the film as a dashed line. Shaded: the current is on.",
                alt="Animated map of the wall that passes the notches, above its position.",
                begin=begin,
                frames=film.sizes["time"],
                size=(WIDE[0], 400),
            ),
        ),
        groups=(_moments(film),),
    )


def _moments(film: xarray.Dataset) -> Group:
    """Return maps of four moments, one below the other."""
    last = film.sizes["time"] - 1
    chosen = sorted({0, last // 3, 2 * last // 3, last})

    def draw(figure: Figure) -> None:
        rows = figure.subplots(len(chosen), 1, squeeze=False)[:, 0]
        for axes, frame in zip(rows, chosen, strict=True):
            magnetisation_map(axes, first_layer(film, frame), arrows=48)
            time = quantity(float(film["time"].values[frame]), "s")
            axes.set_title(time, fontsize=10, color=colour("muted"), loc="left")

    drawing = Drawing(
        name="maps",
        title="From start to end",
        note="",
        alt="Maps of the magnetisation of the track, from start to end.",
        draw=draw,
        size=(WIDE[0], 2 * WIDE[1]),
    )
    return Group(
        name="maps",
        caption="Colour: m_z, from down (blue) to up (orange); arrows: the part in the plane of "
        "the film.",
        drawings=(drawing,),
    )


def _line(row: Row) -> Line:
    cells = [
        Cell(column="At x", value=quantity(row.get("x"), "m")),
        Cell(column="Position q", value=quantity(row.get("position"), "m")),
        Cell(column="Walls", value=count(row.get("walls")),
             below=(percent(row.get("share"), 1),)),
    ]  # fmt: skip
    if row.get("films") is not None:
        cells.append(Cell(column="Films", value=count(row.get("films"))))
    return Line(name=f"Notch {row.get('notch')}", role="", detail="", cells=tuple(cells))


def most_frequent(rows: Sequence[Row]) -> Row:
    """Return the notch in which most walls end."""
    return max(rows, key=lambda row: known(row.get("walls")) or 0.0, default={})


def wall_sentences(results: Row) -> list[str]:
    """Return the opening sentences: what ran, where most walls end."""
    rows, run = results.get("rows") or (), results.get("run") or {}
    best = most_frequent(rows)
    films = (results.get("beside") or {}).get("trajectories")
    beside = f" and {count(films)} whole film{'s' if films > 1 else ''}" if films else ""
    return [
        f"{count(results.get('trajectories'))} domain walls as two coordinates{beside}, at "
        f"{quantity(run.get('temperature'), 'K')} over {quantity(run.get('duration'), 's')}.",
        f"{percent(best.get('share'), 1)} of the walls end in notch {best.get('notch')}.",
    ]


def wall_tiles(results: Row) -> list[Tile]:
    """Return the headline numbers."""
    found, best = results.get("coordinates") or {}, most_frequent(results.get("rows") or ())
    return [
        Tile(label="Walls", value=count(results.get("trajectories")),
             lines=(f"{count(results.get('steps'))} steps of "
                    f"{quantity(results.get('time_step_s'), 's')}",)),
        Tile(label=f"End in notch {best.get('notch')}", value=percent(best.get("share"), 1),
             lines=("the most frequent",)),
        Tile(label="Depth of a notch", value=f"{decimals(found.get('notch_depth_kt'), 1)} kT",
             lines=(quantity(found.get("notch_depth"), "J"),
                    f"fit within {percent(found.get('misfit'), 1)}")),
        Tile(label="Wall width Δ", value=quantity(found.get("wall_width"), "m"),
             lines=(f"B_D {quantity(found.get('dmi'), 'T')}",)),
    ]  # fmt: skip
