"""What every metric asks of its input, and the top label."""

import torch

from bayespin.shapes import Bool, Float, Int, Tensor

SMALLEST_PROBABILITY = 2.0**-126
"""Probabilities are raised to this before a logarithm, in every dtype: the smallest normal
float32, so that an impossible event costs 87.3 nats and not infinity."""

_ROW_SUM_TOLERANCE = 1e-4
"""Far above the rounding of a float32 softmax, far below any missing or double-counted class."""


def require_probabilities(probabilities: Float[Tensor, "images classes"]) -> None:
    """Refuse anything but finite, non-negative rows that sum to 1 within 1e-4.

    Raises:
        ValueError: no image, fewer than two classes, or a row that is not a distribution.
    """
    images, classes = probabilities.shape
    if images == 0 or classes < 2:
        raise ValueError(
            "Argument `probabilities` must hold at least one image and two classes, "
            f"but is {images} x {classes}."
        )
    if not bool(torch.isfinite(probabilities).all()):
        raise ValueError("Argument `probabilities` must be finite, but holds NaN or infinity.")
    smallest = float(probabilities.min())
    if smallest < 0:
        raise ValueError(
            f"Argument `probabilities` must be non-negative, but holds {smallest:.3g}: "
            "pass probabilities, not logits."
        )
    off = float((probabilities.double().sum(1) - 1).abs().max())
    if off > _ROW_SUM_TOLERANCE:
        raise ValueError(
            "Argument `probabilities` must have rows that sum to 1 within "
            f"{_ROW_SUM_TOLERANCE:g}, but one is off by {off:.3g}."
        )


def require_labels(
    probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " labelled"]
) -> None:
    """Refuse probabilities that are none, and labels that do not name one class per image.

    Raises:
        ValueError: see `require_probabilities`; another number of labels, or one out of range.
    """
    require_probabilities(probabilities)
    images, classes = probabilities.shape
    if len(labels) != images:
        raise ValueError(
            f"Argument `labels` must hold one label for each of {images} images, "
            f"but holds {len(labels)}."
        )
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"Argument `labels` must lie in 0..{classes - 1}, but spans {low}..{high}."
        )


def top_label(
    probabilities: Float[Tensor, "images classes"], labels: Int[Tensor, " images"]
) -> tuple[Float[Tensor, " images"], Bool[Tensor, " images"]]:
    """Return the largest probability of each image, and whether its class is the label.

    confidence_i = max_c p_ic, correct_i = (argmax_c p_ic = y_i); of equal classes the first wins.

    Raises:
        ValueError: see `require_labels`.
    """
    require_labels(probabilities, labels)
    confidence, predicted = probabilities.max(1)
    return confidence, predicted == labels


def mean_over_ties(
    keys: Float[Tensor, " images"], values: Float[Tensor, " images"]
) -> Float[Tensor, " images"]:
    """Return `values` with each replaced by its mean over the images that share its key.

    Whatever is linear in the sorted values then no longer depends on the order of equal keys: it
    is the expectation over all their orders.
    """
    distinct, group, count = torch.unique(keys, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(distinct), dtype=values.dtype, device=values.device)
    return (sums.index_add_(0, group, values) / count)[group]
