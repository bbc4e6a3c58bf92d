"""Variational training by natural gradients: the price of plain training, and spreads of its own.

Adam on the bound needs a gradient of every spread. Here the spread follows from an estimate of the
curvature that the means' gradients give for free:

    θ = m + σ ε,  ε ~ N(0, 1),  σ = 1/√(λ (h + δ))
    ĝ = ∇ of the mean loss at θ,  ĥ = ĝ ε / σ
    g ← β₁ g + (1 − β₁) ĝ
    h ← β₂ h + (1 − β₂) ĥ + ½ (1 − β₂)² (h − ĥ)² / (h + δ)
    m ← m − α (g/(1 − β₁^t) + δ (m − m₀)) / (h + δ)

Symbols: m, σ means and standard deviations of the weights; h curvature of the mean loss; λ = N / κ
with N examples and the KL weight κ; δ = 1/(λ s²) and m₀ from the prior N(m₀, s²); α the learning
rate; β₁, β₂ memories; t the step. The third term of h keeps h + δ positive.

E ĥ is the curvature averaged over the weights' law (Stein's identity), so that a resting h and m
are the optimum of E[loss] + κ KL / N, the very objective of `training.Adam`.

Source: Shen et al., arXiv:2402.17641, algorithm 1; Lin et al., arXiv:2002.10060, for the third
term. Stated from knowledge of the papers, whose text was not at hand, and from no other program;
that m and σ rest at the optimum is tested.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.network.checkpoint import AdamState, Kept
from bayespin.network.models import Network
from bayespin.network.training import Learner, Recipe, adam_step, gradients, outputs_of
from bayespin.nn.estimators import GaussianLayer
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow, inverse_softplus
from bayespin.rng import Noise
from bayespin.shapes import Tensor


@dataclass(frozen=True, kw_only=True)
class Ivon:
    """Natural gradients for means and spreads of mean-field layers, Adam for all else.

    `Recipe.learning_rate` is α. First steps are α/(start + δ) times the gradient, which must be
    about 1 for image classifiers, as with α = 0.02 here; ten times more may diverge. Draws are
    reparameterised, one for each share of a batch; the recipe's estimator plays no part. A
    network's spreads are written at the end of every epoch.

    Raises:
        ValueError: a memory outside 0 to 1, or a start or rate that is not positive.
    """

    momentum: float = 0.9
    """β₁."""
    memory: float = 0.9995
    """β₂: spreads forget their start in 1/(1 − β₂) steps. The paper's 0.99999 is for runs of
    hundreds of thousands."""
    start: float = 0.02
    """h at the start."""
    other_rate: float = 2e-3
    """Learning rate of Adam for biases and all else that is not a Gaussian weight; it falls by the
    recipe's schedule."""

    def __post_init__(self) -> None:
        for name in ("momentum", "memory"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"`{name}` must be from 0 to below 1, but is {getattr(self, name)}."
                )
        for name in ("start", "other_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name)}.")

    @cites("arXiv:2402.17641", "arXiv:2002.10060")
    def begin(self, network: Network, recipe: Recipe, images: int) -> Learner:
        """Return the learner of a network on so many images.

        Raises:
            ValueError: no mean-field layer, layers of other random weights, a mean that is trained
                where its spread is not, a KL weight of zero, at which spreads vanish, or laws of
                a chip's reads.
        """
        if not recipe.kl_weight > 0:
            raise ValueError(
                "`kl_weight` must be positive for `Ivon`, but is 0: without it spreads vanish."
            )
        if recipe.reads:
            raise ValueError(
                f"`reads` must be empty for `Ivon`, but is for {', '.join(recipe.reads)}: train "
                f"with `Adam` where a chip's reads are in the loss."
            )
        return _IvonLearner(network, recipe, self, images)


@dataclass(kw_only=True)
class _Posterior:
    """One layer's Gaussian in training."""

    layer: MeanFieldLayer
    scale: float
    """λ."""
    curvature: Tensor
    momentum: Tensor
    gradient: Tensor
    """Σ ĝ of the shares of this step."""
    seen: Tensor
    """Σ ĥ of the shares of this step."""

    @classmethod
    def of(cls, layer: MeanFieldLayer, scale: float, start: float) -> "_Posterior":
        zero = torch.zeros_like(layer.mean)
        curvature = torch.full_like(zero, start)
        others = [zero.clone() for _ in range(3)]
        return cls(
            layer=layer, scale=scale, curvature=curvature,
            momentum=others[0], gradient=others[1], seen=others[2],
        )  # fmt: skip

    @property
    def decay(self) -> float:
        """δ."""
        return 1 / (self.scale * self.layer.prior_sigma**2)

    def sigma(self) -> Tensor:
        return (self.scale * (self.curvature + self.decay)).rsqrt()

    def gather(self, offset: Tensor) -> None:
        """Take the gradient at m + offset from the layer."""
        found = self.layer.mean.grad
        if found is None:  # the layer leads to no output
            return
        self.gradient += found
        self.seen += found * offset * (self.scale * (self.curvature + self.decay))
        self.layer.mean.grad = None

    @torch.no_grad()
    def update(self, rate: float, method: Ivon, step: int, window: SigmaWindow) -> None:
        h, decay, fresh = self.curvature, self.decay, 1 - method.memory
        gap = self.seen - h
        h += fresh * gap + 0.5 * fresh**2 * gap.square() / (h + decay)
        # σ inside the window is h between these; an open end is infinite, or −δ, which h exceeds.
        least = 1 / (self.scale * window.cap**2) - decay
        most = 1 / (self.scale * window.floor**2) - decay if window.floor > 0 else torch.inf
        h.clamp_(least, most)
        self.momentum.lerp_(self.gradient, 1 - method.momentum)
        slope = self.momentum / (1 - method.momentum**step) + decay * self.layer.from_prior_mean()
        self.layer.mean.sub_(rate * slope / (h + decay))
        self.gradient.zero_()
        self.seen.zero_()


