"""What the cells of one tile do behind its wires: the operator that a fast product applies.

With drives x (in units of the read voltage), φ the voltage across a cell and ψ its adjoint voltage
for an output, both linear (`array.wires`), and independent fluctuations of variance σ²,

    mean = x T,     Var = Σ_cells (φ(x) ψ)² σ² = x K x,     K = Φᵀ diag(ψ² σ²) Φ.

Every output has its own K (rows × rows). Its diagonal is the cell that a row drives itself; the
rest is the currents of other rows, which raise the columns' potential and lower the rows'. Wires
are long against a cell, so that part is smooth, and a few directions P (a typical drive; with two
features the same with a slope along the rows) are enough:

    x K x ≈ x²·W + Σ_f z_f (x·Q_f),     z_f = x·L_f,     L = pinv(P)ᵀ,

with Q so that it and its slope are exact for x in the span of P, and W so that they are exact for
every single row. z is shared by all outputs, so each feature costs one product. Source: physics.md
§8 for the variance; the form is this project's, like Nyström's (doi:10.1007/BF02547521).
"""

from dataclasses import dataclass

import torch

from bayespin.array.wires import ColumnOrder, Solved, Wires, solve
from bayespin.cell.interface import ProgrammedCells
from bayespin.shapes import Float, Int, Tensor

ONE_SIDED = 0.01
"""Relative error of a variance, with one half of the rows driven, above which two features are
taken where the number is left open."""


@dataclass(frozen=True, kw_only=True)
class FastForm:
    """The fast form of a tile's variance."""

    square: Float[Tensor, "rows outputs"]
    """W, S²."""
    profile: Float[Tensor, "rows features"]
    """L."""
    cross: Float[Tensor, "features rows outputs"]
    """Q, S²."""

    def variance(self, x: Float[Tensor, "images rows"]) -> Float[Tensor, "images outputs"]:
        """Return the outputs' variance, S²."""
        found = x.square() @ self.square
        for f, cross in enumerate(self.cross):
            found = found + (x @ self.profile[:, f])[:, None] * (x @ cross)
        return found


@dataclass(frozen=True, kw_only=True)
class EffectiveTile:
    """The outputs of one tile for drives x, in units of the read voltage; float64."""

    mean: Float[Tensor, "rows outputs"]
    """Of the output: x · mean, S."""
    form: FastForm
    """Of the variance."""
    one: FastForm
    """The same with one feature."""
    noise: Float[Tensor, "rows outputs"]
    """What multiplies h(x) of Johnson and shot noise, S."""
    row_input: Float[Tensor, "rows rows"]
    """Y: x Y x is what the drivers deliver, over V², S."""
    cell_input: Float[Tensor, "rows rows"]
    """The same for what cells and their access devices dissipate; wires and drivers the rest, S."""
    error_bound: float
    """No entry of a physical column's mean is wrong by more, S."""

    @property
    def square(self) -> Float[Tensor, "rows outputs"]:
        """W, S²."""
        return self.form.square

    @property
    def profile(self) -> Float[Tensor, "rows features"]:
        """L."""
        return self.form.profile

    @property
    def cross(self) -> Float[Tensor, "features rows outputs"]:
        """Q, S²."""
        return self.form.cross

    def variance(self, x: Float[Tensor, "images rows"]) -> Float[Tensor, "images outputs"]:
        """Return the fast form of the outputs' variance, S²."""
        return self.form.variance(x)


def physical_columns(cells: ProgrammedCells, order: ColumnOrder) -> list[Int[Tensor, " columns"]]:
    """Return for every array its columns in order, as kind · outputs + output."""
    kinds, _, outputs = cells.conductance.shape
    number = torch.arange(kinds * outputs).view(kinds, outputs)
    match order:
        case ColumnOrder.INTERLEAVED:
            return [number.T.flatten()]
        case ColumnOrder.SEPARATE:
            return [number.flatten()]
        case ColumnOrder.APART:
            return list(number)


