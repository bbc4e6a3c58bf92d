"""One run folder of a simulation to figures, animations and one HTML file that needs no network."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bayespin.load import InputError
from bayespin.physics.files.dataset import load_dataset
from bayespin.report import page
from bayespin.report.formatting import MISSING, count, figures, quantity
from bayespin.report.naming import known
from bayespin.report.plates import Panel, Plate
from bayespin.report.simulation.films import film_sections, film_sentences, film_tiles
from bayespin.report.simulation.macrospins import (
    macrospin_sections,
    macrospin_sentences,
    macrospin_tiles,
)
from bayespin.report.simulation.magnetisation import animated_gif, png
from bayespin.report.simulation.parts import WIDE, Animation, Drawing, Group, Section
from bayespin.report.simulation.walls import wall_sections, wall_sentences, wall_tiles
from bayespin.report.svg import frames, inline_svg, standalone_svg

Row = Mapping[str, Any]
_WORDS: Final = {
    "macrospin": (macrospin_sentences, macrospin_tiles),
    "film": (film_sentences, film_tiles),
    "wall": (wall_sentences, wall_tiles),
}
_FILES: Final = {
    "trajectories.nc": "every recorded quantity of every replica, with units (NetCDF, xarray)",
    "films.nc": "the same of the films beside the walls",
    "film.nc": "the magnetisation of the first film at some times (NetCDF, xarray)",
    "results.json": "the numbers of this page, and where they come from",
    "simulation.toml": "the simulation with every default written out",
    "snapshots/": "final states: OVF 2.0 (OOMMF, mumax3, Ubermag), VTK (ParaView)",
    "figures/": "the drawings of this page as SVG files",
    "wall.gif": "the animation of the wall",
    "film.gif": "the animation of the film",
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An animation on the page, and the still that stands for it where motion is not wanted."""

    moving: str
    still: str
    alt: str
    caption: str
    size: tuple[float, float]


def write(run_dir: Path) -> Path:
    """Write figures, animations and report.html of a run folder; return the path of the page.

    Raises:
        InputError: no results or trajectories, damaged ones, or a folder that cannot be written.
    """
    results = page.read(run_dir)
    if results.get("kind") not in _WORDS:
        raise InputError(
            f"Folder `{run_dir}` must be a run of `bayespin simulate`, but is not; take "
            f"`bayespin report`."
        )
    sections = _sections(results, run_dir)
    pictures = {}
    for section in sections:
        for drawing in (one for group in section.groups for one in group.drawings):
            place = run_dir / "figures" / f"{drawing.name}.svg"
            place.parent.mkdir(exist_ok=True)
            place.write_text(standalone_svg(drawing.draw, drawing.size), encoding="utf-8")
        for animation in section.animations:
            pictures[animation.name] = _animated(run_dir, animation)
    return page.save(run_dir, _rendered(results, sections, pictures, run_dir))


def _sections(results: Row, run_dir: Path) -> list[Section]:
    """Return what the page shows, from the datasets of the folder."""
    data = load_dataset(run_dir / "trajectories.nc")
    films, film = (
        load_dataset(run_dir / name) if (run_dir / name).is_file() else None
        for name in ("films.nc", "film.nc")
    )
    if results["kind"] == "macrospin":
        return macrospin_sections(results, data)
    if results["kind"] == "wall":
        return wall_sections(results, data, films, film)
    if film is None:
        raise InputError(f"Run folder `{run_dir}` must hold film.nc, but does not; run it again.")
    return film_sections(results, data, film)


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


def _rendered(
    results: Row, sections: Sequence[Section], pictures: Mapping[str, Picture], run_dir: Path
) -> str:
    sentences, tiles = _WORDS[results["kind"]]
    shown = [
        {
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
        for section in sections
    ]
    return page.fill(
        "simulation.html",
        {
            "title": str(results.get("title") or "bayespin simulation"),
            "simulation": str(results.get("simulation") or MISSING),
            "study_hash": str(results.get("study_hash") or MISSING),
            "quick": False,
            "warnings": warnings_of(results),
            "sentences": sentences(results),
            "tiles": tiles(results),
            "sections": shown,
            "files": [(n, what) for n, what in _FILES.items() if (run_dir / n).exists()],
            "facts": _facts(results),
        },
    )


def warnings_of(results: Row) -> list[str]:
    """Return what a reader must know first: failed trajectories, and remarks of the physics."""
    found = []
    for part, what in ((results, "trajectories"), (results.get("beside") or {}, "films")):
        failed = known(part.get("failed"))
        if failed:
            when = quantity(part.get("first_failed_s"), "s")
            found.append(
                f"{count(failed)} of {count(part.get('trajectories'))} {what} are no longer "
                f"finite, the first after {when}; they are left out of every number and figure: "
                f"take a smaller time step."
            )
    said = {str(row["remark"]) for row in results.get("rows") or () if row.get("remark")}
    return [*found, *map(str, results.get("remarks") or ()), *sorted(said)]


def _facts(results: Row) -> list[tuple[str, str]]:
    """Return the provenance as name and value, without what is not known."""
    run, origin = results.get("run") or {}, results.get("provenance") or {}
    wall = known(origin.get("wall_time_s"))
    told = {
        "simulation": f"{results.get('simulation')} ({results.get('study_hash')})",
        "duration": quantity(run.get("duration"), "s"),
        "time step": quantity(results.get("time_step_s"), "s"),
        "records": count(results.get("records")),
        "temperature": quantity(run.get("temperature"), "K"),
        "precision": f"{run.get('dtype')} on {run.get('device')}",
        "seed": run.get("seed"),
        "started": origin.get("started"),
        "wall time": None if wall is None else f"{figures(wall)} s",
        "bayespin": " · ".join(str(origin[k]) for k in ("bayespin", "commit") if origin.get(k)),
        "python": origin.get("python"),
        "torch": origin.get("torch"),
        "numpy": origin.get("numpy"),
        "platform": origin.get("platform"),
        "processor": origin.get("cpu"),
        "threads": origin.get("threads"),
    }
    return [(name, str(value)) for name, value in told.items() if value is not None and value != ""]
