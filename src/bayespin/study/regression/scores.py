"""One prediction of numbers, judged; and what a chip changes, over all splits."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scipy import stats

from bayespin.network.metrics import regression as metrics
from bayespin.network.metrics.regression import Mixture
from bayespin.shapes import Float, Tensor

SHARES = (0.5, 0.8, 0.9, 0.95)
"""Of the central intervals whose coverage is counted."""
NLL_MARGIN = 0.03
"""Nats within which two negative log-likelihoods count as equal."""
RMSE_MARGIN = 0.02
"""Relative distance within which two errors count as equal."""


def scores(found: Mixture, targets: Float[Tensor, "examples 1"], unit: float) -> dict[str, float]:
    """Return errors and honesty of one prediction, in the unit of the table.

    Args:
        found: prediction of standardised targets.
        targets: standardised.
        unit: what one of them means in the table's unit.
    """
    y = targets[:, 0].double()
    area, rms = metrics.miscalibration(found, y)
    result = {
        "rmse": metrics.rmse(found, y) * unit,
        "nll": metrics.regression_nll(found, y) + math.log(unit),
        "matched_nll": metrics.matched_nll(found, y) + math.log(unit),
        "crps": metrics.crps(found, y) * unit,
        "miscalibration_area": area,
        "rms_miscalibration": rms,
        "sharpness": float(found.spread.square().mean().sqrt()) * unit,
        "epistemic_share": float((found.epistemic / found.spread.square()).mean()),
    }
    for share in SHARES:
        inside = metrics.interval(found, y, share)
        result[f"coverage_{100 * share:g}"] = inside.coverage
        result[f"width_{100 * share:g}"] = inside.width * unit
    return result


@dataclass(frozen=True, kw_only=True)
class Equivalence:
    """A paired difference over splits, its 95 % interval, and whether that lies in the margin."""

    difference: float
    low: float
    high: float
    margin: float

    @property
    def met(self) -> bool:
        """Whether the interval lies inside ± the margin: a test of equivalence at 2.5 %."""
        return -self.margin <= self.low and self.high <= self.margin


def equivalence(ours: Sequence[float], twin: Sequence[float], margin: float) -> Equivalence | None:
    """Return the mean of ours − twin with its interval of Student's t; none for one split."""
    if len(ours) < 2:
        return None
    gaps = [a - b for a, b in zip(ours, twin, strict=True)]
    mean, error = sum(gaps) / len(gaps), float(stats.sem(gaps))
    reach = float(stats.t.ppf(0.975, len(gaps) - 1)) * error
    return Equivalence(difference=mean, low=mean - reach, high=mean + reach, margin=margin)


def compared(ours: Sequence[dict[str, float]], twin: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return what the chip changes: NLL in nats and RMSE relative, with intervals and verdicts."""
    pairs = {
        "nll": ([r["nll"] for r in ours], [r["nll"] for r in twin], NLL_MARGIN),
        "log_rmse": (
            [math.log(r["rmse"]) for r in ours], [math.log(r["rmse"]) for r in twin], RMSE_MARGIN,
        ),
    }  # fmt: skip
    found = {name: equivalence(*pair) for name, pair in pairs.items()}
    return {
        name: None if one is None else {**vars(one), "met": one.met} for name, one in found.items()
    }
