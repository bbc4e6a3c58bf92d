"""One flaw at a time: each variant has its flaw, and no other."""

from dataclasses import replace

import pytest
import torch

from bayespin.array.crossbar import read_noise
from bayespin.chip.accelerator import Accelerator
from bayespin.chip.non_idealities import FINE, Quiet, variants
from bayespin.network.models import Network
from bayespin.nn.estimators import Sampling
from bayespin.nn.hardware import HardwareLayer
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key
from tests.chip.other_cells import DigitalSampler

KEY = Key.root(0).child("non-idealities")
CHIP = Accelerator.from_preset()
ROWS, OUTPUTS = 30, 8


@pytest.fixture(scope="module")
def network() -> Network:
    layer = MeanFieldLayer(Dense(ROWS, OUTPUTS), KEY.child("layer"))
    with torch.no_grad():
        layer.spread.fill_(-3.0)
    return Network({"dense": layer})


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.empty(60, ROWS).uniform_(generator=KEY.child("images").generator())


@pytest.fixture(scope="module")
def layers(network, images) -> dict[str, HardwareLayer]:
    return {
        v.name: v.deploy(network, images, KEY.child("chip")).network.stages["dense"]
        for v in variants(CHIP)
    }


def heat(layer: HardwareLayer, x: torch.Tensor) -> float:
    found = read_noise(layer.dac.codes(x), layer._weights(), layer.tiling)
    return 0.0 if found is None else float(found.abs().max())


def test_the_base_is_what_was_trained(layers, network, images):
    layer, trained = layers["base"], network.stages["dense"]
    mean, deviation = layer.moments(images)
    wanted, spread = (t.detach() for t in trained.moments(images))
    torch.testing.assert_close(mean.sum(0) + layer.bias, wanted, rtol=0, atol=2e-3)
    torch.testing.assert_close(deviation.square().sum(0).sqrt(), spread, rtol=2e-3, atol=0)
    assert layer.dac.bits == layer.adc.bits == FINE


def test_each_variant_has_its_own_flaw_and_no_other(layers, images):
    noisy = {name for name, layer in layers.items() if heat(layer, images) > 1e-9}
    assert noisy == {"read noise", "all", "all, a year later"}
    wired = {name for name, layer in layers.items() if layer.spec.layout.wires is not None}
    assert wired == {"wires", "all", "all, a year later"}
    coarse = {name for name, layer in layers.items() if layer.adc.bits < FINE}
    assert coarse == {"converters", "all", "all, a year later"}
    warm = {name for name, layer in layers.items() if layer.spec.temperature > 310}
    assert warm == {"warmer", "all", "all, a year later"}


def test_levels_round_means_and_programming_adds_to_it(layers, network):
    """A step of the track is 1/15 of the range: rms 0.29 of it; devices that differ add more."""
    wanted = network.stages["dense"].mean.detach().double()
    off = {
        name: float((layer.acting_mean() - wanted).square().mean().sqrt())
        for name, layer in layers.items()
        if name in ("base", "converters", "levels", "read noise", "programming")
    }
    assert off["base"] == pytest.approx(0, abs=1e-6)
    assert off["converters"] == pytest.approx(0, abs=1e-6)
    assert off["levels"] > 1e-4
    assert off["read noise"] == pytest.approx(off["levels"], rel=1e-3)
    assert off["programming"] > 1.02 * off["levels"]


def test_a_quiet_cell_is_read_without_noise_at_any_age(images, network):
    chip = replace(CHIP, cell=Quiet(cell=CHIP.cell))
    twin = chip.deploy(network, images, KEY).used_at(age=1e6)
    assert heat(twin.network.stages["dense"], images) == 0.0
    assert chip.cell.read_noise(8.0) == 0.0
    assert chip.cell.sampling_period() == CHIP.cell.sampling_period()


def test_only_correlated_reads_remember(network, images):
    by_name = {v.name: v for v in variants(CHIP)}
    assert {n for n, v in by_name.items() if v.sampling is Sampling.CORRELATED} == {
        "correlated reads"
    }
    assert by_name["all, a year later"].age > 3e7
    twin = by_name["correlated reads"].deploy(network, images, KEY)
    found = twin.predict(images[:5], 4, KEY, sampling=Sampling.CORRELATED)
    assert found.mean.shape == (5, OUTPUTS)


def test_other_cells_are_refused_by_name():
    cell = DigitalSampler(read=CHIP.cell.read, environment=CHIP.cell.environment)
    with pytest.raises(ValueError, match=r"`cell` must be a BitCell .* but is a DigitalSampler"):
        variants(replace(CHIP, cell=cell))
