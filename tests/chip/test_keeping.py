"""A chip stays the same chip through everything that torch does with modules."""

import copy
import io
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributed import FileStore, destroy_process_group, init_process_group

from bayespin.array.converter_errors import AdcErrors
from bayespin.chip.accelerator import Accelerator
from bayespin.network.models import Network
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(5)
PRESET = Accelerator.from_preset()
ERRORS = AdcErrors(offset=0.5, dnl=0.1)
CHIPS = {
    "preset": PRESET,
    "made converters": replace(PRESET, layout=replace(PRESET.layout, adc_errors=ERRORS)),
}
IMAGES = torch.rand(300, 20, generator=KEY.child("images").generator())


@pytest.fixture(scope="module", params=CHIPS)
def chip(request):
    return CHIPS[request.param]


@pytest.fixture(scope="module")
def twin(chip):
    return deployed(chip, KEY)


def deployed(chip, key):
    layers = {"one": Dense(20, 8), "two": Dense(8, 3)}
    made = {name: MeanFieldLayer(layer, KEY.child(name)) for name, layer in layers.items()}
    network = Network({"one": made["one"], "relu": nn.ReLU(), "two": made["two"]})
    return chip.deploy(network, IMAGES[:100], key)


def read(twin, network=None):
    twin = twin if network is None else replace(twin, network=network)
    return twin.predict(IMAGES, 3, KEY.child("read")).mean


def test_saved_and_copied_it_gives_the_same_reads(twin):
    file = io.BytesIO()
    torch.save(twin.network, file)
    file.seek(0)
    same = torch.load(file, weights_only=False)
    assert torch.equal(read(twin, same), read(twin))
    assert torch.equal(read(twin, copy.deepcopy(twin.network)), read(twin))


def test_the_state_makes_another_chip_the_same(chip, twin):
    other = deployed(chip, KEY.child("other"))
    assert not torch.equal(read(other), read(twin))
    file = io.BytesIO()
    torch.save(twin.network.state_dict(), file)
    file.seek(0)
    other.network.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(read(other), read(twin))
    layer, its = other.network.stages["one"], twin.network.stages["one"]
    assert (layer.spec.weight_max, layer.clipped_share) == (its.spec.weight_max, its.clipped_share)


def test_one_key_is_one_chip(chip, twin):
    assert torch.equal(read(deployed(chip, KEY)), read(twin))


def test_in_double_precision_the_moments_are_the_same(twin):
    # Draws of another precision are other numbers, so reads themselves differ.
    layer = twin.network.stages["one"]
    double = copy.deepcopy(layer).double()
    for found, exact in zip(layer.moments(IMAGES), double.moments(IMAGES.double()), strict=True):
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-6)
    assert copy.deepcopy(twin.network).to("cpu").stages["one"].mean.dtype == torch.float32


def test_images_of_another_precision_are_refused(twin):
    with pytest.raises(ValueError, match=r"must be torch.float32 on cpu .* but is torch.float64"):
        twin.predict(IMAGES.double(), 3, KEY)


def test_behind_ddp_a_head_on_a_chip_sees_the_same_reads(twin, tmp_path):
    class Head(nn.Module):
        """What is trained on top of a chip; DDP wants parameters."""

        def __init__(self):
            super().__init__()
            self.chip = twin.network
            self.head = nn.utils.skip_init(nn.Linear, 3, 2)
            nn.init.ones_(self.head.weight)
            nn.init.zeros_(self.head.bias)

        def forward(self, x, noise):
            return self.head(self.chip(x, noise, local_reparameterised))

    before, alone = read(twin), Head()
    init_process_group("gloo", store=FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    try:
        shared = nn.parallel.DistributedDataParallel(alone)
        noise = (KeyedNoise.from_key(KEY.child("head")) for _ in range(2))
        assert torch.equal(shared(IMAGES, next(noise)), alone(IMAGES, next(noise)))
    finally:
        destroy_process_group()
    assert torch.equal(read(twin), before)
