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
of a quadratic form that is left a diagonal and one smooth direction serve, or two where rows are
long (`array.effective`):

    Var y_j = Σ_i x_i² S'_ij + Σ_f z_f Σ_i x_i Q_fij,   z_f = Σ_i x_i p_fi.

Codings in time (`array.coding`) weigh a cell's fluctuation by F_n(k_i) instead of x_i², with a few
nodes n of its correlation time, and drive rows together stretch by stretch:

    Var y_j = Σ_n Σ_i F_n(k_i) S'_nij + Σ_f Σ_bd C_bd z_fb Σ_i x_id Q_fij.

"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import torch

from bayespin.array.coding import Amplitude, Coding, coded_variance
from bayespin.array.effective import EffectiveTile, effective
from bayespin.array.tiles import RowTiles, TileGrid, TileMap
from bayespin.array.wires import Wires
from bayespin.cell.interface import ProgrammedCells, Reading
from bayespin.physics import transport
from bayespin.rng import Noise
from bayespin.shapes import Float, Tensor
from bayespin.units import Unit

_LEAST = 1e-30
"""Variance where gradients are wanted and there is none, in squared units of the output."""


@dataclass(frozen=True, kw_only=True)
class ReadPoint:
    """How programmed cells are read.

    With wires, `typical` says around which drives the fast form of the variance is exact.
    """

    read: Reading
    temperature: Annotated[float, Unit("K")]
    """Of the read noise."""
    scale: float
    """Output units per siemens and unit drive."""
    wires: Wires | None = None
    typical: Float[Tensor, " rows"] | None = None
    """Mean drive of every row; all alike if not given."""
    coding: Coding | None = None
    """Of the inputs, if it is not amplitude."""


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
    input: Float[Tensor, "groups tiles height height"]
    """Y: reads of drives x take x Y x V² T_r from the drivers, S; groups do not share drivers."""
    memory: Float[Tensor, "rows outputs"]
    """Correlation time of a cell's fluctuations, s: the mean over its columns by variance."""
    profile: Float[Tensor, "features rows"] | None = None
    """p, where there are wires."""
    cross: Float[Tensor, "features rows outputs"] | None = None
    """Q, where there are wires."""
    held: "HeldForm | None" = None
    """What cells that hold a draw have of their wires, where there are any."""
    error_bound: float = 0.0
    """No mean of a cell is off by more, in S, because of how the wires were solved."""
    coding: Coding | None = None
    """Of the inputs, if it is not amplitude; then what follows is there."""
    table: Float[Tensor, "nodes codes"] | None = None
    """F_n."""
    nodes: Float[Tensor, "nodes rows outputs"] | None = None
    """Parts of `variance` by node."""
    together: Float[Tensor, "stretches stretches"] | None = None
    """C."""


@dataclass(frozen=True, kw_only=True)
class HeldForm:
    """The fast form of a variance with one direction, which one draw of the cells can have."""

    variance: Float[Tensor, "rows outputs"]
    profile: Float[Tensor, " rows"]
    cross: Float[Tensor, "rows outputs"]


def tile_cells(cells: ProgrammedCells, grid: TileGrid, point: ReadPoint) -> TiledCells:
    """Return programmed cells in units of the layer's output."""
    wired = point.wires is not None
    heat = code_noise(point.read, point.temperature, grounded=wired) * point.scale
    found = (_wired if wired else _unwired)(cells, grid, point, heat)
    coded = point.coding is not None and not isinstance(point.coding, Amplitude)
    return _coded(cells, found, point.coding) if coded else found


def _coded(cells: ProgrammedCells, tiled: TiledCells, coding: Coding) -> TiledCells:
    """Return cells under a coding in time.

    A cell's share of a node is that of its own τ; behind wires, C is that of the mean τ.
    """
    law, power = coded_variance(cells, coding), cells.deviation.double().square()
    shares = law.weights / power.clamp_min(torch.finfo(power.dtype).tiny)
    total = power.sum().clamp_min(torch.finfo(power.dtype).tiny)
    time = float((tiled.memory.double() * power).sum() / total)
    return replace(
        tiled,
        code_noise=coding.read_noise(tiled.code_noise),
        coding=coding,
        table=law.table,
        nodes=shares.to(tiled.variance) * tiled.variance,
        together=coding.together(time),
    )


