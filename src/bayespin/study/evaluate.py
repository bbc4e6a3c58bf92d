"""One row of the results: a network's predictions, clean and blended, as numbers."""

from dataclasses import dataclass
from typing import Any

import torch

from bayespin.network import metrics
from bayespin.network.metrics import Predictive
from bayespin.network.models import Network
from bayespin.network.prediction import Execution, predict, predict_reads
from bayespin.nn.estimators import Sampling
from bayespin.rng import Key
from bayespin.shapes import Float, Int, Tensor


@dataclass(frozen=True, kw_only=True)
class Row:
    """A network under test and how it is sampled."""

    model: str
    where: str
    sampling: str
    network: Network

    @property
    def key(self) -> str:
        """Name of the row in results: "bnn/spintronic/per_read"."""
        return f"{self.model}/{self.where}/{self.sampling}"

    @property
    def semantics(self) -> Sampling:
        """Sampling of a prediction; without random layers either is the same."""
        return Sampling.FROZEN if self.sampling == "none" else Sampling(self.sampling)


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Test images, their labels, and for each a foreign image to blend in."""

    images: Float[Tensor, "images 1 28 28"]
    labels: Int[Tensor, " images"]
    partners: Float[Tensor, "images 1 28 28"]
    foreign: Float[Tensor, "strangers 1 28 28"]

    def blended(self, fraction: float, count: int) -> Tensor:
        """Return (1 − f) x + f x_foreign for the first `count` images."""
        return torch.lerp(self.images[:count], self.partners[:count], fraction)


def pair(foreign: Tensor, count: int, key: Key) -> Tensor:
    """Return `count` foreign images in keyed order, repeating the order where they are too few."""
    order = torch.randperm(len(foreign), generator=key.generator())
    return foreign[order.repeat(-(-count // len(order)))[:count]]


def clean(row: Row, test: TestSet, reads: int, key: Key, execution: Execution) -> dict[str, Any]:
    """Return accuracy, calibration and detection of foreign images."""

    def found(images: Tensor, word: str) -> Predictive:
        return predict(row.network, images, row.semantics, reads, key.child(word), execution)

    known, strangers = found(test.images, "clean"), found(test.foreign, "foreign")
    floor = metrics.ece_floor(known.mean, key.child("floor").generator())
    doubting = bool(row.network.random_stages())
    return {
        "accuracy": metrics.accuracy(known.mean, test.labels),
        "nll": metrics.nll(known.mean, test.labels),
        "brier": metrics.brier(known.mean, test.labels),
        "ece": metrics.ece(known.mean, test.labels),
        "ece_floor": floor.mean,
        "ece_floor_range": [floor.low, floor.high],
        "auroc_total": metrics.auroc(known.total, strangers.total),
        "auroc_epistemic": (
            metrics.auroc(known.epistemic, strangers.epistemic) if doubting else None
        ),
        "reliability": metrics.reliability(known.mean, test.labels).as_lists(),
        **_rung(known, test.labels),
    }


def blend(
    row: Row, images: Tensor, labels: Tensor, reads: int, key: Key, execution: Execution
) -> dict[str, Any]:
    """Return calibration and entropies at one rung of the ladder, from blended images."""
    return _rung(predict(row.network, images, row.semantics, reads, key, execution), labels)


def _rung(found: Predictive, labels: Tensor) -> dict[str, Any]:
    return {
        "ood_ece": metrics.ece(found.mean, labels),
        "ood_signed_error": metrics.signed_calibration_error(found.mean, labels),
        "ood_accuracy": metrics.accuracy(found.mean, labels),
        "ood_entropy": {
            "total": float(found.total.mean()),
            "aleatoric": float(found.aleatoric.mean()),
            "epistemic": float(found.epistemic.mean()),
        },
    }


def examples(rows: list[Row], test: TestSet, reads: int, key: Key) -> list[dict[str, Any]]:
    """Return a few images with every row's predictive distribution over reads."""
    count = len(test.images)
    chosen = [("clean", 0.0, i) for i in range(min(3, count))]
    chosen += [("blend 0.5", 0.5, i) for i in range(min(2, count))]
    images = [test.blended(f, i + 1)[i] for _, f, i in chosen] + [test.foreign[0]]
    labels = [int(test.labels[i]) for _, _, i in chosen] + [-1]
    notes = [note for note, _, _ in chosen] + ["digit"]
    stack = torch.stack(images)
    found = {
        row.key: predict_reads(
            row.network, stack, row.semantics, reads if row.network.random_stages() else 1, key
        ).double()
        for row in rows
    }
    return [
        {
            "image": (images[i][0] * 255).round().int().tolist(),
            "label": labels[i],
            "blend": chosen[i][1] if i < len(chosen) else 1.0,
            "note": notes[i],
            "rows": {name: _spread(p[:, i]) for name, p in found.items()},
        }
        for i in range(len(images))
    ]


def _spread(probabilities: Float[Tensor, "reads classes"]) -> dict[str, Any]:
    accumulator = metrics.PredictiveAccumulator()
    for read in probabilities:
        accumulator.add(read[None] / read.sum())
    result = accumulator.result()
    low, high = probabilities.quantile(torch.tensor([0.05, 0.95], dtype=torch.float64), dim=0)
    return {
        "mean": result.mean[0].tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "total": float(result.total),
        "epistemic": float(result.epistemic),
    }
