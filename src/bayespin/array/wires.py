"""Currents of one tile behind real wires: the linear resistive network, solved exactly.

Rows run past the physical columns, each from a driver (or one at either end); columns run past the
rows to an integrator that holds its input at zero volts. Every cell's pitch adds a segment of row
and one of column; the last segments lead to the terminals. With G cells, V drives, U and W the
potentials of row and column nodes, r and c one segment of row and column:

    (U_{i,l−1} − U_il)/r − (U_il − U_{i,l+1})/r = G_il (U_il − W_il) = J_il,     U_{i,−1} = V_i,
    W_il = Σ_k R_ik J_kl,   R_ik = R_sense + c (rows − max(i, k)),     I_l = Σ_i J_il = Σ_i V_i T_il

Block elimination. A column takes J_l = S_l U_l with S = √G (1 + √G R √G)⁻¹ √G. Seen from its left,
all that lies to the right of segment l is the admittance Y_l, and with Z = r Y

    A_l = (1 + Z_l)⁻¹,     Z_{l−1} = r S_{l−1} + 1 − A_l,     U_l = A_l U_{l−1}:

one inverse of size rows × rows for each column. No step divides by a resistance of the wires, so
each may be zero. Reciprocity gives the adjoint potentials from the same blocks. Sources: nodal
analysis, Ho, Ruehli and Brennan, doi:10.1109/TCS.1975.1084079; reciprocity, Director and Rohrer,
doi:10.1109/TCT.1969.1082971.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import torch

from bayespin.shapes import Float, Tensor
from bayespin.units import Unit

LARGEST_RATIO = 1e3
"""Of driver to segment resistance, up to which 1 − A is precise enough for the driver's node."""


class ColumnOrder(StrEnum):
    """Where the physical columns of an output lie."""

    INTERLEAVED = "interleaved"
    """Those of one output side by side."""
    SEPARATE = "separate"
    """One array: all first columns, then all second ones, and so on."""
    APART = "apart"
    """An array of its own for the first columns, another for the second ones, and so on."""


