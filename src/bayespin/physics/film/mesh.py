"""The grid of a film: cells of equal size, some of them magnetic."""

import math
import warnings
from dataclasses import dataclass
from functools import cached_property

import torch

from bayespin.cite import cites
from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.shapes import Bool, Float, Tensor
from bayespin.units import format_quantity


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """A box of equal cuboid cells; arrays over it have axes z y x, x fastest.

    Coordinates count from the corner of the box: 0 <= x <= nx dx. Two meshes are equal only when
    they are one object.

    Raises:
        ValueError: a count or size is not positive, the mask has another shape or no magnetic cell.
    """

    cells: tuple[int, int, int]
    """(nx, ny, nz)."""
    cell: tuple[float, float, float]
    """(dx, dy, dz), m."""
    mask: Bool[Tensor, "z y x"] | None = None
    """True in magnetic cells; all are where it is left out."""

    def __post_init__(self) -> None:
        if not all(count >= 1 for count in self.cells):
            raise ValueError(f"`cells` must be at least 1 along each axis, but is {self.cells}.")
        if not all(size > 0 and math.isfinite(size) for size in self.cell):
            raise ValueError(f"`cell` must be positive along each axis, but is {self.cell} m.")
        if self.mask is not None:
            if tuple(self.mask.shape) != self.shape:
                raise ValueError(
                    f"`mask` must have the shape (z, y, x) = {self.shape} of the mesh, "
                    f"but has shape {tuple(self.mask.shape)}."
                )
            if not bool(self.mask.any()):
                raise ValueError("`mask` must hold at least one magnetic cell, but holds none.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(nz, ny, nx)."""
        nx, ny, nz = self.cells
        return nz, ny, nx

    @property
    def extent(self) -> tuple[float, float, float]:
        """Lengths of the box along x, y, z, m."""
        (nx, ny, nz), (dx, dy, dz) = self.cells, self.cell
        return nx * dx, ny * dy, nz * dz

    @property
    def cell_volume(self) -> float:
        """m³."""
        return math.prod(self.cell)

    @cached_property
    def occupied(self) -> Bool[Tensor, "z y x"]:
        """True in magnetic cells."""
        return torch.ones(self.shape, dtype=torch.bool) if self.mask is None else self.mask

    @property
    def count(self) -> int:
        """Number of magnetic cells."""
        return int(self.occupied.sum())

    def centres(self, axis: int) -> Float[Tensor, " cells"]:
        """Return the coordinates of the cell centres along x (0), y (1) or z (2), in metres."""
        number = torch.arange(self.cells[axis], dtype=torch.float64)
        return (number + 0.5) * self.cell[axis]


@cites("10.1109/TMAG.2013.2258028")
def exchange_length(
    exchange: float | Float[Tensor, "..."], saturation_magnetisation: float | Float[Tensor, "..."]
) -> float | Float[Tensor, "..."]:
    """Return l_ex = √(2A/(µ0 M_s²)) in metres, over which exchange beats the stray field.

    Symbols: A exchange stiffness (J/m); M_s (A/m); µ0 (T m/A).

    Source: Abo et al. (2013), who compare the definitions in use. 5.69 nm for permalloy.
    """
    return (2 * exchange / (VACUUM_PERMEABILITY * saturation_magnetisation**2)) ** 0.5


def check_cell(
    mesh: Mesh,
    exchange: float | Float[Tensor, "z y x"],
    saturation_magnetisation: float | Float[Tensor, "z y x"],
    anisotropy: float | Float[Tensor, "z y x"] = 0.0,
) -> None:
    """Warn when a cell is larger than the shortest length over which the magnetisation turns.

    The limit is the smaller of l_ex = √(2A/(µ0 M_s²)) and √(A/|K|), least over the magnetic cells:
    a texture finer than the cell is pinned to the grid. Axes of one cell are left out, because m
    is uniform along them by construction.

    Symbols: A exchange stiffness (J/m); M_s (A/m); K anisotropy that sets the width of walls
    (J/m³): K_u, or K_u − µ0 M_s²/2 for a thin perpendicular film with its stray field.
    """
    sizes = [size for size, count in zip(mesh.cell, mesh.cells, strict=True) if count > 1]
    stiffness, density, hardness = (
        torch.as_tensor(value, dtype=torch.float64).expand(mesh.shape)[mesh.occupied.cpu()]
        for value in (exchange, saturation_magnetisation, anisotropy)
    )
    magnetic = (density > 0) & (stiffness > 0)
    if not sizes or not bool(magnetic.any()):
        return
    stiffness, density, hardness = stiffness[magnetic], density[magnetic], hardness[magnetic]
    stray = float(torch.as_tensor(exchange_length(stiffness, density)).min())
    limit = min(stray, float((stiffness / hardness.abs()).sqrt().min()))
    if max(sizes) > limit:
        name = "exchange length" if limit == stray else "wall width √(A/K)"
        warnings.warn(
            f"`cell` should be at most the {name}, {format_quantity(limit, 'm')}, but is "
            f"{format_quantity(max(sizes), 'm')}: walls are pinned to such a grid.",
            stacklevel=2,
        )


def links(occupied: Bool[Tensor, "z y x"], axis: int) -> Bool[Tensor, "..."]:
    """Return where both of two neighbours along x (0), y (1) or z (2) are magnetic.

    One shorter than the mesh along that axis: entry i is the face between cells i and i + 1.
    """
    return occupied.narrow(-1 - axis, 0, occupied.shape[-1 - axis] - 1) & occupied.narrow(
        -1 - axis, 1, occupied.shape[-1 - axis] - 1
    )
