"""What the page of a characterised pillar shows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayespin.report.sections import Section
from bayespin.report.table import Table
from bayespin.report.verdict import Tile

Row = Mapping[str, Any]


def sentences(results: Row) -> list[str]:
    """Return the opening sentences."""
    return []


def tiles(results: Row) -> list[Tile]:
    """Return the headline numbers."""
    return []


def sections(results: Row, run_dir: Path) -> list[Section]:
    """Return what the page shows."""
    return []


def table(results: Row) -> Table:
    """Return the rows of the terminal."""
    return Table(header=("setting",), rows=(), notes=())


def facts(results: Row) -> dict[str, Any]:
    """Return how the run was made."""
    return {}
