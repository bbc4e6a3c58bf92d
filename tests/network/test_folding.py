"""Networks with batch norms: folded, trained, resumed, predicted and put on a chip."""

import pytest
import torch
from torch import nn

from bayespin.chip.accelerator import Accelerator
from bayespin.chip.storage import load_deployment, save_deployment
from bayespin.network.convert import Call, Place
from bayespin.network.folding import fold_batch_norms
from bayespin.network.models import INPUT, Network
from bayespin.network.prediction import predict
from bayespin.network.training import Recipe, fit
from bayespin.nn.estimators import Sampling, local_reparameterised
from bayespin.nn.hardware import HardwareLayer
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(71)
CHIP = Accelerator.from_preset()
RECIPE = Recipe(epochs=3, batch=8, learning_rate=0.01, estimator="local_reparameterised")


class NoNoise:
    """Leaves every weight at its mean."""

    def normal(self, like):
        return torch.zeros_like(like)


def normal(word, *shape):
    return torch.randn(shape, generator=KEY.child(word).generator())


def dense(name, inputs, outputs):
    return MeanFieldLayer(Dense(inputs, outputs), KEY.child(name))


def norm(name, features):
    """A norm whose statistics, scales and shifts all differ."""
    made = nn.BatchNorm1d(features)
    with torch.no_grad():
        for field in ("weight", "bias", "running_mean"):
            getattr(made, field).copy_(1 + 0.5 * normal(f"{name} {field}", features))
        made.running_var.copy_(normal(f"{name} var", features).square() + 0.5)
    return made


def branched() -> Network:
    """Two branches that meet; one of the norms stands behind a layer that others read too."""
    add = Call(torch.add, (Place(0), Place(1)), {})
    stages = {
        "before": norm("before", 5),
        "first": dense("first", 5, 4),
        "norm1": norm("norm1", 4),
        "relu": nn.ReLU(),
        "second": dense("second", 4, 4),
        "norm2": norm("norm2", 4),
        "short": dense("short", 5, 4),
        "seen": norm("seen", 4),
        "add": add,
        "both": Call(torch.add, (Place(0), Place(1)), {}),
        "head": dense("head", 4, 3),
        "norm3": norm("norm3", 3),
    }
    feeds = {
        "short": (INPUT,),
        "seen": ("short",),
        "add": ("norm2", "seen"),
        "both": ("add", "short"),
    }
    return Network(stages, feeds)


