"""Splitting the uncertainty of a prediction into noise of the data and doubt of the model."""

from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.network.metrics.probabilities import require_probabilities
from bayespin.shapes import Float, Tensor


@cites("10.1002/j.1538-7305.1948.tb01338.x")
def entropy(probabilities: Float[Tensor, "images classes"]) -> Float[Tensor, " images"]:
    """Return H(p) = -sum_c p_c ln p_c of each image in nats; 0 to ln(classes).

    Raises:
        ValueError: the input is not a set of distributions.
    """
    require_probabilities(probabilities)
    return torch.special.entr(probabilities.double()).sum(1)


@dataclass(frozen=True, kw_only=True)
class Predictive:
    """Predictive distribution over several reads; the three entropies are in nats.

    mean = E[p], total = H(E[p]), aleatoric = E[H(p)], epistemic = total - aleatoric >= 0.
    """

    mean: Float[Tensor, "images classes"]
    total: Float[Tensor, " images"]
    aleatoric: Float[Tensor, " images"]
    epistemic: Float[Tensor, " images"]
    reads: int


def predictive_of(
    mean: Float[Tensor, "images classes"], aleatoric: Float[Tensor, " images"], reads: int
) -> Predictive:
    """Return the split of the entropy of a mean over reads, from the mean entropy of the reads."""
    total = torch.special.entr(mean).sum(1)
    # Jensen's inequality makes the difference non-negative; the clamp only removes rounding.
    epistemic = (total - aleatoric).clamp_min(0)
    return Predictive(mean=mean, total=total, aleatoric=aleatoric, epistemic=epistemic, reads=reads)


@cites("arXiv:1710.07283")
class PredictiveAccumulator:
    """Mean probabilities and entropy split over reads, without keeping the reads.

    total     = H(E[p])       0 to ln(classes)
    aleatoric = E[H(p)]       0 to total
    epistemic = total - aleatoric = I(y; weights)

    E: mean over reads, that is over draws of the weights; H: entropy in nats. Sums are float64.
    With R reads the epistemic part is biased low by about (classes - 1)/(2 R) for strongly
    scattered reads, and it cannot exceed ln R: compare models at the same R.

    Source: Depeweg et al., arXiv:1710.07283.
    """

    def __init__(self) -> None:
        self._reads = 0
        self._probabilities: Tensor | None = None
        self._entropies: Tensor | None = None

    @property
    def reads(self) -> int:
        """Number of reads added so far."""
        return self._reads

    def _add(self, reads: int, probabilities: Tensor, entropies: Tensor) -> None:
        if self._probabilities is None or self._entropies is None:
            self._probabilities, self._entropies = probabilities.clone(), entropies.clone()
        elif self._probabilities.shape != probabilities.shape:
            raise ValueError(
                "Argument `probabilities` must have the shape of the first read, "
                f"{tuple(self._probabilities.shape)}, but is {tuple(probabilities.shape)}."
            )
        else:
            self._probabilities += probabilities
            self._entropies += entropies
        self._reads += reads

    def add(self, probabilities: Float[Tensor, "images classes"]) -> None:
        """Add one read of all images.

        Raises:
            ValueError: the input is not a set of distributions, or has another shape than before.
        """
        self._add(1, probabilities.detach().double(), entropy(probabilities.detach()))

    def merge(self, other: "PredictiveAccumulator") -> None:
        """Add all reads of another accumulator over the same images, say of another worker.

        Raises:
            ValueError: the other one saw images or classes in another number.
        """
        if other._probabilities is not None and other._entropies is not None:
            self._add(other._reads, other._probabilities, other._entropies)

    def result(self) -> Predictive:
        """Return means and entropies over the reads added so far.

        Raises:
            ValueError: no read was added.
        """
        if self._probabilities is None or self._entropies is None:
            raise ValueError("A predictive distribution needs at least one read, but has none.")
        mean, aleatoric = self._probabilities / self._reads, self._entropies / self._reads
        return predictive_of(mean, aleatoric, self._reads)
