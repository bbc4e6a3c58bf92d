"""Training: the evidence lower bound, one loop, checkpoints at epoch boundaries.

| method | what is learnt | by |
| --- | --- | --- |
| `Adam` | means, spreads and all else | gradients through a draw of the weights |
| `ivon.Ivon` | means and spreads, all else by Adam | natural gradients |

Both have the same optimum. Noise is keyed by the step and, where a batch falls into several
`shares`, by the share: who computes a share, and on which device, changes nothing but rounding.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import nn

from bayespin.network.augmentation import shifted_and_mirrored
from bayespin.network.checkpoint import AdamState, Kept, load_state, save_state
from bayespin.network.likelihoods import Categorical, Likelihood
from bayespin.network.models import Network, summed_kl
from bayespin.nn.estimators import ESTIMATORS, Estimator, GaussianLayer
from bayespin.nn.folding import BATCH_NORMS
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.read_law import ReadLaw, as_read
from bayespin.rng import Key, KeyedNoise, Noise
from bayespin.shapes import Float, Tensor

logger = logging.getLogger(__name__)

Augmentation = Literal["shift-mirror"]
Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


class TrainingDiverged(RuntimeError):
    """The loss is no longer finite."""


@runtime_checkable
class Learner(Protocol):
    """A network in training: gradients are gathered share by share, then used at once."""

    def learn(self, examples: Tensor, targets: Tensor, noise: Noise, weight: float) -> Tensor:
        """Gather the gradients of a share of a batch, and return its part of the loss.

        Args:
            examples: of the share.
            targets: of the share.
            noise: of the weights' draw.
            weight: the share's part of the batch.
        """
        ...

    def gathered(self) -> list[Tensor]:
        """Return what was gathered, to be added up in place over processes."""
        ...

    def update(self, rate: float) -> None:
        """Take one step with what was gathered, and forget it."""
        ...

    def settle(self) -> None:
        """Write into the network what it does not yet hold: called after every epoch."""
        ...

    @property
    def kept(self) -> Kept:
        """What a checkpoint holds beside the network."""
        ...


@runtime_checkable
class Method(Protocol):
    """A way to train."""

    def begin(self, network: Network, recipe: "Recipe", images: int) -> Learner:
        """Return the learner of a network on so many images.

        Raises:
            ValueError: a network or recipe that the method cannot train.
        """
        ...


@dataclass(frozen=True)
class Adam:
    """Adam on means, spreads and all else: Bayes by backprop, and plain training of point layers.

    Source: Kingma and Ba, arXiv:1412.6980; Blundell et al., arXiv:1505.05424.
    """

    def begin(self, network: Network, recipe: "Recipe", images: int) -> Learner:
        """Return the learner of a network on so many images."""
        return _AdamLearner(network, recipe, images)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained: on −ln p(y | x) + kl_weight · KL / N.

    Raises:
        ValueError: a count or rate that is not positive, a negative KL weight, or a precision that
            does not exist.
    """

    epochs: int
    batch: int
    learning_rate: float
    schedule: Literal["cosine", "constant"] = "cosine"
    kl_weight: float = 0.2
    estimator: Literal["flipout", "local_reparameterised", "reparameterised"] = "flipout"
    """How a draw of the weights enters; `Ivon` has its own."""
    window: SigmaWindow = field(default_factory=SigmaWindow)
    """Standard deviations that weights may have; free by default."""
    likelihood: Likelihood = field(default_factory=Categorical)
    """What the outputs say about a target."""
    reads: Mapping[str, ReadLaw] = field(default_factory=dict)
    """How a chip reads the layers of these names (`Accelerator.read_laws`): then the loss is that
    of these reads, and each of them has the window of its law."""
    method: Method = field(default_factory=Adam)
    """What makes a step of a gradient."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the products in a pass; parameters, losses, divergences and steps keep their own."""
    shares: int = 1
    """Parts of a batch, each with noise of its own; several processes divide them."""
    augmentation: Augmentation | None = None
    """What is done to images before each step: `augmentation.shifted_and_mirrored`, or nothing."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "learning_rate", "shares"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name)}.")
        if self.kl_weight < 0:
            raise ValueError(f"`kl_weight` must not be negative, but is {self.kl_weight}.")
        if self.precision not in ("float32", "bfloat16"):
            raise ValueError(f"`precision` must be float32 or bfloat16, but is {self.precision}.")
        if self.augmentation not in (None, "shift-mirror"):
            raise ValueError(f"`augmentation` must be shift-mirror, but is {self.augmentation}.")

    def augmented(self, examples: Tensor, key: Key) -> Tensor:
        """Return examples as a step sees them."""
        return examples if self.augmentation is None else shifted_and_mirrored(examples, key)


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


def outputs_of(
    network: Network, examples: Tensor, noise: Noise, estimator: Estimator, recipe: Recipe
) -> Tensor:
    """Return the outputs of one pass, with products in the recipe's precision.

    In bfloat16 torch casts the inputs of products and convolutions, 8 bits of a mantissa instead
    of 24, and keeps the range: no scaling of losses is needed. Outputs come back as float32.

    Source: Micikevicius et al., arXiv:1710.03740; Kalamkar et al., arXiv:1905.12322.
    """
    if recipe.precision == "float32":
        return network(examples, noise, estimator)
    with torch.autocast(examples.device.type, torch.bfloat16):
        return network(examples, noise, estimator).float()


class _AdamLearner:
    def __init__(self, network: Network, recipe: Recipe, images: int) -> None:
        self._network, self._recipe, self._images = network, recipe, images
        self._estimator = training_estimator(network, recipe)
        self._optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
        self._optimiser.zero_grad()
        self.kept = AdamState(dict(network.named_parameters()), self._optimiser)

    def learn(self, examples: Tensor, targets: Tensor, noise: Noise, weight: float) -> Tensor:
        outputs = outputs_of(self._network, examples, noise, self._estimator, self._recipe)
        loss = elbo_loss(self._network, outputs, targets, self._recipe, self._images) * weight
        loss.backward()
        return loss.detach()

    def gathered(self) -> list[Tensor]:
        return gradients(self._network.parameters())

    def update(self, rate: float) -> None:
        adam_step(self._optimiser, rate)
        _project(self._network, self._recipe)

    def settle(self) -> None:
        """Leave the network as it is: every step writes all of it."""


def gradients(parameters: Iterable[nn.Parameter]) -> list[Tensor]:
    """Return the gradients of all trained parameters, of zeros where there is none yet."""
    found = []
    for parameter in parameters:
        if parameter.requires_grad:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            found.append(parameter.grad)
    return found


def adam_step(optimiser: torch.optim.Adam, rate: float) -> None:
    """Take a step at this rate and forget the gradients."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()
    optimiser.zero_grad()


