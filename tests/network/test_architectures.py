"""Networks against the same arithmetic written out."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bayespin.network.architectures import lenet5, mlp, regression_net
from bayespin.network.models import Network, summed_kl
from bayespin.nn.estimators import local_reparameterised, reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(0).child("models")
LINEAR = ("conv1", "conv2", "dense1", "dense2", "dense3")


def images(count: int) -> torch.Tensor:
    return torch.empty(count, 1, 28, 28).uniform_(generator=KEY.child("images").generator())


def written_out(x: torch.Tensor, weight: dict, bias: dict) -> torch.Tensor:
    """LeNet-5 in the textbook's order: ReLU before pooling."""
    for name in ("conv1", "conv2"):
        padding = 2 if name == "conv1" else 0
        x = F.max_pool2d(F.relu(F.conv2d(x, weight[name], bias[name], padding=padding)), 2)
    x = x.flatten(1)
    for name in ("dense1", "dense2"):
        x = F.relu(F.linear(x, weight[name], bias[name]))
    return F.linear(x, weight["dense3"], bias["dense3"])


def with_biases(network: Network) -> Network:
    generator = KEY.child("bias").generator()
    with torch.no_grad():
        for name in LINEAR:
            network.stages[name].bias.normal_(0.0, 0.1, generator=generator)
    return network


def test_lenet_has_the_published_number_of_weights():
    for layer in (MeanFieldLayer, PointLayer):
        stages = lenet5(KEY, layer).stages
        made = [stages[name] for name in LINEAR]
        field = "mean" if layer is MeanFieldLayer else "weight"
        assert [getattr(s, field).numel() for s in made] == [150, 2400, 48_000, 10_080, 840]
        assert sum(s.bias.numel() for s in made) == 236
    spreads = sum(s.spread.numel() for s in lenet5(KEY).random_layers().values())
    assert spreads == 61_470


def test_deterministic_lenet_is_the_textbook_network():
    network, x = with_biases(lenet5(KEY, PointLayer)), images(3)
    weight = {name: network.stages[name].weight for name in LINEAR}
    bias = {name: network.stages[name].bias for name in LINEAR}
    found = network(x, KeyedNoise.from_key(KEY), local_reparameterised)
    torch.testing.assert_close(found, written_out(x, weight, bias))
    assert network.random_layers() == {}


def test_random_lenet_is_the_textbook_network_with_drawn_weights():
    """Frozen noise draws layer after layer, so the same stream gives the same weights."""
    network, x = with_biases(lenet5(KEY)), images(3)
    noise = KeyedNoise.from_key(KEY.child("noise"))
    layers = network.random_layers()
    assert tuple(layers) == LINEAR
    weight = {n: s.mean + s.sigma() * noise.normal(s.mean) for n, s in layers.items()}
    bias = {n: s.bias for n, s in layers.items()}
    found = network(x, KeyedNoise.from_key(KEY.child("noise")), reparameterised)
    torch.testing.assert_close(found, written_out(x, weight, bias))


@pytest.mark.parametrize("layer", [MeanFieldLayer, PointLayer])
def test_the_key_makes_the_network(layer):
    first, again, other = (lenet5(k, layer).state_dict() for k in (KEY, KEY, KEY.child("other")))
    assert all(first[name].equal(again[name]) for name in first)
    field = "mean" if layer is MeanFieldLayer else "weight"
    names = [f"stages.{name}.{field}" for name in LINEAR]
    assert not any(first[name].equal(other[name]) for name in names)


def test_point_layer_starts_within_its_bound():
    layer = PointLayer(Dense(16, 50), KEY.child("point"))
    largest = float(layer.weight.detach().abs().max())
    assert 0.24 < largest <= 0.25
    assert not bool(layer.bias.any())


def test_divergence_of_a_network_is_the_sum_over_its_layers():
    network = lenet5(KEY)
    apart = [float(s.kl().detach()) for s in network.random_layers().values()]
    assert float(summed_kl(network).detach()) == pytest.approx(sum(apart), rel=1e-6)
    assert float(summed_kl(Network({"relu": nn.ReLU()}))) == 0.0


def test_mlp_is_its_formula():
    """W₃ ReLU(W₂ ReLU(W₁ x + b₁) + b₂) + b₃, on images as on vectors."""
    network = mlp(KEY, (12, 7, 5, 3), PointLayer)
    x = images(4)[:, :, :3, :4]
    layers = [network.stages[f"dense{n}"] for n in (1, 2, 3)]
    with torch.no_grad():
        for number, layer in enumerate(layers):
            layer.bias.fill_(0.1 * number)
    h = x.flatten(1)
    for layer in layers[:2]:
        h = F.relu(F.linear(h, layer.weight, layer.bias))
    wanted = F.linear(h, layers[2].weight, layers[2].bias)
    for given in (x, x.flatten(1)):
        found = network(given, KeyedNoise.from_key(KEY), local_reparameterised)
        torch.testing.assert_close(found, wanted)


def test_mlp_takes_any_kind_of_layer_and_keys_each_apart():
    network = mlp(KEY, (6, 6, 6), lambda product, key: MeanFieldLayer(product, key, 0.3))
    first, second = network.random_layers().values()
    assert first.prior_sigma == second.prior_sigma == 0.3
    assert not torch.equal(first.mean, second.mean)


@pytest.mark.parametrize("widths", [(), (4,), (4, 0, 2)])
def test_widths_that_make_no_network_are_refused(widths):
    with pytest.raises(ValueError, match="`widths` must be those of input and output"):
        mlp(KEY, widths)


def test_the_net_of_a_regression_has_a_mean_and_a_scale():
    """13 inputs and 50 hidden units: 13·50 + 50·2 weights and 52 biases."""
    layers = regression_net(KEY, 13, 50).random_layers().values()
    assert [tuple(s.mean.shape) for s in layers] == [(50, 13), (2, 50)]
    assert sum(p.numel() for p in regression_net(KEY, 13, 50, PointLayer).parameters()) == 802
