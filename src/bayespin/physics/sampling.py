"""Statistics of trajectories with error bars, and runs that last until these are small enough.

Records of one trajectory are correlated: n of them, dt apart with correlation time τ, are worth
n dt/(2τ) independent samples. No error bar here assumes otherwise. Trajectories must start from
equilibrium, or discard the way there (`Schedule.discard`).
"""

import dataclasses
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch

from bayespin.cite import cites
from bayespin.numerics.statistics import pooled_autocovariance, window_lag
from bayespin.physics.ensemble import Execution, Schedule, System, Trajectories, extend, run
from bayespin.rng import Key
from bayespin.shapes import Float, Int, Tensor

logger = logging.getLogger(__name__)

Law = Callable[[Tensor], Tensor]
"""A distribution function F(x) of one operating point."""
Statistic = Literal[
    "mean", "std", "skewness", "excess_kurtosis", "correlation_time", "distance", "normality"
]

BATCHES = 32
"""Batches from which a standard error is taken at least: it is then known to 13 %."""
BATCH_TIMES = 10
"""Correlation times that a batch must last where it is a part of a trajectory."""
_PART = 2**22
"""Numbers whose powers are summed at a time."""


class SeriesTooShort(ValueError):
    """A series holds too few correlation times for an error bar."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A statistic, its standard error, and how many independent samples would give that error."""

    value: Float[Tensor, "*points"]
    standard_error: Float[Tensor, "*points"]
    effective_samples: Float[Tensor, "*points"]


@dataclass(frozen=True, kw_only=True)
class Distance:
    """A Kolmogorov-Smirnov distance sup |F_n − F|, and what can be told from sampling."""

    value: Float[Tensor, "*points"]
    resolution: Float[Tensor, "*points"]
    """1.36/√n_eff: samples of F itself come closer 95 times in 100."""
    effective_samples: Float[Tensor, "*points"]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """The statistics of one observable at each operating point; see `statistics`."""

    mean: Estimate
    std: Estimate
    skewness: Estimate
    excess_kurtosis: Estimate
    correlation_time: Estimate
    """s; not a number where the records are too few to tell, or all the same."""
    normality: Distance
    """To the normal law of the same mean and standard deviation."""
    distance: Distance | None
    """To the given law, if any."""
    excluded: Int[Tensor, "*points"]
    """Trajectories left out because they are not finite."""

    def error(self, name: Statistic) -> Float[Tensor, "*points"]:
        """Return the standard error of a statistic, or the resolution of a distance.

        Raises:
            ValueError: a distance is asked for, but no law was given.
        """
        found = getattr(self, name)
        if found is None:
            raise ValueError("`distance` must have a law to measure from, but none was given.")
        return found.resolution if isinstance(found, Distance) else found.standard_error


