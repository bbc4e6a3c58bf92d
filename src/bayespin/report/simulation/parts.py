"""What the page of a simulation is made of: drawings, animations, tables, in sections."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import xarray
from matplotlib.figure import Figure

from bayespin.report.plates import PANEL, Draw, Mark
from bayespin.report.simulation.figures import SYMBOLS, mark_pulses, over_time
from bayespin.report.tables import Line

WIDE: Final = (736, 250)
"""Width and height of a drawing over the whole page, in CSS pixels."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One drawing: the page shows it, and a file in figures/ holds it."""

    name: str
    title: str
    note: str
    alt: str
    draw: Draw
    size: tuple[float, float] = PANEL


@dataclass(frozen=True, kw_only=True)
class Group:
    """Drawings that share a legend and a caption."""

    name: str
    caption: str
    drawings: tuple[Drawing, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Animation:
    """A figure that changes from frame to frame: a GIF beside the page, and inside it."""

    name: str
    """Of the file, without .gif."""
    caption: str
    alt: str
    begin: Callable[[Figure], Callable[[int], object]]
    """Draws the first frame and returns what changes it into frame k."""
    frames: int
    size: tuple[float, float] = WIDE
    seconds_per_frame: float = 0.12


@dataclass(frozen=True, kw_only=True)
class Section:
    """One section of the page."""

    name: str
    title: str
    question: str
    animations: tuple[Animation, ...] = ()
    groups: tuple[Group, ...] = ()
    lines: tuple[Line, ...] = ()
    first: str = ""
    caption: str = ""
    note: str = ""


BAND: Final = (
    Mark(kind="line", role="spintronic", label="median"),
    Mark(kind="block", role="spintronic", label="5 to 95 % of the replicas (pale)"),
    Mark(kind="line", role="muted", label="six single replicas"),
)
PULSES: Final = Mark(kind="block", role="ideal", label="current on (pale)")


def course(data: xarray.Dataset, names: Sequence[str], titles: Sequence[str]) -> Group:
    """Return recorded quantities over time, one drawing for each name and operating point.

    `titles` name the operating points; none for a single one.
    """
    drawings = []
    for name in names:
        for point, title in enumerate(titles or [""]):

            def draw(figure: Figure, name: str = name, point: int = point) -> None:
                mark_pulses(over_time(figure.add_subplot(), data, name, point), data)

            what = SYMBOLS.get(name, name)
            drawings.append(
                Drawing(
                    name=f"{name.replace('_', '-')}-{point}-over-time",
                    title=f"{what}, {title}" if title else what,
                    note="",
                    alt=f"{what} over time {title}",
                    draw=draw,
                )
            )
    driven = (PULSES,) if "current_density" in data else ()
    return Group(
        name="course",
        caption="Over time: the middle of the replicas, and how far apart they are.",
        drawings=tuple(drawings),
        marks=(*BAND, *driven),
    )
