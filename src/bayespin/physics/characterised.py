"""What a characterisation finds at every operating point, and how records become it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy import optimize

from bayespin.physics.sampling import Estimate, Statistics, merged
from bayespin.shapes import Float, Int, Tensor

LAGS = 17
"""Lags at which an easy plane's autocorrelation is kept, over four decay times."""
TURN_RECORDS = 8
"""Records in a turn of a precessing mode."""
BATCHES = 32
"""Groups of replicas from which the errors of an autocorrelation are taken."""
PROBABILITIES = torch.special.ndtr(torch.linspace(-3.5, 3.5, 71, dtype=torch.float64))
BINS = 80
REACH = 5.0
"""Standard deviations that a histogram shows on either side."""


@dataclass(frozen=True, kw_only=True)
class Characterised:
    """The statistics of u at a flat list of operating points, each with its standard error."""

    statistics: Statistics
    """Of u at an instant. `correlation_time` is the integral of the autocorrelation."""
    decay_time: Estimate
    """τ of the fit exp(−t/τ) cos(2πft) to the autocorrelation, s; f = 0 for an easy plane."""
    frequency: Estimate
    """f of the same fit, Hz."""
    windows: Float[Tensor, " windows"]
    """s."""
    read_std: Estimate
    """Standard deviation of u averaged over each window, (points windows)."""
    lags: Float[Tensor, "points lags"]
    """s."""
    autocorrelation: Float[Tensor, "points lags"]
    autocorrelation_error: Float[Tensor, "points lags"]
    probabilities: Float[Tensor, " quantiles"]
    quantiles: Float[Tensor, "points quantiles"]
    edges: Float[Tensor, "points edges"]
    counts: Int[Tensor, "points bins"]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What `Characterised` holds besides `statistics`, of any points."""

    decay_time: Estimate
    frequency: Estimate
    read_std: Estimate
    lags: Float[Tensor, "*points lags"]
    autocorrelation: Float[Tensor, "*points lags"]
    autocorrelation_error: Float[Tensor, "*points lags"]
    quantiles: Float[Tensor, "*points quantiles"]
    edges: Float[Tensor, "*points edges"]
    counts: Int[Tensor, "*points bins"]


@dataclass(frozen=True, kw_only=True)
class Correlations:
    """The autocorrelation of one point and what an exponential or a damped cosine says of it."""

    lags: Float[Tensor, " lags"]
    value: Float[Tensor, " lags"]
    error: Float[Tensor, " lags"]
    decay_time: Estimate
    frequency: Estimate


class Guess(NamedTuple):
    """About how a point moves, and at how many lags its autocorrelation is kept."""

    decay_time: float
    """s."""
    frequency: float
    """Hz; 0 for an easy plane."""
    lags: int = LAGS


def lag_count(damping: float, turning: bool) -> int:
    """Return the lags of all points: for a precession eight a turn over two 1/(αω), at most 400."""
    turns = 2 * TURN_RECORDS / (2 * math.pi * damping) if turning else 0.0
    return max(LAGS, min(400, math.ceil(turns) + 1))


def lags_of(guess: Guess, interval: float, records: int) -> list[int]:
    """Return lags, in records, over four decay times, or a multiple of an eighth of a turn apart.

    No further than half of the `records` there are, `interval` (s) from one to the next.
    """
    apart = 4 * guess.decay_time / (guess.lags - 1)
    if guess.frequency:
        apart = 1 / (TURN_RECORDS * guess.frequency)
    farthest = records // 2 // (guess.lags - 1)
    stride = max(1, min(round(apart / interval), farthest))
    return [stride * number for number in range(guess.lags)]


def spread_of_reads(reads: Float[Tensor, " reads replicas"]) -> Estimate:
    """Return the standard deviation of window averages, its error from replica to replica.

    v_r = ⟨(a − ā)²⟩ over the reads of replica r, ā the mean of all; s = √⟨v_r⟩,
    standard error = std(v_r)/(2s√R). Overlapping reads of one replica count as its one number.
    """
    centred = (reads - reads.mean(dtype=torch.float64)).double()
    each = centred.square().mean(0)
    std = each.mean().sqrt()
    error = each.std() / (2 * std * math.sqrt(len(each)))
    influence = (centred.square() - std.square()).square().mean().sqrt() / (2 * std)
    return Estimate(value=std, standard_error=error, effective_samples=(influence / error).square())


def quantiles(series: Float[Tensor, "..."]) -> Float[Tensor, " quantiles"]:
    """Return the values below which the shares `PROBABILITIES` of all records lie."""
    values = series.flatten().sort().values.double()
    place = PROBABILITIES * (len(values) - 1)
    left = place.long().clamp(max=len(values) - 2)
    return torch.lerp(values[left], values[left + 1], place - left)


def histogram(series: Float[Tensor, "..."]) -> tuple[Float[Tensor, " edges"], Int[Tensor, " bins"]]:
    """Return edges five standard deviations either way, within [−1, 1], and counts between."""
    mean, std = float(series.mean(dtype=torch.float64)), float(series.double().std())
    low, high = max(mean - REACH * std, -1.0), min(mean + REACH * std, 1.0)
    edges = torch.linspace(low, high, BINS + 1, dtype=torch.float64)
    place = ((series.flatten() - low) * (BINS / (high - low))).floor().long()
    inside = place[(place >= 0) & (place < BINS)]
    return edges, torch.bincount(inside, minlength=BINS)


def correlations(
    series: Float[Tensor, " time replicas"], lags: Sequence[int], interval: float, guess: float
) -> Correlations:
    """Return the autocorrelation ρ_l = C_l/C_0 at some lags, and the law fitted to it.

    Error of ρ_l: from B groups of replicas, δ_b = (C_l,b − ρ_l C_0,b)/C_0, std(δ_b)/√B. The fit
    is one of least squares, unweighted: its parameters θ move by (JᵀJ)⁻¹Jᵀδ_b with a group, which
    gives their errors, however the lags are correlated.

    Symbols: `interval` between records (s); `guess` f of the precession (Hz), 0 for none.

    Raises:
        ValueError: the records end before the last lag.
    """
    length, replicas = series.shape
    if lags[-1] >= length:
        raise ValueError(
            f"`series` must be longer than its largest lag, {lags[-1]} records, but has {length}."
        )
    centred = series - series.mean(dtype=torch.float64).to(series.dtype)
    covariance = torch.stack(
        [(centred[: length - lag] * centred[lag:]).mean(0).double() for lag in lags]
    )
    groups = covariance.tensor_split(min(BATCHES, replicas), dim=1)
    each = torch.stack([group.sum(1) for group in groups]) * (len(groups) / replicas)
    pooled = each.mean(0)
    value = pooled / pooled[0]
    moved = (each - value * each[:, :1]) / pooled[0]
    times = torch.tensor(lags, dtype=torch.float64) * interval
    decay, frequency = _fitted(times, value, moved, guess)
    return Correlations(
        lags=times,
        value=value,
        error=moved.std(0) / math.sqrt(len(each)),
        decay_time=decay,
        frequency=frequency,
    )


def _fitted(times: Tensor, value: Tensor, moved: Tensor, guess: float) -> tuple[Estimate, Estimate]:
    """Return τ and f of exp(−t/τ) cos(2πft) with errors, in units of the last lag on the way."""
    unit = float(times[-1])
    x, y = (times / unit).numpy(), value.numpy()
    start = [4.0, math.pi / 2 / _first_zero(x, y)] if guess else [4.0]
    found = optimize.least_squares(_residual, start, x_scale="jac", args=(x, y))
    pseudo = torch.as_tensor(found.jac).pinverse()
    spread = (pseudo @ moved.T).std(1) / math.sqrt(len(moved))
    theta = torch.as_tensor(found.x)
    decay = unit / theta[0]
    none = torch.zeros((), dtype=torch.float64)
    turns = theta[1] / (2 * math.pi * unit) if guess else none
    turns_error = spread[1] / (2 * math.pi * unit) if guess else none
    return _of(decay, decay * spread[0] / theta[0]), _of(turns, turns_error)


def _residual(theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return exp(−θ0x) cos(θ1x) − y; without θ1 an exponential."""
    turned = np.cos(theta[1] * x) if len(theta) > 1 else 1.0
    return np.exp(-theta[0] * x) * turned - y


