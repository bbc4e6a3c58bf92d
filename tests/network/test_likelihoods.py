"""Likelihoods: closed forms, exact Bayesian regression as an oracle, and data that do not fit."""

from dataclasses import dataclass, replace

import pytest
import torch
from scipy import stats

from bayespin.network.likelihoods import Categorical, Gaussian, Likelihood
from bayespin.network.metrics.regression import regression_nll
from bayespin.network.models import Network
from bayespin.network.regression import predict_mixture
from bayespin.network.training import Recipe, TrainingDiverged, fit
from bayespin.nn.estimators import Sampling
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key

KEY = Key.root(61)
RECIPE = Recipe(epochs=1, batch=10, learning_rate=0.01, estimator="local_reparameterised",
                likelihood=Gaussian())  # fmt: skip


def draw(word, *shape):
    return torch.randn(shape, generator=KEY.child(word).generator())


def test_gaussian_loss_is_the_density_of_its_law():
    outputs, targets = draw("outputs", 7, 6), draw("targets", 7, 3)
    likelihood = Gaussian(floor=0.05)
    mean, scale = likelihood.law(outputs)
    wanted = -stats.norm.logpdf(targets.numpy(), mean.numpy(), scale.numpy()).sum(1).mean()
    assert float(likelihood.loss(outputs, targets)) == pytest.approx(wanted, rel=1e-6)
    assert float(likelihood.law(torch.full((1, 2), -200.0))[1]) == pytest.approx(0.05)


@dataclass(frozen=True)
class KnownNoise:
    """N(output, s²) with s known: Bayesian linear regression has a closed form then."""

    s: float

    def check(self, outputs, targets):
        assert outputs.shape[1] == targets.shape[1]

    def loss(self, outputs, targets):
        return ((targets - outputs).square() / (2 * self.s**2)).sum(1).mean()


def test_mean_field_finds_the_exact_posterior_of_a_linear_model():
    """Mean of the exact posterior, and σ_j² = 1/Λ_jj, the best of all independent Gaussians.

    Λ = XᵀX/s² + 1, μ = Λ⁻¹ Xᵀy/s² (Bishop, Pattern Recognition, eq. 3.53 and 10.35).
    """
    s, x = 0.5, draw("x", 40, 3)
    x[:, 2] = 0.6 * x[:, 0] + 0.8 * x[:, 2]  # correlated inputs, so that mean field is not exact
    y = x @ torch.tensor([[0.7], [-1.2], [0.3]]) + s * draw("noise", 40, 1)
    network = Network({"dense": MeanFieldLayer(Dense(3, 1), KEY.child("network"))})
    network.stages["dense"].bias.requires_grad_(False)
    recipe = Recipe(epochs=1500, batch=40, learning_rate=0.05, kl_weight=1.0,
                    estimator="local_reparameterised", likelihood=KnownNoise(s))  # fmt: skip
    layer = fit(network, (x, y), recipe, KEY.child("fit")).stages["dense"]
    precision = (x.T @ x / s**2 + torch.eye(3)).double()
    mean = torch.linalg.solve(precision, (x.T @ y / s**2).double())[:, 0]
    sigma = precision.diagonal().rsqrt()
    exact = torch.linalg.inv(precision).diagonal().sqrt()
    assert float((layer.mean[0].detach() - mean).abs().max()) < 0.15 * float(sigma.min())
    torch.testing.assert_close(layer.sigma()[0].detach().double(), sigma, rtol=0.05, atol=0)
    assert float((exact / sigma).max()) > 1.15  # what the mean field leaves out would be seen


def test_noise_that_depends_on_the_input_is_found():
    x = torch.linspace(-1, 1, 400)[:, None]
    wanted = 0.1 + 0.3 * (x > 0)
    y = 0.5 * x + wanted * draw("y", 400, 1)
    hidden = MeanFieldLayer(Dense(1, 20), KEY.child("hidden"))
    network = Network({"hidden": hidden, "relu": torch.nn.ReLU(),
                       "head": MeanFieldLayer(Dense(20, 2), KEY.child("head"))})  # fmt: skip
    recipe = replace(RECIPE, epochs=150, batch=50, learning_rate=0.02, kl_weight=0.1)
    fit(network, (x, y), recipe, KEY.child("fit"))
    found = predict_mixture(network, x, Gaussian(), Sampling.PER_READ, (50, KEY))
    noise = found.aleatoric.sqrt()
    assert float(noise[:150].mean()) == pytest.approx(0.1, rel=0.3)
    assert float(noise[250:].mean()) == pytest.approx(0.4, rel=0.3)
    best = float(wanted.log().mean()) + 0.5 * (1 + 1.8379)
    assert regression_nll(found, y[:, 0].double()) < best + 0.15


@pytest.mark.parametrize(
    "likelihood, outputs, targets, words",
    [
        (Categorical(), 3, torch.tensor([0, 3]), "Labels must be 0 to 2, .* but are 0 to 3"),
        (Categorical(), 3, torch.tensor([-1, 1]), "but are -1 to 1"),
        (Categorical(), 3, torch.tensor([0.0, 1.0]), "take `Gaussian` for numbers"),
        (Gaussian(), 2, torch.tensor([0, 1]), "must be floats of shape"),
        (Gaussian(), 2, torch.tensor([[0.0], [float("nan")]]), "must be finite"),
        (Gaussian(), 3, torch.zeros(2, 1), "must have 2 outputs, .* but has 3"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_training(likelihood, outputs, targets, words):
    network = Network({"dense": MeanFieldLayer(Dense(4, outputs), KEY)})
    before = network.stages["dense"].mean.detach().clone()
    with pytest.raises(ValueError, match=words):
        fit(network, (torch.zeros(2, 4), targets), replace(RECIPE, likelihood=likelihood), KEY)
    assert torch.equal(before, network.stages["dense"].mean)
    assert isinstance(likelihood, Likelihood)


def test_images_that_are_not_finite_or_too_few_are_refused():
    network = Network({"dense": MeanFieldLayer(Dense(4, 2), KEY)})
    bad = torch.full((2, 4), float("nan"))
    with pytest.raises(ValueError, match="must hold finite images"):
        fit(network, (bad, torch.zeros(2, 1)), RECIPE, KEY)
    with pytest.raises(ValueError, match="holds 2 images and 3 targets"):
        fit(network, (torch.zeros(2, 4), torch.zeros(3, 1)), RECIPE, KEY)


def test_divergence_names_the_checkpoint_that_stands(tmp_path):
    network = Network({"dense": MeanFieldLayer(Dense(4, 2), KEY)})
    data = (draw("wild", 20, 4), draw("targets", 20, 1))
    file = tmp_path / "training.safetensors"
    fit(network, data, RECIPE, KEY, checkpoint=file)
    wild = replace(RECIPE, epochs=60, learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match=r"training.safetensors` holds epoch \d+\."):
        fit(network, data, wild, KEY, checkpoint=file)


def test_a_floor_must_be_positive():
    with pytest.raises(ValueError, match="`floor` must be positive"):
        Gaussian(floor=0.0)
