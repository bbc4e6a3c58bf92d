"""A stochastic junction characterised: the statistics of its read-out at every operating point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from bayespin.cite import cites
from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.numerics.quadrature import cumulative
from bayespin.numerics.stochastic import frozen_rk4_step
from bayespin.physics import characterised, relaxation, stack
from bayespin.physics.characterised import (
    PROBABILITIES,
    Characterised,
    Guess,
    Measured,
    lag_count,
    measured,
    spread_of_reads,
)
from bayespin.physics.ensemble import Execution, Schedule, Trajectories, run
from bayespin.physics.free_layer import FreeLayer, anisotropy_field, thermal_energy
from bayespin.physics.llg import largest_stable_step
from bayespin.physics.macrospin import Macrospins, RotationSplitting
from bayespin.physics.read_windows import ReadEnsemble, window_averages
from bayespin.physics.sampling import Law, Statistics, joined, merged, statistics
from bayespin.physics.stack import READ_OUT, StackPoints
from bayespin.physics.systems import MacrospinEnsemble, Recorded
from bayespin.rng import Key
from bayespin.shapes import Float, Int, Tensor

STEP_ERROR = 0.01
"""Relative error of a variance, and of a damping, that a time step may make."""
STEPS_PER_DIFFUSION = 200
"""Steps in the time in which a free moment forgets its direction, at least."""
RECORDS_PER_TIME = 2
"""Records in a correlation time: 2 lose 2 % of the effective samples of a mean."""
SHARED = 4.0
"""Settings whose time steps differ by less than this share one."""
BLOCK = 1024
"""Replicas of a block. Steps this small cost their dispatch, which threads cannot share: 512 on two
cores take twice as long as 1024 on one."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is characterised, for how long.

    Raises:
        ValueError: a duration that is not positive, or an anisotropy that is not finite.
    """

    layer: FreeLayer
    anisotropy: Float[Tensor, " points"]
    """K_eff of each setting in J/m³, negative for an easy plane."""
    temperature: float
    """K."""
    duration: float
    """Time that each replica is recorded, s."""
    replicas: int = 1024

    def __post_init__(self) -> None:
        if not self.duration > 0:
            raise ValueError(f"`duration` must be positive, but is {self.duration:g} s.")
        if not bool(self.anisotropy.isfinite().all()):
            raise ValueError("`anisotropy` must be finite, but is not.")


def sampling_times(settings: Settings) -> tuple[Float[Tensor, " points"], Float[Tensor, " points"]]:
    """Return the time step and the record interval of each setting, in seconds.

    A step turns a precession by y = γB_k dt/(1 + α²). Noise that is held over it lowers the
    variance of a precessing mode by y²/12, and Runge-Kutta damps it by y⁶/144 instead of αy alone:
    both are at most 1 % at y = min(0.346, (1.44α)^{1/5}) for an easy axis. An easy plane does not
    precess: its m_z relaxes by a = αy in a step, which lowers its variance by a²/12. In all cases
    dt is at most 0.9 of `llg.largest_stable_step` and τ_N/200. Records are half of
    1/(αγB_k/(1 + α²) + 1/τ_N) apart.

    Symbols: α damping; γ (rad/(s T)); B_k anisotropy field (T); τ_N free diffusion time (s).
    Measured for an easy axis, σ = 104, α = 0.1: the variance is low by 1.2, 2.0 and 4.5 (± 0.2) %
    at y = 0.35, 0.49 and 0.7.
    """
    layer = settings.layer
    diffusion = relaxation.free_diffusion_time(layer, settings.temperature)
    field = anisotropy_field(layer, settings.anisotropy.double())
    rate = GYROMAGNETIC_RATIO * field / (1 + layer.damping**2)
    held = math.sqrt(12 * STEP_ERROR)
    damped = (144 * STEP_ERROR * layer.damping) ** 0.2
    angle = torch.where(settings.anisotropy > 0, min(held, damped), held / layer.damping)
    stable = 0.9 * largest_stable_step(1.0, layer.damping) / field
    step = torch.minimum(angle / rate, stable).clamp(max=diffusion / STEPS_PER_DIFFUSION)
    interval = 1 / (layer.damping * rate + 1 / diffusion) / RECORDS_PER_TIME
    return step, interval


def boltzmann_law(barrier: float) -> Law:
    """Return the distribution function of m_z without a field, p(u) ∝ exp(σu²) on [−1, 1].

    Symbols: σ = K_eff V/kT, negative for an easy plane. By linear interpolation between 20001
    points.
    """
    one = torch.ones((), dtype=torch.float64)
    points, heights = cumulative(lambda u: barrier * u.square(), -one, one, 20001)
    spacing = points[1] - points[0]

    def law(values: Tensor) -> Tensor:
        place = ((values.double() + 1) / spacing).clamp(0, len(points) - 1)
        left = place.long().clamp(max=len(points) - 2)
        return torch.lerp(heights[left], heights[left + 1], place - left)

    return law


def _only_m_z(parameters: Macrospins, m: Tensor, time: float) -> Recorded:
    return {"m_z": m[..., 2, :]}


@cites("10.1063/1.5003957")
def ensemble_statistics(
    settings: Settings, key: Key, execution: Execution | None = None
) -> Statistics:
    """Return the statistics of m_z at every setting, `distance` to Boltzmann's law included.

    Replicas start in equilibrium and run for `duration`, by Runge-Kutta steps with frozen noise
    (Leliaert et al. 2017). Settings whose time steps differ by less than four share the least of
    them and one batch, with a folder of its own in `execution.checkpoint`. A duration shorter than
    two record intervals is recorded at its start, middle and end.

    Raises:
        ValueError: as `ensemble.run`.
        InputError: as `ensemble.run`.
    """
    step, interval = sampling_times(settings)
    order = step.argsort()
    execution = execution or Execution()
    parts, first = [], 0
    while first < len(order):
        group = order[first:][step[order[first:]] < SHARED * step[order[first]]]
        times = float(step[group].min()), float(interval[group].min())
        folder = execution.checkpoint and execution.checkpoint / f"group-{first}"
        own = replace(execution, checkpoint=folder)
        parts.append(_of_group(settings, group, times, key.child("group", first), own))
        first += len(group)
    return joined(parts, order.argsort())


def _of_group(
    settings: Settings,
    group: Tensor,
    times: tuple[float, float],
    key: Key,
    execution: Execution,
) -> Statistics:
    step, interval = times
    interval = min(interval, settings.duration / 2)
    every = math.ceil(interval / step)
    anisotropy = settings.anisotropy[group].float()
    parameters = Macrospins(
        layer=settings.layer,
        effective_anisotropy=anisotropy[:, None],
        temperature=settings.temperature,
        time_step=interval / every,
    )
    system = MacrospinEnsemble(parameters=parameters, observe=_only_m_z, method=frozen_rk4_step)
    schedule = Schedule(
        replicas=settings.replicas,
        steps=every * round(settings.duration / interval),
        record_every=every,
        block=BLOCK,
    )
    found = run(system, schedule, key, execution)
    volume_per_energy = settings.layer.volume / thermal_energy(settings.temperature)
    laws = [boltzmann_law(float(one) * volume_per_energy) for one in anisotropy.double()]
    return statistics(found, "m_z", laws)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How long a characterisation looks, and through which read windows.

    replicas x decay_times = n give standard errors of about 0.7/√n of s and 2.6/√n of τ at every
    point: 0.3 % and 1 % at the 61,000 of the defaults.

    Raises:
        ValueError: a window that is not positive, fewer than 32 replicas, or less than 4 decay
            times.
    """

    windows: tuple[float, ...]
    """Read windows, s."""
    replicas: int = 1024
    decay_times: float = 60.0
    """Length of the record in decay times of the slowest point of a group."""

    def __post_init__(self) -> None:
        for window in self.windows:
            if not 0 < window < math.inf:
                raise ValueError(f"`windows` must be positive and finite, but one is {window:g} s.")
        if self.replicas < characterised.BATCHES:
            raise ValueError(
                f"`replicas` must be at least {characterised.BATCHES} for error bars, "
                f"but is {self.replicas}."
            )
        if not 4 <= self.decay_times < math.inf:
            raise ValueError(f"`decay_times` must be 4 or more, but is {self.decay_times:g}.")