@dataclass(frozen=True, kw_only=True)
class Fluctuations:
    """Cells of one array as sources of noise at the tile's outputs."""

    solved: Solved
    gains: Float[Tensor, "columns outputs"]
    """What a column adds to an output."""
    voltages: Float[Tensor, "columns rows rows"]
    """φ for one volt on each row."""
    response: Float[Tensor, "columns rows outputs"]
    """ψ² σ²."""
    heat: Float[Tensor, "columns rows outputs"]
    """Noise conductance of a cell as seen from an output."""

    @classmethod
    def of(
        cls, cells: ProgrammedCells, columns: Int[Tensor, " columns"], wires: Wires
    ) -> "Fluctuations":
        """Return those of the given physical columns."""
        _, rows, outputs = cells.conductance.shape
        flat = cells.conductance.double().transpose(0, 1).reshape(rows, -1)[:, columns]
        spread = cells.spread.double().transpose(0, 1).reshape(rows, -1)[:, columns]
        kind = columns // outputs
        gains = torch.zeros(len(columns), outputs, dtype=torch.float64)
        gains[torch.arange(len(columns)), columns % outputs] = cells.gains.double()[kind]
        solved = solve(flat, wires)
        adjoint = solved.adjoint_voltages(gains).square_()
        share = 1 / (1 + flat * wires.access_resistance).square()
        squares = cells.gains.double().square().clamp_min(torch.finfo(torch.float64).tiny)
        noisy = (cells.noise_gains.double() / squares)[kind]
        return cls(
            solved=solved,
            gains=gains,
            voltages=solved.cell_voltages(),
            heat=adjoint * (flat * share * noisy).T[:, :, None],
            response=adjoint * (spread * share).T.square()[:, :, None],
        )

    def variance(self, x: Float[Tensor, "images rows"]) -> Float[Tensor, "images outputs"]:
        """Return x K x of every output: the exact variance, S²."""
        voltages = self.voltages.flatten(0, 1) @ x.double().T
        return voltages.square_().T @ self.response.flatten(0, 1)

    def diagonal(self) -> Float[Tensor, "rows outputs"]:
        """Return the diagonal of every K."""
        return self.voltages.flatten(0, 1).square().T @ self.response.flatten(0, 1)

    def along(self, direction: Float[Tensor, " rows"]) -> Float[Tensor, "rows outputs"]:
        """Return K p of every output."""
        voltages = self.voltages.flatten(0, 1)
        return voltages.T @ (self.response.flatten(0, 1) * (voltages @ direction)[:, None])

    def noise(
        self, typical: Float[Tensor, " rows"], code_noise: Float[Tensor, " codes"] | None
    ) -> Float[Tensor, "rows outputs"]:
        """Return N with Σ_i h(x_i) N_i the read noise of every output at the typical drive.

        A cell's noise follows from the voltage φ that the wires leave it: h(φ) / h(x) is taken
        there, and 1 without a law. Exact there, and at all drives where h is constant.
        """
        if code_noise is None:
            return self.heat.sum(0)
        left = _between(code_noise, self.voltages @ typical)
        return torch.einsum("kio,ki->io", self.heat, left / _between(code_noise, typical))

    def dissipated(self) -> Float[Tensor, "rows rows"]:
        """Return Σ φ G φ over the cells with their access devices."""
        voltages = self.voltages.flatten(0, 1)
        return voltages.T @ (voltages * self.solved.blocks.conductance.flatten()[:, None])


def _between(table: Tensor, x: Tensor) -> Tensor:
    # Code 0 is left out: its row is off, and the law has no value there.
    place = (x * (len(table) - 1)).clamp(1, len(table) - 1)
    below = place.floor().clamp_max(len(table) - 2).clamp_min(0)
    entry = table.double()
    low, high = entry[below.long()], entry[below.long() + 1]
    return low + (high - low) * (place - below)


def exact_variance(
    cells: ProgrammedCells, wires: Wires, x: Float[Tensor, "images rows"]
) -> Float[Tensor, "images outputs"]:
    """Return the variance of every output for drives x, from every cell of the tile, S²."""
    arrays = physical_columns(cells, wires.order)
    return sum(
        (Fluctuations.of(cells, columns, wires).variance(x) for columns in arrays),
        start=torch.zeros((), dtype=torch.float64),
    )


def effective(
    cells: ProgrammedCells,
    wires: Wires,
    typical: Float[Tensor, " rows"] | None = None,
    features: int | None = 1,
    code_noise: Float[Tensor, " codes"] | None = None,
) -> EffectiveTile:
    """Return what a tile does behind its wires.

    Args:
        cells: of one tile.
        wires: resistances, and the order of the physical columns.
        typical: mean drive of every row, where the variance is to be exact; half of the read
            voltage on all rows if not given.
        features: 1 where inputs are alike along the rows of a tile, else 2 for one more product;
            None takes 2 where one of them misses `ONE_SIDED`.
        code_noise: h of every code (`crossbar.code_noise`), where the read noise is to follow the
            voltage that wires leave a cell; without it that of the row.

    Raises:
        ValueError: features other than 1 or 2, or typical drives that are negative or all zero.
    """
    rows = cells.conductance.shape[1]
    level = torch.full((rows,), 0.5, dtype=torch.float64) if typical is None else typical.double()
    if features not in (None, 1, 2):
        raise ValueError(f"Argument `features` must be 1, 2 or None, but is {features}.")
    arrays = [
        Fluctuations.of(cells, columns, wires) for columns in physical_columns(cells, wires.order)
    ]
    diagonal = torch.stack([array.diagonal() for array in arrays]).sum(0)
    one = form = _form(arrays, diagonal, _directions(level)[:, :1])
    if features == 2 or (features is None and _one_sided(arrays, one, level) > ONE_SIDED):
        form = _form(arrays, diagonal, _directions(level))
    return EffectiveTile(
        mean=torch.stack([a.solved.transfer @ a.gains for a in arrays]).sum(0),
        form=form,
        one=one,
        noise=torch.stack([a.noise(level, code_noise) for a in arrays]).sum(0),
        row_input=torch.stack([a.solved.row_input() for a in arrays]).sum(0),
        cell_input=torch.stack([a.dissipated() for a in arrays]).sum(0),
        error_bound=max(float(a.solved.error_bound.max()) for a in arrays),
    )


