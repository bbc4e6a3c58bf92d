"""The moment path against brute force and against plain sums, for every cut into tiles."""

import math
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.array import crossbar
from bayespin.array.crossbar import ReadPoint
from bayespin.array.tiles import ArrayLayout, RowTiles
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import ProgrammedCells, WantedCells, ideal_cells
from bayespin.physics import transport
from bayespin.rng import InjectedNoise, Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples, variance_is

CELL = BitCell.preset()
READ, KELVIN = CELL.read, 320.0
ROWS, OUTPUTS, TOP = 11, 3, 255
SCALE = 1 / CELL.full_scale
K_B, Q = 1.380649e-23, 1.602176634e-19


@cache
def chip(rows=ROWS, outputs=OUTPUTS, seed=0) -> ProgrammedCells:
    draw = KeyedNoise.from_key(Key.root(seed).child("wanted"))
    mean = 0.3 * draw.normal(torch.empty(rows, outputs, dtype=torch.float64))
    wanted = WantedCells(mean=mean, sigma=0.03 + 0.05 * mean.abs(), read_noise=0.012)
    return CELL.program(wanted, 4.0, Key.root(seed)).cells


def plain(cells, tile_rows=128):
    layout = ArrayLayout(rows=tile_rows, outputs=64, outputs_per_adc=2)
    rows, outputs = cells.mean.shape
    point = ReadPoint(read=READ, temperature=KELVIN, scale=SCALE)
    return crossbar.tile_cells(cells, layout.grid(rows, outputs), point)


def tiled(cells, tile_rows=128, heat=1.0):
    """Tiles whose noise conductances are products of factors, where the fast form is exact.

    `heat` multiplies the power of the read noise.
    """
    tiles = plain(cells, tile_rows)
    rows, (columns,) = crossbar.noise_factors(tiles.noise, RowTiles(len(tiles.noise), 999))
    return replace(tiles, noise=heat * rows[:, None] * columns)


def some_codes(images=1, rows=ROWS):
    generator = Key.root(images).child("codes", rows).generator()
    codes = torch.randint(0, TOP + 1, (images, rows), generator=generator).double()
    codes[:, 0] = 0
    return codes


def test_moments_are_the_plain_sums():
    cells, codes = chip(), some_codes(4)
    tiles = tiled(cells)
    (mean,), (deviation,) = crossbar.matrix_moments(codes, tiles)
    heat = crossbar.code_noise(READ, KELVIN)
    for image in range(4):
        for j in range(OUTPUTS):
            total, variance = 0.0, 0.0
            for i in range(ROWS):
                code = int(codes[image, i])
                total += code / TOP * float(cells.mean[i, j])
                variance += (code / TOP * float(cells.deviation[i, j])) ** 2
                variance += float(heat[code] * tiles.noise[i, j]) / SCALE
            assert float(mean[image, j]) == pytest.approx(total * SCALE, rel=1e-12, abs=1e-14)
            found = float(deviation[image, j])
            assert found == pytest.approx(math.sqrt(variance) * SCALE, rel=1e-12)


def test_factors_of_the_noise_keep_row_and_column_sums_and_miss_little():
    """Single cells differ by 5 % in a pair of columns: sums over 100 rows by less than 2 %."""
    cells = chip(200, 8)
    tiles = plain(cells, 100)
    rows, columns = crossbar.noise_factors(tiles.noise, tiles.tiles)
    factored = rows[:, None] * columns.repeat_interleave(100, 0)
    for part, exact in zip(factored.split(100), tiles.noise.split(100), strict=True):
        torch.testing.assert_close(part.sum(0), exact.sum(0), rtol=1e-12, atol=0)
        torch.testing.assert_close(part.sum(1), exact.sum(1), rtol=1e-12, atol=0)
    codes = some_codes(20, 200)
    found = torch.stack(crossbar.matrix_moments(codes, tiles))[1].square()
    heat, x = tiles.code_noise[codes.long()], codes / TOP
    for t, rows in enumerate((slice(0, 100), slice(100, 200))):
        fluctuations = x[:, rows].square() @ tiles.variance[rows]
        exact = heat[:, rows] @ tiles.noise[rows]
        assert float((exact / fluctuations).mean()) > 0.02  # noise that is worth a test
        torch.testing.assert_close(found[t] - fluctuations, exact, rtol=0.02, atol=0)


