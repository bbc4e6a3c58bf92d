"""Ceilings: where they are set, what they clip, and that a checkpoint keeps them."""

import pytest
import torch
from torch import nn

from bayespin.network.architectures import lenet5
from bayespin.network.ceilings import clippable, set_ceilings
from bayespin.network.checkpoint import load_network, save_network
from bayespin.network.models import Network
from bayespin.nn.clipped_relu import ClippedReLU
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.point import PointLayer
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(0).child("ceilings")


def images(count: int = 40) -> torch.Tensor:
    return torch.empty(count, 1, 28, 28).uniform_(generator=KEY.child("images").generator())


def out(network: Network, x: torch.Tensor) -> torch.Tensor:
    return network(x, KeyedNoise.from_key(KEY), local_reparameterised)


def test_a_clipped_relu_saturates():
    x = torch.tensor([-1.0, 0.5, 2.0, 3.0])
    assert torch.equal(ClippedReLU(2.0)(x), torch.tensor([0.0, 0.5, 2.0, 2.0]))
    assert torch.equal(ClippedReLU()(x), torch.relu(x))


def test_without_ceilings_nothing_changes():
    network = lenet5(KEY.child("net"), PointLayer)
    x = images()
    assert torch.equal(out(clippable(network), x), out(network, x))


def test_a_share_of_the_positive_inputs_stays_below():
    """Stage by stage, behind what is already clipped."""
    network = clippable(lenet5(KEY.child("net"), PointLayer))
    set_ceilings(network, images(), 0.9, KEY)
    values = {"input": images()}

    def step(name, taken):
        stage = network.stages[name]
        if isinstance(stage, ClippedReLU):
            positive = taken[0][taken[0] > 0]
            below = (positive <= stage.ceiling).double().mean()
            assert float(below) == pytest.approx(0.9, abs=0.01)
        return stage(*taken)

    network.through(values, network.stages, step)
    assert sum(isinstance(s, ClippedReLU) for s in network.stages.values()) == 4


def test_a_checkpoint_keeps_ceilings(tmp_path):
    network = set_ceilings(clippable(lenet5(KEY, PointLayer)), images(), 0.8, KEY)
    save_network(tmp_path / "n.safetensors", network)
    other = load_network(tmp_path / "n.safetensors", clippable(lenet5(KEY.child("b"), PointLayer)))
    assert torch.equal(out(other, images()), out(network, images()))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="`ceiling` must be positive and finite, but is 0"):
        ClippedReLU(0.0)
    with pytest.raises(ValueError, match="must have a `ReLU` to clip"):
        clippable(Network({"flatten": nn.Flatten()}))
    network = clippable(lenet5(KEY, PointLayer))
    with pytest.raises(ValueError, match="`share` must be between 0 and 1, but is 1"):
        set_ceilings(network, images(), 1.0, KEY)
