"""The probabilistic product of one layer's tiles: the moment path, and brute force as its twin.

A layer of K rows is cut into tiles of at most N rows; every tile has its own converters and its
own noise. With row drives x in [0, 1] (in units of the read voltage) the output of one column of
one tile is Gaussian, exactly, for independent Gaussian cells and amplitude-coded inputs:

    y_j ~ N( Σ_i x_i M_ij ,  Σ_i x_i² S_ij² + Σ_i h(x_i) N_ij )

M, S: mean and standard deviation of a cell's conductance difference; N: its noise conductance;
h(x): variance of the Johnson and shot noise of one siemens, over the squared read voltage. Two
matrix products and one normal draw per output replace one draw per cell. Source: physics.md §8.

Fast forms. Noise conductances differ little from cell to cell, so each tile takes the product of
a row factor and a column factor that has the same row and column sums: one column instead of a
matrix. With wires (`array.wires`) currents of other rows lower the voltage at a cell, and

    Var y_j = Σ_i x_i² S'_ij − 2 z Σ_i x_i Q_ij + c_j z²,   z = Σ_i x_i p_i.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F

from bayespin.cell.interface import ProgrammedCells, Reading
from bayespin.events import TileShape
from bayespin.physics import transport
from bayespin.rng import Noise
from bayespin.shapes import Bool, Float, Tensor
from bayespin.units import Unit

Apply = Callable[[Tensor, Tensor], Tensor]
"""The tiles' linear map (x, weights) → y (tiles, images, outputs, ...); `weights` are laid out."""

Layout = Callable[[Tensor], Tensor]
"""Lays a matrix (rows, outputs) out as the weights that `Apply` takes."""


