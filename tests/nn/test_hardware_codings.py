"""Layers whose inputs come as pulses or bits: the law of their noise, behind wires too, and energy.

Oracles: the law of single arrays (`array.coding`, itself held against cells in time), the exact
variance of every stretch of the drive behind wires, and cells that fluctuate behind wires.
"""

import math
from dataclasses import replace

import pytest
import torch

from bayespin.array import crossbar
from bayespin.array.coding import Amplitude, coded_variance, coding_of
from bayespin.array.crossbar import ReadPoint
from bayespin.array.effective import Fluctuations, exact_variance, physical_columns
from bayespin.array.hold import Hold
from bayespin.array.reads import Step
from bayespin.array.tiles import ArrayLayout
from bayespin.array.wires import Wires
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import WantedCells
from bayespin.chip.accelerator import Accelerator
from bayespin.network.models import Network
from bayespin.nn.estimators import Sampling, local_reparameterised
from bayespin.nn.hardware import HardwareLayer, HardwareSpec
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Convolution, Dense, Product
from bayespin.rng import InjectedNoise, Key, KeyedNoise
from tests.statistical.check import required_samples, variance_is
from tests.statistical.faults import Fault
from tests.statistical.power import check_fails

KEY = Key.root(12).child("codings")
PRESET = Accelerator.from_preset()
BITS = 4
CELL = replace(BitCell.preset(), read=replace(BitCell.preset().read, input_bits=BITS, adc_bits=16))
WIRES = Wires(row_resistance=40.0, column_resistance=40.0, driver_resistance=5e3)
IN_TIME = ["pulse-width", "bit-serial"]
each = pytest.mark.parametrize("name", IN_TIME)
PRODUCTS = {"dense": Dense(24, 5), "map": Convolution(4, 6, 2, groups=2)}


def uniform(*shape, word="x"):
    return torch.rand(shape, generator=KEY.child(word).generator(), dtype=torch.float64)


def cells_of(rows, outputs):
    wanted = WantedCells(
        mean=uniform(rows, outputs, word="mean") - 0.5,
        sigma=0.02 + 0.06 * uniform(rows, outputs, word="sigma"),
        read_noise=0.0,
    )
    return CELL.program(wanted, 4.0, KEY.child("cells")).cells


def layer_of(product: Product, name="amplitude", wires=None, **sizes) -> HardwareLayer:
    layout = ArrayLayout(outputs_per_adc=2, wires=wires, coding=name,
                         **({"rows": 10, "outputs": 3} | sizes))  # fmt: skip
    spec = HardwareSpec(
        cell=CELL, layout=layout, weight_max=0.7, input_scale=1.0,
        temperature=CELL.environment.use_temperature,
    )  # fmt: skip
    bias = torch.zeros(product.outputs)
    return HardwareLayer(product, bias, cells_of(product.rows, product.outputs), spec)


def images_of(product):
    return uniform(6, 24).float() if isinstance(product, Dense) else uniform(6, 4, 4, 3).float()


@each
@pytest.mark.parametrize("kind", PRODUCTS)
def test_without_wires_a_layer_has_the_law_of_its_array(name, kind):
    product = PRODUCTS[kind]
    layer, x = layer_of(product, name), images_of(product)
    mean, deviation = layer.moments(x)
    torch.testing.assert_close(mean, layer_of(product).moments(x)[0])
    cells = cells_of(product.rows, product.outputs)
    silent = replace(cells, noise_gains=torch.zeros_like(cells.noise_gains))
    layer = HardwareLayer(product, layer.bias, silent, layer.spec)
    codes = product.unrolled(layer.dac.codes(x)).double()
    codes = codes.flatten(0, 1).unflatten(1, (product.groups, -1))
    law = coded_variance(cells, layer.coding)
    width = product.outputs // product.groups
    parts = [
        replace(law, weights=law.weights[:, :, g * width : (g + 1) * width]).of(codes[:, g])
        for g in range(product.groups)
    ]
    found = layer.moments(x)[1].double().square().sum(0)  # all tiles
    found = found if found.ndim == 2 else found.flatten(2).transpose(1, 2).flatten(0, 1)
    wanted = torch.cat(parts, 1) * layer.spec.point.scale**2
    torch.testing.assert_close(found, wanted, rtol=2e-5, atol=0)
    assert bool((deviation.double().square().sum(0) > layer.moments(x)[1].square().sum(0)).all())


