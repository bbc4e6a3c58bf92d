"""Layers on tiles: the software layer's twin, and what one pass does, counted by hand."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from bayespin.array.converter import Adc
from bayespin.array.converter_errors import AdcErrors, MadeAdcs, shared_converters
from bayespin.array.hold import Hold
from bayespin.array.tiles import ArrayLayout
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import WantedCells, ideal_cells
from bayespin.nn import estimators
from bayespin.nn.hardware import HardwareLayer, HardwareSpec
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Convolution, Dense, Product
from bayespin.rng import HeldNoise, InjectedNoise, Key, KeyedNoise

KEY = Key.root(0).child("hardware")
PRESET = BitCell.preset()
WEIGHT_MAX = 0.5
BITS = 12  # fine enough to see the layer through the converters
DENSE, CONVOLUTION = Dense(7, 4), Convolution(2, 3, 2)


def cell_of(bits: int) -> BitCell:
    return replace(PRESET, read=replace(PRESET.read, input_bits=bits, adc_bits=bits))


def spec_of(cell: BitCell, tile_rows: int = 128, input_scale: float = 1.0) -> HardwareSpec:
    layout = ArrayLayout(rows=tile_rows, outputs=64, outputs_per_adc=2)
    return HardwareSpec(
        cell=cell,
        layout=layout,
        weight_max=WEIGHT_MAX,
        input_scale=input_scale,
        temperature=cell.environment.use_temperature,
    )


def software_of(product: Product) -> MeanFieldLayer:
    layer = MeanFieldLayer(product, KEY.child("layer"))
    with torch.no_grad():
        layer.spread.normal_(-3.0, 0.5, generator=KEY.child("spread").generator())
        layer.bias.normal_(generator=KEY.child("bias").generator())
    return layer


def wanted_of(layer: MeanFieldLayer) -> WantedCells:
    def fraction(weights: torch.Tensor) -> torch.Tensor:
        return weights.detach().flatten(1).T.double() / WEIGHT_MAX

    return WantedCells(mean=fraction(layer.mean), sigma=fraction(layer.sigma()), read_noise=0.0)


def ideal(layer: MeanFieldLayer, spec: HardwareSpec) -> HardwareLayer:
    cells = ideal_cells(wanted_of(layer), spec.cell)
    return HardwareLayer(layer.product, layer.bias, cells, spec)


def uniform(*shape: int) -> torch.Tensor:
    return torch.empty(shape).uniform_(generator=KEY.child("inputs").generator())


def inputs_of(product: Product) -> torch.Tensor:
    return uniform(6, 7) if isinstance(product, Dense) else uniform(6, 2, 5, 4)


def normal_like(x: torch.Tensor) -> torch.Tensor:
    return KeyedNoise.from_key(KEY.child("noise")).normal(x)


@pytest.mark.parametrize("product", [DENSE, CONVOLUTION], ids=["dense", "conv"])
def test_ideal_cells_and_fine_converters_are_the_software_layer(product):
    """The gap is at most half a DAC step of every input and half an ADC step of the output."""
    software, x = software_of(product), inputs_of(product)
    hardware = ideal(software, spec_of(cell_of(BITS)))
    with torch.no_grad():
        hardware.calibrate(x.repeat(200, *[1] * (x.ndim - 1)), KeyedNoise.from_key(KEY))
        hardware.adc_range *= 1.5  # nothing clips
        epsilon = normal_like(software.moments(x)[0])
        found = hardware(x, InjectedNoise([epsilon[None]]), estimators.local_reparameterised)
        wanted = software(x, InjectedNoise([epsilon]), estimators.local_reparameterised)
    half_step = 0.5 / (2**BITS - 1)
    mu, sigma = software.mean.detach().flatten(1), software.sigma().detach().flatten(1)
    analog = half_step * (mu.abs().sum(1).max() + epsilon.abs().max() * sigma.norm(dim=1).max())
    digital = float(hardware.adc_range.max()) / (2 ** (BITS - 1) - 1) / 2
    assert float((found - wanted).abs().max()) < float(analog) + digital + 2e-6


@pytest.mark.parametrize(
    "product, shape",
    [
        (Convolution(4, 6, (3, 2), stride=(1, 2), padding=(1, 0), groups=2), (4, 6, 5)),
        (Convolution(2, 3, 3, dilation=2), (2, 7, 7)),
        (Convolution(2, 4, 3, padding=1, axes=1), (2, 9)),
        (Dense(7, 4), (5, 7)),
    ],
    ids=["groups", "dilation", "one axis", "tokens"],
)
def test_every_product_runs_on_tiles_as_in_software(product, shape):
    """Same mean and spread through fine converters, tile by tile; joules by the unrolled rows."""
    software, x = software_of(product), uniform(4, *shape)
    cell = cell_of(BITS)
    hardware = ideal(software, spec_of(cell, tile_rows=4))
    with torch.no_grad():
        hardware.calibrate(x.repeat(100, *[1] * (x.ndim - 1)), KeyedNoise.from_key(KEY))
        hardware.adc_range *= 1.5
        reads = [
            hardware(x, KeyedNoise.from_key(KEY.child(i)), estimators.local_reparameterised)
            for i in range(400)
        ]
        wanted, spread = software.moments(x)
    found = torch.stack(reads)
    assert found.shape[1:] == wanted.shape
    scale = float(spread.mean())
    assert float(((found.mean(0) - wanted) / scale).abs().max()) < 0.25  # 5 errors of the mean
    assert float(found.var(0).mean()) == pytest.approx(float(spread.square().mean()), rel=0.05)
    events = hardware.activity("any", x, wanted).events
    drives = hardware.product.unrolled((x * (2**BITS - 1)).round() / (2**BITS - 1)).double()
    read = cell.read
    joules = float(drives.square().sum()) * cell.output_conductance * read.voltage**2 * read.window
    outputs = product.outputs // product.groups
    assert events.array_energy == pytest.approx(joules * outputs / len(x), rel=1e-4)
    positions = product.positions(wanted)
    assert hardware.positions == positions
    assert events.tile_reads == positions * len(hardware.tiles)


def tiles_by_hand(layer: MeanFieldLayer, x: torch.Tensor, spec: HardwareSpec, epsilon, ranges):
    """Tile by tile from the formula of the class, with rows in weight order."""
    read, product = spec.cell.read, layer.product
    rows = x if isinstance(product, Dense) else F.unfold(x, product.kernel)
    rows = rows.double().reshape(len(x), product.rows, -1)
    steps, half = 2**read.input_bits - 1, 2 ** (read.adc_bits - 1) - 1
    drive = ((rows / spec.input_scale) * steps).round().clamp(0, steps) / steps * spec.input_scale
    mu, sigma = (w.detach().double().flatten(1) for w in (layer.mean, layer.sigma()))
    total = layer.bias.detach().double()[None, :, None].expand(len(x), -1, drive.shape[-1]).clone()
    for tile, start in enumerate(range(0, product.rows, spec.layout.rows)):
        part = slice(start, start + spec.layout.rows)
        mean = mu[:, part] @ drive[:, part]
        variance = sigma[:, part].square() @ drive[:, part].square()
        own = epsilon[tile].reshape(len(x), product.outputs, -1).double()
        step = ranges[tile] / half
        total += ((mean + variance.sqrt() * own) / step).round().clamp(-half, half) * step
    return total


@pytest.mark.parametrize("product", [DENSE, CONVOLUTION], ids=["dense", "conv"])
def test_every_tile_is_converted_by_itself_and_then_added(product):
    """Five-bit converters: converting the sum instead would differ in most outputs."""
    software, x = software_of(product), inputs_of(product)
    spec = spec_of(cell_of(5), tile_rows=3, input_scale=0.9)
    hardware = ideal(software, spec)
    assert [t.rows for t in hardware.tiles] == ([3, 3, 1] if product.rows == 7 else [3, 3, 2])
    ranges = [0.31, 0.23, 0.17]
    with torch.no_grad():
        hardware.adc_range.copy_(torch.tensor(ranges)[:, None].expand(3, product.outputs))
        epsilon = normal_like(hardware.moments(x)[0])
        found = hardware(x, InjectedNoise([epsilon]), estimators.local_reparameterised)
    wanted = tiles_by_hand(software, x, spec, epsilon, ranges)
    torch.testing.assert_close(found.double().reshape(wanted.shape), wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", ["reparameterised", "flipout"])
def test_a_draw_that_nothing_holds_is_refused(name):
    hardware = ideal(software_of(DENSE), spec_of(PRESET))
    with pytest.raises(ValueError, match="must be `per_read`"):
        hardware(inputs_of(DENSE), KeyedNoise.from_key(KEY), getattr(estimators, name))


def holding(product: Product, scope: str) -> tuple[MeanFieldLayer, HardwareLayer]:
    software = software_of(product)
    spec = replace(spec_of(cell_of(BITS)), hold=Hold(energy=0.0, time=0.0, scope=scope))
    hardware = ideal(software, spec)
    with torch.no_grad():
        hardware.adc_range.fill_(20.0)
    return software, hardware


@pytest.mark.parametrize("product", [DENSE, CONVOLUTION], ids=["dense", "conv"])
def test_a_held_draw_is_a_draw_of_weights(product):
    """With the same numbers for the weights: within half a step of each converter."""
    software, hardware = holding(product, "batch")
    x = inputs_of(product)
    weights = normal_like(software.mean)
    laid = hardware.tiling.lay_out(weights.flatten(1).T)
    noise = HeldNoise(InjectedNoise([laid]), InjectedNoise([]))  # ideal cells are quiet
    with torch.no_grad():
        found = hardware(x, noise, estimators.reparameterised)
        wanted = software(x, InjectedNoise([weights]), estimators.reparameterised)
    assert float((found - wanted).abs().max()) < 20 / 2 ** (BITS - 1) + 2e-3
    assert float(found.std()) > 0.5


@pytest.mark.parametrize("scope", ["image", "batch"])
def test_images_share_a_draw_by_scope_and_positions_always(scope):
    """One draw scales a constant map alike everywhere; equal images differ if draws do."""
    _, hardware = holding(CONVOLUTION, scope)
    x = torch.full((2, 2, 5, 4), 0.7)
    with torch.no_grad():
        first, second = hardware(x, KeyedNoise.from_key(KEY), estimators.reparameterised)
    flat = first.flatten(1)
    assert flat.equal(flat[:, :1].expand_as(flat))
    assert first.equal(second) == (scope == "batch")


def test_signed_inputs_are_read_twice_and_subtracted():
    """Mean of a signed product; variances of the two reads add up to that of all rows."""
    software, x = software_of(DENSE), 2 * inputs_of(DENSE) - 1
    spec = replace(spec_of(cell_of(BITS)), signed=True)
    hardware = ideal(software, spec)
    with torch.no_grad():
        (mean,), (deviation,) = hardware.moments(x)
        wanted, spread = software.moments(x)
    torch.testing.assert_close(mean + software.bias, wanted, rtol=0, atol=2e-3)
    torch.testing.assert_close(deviation, spread, rtol=1e-3, atol=0)
    events = hardware.activity("signed", x, mean).events
    assert events.tile_reads == 2
    assert events.conversions == 4
    assert events.row_drives == pytest.approx(7)


def test_calibration_clips_one_sample_in_ten_thousand_and_sets_one_range_per_tile():
    hardware = ideal(software_of(DENSE), spec_of(PRESET, tile_rows=3))
    x = uniform(20_000, 7)
    with torch.no_grad():
        hardware.calibrate(x, KeyedNoise.from_key(KEY.child("calibrate")))
        mean, deviation = hardware.moments(x)
        same = KeyedNoise.from_key(KEY.child("calibrate")).normal(mean)
        y = mean + deviation * same
    ranges = hardware.adc_range
    assert ranges.shape == (3, 4)
    assert ranges.equal(ranges[:, :1].expand(3, 4))
    for tile in range(3):
        largest = y[tile].abs().flatten().sort().values
        assert float(ranges[tile, 0]) == pytest.approx(float(largest[-9]), rel=1e-5)  # 8 of 80,000


def test_calibration_on_few_samples_clips_none_of_them():
    hardware = ideal(software_of(DENSE), spec_of(PRESET))
    x = inputs_of(DENSE)
    with torch.no_grad():
        hardware.calibrate(x, KeyedNoise.from_key(KEY))
        mean, deviation = hardware.moments(x)
        y = mean + deviation * KeyedNoise.from_key(KEY).normal(mean)
    assert float(hardware.adc_range[0, 0]) == pytest.approx(float(y.abs().max()), rel=1e-5)


def test_negative_inputs_count_as_zero():
    hardware, x = ideal(software_of(DENSE), spec_of(PRESET)), inputs_of(DENSE) - 0.5
    for found, wanted in zip(hardware.moments(x), hardware.moments(x.clamp_min(0)), strict=True):
        assert found.equal(wanted)


def test_inputs_beyond_the_scale_count_as_full_scale():
    hardware, x = ideal(software_of(DENSE), spec_of(PRESET, input_scale=0.4)), inputs_of(DENSE)
    for found, wanted in zip(hardware.moments(x), hardware.moments(x.clamp_max(0.4)), strict=True):
        assert found.equal(wanted)


def programmed(product: Product, tile_rows: int) -> tuple[HardwareLayer, torch.Tensor]:
    """A layer of real cells, and the summed conductance of each of its rows."""
    cells = PRESET.program(wanted_of(software_of(product)), 8.0, KEY.child("chip")).cells
    spec = spec_of(PRESET, tile_rows=tile_rows)
    layer = HardwareLayer(product, torch.zeros(product.outputs), cells, spec)
    return layer, cells.total_conductance.sum(1)


def test_events_of_a_dense_layer_by_hand():
    """8 bits: 0.001 is code 0, so its row is not driven; 2 is driven at full scale."""
    product = Dense(5, 3)
    layer, conductance = programmed(product, tile_rows=2)
    x = torch.tensor([[0.0, 0.2, 1.0, 0.001, 2.0], [-1.0, 0.0, 0.4, 0.0, 0.0]])
    found = layer.activity("last", x, torch.zeros(2, 3))
    events, volts, window = found.events, PRESET.read.voltage, PRESET.read.window
    assert (found.name, found.positions, [t.rows for t in found.tiles]) == ("last", 1, [2, 2, 1])
    assert events.row_drives == (3 + 1) / 2
    assert events.tile_reads == 3
    assert events.integrations == events.conversions == events.accumulations == 3 * 3
    assert events.activations == 3
    assert (events.buffer_bits_read, events.buffer_bits_written) == (5 * 8, 3 * 8)
    assert events.cell_reads == 5 * 3
    drives = [(1, 0.2), (2, 1.0), (4, 1.0), (2, 0.4)]  # 0.2 and 0.4 are codes 51 and 102
    joules = sum((u * volts) ** 2 * float(conductance[row]) * window for row, u in drives) / 2
    assert events.array_energy == pytest.approx(joules, rel=1e-6)
    assert events.write_pulses == events.write_energy == 0


def test_events_of_a_convolution_by_hand():
    """A 3 × 3 image with one dark pixel, two outputs, kernel 2: four windows of four rows."""
    product = Convolution(1, 2, 2)
    layer, conductance = programmed(product, tile_rows=3)
    image = [[1.0, 0.0, 0.2], [0.4, 1.0, 0.6], [0.0, 0.8, 1.0]]
    x = torch.tensor([[image]])
    found = layer.activity("conv", x, torch.zeros(1, 2, 2, 2))
    windows = [
        [image[i + di][j + dj] for di in range(2) for dj in range(2)]
        for i in range(2)
        for j in range(2)
    ]
    volts, window = PRESET.read.voltage, PRESET.read.window
    joules = sum(
        (u * volts) ** 2 * float(g) * window
        for pixels in windows
        for u, g in zip(pixels, conductance, strict=True)
    )
    assert found.positions == 4
    assert found.events.row_drives == sum(u > 0 for pixels in windows for u in pixels) == 13
    assert found.events.tile_reads == 4 * 2
    assert found.events.conversions == found.events.integrations == 4 * 2 * 2
    assert found.events.activations == 4 * 2
    assert found.events.buffer_bits_read == 4 * 2 * 8  # a step uncovers one column of two pixels
    assert found.events.cell_reads == 4 * 4 * 2
    assert found.events.array_energy == pytest.approx(joules, rel=1e-6)


def test_padding_drives_no_row():
    product = Convolution(1, 1, 3, padding=1)
    layer, _ = programmed(product, tile_rows=9)
    events = layer.activity("conv", torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)).events
    assert events.row_drives == 4 * 4
    assert events.cell_reads == 4 * 9


def test_activity_leaves_no_gradient_behind():
    layer, _ = programmed(Dense(5, 3), tile_rows=2)
    with torch.no_grad():
        energy = layer.activity("last", uniform(2, 5), torch.zeros(2, 3)).events.array_energy
    assert energy > 0
    assert not any(b.requires_grad for b in layer.buffers())


@pytest.mark.parametrize("product", [DENSE, CONVOLUTION], ids=["dense", "conv"])
def test_offsets_of_converters_reach_the_output_and_thermal_noise_is_fresh(product):
    """Ideal cells of no spread: what differs from the ideal layer is the converters' alone."""
    software, x = software_of(product), inputs_of(product)
    spec = spec_of(cell_of(8), tile_rows=3)
    offset = torch.arange(3.0 * product.outputs).reshape(3, -1).double() - 4
    adcs = MadeAdcs(
        adc=Adc(bits=8), errors=AdcErrors(offset=1.0, thermal_noise=0.0), offset=offset,
        thresholds=None, converter=shared_converters(3, product.outputs, 2),
    )  # fmt: skip
    plain, made = ideal(software, spec), ideal(software, replace(spec, adcs=adcs))
    noisy = replace(adcs, errors=AdcErrors(thermal_noise=2.0))
    loud = ideal(software, replace(spec, adcs=noisy))
    with torch.no_grad():
        for layer in (plain, made, loud):
            layer.adc_range.fill_(10.0)
        mean, deviation = plain.moments(x)
        quiet = (mean, torch.zeros_like(deviation))
        noise = KeyedNoise.from_key(KEY)
        wanted, found = (layer.draw(quiet, noise) for layer in (plain, made))
        step, shift = 10 / 127, product.per_output(offset.sum(0).float())
        torch.testing.assert_close(
            found - wanted, (step * shift).expand_as(found), rtol=0, atol=1e-5
        )
        first, second = (loud.draw(quiet, noise) for _ in range(2))
    assert float((first - second).std()) == pytest.approx(step * (2 * 3 * 4) ** 0.5, rel=0.35)
