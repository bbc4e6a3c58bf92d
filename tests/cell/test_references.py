"""Cells with a reference in place of one junction of a pair: what they hold, and what it takes."""

from dataclasses import replace

import pytest
import torch

from bayespin.array import crossbar
from bayespin.array.crossbar import ReadPoint
from bayespin.array.effective import exact_variance
from bayespin.array.tiles import ArrayLayout
from bayespin.array.wires import ColumnOrder
from bayespin.cell.bit_cell import BitCell, CellLayout, without_errors
from bayespin.cell.interface import Use, WantedCells
from bayespin.chip.accelerator import Accelerator
from bayespin.network.models import Network
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples, variance_is

KEY = Key.root(31)
PAIRS = BitCell.preset()
ONE_PILLAR, ONE_TRACK, ONE_OF_EACH = (
    replace(PAIRS, cell=replace(PAIRS.cell, **form))
    for form in ({"pillars": 1}, {"tracks": 1}, {"pillars": 1, "tracks": 1})
)
FORMS = {"pillar": ONE_PILLAR, "track": ONE_TRACK, "both": ONE_OF_EACH}
each = pytest.mark.parametrize("form", FORMS)
GAIN = 4.0


def wanted_of(cell, rows=60, outputs=20):
    levels = cell.sigma_levels(GAIN, cell.environment.programming_temperature)
    draw = KEY.child("wanted").generator()
    mean = 1.2 * torch.rand(rows, outputs, generator=draw, dtype=torch.float64) - 0.6
    chosen = torch.randint(len(levels), (rows, outputs), generator=draw)
    return WantedCells(mean=mean, sigma=levels[chosen], read_noise=0.0)


@each
def test_without_errors_only_the_nearest_notch_is_between_a_cell_and_what_was_wanted(form):
    cell = without_errors(FORMS[form])
    wanted = wanted_of(cell)
    cells = cell.program(wanted, GAIN, KEY.child(form)).cells
    held = cells.deviation / cell.full_scale
    torch.testing.assert_close(held, wanted.sigma, rtol=1e-3, atol=0)
    step = 1 / (cell.track.levels - 1) * (2 if cell.cell.tracks == 1 else 1)
    error = (cells.mean / cell.full_scale - wanted.mean).abs()
    assert float(error.max()) <= 0.5001 * step
    assert float(error.max()) > 0.4 * step


@each
def test_a_reference_is_quiet_and_stays_as_it_is(form):
    cell = FORMS[form]
    found = cell.program(wanted_of(cell), GAIN, KEY.child(form))
    hot = cell.in_use(found.state, GAIN, Use(temperature=330.0, age=3e8))
    _, minus, plus_pillar, minus_pillar = found.cells.spread
    assert bool((plus_pillar > 0).all())
    assert not bool(minus.any())
    assert bool((minus_pillar > 0).all()) == (cell.cell.pillars == 2)
    if cell.cell.tracks == 1:
        low, high = cell.track_window
        middle = found.cells.conductance[1]
        mean_is((middle / middle.mean()).flatten(), 1.0)
        assert float(middle.mean()) == pytest.approx((low + high) / 2, rel=0.02)
        torch.testing.assert_close(hot.conductance[1], middle)
        walls = found.report.levels["tracks"]
        assert int(walls.sum()) == found.report.cells  # one wall each
    if cell.cell.pillars == 1:
        assert float(found.cells.conductance[3].mean()) == pytest.approx(
            cell.pillar_conductance, rel=0.05
        )
        assert int(found.report.levels["pillars"].sum()) == found.report.cells
        assert found.report.sigma.verified + sum(found.report.sigma.failed.values()) == 1200


