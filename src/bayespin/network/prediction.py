"""Monte-Carlo prediction: many passes, streamed, with randomness keyed by block and sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from bayespin.network.metrics import Predictive, PredictiveAccumulator
from bayespin.network.models import INPUT, Network
from bayespin.nn.correlated import CorrelatedSampling
from bayespin.nn.estimators import SAMPLING_ESTIMATOR, Estimator, Sampling
from bayespin.nn.random_layer import RandomStage, Reader
from bayespin.numerics.parallel import in_order
from bayespin.rng import HeldNoise, Key, KeyedNoise, Noise
from bayespin.shapes import Float, Tensor

IMAGE_BLOCK = 125
"""Images of one block: the unit of keyed randomness, small enough for a CPU's cache."""

Progress = Callable[[int, int], None]
Part = TypeVar("Part")


def _ignore(done: int, total: int) -> None:
    """Report no progress."""


class _Passes:
    """Repeated passes over one block, with everything that does not depend on noise done once."""

    def __init__(self, network: Network, x: Tensor, estimator: Estimator) -> None:
        self._network, self._estimator = network, estimator
        known, self._heads, self._rest = {INPUT: x}, dict[str, Reader](), list[str]()
        for name, stage in network.stages.items():
            taken = [known[source] for source in network.feeds[name] if source in known]
            if len(taken) < len(network.feeds[name]):
                self._rest.append(name)
            elif isinstance(stage, RandomStage):
                self._heads[name] = stage.reader(taken[0], estimator)
            else:
                known[name] = stage(*taken)
        needed = {source for name in self._rest for source in network.feeds[name]}
        self._known = {n: v for n, v in known.items() if n in needed or n == network.output}

    def run(self, noise: Noise) -> Tensor:
        """Return logits of one pass."""
        values = dict(self._known)
        values |= {name: reader(noise) for name, reader in self._heads.items()}
        step = self._network.passing(noise, self._estimator)
        self._network.through(values, self._rest, step)
        return values[self._network.output]


def predict_reads(
    network: Network,
    images: Tensor,
    sampling: Sampling | CorrelatedSampling,
    reads: int,
    key: Key,
    block: int = 0,
) -> Float[Tensor, "reads images classes"]:
    """Return class probabilities of every read of one block of images; see `output_reads`."""
    return output_reads(network, images, sampling, reads, key, block).softmax(-1)


@torch.no_grad()
def output_reads(
    network: Network,
    images: Tensor,
    sampling: Sampling | CorrelatedSampling,
    reads: int,
    key: Key,
    block: int = 0,
) -> Float[Tensor, "reads images outputs"]:
    """Return the outputs of every read of one block of images.

    The network is put into evaluation, where `fit` leaves it too: batch norms use their running
    statistics and do not change them, so that no image's prediction depends on its neighbours.

    Args:
        network: software or hardware.
        images: one block.
        sampling: what one pass shares.
        reads: Monte-Carlo passes.
        key: randomness; sample s of block b draws from ("read", s, b), and what is frozen from
            ("read", s).
        block: index of the block.
    """
    passes = _Passes(network.eval(), images, _estimator(network, sampling))
    outputs = []
    for sample in range(reads):
        noise: Noise = KeyedNoise.from_key(key.child("read", sample, block), images.device)
        if sampling is Sampling.FROZEN:
            noise = HeldNoise(KeyedNoise.from_key(key.child("read", sample), images.device), noise)
        outputs.append(passes.run(noise))
    return torch.stack(outputs)


def _floats(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _estimator(network: Network, sampling: Sampling | CorrelatedSampling) -> Estimator:
    if isinstance(sampling, CorrelatedSampling):
        return sampling.estimator(network.random_layers().values())
    if sampling not in SAMPLING_ESTIMATOR:
        raise ValueError(
            "Argument `sampling` must say when cells are read where it is `correlated`: give "
            "`CorrelatedSampling` with its window and period."
        )
    return SAMPLING_ESTIMATOR[sampling]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """How a prediction is carried out; `workers` and `progress` change nothing in its numbers."""

    workers: int = 1
    """Blocks computed at once, each on one thread; fastest at one per core."""
    progress: Progress = _ignore
    first_block: int = 0
    """Index of the first block, where `images` continue a set that began in another call."""


def predict(
    network: Network,
    images: Float[Tensor, " images *shape"],
    sampling: Sampling | CorrelatedSampling,
    reads: int,
    key: Key,
    execution: Execution | None = None,
) -> Predictive:
    """Return the predictive distribution over `reads` Monte-Carlo passes.

    mean = E[p]; the entropies split into aleatoric and epistemic. A network without random stages
    takes one pass. Results depend neither on workers nor on how images are split into calls, as
    long as splits fall on multiples of `IMAGE_BLOCK` and `first_block` continues the count: batch
    norms predict with their running statistics, as the network is put into evaluation.

    Raises:
        ValueError: fewer than one read or worker, or images that are not finite, or of another
            dtype or device than the network.
    """
    execution = execution if execution is not None else Execution()
    passes = checked_passes(network, images, reads, execution)

    def one(block: int, part: Tensor) -> Predictive:
        accumulator = PredictiveAccumulator()
        for read in predict_reads(network, part, sampling, passes, key, block):
            accumulator.add(read)
        return accumulator.result()

    return joined(by_block(images, one, execution))


def joined(parts: Sequence[Predictive]) -> Predictive:
    """Return the predictions of blocks of images, of equally many reads, as one."""
    return Predictive(
        mean=torch.cat([p.mean for p in parts]),
        total=torch.cat([p.total for p in parts]),
        aleatoric=torch.cat([p.aleatoric for p in parts]),
        epistemic=torch.cat([p.epistemic for p in parts]),
        reads=parts[0].reads,
    )


def by_block(
    images: Tensor, one: Callable[[int, Tensor], Part], execution: Execution
) -> list[Part]:
    """Return what `one` makes of each block of images, given its index, in order."""
    blocks = list(enumerate(images.split(IMAGE_BLOCK), start=execution.first_block))
    parts = []
    for part in in_order(lambda indexed: one(*indexed), blocks, execution.workers):
        parts.append(part)
        execution.progress(len(parts), len(blocks))
    return parts


def checked_passes(network: Network, images: Tensor, reads: int, execution: Execution) -> int:
    """Return how many passes a prediction takes: one without random stages.

    Raises:
        ValueError: what `predict` refuses.
    """
    for name, value in (("reads", reads), ("workers", execution.workers)):
        if value < 1:
            raise ValueError(f"Argument `{name}` must be at least 1, but is {value}.")
    if not bool(torch.isfinite(images).all()):
        raise ValueError("Argument `images` must be finite, but holds NaN or infinity.")
    own = next((t for t in network.state_dict().values() if _floats(t)), images)
    if _floats(images) and (images.dtype, images.device) != (own.dtype, own.device):
        raise ValueError(
            f"Argument `images` must be {own.dtype} on {own.device} as the network is, but is "
            f"{images.dtype} on {images.device}: move one with `.to`."
        )
    return reads if network.random_stages() else 1