def quiet(network: Network, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network.eval()(x, NoNoise(), local_reparameterised)


def test_norms_behind_a_layer_are_folded_and_no_others():
    network, x = branched(), normal("x", 9, 5)
    small = fold_batch_norms(network)
    kept = [n for n, s in small.stages.items() if isinstance(s, nn.BatchNorm1d)]
    assert kept == ["before", "seen"]
    assert small.output == "head"
    assert small.stages["before"] is network.stages["before"]
    assert isinstance(network.stages["norm1"], nn.BatchNorm1d)
    torch.testing.assert_close(quiet(small, x), quiet(network, x), rtol=1e-5, atol=1e-5)


def test_a_norm_at_the_end_leaves_its_layer_as_the_output():
    """Whatever stands between the two, its layer's output is then the network's."""
    stages = {"dense": dense("d", 3, 2), "other": nn.ReLU(), "norm": norm("n", 2)}
    network = Network(stages, {"other": (INPUT,), "norm": ("dense",)})
    small, x = fold_batch_norms(network), normal("x", 4, 3)
    assert small.output == "dense"
    torch.testing.assert_close(quiet(small, x), quiet(network, x), rtol=1e-5, atol=1e-5)


def test_drawn_outputs_keep_their_spread():
    """Of 4000 reads each: 1.6 % of standard error for the quotient of two spreads."""
    network, x = branched().eval(), normal("x", 4, 5).repeat(4000, 1)
    with torch.no_grad():
        spreads = [
            n(x, KeyedNoise.from_key(KEY.child("reads", place)), local_reparameterised)
            .unflatten(0, (4000, 4))
            .std(0)
            for place, n in enumerate((network, fold_batch_norms(network)))
        ]
    torch.testing.assert_close(*spreads, rtol=0.08, atol=0)


def data(count=36):
    labels = torch.arange(count) % 3
    return normal("train", count, 5) + 2 * labels[:, None], labels


def test_training_learns_the_statistics_and_ends_in_evaluation():
    network = Network({"norm": nn.BatchNorm1d(5), "dense": dense("d", 5, 3)})
    x, labels = data()
    fit(network, (x, labels), RECIPE, KEY)
    found = network.stages["norm"]
    assert not any(m.training for m in network.modules())
    assert int(found.num_batches_tracked) == 3 * 5
    # 15 batches with momentum 0.1 leave 0.9^15 = 21 % of the start, which is zero.
    shares = found.running_mean / x.mean(0)
    assert float(shares.min()) > 0.65
    assert float(shares.max()) < 0.95


def test_prediction_neither_changes_statistics_nor_mixes_images():
    layer = PointLayer(Dense(5, 3), KEY)
    network, x = Network({"norm": norm("n", 5), "dense": layer}), normal("x", 7, 5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    alone = predict(network.train(), x[:1], Sampling.PER_READ, 1, KEY).mean
    beside = predict(network.train(), x, Sampling.PER_READ, 1, KEY).mean
    torch.testing.assert_close(alone, beside[:1])
    torch.testing.assert_close(beside, quiet(network, x).softmax(1).double())
    assert all(before[n].equal(v) for n, v in network.state_dict().items())


class StopAt:
    """A user who presses Ctrl-C after some steps, and predicts on the way."""

    def __init__(self, network, step):
        self.network, self.step = network, step

    def __call__(self, done, total):
        predict(self.network, data()[0][:2], Sampling.PER_READ, 1, KEY)
        if done == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", [2, 5, 7, 15])
def test_interrupted_and_resumed_norms_end_in_the_same_bits(tmp_path, step):
    """Five steps an epoch; a prediction between two steps changes nothing either."""
    whole = fit(branched(), data(), RECIPE, KEY.child("fit"))
    path, stopped = tmp_path / "state.safetensors", branched()
    stop = StopAt(stopped, step)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, data(), RECIPE, KEY.child("fit"), checkpoint=path, progress=stop)
    resumed = fit(branched(), data(), RECIPE, KEY.child("fit"), checkpoint=path).state_dict()
    assert all(resumed[name].equal(value) for name, value in whole.state_dict().items())


def test_a_training_with_a_held_parameter_is_resumed(tmp_path):
    def held():
        network = Network({"dense": dense("d", 5, 3)})
        network.stages["dense"].bias.requires_grad_(False)
        return network

    path, once = tmp_path / "state.safetensors", held()
    whole = fit(held(), data(), RECIPE, KEY)
    with pytest.raises(KeyboardInterrupt):
        fit(once, data(), RECIPE, KEY, checkpoint=path, progress=StopAt(once, 7))
    resumed = fit(held(), data(), RECIPE, KEY, checkpoint=path).state_dict()
    assert all(resumed[name].equal(value) for name, value in whole.state_dict().items())


def test_a_chip_holds_the_folded_network_and_leaves_the_other_alone(tmp_path):
    network, x = branched().train(), normal("x", 40, 5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert "seen  " in str(CHIP.dry_run(network, x[:1]))
    twin = CHIP.deploy(network, x, KEY.child("chip"), devices="ideal")
    assert list(twin.layers) == ["first", "second", "short", "head"]
    assert isinstance(twin.network.stages["head"], HardwareLayer)
    assert network.training
    assert all(before[n].equal(v) for n, v in network.state_dict().items())
    # Converters round to 1 % of the largest output; layers read one behind the other add to that.
    wanted = predict(fold_batch_norms(network), x, Sampling.PER_READ, 100, KEY).mean
    found = twin.predict(x, 100, KEY.child("read")).mean
    assert float((wanted - found).abs().mean()) < 0.02
    path = tmp_path / "chip.safetensors"
    save_deployment(path, twin)
    again = load_deployment(path, CHIP, branched())
    same = again.predict(x, 3, KEY.child("same")).mean
    assert torch.equal(same, twin.predict(x, 3, KEY.child("same")).mean)
