"""Three ways to draw Gaussian weights: equal moments per output, different covariances.

Every check standardises by the closed form. It sees a mean wrong by 5 % of σ, a variance wrong by
10 % and a correlation wrong by 0.05 with 99.9 % probability.
"""

import pytest
import torch

from bayespin.nn import estimators
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Convolution, Dense
from bayespin.rng import InjectedNoise, Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples, variance_is

KEY = Key.root(0).child("estimators")
NAMES = ("reparameterised", "flipout", "local_reparameterised")
COUNT = required_samples(1.0, 0.05)


class ShapesOf:
    """Noise of zeros that remembers what was asked for."""

    def __init__(self):
        self.shapes = []

    def normal(self, like):
        self.shapes.append(like.shape)
        return torch.zeros_like(like)


def layer_of(product) -> MeanFieldLayer:
    layer = MeanFieldLayer(product, KEY.child("layer")).double()
    with torch.no_grad():
        layer.spread.normal_(-1.0, 0.5, generator=KEY.child("spread").generator())
        layer.bias.normal_(generator=KEY.child("bias").generator())
    return layer


DENSE, CONVOLUTION = layer_of(Dense(4, 3)), layer_of(Convolution(2, 3, 2))
# Images are alike, as real ones are, so that sharing a draw correlates their outputs.
IMAGES = torch.tensor([[1.0, 0.5, -0.3, 0.0], [0.8, 0.7, 0.1, -0.5]], dtype=torch.float64)
MAPS = (torch.arange(24.0, dtype=torch.float64) % 7 - 2).reshape(1, 2, 3, 4) / 3


def draws(layer, x, name: str, count: int) -> list[torch.Tensor]:
    asked = ShapesOf()
    getattr(estimators, name)(layer, x, asked)
    noise = KeyedNoise.from_key(KEY.child(name))
    return [noise.normal(x.new_empty(count, *shape)) for shape in asked.shapes]


def scaled_outputs(layer, x, name: str, count: int = COUNT) -> torch.Tensor:
    """Independent forward passes, less their closed-form mean, over their closed-form deviation."""
    mean, deviation = (m.detach() for m in layer.moments(x))
    estimator = getattr(estimators, name)

    def forward(*noise):
        return estimator(layer, x, InjectedNoise(list(noise)))

    with torch.no_grad():
        return (torch.func.vmap(forward)(*draws(layer, x, name, count)) - mean) / deviation


def correlation(layer, x, first: tuple, second: tuple) -> float:
    """Σ x x' σ² / √(Σ x² σ² Σ x'² σ²) of two outputs of one draw of weights, by exact derivatives.

    dy/dw is the input that meets w, so the sums run over all weights, whatever the map.
    """
    weight = layer.mean.detach().clone().requires_grad_()
    y = layer.product.apply(x, weight)
    a, b = (torch.autograd.grad(y[k], weight, retain_graph=True)[0] for k in (first, second))
    variance = layer.sigma().detach().square()
    products = [(p * q * variance).sum() for p, q in ((a, b), (a, a), (b, b))]
    return float(products[0] / (products[1] * products[2]).sqrt())


@pytest.mark.parametrize("name", NAMES)
def test_moments_per_output_are_the_closed_form(name):
    """Outputs of one image use different weights, so they are independent samples."""
    z = scaled_outputs(DENSE, IMAGES, name)[:, 0]
    mean_is(z, 0.0)
    variance_is(z, 1.0)


@pytest.mark.parametrize("name", NAMES)
def test_moments_of_a_convolution_are_the_closed_form(name):
    z = scaled_outputs(CONVOLUTION, MAPS, name)[:, 0, :, 1, 1]
    mean_is(z, 0.0)
    variance_is(z, 1.0)


def test_two_images_share_a_frozen_draw_and_nothing_else():
    pairs = [correlation(DENSE, IMAGES, (0, k), (1, k)) for k in range(3)]
    exact = sum(pairs) / 3
    assert exact > 0.5
    for name, wanted in zip(NAMES, (exact, 0.0, 0.0), strict=True):
        z = scaled_outputs(DENSE, IMAGES, name)
        mean_is(z[:, 0] * z[:, 1], wanted)


def test_two_positions_share_a_draw_unless_every_read_is_fresh():
    """Flipout's signs are per image and channel, so positions of one image stay correlated."""
    exact = correlation(CONVOLUTION, MAPS, (0, 1, 0, 0), (0, 1, 0, 1))
    assert abs(exact) > 0.1
    z = scaled_outputs(CONVOLUTION, MAPS, "local_reparameterised")[:, 0, 1]
    mean_is(z[:, 0, 0] * z[:, 0, 1], 0.0)
    z = scaled_outputs(CONVOLUTION, MAPS, "reparameterised")[:, 0, 1]
    mean_is(z[:, 0, 0] * z[:, 0, 1], exact)


def test_flipout_keeps_variance_with_signs_of_one():
    """With all signs equal, Flipout is the shared draw, so signs are its only difference."""
    shape = DENSE.mean.shape
    epsilon = KeyedNoise.from_key(KEY.child("same")).normal(IMAGES.new_empty(shape))
    ones = [torch.ones_like(IMAGES), IMAGES.new_ones(2, 3)]
    shaken = estimators.flipout(DENSE, IMAGES, InjectedNoise([epsilon, *ones]))
    shared = estimators.reparameterised(DENSE, IMAGES, InjectedNoise([epsilon]))
    torch.testing.assert_close(shaken, shared)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_unbiased(name):
    """The gradient of Σ y² averages to that of Σ (E y)² + Var y, along a fixed direction."""
    parameters = {k: p.detach() for k, p in DENSE.named_parameters()}
    noise = KeyedNoise.from_key(KEY.child("direction"))
    along = {k: noise.normal(p) for k, p in parameters.items()}

    def loss(values, *epsilon):
        arguments = (IMAGES, InjectedNoise(list(epsilon)), getattr(estimators, name))
        return torch.func.functional_call(DENSE, values, arguments).square().sum()

    def exact(values):
        mean = IMAGES @ values["mean"].T + values["bias"]
        variance = IMAGES.square() @ torch.nn.functional.softplus(values["spread"]).square().T
        return (mean.square() + variance).sum()

    epsilon = draws(DENSE, IMAGES, name, COUNT)
    axes = (None, *[0] * len(epsilon))
    slopes = torch.func.vmap(torch.func.grad(loss), in_dims=axes)(parameters, *epsilon)
    wanted = torch.func.grad(exact)(parameters)
    found = sum((slopes[k] * along[k]).flatten(1).sum(1) for k in along)
    mean_is(found, float(sum((wanted[k] * along[k]).sum() for k in along)))


def test_frozen_and_per_read_name_their_estimators():
    table = estimators.SAMPLING_ESTIMATOR
    assert table[estimators.Sampling.FROZEN] is estimators.ESTIMATORS["reparameterised"]
    assert table[estimators.Sampling.PER_READ] is estimators.ESTIMATORS["local_reparameterised"]
