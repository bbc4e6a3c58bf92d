"""Two models on the same images: hardware against software, one training against another."""

import math
from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.network.metrics.probabilities import SMALLEST_PROBABILITY, require_probabilities
from bayespin.shapes import Bool, Float, Tensor


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """How close one set of predictions is to another, each a mean over images."""

    kl: float
    agreement: float
    total_variation: float


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """A difference of two accuracies with its standard error, both as fractions."""

    difference: float
    standard_error: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Return the central normal interval that holds the true difference with `level`.

        Raises:
            ValueError: `level` is outside (0, 1).
        """
        if not 0 < level < 1:
            raise ValueError(f"Argument `level` must lie in (0, 1), but is {level}.")
        quantile = torch.special.ndtri(torch.tensor((1 + level) / 2, dtype=torch.float64))
        half = float(quantile) * self.standard_error
        return self.difference - half, self.difference + half


@cites("10.1214/aoms/1177729694")
def fidelity(
    reference: Float[Tensor, "images classes"], other: Float[Tensor, "images classes"]
) -> Fidelity:
    """Return divergence, agreement and distance of two sets of predictions, averaged over images.

    kl              = sum_c p_c (ln p_c - ln max(q_c, 2^-126)), nats, 0 to 87.3
    agreement       = [argmax p = argmax q], 0 to 1
    total_variation = (1/2) sum_c |p_c - q_c|, 0 to 1

    p: reference (software); q: other (hardware). Two runs of the same model with finitely many
    reads differ as well: quote software against software beside it.

    Source: Kullback and Leibler, Ann. Math. Stat. 22, 79 (1951).

    Raises:
        ValueError: an input is not a set of distributions, or the two differ in shape.
    """
    require_probabilities(reference)
    require_probabilities(other)
    if reference.shape != other.shape:
        raise ValueError(
            f"Argument `other` must have the shape of `reference`, {tuple(reference.shape)}, "
            f"but is {tuple(other.shape)}."
        )
    p, q = reference.double(), other.double()
    log_q = q.clamp_min(SMALLEST_PROBABILITY).log()
    kl = (-torch.special.entr(p) - p * log_q).sum(1)
    return Fidelity(
        kl=float(kl.mean()),
        agreement=float((reference.argmax(1) == other.argmax(1)).double().mean()),
        total_variation=float((p - q).abs().sum(1).mean() / 2),
    )


@cites("10.1162/089976698300017197")
def paired_difference(
    correct: Bool[Tensor, " images"], baseline: Bool[Tensor, " images"]
) -> PairedDifference:
    """Return accuracy minus baseline accuracy on the same images, with its standard error.

    d_i = correct_i - baseline_i,  difference = mean d,  standard error = sd(d) / sqrt(N)

    Only images on which the two disagree contribute, so the error is far below that of two
    separate test sets. It covers the choice of images, not the choice of training seeds. Valid
    for at least about 20 disagreements.

    Source: Dietterich, Neural Comput. 10, 1895 (1998), doi:10.1162/089976698300017197.

    Raises:
        ValueError: fewer than two images, or not as many as in the baseline.
    """
    if len(correct) < 2 or len(correct) != len(baseline):
        raise ValueError(
            "Arguments `correct` and `baseline` must hold the same two or more images, "
            f"but hold {len(correct)} and {len(baseline)}."
        )
    differences = correct.double() - baseline.double()
    return PairedDifference(
        difference=float(differences.mean()),
        standard_error=float(differences.std()) / math.sqrt(len(differences)),
    )
