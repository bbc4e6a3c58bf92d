"""One run folder of a characterisation to figures and one HTML file that needs no network."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bayespin.load import InputError
from bayespin.report import page, sections
from bayespin.report.characterisation import pillar, track, words
from bayespin.report.formatting import MISSING
from bayespin.report.sections import Section
from bayespin.report.table import Table
from bayespin.report.verdict import Tile

Row = Mapping[str, Any]
_FILES: Final = {
    "table.csv": "the device as a table, with error bars; that of a pillar is read as a device",
    "results.json": "the numbers of this page, and where they come from",
    "characterisation.toml": "the characterisation with every default written out",
    "figures/": "the drawings of this page as SVG files",
}


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a kind of characterisation says and shows of its results."""

    sentences: Callable[[Row], Sequence[str]]
    tiles: Callable[[Row], Sequence[Tile]]
    sections: Callable[[Row, Path], Sequence[Section]]
    """Given the results and the run folder."""
    table: Callable[[Row], Table]
    """Of the terminal, at most 100 columns wide."""
    facts: Callable[[Row], Mapping[str, Any]]
    """How the run was made, for the provenance."""


_WORDS: Final[dict[str, Words]] = {
    "pillar": Words(
        sentences=words.sentences,
        tiles=words.tiles,
        sections=pillar.sections,
        table=words.table,
        facts=words.facts,
    ),
    "track": Words(
        sentences=track.sentences,
        tiles=track.tiles,
        sections=track.sections,
        table=track.table,
        facts=track.facts,
    ),
}
KINDS: Final = tuple(_WORDS)
"""Kinds of results that this page can show."""


def write(run_dir: Path) -> Path:
    """Write figures and report.html of a run folder; return the path of the page.

    Raises:
        InputError: no results, damaged ones, or a folder that cannot be written.
    """
    results = page.read(run_dir)
    if results.get("kind") not in _WORDS:
        raise InputError(
            f"Folder `{run_dir}` must be a run of `bayespin characterize`, but is not; take "
            f"`bayespin report`."
        )
    shown = _WORDS[results["kind"]]
    opening = sections.Opening(
        run=str(results.get("characterisation") or MISSING),
        warnings=[str(one) for one in results.get("remarks") or ()],
        sentences=shown.sentences(results),
        tiles=shown.tiles(results),
        files=_FILES,
        facts={
            "characterisation": f"{results.get('characterisation')} ({results.get('study_hash')})",
            **shown.facts(results),
        },
    )
    return sections.write(run_dir, results, opening, shown.sections(results, run_dir))


def table(results: Row) -> Table:
    """Return the rows of a characterisation for a terminal."""
    found = _WORDS[results["kind"]].table(results)
    rows = tuple(tuple(cell.replace("\u00a0", " ") for cell in row) for row in found.rows)
    notes = (*(str(one) for one in results.get("remarks") or ()), *found.notes)
    return Table(header=found.header, rows=rows, notes=notes)