def point(name, wires):
    coding = coding_of(name, BITS, CELL.read.window)
    return ReadPoint(read=CELL.read, temperature=300.0, scale=1.0, wires=wires, coding=coding)


def exactly(cells, codes, coding):
    """Σ_bd C_bd x_b K x_d from solutions for every pair of steps of the drive."""
    pulses = coding.pulses()
    drives = pulses.drive[codes.long()].movedim(-1, 0)
    tau = float(cells.correlation_time.max())  # all alike in these tests
    step = Step.of(torch.tensor(tau, dtype=torch.float64), pulses.schedule)
    scale = averaged(pulses.schedule.window / tau) / averaged(coding.window / tau)

    def power(x):
        return exact_variance(cells, WIRES, x)

    total = sum(power(x) for x in drives)
    for b in range(len(drives)):
        for d in range(b):
            both = power(drives[b] + drives[d]) - power(drives[b]) - power(drives[d])
            total = total + float(step.correlation(b - d)) * both
    return total * scale


def averaged(r):
    return 2 * (r - 1 + math.exp(-r)) / r**2


def alike(rows=10, outputs=3, tau=3e-9):
    cells = cells_of(rows, outputs)
    return replace(cells, correlation_time=torch.full_like(cells.correlation_time, tau))


@each
def test_behind_wires_rows_act_together_as_they_are_driven(name):
    """Within what the fast form costs amplitudes too: 2 %."""
    cells, grid = alike(), ArrayLayout(rows=10, outputs=3, outputs_per_adc=1).grid(10, 3)
    codes = (uniform(8, 10) * 15).round()
    found, amplitude, bare = (
        crossbar.matrix_moments(codes, replace(tiled, noise=0 * tiled.noise))[1][0].square()
        for tiled in (
            crossbar.tile_cells(cells, grid, point(name, WIRES)),
            crossbar.tile_cells(cells, grid, point("amplitude", WIRES)),
            crossbar.tile_cells(cells, grid, point(name, None)),
        )
    )
    exact = exactly(cells, codes, coding_of(name, BITS, CELL.read.window))
    assert float((found / exact - 1).abs().max()) < 0.02
    assert float((amplitude / exact - 1).abs().max()) > 0.1  # another law is seen
    assert float((bare / exact - 1).abs().max()) > 0.1


def scores():
    """Bit-serial reads of cells that fluctuate behind wires, over the layer's deviation.

    Enough for 4 % of the variance to be seen with probability 0.9 (`required_samples`).
    """
    cells, codes = alike(6, 2), torch.tensor([[3.0, 15, 8, 0, 6, 11]], dtype=torch.float64)
    coding = coding_of("bit-serial", BITS, CELL.read.window)
    tiled = crossbar.tile_cells(cells, ArrayLayout(rows=6, outputs=2, outputs_per_adc=1).grid(6, 2),
                                point("bit-serial", WIRES))  # fmt: skip
    deviation = crossbar.matrix_moments(codes, replace(tiled, noise=0 * tiled.noise))[1][0]
    count, noise = required_samples(math.sqrt(2), 0.04), KeyedNoise.from_key(KEY.child("in time"))
    (columns,) = physical_columns(cells, WIRES.order)
    sources = Fluctuations.of(cells, columns, WIRES)
    reach = sources.response.sqrt()  # of a cell to an output; no sign matters for a Gaussian
    step = Step.of(torch.tensor(3e-9, dtype=torch.float64), coding.pulses().schedule)
    state = noise.normal(torch.zeros(count, *reach.shape[:2], dtype=torch.float64))
    found = torch.zeros(count, 2, dtype=torch.float64)
    for drive in coding.pulses().drive[codes[0].long()].unbind(1):
        state, average = step.advance(state, noise)
        found += torch.einsum("kri,i,skr,kro->so", sources.voltages, drive, average, reach)
    return found / deviation


def test_cells_in_time_behind_wires_have_the_variance_of_bit_serial_reads():
    variance_is(scores(), 1.0, bias=0.02)


def test_slices_that_forget_each_other_are_seen():
    fault = Fault(
        "memory between slices",
        "bayespin.array.reads:Step.correlation",
        lambda _: lambda self, lag: 0.0 * self.seen,
    )
    check_fails(lambda: variance_is(scores(), 1.0, bias=0.02), fault)