def shape_estimates(
    series: Float[Tensor, " time replicas"],
) -> tuple[Estimate, Estimate, Estimate, Estimate]:
    """Return mean, standard deviation, skewness and excess kurtosis of a stationary series.

    Pooled over time and replicas, with z = (x − µ)/s, γ = ⟨z³⟩, κ = ⟨z⁴⟩. A sample x moves an
    estimate by ψ(x)/n:
    mean: ψ = s z;  s: ψ = s (z² − 1)/2;  γ: ψ = z³ − γ − 3z − (3/2)γ(z² − 1);
    κ − 3: ψ = z⁴ − κ − 4γz − 2κ(z² − 1).
    standard error = std(ψ_b)/√B over the averages ψ_b of B independent batches;
    effective samples = var(ψ)/(standard error)².

    For n independent samples of a normal law this is s/√n, s/√(2n), √(6/n), √(24/n). A batch is
    one replica; with fewer than 32 replicas each is cut into equal times. For an exponential
    correlation the mean has nRdt/(2τ) effective samples, and a moment of order k up to k times as
    many, since x^k forgets faster. Bias of order 1/n of s and κ for n effective samples of the
    mean. Errors of mean and s are unbiased; those of γ and κ are too small, measured on a normal
    process by 2 % and 4 % at n = 600, by 0.4 % and 1.3 % at 2,400, by 0.4 % of κ at 9,600.

    Raises:
        SeriesTooShort: a batch would be shorter than 10 correlation times.
    """
    series, batches = _batched(series)
    mean = series.double().mean()
    std = (series.double() - mean).square().mean().sqrt()
    powers = _batch_powers(series, mean, std, batches)  # batches x order 0 to 8
    pooled = powers.mean(0)
    third, fourth = pooled[3], pooled[4]
    none = torch.zeros_like(std)
    influence = torch.stack(
        [
            torch.stack([none, std, none, none, none]),
            torch.stack([-std / 2, none, std / 2, none, none]),
            torch.stack([third / 2, none - 3, -1.5 * third, none + 1, none]),
            torch.stack([fourth, -4 * third, -2 * fourth, none, none + 1]),
        ]
    )
    orders = torch.arange(5, device=pooled.device)
    variance = ((influence @ pooled[orders[:, None] + orders]) * influence).sum(1)
    averages = powers[:, :5] @ influence.T
    error = averages.std(0) / math.sqrt(len(powers))
    values = torch.stack([mean, std, third, fourth - 3])
    if std == 0:
        values[2:], error[2:] = torch.nan, torch.nan
    found = [
        Estimate(value=value, standard_error=e, effective_samples=v / e.square())
        for value, e, v in zip(values.cpu(), error.cpu(), variance.cpu(), strict=True)
    ]
    return found[0], found[1], found[2], found[3]


