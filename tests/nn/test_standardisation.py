"""Standardised inputs: mean zero, unit variance, and a first layer that reads both signs."""

import pytest
import torch

from bayespin.chip.accelerator import Accelerator
from bayespin.network.architectures import lenet5
from bayespin.network.prediction import predict
from bayespin.nn.estimators import Sampling
from bayespin.nn.point import PointLayer
from bayespin.nn.standardisation import Standardise
from bayespin.rng import Key

KEY = Key.root(51)
IMAGES = torch.rand(20, 1, 28, 28, generator=KEY.generator()) * 0.7


def test_what_it_is_like_becomes_standard():
    found = Standardise.like(IMAGES)(IMAGES)
    assert float(found.mean()) == pytest.approx(0, abs=1e-6)
    assert float(found.std()) == pytest.approx(1, rel=1e-6)


def test_a_network_of_standardised_inputs_is_the_network_given_those():
    stage = Standardise.like(IMAGES)
    inside = lenet5(KEY, PointLayer, stage)
    outside = lenet5(KEY, PointLayer)
    one, other = (
        predict(network, x, Sampling.FROZEN, 1, KEY).mean
        for network, x in ((inside, IMAGES), (outside, stage(IMAGES)))
    )
    torch.testing.assert_close(one, other)


def test_a_chip_reads_the_first_layer_in_both_signs():
    network = lenet5(KEY, inputs=Standardise.like(IMAGES))
    twin = Accelerator.from_preset().deploy(network, IMAGES, KEY, "ideal")
    signed = {n: s.spec.signed for n, s in twin.network.random_layers().items()}
    assert signed == {"conv1": True, "conv2": False, "dense1": False,
                      "dense2": False, "dense3": False}  # fmt: skip
    again = lenet5(KEY, inputs=Standardise())  # what a file restores
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.stages["standardise"].mean, network.stages["standardise"].mean)


@pytest.mark.parametrize("numbers", [(0.0, 0.0), (0.0, float("nan")), (float("inf"), 1.0)])
def test_what_cannot_standardise_is_refused(numbers):
    with pytest.raises(ValueError, match="must be finite, the second positive"):
        Standardise(*numbers)
