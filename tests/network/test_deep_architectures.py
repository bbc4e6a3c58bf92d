"""The residual network and the transformer: against torch's own, trained, and on a chip."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bayespin.chip.accelerator import Accelerator
from bayespin.network.architectures import EncoderSizes, resnet13, transformer
from bayespin.network.prediction import predict
from bayespin.network.training import Recipe, fit
from bayespin.nn.estimators import Sampling, local_reparameterised
from bayespin.nn.point import PointLayer
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(81)
SMALL = EncoderSizes(side=8, patch=4, width=16, heads=2, hidden=24, depth=2, classes=4)
ONE = replace(SMALL, depth=1)
RECIPE = Recipe(epochs=1, batch=8, learning_rate=3e-3, estimator="local_reparameterised")


def draw(word, *shape):
    return torch.randn(shape, generator=KEY.child(word).generator())


def shaken(network):
    """The network with norms, biases and places that are not those of the beginning."""
    generator = KEY.child("shaken").generator()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0, generator=generator)
            elif "norm" in name and value.is_floating_point():
                value.add_(0.3 * torch.randn(value.shape, generator=generator))
        for name, parameter in network.named_parameters():
            if name.endswith(("bias", "place")):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def counted(network):
    return sum(p.numel() for p in network.parameters())


def test_resnet_has_the_published_number_of_parameters():
    plain, bayesian = resnet13(KEY, PointLayer), resnet13(KEY)
    assert counted(plain) == 1_251_652
    assert counted(bayesian) == 2_500_772
    assert len(bayesian.random_layers()) == 13
    assert sum(s.mean.numel() for s in bayesian.random_layers().values()) == 1_249_120
    norms = [s for s in bayesian.stages.values() if isinstance(s, nn.BatchNorm2d)]
    assert sum(counted(norm) for norm in norms) == 1984
    assert counted(resnet13(KEY, PointLayer, classes=10)) == 1_251_652 - 90 * 257


def block_written_out(p, block, x, stride):
    """A residual block of torch's functions; `p` holds parameters by the names of stages."""

    def normed(name, h):
        n = f"{block}_{name}_norm"
        h = F.conv2d(h, p[f"{block}_{name}.weight"], None, stride if name == "conv1" else 1, 1)
        held = [p[f"{n}.{f}"] for f in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(h, *held)

    h = normed("conv2", F.relu(normed("conv1", x)))
    short = f"{block}_short.weight"
    around = F.conv2d(x, p[short], p[f"{block}_short.bias"], stride) if short in p else x
    return F.relu(h + around)


@torch.no_grad()
def test_resnet_is_the_network_of_its_docstring():
    network, x = shaken(resnet13(KEY, PointLayer, classes=7)), draw("images", 2, 3, 32, 32)
    p = {name.removeprefix("stages."): v for name, v in network.state_dict().items()}
    held = [p[f"stem_norm.{f}"] for f in ("running_mean", "running_var", "weight", "bias")]
    h = F.relu(F.batch_norm(F.conv2d(x, p["stem.weight"], None, 1, 1), *held))
    for number, stride in enumerate((1, 2, 2, 2), start=1):
        h = block_written_out(p, f"block{number}", h, stride)
    assert h.shape == (2, 256, 4, 4)
    assert "block1_short.weight" not in p
    wanted = F.linear(h.mean((2, 3)), p["dense.weight"], p["dense.bias"])
    found = network(x, KeyedNoise.from_key(KEY), local_reparameterised)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def bright(count, *shape):
    """Images of noise, and whether they are bright."""
    labels = torch.arange(count) % 2
    x = torch.rand(count, *shape, generator=KEY.child("bright").generator())
    return x * (0.2 + 0.8 * labels.view(-1, 1, 1, 1)), labels


def test_resnet_learns_and_predicts_in_evaluation():
    """Eight steps tell bright from dark; from ln 2 = 0.69 nats to below a third of it."""
    x, labels = bright(16, 3, 32, 32)
    recipe = Recipe(epochs=6, batch=8, learning_rate=3e-3, kl_weight=0.0,
                    estimator="local_reparameterised")  # fmt: skip
    network = fit(resnet13(KEY, classes=2), (x, labels), recipe, KEY.child("fit"))
    for name, buffer in network.named_buffers():
        assert bool(buffer.any()) != name.endswith(".bias")  # held biases stay at zero
    found = predict(network, x, Sampling.PER_READ, 2, KEY).mean
    assert float(-found[torch.arange(16), labels].log().mean()) < 0.23


def test_a_chip_would_hold_the_thirteen_layers_and_no_norm():
    network, x = resnet13(KEY), draw("images", 1, 3, 32, 32).abs()
    plan = Accelerator.from_preset().dry_run(network, x)
    assert [s.name for s in plan.stages if s.analog] == list(network.random_layers())
    assert sum(stage.weights for stage in plan.stages) == 1_249_120
    assert not any("norm" in stage.name for stage in plan.stages)
    assert not any("two reads" in stage.why for stage in plan.stages)


@pytest.mark.slow
def test_a_chip_holds_a_resnet():
    x, labels = bright(16, 3, 32, 32)
    network = fit(resnet13(KEY, classes=2), (x, labels), RECIPE, KEY.child("fit"))
    twin = Accelerator.from_preset().deploy(network, x[:4], KEY, devices="ideal")
    wanted = predict(network, x[:4], Sampling.PER_READ, 40, KEY).mean
    found = twin.predict(x[:4], 40, KEY.child("chip")).mean
    assert float((found - wanted).abs().mean()) < 0.15


def torch_encoder(network, number):
    """torch's encoder layer with the weights of one of the network's."""
    made = nn.TransformerEncoderLayer(16, 2, 24, dropout=0.0, batch_first=True, norm_first=True)
    get = {part: network.stages[f"block{number}_{part}"] for part in
           ("query", "key", "value", "out", "wide", "narrow", "norm1", "norm2")}  # fmt: skip
    projections = [get[part] for part in ("query", "key", "value")]
    made.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([s.weight for s in projections]),
            "self_attn.in_proj_bias": torch.cat([s.bias for s in projections]),
            "self_attn.out_proj.weight": get["out"].weight,
            "self_attn.out_proj.bias": get["out"].bias,
            "linear1.weight": get["wide"].weight,
            "linear1.bias": get["wide"].bias,
            "linear2.weight": get["narrow"].weight,
            "linear2.bias": get["narrow"].bias,
            **{f"norm{n}.{f}": getattr(get[f"norm{n}"], f) for n in (1, 2)
               for f in ("weight", "bias")},
        }
    )  # fmt: skip
    return made.eval()