class _IvonLearner:
    def __init__(self, network: Network, recipe: Recipe, method: Ivon, images: int) -> None:
        self._network, self._recipe, self._method = network, recipe, method
        scale = images / recipe.kl_weight
        self._posteriors = {
            name: _Posterior.of(layer, scale, method.start)
            for name, layer in _trainable(network).items()
        }
        inside = {id(p.layer.mean) for p in self._posteriors.values()}
        inside |= {id(p.layer.spread) for p in self._posteriors.values()}
        self._others = {n: p for n, p in network.named_parameters() if id(p) not in inside}
        self._adam = torch.optim.Adam([{"params": list(self._others.values())}])
        network.zero_grad()
        self._step = torch.zeros((), dtype=torch.int64)
        state = AdamState(self._others, self._adam)
        self.kept: Kept = _IvonState(self._posteriors, self._step, state)

    def learn(self, examples: Tensor, targets: Tensor, noise: Noise, weight: float) -> Tensor:
        by_layer = {id(p.layer): p for p in self._posteriors.values()}
        offsets = dict[int, Tensor]()

        def drawn(layer: GaussianLayer, x: Tensor, noise: Noise) -> Tensor:
            # A layer that stands in two places is one layer, of one draw.
            if id(layer) not in offsets:
                found = by_layer.get(id(layer))
                sigma = layer.sigma().detach() if found is None else found.sigma()
                offsets[id(layer)] = sigma * noise.normal(layer.mean)
            y = layer.product.apply(x, layer.mean + offsets[id(layer)])
            return y + layer.product.per_output(layer.bias)

        outputs = outputs_of(self._network, examples, noise, drawn, self._recipe)
        loss = self._recipe.likelihood.loss(outputs, targets) * weight
        loss.backward()
        for number, posterior in by_layer.items():
            posterior.gather(offsets[number])
        return loss.detach()

    def gathered(self) -> list[Tensor]:
        found = [t for p in self._posteriors.values() for t in (p.gradient, p.seen)]
        return found + gradients(self._others.values())

    def update(self, rate: float) -> None:
        self._step += 1
        for posterior in self._posteriors.values():
            posterior.update(rate, self._method, int(self._step), self._recipe.window)
        adam_step(self._adam, self._method.other_rate * rate / self._recipe.learning_rate)

    @torch.no_grad()
    def settle(self) -> None:
        for posterior in self._posteriors.values():
            spread = posterior.layer.spread
            spread.copy_(inverse_softplus(posterior.sigma().double()))
            posterior.layer.project(self._recipe.window)


class _IvonState:
    """What a checkpoint holds: curvatures, momenta, the count of steps, and Adam's of the rest."""

    def __init__(
        self, posteriors: Mapping[str, _Posterior], step: Tensor, others: AdamState
    ) -> None:
        self._own = {"ivon.step": step}
        for name, posterior in posteriors.items():
            self._own[f"ivon.curvature.{name}"] = posterior.curvature
            self._own[f"ivon.momentum.{name}"] = posterior.momentum
        self._others = others

    def tensors(self) -> dict[str, Tensor]:
        return self._own | self._others.tensors()

    def shapes(self) -> dict[str, torch.Size]:
        return {name: own.shape for name, own in self._own.items()} | self._others.shapes()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        for name, own in self._own.items():
            own.copy_(tensors[name])
        self._others.restore(tensors)


def _trainable(network: Network) -> dict[str, MeanFieldLayer]:
    """Return the layers with Gaussian weights to be trained.

    Raises:
        ValueError: what `Ivon.begin` refuses.
    """
    found = dict[str, MeanFieldLayer]()
    for name, layer in network.random_layers().items():
        if not isinstance(layer, MeanFieldLayer):
            raise ValueError(
                f"Layer `{name}` must be a mean-field layer to be trained with `Ivon`, but is a "
                f"{type(layer).__name__}; train before `deploy`."
            )
        if layer.mean.requires_grad != layer.spread.requires_grad:
            raise ValueError(
                f"Layer `{name}` must be trained in mean and spread or in neither with `Ivon`, but "
                f"is in one; hold spreads by the recipe's `window` instead."
            )
        if layer.mean.requires_grad and all(layer is not other for other in found.values()):
            found[name] = layer
    if not found:
        raise ValueError(
            "Argument `network` must have a mean-field layer for `Ivon`, but has none; take `Adam`."
        )
    return found
