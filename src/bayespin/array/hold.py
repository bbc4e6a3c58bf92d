"""A mechanism that holds what cells have drawn: without one, `frozen` sampling is not hardware.

A free-running junction draws anew within nanoseconds. To reuse one draw over many reads, the
pillars' anisotropy is raised between two reads (by a gate voltage, or by a clocked stage that
latches the state): they stay where they are until they are released again.
"""

from dataclasses import dataclass
from typing import Annotated

from bayespin.units import Unit

SCOPES = ("image", "tile", "batch")


@dataclass(frozen=True, kw_only=True)
class Hold:
    """What it takes to draw the cells once and hold them.

    | scope | a draw is shared by | released |
    |---|---|---|
    | `image` | all reads for one image in one pass | all tiles at once, before each pass |
    | `tile` | all reads of one tile for one image in one pass | tile by tile, layer after layer |
    | `batch` | all reads for `batch` images in one pass | all tiles at once, before each pass |

    A tile has cells of its own, so `image` and `tile` have the same statistics and energy and
    differ in time. Software that draws weights once per forward pass does as `batch` does.

    Raises:
        ValueError: a negative energy or time, an unknown scope, or a batch below one.
    """

    energy: Annotated[float, Unit("J")]
    """To release and hold the stochastic devices of one weight once."""
    time: Annotated[float, Unit("s")]
    """From release to held: some correlation times; nothing is read meanwhile."""
    scope: str = "batch"
    batch: int = 125
    """Images that share the joules and seconds of a draw under the scope `batch`."""

    def __post_init__(self) -> None:
        for name in ("energy", "time"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, but is {getattr(self, name)}.")
        if self.scope not in SCOPES:
            raise ValueError(f"`scope` must be {', '.join(SCOPES)}, but is {self.scope!r}.")
        if self.batch < 1:
            raise ValueError(f"`batch` must be at least 1, but is {self.batch}.")

    @property
    def images(self) -> int:
        """Images that share a draw."""
        return self.batch if self.scope == "batch" else 1

    def energy_per_pass(self, weights: int) -> float:
        """Return J that one image's pass takes for a layer of this many weights."""
        return weights * self.energy / self.images

    def time_per_pass(self, layers: int) -> float:
        """Return s that one image's pass takes for a network of this many layers on tiles."""
        return self.time / self.images * (layers if self.scope == "tile" else 1)
