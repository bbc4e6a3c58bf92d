"""Does a confidence of 0.8 mean right in eight of ten cases?"""

from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.network.metrics.probabilities import (
    mean_over_ties,
    require_labels,
    require_probabilities,
    top_label,
)
from bayespin.shapes import Float, Int, Tensor


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """A reliability diagram; means are NaN in bins that hold no image."""

    edges: Float[Tensor, " edges"]
    confidence: Float[Tensor, " bins"]
    accuracy: Float[Tensor, " bins"]
    count: Int[Tensor, " bins"]

    def as_lists(self) -> dict[str, list[float | int | None]]:
        """Return the four arrays as lists fit for JSON, with None for the mean of an empty bin."""
        return {
            "edges": self.edges.tolist(),
            "confidence": [None if x != x else x for x in self.confidence.tolist()],
            "accuracy": [None if x != x else x for x in self.accuracy.tolist()],
            "count": self.count.tolist(),
        }


@dataclass(frozen=True, kw_only=True)
class EceFloor:
    """ECE of a perfectly calibrated model on a test set of this size: mean, 5 and 95 %."""

    mean: float
    low: float
    high: float


def _require_bins(bins: int) -> None:
    if bins < 1:
        raise ValueError(f"Argument `bins` must be at least 1, but is {bins}.")


def _equal_width(confidence: Float[Tensor, "*any"], bins: int) -> Int[Tensor, "*any"]:
    """Return the bin of each confidence: [k/bins, (k+1)/bins), and one more bin for exactly 1.

    The edges are taken in the dtype of the confidences, so a float32 0.2 meets a float32 edge.
    """
    edges = torch.linspace(0, 1, bins + 1, dtype=confidence.dtype, device=confidence.device)
    return torch.bucketize(confidence, edges, right=True) - 1


def _gap(index: Int[Tensor, " images"], excess: Float[Tensor, " images"], bins: int) -> Tensor:
    """Return sum_b |sum of excess in bin b| / N; `excess` is confidence minus correctness."""
    sums = torch.zeros(bins + 1, dtype=excess.dtype, device=excess.device)
    return sums.index_add_(0, index, excess).abs().sum() / len(excess)


@cites("arXiv:1706.04599", "10.1609/aaai.v29i1.9602")
def ece(
    probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " images"], bins: int = 15
) -> float:
    """Return the expected calibration error of the top label; 0 to 1.

    ECE = sum_b (n_b / N) |acc_b - conf_b|

    b: equal-width bins of the largest probability, closed below; confidences of exactly 1 form a
    bin of their own (the convention of torchmetrics 1.9). n_b, acc_b, conf_b: images, accuracy
    and mean confidence in the bin. Biased upwards on finite data: print `ece_floor` beside it.

    Source: Naeini et al., AAAI (2015), doi:10.1609/aaai.v29i1.9602; Guo et al., arXiv:1706.04599.

    Raises:
        ValueError: the input is not a set of distributions with one label each, or `bins` < 1.
    """
    _require_bins(bins)
    confidence, correct = top_label(probabilities, labels)
    excess = confidence.double() - correct.double()
    return float(_gap(_equal_width(confidence, bins), excess, bins))


@cites("10.18653/v1/D15-1182")
def adaptive_ece(
    probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " images"], bins: int = 15
) -> float:
    """Return the calibration error of the top label over bins that hold equally many images.

    As `ece`, with image of rank r (by confidence, from 0) in bin floor(r bins / N). Images of
    equal confidence share their mean correctness, so their order does not matter.

    Source: Nguyen and O'Connor, EMNLP (2015), doi:10.18653/v1/D15-1182.

    Raises:
        ValueError: the input is not a set of distributions with one label each, or `bins` < 1.
    """
    _require_bins(bins)
    confidence, correct = top_label(probabilities, labels)
    excess = confidence.double() - mean_over_ties(confidence, correct.double())
    index = torch.arange(len(excess), device=excess.device) * bins // len(excess)
    return float(_gap(index, excess[confidence.argsort()], bins))


