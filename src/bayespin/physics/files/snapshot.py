"""The magnetisation of a film at one time, as files hold it."""

import math
from dataclasses import dataclass

from bayespin.physics.film.mesh import Mesh
from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Snapshot:
    """The direction of the magnetisation in every cell of a mesh.

    Raises:
        ValueError: `m` has another shape than the mesh, is not finite, or has no direction in a
            magnetic cell; the time is not finite; the title is more than one line.
    """

    m: Float[Tensor, "3 z y x"]
    """Unit vectors in magnetic cells; what stands in the others is not looked at."""
    mesh: Mesh
    time: float = 0.0
    """s."""
    title: str = "m"
    """One line, for people."""

    def __post_init__(self) -> None:
        if tuple(self.m.shape) != (3, *self.mesh.shape):
            raise ValueError(
                f"`m` must have the shape (3, z, y, x) = {(3, *self.mesh.shape)} of the mesh, "
                f"but has shape {tuple(self.m.shape)}."
            )
        inside = self.m[:, self.mesh.occupied.to(self.m.device)]
        lost = int((~(inside.isfinite().all(0) & inside.ne(0).any(0))).sum())
        if lost:
            raise ValueError(
                f"`m` must be finite and not zero in every magnetic cell, "
                f"but is not in {lost} of {inside.shape[1]}."
            )
        if not math.isfinite(self.time):
            raise ValueError(f"`time` must be finite, but is {self.time} s.")
        if self.title != " ".join(self.title.split()) or "##" in self.title:
            raise ValueError(
                f"`title` must be one line of words without `##`, but is {self.title!r}."
            )

    @property
    def cells(self) -> Float[Tensor, "z y x 3"]:
        """Return m on the CPU, cell by cell with x fastest, zero where there is no magnet."""
        inside = self.m.detach().where(self.mesh.occupied.to(self.m.device), 0.0)
        return inside.movedim(0, -1).contiguous().cpu()
