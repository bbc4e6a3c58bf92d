"""What pages of several kinds of simulation show: recorded quantities over time."""

from collections.abc import Sequence
from typing import Final

import xarray
from matplotlib.figure import Figure

from bayespin.report.plates import Mark
from bayespin.report.sections import Drawing, Group
from bayespin.report.simulation.figures import SYMBOLS, mark_pulses, over_time

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