def _rate(recipe: Recipe, step: int, steps: int) -> float:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return 0.5 * recipe.learning_rate * (1 + math.cos(math.pi * step / steps))


@runtime_checkable
class Peers(Protocol):
    """The processes that train one network together."""

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        ...

    @property
    def count(self) -> int:
        """Number of processes."""
        ...

    def agree(self, network: Network, shares: int, plan: object) -> None:
        """Give all processes the same parameters, and see that all plan the same.

        Raises:
            ValueError: they do not, or cannot train this network together.
        """
        ...

    def add_up(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        ...

    def wait(self) -> None:
        """Return when all processes have come here."""
        ...


@dataclass(frozen=True)
class Alone:
    """One process."""

    rank: int = 0
    count: int = 1

    def agree(self, network: Network, shares: int, plan: object) -> None:
        """Agree: there is nobody else."""

    def add_up(self, tensors: list[Tensor]) -> None:
        """Leave the tensors: they are the sums."""

    def wait(self) -> None:
        """Return at once."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where a training runs; nothing here changes its numbers but for rounding."""

    checkpoint: Path | None = None
    """File to resume from and to write to; the first process writes, all read."""
    progress: Progress = lambda done, total: None
    peers: Peers = field(default_factory=Alone)


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
        recipe: method and objective.
        key: randomness of the whole training.
        checkpoint: file to resume from and to write to.
        progress: called after each step.

    Raises:
        ValueError: inputs that are not finite, targets that do not fit the network's outputs, or
            a network that the recipe's method cannot train.
        TrainingDiverged: the loss is not finite; the last checkpoint stands.
        InputError: the checkpoint is damaged or of another network.
    """
    return train(network, data, recipe, key, Run(checkpoint=checkpoint, progress=progress))


def train(
    network: Network,
    data: tuple[Float[Tensor, " images *shape"], Tensor],
    recipe: Recipe,
    key: Key,
    run: Run,
) -> Network:
    """Train `network` in place and return it: what `fit` does, in one process or in several.

    Args:
        network: of the same stages in every process; the first one's parameters are taken.
        data: all of it, in every process.
        recipe: method and objective.
        key: randomness of the whole training.
        run: processes, checkpoint and progress.

    Raises:
        ValueError: what `fit` refuses, or processes that do not agree.
        TrainingDiverged: the loss is not finite; the last checkpoint stands.
        InputError: the checkpoint is damaged or of another network.
    """
    images, targets = data
    _check(network, images, targets, recipe, key)
    learner = recipe.method.begin(network, recipe, len(images))
    first = load_state(run.checkpoint, network, learner.kept) if run.checkpoint is not None else 0
    plan = (first, recipe.epochs, recipe.batch, len(images), key.path)
    run.peers.agree(network, recipe.shares, plan)
    per_epoch = math.ceil(len(images) / recipe.batch)
    total = recipe.epochs * per_epoch
    loss = math.nan
    for epoch in range(first, recipe.epochs):
        order = torch.randperm(len(images), generator=key.child("order", epoch).generator())
        for step, chosen in enumerate(order.split(recipe.batch), start=epoch * per_epoch):
            _set_norms_training(network)  # whatever `progress` did, such as a prediction
            shares = _shares(chosen, recipe, key.child("step", step), run.peers)
            loss = _gather(learner, data, shares, recipe, run.peers)
            if not math.isfinite(loss):
                kept = (
                    f" `{run.checkpoint}` holds epoch {epoch}." if run.checkpoint and epoch else ""
                )
                raise TrainingDiverged(
                    f"Training diverged in epoch {epoch + 1} at step {step + 1}: the loss is "
                    f"{loss}; lower `learning_rate` (now {recipe.learning_rate}).{kept}"
                )
            learner.update(_rate(recipe, step, total))
            run.progress(step + 1, total)
        learner.settle()
        logger.info("epoch %d of %d: loss %.4f", epoch + 1, recipe.epochs, loss)
        if run.checkpoint is not None and run.peers.rank == 0:
            save_state(run.checkpoint, network, learner.kept, epoch + 1)
    run.peers.wait()  # or another process would go on, and read a checkpoint that is not yet there
    return network.eval()


def _set_norms_training(network: Network) -> None:
    """Let batch norms learn their statistics, and everything else be as in prediction."""
    network.eval()
    for module in network.modules():
        if isinstance(module, BATCH_NORMS):
            module.train()


Share = tuple[Tensor, Key, float]
"""Indices of a part of a batch, the key of its noise, and its weight."""


def _shares(chosen: Tensor, recipe: Recipe, key: Key, peers: Peers) -> list[Share]:
    """Return this process's parts of a batch; the last batch may have fewer than others."""
    if recipe.shares == 1:
        return [(chosen, key, 1.0)]
    parts = enumerate(chosen.tensor_split(recipe.shares))
    return [
        (part, key.child("share", number), len(part) / len(chosen))
        for number, part in parts
        if number % peers.count == peers.rank and len(part) > 0
    ]


def _gather(
    learner: Learner,
    data: tuple[Tensor, Tensor],
    shares: list[Share],
    recipe: Recipe,
    peers: Peers,
) -> float:
    """Return the loss of a batch, its gradients gathered over shares and processes."""
    images, targets = data
    loss = torch.zeros((), device=images.device)
    for chosen, key, weight in shares:
        noise = KeyedNoise.from_key(key, images.device)
        examples = recipe.augmented(images[chosen], key.child("augmentation"))
        loss = loss + learner.learn(examples, targets[chosen], noise, weight)
    if peers.count > 1:
        # The loss too, so that all processes see a divergence at the same step.
        peers.add_up([loss, *learner.gathered()])
    return loss.item()


def _check(network: Network, images: Tensor, targets: Tensor, recipe: Recipe, key: Key) -> None:
    """Accept data that a network can be trained on, before anything is done."""
    if len(images) != len(targets) or len(images) == 0:
        raise ValueError(
            f"Argument `data` must hold a target for each of some images, but holds {len(images)} "
            f"images and {len(targets)} targets."
        )
    if not bool(torch.isfinite(images).all()):
        raise ValueError("Argument `data` must hold finite images, but holds NaN or infinity.")
    if recipe.augmentation is not None and images.ndim != 4:
        raise ValueError(
            f"Argument `data` must be images with channels, height and width for the recipe's "
            f"`augmentation`, but has the shape {tuple(images.shape)}."
        )
    noise = KeyedNoise.from_key(key.child("check"), images.device)
    with torch.no_grad():
        outputs = network.eval()(images[:2], noise, ESTIMATORS[recipe.estimator])
    recipe.likelihood.check(outputs, targets)


def _project(network: Network, recipe: Recipe) -> None:
    for name, layer in network.random_layers().items():
        if isinstance(layer, MeanFieldLayer):
            law = recipe.reads.get(name)
            if law is None:
                layer.project(recipe.window)
            else:
                layer.project(law.window, law.mean_limit)
