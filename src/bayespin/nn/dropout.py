"""Dropout that stays random at prediction: the cheapest network that doubts."""

import math

import torch
from torch import nn

from bayespin.cite import cites
from bayespin.nn.estimators import Estimator, reparameterised
from bayespin.nn.random_layer import Reader
from bayespin.rng import Noise
from bayespin.shapes import Tensor


class Dropout(nn.Module):
    """y = x · b / (1 − p), with b = 0 with probability p and else 1; random whenever it is called.

    E y = x and Var y = x² p / (1 − p). As a layer behind it sees inputs that are missing, its
    columns of weights are what is random: N passes are N draws of a Bayesian network.

    Under `reparameterised`, which is sampling `frozen`, all images of a pass share b, one for each
    feature; otherwise every image has its own.

    Symbols: p `rate`; b is 1 where a normal number exceeds √2 erf⁻¹(2p − 1).

    Source: Gal and Ghahramani, arXiv:1506.02142.

    Raises:
        ValueError: a rate outside 0 to 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 < rate < 1:
            raise ValueError(
                f"Argument `rate` must be between 0 and 1, but is {rate}; leave the stage out for "
                f"none."
            )
        self.rate = rate
        probit = torch.erfinv(torch.tensor(2 * rate - 1, dtype=torch.float64))
        self._threshold = math.sqrt(2) * float(probit)

    @cites("arXiv:1506.02142")
    def reader(self, x: Tensor, estimator: Estimator) -> Reader:
        """Return what drops some of x; `estimator` says what shares a draw."""
        shape = (1, *x.shape[1:]) if estimator is reparameterised else x.shape
        # Half precision has too few numbers near the threshold.
        like = x.new_empty(shape, dtype=torch.promote_types(x.dtype, torch.float32))
        scaled = x / (1 - self.rate)
        return lambda noise: scaled * (noise.normal(like) > self._threshold)

    def forward(self, x: Tensor, noise: Noise, estimator: Estimator) -> Tensor:
        """Return x with some of it dropped."""
        return self.reader(x, estimator)(noise)

    def extra_repr(self) -> str:
        """Return what `print` says."""
        return f"rate={self.rate:g}"