def test_one_pillar_has_the_spread_of_one_and_one_track_half_of_the_range():
    kelvin = PAIRS.environment.programming_temperature
    pair, one = (c.sigma_levels(GAIN, kelvin) for c in (PAIRS, ONE_PILLAR))
    torch.testing.assert_close(pair, one * 2**0.5)
    assert ONE_TRACK.full_scale == PAIRS.full_scale / 2
    assert ONE_TRACK.read_noise(GAIN) == pytest.approx(2 * PAIRS.read_noise(GAIN), rel=1e-12)
    assert ONE_OF_EACH.output_conductance == PAIRS.output_conductance


@each
def test_programming_leaves_what_the_mapping_expects(form):
    cell = FORMS[form]
    wanted = wanted_of(cell, 120, 40)
    found = cell.program(wanted, GAIN, KEY.child(form))
    sound = found.report.mean.rms
    levels = cell.sigma_levels(GAIN, cell.environment.programming_temperature)
    blur = torch.bucketize(wanted.sigma.flatten(), levels * 0.999) - 1
    expected = cell.mean_error(GAIN)[blur].square().mean().sqrt()
    assert sound == pytest.approx(float(expected), rel=0.35)
    pair = replace(cell, cell=PAIRS.cell).program(wanted_of(PAIRS, 120, 40), GAIN, KEY.child(form))
    for name, count in (("pillars", cell.cell.pillars), ("tracks", cell.cell.tracks)):
        if count == 1:
            assert found.report.pulses[name] < 0.7 * pair.report.pulses[name]


@each
@pytest.mark.parametrize("order", ColumnOrder)
def test_behind_wires_reads_have_the_moments_of_their_cells(form, order):
    """5 % of the variance is seen with probability 0.9; σ arrays of their own are `apart`."""
    wires = replace(Accelerator.from_preset().layout.wires, order=order)
    cell = FORMS[form]
    cells = cell.program(wanted_of(cell, 12, 3), GAIN, KEY.child(form)).cells
    grid = ArrayLayout(rows=12, outputs=3, outputs_per_adc=1).grid(12, 3)
    point = ReadPoint(read=cell.read, temperature=300.0, scale=1 / cell.full_scale, wires=wires)
    tiled = crossbar.tile_cells(cells, grid, point)
    plain = crossbar.tile_cells(cells, grid, replace(point, wires=None))
    codes = torch.full((1, 12), 200.0, dtype=torch.float64)
    count = required_samples(2**0.5, 0.05)
    draws = crossbar.brute_force(
        codes.expand(count, -1), plain, KeyedNoise.from_key(KEY.child("read", form, order.value))
    )[0]
    mean, deviation = (m[0] for m in crossbar.matrix_moments(codes, plain))
    variance_is((draws - mean) / deviation, 1.0)
    silent = replace(tiled, noise=0 * tiled.noise)
    wired = crossbar.matrix_moments(codes, silent)[1][0].square()
    exact = exact_variance(cells, wires, codes / 255) / cell.full_scale**2
    torch.testing.assert_close(wired, exact, rtol=0.02, atol=0)


@each
def test_a_chip_of_such_cells_acts_as_trained(form):
    chip = Accelerator.from_preset()
    chip = replace(chip, cell=FORMS[form], layout=replace(chip.layout, rows=32))
    network = Network({"only": MeanFieldLayer(Dense(60, 8), KEY.child("layer"))})
    images = torch.rand(200, 60, generator=KEY.child("images").generator())
    twin = chip.deploy(network, images, KEY)
    layer, software = twin.network.stages["only"], network.stages["only"]
    with torch.no_grad():
        mean, deviation = layer.moments(images)
        wanted, spread = software.moments(images)
    error = (mean.sum(0) + layer.bias - wanted).std() / wanted.std()
    assert float(error) < 0.3
    ratio = deviation.square().sum(0).mean() / spread.square().mean()
    assert float(ratio) == pytest.approx(1, abs=0.15)
    assert twin.bill(images[:4], 10, KEY).programming_energy_j > 0


@pytest.mark.parametrize("name", ["pillars", "tracks"])
def test_other_numbers_of_junctions_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be 1 or 2, but is 3"):
        CellLayout(column_gains=(1.0,), pillar_polarity=1, **{name: 3})
