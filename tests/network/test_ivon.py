"""Natural gradients: the exact mean-field posterior, one step by hand, interruption, the window."""

import math
from dataclasses import replace

import pytest
import torch

from bayespin.load import InputError
from bayespin.network import training
from bayespin.network.ivon import Ivon
from bayespin.network.models import Network
from bayespin.network.training import Recipe, fit
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import InjectedNoise, Key
from tests.network.test_likelihoods import KnownNoise
from tests.network.test_training import StopAt, clouds, states_equal

KEY = Key.root(62)
RECIPE = Recipe(epochs=3, batch=8, learning_rate=0.05, kl_weight=1.0, method=Ivon(start=0.5))


def network_of(inputs: int = 2, outputs: int = 2) -> Network:
    return Network({"dense": MeanFieldLayer(Dense(inputs, outputs), KEY.child("network"))})


REPLICAS = 50


def regression(prior: float) -> tuple[Network, torch.Tensor, torch.Tensor, float]:
    """A line through 40 points, fifty times: the outputs of one layer share no weight."""
    generator, s = KEY.child("regression").generator(), 0.5
    x = torch.randn(40, 3, generator=generator)
    x[:, 2] = 0.6 * x[:, 0] + 0.8 * x[:, 2]  # correlated, so that mean field is not exact
    y = x @ torch.tensor([[0.7], [-1.2], [0.3]]) + s * torch.randn(40, 1, generator=generator)
    network = Network({"dense": MeanFieldLayer(Dense(3, REPLICAS), KEY.child("line"), prior)})
    network.stages["dense"].bias.requires_grad_(False)
    return network, x, y.expand(-1, REPLICAS), s


@pytest.mark.parametrize("kl_weight, prior", [(1.0, 1.0), (0.2, 0.1)])
def test_finds_the_mean_field_posterior_of_a_linear_model(kl_weight, prior):
    """Λ = XᵀX/(κ s²) + 1/s_p²: mean Λ⁻¹ Xᵀy/(κ s²), variances 1/Λ_jj, as Adam on the bound finds.

    Bishop, Pattern Recognition, eq. 3.53 and 10.35, for a likelihood to the power 1/κ.

    ĥ scatters by about 2 h, and h averages it over 200 steps: 10 % of h in one replica, 0.7 % of σ
    in the mean of fifty. The third term of h adds ½ · 0.01 · 4, at most 1 % of σ.
    """
    network, x, y, s = regression(prior)
    recipe = Recipe(
        epochs=1000, batch=40, learning_rate=0.05, kl_weight=kl_weight,
        likelihood=KnownNoise(s), method=Ivon(start=1.0, memory=0.99),
    )  # fmt: skip
    layer = fit(network, (x, y), recipe, KEY.child("fit")).stages["dense"]
    noise = kl_weight * s**2
    precision = (x.T @ x / noise + torch.eye(3) / prior**2).double()
    mean = torch.linalg.solve(precision, (x.T @ y / noise).double())[:, 0]
    sigma = precision.diagonal().rsqrt()
    found = layer.mean.detach().mean(0).double(), layer.sigma().detach().mean(0).double()
    assert float((found[0] - mean).abs().max()) < 0.1 * float(sigma.min())
    torch.testing.assert_close(found[1], sigma, rtol=0.05, atol=0)
    exact = torch.linalg.inv(precision).diagonal().sqrt()
    assert float((exact / sigma).max()) > 1.15  # what the mean field leaves out would be seen


def test_two_steps_by_hand():
    """One weight, loss (θ − 1)²/2 on two examples, κ = 1: λ = 2, δ = 1/8 from s = 2."""
    network = Network({"dense": MeanFieldLayer(Dense(1, 1), KEY, 2.0)}).double()
    layer = network.stages["dense"]
    layer.mean.data.fill_(0.5)
    layer.bias.requires_grad_(False)
    method = Ivon(momentum=0.8, memory=0.9, start=0.75)
    recipe = replace(RECIPE, kl_weight=1.0, likelihood=KnownNoise(1.0), method=method)
    x = torch.ones(2, 1, dtype=torch.float64)
    learner = method.begin(network, recipe, 2)
    m, h, g = 0.5, 0.75, 0.0
    for step, eps in enumerate((0.3, -1.1), start=1):
        sigma = (2 * (h + 0.125)) ** -0.5
        slope = m + sigma * eps - 1
        seen = slope * eps / sigma
        g = 0.8 * g + 0.2 * slope
        h = 0.9 * h + 0.1 * seen + 0.5 * 0.1**2 * (h - seen) ** 2 / (h + 0.125)
        m -= 0.1 * (g / (1 - 0.8**step) + 0.125 * m) / (h + 0.125)
        draw = torch.tensor([[eps]], dtype=torch.float64)
        loss = learner.learn(x, x, InjectedNoise([draw]), 1.0)
        assert float(loss) == pytest.approx(slope**2 / 2, rel=1e-12)
        learner.update(0.1)
        assert layer.mean.item() == pytest.approx(m, rel=1e-12)
    learner.settle()
    assert layer.sigma().item() == pytest.approx((2 * (h + 0.125)) ** -0.5, rel=1e-12)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_learns_a_line_and_its_biases(precision):
    recipe = Recipe(
        epochs=40, batch=20, learning_rate=0.1, kl_weight=0.02, precision=precision,
        method=Ivon(start=0.1, memory=0.99, other_rate=0.01),
    )  # fmt: skip
    points, labels = clouds(200)
    network = fit(network_of(), (points + 0.5, labels), recipe, KEY.child("fit"))
    points, labels = clouds(500)
    layer = network.stages["dense"]
    with torch.no_grad():
        logits = layer.moments(points + 0.5)[0]
        assert float(torch.nn.functional.cross_entropy(logits, labels)) < 0.05
        assert float(layer.bias[0] - layer.bias[1]) > 0.1  # they move the line by (½, ½)


