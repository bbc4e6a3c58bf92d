"""Networks of every way of training, on a chip of ideal cells: what software predicts."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from bayespin.chip.accelerator import Accelerator
from bayespin.network.baselines import with_dropout
from bayespin.network.ivon import Ivon
from bayespin.network.metrics import accuracy
from bayespin.network.models import Network
from bayespin.network.prediction import predict
from bayespin.network.priors import moped
from bayespin.network.training import Recipe, fit
from bayespin.nn.dropout import Dropout
from bayespin.nn.estimators import Sampling
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key

KEY = Key.root(66)
READS = 200


def network_of(layer=MeanFieldLayer) -> Network:
    first, last = (layer(Dense(*shape), KEY.child(*shape)) for shape in ((8, 12), (12, 3)))
    return Network({"first": first, "relu": nn.ReLU(), "last": last})


def data() -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand(120, 8, generator=KEY.child("images").generator())
    return images, images[:, :3].argmax(1)


@pytest.mark.parametrize("way", ["ivon", "moped", "dropout"])
def test_an_ideal_chip_predicts_what_software_does(way):
    """Both are means over 200 reads of probabilities; 0.05 is three standard errors."""
    window = SigmaWindow(floor=0.03, cap=0.06)
    recipe = Recipe(epochs=25, batch=20, learning_rate=0.02, window=window)
    if way == "ivon":
        recipe = replace(recipe, learning_rate=0.1, method=Ivon(start=0.1))
        network = network_of()
    elif way == "moped":
        network = moped(network_of(PointLayer), window=window)
    else:
        network = with_dropout(network_of(), {"relu": 0.3})
    images, labels = data()
    network = fit(network, (images, labels), recipe, KEY.child("fit"))
    twin = Accelerator.from_preset().deploy(network, images, KEY.child("chip"), "ideal")
    chip = twin.predict(images, READS, KEY.child("read"))
    software = predict(network, images, Sampling.PER_READ, READS, KEY.child("software"))
    assert float((chip.mean - software.mean).abs().max()) < 0.05
    apart = (chip.epistemic.mean() / software.epistemic.mean()).item()
    assert 0.8 < apart < 1.25
    assert accuracy(software.mean, labels) > 0.6  # it has learnt something
    if way == "dropout":
        assert isinstance(twin.network.stages["relu_dropout"], Dropout)