PLANE_ANGLE = 2.0
"""γB_kΔt of an easy plane, at most: m_z does not precess."""
PLANE_DECAY = 0.13
"""Share of its decay time that a step of an easy plane takes at most: its variance is low by the
square of it over 6."""
TURN_ANGLE = 0.25
"""γB_kΔt of a perpendicular layer: the trapezoidal rule of a read is off by its square over 12."""
DIFFUSION_STEPS = 50
"""Steps in a τ_N, at least."""
RECORDS_PER_DECAY = 4
"""Records in the shortest decay time of a group."""
WAIT = 8.0
"""Decay times before the first record where the start is not in equilibrium."""


def time_steps(points: StackPoints) -> Float[Tensor, " points"]:
    """Return the time step of each point, s, for `macrospin.RotationSplitting`.

    The scheme has no frozen noise, whose bias grows with Δt/τ_N (`macrospin.step`). An easy plane
    takes y = γB_kΔt of 2 or 0.13/α: splitting lowers its variance by (αy)²/6. A perpendicular layer
    takes 0.25, since its reads integrate a precession: y²/12 = 0.5 % of s_T. At most τ_N/50.

    B_k stands for the sum of all fields of the point.
    """
    total = points.anisotropy_field + points.each("stray_field").abs()
    moment = points.each("saturation_magnetisation")
    total = total + 2 * points.each("in_plane_anisotropy").abs() / moment
    plane = min(PLANE_ANGLE, PLANE_DECAY / points.layer.damping)
    angle = plane if points.orientation == "easy-plane" else TURN_ANGLE
    longest = points.diffusion_time / DIFFUSION_STEPS
    return torch.minimum(angle / GYROMAGNETIC_RATIO / total, longest)