@cites("arXiv:1910.12656")
def classwise_ece(
    probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " images"], bins: int = 15
) -> float:
    """Return the calibration error of every class probability, averaged over classes.

    cwECE = (1/C) sum_c sum_b (n_bc / N) |freq_bc - conf_bc|

    b: the bins of `ece`, here of p_c; freq_bc: how often class c is the label in that bin.

    Source: Kull et al., arXiv:1910.12656.

    Raises:
        ValueError: the input is not a set of distributions with one label each, or `bins` < 1.
    """
    _require_bins(bins)
    require_labels(probabilities, labels)
    index = _equal_width(probabilities.contiguous(), bins)
    hits = torch.nn.functional.one_hot(labels.long(), probabilities.shape[1])
    excess = probabilities.double() - hits
    gaps = [_gap(index[:, c], excess[:, c], bins) for c in range(excess.shape[1])]
    return float(torch.stack(gaps).mean())


def signed_calibration_error(
    probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " images"]
) -> float:
    """Return mean confidence minus accuracy; -1 to 1, positive when overconfident.

    Its magnitude never exceeds `ece`, and is equal to it when every bin errs to the same side.

    Raises:
        ValueError: the input is not a set of distributions with one label each.
    """
    confidence, correct = top_label(probabilities, labels)
    return float((confidence.double() - correct.double()).mean())


@cites("arXiv:1706.04599")
def reliability(
    probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " images"], bins: int = 15
) -> Reliability:
    """Return mean confidence, accuracy and count in equal-width bins of the top probability.

    Bins are closed below and the last one also above: unlike in `ece`, confidences of exactly 1
    join it, so sum_b (n_b/N) |acc_b - conf_b| <= ece, with equality when no confidence is 1.

    Source: Guo et al., arXiv:1706.04599.

    Raises:
        ValueError: the input is not a set of distributions with one label each, or `bins` < 1.
    """
    _require_bins(bins)
    confidence, correct = top_label(probabilities, labels)
    index = _equal_width(confidence, bins).clamp_max(bins - 1)
    count = torch.bincount(index, minlength=bins)
    zeros = torch.zeros(bins, dtype=torch.float64, device=confidence.device)
    return Reliability(
        edges=torch.linspace(0, 1, bins + 1, dtype=torch.float64, device=confidence.device),
        confidence=zeros.index_add(0, index, confidence.double()) / count,
        accuracy=zeros.index_add(0, index, correct.double()) / count,
        count=count,
    )


@cites("10.1175/WAF993.1")
def ece_floor(
    probabilities: Float[Tensor, "images classes"],
    generator: torch.Generator,
    draws: int = 200,
    bins: int = 15,
) -> EceFloor:
    """Return the ECE that perfect calibration would show on these images.

    Labels are drawn from the model's own probabilities, `draws` times, and the ECE of each draw
    is taken. The top label is right with probability max_c p_c, so one uniform number per image
    is all that is drawn. An ECE inside the range is indistinguishable from perfect calibration.

    Source: consistency resampling, Broecker and Smith, Weather Forecast. 22, 651 (2007),
    doi:10.1175/WAF993.1.

    Raises:
        ValueError: the input is not a set of distributions, or `draws` or `bins` < 1.
    """
    _require_bins(bins)
    require_probabilities(probabilities)
    if draws < 1:
        raise ValueError(f"Argument `draws` must be at least 1, but is {draws}.")
    top = probabilities.max(1).values
    index, confidence = _equal_width(top, bins), top.double()
    found = torch.empty(draws, dtype=torch.float64)
    uniform = torch.empty(len(top), dtype=torch.float64, device=generator.device)
    for draw in range(draws):
        uniform.uniform_(generator=generator)
        correct = (uniform.to(confidence.device) < confidence).double()
        found[draw] = _gap(index, confidence - correct, bins)
    low, high = torch.quantile(found, found.new_tensor([0.05, 0.95])).tolist()
    return EceFloor(mean=float(found.mean()), low=low, high=high)
