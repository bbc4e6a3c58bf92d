"""The probabilistic product of one layer's tiles: the moment path, and brute force as its twin.

A layer of K rows is cut into tiles of at most N rows; every tile has its own converters and its
own noise. With row drives x in [0, 1] (in units of the read voltage) the output of one column of
one tile is Gaussian, exactly, for independent Gaussian cells and amplitude-coded inputs:

    y_j ~ N( Σ_i x_i M_ij ,  Σ_i x_i² S_ij² + h(x_i) N_ij )

M, S: mean and standard deviation of a cell's conductance difference; N: its noise conductance;
h(x): variance of the Johnson and shot noise of one siemens, over the squared read voltage. A few
matrix products and one normal draw per output replace one draw per cell. Source: physics.md §8.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch

from bayespin.cell.interface import ProgrammedCells, Reading
from bayespin.events import TileShape
from bayespin.physics import transport
from bayespin.rng import Noise
from bayespin.shapes import Bool, Float, Tensor
from bayespin.units import Unit

Apply = Callable[[Tensor, Tensor], Tensor]
"""A linear map (x, weight) → y; `weight` has one row per output, as in `nn.product`."""


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


def tile_shapes(rows: int, outputs: int, tile_rows: int) -> tuple[TileShape, ...]:
    """Return the tiles that hold a matrix of `rows` × `outputs`: all full but the last."""
    return tuple(
        TileShape(rows=min(tile_rows, rows - start), outputs=outputs)
        for start in range(0, rows, tile_rows)
    )


def tile_masks(rows: int, tile_rows: int) -> Bool[Tensor, "tiles rows"]:
    """Return which rows each tile holds."""
    row = torch.arange(rows)
    return torch.stack([(row // tile_rows) == t for t in range(-(-rows // tile_rows))])


@dataclass(frozen=True, kw_only=True)
class TiledCells:
    """A layer's cells as weights of its linear map, one stack of outputs per tile.

    `mean`, `variance` and `noise` have shape (tiles · outputs, rows) or its unrolling for a
    convolution; rows that a tile does not hold are zero. Units: those of the layer's output.
    """

    mean: Tensor
    variance: Tensor
    noise: Tensor
    """Variance of the read noise at one volt-normalised siemens; multiplies h(x)."""
    code_noise: Float[Tensor, " codes"]
    """h of every DAC code, at the read voltage."""


def tile_cells(
    cells: ProgrammedCells, tile_rows: int, read: Reading, temperature: float, scale: float
) -> TiledCells:
    """Return programmed cells cut into tiles.

    Args:
        cells: conductances (rows, outputs).
        tile_rows: rows of a full tile.
        read: voltage, window and input bits.
        temperature: of the read noise, in kelvin.
        scale: output units per siemens and unit drive.
    """
    rows = len(cells.mean)
    masks = tile_masks(rows, tile_rows)

    def stack(matrix: Tensor) -> Tensor:
        return (masks[:, None, :] * matrix.T[None]).reshape(-1, rows).float()

    return TiledCells(
        mean=stack(cells.mean * scale),
        variance=stack((cells.deviation * scale).square()),
        # Siemens are small: the scale goes to the conductance, so that float32 holds both factors.
        noise=stack(cells.noise_conductance * scale),
        code_noise=(code_noise(read, temperature) * scale).float(),
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


def moments(
    codes: Float[Tensor, " images *shape"], cells: TiledCells, apply: Apply
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of every output of every tile.

    Args:
        codes: DAC codes, whole numbers as floats; axis 1 holds rows or channels.
        cells: the layer's tiles, in the shape that `apply` takes.
        apply: the layer's linear map.
    """
    drive = codes / (len(cells.code_noise) - 1)
    mean = apply(drive, cells.mean)
    # One product for both kinds of noise: their rows stand one below the other.
    power = torch.cat([drive.square(), cells.code_noise[codes.long()]], dim=1)
    variance = apply(power, torch.cat([cells.variance, cells.noise], dim=1))
    return mean, variance.clamp_min_(0.0).sqrt_()


def brute_force(
    codes: Float[Tensor, "images rows"], cells: TiledCells, noise: Noise
) -> Float[Tensor, "images outputs"]:
    """Return one read in which every cell of every image draws its own conductance and noise.

    The slow twin that tests `moments`: y = Σ_i x_i (M + S ε)_ij + √(h(x_i) N_ij) ε'.
    """
    drive = codes / (len(cells.code_noise) - 1)
    shape = codes.new_empty((len(codes), *cells.mean.shape))
    weight = cells.mean + cells.variance.sqrt() * noise.normal(shape)
    heat = (cells.code_noise[codes.long()][:, None, :] * cells.noise).sqrt()
    return (drive[:, None, :] * weight + heat * noise.normal(shape)).sum(-1)


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