@dataclass(frozen=True, kw_only=True)
class ArrayLayout:
    """Size and wiring of a tile.

    Raises:
        ValueError: fewer than one row or column, or a negative resistance.
    """

    rows: int
    """Rows of a tile: inputs that meet on one column."""
    outputs_per_adc: int
    """Outputs that share one converter."""
    cell_wire_resistance: Annotated[float, Unit("Ohm")]
    """Wire resistance from one cell to the next."""
    driver_resistance: Annotated[float, Unit("Ohm")]

    def __post_init__(self) -> None:
        for name in ("rows", "outputs_per_adc"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"`{name}` must be at least 1, but is {getattr(self, name)}.")
        for name in ("cell_wire_resistance", "driver_resistance"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, but is {getattr(self, name)}.")


@dataclass(frozen=True)
class RowTiles:
    """A matrix cut into as few tiles of at most `tile_rows` of its `rows` as hold it.

    Tiles share the rows evenly: shorter columns lose less voltage and need smaller ranges.
    """

    rows: int
    tile_rows: int

    @property
    def tiles(self) -> int:
        """Number of tiles that share an output."""
        return -(-self.rows // self.tile_rows)

    @property
    def height(self) -> int:
        """Rows of every tile but the last, which may have fewer."""
        return -(-self.rows // self.tiles)

    def shapes(self, outputs: int) -> tuple[TileShape, ...]:
        """Return the tiles of a matrix with this many outputs."""
        starts = range(0, self.rows, self.height)
        return tuple(
            TileShape(rows=min(self.height, self.rows - s), outputs=outputs) for s in starts
        )

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
        tiles, height, _ = weights.shape
        x = F.pad(x, (0, tiles * height - self.rows)) if self.rows % height else x
        return torch.bmm(x.view(len(x), tiles, height).transpose(0, 1), weights)


@dataclass(frozen=True, kw_only=True)
class TiledCells:
    """What the cells of a layer do, in units of the layer's output at full drive."""

    tiles: RowTiles
    mean: Float[Tensor, "rows outputs"]
    variance: Float[Tensor, "rows outputs"]
    noise: Float[Tensor, "rows outputs"]
    """Noise conductance; multiplies `code_noise`."""
    code_noise: Float[Tensor, " codes"]
    """h of every DAC code, at the read voltage."""


def tile_cells(
    cells: ProgrammedCells, tile_rows: int, read: Reading, temperature: float, scale: float
) -> TiledCells:
    """Return programmed cells in units of the layer's output.

    Args:
        cells: conductances (rows, outputs).
        tile_rows: rows of a full tile.
        read: voltage, window and input bits.
        temperature: of the read noise, in kelvin.
        scale: output units per siemens and unit drive.
    """
    return TiledCells(
        tiles=RowTiles(len(cells.mean), tile_rows),
        mean=cells.mean * scale,
        variance=(cells.deviation * scale).square(),
        # Siemens are small: the scale goes to the conductance, so that float32 holds both factors.
        noise=cells.noise_conductance * scale,
        code_noise=code_noise(read, temperature) * scale,
    )


def code_noise(read: Reading, temperature: float) -> Float[Tensor, " codes"]:
    """Return h of every DAC code: variance of the mean current of one siemens over V², in S.

    h(x) = S_I(xV) / (2 T_r V²). The row of code zero is disconnected by its access transistors:
    it conducts neither signal nor noise.
    """
    siemens = torch.ones((), dtype=torch.float64)
    voltages = torch.linspace(0, read.voltage, 2**read.input_bits, dtype=torch.float64)
    variances = [
        transport.mean_current_variance(siemens, v, temperature, read.window)
        for v in voltages.tolist()
    ]
    return torch.stack([torch.zeros_like(siemens), *variances[1:]]) / read.voltage**2


@dataclass(frozen=True, kw_only=True)
class TileWeights:
    """`TiledCells` laid out for a fast product, in one precision."""

    mean: Tensor
    variance: Tensor
    noise_rows: Tensor
    """One column: the row factor of the noise conductance."""
    noise_columns: Float[Tensor, "tiles outputs"]
    """Its column factor."""
    code_noise: Float[Tensor, " codes"]


def lay_out(cells: TiledCells, layout: Layout, dtype: torch.dtype = torch.float32) -> TileWeights:
    """Return cells as the weights of a product."""
    rows, columns = noise_factors(cells.noise, cells.tiles.height)
    return TileWeights(
        mean=layout(cells.mean).to(dtype),
        variance=layout(cells.variance).to(dtype),
        noise_rows=layout(rows[:, None]).to(dtype),
        noise_columns=columns.to(dtype),
        code_noise=cells.code_noise.to(dtype),
    )


def noise_factors(
    noise: Float[Tensor, "rows outputs"], height: int
) -> tuple[Float[Tensor, " rows"], Float[Tensor, "tiles outputs"]]:
    """Return r, c with N_ij ≈ r_i c_tj in tile t: the product with N's row and column sums.

    Of all products it is the likeliest where deviations are independent of row and column. A sum
    over n driven rows is off by about v/√n, with v the relative spread of single cells.
    """
    rows = noise.sum(1)
    parts = [
        part.sum(0) / part.sum().clamp_min(torch.finfo(noise.dtype).tiny)
        for part in noise.split(height)
    ]
    return rows, torch.stack(parts)


def moments(
    codes: Float[Tensor, " images *shape"], weights: TileWeights, apply: Apply
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of every output of every tile.

    Args:
        codes: DAC codes, whole numbers as floats.
        weights: the layer's cells, laid out for `apply`.
        apply: the tiles' linear map.
    """
    drive = drive_of(codes, weights)
    mean = apply(drive, weights.mean)
    variance = apply(drive.square_(), weights.variance)
    heat = _heat(codes, weights, apply)
    variance = variance if heat is None else variance.addcmul_(*heat)
    return mean, variance.clamp_min_(0.0).sqrt_()


def read_noise(
    codes: Float[Tensor, " images *shape"], weights: TileWeights, apply: Apply
) -> Tensor | None:
    """Return the standard deviation of Johnson and shot noise, or None where cells have none.

    Broadcasts against the outputs of `apply`; arguments as for `moments`.
    """
    heat = _heat(codes, weights, apply)
    return None if heat is None else heat[0].sqrt() * heat[1].sqrt()


def held_weights(weights: TileWeights, noise: Noise) -> Tensor:
    """Return weights M + S ε, laid out: what the cells hold until they are released."""
    return weights.mean + weights.variance.sqrt() * noise.normal(weights.mean)


def drive_of(codes: Tensor, weights: TileWeights) -> Tensor:
    """Return x in [0, 1] of DAC codes."""
    return codes * (1 / (len(weights.code_noise) - 1))


def _heat(codes: Tensor, weights: TileWeights, apply: Apply) -> tuple[Tensor, Tensor] | None:
    """Return two factors of the read noise's variance, or None where cells read without noise."""
    columns = weights.noise_columns
    if not bool(columns.any()):
        return None
    # Four times as fast as indexing by a tensor.
    table = weights.code_noise.index_select(0, codes.flatten().int()).view(codes.shape)
    heat = apply(table, weights.noise_rows)
    return heat, columns.view(len(columns), 1, -1, *[1] * (heat.ndim - 3))


def matrix_moments(
    codes: Float[Tensor, "images rows"], cells: TiledCells
) -> tuple[Float[Tensor, "tiles images outputs"], Float[Tensor, "tiles images outputs"]]:
    """Return `moments` of codes that meet the rows one to one, in the cells' own precision."""
    weights = lay_out(cells, cells.tiles.lay_out, cells.mean.dtype)
    return moments(codes.to(cells.mean.dtype), weights, cells.tiles.apply)


def brute_force(
    codes: Float[Tensor, "images rows"], cells: TiledCells, noise: Noise
) -> Float[Tensor, "tiles images outputs"]:
    """Return one read in which every cell of every image draws its own conductance and noise.

    The slow twin that tests `moments`: y = Σ_i x_i (M + S ε)_ij + √(h(x_i) N_ij) ε'.
    """
    drive = codes / (len(cells.code_noise) - 1)
    shape = codes.new_empty((len(codes), *cells.mean.shape))
    weight = cells.mean + cells.variance.sqrt() * noise.normal(shape)
    heat = (cells.code_noise[codes.long()][:, :, None] * cells.noise).sqrt()
    currents = drive[:, :, None] * weight + heat * noise.normal(shape)
    return torch.stack([part.sum(1) for part in currents.split(cells.tiles.height, 1)])


def read_energy(
    drive_squared: Float[Tensor, " rows"], conductance: Float[Tensor, " rows"], read: Reading
) -> float:
    """Return the joules that reads dissipate in the cells: E = Σ (x V)² G T_r.

    Args:
        drive_squared: Σ x² over all reads, for every row.
        conductance: summed conductance of all cells on each row, in siemens.
        read: voltage and window.
    """
    siemens = float(drive_squared.double() @ conductance.double())
    return siemens * read.voltage**2 * read.window
