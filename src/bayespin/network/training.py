"""Training: the evidence lower bound, one loop, checkpoints at epoch boundaries."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from bayespin.network.checkpoint import load_state, save_state
from bayespin.network.likelihoods import Categorical, Likelihood
from bayespin.network.models import Network, summed_kl
from bayespin.nn.estimators import ESTIMATORS
from bayespin.nn.folding import BATCH_NORMS
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
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
    """Train `network` in place and return it in evaluation.

    Batch norms use the statistics of each batch and keep running ones, which a checkpoint holds as
    well and predictions use. Dropout is left out: its draws come from no key, and weights have
    noise of their own.

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
            _set_norms_training(network)  # whatever `progress` did, such as a prediction
            noise = KeyedNoise.from_key(key.child("step", step), images.device)
            outputs = network(images[chosen], noise, ESTIMATORS[recipe.estimator])
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
            _project(network, recipe.window)
            progress(step + 1, total)
        logger.info("epoch %d of %d: loss %.4f", epoch + 1, recipe.epochs, loss.item())
        if checkpoint is not None:
            save_state(checkpoint, network, optimiser, epoch + 1)
    return network.eval()


def _set_norms_training(network: Network) -> None:
    """Let batch norms learn their statistics, and everything else be as in prediction."""
    network.eval()
    for module in network.modules():
        if isinstance(module, BATCH_NORMS):
            module.train()


def _check(network: Network, images: Tensor, targets: Tensor, recipe: Recipe, key: Key) -> None:
    """Accept data that a network can be trained on, before anything is done."""
    if len(images) != len(targets) or len(images) == 0:
        raise ValueError(
            f"Argument `data` must hold a target for each of some images, but holds {len(images)} "
            f"images and {len(targets)} targets."
        )
    if not bool(torch.isfinite(images).all()):
        raise ValueError("Argument `data` must hold finite images, but holds NaN or infinity.")
    noise = KeyedNoise.from_key(key.child("check"), images.device)
    with torch.no_grad():
        outputs = network.eval()(images[:2], noise, ESTIMATORS[recipe.estimator])
    recipe.likelihood.check(outputs, targets)


def _project(network: Network, window: SigmaWindow) -> None:
    for layer in network.random_layers().values():
        if isinstance(layer, MeanFieldLayer):
            layer.project(window)
