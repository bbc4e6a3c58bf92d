"""Dropout at prediction and ensembles: against the same sums written out."""

import pytest
import torch
from torch import nn

from bayespin.network.architectures import lenet5
from bayespin.network.baselines import Ensemble, fit_ensemble, with_dropout
from bayespin.network.metrics import entropy
from bayespin.network.models import INPUT, Network
from bayespin.network.prediction import IMAGE_BLOCK, Execution, predict, predict_reads
from bayespin.network.slicing import Sum
from bayespin.network.training import Recipe, fit
from bayespin.nn.dropout import Dropout
from bayespin.nn.estimators import Sampling, local_reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import InjectedNoise, Key, KeyedNoise
from tests.network.test_training import StopAt, clouds, states_equal

KEY = Key.root(63)
RECIPE = Recipe(epochs=2, batch=8, learning_rate=0.05, estimator="local_reparameterised")


def network_of(key: Key, layer=PointLayer) -> Network:
    stages = {"dense1": layer(Dense(2, 12), key.child(1)), "relu": nn.ReLU(),
              "dense2": layer(Dense(12, 2), key.child(2))}  # fmt: skip
    return Network(stages)


def points(count: int = 20) -> torch.Tensor:
    return torch.randn(count, 2, generator=KEY.child("points").generator())


def draw(number: int) -> torch.Tensor:
    return torch.randn(20, 12, generator=KEY.child("draw", number).generator())


def test_dropout_stands_behind_the_named_stages_and_feeds_what_they_fed():
    plain = network_of(KEY)
    parts = {"dense1": plain.stages["dense1"], "relu": plain.stages["relu"], "both": Sum()}
    branched = Network(parts, {"both": ("dense1", "relu")})
    network = with_dropout(branched, {"dense1": 0.5, "both": 0.2})
    assert list(network.stages) == ["dense1", "dense1_dropout", "relu", "both", "both_dropout"]
    assert network.feeds["relu"] == ("dense1_dropout",)
    assert network.feeds["both"] == ("dense1_dropout", "relu")
    assert network.feeds["dense1"] == (INPUT,)
    assert network.output == "both_dropout"
    x, first, last = points(), draw(1), draw(2)
    kept = branched.stages["dense1"](x) * (first > 0) / 0.5
    wanted = (kept + kept.relu()) * (last > -0.8416212) / 0.8
    found = network(x, InjectedNoise([first, last]), local_reparameterised)
    torch.testing.assert_close(found, wanted)


def test_dropout_makes_a_deterministic_network_doubt():
    network = with_dropout(network_of(KEY), {"relu": 0.4})
    assert network.random_layers() == {}
    assert list(network.random_stages()) == ["relu_dropout"]
    found = predict(network, points(), Sampling.PER_READ, 30, KEY)
    assert found.reads == 30
    assert float(found.epistemic.min()) > 0
    assert (
        float(predict(network_of(KEY), points(), Sampling.PER_READ, 30, KEY).epistemic.max()) == 0
    )


def test_frozen_dropout_is_one_network_for_all_blocks():
    network = with_dropout(network_of(KEY), {"relu": 0.4})
    x = points(30).repeat(5, 1)  # the second block has fewer images than the first
    reads = [predict_reads(network, part, Sampling.FROZEN, 3, KEY, block)
             for block, part in enumerate(x.split(IMAGE_BLOCK))]  # fmt: skip
    every = torch.cat(reads, 1)
    torch.testing.assert_close(every[:, :30], every[:, 120:150])
    free = predict_reads(network, x[:60], Sampling.PER_READ, 3, KEY)
    assert not torch.allclose(free[:, :30], free[:, 30:])


def test_dropout_trains_and_resumes_in_the_same_bits(tmp_path):
    def network():
        return with_dropout(network_of(KEY), {"relu": 0.4})

    whole, path = fit(network(), clouds(36), RECIPE, KEY), tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        fit(network(), clouds(36), RECIPE, KEY, checkpoint=path, progress=StopAt(7))
    assert states_equal(fit(network(), clouds(36), RECIPE, KEY, checkpoint=path), whole)
    assert not states_equal(whole, fit(network_of(KEY), clouds(36), RECIPE, KEY))


def test_unknown_stages_are_refused():
    with pytest.raises(ValueError, match=r"must name stages of the network, dense1, .* `relu9`"):
        with_dropout(network_of(KEY), {"relu9": 0.1})


