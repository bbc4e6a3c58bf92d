"""How a matrix is cut into tiles, and how its parts meet their inputs."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F

from bayespin.array.coding import CodingName
from bayespin.array.converter_errors import AdcErrors
from bayespin.array.wires import Wires
from bayespin.events import TileShape
from bayespin.shapes import Bool, Float, Tensor


@runtime_checkable
class TileMap(Protocol):
    """The linear map of a layer, tile by tile: matrices (rows, outputs) laid out for one product.

    `RowTiles` is that of a plain matrix; layers bring their own.
    """

    def lay_out(self, matrix: Float[Tensor, "rows columns"]) -> Tensor:
        """Return a crossbar's matrix as the weights that `apply` takes."""
        ...

    def apply(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return each tile's outputs, (tiles, images, outputs, *positions)."""
        ...

    def outer(self, rows: Tensor, cells: Tensor) -> Tensor:
        """Return, laid out, r_i Σ_k c_kj of laid-out rows r (one column) and cells c."""
        ...


@dataclass(frozen=True, kw_only=True)
class ArrayLayout:
    """Size and wiring of a tile.

    Raises:
        ValueError: fewer than one row, output or output per converter.
    """

    rows: int
    """Most rows of a tile: inputs that meet on one column."""
    outputs: int
    """Most outputs of a tile; each takes the physical columns of one cell."""
    outputs_per_adc: int
    """Outputs that share one converter."""
    wires: Wires | None = None
    """Resistances around the cells; without them every cell sees its full voltage."""
    adc_errors: AdcErrors | None = None
    """Of the column converters as they are made; without them they are ideal."""
    coding: CodingName = "amplitude"
    """How a row's drive carries its code in time."""

    def __post_init__(self) -> None:
        for name in ("rows", "outputs", "outputs_per_adc"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"`{name}` must be at least 1, but is {getattr(self, name)}.")

    def grid(self, rows: int, outputs: int, groups: int = 1) -> "TileGrid":
        """Return the tiles of a matrix; no tile holds outputs of two groups."""
        return TileGrid(
            rows=RowTiles(rows, self.rows),
            groups=groups,
            columns=tuple(
                slice(start + part.start, start + part.stop)
                for start in range(0, outputs, outputs // groups)
                for part in _even_parts(outputs // groups, self.outputs)
            ),
        )


def _even_parts(length: int, largest: int) -> list[slice]:
    """Return as few parts of at most `largest` as make up the length, as even as they can be."""
    size = -(-length // -(-length // largest))
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


@dataclass(frozen=True)
class RowTiles:
    """A matrix cut into as few tiles of at most `tile_rows` of its `rows` as hold it.

    Tiles share the rows evenly: shorter columns lose less voltage and need smaller ranges.
    """

    rows: int
    tile_rows: int

    @property
    def parts(self) -> list[slice]:
        """Rows of every tile."""
        return _even_parts(self.rows, self.tile_rows)

    @property
    def tiles(self) -> int:
        """Number of tiles that share an output."""
        return -(-self.rows // self.tile_rows)

    @property
    def height(self) -> int:
        """Rows of every tile but the last, which may have fewer."""
        return -(-self.rows // self.tiles)

    @property
    def masks(self) -> Bool[Tensor, "tiles rows"]:
        """Which rows each tile holds."""
        return torch.arange(self.rows) // self.height == torch.arange(self.tiles)[:, None]

    def lay_out(self, matrix: Float[Tensor, "rows columns"]) -> Tensor:
        """Return the matrix as (tiles, rows of a tile, columns), padded with zeros."""
        padded = F.pad(matrix, (0, 0, 0, self.tiles * self.height - self.rows))
        return padded.view(self.tiles, self.height, -1)

    def apply(self, x: Tensor, weights: Tensor) -> Float[Tensor, "tiles images columns"]:
        """Return each tile's product of its part of x (images, rows) with what `lay_out` made."""
        return torch.bmm(self.split(x).transpose(0, 1), weights)

    def outer(self, rows: Tensor, cells: Tensor) -> Tensor:
        """Return, laid out, r_i Σ_k c_kj of laid-out rows r (one column) and cells c."""
        return rows * cells.sum(1, keepdim=True)

    def split(self, x: Float[Tensor, "reads rows"]) -> Float[Tensor, "reads tiles height"]:
        """Return drives by tile, padded with zeros."""
        missing = self.tiles * self.height - self.rows
        return (F.pad(x, (0, missing)) if missing else x).reshape(len(x), self.tiles, -1)


@dataclass(frozen=True, kw_only=True)
class TileGrid:
    """The tiles of one matrix: every part of its rows with every part of its columns."""

    rows: RowTiles
    columns: tuple[slice, ...]
    groups: int = 1
    """Parts of the outputs that have rows of their own."""

    @property
    def group_width(self) -> int:
        """Outputs of one group."""
        return self.columns[-1].stop // self.groups

    @property
    def shapes(self) -> tuple[TileShape, ...]:
        """Every tile's size."""
        return tuple(
            TileShape(rows=r.stop - r.start, outputs=c.stop - c.start)
            for r in self.rows.parts
            for c in self.columns
        )
