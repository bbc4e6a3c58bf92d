"""What the hardware costs, of a network whose answers are known."""

import torch
from torch import nn

from bayespin.chip.accelerator import Accelerator
from bayespin.chip.non_idealities import variants
from bayespin.network.models import Network
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key
from bayespin.study.decomposition import decomposition

KEY = Key.root(0).child("decomposition")
COUNT = 30


def test_every_flaw_is_judged_on_the_same_images():
    """Each image lights the row of its class; half lit rows of other classes blend in."""
    layer = MeanFieldLayer(Dense(10, 10), KEY.child("layer"))
    with torch.no_grad():
        layer.mean.zero_().fill_diagonal_(6.0)
        layer.spread.fill_(-0.5)
    network = Network({"flatten": nn.Flatten(), "dense": layer})
    labels = torch.arange(COUNT) % 10
    images = nn.functional.one_hot(labels, 10).float().view(COUNT, 1, 10, 1)
    chip = Accelerator.from_preset()
    data = (images[:10], images, labels, images.roll(1, 0))
    rows = decomposition(chip, network, data, (4, KEY))
    assert [row["name"] for row in rows] == [v.name for v in variants(chip)]
    base, whole = rows[0], next(row for row in rows if row["name"] == "all")
    assert base["accuracy"] == whole["accuracy"] == 1.0
    assert base["ood_ece"] > base["ece"]  # blends are a coin between two classes
    assert abs(whole["nll"] - base["nll"]) < 0.5
    assert all(row["epistemic"] > 0 for row in rows)
    priced = [row["name"] for row in rows if row["energy_j"] is not None]
    assert priced == ["converters", "all", "all, a year later"]
