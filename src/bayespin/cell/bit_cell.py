"""The bit cell: one Gaussian weight in two domain-wall and two stochastic junctions.

Four columns cross each row. Two carry track junctions G+, G− (the mean), two carry pillars
P+, P− (the spread); each pair is read differentially, the pillar pair with an integrator gain g:

    w / w_max = [ (G+ − G−) + g (P+ − P−) ] / G_full,    G_full = usable range of a track junction

The means of P+ and P− cancel, their independent fluctuations add: the weight's relative
spread is g √2 σ_P / G_full. Sources: Liu et al., 10.3389/fnano.2022.1021943; physics.md §2, §9.
"""

from dataclasses import dataclass
from typing import Annotated

import torch

from bayespin.cell.interface import Environment, Reading
from bayespin.device import domain_wall_mtj, stochastic_mtj
from bayespin.device.domain_wall_mtj import DomainWallMtj
from bayespin.device.stochastic_mtj import StochasticMtj
from bayespin.load import build, read_resource
from bayespin.physics import transport
from bayespin.shapes import Float, Tensor
from bayespin.units import Unit


@dataclass(frozen=True, kw_only=True)
class CellLayout:
    """How four junctions make a weight.

    Raises:
        ValueError: a gain that is not positive.
    """

    column_gains: tuple[float, ...]
    """Integrator gains of the pillar pair that a layer may choose from."""

    def __post_init__(self) -> None:
        if not self.column_gains or not all(g > 0 for g in self.column_gains):
            raise ValueError(f"`column_gains` must be positive, but are {self.column_gains}.")


@dataclass(frozen=True, kw_only=True)
class Programming:
    """Errors of programming, one standard deviation each.

    Raises:
        ValueError: a negative value.
    """

    sigma_residual: float
    """Relative error of a pillar's spread after write-verify."""
    sigma_spread_interface_anisotropy: float
    """Relative device-to-device spread of K_i before write-verify."""
    conductance_spread: float
    """Relative device-to-device spread of G0, pillars and tracks."""
    stray_field: Annotated[float, Unit("T")]
    """Residual field along a pillar's read-out axis."""
    verify_tolerance: float
    """Error of a programmed mean, in track level steps, beyond which the cell is written again."""
    verify_attempts: int
    """Most attempts per cell."""

    def __post_init__(self) -> None:
        if self.verify_attempts < 1:
            raise ValueError(
                f"`verify_attempts` must be at least 1, but is {self.verify_attempts}."
            )
        for name in self.__dataclass_fields__:
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must not be negative, but is {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class BitCell:
    """One weight's devices, how they are programmed and read, and at which temperatures."""

    pillar: StochasticMtj
    track: DomainWallMtj
    cell: CellLayout
    programming: Programming
    read: Reading
    environment: Environment

    @classmethod
    def preset(cls, name: str = "easyplane-50nm") -> "BitCell":
        """Return the cell of a shipped preset.

        Raises:
            InputError: no such preset; the sentence names the nearest one.
        """
        content = read_resource("presets", name)
        sections = {k: content[k] for k in cls.__dataclass_fields__}
        return build(cls, sections, f"preset {name}")

    @property
    def pillar_conductance(self) -> float:
        """Mean conductance of a pillar at the read voltage, in siemens."""
        return stochastic_mtj.mean_conductance(self.pillar, self.read.voltage)

    @property
    def pillar_amplitude(self) -> float:
        """Conductance of a pillar per unit of its projection u, G0 P², at the read voltage."""
        return stochastic_mtj.conductance_amplitude(self.pillar, self.read.voltage)

    @property
    def track_window(self) -> tuple[float, float]:
        """Usable conductances of a track junction at the read voltage, dead zones excluded."""
        return domain_wall_mtj.conductance_window(self.track, self.read.voltage)

    @property
    def column_gains(self) -> tuple[float, ...]:
        """Gains of the pillar columns that a layer may choose from."""
        return self.cell.column_gains

    @property
    def output_conductance(self) -> float:
        """G+ + G− + P+ + P− of a mid-scale cell, in siemens: what it loads its row with."""
        low, high = self.track_window
        return low + high + 2 * self.pillar_conductance

    @property
    def full_scale(self) -> float:
        """G_full in siemens: the conductance difference that stands for w_max."""
        low, high = self.track_window
        return high - low

    def sigma_levels(self, gain: float, temperature: float) -> Float[Tensor, " levels"]:
        """Return σ_w / w_max of every pillar level after the read window, from level 0 upwards.

        σ_w / w_max = g √2 G0 P² s_T(level, T) / G_full.
        """
        anisotropies = stochastic_mtj.level_anisotropies(self.pillar)
        spread = stochastic_mtj.read_spread(
            self.pillar, anisotropies, temperature, self.read.window
        )
        return gain * 2**0.5 * self.pillar_amplitude / self.full_scale * spread

    def read_noise(self, gain: float) -> float:
        """Return Johnson and shot noise of one mid-scale cell at full input, over w_max.

        The pillars' noise passes the gain, so it counts g² times. It adds to σ and to its floor.
        """
        low, high = self.track_window
        pillars = 2 * self.pillar_conductance
        conductance = torch.tensor(low + high + gain**2 * pillars, dtype=torch.float64)
        variance = transport.mean_current_variance(
            conductance, self.read.voltage, self.environment.use_temperature, self.read.window
        )
        return float(variance.sqrt()) / self.read.voltage / self.full_scale

    def sigma_window(self, gain: float, weight_max: float) -> tuple[float, float]:
        """Return floor and cap of σ in weight units when every input is at full drive.

        √(σ_level² + read noise²) of the lowest and the highest level, at programming temperature.
        """
        levels = self.sigma_levels(gain, self.environment.programming_temperature)
        held = (levels.square() + self.read_noise(gain) ** 2).sqrt() * weight_max
        return float(held.min()), float(held.max())

    def sampling_period(self) -> float:
        """Return the time between two reads of a cell, in seconds: 3 τ of the slowest level."""
        anisotropies = stochastic_mtj.level_anisotropies(self.pillar)
        slowest = float(stochastic_mtj.correlation_time(self.pillar, anisotropies).max())
        return max(self.read.sampling_period_factor * slowest, self.read.window)
