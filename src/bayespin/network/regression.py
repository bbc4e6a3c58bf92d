"""Monte-Carlo prediction of numbers: a mixture with a Gaussian for every read."""

import torch

from bayespin.network.likelihoods import Gaussian
from bayespin.network.metrics.regression import Mixture
from bayespin.network.models import Network
from bayespin.network.prediction import Execution, by_block, checked_passes, output_reads
from bayespin.nn.correlated import CorrelatedSampling
from bayespin.nn.estimators import Sampling
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor


def predict_mixture(
    network: Network,
    inputs: Float[Tensor, " examples *shape"],
    likelihood: Gaussian,
    sampling: Sampling | CorrelatedSampling,
    reads: tuple[int, Key],
    execution: Execution | None = None,
) -> Mixture:
    """Return what a network of one target predicts; blocks and keys as in `prediction.predict`.

    Args:
        network: with two outputs, software or hardware.
        inputs: examples.
        likelihood: how outputs are read.
        sampling: what one pass shares.
        reads: number of Monte-Carlo passes, and the key of all draws.
        execution: workers and progress.

    Raises:
        ValueError: what `predict` refuses, or a network of another number of outputs.
    """
    execution = execution if execution is not None else Execution()
    count, key = reads
    passes = checked_passes(network, inputs, count, execution)

    def one(block: int, part: Tensor) -> Tensor:
        return output_reads(network, part, sampling, passes, key, block)

    outputs = torch.cat(by_block(inputs, one, execution), 1)
    if outputs.shape[2] != 2:
        raise ValueError(
            f"Argument `network` must have two outputs, mean and scale of one target, but has "
            f"{outputs.shape[2]}."
        )
    mean, deviation = likelihood.law(outputs)
    return Mixture(mean=mean[..., 0], deviation=deviation[..., 0])
