"""Evaluation against networks whose answers are known by construction."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from bayespin.network.models import Network
from bayespin.network.prediction import Execution
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key
from bayespin.study import evaluate
from bayespin.study.evaluate import Row

COUNT, STRONG = 40, 8.0


class FirstPixels(nn.Module):
    """Logits are the first ten pixels, times a factor."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return STRONG * x.flatten(1)[:, :10]


@pytest.fixture
def sure() -> Row:
    return Row(
        model="dnn", where="software", sampling="none", network=Network({"a": FirstPixels()})
    )


@pytest.fixture
def bayesian() -> Row:
    """The same logits, with a noise of 1 per active pixel."""
    head = MeanFieldLayer(Dense(784, 10), Key.root(0))
    with torch.no_grad():
        head.mean.zero_()[:, :10].fill_diagonal_(STRONG)
        head.spread.fill_(math.log(math.e - 1))
    network = Network({"flatten": nn.Flatten(), "head": head})
    return Row(model="bnn", where="software", sampling="per_read", network=network)


@pytest.fixture
def told() -> evaluate.TestSet:
    """Each image tells its class in its first ten pixels; one in four is labelled otherwise."""
    classes = torch.arange(COUNT) % 10
    images = torch.zeros(COUNT, 1, 28, 28)
    images[torch.arange(COUNT), 0, 0, classes] = 1
    labels = torch.where(torch.arange(COUNT) % 4 == 0, (classes + 1) % 10, classes)
    blank = torch.zeros(COUNT, 1, 28, 28)
    return evaluate.TestSet(images=images, labels=labels, partners=blank, foreign=blank[:30])


def softmax_peak(logit: float) -> float:
    return math.exp(logit) / (math.exp(logit) + 9)


def test_numbers_of_a_network_that_is_always_sure(sure, told):
    """Confidence p, accuracy 3/4; each wrong label has probability (1 − p)/9."""
    p = softmax_peak(STRONG)
    rest = (1 - p) / 9
    found = evaluate.clean(sure, told, 5, Key.root(1), Execution())
    assert found["accuracy"] == 0.75
    assert found["nll"] == pytest.approx(-0.75 * math.log(p) - 0.25 * math.log(rest), rel=1e-5)
    right, wrong = (1 - p) ** 2 + 9 * rest**2, p**2 + (1 - rest) ** 2 + 8 * rest**2
    assert found["brier"] == pytest.approx(0.75 * right + 0.25 * wrong, rel=1e-5)
    assert found["ece"] == pytest.approx(p - 0.75, rel=1e-5)
    assert found["ood_signed_error"] == pytest.approx(p - 0.75, rel=1e-5)
    assert found["ood_ece"] == found["ece"]
    assert found["auroc_total"] == 1.0  # blank images leave it undecided
    assert found["auroc_epistemic"] is None
    entropy = -p * math.log(p) - 9 * rest * math.log(rest)
    assert found["ood_entropy"] == pytest.approx(
        {"total": entropy, "aleatoric": entropy, "epistemic": 0}, rel=1e-4, abs=1e-9
    )
    assert found["ece_floor_range"][0] <= found["ece_floor"] <= found["ece_floor_range"][1]


def test_a_blend_weakens_the_known_image_in_proportion(sure, told):
    for fraction in (0.25, 0.5, 0.9):
        images = told.blended(fraction, 20)
        assert torch.allclose(images, (1 - fraction) * told.images[:20])
        found = evaluate.blend(sure, images, told.labels[:20], 5, Key.root(1), Execution())
        p = softmax_peak(STRONG * (1 - fraction))
        assert found["ood_signed_error"] == pytest.approx(p - 0.75, rel=1e-5)
        assert found["ood_accuracy"] == 0.75


def test_a_blend_adds_the_partner(told):
    bright = replace(told, partners=torch.ones_like(told.images))
    assert torch.allclose(bright.blended(0.3, COUNT), 0.7 * told.images + 0.3)


def test_epistemic_doubt_is_measured_where_there_is_some(bayesian, told):
    found = evaluate.clean(bayesian, told, 4, Key.root(1), Execution())
    assert found["ood_entropy"]["epistemic"] > 1e-6
    assert found["auroc_epistemic"] == 0.0  # what is blank moves no weight: no doubt at all
    bright = replace(told, foreign=torch.ones_like(told.foreign))
    every = evaluate.clean(bayesian, bright, 4, Key.root(1), Execution())
    assert every["auroc_epistemic"] == 1.0
    again = evaluate.clean(bayesian, told, 4, Key.root(1), Execution(workers=2))
    assert again == found
    assert evaluate.clean(bayesian, told, 4, Key.root(5), Execution())["nll"] != found["nll"]


def test_examples_are_distributions_within_their_bands(sure, bayesian, told):
    shown = evaluate.examples([sure, bayesian], told, 6, Key.root(1))
    assert [e["note"] for e in shown] == ["clean"] * 3 + ["blend 0.5"] * 2 + ["digit"]
    assert [e["blend"] for e in shown] == [0.0] * 3 + [0.5] * 2 + [1.0]
    assert [e["label"] for e in shown] == [*told.labels[[0, 1, 2, 0, 1]].tolist(), -1]
    assert shown[1]["image"][0][:3] == [0, 255, 0]
    assert shown[4]["image"][0][:3] == [0, 128, 0]
    for example in shown:
        for name, row in example["rows"].items():
            assert math.fsum(row["mean"]) == pytest.approx(1, abs=1e-6)
            bands = zip(row["low"], row["mean"], row["high"], strict=True)
            assert all(low <= mean + 1e-6 and mean <= high + 1e-6 for low, mean, high in bands)
            doubtful = name == bayesian.key and example["note"] != "digit"  # that one is blank
            assert (row["epistemic"] > 1e-9) == doubtful


def test_a_set_of_one_image_has_examples(sure, told):
    one = evaluate.TestSet(images=told.images[:1], labels=told.labels[:1],
                  partners=told.partners[:1], foreign=told.foreign[:1])  # fmt: skip
    shown = evaluate.examples([sure], one, 2, Key.root(1))
    assert [e["note"] for e in shown] == ["clean", "blend 0.5", "digit"]
