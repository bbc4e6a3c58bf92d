"""Pages made of sections: drawings, animations and tables, written beside the numbers of a run."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from bayespin.report import page
from bayespin.report.formatting import MISSING, figures
from bayespin.report.naming import known
from bayespin.report.plates import PANEL, Draw, Mark, Panel, Plate
from bayespin.report.simulation.magnetisation import animated_gif, png
from bayespin.report.svg import frames, inline_svg, standalone_svg
from bayespin.report.tables import Line
from bayespin.report.verdict import Tile

Row = Mapping[str, Any]
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


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What a page says before its sections and after them."""

    run: str
    """Name of the study."""
    warnings: Sequence[str]
    """What a reader must know first."""
    sentences: Sequence[str]
    tiles: Sequence[Tile]
    files: Mapping[str, str]
    """What each file or folder of the run holds; those that exist are listed."""
    facts: Mapping[str, Any]
    """Provenance; what is not known is left out."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An animation on the page, and the still that stands for it where motion is not wanted."""

    moving: str
    still: str
    alt: str
    caption: str
    size: tuple[float, float]


def write(run_dir: Path, results: Row, opening: Opening, sections: Sequence[Section]) -> Path:
    """Write figures, animations and report.html of a run folder; return the path of the page.

    Raises:
        InputError: the folder cannot be written.
    """
    pictures = {}
    for section in sections:
        for drawing in (one for group in section.groups for one in group.drawings):
            place = run_dir / "figures" / f"{drawing.name}.svg"
            place.parent.mkdir(exist_ok=True)
            place.write_text(standalone_svg(drawing.draw, drawing.size), encoding="utf-8")
        for animation in section.animations:
            pictures[animation.name] = _animated(run_dir, animation)
    facts = {**opening.facts, **software_facts(results)}
    content = {
        "title": str(results.get("title") or "bayespin"),
        "run": opening.run,
        "study_hash": str(results.get("study_hash") or MISSING),
        "quick": False,
        "warnings": opening.warnings,
        "sentences": opening.sentences,
        "tiles": opening.tiles,
        "sections": [_shown(section, pictures) for section in sections],
        "files": [(n, what) for n, what in opening.files.items() if (run_dir / n).exists()],
        "facts": [(n, str(value)) for n, value in facts.items() if value not in (None, "")],
    }
    return page.save(run_dir, page.fill("sections.html", content))


def software_facts(results: Row) -> dict[str, Any]:
    """Return what computed a run, and when, from its results."""
    origin = results.get("provenance") or {}
    wall = known(origin.get("wall_time_s"))
    return {
        "started": origin.get("started"),
        "wall time": None if wall is None else f"{figures(wall)} s",
        "bayespin": " · ".join(str(origin[k]) for k in ("bayespin", "commit") if origin.get(k)),
        **{name: origin.get(name) for name in ("python", "torch", "numpy", "platform")},
        "processor": origin.get("cpu"),
        "threads": origin.get("threads"),
    }


def _shown(section: Section, pictures: Mapping[str, Picture]) -> dict[str, Any]:
    """Return a section as the template reads it."""
    return {
        "name": section.name,
        "title": section.title,
        "question": section.question,
        "pictures": [pictures[one.name] for one in section.animations],
        "plates": [_plate(group) for group in section.groups],
        "lines": section.lines,
        "first": section.first,
        "caption": section.caption,
        "note": section.note,
    }


def _animated(run_dir: Path, animation: Animation) -> Picture:
    """Write an animation as GIF and return it for the page."""
    shown = list(frames(animation.begin, animation.frames, animation.size))
    moving, still = animated_gif(shown, animation.seconds_per_frame), png(shown[len(shown) // 2])
    (run_dir / f"{animation.name}.gif").write_bytes(moving)
    return Picture(
        moving=_address(moving, "gif"),
        still=_address(still, "png"),
        alt=animation.alt,
        caption=animation.caption,
        size=animation.size,
    )


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _plate(group: Group) -> Plate:
    def panel(drawing: Drawing) -> Panel:
        svg = inline_svg(drawing.draw, size=drawing.size, name=drawing.name, alt=drawing.alt)
        span = "page" if drawing.size[0] >= WIDE[0] else "column"
        return Panel(title=drawing.title, note=drawing.note, role="", svg=svg, span=span)

    panels = tuple(panel(drawing) for drawing in group.drawings)
    return Plate(name=group.name, caption=group.caption, marks=group.marks, panels=panels)
