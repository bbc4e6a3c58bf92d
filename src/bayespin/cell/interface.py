"""What arrays, layers and chips ask of a cell, so that other cells can stand in its place.

A cell holds one Gaussian weight per crossing of a row and an output: a mean, and a spread that a
read draws anew. Two junction pairs do it here (`cell.bit_cell`); sums of telegraph noise, noisy
memristors or a digital sampler may, if they offer `GaussianCell`. Everything is a conductance
(S), or a fraction of `full_scale`, the conductance that stands for the largest weight w_max.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Protocol, runtime_checkable

import torch

from bayespin.events import Events
from bayespin.rng import Key
from bayespin.shapes import Float, Int, Tensor
from bayespin.units import Unit


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a cell is read.

    Raises:
        ValueError: a value that is not positive, or bits outside 1 (ADC: 2) to 16.
    """

    voltage: Annotated[float, Unit("V")]
    """Row voltage of the largest input code."""
    window: Annotated[float, Unit("s")]
    """Integration time of one read."""
    input_bits: int
    adc_bits: int
    sampling_period_factor: float
    """Time between reads, in correlation times of the slowest pillar in use."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name)}.")
        for name, least in (("input_bits", 1), ("adc_bits", 2)):  # an ADC's codes are signed
            if not least <= getattr(self, name) <= 16:
                raise ValueError(f"`{name}` must be {least} to 16, but is {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Temperatures while programming and in use."""

    programming_temperature: Annotated[float, Unit("K")]
    use_temperature: Annotated[float, Unit("K")]

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not 0 < getattr(self, name) <= 600:
                raise ValueError(
                    f"`{name}` must be above 0 K and at most 600 K, but is {getattr(self, name)}."
                )


@dataclass(frozen=True, kw_only=True)
class Use:
    """When and where a programmed chip is read.

    Raises:
        ValueError: a temperature outside 0 to 600 K, or a negative age.
    """

    temperature: Annotated[float, Unit("K")]
    age: Annotated[float, Unit("s")] = 0.0
    """Time since programming, spent at this temperature."""

    def __post_init__(self) -> None:
        if not 0 < self.temperature <= 600:
            raise ValueError(
                f"`temperature` must be above 0 K and at most 600 K, but is {self.temperature}."
            )
        if not 0 <= self.age < float("inf"):
            raise ValueError(f"`age` must be finite and not negative, but is {self.age} s.")


@dataclass(frozen=True, kw_only=True)
class WantedCells:
    """What a mapping asks of the cells, as fractions of w_max."""

    mean: Float[Tensor, "rows outputs"]
    sigma: Float[Tensor, "rows outputs"]
    read_noise: float
    """Spread that the reads' own noise adds; the cells supply the rest of sigma."""

    def __post_init__(self) -> None:
        for name in ("mean", "sigma"):
            if not bool(torch.isfinite(getattr(self, name)).all()):
                raise ValueError(
                    f"Weights to program must be finite, but `{name}` holds NaN or infinity; "
                    f"train the network anew or repair its checkpoint."
                )
        if not bool((self.sigma >= 0).all()):
            raise ValueError(
                f"Argument `sigma` must not be negative, but its smallest value is "
                f"{float(self.sigma.min()):.3g}."
            )


@dataclass(frozen=True, kw_only=True)
class ProgrammedCells:
    """Programmed cells in use, column by physical column, in weight order (rows, outputs).

    An output is read from some columns c, each with its gain a_c: with ε fresh at every read,

        ΔG = Σ_c a_c (G_c + σ_c ε_c),   variance of the read noise = Σ_c b_c G_c h(x),

    where h is that of one siemens (see `array.crossbar`). Conductances in siemens.
    """

    conductance: Float[Tensor, "columns rows outputs"]
    """G_c, averaged over time, at use temperature."""
    spread: Float[Tensor, "columns rows outputs"]
    """σ_c: standard deviation of the conductance after the read window; 0 for a quiet device."""
    correlation_time: Float[Tensor, "columns rows outputs"]
    """τ_c in seconds; 0 for a device whose reads are always independent."""
    gains: Float[Tensor, " columns"]
    """a_c: sign and gain with which a column enters its output."""
    noise_gains: Float[Tensor, " columns"]
    """b_c: a_c² for a column that adds Johnson and shot noise, 0 for one read without noise."""

    @classmethod
    def differential(
        cls,
        mean: Float[Tensor, "rows outputs"],
        deviation: Float[Tensor, "rows outputs"],
        load: float,
        correlation_time: float = 0.0,
    ) -> "ProgrammedCells":
        """Return cells of two columns, G± = (load ± mean) / 2, read without noise of their own.

        Args:
            mean: of the difference G+ − G−, S.
            deviation: its standard deviation after the read window, half of the variance in each.
            load: G+ + G−, what a cell loads its row with, S; more where the mean needs more.
            correlation_time: of all cells, s.
        """
        spread = torch.stack([deviation, deviation]) / 2**0.5
        total = mean.abs().clamp_min(load)
        return cls(
            conductance=torch.stack([total + mean, total - mean]) / 2,
            spread=spread,
            correlation_time=torch.full_like(spread, correlation_time),
            gains=torch.tensor([1.0, -1.0], dtype=mean.dtype),
            noise_gains=torch.zeros(2, dtype=mean.dtype),
        )

    def part(self, rows: slice, outputs: slice) -> "ProgrammedCells":
        """Return the cells of some rows and outputs."""
        each = (self.conductance, self.spread, self.correlation_time)
        conductance, spread, time = (t[:, rows, outputs] for t in each)
        return replace(self, conductance=conductance, spread=spread, correlation_time=time)

    @property
    def mean(self) -> Float[Tensor, "rows outputs"]:
        """Mean of the conductance difference, Σ a_c G_c."""
        return torch.einsum("c,cij->ij", self.gains, self.conductance)

    @property
    def deviation(self) -> Float[Tensor, "rows outputs"]:
        """Its standard deviation after the read window, √(Σ a_c² σ_c²)."""
        return torch.einsum("c,cij->ij", self.gains.square(), self.spread.square()).sqrt()

    @property
    def noise_conductance(self) -> Float[Tensor, "rows outputs"]:
        """What Johnson and shot noise are proportional to, Σ b_c G_c."""
        return torch.einsum("c,cij->ij", self.noise_gains, self.conductance)

    @property
    def total_conductance(self) -> Float[Tensor, "rows outputs"]:
        """What loads a row and dissipates, Σ G_c."""
        return self.conductance.sum(0)


