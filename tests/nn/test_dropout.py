"""Dropout: moments in closed form, who shares a draw, and rates that make no sense."""

import pytest
import torch

from bayespin.nn.dropout import Dropout
from bayespin.nn.estimators import flipout, local_reparameterised, reparameterised
from bayespin.nn.random_layer import RandomStage
from bayespin.rng import InjectedNoise, Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples, variance_is

KEY = Key.root(0).child("dropout")


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mean_and_variance_are_those_of_a_scaled_coin(rate, dtype):
    """E y = x and Var y = x² p/(1 − p); a rate wrong by 3 % of its own is seen."""
    count = required_samples(((1 - rate) / rate) ** 0.5, 0.03)
    x = torch.full((count, 1), 2.0, dtype=dtype)
    y = Dropout(rate)(x, KeyedNoise.from_key(KEY.child("moments")), local_reparameterised)
    assert y.dtype == dtype
    assert y.unique().tolist() == [0.0, float(x[0] / (1 - rate))]
    dropped = (y[:, 0] == 0).double()
    scaled = (dropped - rate) / (rate * (1 - rate)) ** 0.5
    mean_is(scaled, 0.0)
    if dtype == torch.float32:
        kept = (y[:, 0].double() - 2) / (4 * rate / (1 - rate)) ** 0.5
        mean_is(kept, 0.0)
        variance_is(kept, 1.0)


def test_frozen_images_share_what_is_dropped_and_others_do_not():
    x = torch.ones(6, 200)
    for estimator, distinct in ((reparameterised, 1), (local_reparameterised, 6), (flipout, 6)):
        y = Dropout(0.5)(x, KeyedNoise.from_key(KEY), estimator)
        assert len(y.unique(dim=0)) == distinct


def test_numbers_above_the_threshold_stay():
    """p = 0.1587 is the probability of less than −1."""
    stage = Dropout(0.15865525393145707)
    noise = InjectedNoise([torch.tensor([[-1.0001, -0.9999, 0.0]])])
    y = stage(torch.ones(1, 3), noise, local_reparameterised)
    assert y.tolist() == [pytest.approx([0.0, 1.1885735, 1.1885735])]
    assert isinstance(stage, RandomStage)
    assert not isinstance(torch.nn.Dropout(), RandomStage)


def test_gradients_reach_what_is_kept():
    x = torch.ones(1, 3, requires_grad=True)
    noise = InjectedNoise([torch.tensor([[-1.0, 1.0, 1.0]])])
    Dropout(0.5)(x, noise, local_reparameterised).sum().backward()
    assert x.grad.tolist() == [[0.0, 2.0, 2.0]]


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_impossible_rates_are_refused(rate):
    with pytest.raises(ValueError, match="`rate` must be between 0 and 1"):
        Dropout(rate)