def test_an_ensemble_averages_its_members():
    members = tuple(network_of(KEY.child(m)) for m in range(3))
    found = Ensemble(members).predict(points(), Sampling.PER_READ, 7, KEY)
    noise = KeyedNoise.from_key(KEY)
    with torch.no_grad():
        each = [m(points(), noise, local_reparameterised).softmax(-1).double() for m in members]
    mean = sum(each) / 3
    assert found.reads == 3
    torch.testing.assert_close(found.mean, mean)
    torch.testing.assert_close(found.total, entropy(mean))
    torch.testing.assert_close(found.aleatoric, sum(entropy(p) for p in each) / 3)
    torch.testing.assert_close(found.epistemic, found.total - found.aleatoric)


def test_members_of_either_kind_count_equally_and_draw_from_keys_of_their_own():
    plain, random = network_of(KEY), network_of(KEY, MeanFieldLayer)
    x = points(IMAGE_BLOCK + 10)
    found = Ensemble((plain, random, random)).predict(x, Sampling.PER_READ, 4, KEY)
    alone = [predict(member, x, Sampling.PER_READ, 4, KEY.child("member", m))
             for m, member in enumerate((plain, random, random))]  # fmt: skip
    assert found.reads == 12
    torch.testing.assert_close(found.mean, sum(p.mean for p in alone) / 3)
    torch.testing.assert_close(found.aleatoric, sum(p.aleatoric for p in alone) / 3)
    assert not torch.equal(alone[1].mean, alone[2].mean)


def test_workers_and_splits_change_nothing():
    ensemble = Ensemble((network_of(KEY, MeanFieldLayer), network_of(KEY.child(1))))
    x = points(2 * IMAGE_BLOCK)
    whole = ensemble.predict(x, Sampling.FROZEN, 3, KEY)
    two = ensemble.predict(x, Sampling.FROZEN, 3, KEY, Execution(workers=2))
    rest = ensemble.predict(x[IMAGE_BLOCK:], Sampling.FROZEN, 3, KEY, Execution(first_block=1))
    assert torch.equal(whole.mean, two.mean)
    assert torch.equal(whole.epistemic[IMAGE_BLOCK:], rest.epistemic)


def test_ensembles_are_trained_from_other_starts_and_resume(tmp_path):
    three = fit_ensemble(network_of, clouds(36), RECIPE, KEY, 3, tmp_path)
    assert not states_equal(three.members[0], three.members[1])
    first = fit(network_of(KEY.child("start", 0)), clouds(36), RECIPE, KEY.child("member", 0))
    assert states_equal(three.members[0], first)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"member-{m}.safetensors" for m in range(3)
    ]
    again = fit_ensemble(network_of, clouds(36), RECIPE, KEY, 2, tmp_path)
    assert all(states_equal(a, b) for a, b in zip(again.members, three.members, strict=False))


def test_an_ensemble_knows_less_far_from_the_data():
    """Trained on two clouds about the origin, members disagree most on the line between them."""
    recipe = Recipe(epochs=10, batch=20, learning_rate=0.02)
    ensemble = fit_ensemble(network_of, clouds(100), recipe, KEY, 4)
    along = torch.linspace(-30, 30, 50)[:, None] * torch.tensor([[1.0, -1.0]])
    near = clouds(50)[0]
    far, close = (ensemble.predict(x, Sampling.PER_READ, 1, KEY).epistemic for x in (along, near))
    assert float(far.mean()) > 3 * float(close.mean())


@pytest.mark.parametrize("members", [0, -1])
def test_ensembles_of_nothing_are_refused(members):
    with pytest.raises(ValueError, match="`members` must be at least 1"):
        fit_ensemble(network_of, clouds(8), RECIPE, KEY, members)
    with pytest.raises(ValueError, match="`members` must hold at least one network"):
        Ensemble(())


def test_lenet_takes_dropout():
    network = with_dropout(lenet5(KEY, PointLayer), {"relu3": 0.5, "relu4": 0.5})
    assert isinstance(network.stages["relu3_dropout"], Dropout)
    images = torch.rand(4, 1, 28, 28, generator=KEY.generator())
    found = predict(network, images, Sampling.PER_READ, 5, KEY)
    assert found.mean.shape == (4, 10)
    assert float(found.epistemic.min()) > 0
