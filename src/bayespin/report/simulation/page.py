"""One run folder of a simulation to figures, animations and one HTML file that needs no network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bayespin.load import InputError
from bayespin.physics.files.dataset import load_dataset
from bayespin.report import page, sections
from bayespin.report.formatting import MISSING, count, quantity
from bayespin.report.naming import known
from bayespin.report.sections import Section
from bayespin.report.simulation.films import film_sections, film_sentences, film_tiles
from bayespin.report.simulation.macrospins import (
    macrospin_sections,
    macrospin_sentences,
    macrospin_tiles,
)
from bayespin.report.simulation.walls import wall_sections, wall_sentences, wall_tiles

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
    sentences, tiles = _WORDS[results["kind"]]
    opening = sections.Opening(
        run=str(results.get("simulation") or MISSING),
        warnings=warnings_of(results),
        sentences=sentences(results),
        tiles=tiles(results),
        files=_FILES,
        facts=_facts(results),
    )
    return sections.write(run_dir, results, opening, _sections(results, run_dir))


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


def _facts(results: Row) -> dict[str, Any]:
    """Return how the run was made."""
    run = results.get("run") or {}
    return {
        "simulation": f"{results.get('simulation')} ({results.get('study_hash')})",
        "duration": quantity(run.get("duration"), "s"),
        "time step": quantity(results.get("time_step_s"), "s"),
        "records": count(results.get("records")),
        "temperature": quantity(run.get("temperature"), "K"),
        "precision": f"{run.get('dtype')} on {run.get('device')}",
        "seed": run.get("seed"),
    }
