"""Training: the optimum of the bound in closed form, interruption, divergence."""

import logging
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from bayespin.network import training
from bayespin.network.models import Network, summed_kl
from bayespin.network.training import Recipe, TrainingDiverged, fit
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key

KEY = Key.root(0).child("training")
RECIPE = Recipe(epochs=3, batch=8, learning_rate=0.01, estimator="local_reparameterised")


def network_of(inputs: int, layer=MeanFieldLayer, outputs: int = 2) -> Network:
    return Network({"dense": layer(Dense(inputs, outputs), KEY.child("network"))})


def clouds(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Two clouds of points at ±(1, 1), so far apart that a line separates all but 0.2 %."""
    generator = KEY.child("clouds").generator()
    labels = torch.randint(0, 2, (count,), generator=generator)
    points = torch.empty(count, 2).normal_(0.0, 0.5, generator=generator)
    return points + (2 * labels[:, None] - 1), labels


@pytest.mark.parametrize("estimator", ["flipout", "local_reparameterised", "reparameterised"])
def test_learns_a_line_with_every_estimator(estimator):
    """From ln 2 = 0.69 to below 0.05 nats, on points it has not seen."""
    recipe = Recipe(epochs=20, batch=20, learning_rate=0.1, kl_weight=0.02, estimator=estimator)
    network = fit(network_of(2), clouds(200), recipe, KEY.child("fit"))
    points, labels = clouds(500)
    with torch.no_grad():
        logits = network.stages["dense"].moments(points)[0]
        assert float(torch.nn.functional.cross_entropy(logits, labels)) < 0.05


def test_deterministic_networks_train_too():
    recipe = replace(RECIPE, epochs=20, learning_rate=0.1)
    network = fit(network_of(2, PointLayer), clouds(100), recipe, KEY.child("fit"))
    points, labels = clouds(500)
    with torch.no_grad():
        right = network.stages["dense"](points).argmax(1) == labels
    assert float(right.double().mean()) > 0.98


def coin(count: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    """One input that is always 1, and labels of which three quarters are 1."""
    return torch.ones(count, 1), (torch.arange(count) % 4 > 0).long()


def bound(parameters: np.ndarray, kl_weight: float, count: int) -> float:
    """The objective per image of a softmax over two weights without bias, by quadrature.

    The logits differ by d ~ N(2 m, 2 s²) when the weights are N(−m, s²) and N(m, s²):
    E[ln(1 + e^{∓d})] + kl_weight · 2 [−ln s + (s² + m²)/2 − 1/2] / N.
    """
    m, s = parameters[0], np.exp(parameters[1])
    x, w = np.polynomial.hermite_e.hermegauss(60)
    d, w = 2 * m + 2**0.5 * s * x, w / w.sum()
    entropy = w @ (0.75 * np.logaddexp(0, -d) + 0.25 * np.logaddexp(0, d))
    return float(entropy + kl_weight * 2 * (-np.log(s) + (s**2 + m**2) / 2 - 0.5) / count)


@cache
def optimum(kl_weight: float, count: int) -> tuple[float, float]:
    found = minimize(bound, np.array([0.1, -1.0]), args=(kl_weight, count), tol=1e-12)
    return float(found.x[0]), float(np.exp(found.x[1]))


def test_training_finds_the_optimum_of_the_bound():
    """Two weights that decide a coin: m = 0.545 and s = 0.287 at N = 60.

    Counting the divergence once per batch of 15 instead of once per epoch is the optimum of
    N = 15: m = 0.514, s = 0.515. Over ten other keys m ends within 1 % and s within 7 %.
    """
    recipe = replace(RECIPE, epochs=300, batch=15, learning_rate=0.02, kl_weight=1.0)
    network = network_of(1)
    layer = network.stages["dense"]
    # The bias would take the mean's part without a price; it stays where it is.
    layer.bias.requires_grad_(False)
    fit(network, coin(), recipe, KEY.child("fit"))
    m, s = optimum(1.0, 60)
    found = (layer.mean[1, 0] - layer.mean[0, 0]).item() / 2
    assert found == pytest.approx(m, rel=0.02)
    assert layer.sigma().detach().flatten().tolist() == pytest.approx([s, s], rel=0.12)


def test_an_epoch_counts_the_summed_divergence_once():
    """Σ over batches of images · (loss − cross-entropy) = kl_weight · KL, whatever the batch."""
    network = network_of(1)
    x, labels = coin()
    for batch in (60, 15, 1):
        counted = 0.0
        for part, label in zip(x.split(batch), labels.split(batch), strict=True):
            logits = torch.zeros(len(part), 2)
            with torch.no_grad():
                loss, plain = (
                    training.elbo_loss(network, logits, label, replace(RECIPE, kl_weight=w), 60)
                    for w in (0.2, 0.0)
                )
            counted += len(part) * float(loss - plain)
        assert counted == pytest.approx(0.2 * float(summed_kl(network).detach()), rel=1e-4)


def test_spreads_stay_inside_the_window():
    window = SigmaWindow(floor=0.2, cap=0.3)
    recipe = replace(RECIPE, learning_rate=0.5, window=window)
    network = fit(network_of(2), clouds(40), recipe, KEY.child("fit"))
    sigma = network.stages["dense"].sigma().detach()
    assert float(sigma.min()) >= 0.2 * (1 - 1e-5)
    assert float(sigma.max()) <= 0.3 * (1 + 1e-5)


class StopAt:
    """A user who presses Ctrl-C after some steps."""

    def __init__(self, step: int):
        self.step = step

    def __call__(self, done: int, total: int):
        if done == self.step:
            raise KeyboardInterrupt


def states_equal(a: Network, b: Network) -> bool:
    return all(a.state_dict()[k].equal(v) for k, v in b.state_dict().items())


@pytest.mark.parametrize("step", [2, 5, 7, 9, 15])
@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_interrupted_and_resumed_ends_in_the_same_bits(tmp_path, step, schedule):
    """Five steps an epoch: in the first epoch, at its end, in the next two, and at the end."""
    recipe, data = replace(RECIPE, schedule=schedule), clouds(36)
    whole = fit(network_of(2), data, recipe, KEY.child("fit"))
    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(network_of(2), data, recipe, KEY.child("fit"), checkpoint=path, progress=StopAt(step))
    resumed = fit(network_of(2), data, recipe, KEY.child("fit"), checkpoint=path)
    assert states_equal(resumed, whole)


def test_a_finished_training_is_only_read(tmp_path):
    path, steps = tmp_path / "state.safetensors", []
    whole = fit(network_of(2), clouds(36), RECIPE, KEY.child("fit"), checkpoint=path)
    again = fit(
        network_of(2), clouds(36), RECIPE, KEY.child("fit"), checkpoint=path,
        progress=lambda done, total: steps.append(done),
    )  # fmt: skip
    assert states_equal(again, whole)
    assert steps == []


def test_progress_counts_steps_and_the_log_counts_epochs(caplog):
    seen = []
    with caplog.at_level(logging.INFO, logger=training.__name__):
        fit(network_of(2), clouds(36), RECIPE, KEY, progress=lambda *at: seen.append(at))
    assert seen == [(step, 15) for step in range(1, 16)]
    assert [r.getMessage().split(":")[0] for r in caplog.records] == [
        f"epoch {n} of 3" for n in (1, 2, 3)
    ]


def test_another_key_is_another_training():
    first, again, other = (
        fit(network_of(2), clouds(36), RECIPE, key)
        for key in (KEY.child("a"), KEY.child("a"), KEY.child("b"))
    )
    assert states_equal(first, again)
    assert not states_equal(first, other)


def test_divergence_names_epoch_and_step_and_keeps_the_last_checkpoint(tmp_path):
    """Two steps an epoch; the second epoch goes on with an impossible learning rate."""
    path, (x, labels) = tmp_path / "state.safetensors", clouds(16)
    fit(network_of(2), (x, labels), replace(RECIPE, epochs=1), KEY, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(TrainingDiverged, match=r"in epoch 2 at step 4: the loss is .* lower"):
        fit(
            network_of(2), (x, labels),
            replace(RECIPE, learning_rate=1e30, schedule="constant"), KEY, checkpoint=path,
        )  # fmt: skip
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "field,value",
    [("epochs", 0), ("batch", 0), ("learning_rate", 0.0), ("learning_rate", float("nan")),
     ("kl_weight", -0.1), ("shares", 0)],
)  # fmt: skip
def test_impossible_recipes_are_refused(field, value):
    with pytest.raises(ValueError, match=f"`{field}` must"):
        replace(RECIPE, **{field: value})


def test_rate_falls_by_half_a_cosine():
    recipe = replace(RECIPE, learning_rate=0.4)
    rates = [training._rate(recipe, step, 4) for step in range(4)]
    assert rates == pytest.approx([0.4, 0.2 * (1 + 0.5**0.5), 0.2, 0.2 * (1 - 0.5**0.5)])
    assert training._rate(replace(recipe, schedule="constant"), 3, 4) == 0.4


@pytest.mark.parametrize("layer", [MeanFieldLayer, PointLayer])
def test_shares_of_a_batch_add_up_to_the_batch(layer):
    """Without spread noise is nothing: 3, 3 and 2 of 8 examples, and the divergence once."""
    found = []
    for shares in (1, 3):
        network = network_of(2, layer)
        if layer is MeanFieldLayer:
            network.stages["dense"].spread.data.fill_(-25.0)
        recipe = replace(RECIPE, shares=shares, kl_weight=5.0)
        learner = recipe.method.begin(network, recipe, 8)
        parts = training._shares(torch.arange(8), recipe, KEY, training.Alone())
        assert [len(part) for part, _, _ in parts] == ([8] if shares == 1 else [3, 3, 2])
        loss = training._gather(learner, clouds(8), parts, recipe, training.Alone())
        found.append([torch.tensor(loss), *learner.gathered()])
    for whole, added in zip(*found, strict=True):
        torch.testing.assert_close(added, whole, rtol=1e-5, atol=1e-7)


def test_shares_have_noise_of_their_own_and_resume_in_the_same_bits(tmp_path):
    recipe, data, path = replace(RECIPE, shares=3), clouds(33), tmp_path / "state.safetensors"
    whole = fit(network_of(2), data, recipe, KEY)
    assert not states_equal(whole, fit(network_of(2), data, RECIPE, KEY))
    with pytest.raises(KeyboardInterrupt):  # batches of 8, the last of 1: two shares are empty
        fit(network_of(2), data, recipe, KEY, checkpoint=path, progress=StopAt(7))
    assert states_equal(fit(network_of(2), data, recipe, KEY, checkpoint=path), whole)


def test_a_bias_that_stays_where_it_is_can_be_resumed(tmp_path):
    def network():
        made = network_of(2)
        made.stages["dense"].bias.requires_grad_(False)
        return made

    whole, path = fit(network(), clouds(36), RECIPE, KEY), tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(network(), clouds(36), RECIPE, KEY, checkpoint=path, progress=StopAt(7))
    assert states_equal(fit(network(), clouds(36), RECIPE, KEY, checkpoint=path), whole)


@dataclass(frozen=True)
class Watched(Dense):
    """Remembers the precision of its products."""

    dtypes: set = field(default_factory=set)

    def apply(self, x, weight):
        y = super().apply(x, weight)
        self.dtypes.add(y.dtype)
        return y


@pytest.mark.parametrize("layer", [MeanFieldLayer, PointLayer])
@pytest.mark.parametrize("estimator", ["flipout", "local_reparameterised"])
def test_products_in_bfloat16_train_nearly_the_same_network(layer, estimator):
    """Mantissas of 8 bits err by 2^-9 each; Adam keeps steps near 0.01, twelve of them."""
    found = []
    for precision in ("float32", "bfloat16"):
        product = Watched(2, 2)
        network = Network({"dense": layer(product, KEY.child("network"))})
        recipe = replace(RECIPE, estimator=estimator, precision=precision)
        # The check before training passes too, in float32.
        fit(network, clouds(32), recipe, KEY)
        assert product.dtypes == {torch.float32, getattr(torch, precision)}
        assert {p.dtype for p in network.parameters()} == {torch.float32}
        found.append(network)
    assert not states_equal(*found)
    for a, b in zip(*(n.parameters() for n in found), strict=True):
        assert float((a - b).detach().abs().max()) < 0.02


def test_bfloat16_learns_the_line_as_well():
    recipe = Recipe(epochs=20, batch=20, learning_rate=0.1, kl_weight=0.02, precision="bfloat16")
    network = fit(network_of(2), clouds(200), recipe, KEY.child("fit"))
    points, labels = clouds(500)
    with torch.no_grad():
        logits = network.stages["dense"].moments(points)[0]
        assert float(torch.nn.functional.cross_entropy(logits, labels)) < 0.05
