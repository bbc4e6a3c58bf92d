"""How many reads are enough: every metric against the number of reads, from one set of reads."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import torch

from bayespin.network.metrics.calibration import ece
from bayespin.network.metrics.detection import auroc
from bayespin.network.metrics.scores import accuracy, brier, nll
from bayespin.network.metrics.uncertainty import Predictive, PredictiveAccumulator
from bayespin.shapes import Float, Int, Tensor

COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Numbers of reads that `reads_curve` looks at, as far as there are so many."""


@dataclass(frozen=True, kw_only=True)
class ReadsCurve:
    """Metrics of the predictive mean over N reads, one entry for each N.

    The two AUROC are there where strangers were read as well; of one read the epistemic part is
    zero, and its AUROC 1/2.
    """

    reads: tuple[int, ...]
    accuracy: tuple[float, ...]
    nll: tuple[float, ...]
    brier: tuple[float, ...]
    ece: tuple[float, ...]
    auroc_total: tuple[float, ...] | None = None
    auroc_epistemic: tuple[float, ...] | None = None

    def cost(self, per_read: float, once: float = 0.0) -> tuple[float, ...]:
        """Return once + N per_read for each N: joules or seconds, whichever the caller gives."""
        return tuple(once + reads * per_read for reads in self.reads)

    def as_lists(self) -> dict[str, list[float] | list[int]]:
        """Return what was measured as lists fit for JSON."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: list(values) for name, values in found.items() if values is not None}


def reads_curve(
    reads: Float[Tensor, "reads images classes"],
    labels: Int[Tensor, " images"],
    strangers: Float[Tensor, "foreign_reads strangers classes"] | None = None,
    counts: Sequence[int] | None = None,
    groups: int = 1,
) -> ReadsCurve:
    """Return metrics at growing numbers of reads, without reading again.

    metric(N) = mean over g of metric(p̄_g),  p̄_g = (1/N) Σ p_r over reads gN..(g + 1)N − 1

    Group 0 is the first N reads. More groups make a steadier curve where N is small: each is a
    prediction with N reads of its own, and as many are averaged as there are, up to `groups`.

    Args:
        reads: class probabilities of every read, as from `predict_reads`.
        labels: of the images.
        strangers: reads of foreign images, for the two AUROC.
        counts: numbers of reads, growing; those of `COUNTS` that there are if not given.
        groups: most groups of reads that are averaged at each N.

    Raises:
        ValueError: counts that do not grow from 1 or more to the number of reads or less, no
            group, fewer reads of strangers, or what the metrics refuse.
    """
    counts = [n for n in COUNTS if n <= len(reads)] if counts is None else list(counts)
    available = len(reads) if strangers is None else min(len(reads), len(strangers))
    if not counts or counts != sorted(set(counts)) or counts[0] < 1 or counts[-1] > available:
        raise ValueError(
            f"Argument `counts` must grow from 1 or more to {available} or less, the reads that "
            f"there are, but is {counts}."
        )
    if groups < 1:
        raise ValueError(f"Argument `groups` must be at least 1, but is {groups}.")

    def metrics(count: int) -> dict[str, float]:
        known = _predictions(reads, count, groups)
        found = {name: _mean(f(p.mean, labels) for p in known) for name, f in _SCORES.items()}
        if strangers is not None:
            foreign = _predictions(strangers, count, groups)
            both = list(zip(known, foreign, strict=False))
            found["auroc_total"] = _mean(auroc(k.total, s.total) for k, s in both)
            found["auroc_epistemic"] = _mean(auroc(k.epistemic, s.epistemic) for k, s in both)
        return found

    rows = [metrics(count) for count in counts]
    columns = {name: tuple(row[name] for row in rows) for name in rows[0]}
    return ReadsCurve(reads=tuple(counts), **columns)


_Score = Callable[[Float[Tensor, "images classes"], Int[Tensor, " images"]], float]
_SCORES: dict[str, _Score] = {"accuracy": accuracy, "nll": nll, "brier": brier, "ece": ece}


def _predictions(reads: Tensor, count: int, groups: int) -> list[Predictive]:
    found = []
    for part in reads.split(count)[: min(groups, len(reads) // count)]:
        accumulator = PredictiveAccumulator()
        for read in part:
            accumulator.add(read)
        found.append(accumulator.result())
    return found


def _mean(values: Iterable[float]) -> float:
    every = torch.tensor(list(values), dtype=torch.float64)
    return float(every.mean())
