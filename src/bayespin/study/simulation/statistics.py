"""Plain numbers for results.json, from the statistics of recorded trajectories."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from bayespin.numerics.statistics import pooled_autocovariance
from bayespin.physics import sampling
from bayespin.physics.ensemble import Trajectories
from bayespin.physics.sampling import Distance, Estimate, Law
from bayespin.shapes import Float, Tensor

_GROUPS: Final = 16
_ESTIMATES: Final = ("mean", "std", "skewness", "excess_kurtosis", "correlation_time")
_DISTANCES: Final = ("normality", "distance")


def number(value: float | Tensor) -> float | None:
    """Return a finite number as float, and None for anything else, which JSON cannot hold."""
    found = float(value)
    return found if math.isfinite(found) else None


def _plain(found: Estimate | Distance | None, point: int) -> dict[str, float | None] | None:
    if found is None:
        return None
    error = found.resolution if isinstance(found, Distance) else found.standard_error
    name = "resolution" if isinstance(found, Distance) else "se"
    return {
        "value": number(found.value[point]),
        name: number(error[point]),
        "effective_samples": number(found.effective_samples[point]),
    }


def curve(places: Tensor, distribution: Tensor, points: int = 161) -> list[list[float]]:
    """Return places and densities of a law on [−1, 1] where it is visible, to draw it.

    From its distribution function: (F(b) − F(a))/(b − a) at the middle of each interval, between
    the places where 1e-4 of the law is left out on either side.
    """
    u, total = places.numpy(), distribution.numpy()
    ends = np.interp((1e-4, 1 - 1e-4), total, u)
    margin = 0.1 * (ends[1] - ends[0])
    edges = np.linspace(max(-1.0, ends[0] - margin), min(1.0, ends[1] + margin), points + 1)
    density = np.diff(np.interp(edges, u, total)) / np.diff(edges)
    return [((edges[1:] + edges[:-1]) / 2).tolist(), density.tolist()]


def correlation(
    values: np.ndarray, longest: int
) -> tuple[Float[np.ndarray, " lags"], Float[np.ndarray, " lags"]]:
    """Return C_l/C_0 of (time, replica) values up to a lag, and its standard error.

    The error from 16 groups of replicas; zero where there are fewer replicas.
    """
    series = torch.from_numpy(values)
    whole = pooled_autocovariance(series)[: longest + 1]
    if series.shape[1] < _GROUPS:
        return (whole / whole[0]).numpy(), torch.zeros_like(whole).numpy()
    parts = [pooled_autocovariance(part)[: longest + 1] / whole[0]
             for part in series.tensor_split(_GROUPS, 1)]  # fmt: skip
    return (whole / whole[0]).numpy(), (torch.stack(parts).std(0) / math.sqrt(_GROUPS)).numpy()


def in_points(found: Trajectories) -> Trajectories:
    """Return trajectories with an axis of operating points, of length 1 where they have none."""
    if found.sound.ndim > 1:
        return found
    series = {name: values.unsqueeze(1) for name, values in found.series.items()}
    return replace(
        found, series=series, status=found.status[None], failed_step=found.failed_step[None]
    )


def stationary(
    found: Trajectories, name: str, laws: Sequence[Law] | None = None
) -> list[dict[str, Any]]:
    """Return the statistics of one observable at each operating point, with their errors.

    Each is a value, its standard error (of a distance: its resolution) and its effective samples.
    Where the run is too short for error bars, mean and spread stand alone and a `remark` says so.
    """
    found = in_points(found)
    try:
        measured = sampling.statistics(found, name, laws)
    except ValueError:
        return [
            _without_errors(values[:, sound])
            for values, sound in zip(found.series[name].unbind(1), found.sound, strict=True)
        ]
    return [
        {part: _plain(getattr(measured, part), point) for part in (*_ESTIMATES, *_DISTANCES)}
        for point in range(len(found.sound))
    ]


def _without_errors(values: Float[Tensor, "time replicas"]) -> dict[str, Any]:
    replicas = values.shape[1]
    if not replicas:
        return {
            "remark": "No trajectory of an operating point is finite: take a smaller time step."
        }
    kept = values.double().flatten()
    std = (kept - kept.mean()).square().mean().sqrt()
    single = {"se": None, "effective_samples": None}
    return {
        "mean": {"value": number(kept.mean()), **single},
        "std": {"value": number(std), **single},
        "remark": f"Error bars need {sampling.BATCHES} sound replicas or a run of many correlation "
        f"times, and the {replicas} here gave none: take more replicas or a longer run.",
    }


def last_record(found: Trajectories, name: str) -> list[dict[str, Any]]:
    """Return mean and standard deviation over the replicas at the end of a run, of each point.

    For runs that are driven, whose records have no common law. se(mean) = s/√n, se(s) = s/√(2n).
    """
    found, rows = in_points(found), []
    for values, sound in zip(found.series[name][-1], found.sound, strict=True):
        kept = values[sound].double()
        count = len(kept)
        std = kept.std() if count > 1 else torch.tensor(math.nan)
        mean = kept.mean() if count else std
        estimates = {"mean": (mean, std / math.sqrt(max(count, 1))),
                     "std": (std, std / math.sqrt(2 * max(count, 1)))}  # fmt: skip
        rows.append(
            {
                part: {"value": number(value), "se": number(error), "effective_samples": count}
                for part, (value, error) in estimates.items()
            }
        )
    return rows
