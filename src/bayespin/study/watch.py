"""Who is told how far a study is, and with how many hands it is carried out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bayespin.network.prediction import Execution


def ignored(*_: Any) -> None:
    """Do nothing: a callback that was left out."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a run is carried out and who is told: every field may be left out."""

    progress: Callable[[str, int, int], None] = ignored
    """(what, steps done, steps in all)."""
    table: Callable[[dict[str, Any]], None] = ignored
    """Results so far, once all rows have their clean numbers."""

    workers: int = 1
    """Blocks of images predicted at once; no number depends on it."""

    def of(self, what: str) -> Callable[[int, int], None]:
        """Return the progress callback of one task."""
        return lambda done, total: self.progress(what, done, total)

    def execution(self, what: str) -> Execution:
        """Return how one prediction is carried out."""
        return Execution(workers=self.workers, progress=self.of(what))
