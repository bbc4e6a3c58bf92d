"""Files that are there whole or not at all."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacement(path: Path) -> Generator[Path, None, None]:
    """Give a path to write; once that is done without error, it takes the place of `path`.

    Whatever fails on the way, a full disk or Ctrl-C, an older file at `path` stays as it was, and
    nothing half-written is left.
    """
    beside = path.with_name(path.name + ".partial")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