@dataclass(frozen=True, kw_only=True)
class Residual:
    """What a programming loop leaves, over the cells whose target lies within the device."""

    rms: float
    largest: float
    verified: int
    """Loops that ended within the tolerance, by their own measurement."""
    failed: Mapping[str, int]
    """Loops that did not, by reason."""


@dataclass(frozen=True, kw_only=True)
class ProgrammingReport:
    """What programming one layer took, and what it left."""

    cells: int
    mean: Residual
    """Error of the mean as a fraction of w_max."""
    sigma: Residual
    """Relative error of the spread, at the programming temperature."""
    pulses: Mapping[str, float]
    """Number of pulses by device; their sum is `Events.write_pulses`."""
    energy: Mapping[str, float]
    """J by purpose, verify reads included; the sum is `Events.write_energy`."""
    endurance_used: Mapping[str, tuple[float, float]]
    """Mean and largest share of a device's endurance, by device."""
    levels: Mapping[str, Int[Tensor, " levels"]]
    """How many devices ended at each level, by device."""
    row_time: Float[Tensor, " rows"]
    """Seconds that each row takes, all outputs of a row at once; rows of a tile in turn."""


@dataclass(frozen=True, kw_only=True)
class Programmed:
    """The cells of one layer after programming."""

    cells: ProgrammedCells
    """At the cell's use temperature, fresh."""
    events: Events
    report: ProgrammingReport
    state: Mapping[str, Tensor]
    """The devices with their own draws and what was written to them, by name: what a file holds,
    and all that `GaussianCell.in_use` needs."""


@runtime_checkable
class GaussianCell(Protocol):
    """A programmable source of Gaussian weights."""

    @property
    def read(self) -> Reading:
        """How it is read."""
        ...

    @property
    def environment(self) -> Environment:
        """Temperatures of programming and use."""
        ...

    @property
    def column_gains(self) -> tuple[float, ...]:
        """Gains of the spread that a layer may choose from; (1.0,) where there is no choice."""
        ...

    @property
    def full_scale(self) -> float:
        """Conductance that stands for w_max, S."""
        ...

    @property
    def output_conductance(self) -> float:
        """What a mid-scale cell loads its row with, S: `ProgrammedCells.total_conductance`."""
        ...

    def sigma_levels(self, gain: float, temperature: float) -> Float[Tensor, " levels"]:
        """Return the spreads σ_w / w_max that can be programmed, rising, after the read window."""
        ...

    def read_noise(self, gain: float) -> float:
        """Return the noise of reading one mid-scale cell at full input, over w_max."""
        ...

    def mean_error(self, gain: float) -> Float[Tensor, " levels"]:
        """Return the expected rms error of a programmed mean over w_max, per σ level."""
        ...

    def sampling_period(self) -> float:
        """Return the time between two reads whose samples count as independent, s."""
        ...

    def program(self, wanted: WantedCells, gain: float, key: Key) -> Programmed:
        """Return the cells of one chip after programming; the same key, the same chip.

        Wanted values outside what the cell can hold end at its edge.
        """
        ...

    def in_use(self, state: Mapping[str, Tensor], gain: float, use: Use) -> ProgrammedCells:
        """Return what a programmed state has become at a temperature and an age."""
        ...


def ideal_cells(wanted: WantedCells, cell: GaussianCell) -> ProgrammedCells:
    """Return cells that hold the wanted Gaussians exactly and read without noise.

    The reference of every comparison: same array and converters, perfect devices.
    """
    return ProgrammedCells.differential(
        wanted.mean * cell.full_scale, wanted.sigma * cell.full_scale, cell.output_conductance
    )


def held_sigma(levels: Float[Tensor, " levels"], read_noise: float) -> Float[Tensor, " levels"]:
    """Return what each σ level and the read noise hold together: √(σ_level² + noise²).

    Args:
        levels: `GaussianCell.sigma_levels` at programming temperature.
        read_noise: equivalent spread of the reads' own noise, in the same unit.
    """
    return (levels.square() + read_noise**2).sqrt()


def sigma_level(
    sigma: Float[Tensor, "*shape"], levels: Float[Tensor, " levels"], read_noise: float
) -> Int[Tensor, "*shape"]:
    """Return the index of the level whose `held_sigma` is nearest in ratio to `sigma`.

    In ratio, because an error of σ matters relative to σ; outside the window the nearest end.
    """
    held = held_sigma(levels, read_noise)
    return torch.bucketize(sigma.double().contiguous(), (held[1:] * held[:-1]).sqrt())