@each
def test_drivers_deliver_what_the_cells_take_while_rows_are_driven(name):
    product, read = PRODUCTS["dense"], CELL.read
    layer, x = layer_of(product, name), images_of(PRODUCTS["dense"])
    codes = layer.dac.codes(x).long()
    cells = cells_of(24, 5)
    work = layer.coding.work()[codes] @ cells.total_conductance.sum(1)
    wanted = float(work.mean()) * read.voltage**2 * read.window
    activity = layer.activity("it", x, torch.zeros(6, 5))
    assert activity.events.array_energy == pytest.approx(wanted, rel=1e-9)
    assert activity.positions == 1
    assert activity.events.tile_reads == 6 * (BITS if name == "bit-serial" else 1)
    driven = {"pulse-width": (codes > 0), "bit-serial": layer.coding.work()[codes]}[name]
    assert activity.events.row_drives == float(driven.double().sum(1).mean()) * 2  # two tiles wide


def test_behind_wires_bits_take_what_each_slice_takes():
    product, x = PRODUCTS["dense"], images_of(PRODUCTS["dense"])
    layer = layer_of(product, "bit-serial", WIRES)
    planes = layer.coding.planes(layer.dac.codes(x))
    slices = [
        layer_of(product, wires=WIRES).activity("it", plane, torch.zeros(6, 5)) for plane in planes
    ]
    wanted = sum(each.events.array_energy for each in slices)
    assert layer.activity("it", x, torch.zeros(6, 5)).events.array_energy == pytest.approx(
        wanted, rel=1e-9
    )


@each
@pytest.mark.parametrize("wires", [None, PRESET.layout.wires], ids=["bare", "wired"])
def test_a_chip_of_another_coding_has_the_spread_that_was_trained(name, wires):
    """σ of the cells is widened, so that outputs vary as with amplitudes.

    2 % for ideal cells, half of it the variance behind wires; real cells have levels and a cap.
    """
    network = Network({"only": MeanFieldLayer(Dense(60, 8), KEY.child("layer"))})
    images = torch.rand(200, 60, generator=KEY.child("images").generator())
    plain = replace(PRESET, layout=replace(PRESET.layout, rows=32, wires=wires))
    coded = replace(plain, layout=replace(plain.layout, coding=name))
    trained = network.stages["only"].moments(images)[1].detach().square().mean()

    def power(twin):
        return float(twin.network.stages["only"].moments(images)[1].square().sum(0).mean())

    ideal, twin = (coded.deploy(network, images, KEY, which) for which in ("ideal", "spintronic"))
    assert power(ideal) == pytest.approx(float(trained), rel=0.02)
    assert power(twin) == pytest.approx(float(trained), rel=0.15)
    assert bool(torch.isfinite(twin.predict(images[:4], 3, KEY).mean).all())
    bills = [t.bill(images[:4], 10, KEY) for t in (plain.deploy(network, images, KEY), twin)]
    slower = bills[1].latency_s / bills[0].latency_s
    assert slower == pytest.approx(1) if name == "pulse-width" else slower > 2


@each
def test_frozen_reads_hold_cells_and_correlated_ones_are_refused(name):
    chip = replace(PRESET, layout=replace(PRESET.layout, coding=name), hold=Hold(energy=0, time=0))
    network = Network({"only": MeanFieldLayer(Dense(60, 8), KEY.child("layer"))})
    images = torch.rand(20, 60, generator=KEY.child("images").generator())
    twin = chip.deploy(network, images, KEY)
    assert twin.predict(images, 2, KEY, sampling=Sampling.FROZEN).mean.shape == (20, 8)
    with pytest.raises(ValueError, match=f"`coding` is {name}; `correlated` is for amplitude"):
        twin.predict(images, 2, KEY, sampling=Sampling.CORRELATED)


def test_too_many_bits_are_refused():
    with pytest.raises(ValueError, match=r"`input_bits` must be at most 12 where `coding` is bit-"):
        coding_of("bit-serial", 13, 1e-8)
    assert isinstance(coding_of("amplitude", 16, 1e-8), Amplitude)


@each
def test_gradients_follow_the_law(name):
    layer = layer_of(PRODUCTS["dense"], name).double()
    x = images_of(PRODUCTS["dense"]).double().clamp(0.1, 0.9).requires_grad_()
    noise = InjectedNoise([torch.ones(3, 6, 5, dtype=torch.float64)])
    (slope,) = torch.autograd.grad(layer(x, noise, local_reparameterised).sum(), x)
    assert bool(torch.isfinite(slope).all())
    assert bool((slope != 0).any())
