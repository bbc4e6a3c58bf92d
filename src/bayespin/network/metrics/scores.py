"""Accuracy and the two proper scoring rules."""

from bayespin.cite import cites
from bayespin.network.metrics.probabilities import (
    SMALLEST_PROBABILITY,
    require_labels,
    top_label,
)
from bayespin.shapes import Float, Int, Tensor


def accuracy(
    probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " images"]
) -> float:
    """Return the fraction of images whose most probable class is the label; 0 to 1.

    Raises:
        ValueError: the input is not a set of distributions with one label each.
    """
    return float(top_label(probabilities, labels)[1].double().mean())


@cites("10.1198/016214506000001437")
def nll(probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " images"]) -> float:
    """Return the mean negative log-likelihood of the labels, in nats; 0 to 87.3.

    NLL = -(1/N) sum_i ln max(p_i[y_i], 2^-126)

    p_i: predictive distribution of image i. For a Bayesian network pass the *mixture*, that is
    probabilities averaged over reads: the mean of per-read log-probabilities is another, never
    smaller number. The clamp makes an impossible label cost 87.3 nats instead of infinity.

    Source: Gneiting and Raftery, J. Am. Stat. Assoc. 102, 359 (2007),
    doi:10.1198/016214506000001437.

    Raises:
        ValueError: the input is not a set of distributions with one label each.
    """
    require_labels(probabilities, labels)
    chosen = probabilities.double().gather(1, labels.long()[:, None])
    return float(-chosen.clamp_min(SMALLEST_PROBABILITY).log().mean())


@cites("10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2")
def brier(probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " images"]) -> float:
    """Return the Brier score, summed over classes; 0 (certain and right) to 2 (certain, wrong).

    BS = (1/N) sum_i sum_c (p_ic - [y_i = c])^2

    Brier's own definition: twice the binary form for two classes, and not divided by the number
    of classes.

    Source: Brier, Mon. Weather Rev. 78, 1 (1950).

    Raises:
        ValueError: the input is not a set of distributions with one label each.
    """
    require_labels(probabilities, labels)
    error = probabilities.double()
    error = error.scatter_add(1, labels.long()[:, None], -error.new_ones(len(labels), 1))
    return float(error.square().sum(1).mean())