def characterise(
    points: StackPoints, sampling: Sampling, key: Key, execution: Execution | None = None
) -> Characterised:
    """Return the statistics of u at every operating point, by macrospins.

    Replicas start from Boltzmann's law of K_eff; with a stray field or an in-plane anisotropy the
    first 8 decay times are not recorded. Points whose time steps differ by less than four run
    together, with a folder of their own in `execution.checkpoint`. `statistics.distance` is
    measured from Boltzmann's law of all terms.

    Raises:
        ValueError: as `ensemble.run`.
        InputError: as `ensemble.run`.
    """
    execution = execution or Execution()
    step = time_steps(points)
    parts, order = [], []
    for number, group in enumerate(_groups(step)):
        folder = execution.checkpoint and execution.checkpoint / f"points-{number}"
        own = replace(execution, checkpoint=folder)
        chosen = points.at(group)
        parts.append(
            _of_points(chosen, sampling, float(step[group].min()), key.child("points", number), own)
        )
        order.append(group)
    return joined_points(parts, sampling.windows, torch.cat(order).argsort())


def _groups(step: Tensor) -> list[Tensor]:
    """Return the indices of points that share a time step, the shortest first."""
    order, found = step.argsort(), []
    while len(order):
        group = order[step[order] < SHARED * step[order[0]]]
        found.append(group)
        order = order[len(group) :]
    return found


def _of_points(
    points: StackPoints, sampling: Sampling, step: float, key: Key, execution: Execution
) -> tuple[Statistics, Measured]:
    frequency = _frequency(points)
    quickest = float(points.decay_time.min()) / RECORDS_PER_DECAY
    if frequency is not None:
        quickest = min(quickest, 1 / (characterised.TURN_RECORDS * float(frequency.max())))
    every = math.ceil(quickest / step)
    interval = quickest
    longest = sampling.decay_times * float(points.decay_time.max())
    lags = lag_count(points.layer.damping, frequency is not None)
    longest = max(longest, 2 * max(sampling.windows, default=0.0), 2 * lags * interval)
    wait = WAIT * float(points.decay_time.max()) if bool(points.shifted.any()) else 0.0
    discard = every * math.ceil(wait / interval)
    system = ReadEnsemble(
        parameters=stack.macrospins(points, interval / every),
        component=READ_OUT[points.orientation],
        windows=sampling.windows,
        record_every=every,
        discard=discard,
        method=RotationSplitting(),
    )
    schedule = Schedule(
        replicas=sampling.replicas,
        steps=discard + every * math.ceil(longest / interval),
        record_every=every,
        discard=discard,
        block=BLOCK,
    )
    return _measured(points, sampling.windows, run(system, schedule, key, execution))


def _frequency(points: StackPoints) -> Float[Tensor, " points"] | None:
    """Return f of the precession, Hz; None for an easy plane, whose m_z does not precess."""
    if points.orientation == "easy-plane":
        return None
    return relaxation.precession_frequency(points.anisotropy_field)


def laws(points: StackPoints) -> list[Law]:
    """Return Boltzmann's distribution function of u at every point, of `stack.log_density`."""
    places, heights = cumulative(stack.log_density(points), *stack.interval(points), 20001)
    return [partial(_interpolated, u, f) for u, f in zip(places, heights, strict=True)]


def _interpolated(places: Tensor, heights: Tensor, values: Tensor) -> Tensor:
    """Return a distribution function between equidistant places, 0 and 1 beyond them."""
    spacing = places[1] - places[0]
    place = ((values.double() - places[0]) / spacing).clamp(0, len(places) - 1)
    left = place.long().clamp(max=len(places) - 2)
    return torch.lerp(heights[left], heights[left + 1], place - left)


def _measured(
    points: StackPoints, windows: tuple[float, ...], found: Trajectories
) -> tuple[Statistics, Measured]:
    """Return the statistics of a run of points."""
    interval = found.schedule.record_every * found.time_step
    instant = statistics(found, "u", laws(points))
    averages = [window_averages(found, window, place) for place, window in enumerate(windows)]
    each = []
    for point in range(len(points)):
        sound = found.sound[point]
        series = found.series["u"][:, point, sound]
        reads = [spread_of_reads(average[:, point, sound]) for average in averages]
        each.append(measured(series, reads, interval, _guess(points, point)))
    return instant, merged(each, torch.stack)


def _guess(points: StackPoints, point: int) -> Guess:
    frequency = _frequency(points)
    turns = 0.0 if frequency is None else float(frequency[point])
    lags = lag_count(points.layer.damping, frequency is not None)
    return Guess(float(points.decay_time[point]), turns, lags)


def joined_points(
    parts: Sequence[tuple[Statistics, Measured]],
    windows: tuple[float, ...],
    order: Int[Tensor, " points"],
) -> Characterised:
    """Return what was found of groups of points as one, its points in the given order."""

    def merge(values: list[Tensor]) -> Tensor:
        return torch.cat(values)[order]

    return Characterised(
        statistics=merged([part[0] for part in parts], merge),
        windows=torch.tensor(windows, dtype=torch.float64),
        probabilities=PROBABILITIES,
        **vars(merged([part[1] for part in parts], merge)),
    )