@pytest.mark.parametrize("step", [2, 5, 7, 15])
@pytest.mark.parametrize("shares", [1, 3])
def test_interrupted_and_resumed_ends_in_the_same_bits(tmp_path, step, shares):
    recipe, data, path = replace(RECIPE, shares=shares), clouds(36), tmp_path / "state"
    whole = fit(network_of(), data, recipe, KEY)
    with pytest.raises(KeyboardInterrupt):
        fit(network_of(), data, recipe, KEY, checkpoint=path, progress=StopAt(step))
    resumed = fit(network_of(), data, recipe, KEY, checkpoint=path)
    assert states_equal(resumed, whole)
    assert not states_equal(whole, fit(network_of(), data, recipe, KEY.child("other")))


def test_methods_do_not_resume_each_other(tmp_path):
    path, plain = tmp_path / "state", replace(RECIPE, method=training.Adam())
    fit(network_of(), clouds(36), replace(plain, epochs=1), KEY, checkpoint=path)
    with pytest.raises(InputError, match=r"must hold `ivon\.step`"):
        fit(network_of(), clouds(36), RECIPE, KEY, checkpoint=path)


def test_spreads_stay_inside_the_window_at_every_step():
    """A start of h that is far outside on either side; means move as far as σ² says."""
    window, outside = SigmaWindow(floor=0.02, cap=0.03), []
    for start in (1e-6, 1e6):
        recipe = replace(RECIPE, window=window, method=Ivon(start=start))
        learner = recipe.method.begin(network := network_of(), recipe, 16)
        shares = training._shares(torch.arange(16), recipe, KEY, training.Alone())
        training._gather(learner, clouds(16), shares, recipe, training.Alone())
        learner.update(0.01)
        (posterior,) = learner._posteriors.values()
        outside += posterior.sigma().flatten().tolist()
        learner.settle()
        sigma = network.stages["dense"].sigma().detach()
        assert 0.02 * (1 - 1e-5) <= float(sigma.min()) <= float(sigma.max()) <= 0.03 * (1 + 1e-5)
    assert outside == pytest.approx([0.03] * 4 + [0.02] * 4, rel=1e-5)


def test_a_layer_in_two_places_is_one_draw():
    layer = MeanFieldLayer(Dense(2, 2), KEY)
    network = Network({"first": layer, "second": layer})
    learner = RECIPE.method.begin(network, RECIPE, 4)
    assert list(learner._posteriors) == ["first"]
    learner.learn(*clouds(4), InjectedNoise([torch.ones(2, 2)]), 1.0)  # a second would raise
    assert bool(learner._posteriors["first"].gradient.any())


def half_frozen() -> Network:
    network = network_of()
    network.stages["dense"].spread.requires_grad_(False)
    return network


@pytest.mark.parametrize(
    "network, recipe, words",
    [
        (network_of(), replace(RECIPE, kl_weight=0.0), "`kl_weight` must be positive for `Ivon`"),
        (Network({"dense": PointLayer(Dense(2, 2), KEY)}), RECIPE, "has none; take `Adam`"),
        (half_frozen(), RECIPE, "Layer `dense` must be trained in mean and spread or in neither"),
    ],
)
def test_what_cannot_be_trained_is_refused(network, recipe, words):
    with pytest.raises(ValueError, match=words):
        fit(network, clouds(8), recipe, KEY)


@pytest.mark.parametrize(
    "field, value", [("momentum", 1.0), ("memory", -0.1), ("start", 0.0), ("other_rate", math.nan)]
)
def test_impossible_methods_are_refused(field, value):
    with pytest.raises(ValueError, match=f"`{field}` must be"):
        replace(Ivon(), **{field: value})
