"""One row of the results: a network's predictions, clean and blended, as numbers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from bayespin.network import metrics
from bayespin.network.metrics import Predictive
from bayespin.network.models import Network
from bayespin.network.prediction import Execution, by_block, predict, predict_reads
from bayespin.network.stopping import Bets, NormalMixture, StoppingRule, stop_reads
from bayespin.nn.estimators import Sampling
from bayespin.rng import Key
from bayespin.shapes import Bool, Float, Int, Tensor
from bayespin.study.networks import on
from bayespin.study.shifts import blended


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

    def predictive(self, images: Tensor, reads: int, key: Key, execution: Execution) -> Predictive:
        """Return what is predicted, on the CPU, for images there; the network may be elsewhere."""
        there = images.to(on(self.network))
        found = predict(self.network, there, self.semantics, reads, key, execution)
        tensors = {name: v.cpu() for name, v in vars(found).items() if isinstance(v, Tensor)}
        return replace(found, **tensors)

    def reads(self, reads: int, key: Key) -> Callable[[int, Tensor], Tensor]:
        """Return what gives every read of a block of images, given its index; both on the CPU."""

        def one(block: int, images: Tensor) -> Tensor:
            there = images.to(on(self.network))
            return predict_reads(self.network, there, self.semantics, reads, key, block).cpu()

        return one


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Test images, their labels, and for each a foreign image to blend in."""

    images: Float[Tensor, "images channels height width"]
    labels: Int[Tensor, " images"]
    partners: Float[Tensor, "images channels height width"]
    foreign: Float[Tensor, "strangers channels height width"]

    def blended(self, fraction: float, count: int) -> Tensor:
        """Return (1 − f) x + f x_foreign for the first `count` images."""
        return blended(self.images[:count], self.partners[:count], fraction)


def clean(row: Row, test: TestSet, reads: int, key: Key, execution: Execution) -> dict[str, Any]:
    """Return accuracy, calibration, detection of foreign images and of errors.

    `correct` holds one bit per image, in hexadecimal: what paired differences need.
    """

    def found(images: Tensor, word: str) -> Predictive:
        return row.predictive(images, reads, key.child(word), execution)

    known, strangers = found(test.images, "clean"), found(test.foreign, "foreign")
    floor = metrics.ece_floor(known.mean, key.child("floor").generator())
    correct = known.mean.argmax(1) == test.labels
    confidence = known.mean.max(1).values
    return {
        "accuracy": metrics.accuracy(known.mean, test.labels),
        "nll": metrics.nll(known.mean, test.labels),
        "brier": metrics.brier(known.mean, test.labels),
        "ece": metrics.ece(known.mean, test.labels),
        "ece_floor": floor.mean,
        "ece_floor_range": [floor.low, floor.high],
        "adaptive_ece": metrics.adaptive_ece(known.mean, test.labels),
        "classwise_ece": metrics.classwise_ece(known.mean, test.labels),
        "auroc_total": metrics.auroc(known.total, strangers.total),
        **_doubts(row, known, strangers),
        "aurc": metrics.aurc(confidence, correct),
        "coverage_at_5": metrics.coverage_at_risk(confidence, correct, 0.05),
        "risk_at_80": metrics.risk_at_coverage(confidence, correct, 0.8),
        "correct": packed(correct),
        "reliability": metrics.reliability(known.mean, test.labels).as_lists(),
        **_rung(known, test.labels),
    }


def _doubts(row: Row, known: Predictive, strangers: Predictive) -> dict[str, float | None]:
    """Return how well epistemic entropy tells strangers; nothing without random layers."""
    scores = {
        "auroc_epistemic": metrics.auroc,
        "aupr_epistemic": metrics.aupr,
        "fpr95_epistemic": metrics.fpr95,
    }
    doubting = bool(row.network.random_stages())
    return {
        name: score(known.epistemic, strangers.epistemic) if doubting else None
        for name, score in scores.items()
    }


def packed(bits: Bool[Tensor, " images"]) -> str:
    """Return truths as hexadecimal digits, the first image in the highest bit."""
    return np.packbits(bits.numpy()).tobytes().hex()


def unpacked(text: str, images: int) -> Bool[Tensor, " images"]:
    """Return what `packed` was given."""
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=images)
    return torch.from_numpy(bits.astype(bool))


def fidelity(
    rows: list[Row], images: Tensor, reads: int, key: Key, execution: Execution
) -> dict[str, dict[str, float]]:
    """Return how far every row's predictions are from those of the first.

    "again" is the first row with other draws: what finitely many reads differ by.
    """

    def mean(row: Row, word: str) -> Tensor:
        return row.predictive(images, reads, key.child(row.key, word), execution).mean

    reference = mean(rows[0], "once")
    found = {row.key: mean(row, "once") for row in rows[1:]}
    found["again"] = mean(rows[0], "again")
    return {name: vars(metrics.fidelity(reference, other)) for name, other in found.items()}


STOPPING = {"bets": Bets(), "normal mixture": NormalMixture()}
"""Kinds of evidence that `spent` stops reads with: what holds for any reads, and for many."""


def spent(
    row: Row, test: TestSet, count: int, reads: int, key: Key, execution: Execution
) -> dict[str, Any]:
    """Return metrics against the number of reads, and what stopping reads early saves.

    Args:
        row: a network with random layers.
        test: of which the first images are read, and as many strangers.
        count: how many of them.
        reads: the most per image.
        key: of all draws.
        execution: workers and progress.
    """

    def taken(images: Tensor, word: str) -> Tensor:
        return torch.cat(by_block(images, row.reads(reads, key.child(word)), execution), 1)

    labels, known = test.labels[:count], taken(test.images[:count], "known")
    strangers = taken(test.foreign[:count], "strangers")
    full = known.double().mean(0).argmax(1)
    stopped = {}
    for name, evidence in STOPPING.items():
        rule = StoppingRule(evidence=evidence, first=min(10, reads), most=reads)
        found = stop_reads(known, rule)
        stopped[name] = {
            "error": rule.error,
            "mean_reads": float(found.reads.double().mean()),
            "decided": float(found.decided.double().mean()),
            "accuracy": metrics.accuracy(found.predictive.mean, labels),
            "changed": float((found.choice != full).double().mean()),
        }
    curve = metrics.reads_curve(known, labels, strangers, groups=10)
    return {"images": count, "curve": curve.as_lists(), "stopped": stopped}


def blend(
    row: Row, images: Tensor, labels: Tensor, reads: int, key: Key, execution: Execution
) -> dict[str, Any]:
    """Return calibration and entropies at one rung of the ladder, from blended images."""
    return _rung(row.predictive(images, reads, key, execution), labels)


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
        row.key: row.reads(reads if row.network.random_stages() else 1, key)(0, stack).double()
        for row in rows
    }
    return [
        {
            "image": _pixels(images[i]),
            "label": labels[i],
            "blend": chosen[i][1] if i < len(chosen) else 1.0,
            "note": notes[i],
            "rows": {name: _spread(p[:, i]) for name, p in found.items()},
        }
        for i in range(len(images))
    ]


def _pixels(image: Float[Tensor, "channels height width"]) -> list[Any]:
    """Return rows of grey values from 0 to 255, or of (red, green, blue)."""
    values = (image * 255).round().int()
    return (values[0] if len(values) == 1 else values.movedim(0, -1)).tolist()


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
