"""Cells behind wires act as the weights they stand for, because they hold something else."""

from dataclasses import replace

import torch

from bayespin.array import crossbar
from bayespin.array.crossbar import ReadPoint
from bayespin.array.tiles import ArrayLayout
from bayespin.array.wires import Wires
from bayespin.cell.bit_cell import BitCell, without_errors
from bayespin.cell.interface import WantedCells, ideal_cells
from bayespin.nn.compensation import Plan, corrected, expected_reach
from bayespin.rng import Key, KeyedNoise

CELL = BitCell.preset()
KEY = Key.root(0).child("compensation")
ROWS, OUTPUTS = 96, 12
WIRES = Wires(row_resistance=1.0, column_resistance=4.0, driver_resistance=500.0, both_sides=True)
GRID = ArrayLayout(rows=48, outputs=6, outputs_per_adc=1).grid(ROWS, OUTPUTS)
DRIVES = torch.rand(200, ROWS, generator=KEY.child("x").generator(), dtype=torch.float64)
POINT = ReadPoint(
    read=CELL.read, temperature=320.0, scale=1 / CELL.full_scale, wires=WIRES,
    typical=DRIVES.mean(0),
)  # fmt: skip


def wanted() -> WantedCells:
    draw = KeyedNoise.from_key(KEY).normal(torch.empty(ROWS, OUTPUTS, dtype=torch.float64))
    return WantedCells(mean=0.2 * draw, sigma=0.03 + 0.02 * draw.abs(), read_noise=0.0)


def over_reach() -> tuple[WantedCells, torch.Tensor]:
    share, weights = expected_reach(CELL, GRID, WIRES), wanted()
    held = WantedCells(mean=weights.mean / share, sigma=weights.sigma / share, read_noise=0.0)
    return held, share


def acting(cells):
    """Mean and deviation of every tile for random drives: all read noise aside."""
    tiled = crossbar.tile_cells(cells, GRID, POINT)
    return crossbar.matrix_moments(255 * DRIVES, replace(tiled, noise=0 * tiled.noise))


def software():
    parts = (slice(0, 48), slice(48, 96))
    weights = wanted()
    mean = [DRIVES[:, r] @ weights.mean[r] for r in parts]
    variance = [DRIVES[:, r].square() @ weights.sigma[r].square() for r in parts]
    return torch.stack(mean), torch.stack(variance).sqrt()


def errors(cells) -> tuple[float, float]:
    """Root mean square error of the mean over σ, and of σ over σ."""
    (mean, deviation), (exact, spread) = acting(cells), software()
    apart = ((mean - exact) / spread).square().mean().sqrt()
    return float(apart), float((deviation / spread - 1).square().mean().sqrt())


def test_wires_take_a_third_and_the_reach_gives_most_of_it_back():
    plain, held = ideal_cells(wanted(), CELL), over_reach()[0]
    mean, spread = errors(plain)
    assert mean > 0.4
    assert spread > 0.1
    better = errors(ideal_cells(held, CELL))
    assert better[0] < 0.5 * mean
    assert better[1] < 0.5 * spread


def planned(made) -> tuple[tuple[float, float], tuple[float, float]]:
    """Errors before and after the correction by a plan, for cells that `made` makes."""
    held, share = over_reach()
    plan = Plan(
        wanted=held, share=share, cells=made(held), full_scale=CELL.full_scale,
        power=DRIVES.square().mean(0),
    )  # fmt: skip
    return errors(made(held)), errors(made(corrected(plan, GRID, POINT)))


def test_a_plan_leaves_errors_of_second_order():
    before, after = planned(lambda cells: ideal_cells(cells, CELL))
    assert before[0] > 0.15
    assert after[0] < 0.15 * before[0]
    assert after[1] < 0.01 < before[1]


def test_spreads_of_junctions_are_corrected_too():
    """Their means keep the rounding to sixteen levels, 0.02 of w_max, which outweighs the rest."""
    exact = without_errors(CELL)
    before, after = planned(lambda cells: exact.program(cells, 4.0, KEY).cells)
    assert after[1] < 0.02 < before[1]
    assert after[0] < 0.5


def test_without_wires_nothing_is_corrected():
    bare, weights = replace(POINT, wires=None), wanted()
    assert bool((expected_reach(CELL, GRID, None) == 1).all())
    plan = Plan(
        wanted=weights, share=torch.ones(ROWS, OUTPUTS), cells=ideal_cells(weights, CELL),
        full_scale=CELL.full_scale, power=torch.ones(ROWS),
    )  # fmt: skip
    assert corrected(plan, GRID, bare) is weights
