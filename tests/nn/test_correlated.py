"""Correlated reads of a layer against those of its cells, and their two limits."""

import math
from dataclasses import replace

import pytest
import torch

from bayespin.array.reads import ReadSchedule, Step, exact_reads
from bayespin.array.tiles import ArrayLayout
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import ProgrammedCells
from bayespin.nn.correlated import CorrelatedReads, CorrelatedSampling
from bayespin.nn.estimators import Sampling
from bayespin.nn.hardware import HardwareLayer, HardwareSpec
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Convolution, Dense, Product
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples

KEY = Key.root(0).child("correlated")
CELL = BitCell.preset()
SCHEDULE = ReadSchedule(window=1e-8, gap=3e-9)


def layer_of(product: Product, tau: float | None = None) -> HardwareLayer:
    """Two quiet columns with τ from 1 to 30 ns, or one τ; converters too fine to matter."""
    draw = KEY.child("cells").generator()
    shape = (product.rows, product.outputs)
    mean = torch.rand(shape, generator=draw, dtype=torch.float64) - 0.5
    cells = ProgrammedCells.differential(
        CELL.full_scale * mean, CELL.full_scale * (0.02 + 0.2 * mean.abs()), CELL.output_conductance
    )
    times = 1e-9 * 30 ** torch.rand(shape, generator=draw, dtype=torch.float64)
    times = times if tau is None else torch.full_like(times, tau)
    cells = replace(cells, correlation_time=times.expand(2, *shape))
    read = replace(CELL.read, adc_bits=16, input_bits=12)
    spec = HardwareSpec(
        cell=replace(CELL, read=read), weight_max=1.0, input_scale=1.0, temperature=300.0,
        layout=ArrayLayout(rows=4, outputs=8, outputs_per_adc=1),
    )  # fmt: skip
    layer = HardwareLayer(product, torch.zeros(product.outputs), cells, spec)
    layer.adc_range.fill_(8.0)
    return layer


def passes(layer: HardwareLayer, x: torch.Tensor, count: int, schedule=SCHEDULE) -> torch.Tensor:
    estimator, noise = CorrelatedReads(schedule), KeyedNoise.from_key(KEY.child("noise"))
    with torch.no_grad():
        read = layer.reader(x, estimator)
        return torch.stack([read(noise) for _ in range(count)])


