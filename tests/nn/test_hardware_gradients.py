"""Gradients through tiles: exact where nothing rounds, straight through where it does."""

from dataclasses import replace

import pytest
import torch

from bayespin.array import crossbar
from bayespin.array.converter_errors import AdcErrors
from bayespin.array.hold import Hold
from bayespin.array.reads import ReadSchedule
from bayespin.chip.accelerator import Accelerator
from bayespin.network.models import Network
from bayespin.nn.correlated import CorrelatedReads
from bayespin.nn.estimators import local_reparameterised, reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Convolution, Dense
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(9)
PRESET = replace(Accelerator.from_preset(), hold=Hold(energy=0.0, time=0.0))
MADE = replace(PRESET, layout=replace(PRESET.layout, adc_errors=AdcErrors(offset=0.5, dnl=0.1)))
FINE = replace(
    PRESET,
    cell=replace(PRESET.cell, read=replace(PRESET.cell.read, input_bits=12, adc_bits=16)),
)
"""Steps so fine that differences see through them."""
SCHEDULE = ReadSchedule(window=PRESET.cell.read.window, gap=0.0)
SAMPLINGS = {
    "per_read": lambda: local_reparameterised,
    "frozen": lambda: reparameterised,
    "correlated": lambda: CorrelatedReads(within=SCHEDULE),
}
SHAPES = {"dense": (Dense(40, 6), (5, 40)), "map": (Convolution(2, 3, 3), (5, 2, 6, 6))}


def deployed(chip, kind, devices="spintronic"):
    product, shape = SHAPES[kind]
    x = torch.rand(shape, generator=KEY.child("x").generator())
    network = Network({"only": MeanFieldLayer(product, KEY.child("layer"))})
    twin = chip.deploy(network, x.repeat(20, *[1] * (x.ndim - 1)), KEY, devices)
    return twin.network.stages["only"], x


@pytest.mark.parametrize("kind", SHAPES)
def test_moments_have_exact_gradients(kind):
    layer, x = deployed(PRESET, kind, "ideal")  # without read noise, whose table has steps
    layer = layer.double()
    codes = (x.double() * 255).round() + 0.3
    codes.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda c: crossbar.moments(c, layer._weights(), layer.tiling), (codes[:2],), atol=1e-6
    )


@pytest.mark.parametrize("kind", SHAPES)
def test_cells_have_exact_gradients(kind):
    layer, x = deployed(PRESET, kind)
    layer, codes = layer.double(), (x[:2].double() * 255).round()
    weights = layer._weights()

    def moments(mean, variance):
        cells = replace(weights, mean=mean, variance=variance)
        return crossbar.moments(codes, cells, layer.tiling)

    ways = [torch.randn(w.shape, dtype=w.dtype, generator=KEY.child("way").generator())
            for w in (weights.mean, weights.variance)]  # fmt: skip
    cells = [w.detach().clone().requires_grad_() for w in (weights.mean, weights.variance)]
    found = sum(m.sum() for m in moments(*cells))
    slope = torch.autograd.grad(found, cells)
    step = 1e-6
    with torch.no_grad():
        up, down = (
            sum(
                m.sum()
                for m in moments(
                    *(c + sign * step * c.abs() * w for c, w in zip(cells, ways, strict=True))
                )
            )
            for sign in (1, -1)
        )
        along = sum((s * c.abs() * w).sum() for s, c, w in zip(slope, cells, ways, strict=True))
    assert float(along) == pytest.approx(float(up - down) / (2 * step), rel=1e-5)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("kind", SHAPES)
def test_a_read_has_the_slope_of_differences_with_the_same_noise(kind, sampling):
    layer, x = deployed(FINE, kind)
    layer, x = layer.double(), x.double().clamp(0.1, 0.8)
    x[0] = 0.0  # an image without light, where spreads vanish

    def read(x):
        return layer(x, noise(), SAMPLINGS[sampling]())

    draw = KEY.child("weight").generator()
    weight = torch.randn(read(x).shape, dtype=torch.float64, generator=draw)
    x.requires_grad_()
    (slope,) = torch.autograd.grad((weight * read(x)).sum(), x)
    assert bool(torch.isfinite(slope).all())
    way = torch.where(slope < 0, -1, 1) * torch.rand(x.shape, generator=draw)
    way[0] = 0.0
    step = 0.02 * way  # many steps of the converters
    with torch.no_grad():
        differences = (weight * (read(x + step) - read(x - step))).sum() / 2
    assert float((slope * step).sum()) == pytest.approx(float(differences), rel=5e-3)


def noise():
    return KeyedNoise.from_key(KEY.child("noise"))


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("chip", [PRESET, MADE], ids=["preset", "made converters"])
def test_reads_are_the_same_bits_with_and_without_gradients(chip, sampling):
    layer, x = deployed(chip, "map")
    x[0] = 0.0
    quiet = layer(x, noise(), SAMPLINGS[sampling]())
    traced = layer(x.clone().requires_grad_(), noise(), SAMPLINGS[sampling]())
    assert traced.requires_grad
    assert torch.equal(traced.detach(), quiet)


def test_read_noise_rises_along_its_table():
    layer, x = deployed(PRESET, "dense")
    layer, whole = layer.double(), (x.double() * 200).round()
    bare = replace(layer._weights(), mean=0 * layer.mean, variance=0 * layer.variance)
    bare = replace(bare, profile=None, cross=None, pull=None)

    def power(codes):
        return crossbar.moments(codes, bare, layer.tiling)[1].square().sum()

    codes = whole.clone().requires_grad_()
    (slope,) = torch.autograd.grad(power(codes), codes)
    row = 7
    up = whole.clone()
    up[:, row] += 1
    found = float(power(up) - power(whole))
    assert found != 0
    assert float(slope[:, row].sum()) == pytest.approx(found, rel=1e-6)


def test_where_all_rows_are_dark_gradients_are_finite():
    layer, x = deployed(PRESET, "dense", "ideal")
    x = torch.zeros_like(x).requires_grad_()
    layer(x, noise(), local_reparameterised).sum().backward()
    assert bool(torch.isfinite(x.grad).all())
    assert bool((x.grad != 0).any())
