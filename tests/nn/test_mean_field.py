"""Gaussian layers: divergence, moments and the σ window against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Normal, kl_divergence

from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow, inverse_softplus
from bayespin.nn.product import Convolution, Dense
from bayespin.numerics.quadrature import gauss_legendre
from bayespin.rng import InjectedNoise, Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples, variance_is

KEY = Key.root(0).child("mean field")


def layer_of(product=None, prior_sigma: float = 0.7) -> MeanFieldLayer:
    """A layer in float64 whose σ and biases all differ."""
    layer = MeanFieldLayer(product or Dense(5, 3), KEY.child("layer"), prior_sigma).double()
    with torch.no_grad():
        layer.spread.normal_(-1.0, 0.7, generator=KEY.child("spread").generator())
        layer.bias.normal_(generator=KEY.child("bias").generator())
    return layer


def inputs(*shape: int) -> torch.Tensor:
    start = torch.empty(shape, dtype=torch.float64)
    return start.normal_(generator=KEY.child("x").generator())


def test_kl_is_the_sum_over_weights_of_the_closed_form():
    layer = layer_of()
    prior = Normal(torch.zeros((), dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64))
    exact = kl_divergence(Normal(layer.mean, layer.sigma()), prior).sum()
    torch.testing.assert_close(layer.kl(), exact, rtol=1e-12, atol=0.0)


def test_kl_is_the_integral_of_its_definition():
    """Σ ∫ q ln(q/p) dw by quadrature over ±12 σ."""
    layer = layer_of()
    mean, sigma, s = layer.mean.detach().flatten(), layer.sigma().detach().flatten(), 0.7

    def log_q(w):
        return -(((w - mean[:, None]) / sigma[:, None]) ** 2) / 2

    law = gauss_legendre(log_q, mean - 12 * sigma, mean + 12 * sigma)
    ratio = law.expectation(
        lambda w: log_q(w) - sigma[:, None].log() + w.square() / (2 * s**2) + math.log(s)
    )
    assert float(layer.kl().detach()) == pytest.approx(float(ratio.sum()), rel=1e-10)


def test_kl_of_the_prior_itself_is_zero_and_grows_elsewhere():
    layer = layer_of()
    with torch.no_grad():
        layer.mean.zero_()
        layer.spread.copy_(inverse_softplus(torch.full_like(layer.spread, 0.7)))
        assert abs(float(layer.kl())) < 1e-12
        layer.mean[0, 0] = 0.7
    assert float(layer.kl().detach()) == pytest.approx(0.5, rel=1e-12)


@given(st.floats(1e-12, 1e6))
def test_inverse_softplus_and_back(sigma):
    wanted = torch.tensor(sigma, dtype=torch.float64)
    found = torch.nn.functional.softplus(inverse_softplus(wanted))
    assert float(found) == pytest.approx(sigma, rel=1e-12)


@given(st.floats(1e-3, 0.2), st.floats(0.21, 2.0))
def test_projection_moves_outsiders_to_the_edge_and_leaves_the_others(floor, cap):
    layer = MeanFieldLayer(Dense(20, 10), KEY.child("projected"))
    with torch.no_grad():
        layer.spread.normal_(-2.0, 2.0, generator=KEY.child("wide").generator())
    before, spread = layer.sigma().detach().clone(), layer.spread.detach().clone()
    layer.project(SigmaWindow(floor=floor, cap=cap))
    inside = (before > floor) & (before < cap)
    assert layer.spread[inside].equal(spread[inside])
    edge = before.clamp(floor, cap)
    torch.testing.assert_close(layer.sigma().detach(), edge, rtol=2e-5, atol=0.0)


def test_projection_onto_an_open_window_changes_nothing():
    layer = layer_of()
    before = layer.spread.detach().clone()
    layer.project(SigmaWindow())
    assert layer.spread.equal(before)


@pytest.mark.parametrize("floor,cap", [(0.2, 0.1), (0.1, 0.1), (-0.1, 1.0), (math.nan, 1.0)])
def test_impossible_windows_are_refused(floor, cap):
    with pytest.raises(ValueError, match="0 <= floor < cap"):
        SigmaWindow(floor=floor, cap=cap)


@pytest.mark.parametrize("prior", [0.0, -1.0, math.nan])
def test_impossible_priors_are_refused(prior):
    with pytest.raises(ValueError, match="`prior_sigma` must be positive"):
        MeanFieldLayer(Dense(2, 2), KEY, prior)


def test_start_is_the_stated_one():
    layer = MeanFieldLayer(Dense(400, 200), KEY.child("start"))
    assert layer.sigma().unique().tolist() == pytest.approx([math.log1p(math.exp(-3))], rel=1e-6)
    assert not bool(layer.bias.any())
    # 80,000 numbers: the standard deviation is known to 0.25 %, the mean to 0.00035.
    mean_is(layer.mean.detach() * 10, 0.0)
    variance_is(layer.mean.detach() * 10, 1.0)


@pytest.mark.parametrize("product", [Dense(5, 3), Convolution(2, 3, 2)], ids=["dense", "conv"])
def test_moments_are_the_explicit_sums(product):
    layer = layer_of(product)
    x = inputs(4, 5) if isinstance(product, Dense) else inputs(4, 2, 4, 4)
    mean, deviation = layer.moments(x)
    patches = x[:, :, None]
    if isinstance(product, Convolution):
        patches = torch.nn.functional.unfold(x, product.kernel)
    mu, sigma = layer.mean.flatten(1), layer.sigma().flatten(1)
    for output in range(3):
        terms = patches * mu[output][None, :, None]
        exact = terms.sum(1) + layer.bias[output]
        squares = (patches * sigma[output][None, :, None]).square().sum(1)
        torch.testing.assert_close(mean[:, output].flatten(), exact.flatten())
        torch.testing.assert_close(deviation[:, output].flatten(), squares.flatten().sqrt())


def test_moments_are_those_of_drawn_weights():
    """Weights drawn one by one give the mean and variance of the closed form; 5 % of σ is seen."""
    layer, x = layer_of(), inputs(1, 5)
    mean, deviation = layer.moments(x)
    count = required_samples(2**0.5, 0.1)
    noise = KeyedNoise.from_key(KEY.child("weights"))
    weights = layer.mean + layer.sigma() * noise.normal(x.new_empty(count, 3, 5))
    y = (weights @ x[0] + layer.bias).detach()
    scaled = (y - mean[0].detach()) / deviation[0].detach()
    mean_is(scaled[:, 0], 0.0)
    variance_is(scaled[:, 0], 1.0)


def test_draw_adds_the_scaled_noise():
    layer = layer_of()
    moments = layer.moments(inputs(2, 5))
    ones = torch.ones(2, 3, dtype=torch.float64)
    y = layer.draw(moments, InjectedNoise([2 * ones]))
    torch.testing.assert_close(y, moments[0] + 2 * moments[1])


def test_gradients_against_finite_differences():
    x = inputs(3, 5)
    eps = inputs(3, 3)
    layer = layer_of()

    def output(mean, spread, bias):
        parameters = {"mean": mean, "spread": spread, "bias": bias}
        arguments = (x, InjectedNoise([eps]), local_reparameterised)
        return torch.func.functional_call(layer, parameters, arguments)

    parameters = [p.detach().clone().requires_grad_() for p in layer.parameters()]
    assert torch.autograd.gradcheck(output, parameters)


def test_gradient_of_the_divergence_against_finite_differences():
    layer = layer_of()

    def divergence(mean, spread):
        return kl_divergence(Normal(mean, torch.nn.functional.softplus(spread)), prior).sum()

    prior = Normal(torch.zeros((), dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64))

    mean, spread = (p.detach().clone().requires_grad_() for p in (layer.mean, layer.spread))
    assert torch.autograd.gradcheck(divergence, (mean, spread))
    wanted = torch.autograd.grad(divergence(mean, spread), (mean, spread))
    found = torch.autograd.grad(layer.kl(), (layer.mean, layer.spread))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_images_of_zeros_have_finite_gradients():
    layer = MeanFieldLayer(Dense(5, 3), KEY)
    _, deviation = layer.moments(torch.zeros(2, 5))
    deviation.sum().backward()
    assert layer.spread.grad is not None
    assert bool(torch.isfinite(layer.spread.grad).all())
    assert float(deviation.detach().max()) <= 1.1e-6
