"""From a simulation's sections to what a run of an ensemble takes: waveforms and steps."""

import math
from collections.abc import Callable

from bayespin.physics.drive import Driven, PulseTrain, Sum
from bayespin.physics.ensemble import Schedule
from bayespin.shapes import Tensor
from bayespin.study.simulation.sections import Drive, Pulse, Run
from bayespin.units import format_quantity

_MOST_STEPS = 2**40
_TOLERANCE = 1e-6
"""Relative rounding of a quotient of two decimal times that still counts as whole."""


def driven(
    drive: Drive, of: Callable[[Drive | Pulse], Tensor], offset: Tensor | None = None
) -> Driven:
    """Return what `of` makes of the constant drive and of each pulse, as a function of time.

    A constant where no pulse changes it. `offset` is there without any drive.
    """
    trains = []
    for pulse in drive.pulses:
        amplitude = of(pulse)
        if bool((amplitude != 0).any()):
            period = pulse.width if pulse.period is None else pulse.period
            trains.append(
                PulseTrain(
                    amplitude=amplitude,
                    start=pulse.start,
                    width=pulse.width,
                    period=period,
                    count=pulse.count,
                )
            )
    constant = of(drive) if offset is None else offset + of(drive)
    return Sum(parts=(constant, *trains)) if trains else constant


def time_step(run: Run, stable: float, fraction: float) -> float:
    """Return the time step in seconds: the one given, or the largest whole part of a record.

    Symbols: stable largest stable step (s); fraction what part of it is taken by itself.

    Raises:
        ValueError: the one given is above `stable`, which is named, or does not divide the time
            between records.
    """
    if run.time_step is None:
        return run.record_every / math.ceil(run.record_every / (fraction * stable) * (1 - 1e-9))
    if run.time_step > stable:
        digit = 10.0 ** (math.floor(math.log10(stable)) - 1)
        named = format_quantity(math.floor(stable / digit) * digit, "s")
        raise ValueError(
            f"`run.time_step` must be at most {named}, the largest stable one here, but is "
            f"{format_quantity(run.time_step, 's')}; left out, it is chosen."
        )
    count = run.record_every / run.time_step
    if round(count) < 1 or abs(count - round(count)) > _TOLERANCE * count:
        near = max(1, round(count)) * run.time_step
        raise ValueError(
            f"`run.record_every` must be a whole number of time steps, such as "
            f"{format_quantity(near, 's', 6)}, but is {format_quantity(run.record_every, 's', 6)}."
        )
    return run.record_every / round(count)


def schedule(run: Run, step: float) -> Schedule:
    """Return how many replicas are run for how many steps of this length, and what is kept.

    Raises:
        ValueError: the steps are too many to count.
    """
    if run.duration / step > _MOST_STEPS:
        raise ValueError(
            f"`run.duration` must be at most {format_quantity(_MOST_STEPS * step, 's')}, 2^40 time "
            f"steps, but is {format_quantity(run.duration, 's')}."
        )
    every, settle = round(run.record_every / step), round(run.settle / step)
    records = math.floor((run.duration - run.settle) / run.record_every * (1 + _TOLERANCE))
    return Schedule(
        replicas=run.replicas, steps=settle + records * every, record_every=every, discard=settle
    )
