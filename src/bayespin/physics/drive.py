"""What changes in time: waveforms for fields, currents, anisotropies.

Any driven quantity is a number, a tensor, or a function of time. `at` makes a value of all three.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from bayespin.shapes import Float, Tensor


@runtime_checkable
class Waveform(Protocol):
    """A value as a function of time."""

    def __call__(self, time: float | Tensor) -> float | Tensor:
        """Return the value at a time in seconds; a tensor of times broadcasts over the state."""
        ...


Driven = float | Tensor | Waveform
"""A constant, one constant per operating point, or either as a function of time."""


def at(value: Driven, time: float | Tensor) -> float | Tensor:
    """Return a driven value at a time in seconds; constants are what they are."""
    return value if isinstance(value, (int, float, Tensor)) else value(time)


def _check_amplitude(amplitude: float | Tensor) -> None:
    if not bool(torch.as_tensor(amplitude).isfinite().all()):
        raise ValueError("`amplitude` must be finite, but is not.")


def _check_lengths(**lengths: float) -> None:
    for name, length in lengths.items():
        if not (length > 0 and math.isfinite(length)):
            raise ValueError(f"`{name}` must be positive, but is {length:g} s.")


def _trapezium(time: Any, width: float, rise: float) -> Any:
    """Return a pulse of height 1 and area `width` that starts at time 0."""
    if rise == 0:
        inside = (time >= 0) & (time < width) if isinstance(time, Tensor) else 0 <= time < width
        return inside.to(time.dtype) if isinstance(inside, Tensor) else float(inside)
    if isinstance(time, Tensor):
        return (time / rise).minimum((width + rise - time) / rise).clamp(0, 1)
    return min(max(min(time / rise, (width + rise - time) / rise), 0.0), 1.0)


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """One pulse: up over `rise` from `start`, level, down over `rise` from `start + width`.

    Width at half height and area over amplitude are both `width`. With a rise of zero the edges
    are sharp: within a time step, a step method sees either side.

    Raises:
        ValueError: the width is not positive, the rise negative or longer than the width, the
            amplitude not finite.
    """

    amplitude: float | Float[Tensor, "..."]
    """In the unit of what is driven; a tensor gives one value per operating point."""
    start: float
    """s."""
    width: float
    """s."""
    rise: float = 0.0
    """s, for each edge."""

    def __post_init__(self) -> None:
        _check_amplitude(self.amplitude)
        _check_lengths(width=self.width)
        if not 0 <= self.rise <= self.width:
            raise ValueError(
                f"`rise` must be from 0 to the width, {self.width:g} s, but is {self.rise:g} s."
            )

    def __call__(self, time: float | Tensor) -> float | Tensor:
        """Return the value at a time in seconds."""
        return self.amplitude * _trapezium(time - self.start, self.width, self.rise)


@dataclass(frozen=True, kw_only=True)
class Sine:
    """A continuous wave, amplitude · sin(2πft + phase).

    Raises:
        ValueError: the frequency is not positive, the amplitude not finite.
    """

    amplitude: float | Float[Tensor, "..."]
    frequency: float
    """f, Hz."""
    phase: float = 0.0
    """rad."""

    def __post_init__(self) -> None:
        if not (self.frequency > 0 and math.isfinite(self.frequency)):
            raise ValueError(f"`frequency` must be positive, but is {self.frequency:g} Hz.")
        _check_amplitude(self.amplitude)

    def __call__(self, time: float | Tensor) -> float | Tensor:
        """Return the value at a time in seconds."""
        angle = 2 * math.pi * self.frequency * time + self.phase
        return self.amplitude * (angle.sin() if isinstance(angle, Tensor) else math.sin(angle))


@dataclass(frozen=True, kw_only=True)
class PulseTrain:
    """`count` equal rectangular pulses, the starts of neighbours one period apart.

    Raises:
        ValueError: a length is not positive, the width exceeds the period, the count is below 1,
            the amplitude not finite.
    """

    amplitude: float | Float[Tensor, "..."]
    start: float
    """s, of the first pulse."""
    width: float
    """s."""
    period: float
    """s."""
    count: int

    def __post_init__(self) -> None:
        _check_amplitude(self.amplitude)
        _check_lengths(width=self.width, period=self.period)
        if self.width > self.period:
            raise ValueError(
                f"`width` must be at most the period, {self.period:g} s, but is {self.width:g} s."
            )
        if self.count < 1:
            raise ValueError(f"`count` must be at least 1, but is {self.count}.")

    def __call__(self, time: float | Tensor) -> float | Tensor:
        """Return the value at a time in seconds."""
        elapsed = time - self.start
        if isinstance(elapsed, Tensor):
            number = (elapsed / self.period).floor().clamp(0, self.count - 1)
        else:
            number = min(max(math.floor(elapsed / self.period), 0), self.count - 1)
        return self.amplitude * _trapezium(elapsed - number * self.period, self.width, 0.0)


@dataclass(frozen=True, kw_only=True)
class Sum:
    """Several driven values at once: a stray field and a pulse, an anisotropy and its VCMA shift.

    Raises:
        ValueError: there is no part.
    """

    parts: tuple[Driven, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError("`parts` must hold at least one value, but is empty.")

    def __call__(self, time: float | Tensor) -> float | Tensor:
        """Return the value at a time in seconds."""
        first, *others = (at(part, time) for part in self.parts)
        return sum(others, start=first)


def edges(value: Driven) -> list[float]:
    """Return the times in seconds at which a waveform of this module jumps or has a corner."""
    if isinstance(value, Sum):
        return [edge for part in value.parts for edge in edges(part)]
    if isinstance(value, Pulse):
        stop = value.start + value.width
        return [value.start, value.start + value.rise, stop, stop + value.rise]
    if isinstance(value, PulseTrain):
        starts = [value.start + number * value.period for number in range(value.count)]
        return [edge for start in starts for edge in (start, start + value.width)]
    return []


def largest(value: Driven) -> float:
    """Return the largest magnitude that a driven value takes, as far as it is known.

    The largest element of a constant or of an amplitude, the sum of those of a `Sum`; 0 for a
    function that is not one of this module's waveforms.
    """
    if isinstance(value, Sum):
        return sum(largest(part) for part in value.parts)
    if isinstance(value, (Pulse, Sine, PulseTrain)):
        value = value.amplitude
    if not isinstance(value, (int, float, Tensor)):
        return 0.0
    return float(torch.as_tensor(value, dtype=torch.float64).abs().max())
