"""Training: the evidence lower bound, one loop, checkpoints at epoch boundaries."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from bayespin.network.checkpoint import load_state, save_state
from bayespin.network.likelihoods import Categorical, Likelihood
from bayespin.network.models import Network, summed_kl
from bayespin.nn.estimators import ESTIMATORS, Estimator, GaussianLayer
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.read_law import ReadLaw, as_read
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


class TrainingDiverged(RuntimeError):
    """The loss is no longer finite."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: Adam on −ln p(y | x) + kl_weight · KL / N.

    Raises:
        ValueError: a count or rate that is not positive, or a negative KL weight.
    """

    epochs: int
    batch: int
    learning_rate: float
    schedule: Literal["cosine", "constant"] = "cosine"
    kl_weight: float = 0.2
    estimator: Literal["flipout", "local_reparameterised", "reparameterised"] = "flipout"
    window: SigmaWindow = field(default_factory=SigmaWindow)
    """Standard deviations that weights may have; free by default."""
    likelihood: Likelihood = field(default_factory=Categorical)
    """What the outputs say about a target."""
    reads: Mapping[str, ReadLaw] = field(default_factory=dict)
    """How a chip reads the layers of these names (`Accelerator.read_laws`): then the loss is that
    of these reads, and each of them has the window of its law."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name)}.")
        if self.kl_weight < 0:
            raise ValueError(f"`kl_weight` must not be negative, but is {self.kl_weight}.")


def elbo_loss(
    network: Network, outputs: Tensor, targets: Tensor, recipe: Recipe, images: int
) -> Tensor:
    """Return the mean negative log-likelihood + kl_weight · KL / N, in nats per image.

    N = `images` is the size of the training set, so the sum over a whole epoch counts the summed
    KL `kl_weight` times; kl_weight = 1 is the evidence lower bound (arXiv:1505.05424).
    """
    likelihood = recipe.likelihood.loss(outputs, targets)
    return likelihood + recipe.kl_weight * summed_kl(network) / images


def training_estimator(network: Network, recipe: Recipe) -> Estimator:
    """Return how the recipe samples the network's weights.

    Raises:
        ValueError: laws of reads for stages that the network does not have as mean-field layers.
    """
    layers = {n: s for n, s in network.stages.items() if isinstance(s, MeanFieldLayer)}
    unknown = [name for name in recipe.reads if name not in layers]
    if unknown:
        raise ValueError(
            f"`reads` must be for mean-field layers of the network, {', '.join(layers)}, but has "
            f"{', '.join(unknown)}."
        )
    laws: dict[GaussianLayer, ReadLaw] = {layers[n]: law for n, law in recipe.reads.items()}
    estimator = ESTIMATORS[recipe.estimator]
    return as_read(laws, estimator) if laws else estimator


def _rate(recipe: Recipe, step: int, steps: int) -> float:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return 0.5 * recipe.learning_rate * (1 + math.cos(math.pi * step / steps))


def fit(
    network: Network,
    data: tuple[Float[Tensor, " images *shape"], Tensor],
    recipe: Recipe,
    key: Key,
    *,
    checkpoint: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Network:
    """Train `network` in place and return it.

    Shuffling is keyed by the epoch and noise by the step, so a run that is interrupted and resumed
    from `checkpoint` (written after every epoch) ends in the same bits as an uninterrupted one.

    Args:
        network: a mean-field or deterministic network.
        data: images in [0, 1] and integer labels, or whatever else the likelihood is for.
        recipe: optimiser and objective.
        key: randomness of the whole training.
        checkpoint: file to resume from and to write to.
        progress: called after each step.

    Raises:
        ValueError: inputs that are not finite, or targets that do not fit the network's outputs.
        TrainingDiverged: the loss is not finite; the last checkpoint stands.
        InputError: the checkpoint is damaged or of another network.
    """
    images, targets = data
    estimator = training_estimator(network, recipe)
    _check(network, images, targets, recipe, key)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    first = load_state(checkpoint, network, optimiser) if checkpoint is not None else 0
    per_epoch = math.ceil(len(images) / recipe.batch)
    total = recipe.epochs * per_epoch
    for epoch in range(first, recipe.epochs):
        order = torch.randperm(len(images), generator=key.child("order", epoch).generator())
        for step, chosen in enumerate(order.split(recipe.batch), start=epoch * per_epoch):
            for group in optimiser.param_groups:
                group["lr"] = _rate(recipe, step, total)
            noise = KeyedNoise.from_key(key.child("step", step), images.device)
            outputs = network(images[chosen], noise, estimator)
            loss = elbo_loss(network, outputs, targets[chosen], recipe, len(images))
            if not math.isfinite(loss.item()):
                kept = f" `{checkpoint}` holds epoch {epoch}." if checkpoint and epoch else ""
                raise TrainingDiverged(
                    f"Training diverged in epoch {epoch + 1} at step {step + 1}: the loss is "
                    f"{loss.item()}; lower `learning_rate` (now {recipe.learning_rate}).{kept}"
                )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            _project(network, recipe)
            progress(step + 1, total)
        logger.info("epoch %d of %d: loss %.4f", epoch + 1, recipe.epochs, loss.item())
        if checkpoint is not None:
            save_state(checkpoint, network, optimiser, epoch + 1)
    return network


def _check(network: Network, images: Tensor, targets: Tensor, recipe: Recipe, key: Key) -> None:
    """Accept data that a network can be trained on, before anything is done."""
    if len(images) != len(targets) or len(images) == 0:
        raise ValueError(
            f"Argument `data` must hold a target for each of some images, but holds {len(images)} "
            f"images and {len(targets)} targets."
        )
    if not bool(torch.isfinite(images).all()):
        raise ValueError("Argument `data` must hold finite images, but holds NaN or infinity.")
    noise, training = KeyedNoise.from_key(key.child("check"), images.device), network.training
    with torch.no_grad():
        outputs = network.eval()(images[:2], noise, ESTIMATORS[recipe.estimator])
    network.train(training)
    recipe.likelihood.check(outputs, targets)


def _project(network: Network, recipe: Recipe) -> None:
    for name, layer in network.random_layers().items():
        if isinstance(layer, MeanFieldLayer):
            law = recipe.reads.get(name)
            layer.project(recipe.window if law is None else law.window)