def _unwired(cells: ProgrammedCells, grid: TileGrid, point: ReadPoint, heat: Tensor) -> TiledCells:
    """Return cells that all see their full voltage."""
    scale, tiles = point.scale, grid.rows
    groups = cells.total_conductance.unflatten(1, (grid.groups, -1)).sum(2)
    load = tiles.lay_out(groups).movedim(2, 0)
    return TiledCells(
        tiles=tiles,
        mean=cells.mean * scale,
        variance=(cells.deviation * scale).square(),
        # Siemens are small: the scale goes to the conductance, so that float32 holds both factors.
        noise=cells.noise_conductance * scale,
        code_noise=heat,
        input=torch.diag_embed(load),
        memory=_memory(cells),
    )


def _wired(cells: ProgrammedCells, grid: TileGrid, point: ReadPoint, heat: Tensor) -> TiledCells:
    """Return the cells behind their wires, tile by tile."""
    tiles, scale = grid.rows, point.scale
    solved = _solved(cells, grid, point, heat)
    count = max(len(found.cross) for *_, found in solved)
    mean, noise, variance, *one = (torch.zeros_like(cells.mean).double() for _ in range(5))
    cross = torch.zeros(count, *mean.shape, dtype=torch.float64)
    profile = torch.zeros(count, tiles.rows, dtype=torch.float64)
    held = HeldForm(variance=one[0], cross=one[1], profile=torch.zeros_like(profile[0]))
    power = torch.zeros(grid.groups, tiles.tiles, tiles.height, tiles.height, dtype=torch.float64)
    for t, columns, found in solved:
        rows = tiles.parts[t]
        mean[rows, columns] = found.mean * scale
        variance[rows, columns] = found.square * scale**2
        cross[:, rows, columns] = found.cross * scale**2
        noise[rows, columns] = found.noise * scale
        held.variance[rows, columns] = found.one.square * scale**2
        held.cross[rows, columns] = found.one.cross[0] * scale**2
        # Of the drives alone: all columns have the same.
        profile[:, rows], held.profile[rows] = found.profile.T, found.one.profile[:, 0]
        height = rows.stop - rows.start
        power[columns.start // grid.group_width, t, :height, :height] += found.row_input
    bound = max(found.error_bound for *_, found in solved)
    return TiledCells(
        tiles=tiles, mean=mean, variance=variance, noise=noise, code_noise=heat, input=power,
        profile=profile, cross=cross, held=held, memory=_memory(cells), error_bound=bound,
    )  # fmt: skip


def _solved(
    cells: ProgrammedCells, grid: TileGrid, point: ReadPoint, heat: Tensor
) -> list[tuple[int, slice, EffectiveTile]]:
    """Return every tile's operator, with its part of the rows and its columns.

    How many directions the variance has is a matter of the wires: as many as the largest tile
    needs where all its cells are alike. All tiles have the same, since products share their drives.
    """
    wires, parts = point.wires, grid.rows.parts
    assert wires is not None
    largest = cells.part(parts[0], grid.columns[0])
    alike = replace(
        largest,
        conductance=_averaged(largest.conductance),
        spread=_averaged(largest.spread.square()).sqrt(),
    )
    features = len(effective(alike, wires, features=None).cross)
    found = []
    for t, rows in enumerate(parts):
        typical = None if point.typical is None else point.typical[rows]
        for columns in grid.columns:
            part = cells.part(rows, columns)
            found.append((t, columns, effective(part, wires, typical, features, heat)))
    return found


def _averaged(columns: Float[Tensor, "columns rows outputs"]) -> Tensor:
    return columns.mean((1, 2), keepdim=True).expand_as(columns).contiguous()


def _memory(cells: ProgrammedCells) -> Float[Tensor, "rows outputs"]:
    power = (cells.gains[:, None, None] * cells.spread).square()
    total = power.sum(0).clamp_min(torch.finfo(power.dtype).tiny)
    return (power * cells.correlation_time).sum(0) / total


def code_noise(
    read: Reading, temperature: float, *, grounded: bool = False
) -> Float[Tensor, " codes"]:
    """Return h of every DAC code: variance of the mean current of one siemens over V², in S.

    h(x) = S_I(xV) / (2 T_r V²). The row of code zero is disconnected by its access transistors:
    it conducts neither signal nor noise. Behind wires such rows are `grounded` instead, held at
    0 V so that one linear network serves all inputs; then they add their Johnson noise.
    """
    siemens = torch.ones((), dtype=torch.float64)
    voltages = torch.linspace(0, read.voltage, 2**read.input_bits, dtype=torch.float64)
    variances = transport.mean_current_variance(siemens, voltages, temperature, read.window)
    if not grounded:
        variances[0] = 0
    return variances / read.voltage**2


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
    profile: Tensor | None
    """One column for each direction, where there are wires."""
    cross: Tensor | None
    pull: Tensor | None
    """b of `held_pull`."""
    held_profile: Tensor | None = None
    """One column, where cells that hold a draw have another than the first of `profile`."""
    held_variance: Tensor | None = None
    """And another variance."""
    table: Float[Tensor, "nodes codes"] | None = None
    nodes: Tensor | None = None
    """Variance by node, one after another, where there is a coding in time."""
    together: Float[Tensor, "stretches stretches"] | None = None


def lay_out(cells: TiledCells, tiling: TileMap, dtype: torch.dtype = torch.float32) -> TileWeights:
    """Return cells as the weights of a product."""
    rows, columns = noise_factors(cells.noise, cells.tiles)

    def laid(matrix: Tensor) -> Tensor:
        return tiling.lay_out(matrix).to(dtype)

    held = cells.held
    more = held is not None and cells.profile is not None and len(cells.profile) > 1
    return TileWeights(
        mean=laid(cells.mean),
        variance=laid(cells.variance),
        noise_rows=laid(rows[:, None]),
        noise_columns=columns.to(dtype),
        code_noise=cells.code_noise.to(dtype),
        profile=_laid(cells.profile, lambda row: laid(row[:, None])),
        cross=_laid(cells.cross, laid),
        pull=None if held is None else laid(held_pull(held, cells.tiles)),
        held_profile=laid(held.profile[:, None]) if held is not None and more else None,
        held_variance=laid(held.variance) if held is not None and more else None,
        table=None if cells.table is None else cells.table.to(dtype),
        nodes=_laid(cells.nodes, laid),
        together=None if cells.together is None else cells.together.to(dtype),
    )


def _laid(parts: Tensor | None, laid: Callable[[Tensor], Tensor]) -> Tensor | None:
    return None if parts is None else torch.stack([laid(part) for part in parts])


def held_pull(held: HeldForm, tiles: RowTiles) -> Float[Tensor, "rows outputs"]:
    """Return b, with which weights a_i ε_i − p_i Σ_k b_k ε_k have the variance of the cells.

    a_i² = S'_i²; then x K x = Σ x² a² + z Σ x (−2 a b + p Σ b²), so b = (p s − Q) / (2 a) with
    s = Σ b² the smaller root of s = Σ (p s − Q)² / (4 a²).
    """
    found = []
    for rows in tiles.parts:
        p, q, variance = held.profile[rows, None], held.cross[rows], held.variance[rows]
        weight = torch.where(variance > 0, 0.25 / variance, 0.0)
        square, linear = (p.square() * weight).sum(0), 2 * (p * q * weight).sum(0) + 1
        constant = (q.square() * weight).sum(0)
        root = (linear.square() - 4 * square * constant).clamp_min(0).sqrt()
        found.append((p * (2 * constant / (linear + root)) - q) * weight.sqrt())
    return torch.cat(found)


def noise_factors(
    noise: Float[Tensor, "rows outputs"], tiles: RowTiles
) -> tuple[Float[Tensor, " rows"], Float[Tensor, "tiles outputs"]]:
    """Return r, c with N_ij ≈ r_i c_tj in tile t: the product with N's row and column sums.

    Of all products it is the likeliest where deviations are independent of row and column. A sum
    over n driven rows is off by about v/√n, with v the relative spread of single cells.
    """
    parts = [
        part.sum(0) / part.sum().clamp_min(torch.finfo(noise.dtype).tiny)
        for part in (noise[rows] for rows in tiles.parts)
    ]
    return noise.sum(1), torch.stack(parts)


def moments(
    codes: Float[Tensor, " images *shape"],
    weights: TileWeights,
    tiling: TileMap,
    coding: Coding | None = None,
) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of every output of every tile.

    Codes and weights may need gradients; those of bits through the wires' smooth part are left out.

    Args:
        codes: DAC codes, whole numbers as floats.
        weights: the layer's cells, laid out by `tiling`.
        tiling: the tiles' linear map.
        coding: of the inputs, where the weights are made for one in time.
    """
    drive = drive_of(codes, weights)
    mean = tiling.apply(drive, weights.mean)
    if coding is not None and weights.nodes is not None:
        variance = _coded_variance(codes, weights, tiling, coding)
    else:
        variance = _variance(drive, weights, tiling, kept=mean.requires_grad)
    heat = _heat(codes, weights, tiling)
    variance = variance if heat is None else variance.addcmul_(*heat)
    return mean, variance.clamp_min_(_floor(variance)).sqrt_()


def _variance(drive: Tensor, weights: TileWeights, tiling: TileMap, *, kept: bool) -> Tensor:
    """Return the fluctuations under amplitudes; the drive is overwritten if it is not `kept`."""
    pull = None
    if weights.profile is not None and weights.cross is not None:
        for profile, cross in zip(weights.profile, weights.cross, strict=True):
            part = tiling.apply(drive, cross).mul_(tiling.apply(drive, profile))
            pull = part if pull is None else pull.add_(part)
    square = drive.square() if kept else drive.square_()  # a gradient needs the drive again
    variance = tiling.apply(square, weights.variance)
    return variance if pull is None else variance.add_(pull)


def _coded_variance(codes: Tensor, weights: TileWeights, tiling: TileMap, coding: Coding) -> Tensor:
    """Return the fluctuations under a coding in time."""
    assert weights.table is not None
    assert weights.nodes is not None
    parts = zip(weights.table, weights.nodes, strict=True)
    variance = sum(tiling.apply(_entries(table, codes), node) for table, node in parts)
    assert isinstance(variance, Tensor)
    if weights.profile is None or weights.cross is None:
        return variance
    assert weights.together is not None
    drives = coding.stretches(codes)
    for profile, cross in zip(weights.profile, weights.cross, strict=True):
        z = torch.stack([tiling.apply(drive, profile) for drive in drives])
        for drive, shares in zip(drives, weights.together, strict=True):
            total = torch.tensordot(shares, z, 1)
            variance = variance + total * tiling.apply(drive, cross)
    return variance


def read_noise(
    codes: Float[Tensor, " images *shape"], weights: TileWeights, tiling: TileMap
) -> Tensor | None:
    """Return the standard deviation of Johnson and shot noise, or None where cells have none.

    Broadcasts against the outputs; arguments as for `moments`.
    """
    heat = _heat(codes, weights, tiling)
    if heat is None:
        return None
    rows, columns = heat
    return rows.clamp_min(_floor(rows)).sqrt() * columns.sqrt()


def held_weights(weights: TileWeights, noise: Noise, tiling: TileMap) -> Tensor:
    """Return weights M + S ε, laid out: what the cells hold until they are released.

    With wires a cell's draw also moves what the other rows of its column contribute.
    """
    draws = noise.normal(weights.mean)
    variance, profile = weights.held_variance, weights.held_profile
    variance = weights.variance if variance is None else variance
    spread = variance.clamp_min(_floor(variance)).sqrt()
    held = torch.addcmul(weights.mean, spread, draws)
    if weights.profile is None or weights.pull is None:
        return held
    profile = weights.profile[0] if profile is None else profile
    return held.sub_(tiling.outer(profile, draws * weights.pull))


def _floor(variance: Tensor) -> float:
    """Return the least variance: the root has no slope at zero."""
    return _LEAST if variance.requires_grad else 0.0


def drive_of(codes: Tensor, weights: TileWeights) -> Tensor:
    """Return x in [0, 1] of DAC codes."""
    return codes * (1 / (len(weights.code_noise) - 1))


def _heat(codes: Tensor, weights: TileWeights, tiling: TileMap) -> tuple[Tensor, Tensor] | None:
    """Return two factors of the read noise's variance, or None where cells read without noise."""
    columns = weights.noise_columns
    if not bool(columns.any()):
        return None
    heat = tiling.apply(_entries(weights.code_noise, codes), weights.noise_rows)
    return heat, columns.view(len(columns), 1, -1, *[1] * (heat.ndim - 3))


def _entries(table: Float[Tensor, " codes"], codes: Tensor) -> Tensor:
    """Return a table's value at every code, with its slope where gradients are wanted."""
    # Four times as fast as indexing by a tensor.
    places = codes.detach().flatten().int()
    found = table.index_select(0, places).view(codes.shape)
    if codes.requires_grad:
        slope = table.diff(append=table[-1:])
        rise = slope.index_select(0, places).view(codes.shape)
        found = found + rise * (codes - codes.detach())
    return found


def matrix_moments(
    codes: Float[Tensor, "images rows"], cells: TiledCells
) -> tuple[Float[Tensor, "tiles images outputs"], Float[Tensor, "tiles images outputs"]]:
    """Return `moments` of codes that meet the rows one to one, in the cells' own precision."""
    weights = lay_out(cells, cells.tiles, cells.mean.dtype)
    return moments(codes.to(cells.mean.dtype), weights, cells.tiles, cells.coding)


def brute_force(
    codes: Float[Tensor, "images rows"], cells: TiledCells, noise: Noise
) -> Float[Tensor, "tiles images outputs"]:
    """Return one read in which every cell of every image draws its own conductance and noise.

    The slow twin that tests `moments`: y = Σ_i x_i (M + S ε)_ij + √(h(x_i) N_ij) ε'.
    """
    drive = codes / (len(cells.code_noise) - 1)
    shape = codes.new_empty((len(codes), *cells.mean.shape))
    weight = torch.addcmul(cells.mean, cells.variance.sqrt(), noise.normal(shape))
    currents = weight.mul_(drive[:, :, None])
    if bool(cells.noise.any()):
        heat = (cells.code_noise[codes.long()][:, :, None] * cells.noise).sqrt_()
        currents = currents.addcmul_(heat, noise.normal(shape))
    return torch.stack([part.sum(1) for part in currents.split(cells.tiles.height, 1)])


def read_energy(
    moments: Float[Tensor, "tiles height height"],
    load: Float[Tensor, "tiles height height"],
    read: Reading,
) -> float:
    """Return the joules that reads take from the drivers: E = Σ x Y x V² T_r.

    They go into the cells, and into the wires and drivers where these have a resistance.

    Args:
        moments: Σ x xᵀ over all reads, for the rows of every tile.
        load: Y of every tile, S; without wires the diagonal of summed conductances.
        read: voltage and window.
    """
    siemens = float((moments.double() * load.double()).sum())
    return siemens * read.voltage**2 * read.window