def _first_zero(x: np.ndarray, y: np.ndarray) -> float:
    """Return where y first crosses zero, a quarter of a turn; the last x where it does not."""
    below = np.flatnonzero(y <= 0)
    if not len(below):
        return float(x[-1])
    right = below[0]
    share = y[right - 1] / (y[right - 1] - y[right])
    return float(x[right - 1] + share * (x[right] - x[right - 1]))


def _of(value: Tensor, error: Tensor) -> Estimate:
    """Return an estimate that is worth (value/error)² samples of unit relative spread."""
    return Estimate(value=value, standard_error=error, effective_samples=(value / error).square())


def measured(
    series: Float[Tensor, " time replicas"],
    reads: Sequence[Estimate],
    interval: float,
    guess: Guess,
) -> Measured:
    """Return what the records of one point tell, beside their statistics.

    Symbols: `reads` spread in every window; `interval` between records (s); `guess` about the decay
    time (s) and the frequency (Hz).
    """
    kept = correlations(series, lags_of(guess, interval, len(series)), interval, guess.frequency)
    edges, counts = histogram(series)
    none = torch.zeros(0, dtype=torch.float64)
    empty = Estimate(value=none, standard_error=none, effective_samples=none)
    return Measured(
        decay_time=kept.decay_time,
        frequency=kept.frequency,
        read_std=merged(list(reads), torch.stack) if reads else empty,
        lags=kept.lags,
        autocorrelation=kept.value,
        autocorrelation_error=kept.error,
        quantiles=quantiles(series),
        edges=edges,
        counts=counts,
    )
