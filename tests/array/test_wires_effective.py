"""The operator of a tile behind its wires, against every cell: sensitivities, draws, nodes."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from bayespin.array import crossbar
from bayespin.array.coding import coding_of
from bayespin.array.crossbar import ReadPoint
from bayespin.array.effective import (
    Fluctuations,
    attenuation,
    effective,
    exact_variance,
    physical_columns,
)
from bayespin.array.tiles import ArrayLayout
from bayespin.array.wires import ColumnOrder, Wires, solve
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import ProgrammedCells, WantedCells
from bayespin.rng import InjectedNoise, Key
from tests.statistical.check import required_samples, variance_is

PRESET = Wires(row_resistance=4.0, column_resistance=4.0, driver_resistance=500.0)
LOW_OHMIC = Wires(row_resistance=1.0, column_resistance=1.0)
# Strong enough that every path shows in a few cells.
STRONG = Wires(
    row_resistance=300.0,
    column_resistance=500.0,
    driver_resistance=2e3,
    sense_resistance=100.0,
    access_resistance=1e3,
)


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=Key.root(seed).generator(), dtype=torch.float64)


@cache
def preset_cells(rows=128, outputs=32):
    wanted = WantedCells(
        mean=0.8 * (uniform(rows, outputs) - 0.5),
        sigma=0.02 + 0.06 * uniform(rows, outputs, seed=1),
        read_noise=0.012,
    )
    return BitCell.preset().program(wanted, 4.0, Key.root(0)).cells


@cache
def low_ohmic_cells(rows=128, outputs=64):
    conductance = 8e-5 + 1.2e-4 * uniform(2, rows, outputs)
    return ProgrammedCells(
        conductance=conductance,
        spread=0.03 * conductance * (0.5 + uniform(2, rows, outputs, seed=1)),
        correlation_time=torch.zeros_like(conductance),
        gains=torch.tensor([1.0, -1.0], dtype=torch.float64),
        noise_gains=torch.tensor([1.0, 0.0], dtype=torch.float64),
    )


def currents(conductance, cells, wires, x):
    """Outputs of every image, each array solved anew."""
    _, rows, outputs = conductance.shape
    flat = conductance.double().transpose(0, 1).reshape(rows, -1)
    found = torch.zeros(len(x), outputs, dtype=torch.float64)
    for columns in physical_columns(cells, wires.order):
        part = x @ solve(flat[:, columns], wires).transfer
        gains = cells.gains.double()[columns // outputs]
        found.index_add_(1, columns % outputs, part * gains)
    return found


@pytest.mark.parametrize("order", ColumnOrder)
@pytest.mark.parametrize("both", [False, True])
def test_mean_and_variance_follow_from_solving_every_changed_cell_anew(order, both):
    cells, x = preset_cells(5, 2), uniform(3, 5, seed=4)
    wires = replace(STRONG, order=order, both_sides=both)
    tile = effective(cells, wires, features=2)
    conductance = cells.conductance.double()
    torch.testing.assert_close(
        x @ tile.mean, currents(conductance, cells, wires, x), rtol=1e-11, atol=1e-20
    )
    variance = torch.zeros(3, 2, dtype=torch.float64)
    for at in zip(*cells.spread.nonzero(as_tuple=True), strict=True):
        step = torch.zeros_like(conductance)
        step[at] = 1e-4 * conductance[at]
        up, down = (currents(conductance + s * step, cells, wires, x) for s in (1, -1))
        slope = (up - down) / (2 * step[at])
        variance += (slope * cells.spread[at]).square()
    torch.testing.assert_close(exact_variance(cells, wires, x), variance, rtol=1e-6, atol=0)
    one = torch.eye(5, dtype=torch.float64)
    single = exact_variance(cells, wires, one)
    torch.testing.assert_close(tile.variance(one), single, rtol=1e-9, atol=0)


def test_draws_of_every_cell_have_the_variance():
    cells, x = low_ohmic_cells(6, 1), uniform(1, 6, seed=2)
    wires = replace(STRONG, access_resistance=0.0)
    exact = float(exact_variance(cells, wires, x))
    # A third of the variance, seen with probability 99.9 %; curvature in ΔG/G = 3 % adds 0.1 %.
    n = required_samples(sd=2**0.5, delta=0.33)
    generator = Key.root(3).generator()
    draws = torch.randn(n, *cells.conductance.shape, generator=generator, dtype=torch.float64)
    samples = [
        currents(cells.conductance + cells.spread * d, cells, wires, x).item() for d in draws
    ]
    variance_is(samples, exact, bias=0.002 * exact)
    # Planted: the voltages of the wires left out of the cells' noise.
    plain = float(x.square() @ cells.deviation.double().square())
    with pytest.raises(AssertionError, match="variance must be"):
        variance_is(samples, plain, bias=0.002 * plain)


def typical_drives(rows):
    """Codes at random, with half and nine tenths of zeros, the near, the far half, strokes."""
    codes = uniform(24, rows, seed=7)
    kept = uniform(24, rows, seed=8)
    half = torch.arange(rows) < rows // 2
    column = torch.arange(rows) % 28
    strokes = torch.stack([((column - 4 - i % 16).abs() < 2) * (i < 18 or half) for i in range(24)])
    return {
        "random": codes,
        "half": codes * (kept < 0.5),
        "sparse": codes * (kept < 0.1),
        "near": codes * half,
        "far": codes * ~half,
        "strokes": strokes.double(),
        "all": torch.ones(1, rows, dtype=torch.float64),
        "single": torch.eye(rows, dtype=torch.float64),
    }


@pytest.mark.parametrize("kind", ["preset", "low-ohmic"])
def test_the_fast_variance_is_within_two_percent_of_every_cell(kind):
    cells, wires = {
        "preset": (preset_cells(), PRESET),
        "low-ohmic": (low_ohmic_cells(), LOW_OHMIC),
    }[kind]
    tile = effective(cells, wires, features=2)
    drives = typical_drives(128)
    exact = exact_variance(cells, wires, torch.cat(list(drives.values())))
    for name, x in drives.items():
        now, exact = exact[: len(x)], exact[len(x) :]
        error = float((tile.variance(x) / now - 1).abs().max())
        assert error < (1e-9 if name in ("all", "single") else 0.02), name
        # The fault it is there for: the attenuation of one drive applied to all.
        fixed = x.square() @ (tile.variance(drives["all"]) * cells.deviation.double().square())
        fixed /= cells.deviation.double().square().sum(0)
        if name == "near":
            assert float((fixed / now - 1).abs().max()) > 0.05


def test_one_feature_is_exact_for_its_typical_drive_and_for_single_rows():
    cells, level = low_ohmic_cells(64, 16), 0.1 + uniform(64, seed=9)
    tile = effective(cells, LOW_OHMIC, level)
    assert len(tile.cross) == 1
    x = torch.cat([0.3 * level[None], torch.eye(64, dtype=torch.float64)])
    exact = exact_variance(cells, LOW_OHMIC, x)
    torch.testing.assert_close(tile.variance(x), exact, rtol=1e-9, atol=0)


def test_one_feature_suffices_where_drives_are_as_stated():
    cells, wires = low_ohmic_cells(64, 16), LOW_OHMIC
    x = uniform(20, 64, seed=9) * torch.linspace(0.1, 1.9, 64).double()
    exact = exact_variance(cells, wires, x)
    off, on = (
        float((effective(cells, wires, t, features=1).variance(x) / exact - 1).abs().max())
        for t in (None, x.mean(0))
    )
    assert on < 0.01
    assert off > 2 * on


def test_without_resistance_the_cells_are_left():
    cells = preset_cells(7, 3)
    for order in ColumnOrder:
        tile = effective(cells, Wires(row_resistance=0.0, column_resistance=0.0, order=order))
        for found, exact in [
            (tile.mean, cells.mean),
            (tile.square, cells.deviation.square()),
            (tile.noise, cells.noise_conductance),
            (tile.row_input, torch.diag(cells.total_conductance.sum(1))),
            (tile.cell_input, torch.diag(cells.total_conductance.sum(1))),
        ]:
            size = float(exact.abs().max())
            torch.testing.assert_close(found, exact.double(), rtol=1e-5, atol=1e-6 * size)
        assert float(tile.cross.abs().max()) < 1e-9 * float(tile.square.max())


def test_read_noise_follows_the_voltage_that_wires_leave_a_cell():
    cells = preset_cells(32, 8)

    def law(fraction):  # Johnson and shot noise at 0.1 V and 320 K, over that at no voltage
        u = 1.602176634e-19 * 0.1 * fraction / (2 * 1.380649e-23 * 320.0)
        return u / torch.tanh(u)

    h = torch.cat([torch.zeros(1), law(torch.linspace(0, 1, 256)[1:])]).double()
    level = (1 + (254 * uniform(32, seed=5)).round()) / 255
    array = Fluctuations.of(cells, physical_columns(cells, PRESET.order)[0], PRESET)
    volts = (array.voltages @ level).T

    exact = torch.einsum("kio,ik->o", array.heat, law(volts))
    codes = (255 * level).round().long()
    tile = effective(cells, PRESET, level, code_noise=h)
    torch.testing.assert_close(h[codes] @ tile.noise, exact, rtol=1e-3, atol=0)
    plain = effective(cells, PRESET, level)
    assert float((h[codes] @ plain.noise / exact).min()) > 1.02
    # Away from the typical drive: within 3 % of a noise that is itself a small part of σ².
    other = (1 + (254 * uniform(32, seed=6)).round()) / 255
    exact = torch.einsum("kio,ik->o", array.heat, law((array.voltages @ other).T))
    now = h[(255 * other).round().long()]
    half = effective(cells, PRESET, code_noise=h)
    error, fault = (float((now @ t.noise / exact - 1).abs().max()) for t in (half, plain))
    assert error < 0.03
    assert fault > 2 * error


def test_access_devices_weaken_fluctuations_by_the_square_of_their_share():
    cells = low_ohmic_cells(3, 2)
    wires = Wires(row_resistance=0.0, column_resistance=0.0, access_resistance=2e3)
    share = 1 / (1 + 2e3 * cells.conductance)
    square = (cells.spread * share.square()).square().sum(0)
    tile = effective(cells, wires)
    torch.testing.assert_close(tile.square, square, rtol=1e-12, atol=0)
    heat = (cells.conductance * share.square())[0]
    torch.testing.assert_close(tile.noise, heat, rtol=1e-12, atol=0)


@pytest.mark.parametrize("order", ColumnOrder)
def test_energy_is_the_sum_over_every_resistor(order):
    cells = preset_cells(5, 2)
    wires = replace(STRONG, order=order, both_sides=order is ColumnOrder.SEPARATE)
    x = uniform(6, 5, seed=3)
    tile = effective(cells, wires)
    flat = cells.conductance.double().transpose(0, 1).reshape(5, -1)
    burnt = wired = 0.0
    for columns in physical_columns(cells, order):
        solved = solve(flat[:, columns], wires)
        g = wires.in_series(flat[:, columns])
        for drive in x:
            rows = (solved.potentials @ drive).T
            cell = g * (solved.cell_voltages() @ drive).T
            burnt += float((cell.square() / g).sum())
            wired += in_wires(rows, cell, drive, wires)
    moments = x.T @ x
    # Tr(A C) for a second moment C: the array's term of the bill over the voltage squared.
    assert float((tile.cell_input * moments).sum()) == pytest.approx(burnt, rel=1e-9)
    assert float((tile.row_input * moments).sum()) == pytest.approx(burnt + wired, rel=1e-9)
    assert wired > 0.1 * burnt


def in_wires(rows, cell, drive, wires):
    """What segments and terminals dissipate, from row potentials and cell currents."""
    down = cell.cumsum(0)
    power = wires.column_resistance * down.square().sum()
    power += wires.sense_resistance * down[-1].square().sum()
    power += (rows.diff(dim=1).square() / wires.row_resistance).sum()
    for end in (0, -1) if wires.both_sides else (0,):
        power += ((drive - rows[:, end]).square() / wires.terminal_resistance).sum()
    return float(power)


def test_where_columns_lie_matters_and_is_as_said():
    cells = preset_cells(4, 3)
    kinds = len(cells.conductance)
    interleaved, separate, apart = (physical_columns(cells, order) for order in ColumnOrder)
    assert interleaved[0][:kinds].tolist() == [3 * kind for kind in range(kinds)]
    assert separate[0].tolist() == list(range(3 * kinds))
    assert [array.tolist() for array in apart] == [[3 * k, 3 * k + 1, 3 * k + 2] for k in range(4)]
    means = [effective(cells, replace(STRONG, order=order)).mean for order in ColumnOrder]
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert float((means[a] - means[b]).abs().max()) > 1e-3 * float(cells.mean.abs().max())


def test_attenuation_is_what_wires_leave_of_a_weight():
    cells = low_ohmic_cells(5, 3)
    left = attenuation(cells, STRONG)
    assert bool(((left > 0) & (left < 1)).all())
    sums = replace(cells, gains=torch.tensor([1.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(left, effective(sums, STRONG).mean / sums.mean, rtol=1e-11, atol=0)


def test_a_tile_of_one_cell():
    cells, x = low_ohmic_cells(1, 1), torch.tensor([[0.5]], dtype=torch.float64)
    tile = effective(cells, STRONG)
    torch.testing.assert_close(
        tile.variance(x), exact_variance(cells, STRONG, x), rtol=1e-9, atol=0
    )


def test_features_and_typical_drives_are_checked():
    cells = low_ohmic_cells(3, 1)
    with pytest.raises(ValueError, match="`features` must be 1, 2 or None"):
        effective(cells, STRONG, features=3)
    for level in ([0.0, 0.0, 0.0], [1.0, -1.0, 1.0], [1.0, float("nan"), 1.0]):
        with pytest.raises(ValueError, match="`typical` must hold finite drives"):
            effective(cells, STRONG, torch.tensor(level))


def halves(rows):
    upper = (torch.arange(rows) < rows / 2).double()
    return torch.stack([upper, 1 - upper, torch.ones_like(upper)])


def test_a_tile_takes_as_many_directions_as_its_wires_need():
    """One where half-driven rows are within 1 %, else two."""
    preset = Wires(
        row_resistance=1.0, column_resistance=4.0, driver_resistance=500.0, both_sides=True
    )
    one_sided = replace(preset, both_sides=False)
    cells = preset_cells(64, 16)
    assert len(effective(cells, preset, features=None).cross) == 1
    long = preset_cells()
    found = effective(long, one_sided, features=None)
    exact = exact_variance(long, one_sided, halves(128))
    assert len(found.cross) == 2
    assert float((found.variance(halves(128)) / exact - 1).abs().max()) < 0.005
    assert float((found.one.variance(halves(128)) / exact - 1).abs().max()) > 0.01


@pytest.mark.parametrize("name", ["amplitude", "bit-serial"])
def test_products_use_both_directions(name):
    """The law of amplitudes, and that of bits that forget each other."""
    wires = Wires(row_resistance=1.0, column_resistance=8.0, driver_resistance=500.0)
    cells = preset_cells(144, 32)
    read = replace(BitCell.preset().read, input_bits=4)
    point = ReadPoint(
        read=read, temperature=300.0, scale=1.0, wires=wires,
        coding=coding_of(name, 4, read.window),
    )  # fmt: skip
    cells = replace(cells, correlation_time=torch.full_like(cells.correlation_time, 1e-14))
    grid = ArrayLayout(rows=144, outputs=32, outputs_per_adc=1).grid(144, 32)
    tiled = crossbar.tile_cells(cells, grid, point)
    assert tiled.profile is not None
    assert len(tiled.profile) == 2
    codes = 15 * halves(144)
    found = crossbar.matrix_moments(codes, replace(tiled, noise=0 * tiled.noise))[1][0].square()
    share = 1.0 if name == "amplitude" else sum(4.0**b for b in range(4)) / 15**2
    exact = share * exact_variance(cells, wires, halves(144))
    torch.testing.assert_close(found, exact, rtol=0.02 if name == "amplitude" else 0.03, atol=0)


def test_cells_that_hold_a_draw_keep_one_direction_and_their_variance():
    """For the drive that the direction is made for, held weights vary as fresh ones do."""
    wires = Wires(row_resistance=1.0, column_resistance=8.0, driver_resistance=500.0)
    cells = preset_cells(144, 8)
    grid = ArrayLayout(rows=144, outputs=8, outputs_per_adc=1).grid(144, 8)
    point = ReadPoint(read=BitCell.preset().read, temperature=300.0, scale=1e6, wires=wires)
    tiled = crossbar.tile_cells(cells, grid, point)
    weights = crossbar.lay_out(tiled, grid.rows, torch.float64)
    x = torch.full((1, 144), 0.5, dtype=torch.float64)
    rows = torch.stack([
        grid.rows.apply(x, crossbar.held_weights(weights, InjectedNoise([draw]), grid.rows))
        - grid.rows.apply(x, weights.mean)
        for draw in torch.eye(144, dtype=torch.float64)[:, None, :, None].expand(-1, 1, -1, 8)
    ])  # fmt: skip
    held = rows.square().sum(0)[0]
    torch.testing.assert_close(held, exact_variance(cells, wires, x) * 1e12, rtol=1e-6, atol=0)
