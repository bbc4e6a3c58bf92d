"""Batch norm folded into Gaussian and deterministic layers, against torch in evaluation mode."""

import pytest
import torch
from torch import nn

from bayespin.nn.estimators import reparameterised
from bayespin.nn.folding import folded, scale_and_shift
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Convolution, Dense
from bayespin.rng import InjectedNoise, Key

KEY = Key.root(0).child("folding")
CASES = {
    "dense": (Dense(5, 4), nn.BatchNorm1d, (6, 5)),
    "tokens": (Convolution(5, 4, 3, padding=1, axes=1), nn.BatchNorm1d, (6, 5, 7)),
    "conv": (Convolution(2, 4, 3, groups=2), nn.BatchNorm2d, (6, 2, 5, 5)),
}
cases = pytest.mark.parametrize("case", CASES)


def normal(name: str, *shape: int) -> torch.Tensor:
    return torch.empty(shape).normal_(generator=KEY.child(name).generator())


def randomised(norm: nn.Module) -> nn.Module:
    """A norm whose statistics and scales all differ, some scales below zero."""
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean"):
            getattr(norm, name).copy_(normal(name, norm.num_features))
        norm.running_var.copy_(normal("v", norm.num_features).square() + 0.1)
    assert bool((norm.weight < 0).any())
    return norm.eval()


def built(case: str, kind: type) -> tuple[nn.Module, nn.Module, torch.Tensor]:
    product, norm, shape = CASES[case]
    layer = kind(product, KEY.child("layer"))
    with torch.no_grad():
        layer.bias.copy_(normal("b", product.outputs))
        if kind is MeanFieldLayer:
            layer.spread.copy_(normal("spread", *product.weight_shape) - 2)
    return layer, randomised(norm(product.outputs)), normal("x", *shape)


@cases
def test_deterministic_layers(case):
    layer, norm, x = built(case, PointLayer)
    torch.testing.assert_close(folded(layer, norm)(x), norm(layer(x)), rtol=1e-6, atol=2e-6)


@cases
def test_means_are_normed_and_deviations_scaled(case):
    layer, norm, x = built(case, MeanFieldLayer)
    mean, deviation = layer.moments(x)
    found = folded(layer, norm).moments(x)
    torch.testing.assert_close(found[0], norm(mean), rtol=1e-6, atol=2e-6)
    scale = layer.product.per_output(scale_and_shift(norm)[0].float())
    torch.testing.assert_close(found[1], deviation * scale.abs(), rtol=1e-5, atol=1e-6)


@cases
def test_drawn_weights_are_normed(case):
    """The same ε, its sign turned where the norm's scale is negative: a Gaussian is symmetric."""
    layer, norm, x = built(case, MeanFieldLayer)
    epsilon = normal("epsilon", *layer.product.weight_shape)
    scale = scale_and_shift(norm)[0].float()
    turned = epsilon * scale.sign().view(-1, *[1] * (epsilon.ndim - 1))
    wanted = norm(reparameterised(layer, x, InjectedNoise([epsilon])))
    found = reparameterised(folded(layer, norm), x, InjectedNoise([turned]))
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=3e-6)


def test_norms_without_affine_parameters_fold():
    layer, _, x = built("dense", PointLayer)
    norm = nn.BatchNorm1d(4, affine=False).eval()
    norm.running_mean.copy_(normal("m", 4))
    torch.testing.assert_close(folded(layer, norm)(x), norm(layer(x)), rtol=1e-6, atol=2e-6)


def test_what_cannot_be_folded_is_refused():
    layer, norm, _ = built("dense", MeanFieldLayer)
    with pytest.raises(ValueError, match=r"`bn` must have running statistics.*none"):
        folded(layer, nn.BatchNorm1d(4, track_running_stats=False), "bn")
    with pytest.raises(ValueError, match="outputs, 4, but has 3"):
        folded(layer, nn.BatchNorm1d(3))
    with torch.no_grad():
        norm.weight[1] = 0
    with pytest.raises(ValueError, match="1 of 4 are zero"):
        folded(layer, norm)


def test_layers_hold_only_what_fits():
    mean = torch.zeros(4, 5)
    with pytest.raises(ValueError, match=r"shapes \(4, 5\) twice and \(4,\), but have"):
        MeanFieldLayer.holding(Dense(5, 4), mean, mean, torch.zeros(5))
    with pytest.raises(ValueError, match=r"must not be negative, but its smallest is -1\.0"):
        MeanFieldLayer.holding(Dense(5, 4), mean, mean - 1, torch.zeros(4))