@torch.no_grad()
def test_transformer_is_torchs():
    network, x = shaken(transformer(KEY, PointLayer, SMALL)), draw("images", 3, 1, 8, 8)
    with torch.random.fork_rng():
        encoders = [torch_encoder(network, number) for number in (1, 2)]
    patches, tokens = network.stages["patches"], network.stages["tokens"]
    # Patches in raster order, one row of numbers each.
    cut = x.unfold(2, 4, 4).unfold(3, 4, 4).flatten(4).squeeze(1).flatten(1, 2)
    h = F.linear(cut, patches.weight.flatten(1), patches.bias) + tokens.place
    for encoder in encoders:
        h = encoder(h)
    norm, dense = network.stages["norm"], network.stages["dense"]
    wanted = F.linear(norm(h).mean(1), dense.weight, dense.bias)
    found = network(x, KeyedNoise.from_key(KEY), local_reparameterised)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def corners(count):
    """Images of noise with one bright quarter, and its number: only places tell the four apart."""
    labels = torch.arange(count) % 4
    x = 0.3 * torch.rand(count, 1, 8, 8, generator=KEY.child("corners").generator())
    for image, label in zip(x, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[0, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] += 0.7
    return x, labels


@pytest.fixture(scope="module")
def trained():
    recipe = Recipe(epochs=80, batch=16, learning_rate=1e-2, kl_weight=0.01,
                    estimator="local_reparameterised")  # fmt: skip
    return fit(transformer(KEY, sizes=ONE), corners(128), recipe, KEY.child("fit"))


def test_transformer_learns_where_something_is(trained):
    x, labels = corners(100)
    found = predict(trained, x, Sampling.FROZEN, 5, KEY).mean.argmax(1)
    assert float((found == labels).double().mean()) > 0.95


def test_transformer_on_a_chip(trained):
    x, labels = corners(24)
    chip = Accelerator.from_preset()
    assert "adds places" in str(chip.dry_run(trained, x[:1]))
    twin = chip.deploy(trained, x, KEY.child("chip"), devices="ideal")
    assert len(twin.layers) == 2 + 6 * ONE.depth
    found = twin.predict(x, 20, KEY.child("read")).mean
    wanted = predict(trained, x, Sampling.PER_READ, 20, KEY).mean
    assert float((found - wanted).abs().mean()) < 0.05
    assert float((found.argmax(1) == labels).double().mean()) > 0.95


@pytest.mark.parametrize(
    "sizes, sentence",
    [
        ({"depth": 0}, "`depth` must be at least 1, but is 0"),
        ({"side": 30}, "`side` must be a multiple of `patch`, but is 30 with 7"),
        ({"heads": 3}, "`width` must be a multiple of `heads`, but is 64 with 3"),
    ],
)
def test_sizes_that_make_no_transformer_are_refused(sizes, sentence):
    with pytest.raises(ValueError, match=sentence):
        EncoderSizes(**sizes)
