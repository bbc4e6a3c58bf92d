"""Priors of layers and starts from trained networks, against closed forms."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from bayespin.network.architectures import lenet5
from bayespin.network.convert import convert
from bayespin.network.ivon import Ivon
from bayespin.network.models import Network, summed_kl
from bayespin.network.priors import fan_in_priors, moped, with_priors
from bayespin.network.training import Recipe, fit
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import InjectedNoise, Key
from tests.network.test_likelihoods import KnownNoise
from tests.network.test_training import states_equal

KEY = Key.root(64)
RECIPE = Recipe(epochs=400, batch=40, learning_rate=0.03, kl_weight=1.0,
                estimator="local_reparameterised")  # fmt: skip


def exact(layer: MeanFieldLayer, mean: float | torch.Tensor, sigma: float) -> float:
    prior = Normal(torch.as_tensor(mean).expand_as(layer.mean), sigma)
    return float(kl_divergence(Normal(layer.mean, layer.sigma()), prior).sum().detach())


def test_priors_are_set_by_name_and_the_network_is_left():
    plain = lenet5(KEY)
    network = with_priors(plain, {"conv1": 0.3, "dense3": 2.0})
    wanted = {"conv1": 0.3, "conv2": 1.0, "dense1": 1.0, "dense2": 1.0, "dense3": 2.0}
    layers = network.random_layers()
    assert {name: layer.prior_sigma for name, layer in layers.items()} == wanted
    assert float(summed_kl(network).detach()) == pytest.approx(
        sum(exact(layers[name], 0.0, sigma) for name, sigma in wanted.items()), rel=1e-5
    )
    assert all(layer.prior_sigma == 1.0 for layer in plain.random_layers().values())
    assert states_equal(plain, network)
    with pytest.raises(ValueError, match=r"must name mean-field layers .* `relu1`"):
        with_priors(plain, {"relu1": 0.3})
    with pytest.raises(ValueError, match="`prior_sigma` must be positive"):
        with_priors(plain, {"conv1": 0.0})


def test_fan_in_priors_keep_the_scale_of_activations():
    found = fan_in_priors(lenet5(KEY))
    wanted = {"conv1": 25, "conv2": 150, "dense1": 400, "dense2": 120, "dense3": 84}
    assert found == {name: pytest.approx((2 / rows) ** 0.5) for name, rows in wanted.items()}
    with pytest.raises(ValueError, match="`gain` must be positive"):
        fan_in_priors(lenet5(KEY), -1.0)


def test_divergence_from_a_prior_about_other_weights():
    layer = MeanFieldLayer(Dense(5, 3), KEY).double()
    centre = torch.randn(3, 5, generator=KEY.generator(), dtype=torch.float64)
    before = layer.kl()
    layer.assume(0.7, centre)
    assert float(layer.kl().detach()) == pytest.approx(exact(layer, centre, 0.7), rel=1e-12)
    layer.assume(1.0, torch.zeros_like(centre))
    torch.testing.assert_close(layer.kl(), before, rtol=1e-14, atol=0)
    assert list(layer.state_dict()) == ["mean", "spread", "bias"]  # files of before still fit
    assert layer.float().prior_mean.dtype == torch.float32
    for wrong in (torch.zeros(5, 3), torch.full((3, 5), math.nan)):
        with pytest.raises(ValueError, match="`prior_mean` must be finite and of shape"):
            layer.assume(1.0, wrong)


def trained() -> Network:
    network = lenet5(KEY, PointLayer)
    with torch.no_grad():
        network.stages["dense1"].weight[0, :3] = torch.tensor([0.0, 1e-4, -8.0])
        network.stages["dense1"].bias[0] = 0.25
    return network


@pytest.mark.parametrize("centre", ["trained", "zero"])
def test_moped_starts_from_the_weights(centre):
    twin, window = trained(), SigmaWindow(floor=0.002, cap=0.5)
    network = moped(twin, 0.2, window, centre, 0.6)
    for name, layer in network.random_layers().items():
        weight = twin.stages[name].weight.detach()
        torch.testing.assert_close(layer.mean.detach(), weight, rtol=0, atol=0)
        wanted = (0.2 * weight.abs()).clamp(0.002, 0.5)
        torch.testing.assert_close(layer.sigma().detach(), wanted, rtol=1e-4, atol=1e-7)
        prior = weight if centre == "trained" else 0.0
        assert float(layer.kl().detach()) == pytest.approx(exact(layer, prior, 0.6), rel=1e-4)
    assert len(network.random_layers()) == 5
    assert network.stages["dense1"].sigma()[0, :3].tolist() == pytest.approx([0.002, 0.002, 0.5])
    x = torch.rand(3, 1, 28, 28, generator=KEY.generator())
    quiet = InjectedNoise([torch.zeros(3, *shape) for shape in
                           ((6, 28, 28), (16, 10, 10), (120,), (84,), (10,))])  # fmt: skip
    at_the_means = network(x, quiet, local_reparameterised)
    torch.testing.assert_close(at_the_means, twin(x, quiet, local_reparameterised))


def test_moped_leaves_the_twin_and_takes_what_convert_makes():
    with torch.random.fork_rng():  # torch's layers draw from the global stream
        module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    nn.init.constant_(module[0].weight, 0.3)
    converted = convert(module)
    network = moped(converted, 0.1)
    (first, last) = network.random_layers().values()
    assert first.sigma().unique().tolist() == pytest.approx([0.03])
    torch.testing.assert_close(last.prior_mean, module[2].weight.detach())
    old = next(iter(converted.random_layers().values()))
    assert old.sigma().unique().tolist() == pytest.approx([0.02 * 0.3])


def test_a_layer_in_two_places_stays_one():
    layer = PointLayer(Dense(2, 2), KEY)
    network = moped(Network({"first": layer, "second": layer}))
    assert network.stages["first"] is network.stages["second"]


@pytest.mark.parametrize("method", [None, Ivon(start=1.0, memory=0.99)])
def test_training_is_drawn_to_the_centre_of_the_prior(method):
    """Λ = XᵀX/s² + 1/s_p², mean Λ⁻¹(Xᵀy/s² + m₀/s_p²): few data, so that the prior matters."""
    generator = KEY.child("line").generator()
    x, centre = torch.randn(10, 3, generator=generator), torch.tensor([[0.5, -0.5, 1.0]])
    y, s, prior = torch.randn(10, 1, generator=generator), 1.0, 0.3
    network = Network({"dense": PointLayer.holding(Dense(3, 1), centre, torch.zeros(1))})
    network = moped(network, prior_sigma=prior)
    network.stages["dense"].bias.requires_grad_(False)
    recipe = replace(RECIPE, likelihood=KnownNoise(s))
    recipe = recipe if method is None else replace(recipe, method=method, epochs=500)
    layer = fit(network, (x, y), recipe, KEY.child("fit")).stages["dense"]
    precision = x.T @ x / s**2 + torch.eye(3) / prior**2
    mean = torch.linalg.solve(precision, (x.T @ y / s**2)[:, 0] + centre[0] / prior**2)
    pulled = torch.linalg.solve(precision, (x.T @ y / s**2)[:, 0])
    sigma = precision.diagonal().rsqrt()
    assert float((layer.mean[0].detach() - mean).abs().max()) < 0.2 * float(sigma.min())
    assert float((pulled - mean).abs().max()) > 2 * float(sigma.min())


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"delta": 0.0}, "`delta` must be positive"),
        ({"window": SigmaWindow()}, r"`window\.floor` must be positive"),
        ({"prior_sigma": -1.0}, "`prior_sigma` must be positive"),
    ],
)
def test_impossible_starts_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        moped(lenet5(KEY, PointLayer), **arguments)
    with pytest.raises(ValueError, match="must have point or mean-field layers"):
        moped(Network({"relu": nn.ReLU()}))