def centred(layer: HardwareLayer, reads: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return (reads - layer.moments(x)[0].sum(0)).double()


def test_passes_of_a_dense_layer_remember_each_other_as_its_cells_do():
    """Covariance between passes is Σ x² S² f(ℓ); the check sees 2 % of the variance."""
    layer = layer_of(Dense(6, 2))
    images = required_samples(math.sqrt(2), 0.02)
    x = torch.rand(6, generator=KEY.child("x").generator()).expand(images, 6).contiguous()
    y = centred(layer, passes(layer, x, 4), x)
    drive = ((x[0] * 4095).round() / 4095).double()
    step = Step.of(layer.memory, SCHEDULE)
    power = drive.square()[:, None] * layer.deviation.double().square()
    for lag in (0, 1, 3):
        f = step.correlation(lag) if lag else torch.ones_like(step.kept)
        exact = (power * f).sum(0)
        for output in range(2):
            scale = float(power.sum(0)[output])
            product = y[0, :, output] * y[lag, :, output] / scale
            mean_is(product, float(exact[output]) / scale, bias=5e-3)


def test_positions_remember_each_other_as_cells_do():
    """Neighbouring windows differ: exact at lag 1, and within 1 % here at lag 2."""
    layer, x = layer_of(Convolution(1, 2, 2)), torch.rand(1, 1, 2, 5, generator=KEY.generator())
    images = required_samples(math.sqrt(2), 0.02)
    x = (x + 0.5) / 1.5
    many = x.expand(images, 1, 2, 5).contiguous()
    y = centred(layer, passes(layer, many, 1), many)[0].flatten(2)
    windows = layer.parts(x).drives[0].double()
    step = Step.of(layer.memory, SCHEDULE)
    power = layer.deviation.double().square()
    for one, other in ((0, 1), (2, 3), (0, 2)):
        both = windows[one][:, None] * windows[other][:, None] * power
        scale = float((windows[one].square()[:, None] * power).sum(0)[0])
        exact = float((both * step.correlation(other - one)).sum(0)[0]) / scale
        product = y[:, 0, one] * y[:, 0, other] / scale
        mean_is(product, exact, bias=5e-3 if other == one + 1 else 1e-2)


def test_the_fast_form_of_changing_inputs_misses_little_of_the_exact_one():
    """Eight reads of inputs that jitter by a tenth, against one state per cell; no sampling."""
    schedule, rows = SCHEDULE, 64
    draw = KEY.child("jitter").generator()
    base = torch.rand(rows, generator=draw, dtype=torch.float64)
    x = base * (1 + 0.1 * torch.randn(8, rows, generator=draw, dtype=torch.float64))
    power = 0.01 + torch.rand(rows, generator=draw, dtype=torch.float64)
    f = [Step.of(torch.tensor(8e-9).double(), schedule).correlation(lag) for lag in range(1, 8)]
    variance = (x.square() * power).sum(1)
    cosine = (x[1:] * x[:-1] * power).sum(1) / (variance[1:] * variance[:-1]).sqrt()
    for lag in range(1, 8):
        exact = f[lag - 1] * (x[0] * x[lag] * power).sum() / variance[0]
        fast = f[lag - 1] * cosine[:lag].prod() * (variance[lag] / variance[0]).sqrt()
        assert abs(float(exact - fast)) < 1e-2


def test_a_long_memory_is_frozen_and_a_short_one_per_read():
    x = torch.rand(40, 6, generator=KEY.child("x").generator())
    held = layer_of(Dense(6, 2), tau=1.0)
    y = passes(held, x, 3)
    torch.testing.assert_close(y[1:], y[:1].expand(2, 40, 2), rtol=0, atol=2e-3)
    fresh = layer_of(Dense(6, 2), tau=1e-13)
    images = required_samples(1.0, 0.02)
    many = x[:1].expand(images, 6).contiguous()
    y = centred(fresh, passes(fresh, many, 2), many) / fresh.moments(many)[1].square().sum(0).sqrt()
    mean_is(y[0] * y[1], 0.0)


def test_images_are_independent():
    layer = layer_of(Dense(6, 2), tau=1.0)
    x = torch.rand(6, generator=KEY.generator()).expand(4000, 6).contiguous()
    y = centred(layer, passes(layer, x, 1), x)[0]
    mean_is(y[:2000, 0] * y[2000:, 0] / y[:, 0].var(), 0.0)


def test_exact_reads_of_a_layer_agree_with_its_closed_form():
    """One state per cell, for inputs that repeat: the correlation is the weighted mean of f."""
    layer = layer_of(Dense(6, 2))
    images = required_samples(1.0, 0.03)
    x = torch.rand(6, generator=KEY.child("x").generator()).double()
    y = exact_reads(
        x.expand(2, images, 6), layer.deviation.double(), layer.memory, SCHEDULE,
        KeyedNoise.from_key(KEY.child("states")),
    )  # fmt: skip
    power = x.square()[:, None] * layer.deviation.double().square()
    exact = (power * Step.of(layer.memory, SCHEDULE).correlation(1)).sum(0) / power.sum(0)
    scale = power.sum(0)
    mean_is(y[0, :, 0] * y[1, :, 0] / scale[0], float(exact[0]))


def test_software_has_no_memory_and_groups_are_refused():
    software = MeanFieldLayer(Dense(3, 2), KEY)
    with pytest.raises(ValueError, match="`correlated` needs cells with a memory"):
        software(torch.ones(1, 3), KeyedNoise.from_key(KEY), CorrelatedReads(SCHEDULE))
    grouped = layer_of(Convolution(2, 2, 2, groups=2))
    with pytest.raises(ValueError, match="take groups=1"):
        passes(grouped, torch.ones(1, 2, 3, 3), 1)
    with pytest.raises(ValueError, match="`period` must be at least the read window of 1e-08 s"):
        CorrelatedSampling(window=1e-8, period=1e-9)
    assert Sampling("correlated") is Sampling.CORRELATED