@dataclass(frozen=True, kw_only=True)
class Wires:
    """Resistances between the drivers and the integrators of a tile.

    Raises:
        ValueError: a resistance that is negative or not finite.
    """

    row_resistance: Annotated[float, Unit("Ohm")]
    """One segment of a row, from a physical column to the next."""
    column_resistance: Annotated[float, Unit("Ohm")]
    """One segment of a column, from a row to the next."""
    driver_resistance: Annotated[float, Unit("Ohm")] = 0.0
    """Output resistance of a row driver."""
    sense_resistance: Annotated[float, Unit("Ohm")] = 0.0
    """Input resistance of an integrator."""
    access_resistance: Annotated[float, Unit("Ohm")] = 0.0
    """In series with every cell."""
    both_sides: bool = False
    """A driver at either end of every row."""
    order: ColumnOrder = ColumnOrder.INTERLEAVED

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if name.endswith("_resistance") and not 0 <= value < float("inf"):
                raise ValueError(
                    f"`{name}` must be finite and not negative, but is {value} Ohm; "
                    f"use 0 for a perfect conductor."
                )

    @property
    def terminal_resistance(self) -> float:
        """From the voltage of a driver to the first cell of its row."""
        return self.driver_resistance + self.row_resistance

    def in_series(self, conductance: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the conductance of cells with their access devices, G / (1 + G R)."""
        return conductance / (1 + conductance * self.access_resistance)

    def column_paths(self, rows: int) -> Float[Tensor, "rows rows"]:
        """Return R: the resistance that the ways from two rows to the integrator share."""
        row = torch.arange(rows, dtype=torch.float64)
        return self.sense_resistance + self.column_resistance * (
            rows - torch.maximum(row[:, None], row)
        )


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """The eliminated network, column by column."""

    conductance: Float[Tensor, "columns rows"]
    """G with access devices, S."""
    schur: Float[Tensor, "columns rows rows"]
    """S_l: currents into a column, for the potentials of its row nodes."""
    onward: Float[Tensor, "columns rows rows"]
    """A_l; the potentials at the first column for A_0, if V − U_0 fell over r alone."""
    far: Float[Tensor, "columns rows rows"] | None
    """r B_l, for a driver at the far end as well: current into l's left is Y_l U_l − B_l V."""
    entry: Float[Tensor, "rows rows"]
    """(1 + r_0 Y_0)⁻¹ with r_0 the resistance to the driver."""
    entry_source: float | Float[Tensor, "rows rows"]
    """r_0 B_0."""
    paths: Float[Tensor, "rows rows"]
    """R."""


def eliminate(conductance: Float[Tensor, "rows columns"], wires: Wires) -> Blocks:
    """Return the blocks of the network, from the far end of the rows to the drivers."""
    g = wires.in_series(conductance.double()).T.contiguous()
    paths = wires.column_paths(g.shape[1])
    schur = _column_blocks(g, paths)
    if wires.row_resistance == 0:
        one = torch.eye(len(paths), dtype=g.dtype)
        source = float(wires.both_sides)
        loaded = wires.terminal_resistance * schur.sum(0) + one * (1 + source)
        return Blocks(
            conductance=g,
            schur=schur,
            onward=one.expand_as(schur),
            far=None,
            entry=_inverse(loaded),
            entry_source=one * source,
            paths=paths,
        )
    return _rows_eliminated(g, paths, schur, wires)


def _column_blocks(g: Tensor, paths: Tensor) -> Tensor:
    # S_l of every column; √G instead of 1/G, so that a cell may be open.
    if not bool(paths.any()):
        return torch.diag_embed(g)
    root = g.sqrt()
    inner = (root[:, :, None] * paths).mul_(root[:, None])
    inner.diagonal(dim1=1, dim2=2).add_(1)
    return _inverse(inner).mul_(root[:, :, None]).mul_(root[:, None])


def _rows_eliminated(g: Tensor, paths: Tensor, schur: Tensor, wires: Wires) -> Blocks:
    r, terminal = wires.row_resistance, wires.terminal_resistance
    one = torch.eye(len(paths), dtype=g.dtype)
    onward = torch.empty_like(schur)
    far = torch.empty_like(schur) if wires.both_sides else None
    load = source = one * (r / terminal if wires.both_sides else 0.0)
    z = load
    for k in range(len(schur) - 1, -1, -1):
        z = torch.add(load, schur[k], alpha=r)
        onward[k] = a = _inverse(z + one)
        load = a @ z if terminal > LARGEST_RATIO * r else one - a
        if far is not None:
            far[k] = source
            source = a @ source
    ratio = terminal / r
    return Blocks(
        conductance=g,
        schur=schur,
        onward=onward,
        far=far,
        entry=_inverse(z * ratio + one),
        entry_source=one * 0 if far is None else far[0] * ratio,
        paths=paths,
    )


def _inverse(matrix: Tensor) -> Tensor:
    # Symmetric and positive: every block is 1 plus such a matrix.
    return torch.cholesky_inverse(torch.linalg.cholesky_ex(matrix)[0])


def row_potentials(blocks: Blocks) -> Float[Tensor, "columns rows rows"]:
    """Return U: of every row node, for one volt on each row in turn (last axis)."""
    one = torch.eye(len(blocks.entry), dtype=blocks.entry.dtype)
    found = torch.empty_like(blocks.schur)
    found[0] = blocks.entry @ (one + blocks.entry_source)
    for k in range(1, len(found)):
        before = found[k - 1] if blocks.far is None else found[k - 1] + blocks.far[k]
        torch.mm(blocks.onward[k], before, out=found[k])
    return found


@dataclass(frozen=True, kw_only=True)
class Solved:
    """A tile's network, solved."""

    wires: Wires
    blocks: Blocks
    potentials: Float[Tensor, "columns rows rows"]
    """U_l: of every row node, for one volt on each row in turn."""
    transfer: Float[Tensor, "rows columns"]
    """T: I_l = Σ_i V_i T_il, S."""
    error_bound: Float[Tensor, " rows"]
    """No error of a row's transfer is larger, nor is their sum over the columns, S."""

    def cell_voltages(self) -> Float[Tensor, "columns rows rows"]:
        """Return U − W across every cell and its access device, for one volt on each row."""
        return _drops(self.blocks) @ self.potentials

    def adjoint_voltages(
        self, weights: Float[Tensor, "columns outputs"]
    ) -> Float[Tensor, "columns rows outputs"]:
        """Return ψ of every cell: what one ampere beside it adds to Σ_l weight_l I_l.

        By reciprocity W − U for `weights` volts on the integrators and none on the drivers:
        ∂(Σ_l weight_l I_l)/∂G_ik = (U − W)_ik ψ_ik.
        """
        b, w = self.blocks, self.wires
        sources = b.schur.sum(1)[:, :, None] * weights.double()[:, None, :]
        r, terminal = w.row_resistance, w.terminal_resistance
        for k in range(len(sources) - 2, -1, -1):
            sources[k] += b.onward[k + 1] @ sources[k + 1]
        found = torch.empty_like(sources)
        found[0] = b.entry @ (sources[0] * terminal)
        for k in range(1, len(found)):
            torch.mm(b.onward[k], found[k - 1] + r * sources[k], out=found[k])
        return _drops(b) @ (weights.double()[:, None, :] - found)

    def row_input(self) -> Float[Tensor, "rows rows"]:
        """Return Y with I_i = Σ_k Y_ik V_k drawn from drivers: x Y x is all the power over V²."""
        both = torch.bmm(self.blocks.schur, self.potentials).sum(0)
        return (both + both.T) / 2


def _drops(blocks: Blocks) -> Tensor:
    # 1 − R S_l: voltages across the cells of a column, for the potentials of its row nodes.
    drops = -(blocks.paths @ blocks.schur)
    drops.diagonal(dim1=1, dim2=2).add_(1)
    return drops


def solve(conductance: Float[Tensor, "rows columns"], wires: Wires) -> Solved:
    """Return the exact currents of a tile, in float64.

    Args:
        conductance: of every cell without its access device, S, columns in their physical order.
        wires: resistances.

    Raises:
        ValueError: a conductance that is negative or not finite, or no cell.
    """
    if conductance.numel() == 0 or not bool(((conductance >= 0) & conductance.isfinite()).all()):
        raise ValueError(
            "Argument `conductance` must hold at least one cell and no negative, infinite or "
            "missing value, but does not; program the cells before wires are solved."
        )
    blocks = eliminate(conductance, wires)
    potentials = row_potentials(blocks)
    currents = torch.bmm(blocks.schur, potentials)
    return Solved(
        wires=wires,
        blocks=blocks,
        potentials=potentials,
        transfer=currents.sum(1).T.contiguous(),
        error_bound=current_error(blocks, wires, potentials, currents),
    )


def current_error(
    blocks: Blocks, wires: Wires, potentials: Tensor, currents: Tensor
) -> Float[Tensor, " rows"]:
    """Return a bound on the sum over columns of |ΔI| of given potentials and cell currents.

    A current that is missing at a node, or beside a cell, changes the integrators' currents by at
    most itself times a potential between 0 and 1 (maximum principle): for all integrators
    together that of the node with one volt on each of them, which is 1 − Σ_i U. So

        Σ_l |ΔI_l| ≤ Σ_nodes |Kirchhoff residual| (1 − Σ_i U) + Σ_cells |J − G (U − W)|

    plus what rounding may hide in the residuals themselves.

    Args:
        blocks: of the network; only conductances and paths are used.
        wires: resistances.
        potentials: U_l (columns, rows, drives).
        currents: J_l (columns, rows, drives).
    """
    columns, rows, _ = potentials.shape
    cells = potentials.new_zeros(rows)
    nodes, plain = cells.clone(), cells.clone()
    rounding = rows * torch.finfo(potentials.dtype).eps
    for k, (u, j) in enumerate(zip(potentials, currents, strict=True)):
        g = blocks.conductance[k]
        hidden = rounding * (1 + float(g @ blocks.paths.diagonal()))
        cells += (j - g[:, None] * (u - blocks.paths @ j)).abs_().sum(0)
        cells += hidden * j.abs().sum(0)
    height = (1 - potentials.sum(2)).abs_()
    for k, residual in _node_residuals(potentials, currents, wires):
        nodes += height[k] @ residual
        plain += residual.sum(0)
    way = wires.terminal_resistance + columns * wires.row_resistance
    return cells + nodes + plain * (way * (cells + plain).sum())


def _node_residuals(
    potentials: Tensor, currents: Tensor, wires: Wires
) -> Iterator[tuple[int, Tensor]]:
    # |Kirchhoff residuals| of each column's row nodes, and what rounding hides in them.
    r, terminal = wires.row_resistance, wires.terminal_resistance
    one = torch.eye(potentials.shape[1], dtype=potentials.dtype)
    if terminal == 0:
        return
    share = 4 * torch.finfo(potentials.dtype).eps
    first = (one - potentials[0]) / terminal
    last = (potentials[-1] - one) / terminal if wires.both_sides else 0 * one
    if r == 0:
        whole = currents.sum(0)
        yield 0, (first - last - whole).abs_() + share * len(currents) * whole.abs()
        return
    inward = first
    for k, j in enumerate(currents):
        outward = (potentials[k] - potentials[k + 1]) / r if k + 1 < len(currents) else last
        residual = (inward - outward).sub_(j).abs_()
        yield k, residual.add_(inward.abs().add_(outward.abs()), alpha=share)
        inward = outward
