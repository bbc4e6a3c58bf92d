"""What cells must hold so that, behind their wires, they act as they should.

A cell behind wires acts with a share r of its weight (`array.effective.attenuation`), and columns
of a pair see voltages that differ a little: with ΔG a cell's conductance difference and T what
its output gets,

    T = r ΔG + e,      so   ΔG = (T_wanted − e) / r,      σ = σ_wanted / r_σ.

r is that of cells at mid-scale; it hardly depends on what they hold, because the two columns of a
pair add up to the same load. e does, and is taken from a plan: the same weights on another chip of
the same design. One plan leaves errors of second order in e. Nothing is measured on the chip.
"""

from dataclasses import dataclass

import torch

from bayespin.array import crossbar
from bayespin.array.crossbar import ReadPoint, TiledCells
from bayespin.array.effective import attenuation
from bayespin.array.tiles import TileGrid
from bayespin.array.wires import Wires
from bayespin.cell.interface import GaussianCell, ProgrammedCells, WantedCells, ideal_cells
from bayespin.shapes import Float, Tensor

_LEAST = 1e-3
"""Share of the largest spread below which a ratio of spreads says nothing."""
_TINY = 1e-30


def expected_reach(
    cell: GaussianCell, grid: TileGrid, wires: Wires | None
) -> Float[Tensor, "rows outputs"]:
    """Return r of every cell where all cells stand at mid-scale, 1 without wires."""
    found = torch.ones(grid.rows.rows, grid.columns[-1].stop, dtype=torch.float64)
    if wires is None:
        return found
    known: dict[tuple[int, int], Tensor] = {}
    for rows in grid.rows.parts:
        for columns in grid.columns:
            shape = (rows.stop - rows.start, columns.stop - columns.start)
            if shape not in known:
                zero = torch.zeros(shape, dtype=torch.float64)
                middle = ideal_cells(WantedCells(mean=zero, sigma=zero, read_noise=0.0), cell)
                known[shape] = attenuation(middle, wires)
            found[rows, columns] = known[shape]
    return found


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Cells of another chip, programmed to `wanted`, which took `share` for their reach."""

    wanted: WantedCells
    share: Float[Tensor, "rows outputs"]
    cells: ProgrammedCells
    full_scale: float
    """Conductance that stands for w_max, S."""
    power: Float[Tensor, " rows"]
    """Mean square of every row's drive, in the unit of `ReadPoint.typical` squared."""


def corrected(plan: Plan, grid: TileGrid, point: ReadPoint) -> WantedCells:
    """Return what cells should hold, from how those of a plan act."""
    wanted, cells = plan.wanted, plan.cells
    if point.wires is None:
        return wanted
    tiled, share = crossbar.tile_cells(cells, grid, point), plan.share
    error = (tiled.mean / point.scale - share * cells.mean) / plan.full_scale
    acting = (tiled.variance.clamp_min(0) * _pulled(tiled, plan.power, point)).sqrt() / point.scale
    known = (cells.deviation > _LEAST * cells.deviation.max()) & (acting > 0)
    spread = torch.where(known, acting / cells.deviation.clamp_min(_TINY), share)
    return WantedCells(
        mean=(wanted.mean - error / share).clamp(-1, 1),
        sigma=wanted.sigma * share / spread,
        read_noise=wanted.read_noise * _louder(tiled, plan, point) / float(share.mean()),
    )


def _louder(tiled: TiledCells, plan: Plan, point: ReadPoint) -> float:
    """Return by what wires multiply the read noise of a layer's outputs, on average."""
    bare = float(plan.cells.noise_conductance.mean()) * point.scale
    return (float(tiled.noise.mean()) / bare) ** 0.5 if bare > 0 else 1.0


def _pulled(
    tiled: TiledCells, power: Float[Tensor, " rows"], point: ReadPoint
) -> Float[Tensor, "rows outputs"]:
    """Return by what an output's variance differs from that of its rows alone, on average.

    1 + Σ_f E[z_f] (E[x]·Q_f) / (E[x²]·W), the same for all rows of a tile.
    """
    assert tiled.profile is not None
    assert tiled.cross is not None
    assert point.typical is not None
    factor = torch.ones_like(tiled.variance)
    for rows in tiled.tiles.parts:
        drive = point.typical[rows]
        alone = (power[rows] @ tiled.variance[rows].clamp_min(0)).clamp_min(_TINY)
        parts = zip(tiled.profile[:, rows], tiled.cross[:, rows], strict=True)
        pull = torch.stack([(drive @ profile) * (drive @ cross) for profile, cross in parts]).sum(0)
        factor[rows] = (1 + pull / alone).clamp(_LEAST, 1 / _LEAST)
    return factor
