"""Mean-field posteriors against Hamiltonian Monte Carlo, which knows no family of distributions.

The sampler is for tests alone, and is itself held against a Gaussian of known covariance. What it
draws for a network are weights of the very model that is trained: the package's products and
likelihood, the same prior, and biases held at zero, so that nothing is left that is not random.

Where a posterior factorises the two must agree. Where it does not, mean field is known to be too
sure between separated data (Foong et al., arXiv:1909.00719): there an inequality is asserted.

Sources: Duane et al., doi:10.1016/0370-2693(87)91197-X; Neal, arXiv:1206.1901.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from bayespin.network.architectures import mlp, regression_net
from bayespin.network.likelihoods import Gaussian
from bayespin.network.models import Network
from bayespin.network.regression import predict_mixture
from bayespin.network.training import Recipe, fit
from bayespin.nn.estimators import Sampling
from bayespin.rng import Key
from tests.statistical.check import mean_is, variance_is

KEY = Key.root(101)
LIKELIHOOD = Gaussian(floor=0.05)


def metropolis(ratio: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(len(ratio), generator=generator, dtype=ratio.dtype) < ratio


def always(ratio: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The planted fault: leapfrog steps alone, whose error nothing corrects."""
    return torch.ones(len(ratio), dtype=torch.bool)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to sample; warm-up moves the step to four acceptances in five, and is thrown away."""

    warmup: int
    draws: int
    leaps: int = 15
    step: float = 0.02
    accepts: Callable[[torch.Tensor, torch.Generator], torch.Tensor] = metropolis


def hmc(potential, start: torch.Tensor, plan: Plan, generator: torch.Generator) -> torch.Tensor:
    """Return draws (draws, chains, dimensions) from exp(−potential), a chain for each start.

    H(q, p) = U(q) + p²/2; leapfrog steps of a length that is varied by ±20 %, so that no mode is
    met after whole periods, and acceptance with min(1, e^{−ΔH}).
    """

    def force(q):
        q = q.detach().requires_grad_()
        u = potential(q)
        return u.detach(), torch.autograd.grad(u.sum(), q)[0]

    q, kept, step = start, [], plan.step
    u, slope = force(q)
    for number in range(plan.warmup + plan.draws):
        length = step * (0.8 + 0.4 * float(torch.rand((), generator=generator)))
        p = torch.randn(q.shape, generator=generator, dtype=q.dtype)
        before, new, new_slope = u + p.square().sum(1) / 2, q, slope
        p = p - length / 2 * slope
        for leap in range(plan.leaps):
            new = new + length * p
            new_u, new_slope = force(new)
            p = p - length * (0.5 if leap == plan.leaps - 1 else 1.0) * new_slope
        after = new_u + p.square().sum(1) / 2
        ratio = (before - after).clamp(max=0).exp().nan_to_num(0.0)
        taken = plan.accepts(ratio, generator)
        q, slope = (torch.where(taken[:, None], a, b) for a, b in ((new, q), (new_slope, slope)))
        u = torch.where(taken, new_u, u)
        if number >= plan.warmup:
            kept.append(q)
        else:
            step *= math.exp(0.1 * (float(ratio.mean()) - 0.8))
    return torch.stack(kept)


def r_hat(x: torch.Tensor) -> float:
    """The largest split R-hat of quantities (draws, chains, quantities); 1 where chains agree."""
    halves = x.unflatten(0, (2, -1)).transpose(1, 2).flatten(0, 1)
    within, between = halves.var(1).mean(0), halves.mean(1).var(0)
    return float((1 - 1 / halves.shape[1] + between / within).sqrt().max())


COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, 0.05], [0.0, 0.05, 0.02]]).double()


def of_gaussian(plan: Plan) -> torch.Tensor:
    """The last states of 4000 chains that begin far apart: independent draws."""
    precision, generator = torch.linalg.inv(COVARIANCE), KEY.child("gaussian").generator()
    start = 3 * torch.randn(4000, 3, generator=generator, dtype=torch.float64)

    def potential(q):
        return torch.einsum("ci,ij,cj->c", q - 1, precision, q - 1) / 2

    return hmc(potential, start, plan, generator)[-1] - 1


def covariance_is_known(x: torch.Tensor) -> None:
    """Four thousand draws show an error of 11 % of a variance, and of 0.08 σ of a mean."""
    for i in range(3):
        mean_is(x[:, i], 0.0)
        variance_is(x[:, i], float(COVARIANCE[i, i]))
    mean_is(x[:, 0] * x[:, 1], 0.6)
    mean_is(x[:, 1] * x[:, 2], 0.05)


def test_the_sampler_draws_a_gaussian_of_known_covariance():
    covariance_is_known(of_gaussian(Plan(warmup=120, draws=1)))


def test_a_sampler_that_accepts_everything_is_seen():
    """Leapfrog of step ε widens a Gaussian of precision ω² by 1/(1 − ε²ω²/4).

    At the step of four acceptances in five that doubles the variance of the narrowest direction.
    """
    plan = Plan(warmup=120, draws=1, accepts=always)
    with pytest.raises(AssertionError, match="must be"):
        covariance_is_known(of_gaussian(plan))


def without_biases(network: Network) -> Network:
    for layer in network.random_layers().values():
        layer.bias.requires_grad_(False)
    return network


def trained(network: Network, x: torch.Tensor, y: torch.Tensor, epochs: int) -> Network:
    recipe = Recipe(epochs=epochs, batch=len(x), learning_rate=0.02, kl_weight=1.0,
                    estimator="local_reparameterised", likelihood=LIKELIHOOD)  # fmt: skip
    return fit(without_biases(network), (x, y), recipe, KEY.child("fit"))


class Sampled:
    """The posterior of a trained network's model, by chains that begin at its own draws."""

    def __init__(self, network: Network, x: torch.Tensor, y: torch.Tensor, plan: Plan) -> None:
        self.layers = list(network.random_layers().values())
        generator = KEY.child("hmc").generator()
        mean, sigma = (
            torch.cat([f(layer).detach().flatten() for layer in self.layers]).double()
            for f in (lambda layer: layer.mean, lambda layer: layer.sigma())
        )
        start = mean + sigma * torch.randn(16, len(mean), generator=generator, dtype=mean.dtype)
        self.x, self.y = x.double(), y.double()
        self.weights = hmc(self.potential, start, plan, generator)

    def outputs(self, q: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Dense layers with ReLU between them, for one set of weights in each row of q."""
        h = x.double().expand(len(q), *x.shape)
        parts = q.split([layer.mean.numel() for layer in self.layers], 1)
        for number, (layer, part) in enumerate(zip(self.layers, parts, strict=True)):
            h = h if number == 0 else h.relu()
            h = h @ part.unflatten(1, layer.product.weight_shape).transpose(1, 2)
        return h

    def potential(self, q: torch.Tensor) -> torch.Tensor:
        """−ln p(y | x, q) − ln p(q), but for constants; all priors are N(0, 1)."""
        mean, scale = LIKELIHOOD.law(self.outputs(q, self.x))
        each = scale.log() + ((self.y - mean) / scale).square() / 2
        return each.sum((1, 2)) + q.square().sum(1) / 2

    def law(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """m and s of every draw, (draws, chains, examples)."""
        outputs = self.outputs(self.weights.flatten(0, 1), x)
        mean, scale = LIKELIHOOD.law(outputs.unflatten(0, self.weights.shape[:2]))
        return mean[..., 0], scale[..., 0]


def test_where_the_posterior_factorises_mean_field_is_exact():
    """A mean and a scale from 60 numbers: information about the two does not mix.

    Mean-field deviations are within 10 % of the sampled ones, and means within a tenth of them:
    the scale's posterior is a little skewed, and Adam ends near the optimum, not in it (as in
    `test_training`). Over this key and two others these were at most 5 % and 0.03.
    """
    x = torch.ones(60, 1)
    y = 0.5 + 0.4 * torch.randn(60, 1, generator=KEY.child("numbers").generator())
    network = trained(mlp(KEY.child("mlp"), (1, 2)), x, y, 600)
    sampled = Sampled(network, x, y, Plan(warmup=100, draws=300, leaps=8))
    assert r_hat(sampled.weights) < 1.02
    mean, deviation = sampled.weights.mean((0, 1)), sampled.weights.flatten(0, 1).std(0)
    layer = network.stages["dense1"]
    assert float(((layer.mean.detach()[:, 0] - mean) / deviation).abs().max()) < 0.1
    ratio = layer.sigma().detach()[:, 0] / deviation
    assert float((ratio - 1).abs().max()) < 0.1


def with_one(x: torch.Tensor) -> torch.Tensor:
    """x, and a constant whose weights are the biases of the hidden units, prior included."""
    return torch.cat([2 * x, torch.ones_like(x)], 1)


@pytest.fixture(scope="module")
def gap():
    """|x| + 0.3 ε, known in [−1, −0.4] and [0.4, 1]; predictions of both at 13 places."""
    generator = KEY.child("data").generator()
    place = 1.2 * torch.rand(100, generator=generator)
    x = torch.where(place < 0.6, place - 1, place - 0.2)[:, None]
    y = x.abs() + 0.3 * torch.randn(100, 1, generator=generator)
    network = trained(regression_net(KEY.child("net"), 2, 6), with_one(x), y, 1000)
    sampled = Sampled(network, with_one(x), y, Plan(warmup=300, draws=400, leaps=25))
    grid = torch.linspace(-1, 1, 21)[:, None]
    reads = (1000, KEY.child("reads"))
    found = predict_mixture(network, with_one(grid), LIKELIHOOD, Sampling.FROZEN, reads)
    return grid[:, 0], found, sampled.law(with_one(grid))


def test_chains_agree(gap):
    assert r_hat(gap[2][0]) < 1.1


def test_at_the_data_mean_field_predicts_what_is_sampled(gap):
    """Means within a third of the noise, its size within 40 %, deviations within 2.5 times.

    So an interval of a prediction, mostly noise, is about right; the epistemic part of it is right
    to a factor, as mean field leaves out all correlations. Over this key and three others these
    were at most 0.07, 28 % and 2.0 times.
    """
    x, found, (mean, scale) = gap
    data = (x.abs() > 0.45) & (x.abs() < 0.95)
    assert float((found.centre - mean.mean((0, 1)))[data].abs().max()) < 0.1
    ratio = (found.epistemic.sqrt() / mean.flatten(0, 1).std(0))[data]
    assert 0.4 < float(ratio.min()) <= float(ratio.max()) < 2.5
    noise = scale.square().mean((0, 1))
    assert float(((found.aleatoric / noise).sqrt()[data] - 1).abs().max()) < 0.4


def test_in_the_gap_mean_field_is_too_sure(gap):
    """Sampled deviations rise between the data; those of mean field do not, and are far smaller.

    No mean-field posterior of one hidden layer of ReLU can be much less sure between two places
    than at both (theorem 1 of arXiv:1909.00719). What is asked for is a factor of two; over this
    key and three others it was 2.6 to 4.4, and R-hat of the sampled means at most 1.03.
    """
    x, found, (mean, _) = gap
    middle, ends = x.abs() < 0.15, (x.abs() > 0.55) & (x.abs() < 0.85)
    deviation, own = mean.flatten(0, 1).std(0), found.epistemic.sqrt()
    assert float((deviation / own)[middle].min()) > 2
    assert float(deviation[middle].min()) > 1.5 * float(deviation[ends].max())
    assert float(own[middle].max()) < float(own[ends].max())
