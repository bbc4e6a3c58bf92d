"""What a cell asks of a device whose conductance fluctuates.

Two methods, so that other sources of randomness can join: a tunable junction in closed form
(`stochastic_mtj`), a table of measured or simulated values (`tabulated`), later telegraph sums,
memristors or digital samplers. A *setting* is the coordinate that a gate moves, in whatever unit
the device counts it (J/m² of interface anisotropy for a junction).
"""

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, runtime_checkable

from bayespin.shapes import Float, Tensor
from bayespin.units import Unit


@dataclass(frozen=True, kw_only=True)
class ReadPoint:
    """At which temperature, how long and at which voltage a device is read.

    Raises:
        ValueError: a temperature or window that is not positive.
    """

    temperature: Annotated[float, Unit("K")]
    window: Annotated[float, Unit("s")]
    """Length T_r of the boxcar read; 0 is an instantaneous look."""
    voltage: Annotated[float, Unit("V")] = 0.0
    """Over the device, signed as in `transport`: positive raises K_i."""

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"`temperature` must be positive, but is {self.temperature:g} K.")
        if not self.window >= 0:
            raise ValueError(f"`window` must not be negative, but is {self.window:g} s.")


@dataclass(frozen=True, kw_only=True)
class Fluctuation:
    """The law of one read: a Gaussian with a memory."""

    mean: Float[Tensor, "*batch"]
    """Time-averaged conductance, S, shifted by stray field and read voltage."""
    deviation: Float[Tensor, "*batch"]
    """Standard deviation after the read window, S."""
    correlation_time: Float[Tensor, "*batch"]
    """In which a read forgets the one before, s."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """How a setting is written, and how well it stays.

    A pulse that is asked to move the setting by δ moves it by δ (1 + a ξ) + r R ξ', ξ and ξ'
    normal, R the range of settings. Writing is a closed loop, so a and r decide how many pulses
    and what residual a target takes.

    Raises:
        ValueError: a negative value, or a pulse without duration.
    """

    kind: Literal["non-volatile", "volatile"]
    """Non-volatile: ferroelectric or ionic, holds without power. Volatile: a held voltage."""
    step_error: float
    """a, relative error of a step."""
    resolution: float
    """r, error of a pulse however small, over the range of settings."""
    pulse_energy: Annotated[float, Unit("J")]
    pulse_time: Annotated[float, Unit("s")]
    endurance: float
    """Pulses that a gate survives."""
    drift_per_decade: float
    """Spread that a decade of time after programming adds to the setting, over the range."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if name != "kind" and not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, but is {getattr(self, name):g}.")
        if not self.pulse_time > 0:
            raise ValueError(f"`pulse_time` must be positive, but is {self.pulse_time:g} s.")


@runtime_checkable
class StochasticDevice(Protocol):
    """A device whose conductance is Gaussian, with a spread that a gate sets."""

    @property
    def gate(self) -> Gate:
        """How settings are written."""
        ...

    def level_settings(self) -> Float[Tensor, " levels"]:
        """Return the settings that are programmed to, level 0 the smallest spread."""
        ...

    def fluctuation(
        self,
        setting: Float[Tensor, "*#batch"],
        read: ReadPoint,
        stray_field: float | Float[Tensor, "*#batch"] = 0.0,
    ) -> Fluctuation:
        """Return mean, deviation and memory of the conductance at each setting.

        Args:
            setting: of each device; need not be a level.
            read: temperature, window and voltage.
            stray_field: along the read-out axis, T.
        """
        ...
