"""Planted faults of stopping rules: evidence that grows where there is none."""

import math

import torch

from bayespin.rng import Key
from tests.statistical.faults import Fault

STOPPING = "bayespin.network.stopping"


def _one_look(_right):
    """Takes the p-value of a fixed number of reads, after every round."""

    def total(_evidence, terms, reads):
        sums, squares = terms
        spread = (squares - sums.square() / reads).clamp_min(0) / max(reads - 1, 1)
        return -torch.special.log_ndtr(-sums / (spread * reads).sqrt())

    return total


def _repeated_noise(right):
    def predict_reads(network, images, sampling, reads, key, block=0):
        return right(network, images, sampling, reads, Key(key.path[:-3]), block)

    return predict_reads


STOPPING_FAULTS = (
    Fault(
        "stake chosen in hindsight",
        f"{STOPPING}:Bets.total",
        lambda _right: lambda _bets, terms, _reads: terms.amax(0),
    ),
    Fault("interval of one look at every look", f"{STOPPING}:NormalMixture.total", _one_look),
    Fault(
        "classes left out of the union",
        f"{STOPPING}:StoppingRule.threshold",
        lambda _right: lambda rule, _classes: math.log(1 / rule.error),
    ),
    Fault("every round draws the same", f"{STOPPING}:predict_reads", _repeated_noise),
)
