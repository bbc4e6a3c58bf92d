"""Posteriors as numbers: what they say is what the network does, or one sentence says why not."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bayespin.chip.accelerator import Accelerator
from bayespin.load import InputError
from bayespin.network.architectures import lenet5, mlp, resnet13
from bayespin.network.models import Network
from bayespin.network.posterior import (
    load_posterior,
    posterior_of,
    save_posterior,
    with_posterior,
)
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.standardisation import Standardise
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(91)


def draw(word, *shape):
    return torch.randn(shape, generator=KEY.child(word).generator())


def numbers():
    """A posterior of 4-3-2, of tensors and of arrays."""
    first = (draw("m1", 3, 4), draw("s1", 3, 4).abs(), draw("b1", 3))
    second = (draw("m2", 2, 3), draw("s2", 2, 3).abs(), draw("b2", 2))
    return {
        "dense1": first,
        "dense2.mean": second[0].double().numpy(),
        "dense2.sigma": second[1].double().numpy(),
        "dense2.bias": second[2],
    }


@pytest.mark.parametrize("layer", [MeanFieldLayer, PointLayer])
def test_a_network_does_what_the_numbers_say(layer):
    """E y = μ x + b and Var y = σ² x² of each layer, written out."""
    given, architecture = numbers(), mlp(KEY, (4, 3, 2), layer)
    before = {name: value.clone() for name, value in architecture.state_dict().items()}
    network, x = with_posterior(architecture, given), draw("x", 5, 4)
    mean, deviation = network.stages["dense1"].moments(x)
    mu, sigma, bias = given["dense1"]
    torch.testing.assert_close(mean, x @ mu.T + bias)
    torch.testing.assert_close(deviation, (x.square() @ sigma.square().T).sqrt())
    second = network.stages["dense2"]
    assert second.mean.dtype == torch.float32
    np.testing.assert_allclose(second.sigma().detach(), given["dense2.sigma"], rtol=1e-6)
    assert not network.training
    assert all(before[n].equal(v) for n, v in architecture.state_dict().items())


def test_priors_are_those_of_the_architecture():
    architecture = mlp(KEY, (4, 3, 2), lambda product, key: MeanFieldLayer(product, key, 0.3))
    layers = with_posterior(architecture, numbers()).random_layers().values()
    assert [layer.prior_sigma for layer in layers] == [0.3, 0.3]


def trained() -> Network:
    """A residual network with norms that have seen images, as after training."""
    network = resnet13(KEY, classes=3).train()
    network(draw("train", 4, 3, 32, 32), KeyedNoise.from_key(KEY), local_reparameterised)
    return network.eval()


def test_files_bring_back_the_network_with_its_norms(tmp_path):
    network, path = trained(), tmp_path / "posterior.safetensors"
    save_posterior(path, network)
    other = resnet13(KEY.child("other"), PointLayer, classes=3)
    again, x = load_posterior(path, other), draw("x", 3, 3, 32, 32)
    assert sum(p.numel() for p in again.parameters()) == sum(
        p.numel() for p in network.parameters()
    )
    with torch.no_grad():
        outputs = [n(x, KeyedNoise.from_key(KEY), local_reparameterised) for n in (network, again)]
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-4)
    found, wanted = posterior_of(again), posterior_of(network)
    for key, value in wanted.items():
        torch.testing.assert_close(found[key], value, rtol=1e-6 * key.endswith("sigma"), atol=0)
    assert {k: v.shape for k, v in load_file(path).items()} == {
        k: v.shape for k, v in found.items()
    }


def test_stages_with_numbers_are_asked_for():
    network = lenet5(KEY, inputs=Standardise(0.3, 0.2))
    held = posterior_of(network)
    assert float(held["standardise.deviation"]) == pytest.approx(0.2)
    del held["standardise.deviation"]
    with pytest.raises(InputError, match=r"hold `standardise\.deviation` of shape \(\)"):
        with_posterior(network, held)


def changed(**changes):
    flat = posterior_of(with_posterior(mlp(KEY, (4, 3, 2)), numbers()))
    for key, value in changes.items():
        name = key.replace("__", ".")
        flat[name] = value
    return {key: value for key, value in flat.items() if value is not None}


@pytest.mark.parametrize(
    "given, sentence",
    [
        (
            changed(dense1__sigma=None),
            r"hold `dense1\.sigma` of shape \(3, 4\), but does not; give",
        ),
        (changed(dense2__bias=None), r"`dense2\.bias`.*give it, zeros if the layer has none"),
        (
            changed(dense1__mean=None, dense1__mu=draw("mu", 3, 4)),
            r"holds `dense1\.mu` \(did you mean `dense1\.mean`\?\); rename it or leave it out",
        ),
        (
            changed(dense1__mean=draw("t", 4, 3)),
            r"`dense1\.mean` of shape \(3, 4\), but its shape is \(4, 3\); transpose it",
        ),
        (
            changed(dense2__bias=draw("t", 3)),
            r"`dense2\.bias` of shape \(2,\), but its shape is \(3,\); take a network of its sizes",
        ),
        (
            changed(dense2__sigma=-torch.ones(2, 3)),
            r"`dense2\.sigma`.*not negative, but its smallest is -1\.0.*not ρ or ln σ",
        ),
        (
            changed(dense2__mean=torch.full((2, 3), torch.nan)),
            r"`dense2\.mean` with numbers that are finite, but",
        ),
        ({"dense1": (draw("a", 3, 4), draw("b", 3, 4))}, r"`dense1` as \(mean, sigma, bias\)"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_in_one_sentence(tmp_path, given, sentence):
    with pytest.raises(InputError, match=sentence) as refused:
        with_posterior(mlp(KEY, (4, 3, 2)), given)
    assert str(refused.value).startswith("`posterior` must ")
    if "dense1" in given:
        return
    path = tmp_path / "posterior.safetensors"
    save_file(given, path)
    with pytest.raises(InputError, match=sentence) as refused:
        load_posterior(path, mlp(KEY, (4, 3, 2)))
    assert str(refused.value).startswith(f"Posterior `{path}` must ")


def test_a_file_that_is_none_is_refused(tmp_path):
    path = tmp_path / "posterior.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(InputError, match="write it anew with `save_posterior`"):
        load_posterior(path, mlp(KEY, (4, 3, 2)))


def test_networks_without_spreads_have_no_posterior():
    with pytest.raises(ValueError, match="`dense1` must have Gaussian weights, but is a PointL"):
        posterior_of(mlp(KEY, (4, 3, 2), PointLayer))


def test_a_posterior_is_deployed_and_hardware_holds_none():
    network = Network({"relu": nn.ReLU(), **mlp(KEY, (6, 5)).stages})
    given = {"dense1": (draw("m", 5, 6), torch.full((5, 6), 0.08), torch.zeros(5))}
    made, x = with_posterior(network, given), draw("x", 30, 6).abs()
    twin = Accelerator.from_preset().deploy(made, x, KEY, devices="ideal")
    acting = twin.network.stages["dense1"].acting_mean()
    torch.testing.assert_close(acting.float(), given["dense1"][0], rtol=0, atol=0.05)
    with pytest.raises(ValueError, match="`dense1` must be a layer of software"):
        with_posterior(twin.network, given)