@pytest.mark.parametrize("tile_rows", [1, 4, 128])
def test_moments_are_those_of_brute_force_exactly(tile_rows):
    """The variance of a linear form is the sum of its squared coefficients, got one by one."""
    tiles, codes = tiled(chip(), tile_rows, heat=30.0), some_codes().expand(ROWS, ROWS).clone()
    silent = torch.zeros((ROWS, ROWS, OUTPUTS), dtype=torch.float64)
    single = torch.eye(ROWS, dtype=torch.float64)[:, :, None].expand_as(silent)
    centre = crossbar.brute_force(codes, tiles, InjectedNoise([silent, silent]))
    parts = [
        crossbar.brute_force(codes, tiles, InjectedNoise(draws)) - centre
        for draws in ([single, silent], [silent, single])
    ]
    mean, deviation = crossbar.matrix_moments(codes, tiles)
    assert torch.allclose(mean, centre, rtol=1e-12, atol=1e-14)
    variance = sum(part.square().sum(1) for part in parts)
    assert torch.allclose(deviation[:, 0].square(), variance, rtol=1e-12)
    assert float(parts[1].square().sum()) > 0.1 * float(parts[0].square().sum())


def brute_force_has_these_moments(tile_rows, heat):
    """Sees 1.5 % of a standard deviation in the mean and 2 % of the variance, pooled."""
    tiles = tiled(chip(), tile_rows, heat)
    count = -(-required_samples(math.sqrt(2), 0.02) // OUTPUTS)
    codes = some_codes().expand(count, ROWS).clone()
    draws = crossbar.brute_force(codes, tiles, KeyedNoise.from_key(Key.root(tile_rows)))
    mean, deviation = crossbar.matrix_moments(codes[:1], tiles)
    score = (draws - mean) / deviation
    mean_is(score, 0.0)
    variance_is(score, 1.0)


@pytest.mark.parametrize("tile_rows,heat", [(128, 1.0), (4, 1.0), (5, 30.0)])
def test_brute_force_has_the_moments(tile_rows, heat):
    brute_force_has_these_moments(tile_rows, heat)


def test_tiles_cover_every_row_once():
    for rows, tile_rows in [(1, 1), (7, 3), (9, 3), (128, 128), (129, 128), (300, 128), (5, 8)]:
        tiles = RowTiles(rows, tile_rows)
        masks = tiles.masks
        assert masks.sum(0).tolist() == [1] * rows
        assert int(masks.sum(1).max()) <= tile_rows
        layout = ArrayLayout(rows=tile_rows, outputs=2, outputs_per_adc=1)
        shapes = layout.grid(rows, 2).shapes
        assert [shape.rows for shape in shapes] == masks.sum(1).tolist()
        assert {shape.outputs for shape in shapes} == {2}


@given(tile_rows=st.integers(1, 2 * ROWS))
def test_any_tiling_has_the_same_sums(tile_rows):
    cells, codes = chip(), some_codes(3)
    sums = []
    for size in (tile_rows, ROWS):
        mean, deviation = crossbar.matrix_moments(codes, tiled(cells, size))
        sums.append([y.sum(0) for y in (mean, deviation.square())])
    for one, other in zip(*sums, strict=True):
        assert torch.allclose(one, other, rtol=1e-12, atol=1e-14)


def test_rows_and_outputs_may_be_permuted():
    cells, codes = chip(), some_codes(3)
    rows, outputs = torch.randperm(ROWS, generator=Key.root(1).generator()), torch.tensor([2, 0, 1])
    moved = ProgrammedCells(
        **{k: v[:, rows][:, :, outputs] if v.ndim == 3 else v for k, v in vars(cells).items()}
    )
    straight = crossbar.matrix_moments(codes, tiled(cells))
    crossed = crossbar.matrix_moments(codes[:, rows], tiled(moved))
    for one, other in zip(straight, crossed, strict=True):
        assert torch.allclose(one[..., outputs], other, rtol=1e-12, atol=1e-14)


def test_ideal_cells_give_the_matrix_product_and_no_read_noise():
    mean, codes = 0.1 * torch.arange(12.0).double().reshape(4, 3), some_codes(2, 4)
    cells = ideal_cells(WantedCells(mean=mean, sigma=0.1 * mean, read_noise=0.0), CELL)
    found, deviation = crossbar.matrix_moments(codes, tiled(cells))
    x = codes / TOP
    assert torch.allclose(found[0], x @ mean, rtol=1e-12)
    assert torch.allclose(
        deviation, (x.square() @ (0.1 * mean.double()).square()).sqrt(), rtol=1e-6
    )


def zero_codes_conduct_nothing():
    assert float(crossbar.code_noise(READ, KELVIN)[0]) == 0.0
    mean, deviation = crossbar.matrix_moments(torch.zeros(2, ROWS).double(), tiled(chip()))
    assert not bool(mean.any())
    assert not bool(deviation.any())


def test_zero_codes_conduct_nothing():
    zero_codes_conduct_nothing()


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_code_noise_of_every_code(bits):
    """h = 2kT/(T_r V²) · y coth y, y = q x V/2kT."""
    read = replace(READ, input_bits=bits)
    found = crossbar.code_noise(read, KELVIN)
    assert len(found) == 2**bits
    for code in range(1, 2**bits):
        voltage = read.voltage * code / (2**bits - 1)
        y = Q * voltage / (2 * K_B * KELVIN)
        hand = 2 * K_B * KELVIN / (read.window * read.voltage**2) * y / math.tanh(y)
        assert float(found[code]) == pytest.approx(hand, rel=1e-9)
        current = transport.mean_current_variance(torch.tensor(1.0), voltage, KELVIN, read.window)
        assert float(found[code]) == pytest.approx(float(current) / read.voltage**2, rel=1e-6)
    assert bool((found.diff() > 0).all())


def test_limits_of_code_noise():
    """Johnson noise at the smallest of 4095 codes, shot noise q|I|/T_r far above 2kT/q."""
    fine = crossbar.code_noise(replace(READ, input_bits=12), KELVIN)
    johnson = 2 * K_B * KELVIN / (READ.window * READ.voltage**2)
    assert float(fine[1]) == pytest.approx(johnson, rel=1e-7)
    loud = crossbar.code_noise(replace(READ, voltage=10.0), KELVIN)
    assert float(loud[-1]) == pytest.approx(Q * 10.0 / (READ.window * 10.0**2), rel=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_read_energy_is_the_sum_over_cells(dtype):
    cells, codes = chip(), some_codes(5)
    energy = 0.0
    for image in codes.tolist():
        for code, row in zip(image, cells.total_conductance.tolist(), strict=True):
            voltage = READ.voltage * code / TOP
            energy += sum(voltage**2 * siemens * READ.window for siemens in row)
    x = RowTiles(ROWS, 4).split((codes / TOP).to(dtype))
    load = plain(cells, 4).input[0]
    found = crossbar.read_energy(torch.einsum("rti,rtj->tij", x, x), load, READ)
    assert found == pytest.approx(energy, rel=1e-9 if dtype is torch.float64 else 1e-6)


def test_read_noise_of_the_cell_is_that_of_its_tile():
    """One mid-scale cell at full input: `BitCell.read_noise` and h · N of the array agree."""
    conductance = sum(CELL.track_window) + 4.0**2 * 2 * CELL.pillar_conductance
    heat = float(crossbar.code_noise(READ, KELVIN)[-1]) * conductance
    assert math.sqrt(heat) * SCALE == pytest.approx(CELL.read_noise(4.0), rel=1e-9)