def _form(arrays: list[Fluctuations], diagonal: Tensor, directions: Tensor) -> FastForm:
    along = torch.stack(
        [torch.stack([array.along(p) for array in arrays]).sum(0) for p in directions.T]
    )
    profile = torch.linalg.pinv(directions).T.contiguous()
    cross = _smooth_part(along - directions.T[:, :, None] * diagonal, directions, profile)
    square = diagonal - (profile.T[:, :, None] * cross).sum(0)
    return FastForm(square=square, profile=profile, cross=cross)


def _one_sided(arrays: list[Fluctuations], form: FastForm, level: Tensor) -> float:
    """Return the largest relative error of the form where one half of the rows is driven."""
    half = torch.arange(len(level)) < len(level) / 2
    drives = torch.stack([level * half, level * ~half])
    exact = torch.stack([array.variance(drives) for array in arrays]).sum(0)
    least = torch.finfo(exact.dtype).tiny
    errors = (form.variance(drives) - exact).abs() / exact.clamp_min(least)
    return float(torch.where(exact > 0, errors, 0.0).max())


def _directions(level: Tensor) -> Tensor:
    if not (bool((level >= 0).all()) and 0 < float(level.sum()) < float("inf")):
        raise ValueError(
            "Argument `typical` must hold finite drives that are not negative and not all zero, "
            "but does not; leave it out to take all rows alike."
        )
    slope = torch.linspace(-1, 1, len(level), dtype=torch.float64) * level
    return torch.stack([level, slope], 1)


def _smooth_part(
    wanted: Float[Tensor, "features rows outputs"],
    directions: Float[Tensor, "rows features"],
    profile: Float[Tensor, "rows features"],
) -> Float[Tensor, "features rows outputs"]:
    """Return Q with which Σ_f (L_f Q_fᵀ + Q_f L_fᵀ)/2, its diagonal taken off, maps P to `wanted`.

    One linear system for all outputs, in Q/2 = a: for directions g and rows i

        Σ_f a_fi (L_f·P_g) + Σ_f L_fi (a_f·P_g) − 2 Σ_f L_fi a_fi P_gi = wanted_gi,

    by the pseudo-inverse, because with two features Q may shift without any change of the form.
    """
    features, rows, outputs = wanted.shape
    one = torch.eye(rows, dtype=wanted.dtype)
    met = torch.einsum("kf,kg->gf", profile, directions)
    system = torch.einsum("gf,ik->gifk", met, one)
    system += torch.einsum("if,kg->gifk", profile, directions)
    system -= 2 * torch.einsum("if,ig,ik->gifk", profile, directions, one)
    inverse = torch.linalg.pinv(system.reshape(features * rows, -1), rtol=1e-10)
    return (2 * inverse @ wanted.reshape(features * rows, outputs)).view_as(wanted)


def attenuation(cells: ProgrammedCells, wires: Wires) -> Float[Tensor, "rows outputs"]:
    """Return how much of every weight is left behind the wires, 1 without them.

    The current of its physical columns over what they would carry, each by its gain's size:
    Σ |a_c| T_c / Σ |a_c| G_c.
    """
    kinds, rows, outputs = cells.conductance.shape
    conductance = cells.conductance.double().transpose(0, 1).reshape(rows, -1)
    left = torch.empty_like(conductance)
    for columns in physical_columns(cells, wires.order):
        left[:, columns] = solve(conductance[:, columns], wires).transfer
    weight = cells.gains.double().abs()
    carried = torch.einsum("c,ico->io", weight, left.view(rows, kinds, outputs))
    return carried / torch.einsum("c,cio->io", weight, cells.conductance.double())
