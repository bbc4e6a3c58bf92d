"""Temperature: every read's logits are divided, in software and on the chip."""

import pytest
import torch
from torch import nn

import bayespin as bs
from bayespin.network.models import Network
from bayespin.network.temperature import tempered
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(0).child("temperature")


def small() -> tuple[Network, torch.Tensor]:
    first = MeanFieldLayer(Dense(12, 9), KEY.child("first"))
    last = MeanFieldLayer(Dense(9, 4), KEY.child("last"), prior_sigma=0.5)
    with torch.no_grad():
        last.bias.copy_(torch.arange(4.0))
    network = Network({"first": first, "relu": nn.ReLU(), "last": last})
    return network, torch.rand(200, 12, generator=KEY.child("x").generator())


@torch.no_grad()
def read(network: Network, x: torch.Tensor) -> torch.Tensor:
    return network(x, KeyedNoise.from_key(KEY.child("read")), local_reparameterised)


@pytest.mark.parametrize("temperature", [0.5, 0.93, 3.0])
def test_every_read_is_divided(temperature):
    network, x = small()
    colder = tempered(network, temperature)
    torch.testing.assert_close(read(colder, x), read(network, x) / temperature)
    assert colder.stages["last"].prior_sigma == 0.5


def test_cells_of_a_chip_hold_what_they_held():
    network, x = small()
    chip, key = bs.Accelerator.from_preset(), KEY.child("chip")
    twins = [chip.deploy(n, x, key) for n in (network, tempered(network, 0.5))]
    plain, colder = (twin.mappings[-1] for twin in twins)
    assert colder.weight_max == pytest.approx(2 * plain.weight_max, rel=1e-5)
    assert colder.gain == plain.gain
    first, second = (read(twin.network, x) for twin in twins)
    assert float((second / 2 - first).abs().mean()) < 0.02 * float(first.std())


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperatures_are_positive(temperature):
    with pytest.raises(ValueError, match="`temperature` must be positive, but is"):
        tempered(small()[0], temperature)


def test_other_outputs_are_refused():
    network, _ = small()
    ended = Network({**dict(network.stages.items()), "end": nn.Tanh()})
    with pytest.raises(ValueError, match=r"must end in a mean-field layer .* but ends in a Tanh"):
        tempered(ended, 0.5)