def _batched(series: Tensor) -> tuple[Tensor, int]:
    """Return the series without the rest that fills no batch, and batches per trajectory."""
    length, replicas = series.shape
    pieces = -(-BATCHES // replicas)
    if pieces == 1:
        return series, 1
    size = length // pieces
    try:
        time = float(correlation_time(series, 1.0).value)
    except ValueError:
        time = length / 6  # Sokal's window did not close: it is longer still
    if size < BATCH_TIMES * time:
        raise SeriesTooShort(
            f"Argument `series` must last {BATCH_TIMES * pieces} correlation times where "
            f"{replicas} replicas have to give {BATCHES} batches, but lasts "
            f"{length / time:.3g}; take more replicas or a longer run."
        )
    return series[: pieces * size], pieces


def _batch_powers(
    series: Tensor, mean: Tensor, std: Tensor, pieces: int
) -> Float[Tensor, " batches orders"]:
    """Return ⟨z^k⟩ of every batch for k = 0 to 8, in float64; few replicas at a time."""
    scale = torch.where(std > 0, 1 / std, 0.0)
    found = []
    for part in series.split(max(1, _PART // len(series)), 1):
        z = (part.double() - mean) * scale
        power, averages = torch.ones_like(z), []
        for _ in range(9):
            averages.append(power.unflatten(0, (pieces, -1)).mean(1).flatten())
            power = power * z
        found.append(torch.stack(averages, -1))
    return torch.cat(found)


@cites("10.1007/978-1-4899-0319-8_6")
def correlation_time(series: Float[Tensor, " time replicas"], interval: float) -> Estimate:
    """Return the integrated correlation time τ = dt (1/2 + ∑_{l=1}^{M} C_l/C_0), in seconds.

    C pooled over replicas, M by Sokal's window (6τ); at least dt/2, what independent records give.
    standard error = τ √(2(2M + 1)/(nR)); effective samples = nR dt/(2τ), for the mean of x.

    Symbols: n records of R replicas, `interval` dt between them (s).

    Raises:
        ValueError: the records end before 6τ, or are all the same.

    Source: Sokal (1997).
    """
    covariance = pooled_autocovariance(series)
    if not covariance[0] > 0:
        raise ValueError("Argument `series` must vary, but all its values are the same.")
    lag = window_lag(covariance)
    time = 0.5 + (covariance[1 : lag + 1] / covariance[0]).sum()
    time = time.clamp(min=0.5).cpu()
    return Estimate(
        value=time * interval,
        standard_error=time * interval * math.sqrt(2 * (2 * lag + 1) / series.numel()),
        effective_samples=series.numel() / (2 * time),
    )


@cites("10.2307/2280095")
def ks_distance(
    series: Float[Tensor, " time replicas"], law: Law, effective_samples: Float[Tensor, ""]
) -> Distance:
    """Return sup |F_n(x) − F(x)| between all values of a series and a law.

    The resolution 1.36/√n_eff is the 95 % point of Kolmogorov's distribution. With n_eff the lesser
    of those of the mean and the standard deviation it is on the safe side for a correlated series
    (indicators forget faster than the mean: by a factor of 1.44 for an Ornstein-Uhlenbeck process),
    for one that turns, whose mean is known a thousand times better than its spread, and for a law
    whose mean and standard deviation were fitted to the same values (0.90/√n_eff there).

    Source: Massey (1951).
    """
    values = series.double().flatten().sort().values
    expected = law(values)
    ranks = torch.arange(len(values) + 1, dtype=torch.float64, device=values.device) / len(values)
    distance = torch.maximum((ranks[1:] - expected).max(), (expected - ranks[:-1]).max())
    return Distance(
        value=distance.cpu(),
        resolution=1.36 / effective_samples.sqrt(),
        effective_samples=effective_samples,
    )


def normal_law(mean: Float[Tensor, ""], std: Float[Tensor, ""]) -> Law:
    """Return Φ((x − mean)/std)."""
    return lambda x: torch.special.ndtr((x - mean) / std)


def statistics(found: Trajectories, name: str, laws: Sequence[Law] | None = None) -> Statistics:
    """Return the statistics of one observable over all sound trajectories of each point.

    `laws` gives one distribution function per operating point, in the order of flattened points.

    Raises:
        ValueError: an operating point has no sound trajectory, or there is one law too many or
            too few.
        SeriesTooShort: fewer than 32 replicas ran for too short a time.
    """
    *points, replicas = found.sound.shape
    series = found.series[name].reshape(len(found.times), -1, replicas)
    sound = found.sound.reshape(-1, replicas)
    if laws is not None and len(laws) != len(sound):
        raise ValueError(
            f"Argument `laws` must hold one law for each of the {len(sound)} operating points, "
            f"but holds {len(laws)}."
        )
    interval = found.schedule.record_every * found.time_step
    each = [
        _of_point(series[:, point], sound[point], interval, None if laws is None else laws[point])
        for point in range(len(sound))
    ]
    return merged(each, lambda values: torch.stack(values).reshape(points))


def _of_point(series: Tensor, sound: Tensor, interval: float, law: Law | None) -> Statistics:
    if not bool(sound.any()):
        raise ValueError("Every operating point must have a sound trajectory, but one has none.")
    kept = series if bool(sound.all()) else series[:, sound]
    mean, std, skewness, kurtosis = shape_estimates(kept)
    worth = torch.minimum(mean.effective_samples, std.effective_samples)
    return Statistics(
        mean=mean,
        std=std,
        skewness=skewness,
        excess_kurtosis=kurtosis,
        correlation_time=_time_or_nan(kept, interval),
        normality=ks_distance(kept, normal_law(mean.value, std.value), worth),
        distance=None if law is None else ks_distance(kept, law, worth),
        excluded=(~sound).sum(),
    )


def _time_or_nan(series: Tensor, interval: float) -> Estimate:
    try:
        return correlation_time(series, interval)
    except ValueError:  # too short to tell; the other errors come from batches
        unknown = torch.tensor(torch.nan, dtype=torch.float64)
        return Estimate(value=unknown, standard_error=unknown, effective_samples=unknown)


def merged(each: Sequence[Any], merge: Callable[[list[Tensor]], Tensor]) -> Any:
    """Return one nest of estimates from several of the same form."""
    first = each[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return merge(list(each))
    parts = {
        field.name: merged([getattr(one, field.name) for one in each], merge)
        for field in dataclasses.fields(first)
    }
    return type(first)(**parts)


def joined(parts: Sequence[Statistics], order: Int[Tensor, " points"]) -> Statistics:
    """Return statistics of runs with one axis of points as one, its points in the given order."""
    return merged(parts, lambda values: torch.cat(values)[order])


@dataclass(frozen=True, kw_only=True)
class Target:
    """Which error is asked for, and how long a run may last for it.

    Raises:
        ValueError: the error is not positive, or the law is missing or too much.
    """

    observable: str
    statistic: Statistic
    error: float
    """Largest standard error at any operating point, or resolution of a distance; in the unit of
    the statistic."""
    longest: int
    """Steps after which a run ends anyway."""
    laws: Sequence[Law] | None = None

    def __post_init__(self) -> None:
        if not self.error > 0:
            raise ValueError(f"`error` must be positive, but is {self.error:g}.")
        if self.statistic == "distance" and self.laws is None:
            raise ValueError("`laws` must be given for the statistic `distance`, but are not.")


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """A run that was extended until its error was small enough, or its steps were spent."""

    trajectories: Trajectories
    statistics: Statistics
    error: float
    """The largest error of the statistic at any operating point."""
    reached: bool


def sample_until(
    system: System,
    schedule: Schedule,
    key: Key,
    target: Target,
    execution: Execution | None = None,
) -> Sampled:
    """Run `schedule`, and on until the error of one statistic is at most `target.error`.

    Errors fall as 1/√time: a run of recorded length n with error e goes on to 1.1 n (e/e_asked)²,
    at least 1.25 n and at most 4 n at a time. With `execution.checkpoint` an interrupted search
    takes the same way again and ends with the same bits. A target that is not reached within
    `target.longest` steps is logged as a warning.

    Raises:
        ValueError: as `run` and `statistics`; or the schedule is longer than the longest run.
        InputError: as `run`.
    """
    if schedule.steps > target.longest:
        raise ValueError(
            f"`longest` must be at least the {schedule.steps} steps of the first run, "
            f"but is {target.longest}."
        )
    found = run(system, schedule, key, execution)
    while True:
        measured, error = _measured(found, target)
        steps = _next_length(found.schedule, error / target.error, target.longest)
        if error <= target.error or steps == found.schedule.steps:
            break
        found = extend(system, found, steps, execution)
    if measured is None:
        measured = statistics(found, target.observable, target.laws)
    if error > target.error:
        logger.warning(
            "The error of `%s` is %.3g after the %d steps allowed, more than the %.3g asked for.",
            target.statistic, error, found.schedule.steps, target.error,
        )  # fmt: skip
    return Sampled(
        trajectories=found, statistics=measured, error=error, reached=error <= target.error
    )


def _measured(found: Trajectories, target: Target) -> tuple[Statistics | None, float]:
    """Return the statistics so far and their largest error, infinite where it cannot be told."""
    try:
        measured = statistics(found, target.observable, target.laws)
    except SeriesTooShort:
        return None, math.inf
    return measured, float(measured.error(target.statistic).nan_to_num(torch.inf).max())


def _next_length(schedule: Schedule, excess: float, longest: int) -> int:
    """Return the steps to take in all when the error is `excess` times what is asked for."""
    growth = min(max(1.1 * excess**2, 1.25), 4.0)
    records = math.ceil(growth * schedule.records)
    return min(schedule.discard + (records - 1) * schedule.record_every, longest)


def read_average(
    series: Float[Tensor, " time *batch"], interval: float, window: float
) -> Float[Tensor, " reads *batch"]:
    """Return boxcar reads, (1/T_r) ∫ x dt over consecutive windows, by the trapezoidal rule.

    Symbols: `interval` time between records (s); `window` T_r (s), a whole number of intervals.
    Relative error of order (interval/τ)²/12 for a path that forgets in τ.

    Raises:
        ValueError: the window is not a whole number of intervals, or longer than the series.
    """
    count = round(window / interval)
    if count < 1 or abs(window / interval - count) > 1e-6 * count:
        raise ValueError(
            f"`window` must be a whole number of record intervals of {interval:g} s, "
            f"but is {window:g} s."
        )
    reads = (len(series) - 1) // count
    if reads < 1:
        raise ValueError(
            f"`window` must be at most the {(len(series) - 1) * interval:g} s of the series, "
            f"but is {window:g} s."
        )
    middle = (series[:-1] + series[1:]) / 2
    return middle[: reads * count].unflatten(0, (reads, count)).mean(1)
