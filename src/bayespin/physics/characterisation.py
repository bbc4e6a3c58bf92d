"""A stochastic junction characterised: the statistics of m_z at every setting of its anisotropy."""

import math
from dataclasses import dataclass, replace

import torch

from bayespin.cite import cites
from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.numerics.quadrature import cumulative
from bayespin.numerics.stochastic import frozen_rk4_step
from bayespin.physics import relaxation
from bayespin.physics.ensemble import Execution, Schedule, run
from bayespin.physics.free_layer import FreeLayer, anisotropy_field, thermal_energy
from bayespin.physics.llg import largest_stable_step
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.sampling import Law, Statistics, joined, statistics
from bayespin.physics.systems import MacrospinEnsemble, Recorded
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor

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
