"""The bit cell: one Gaussian weight in two domain-wall and two stochastic junctions.

Four columns cross each row. Two carry track junctions G+, G− (the mean), two carry pillars
P+, P− (the spread); each pair is read differentially, the pillar pair with an integrator gain g:

    w / w_max = [ (G+ − G−) + g (P+ − P−) ] / G_full,    G_full = usable range of a track junction

The means of P+ and P− cancel, their independent fluctuations add: the weight's relative
spread is g √2 σ_P / G_full.

A reference may stand in for one junction of a pair (`CellLayout`). A quiet one of the pillars' mean
in place of P− leaves one gate to set and g σ_P / G_full; what P+ is off the reference is made good
by the tracks. A track at mid-scale in place of G− leaves one wall to move, and half of the range:
G_full is halved. Every output has references of its own, so their noise is not shared.

Sources: Liu et al., 10.3389/fnano.2022.1021943; physics.md §2, §9.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from bayespin.cell import ledger, programming, wall_loop
from bayespin.cell.curves import DeviceCurves
from bayespin.cell.interface import (
    Environment,
    Programmed,
    ProgrammedCells,
    Reading,
    Use,
    WantedCells,
    held_sigma,
    sigma_level,
)
from bayespin.cell.programming import Bench, Programming
from bayespin.cell.use import cells_in_use, state_of, written_from
from bayespin.cell.variation import Variation
from bayespin.device import domain_wall_mtj
from bayespin.device.domain_wall_mtj import DomainWallMtj
from bayespin.device.stochastic import Fluctuation, ReadPoint, StochasticDevice
from bayespin.device.stochastic_mtj import StochasticMtj
from bayespin.device.table import shipped_table
from bayespin.device.tabulated import TabulatedDevice
from bayespin.load import build, read_resource
from bayespin.numerics.parallel import in_order
from bayespin.physics import transport
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class CellLayout:
    """How four junctions make a weight.

    Raises:
        ValueError: a gain that is not positive, a polarity other than −1 and 1, or a number of
            pillars or tracks other than 1 and 2.
    """

    column_gains: tuple[float, ...]
    """Integrator gains of the pillar pair that a layer may choose from."""
    pillar_polarity: int
    """Sign of the read voltage on a pillar: +1 raises its anisotropy, −1 lowers it."""
    pillars: int = 2
    """Stochastic junctions; with 1 the other column of the pair holds a quiet reference."""
    tracks: int = 2
    """Tracks that are written; with 1 the other stands at mid-scale for good."""

    def __post_init__(self) -> None:
        if not self.column_gains or not all(g > 0 for g in self.column_gains):
            raise ValueError(f"`column_gains` must be positive, but are {self.column_gains}.")
        if self.pillar_polarity not in (-1, 1):
            raise ValueError(f"`pillar_polarity` must be -1 or 1, but is {self.pillar_polarity}.")
        for name in ("pillars", "tracks"):
            if getattr(self, name) not in (1, 2):
                raise ValueError(f"`{name}` must be 1 or 2, but is {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class BitCell:
    """One weight's devices, how they are programmed and read, and at which temperatures."""

    pillar: StochasticDevice
    track: DomainWallMtj
    cell: CellLayout
    variation: Variation
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
        table = content["pillar"].pop("table", None)
        sections = {k: content[k] for k in _Sections.__dataclass_fields__}
        found = build(_Sections, sections, f"preset {name}")
        parts = {k: getattr(found, k) for k in _Sections.__dataclass_fields__}
        if table is not None:
            law = found.pillar
            parts["pillar"] = TabulatedDevice(table=shipped_table(table), gate=law.gate, law=law)
        return cls(**parts)

    @property
    def column_gains(self) -> tuple[float, ...]:
        """Gains of the pillar columns that a layer may choose from."""
        return self.cell.column_gains

    @property
    def pillar_conductance(self) -> float:
        """Mean conductance of a pillar at the read voltage, averaged over its levels, in S."""
        return float(self._levels(self.environment.use_temperature).mean.mean())

    @property
    def track_window(self) -> tuple[float, float]:
        """Usable conductances of a track junction at the read voltage, dead zones excluded."""
        return domain_wall_mtj.conductance_window(self.track, self.read.voltage)

    @property
    def output_conductance(self) -> float:
        """G+ + G− + P+ + P− of a mid-scale cell, in siemens: what it loads its row with."""
        low, high = self.track_window
        return low + high + 2 * self.pillar_conductance

    @property
    def full_scale(self) -> float:
        """G_full in siemens: the conductance difference that stands for w_max."""
        low, high = self.track_window
        return (high - low) / self._swing

    @property
    def _swing(self) -> float:
        """Range of a track over G_full."""
        return 2.0 / self.cell.tracks

    @cached_property
    def _seen(self) -> dict[float, Fluctuation]:
        """What the levels do by temperature, worked out once: every gain of every layer asks."""
        return {}

    @cached_property
    def _tables(self) -> dict[float, DeviceCurves]:
        """The same of everything between the levels, in stray fields."""
        return {}

    def _read_point(self, temperature: float) -> ReadPoint:
        """Return how a pillar is read at full drive."""
        voltage = self.cell.pillar_polarity * self.read.voltage
        return ReadPoint(temperature=temperature, window=self.read.window, voltage=voltage)

    def _levels(self, temperature: float) -> Fluctuation:
        if temperature not in self._seen:
            point = self._read_point(temperature)
            self._seen[temperature] = self.pillar.fluctuation(self.pillar.level_settings(), point)
        return self._seen[temperature]

    def _curves(self, temperature: float) -> DeviceCurves:
        if temperature not in self._tables:
            point, field = self._read_point(temperature), self.variation.stray_field
            table = DeviceCurves.tabulate(self.pillar, point, field, self.full_scale)
            self._tables[temperature] = table
        return self._tables[temperature]

    def sigma_levels(self, gain: float, temperature: float) -> Float[Tensor, " levels"]:
        """Return σ_w / w_max of every pillar level after the read window, from level 0 upwards.

        σ_w / w_max = g √n σ_P(level, T) / G_full with n pillars, σ_P = G0 P² s_T of a pillar read
        at full drive.
        """
        spread = self._levels(temperature).deviation
        return gain * self.cell.pillars**0.5 / self.full_scale * spread

    def _noise(self, conductance: float, temperature: float) -> float:
        """Return Johnson and shot noise of a conductance (S) at full input, over w_max."""
        siemens = torch.tensor(conductance, dtype=torch.float64)
        variance = transport.mean_current_variance(
            siemens, self.read.voltage, temperature, self.read.window
        )
        return float(variance.sqrt()) / self.read.voltage / self.full_scale

    def read_noise(self, gain: float) -> float:
        """Return Johnson and shot noise of one mid-scale cell at full input, over w_max.

        The pillars' noise passes the gain, so it counts g² times. It adds to σ and to its floor.
        """
        low, high = self.track_window
        pillars = gain**2 * 2 * self.pillar_conductance
        return self._noise(low + high + pillars, self.environment.use_temperature)

    def sigma_window(self, gain: float, weight_max: float) -> tuple[float, float]:
        """Return floor and cap of σ in weight units when every input is at full drive.

        √(σ_level² + read noise²) of the lowest and the highest level, at programming temperature.
        """
        levels = self.sigma_levels(gain, self.environment.programming_temperature)
        held = held_sigma(levels, self.read_noise(gain)) * weight_max
        return float(held.min()), float(held.max())

    def sampling_period(self) -> float:
        """Return the time between two reads of a cell, in seconds: 3 τ of the slowest level.

        τ of a pillar without bias: between reads no voltage is on it.
        """
        point = ReadPoint(temperature=self.environment.use_temperature, window=self.read.window)
        found = self.pillar.fluctuation(self.pillar.level_settings(), point)
        slowest = float(found.correlation_time.max())
        return max(self.read.sampling_period_factor * slowest, self.read.window)

    def mean_error(self, gain: float) -> Float[Tensor, " levels"]:
        """Return the expected rms error of a programmed mean over w_max, per σ level."""
        levels = self.sigma_levels(gain, self.environment.programming_temperature)
        blur = held_sigma(levels, self.read_noise(gain))
        return wall_loop.expected_error(blur, self.bench(gain).wall_rules, self.track.notch_spread)

    def bench(self, gain: float) -> Bench:
        """Return what the write-verify loops know of this cell at a gain."""
        kelvin, levels = self.environment.programming_temperature, self.pillar.level_settings()
        low, high = self.track_window
        tracks = self._noise(low + high, kelvin)
        pillar = self._noise(self.pillar_conductance, kelvin)
        return Bench(
            curves=self._curves(kelvin),
            levels=((levels - levels[0]) / (levels[-1] - levels[0])).float(),
            gate=self.pillar.gate,
            track=self.track,
            track_low=low / self.full_scale,
            swing=self._swing,
            layout=(self.cell.pillars, self.cell.tracks),
            variation=self.variation,
            rules=self.programming,
            gain=gain,
            pillar_noise=pillar,
            read_noise=(tracks**2 + 2 * (gain * pillar) ** 2) ** 0.5,
        )

    def program(self, wanted: WantedCells, gain: float, key: Key) -> Programmed:
        """Return the cells of one chip after write-verify, and what that took.

        Pillars go to the level nearest in ratio to the wanted σ, then tracks to the wanted mean.

        Args:
            wanted: means and standard deviations as fractions of w_max; values outside the cell's
                window end at its edge.
            gain: integrator gain g of the pillar pair.
            key: the chip: the same key makes the same devices and the same errors.
        """
        workers = torch.get_num_threads()
        # From a pool, so that torch itself takes one thread: passes over all cells are bound by
        # memory, and threads that wait for each other make them ten times slower on a busy machine.
        one = in_order(lambda w: self._program(w, gain, key, workers), [wanted], max(workers, 2))
        (found,) = one
        return found

    def _program(self, wanted: WantedCells, gain: float, key: Key, workers: int) -> Programmed:
        levels = self.sigma_levels(gain, self.environment.programming_temperature)
        chosen = sigma_level(wanted.sigma, levels, wanted.read_noise)
        spread = (levels / (gain * self.cell.pillars**0.5))[chosen]
        bench, cost = self.bench(gain), self._read_cost()
        targets = ledger.Targets.of(wanted, spread)
        written = programming.write(targets.mean, targets.spread, bench, key, workers)
        state = {**state_of(written), "shape": torch.tensor(wanted.mean.shape)}
        return Programmed(
            cells=self.in_use(state, gain, Use(temperature=self.environment.use_temperature)),
            events=ledger.events_of(written, bench, cost),
            report=ledger.report(written, targets, bench, cost),
            state=state,
        )

    def in_use(self, state: Mapping[str, Tensor], gain: float, use: Use) -> ProgrammedCells:
        """Return what programmed cells have become at a temperature and an age; see `cell.use`.

        Args:
            state: of `Programmed`.
            gain: of the layer, as it was programmed.
            use: temperature and age.
        """
        shape = tuple(state["shape"].tolist())
        curves = self._curves(use.temperature)
        flat = cells_in_use(written_from(state), self.bench(gain), curves, use)
        columns = {k: v.double().reshape(len(v), *shape) for k, v in flat.items()}
        gains = torch.tensor([1.0, -1.0, gain, -gain], dtype=torch.float64)
        return ProgrammedCells(
            conductance=columns["conductance"] * self.full_scale,
            spread=columns["spread"] * self.full_scale,
            correlation_time=columns["correlation_time"],
            gains=gains,
            noise_gains=gains.square(),
        )

    def _read_cost(self) -> ledger.ReadCost:
        energy = self.read.voltage**2 * self.read.window * self.full_scale
        return ledger.ReadCost(energy=energy, period=self.sampling_period())


@dataclass(frozen=True, kw_only=True)
class _Sections:
    """The sections of a preset that make a cell."""

    pillar: StochasticMtj
    track: DomainWallMtj
    cell: CellLayout
    variation: Variation
    programming: Programming
    read: Reading
    environment: Environment


def without_errors(cell: BitCell) -> BitCell:
    """Return the cell with ideal programming and no drift: quantisation and window remain.

    Devices are alike, pulses exact, and verification takes so many reads that it is, too.
    """
    gate = replace(cell.pillar.gate, step_error=0.0, resolution=0.0, drift_per_decade=0.0)
    pillar: Any = cell.pillar  # a dataclass, which the protocol does not say
    return replace(
        cell,
        pillar=replace(pillar, gate=gate),
        track=replace(
            cell.track,
            missed_step_probability=0.0,
            double_step_probability=0.0,
            notch_spread=0.0,
            cycle_spread=0.0,
        ),
        variation=Variation(**dict.fromkeys(Variation.__dataclass_fields__, 0.0)),
        programming=replace(
            cell.programming,
            sigma_tolerance=1e-5,
            sigma_verify_reads=10**12,
            mean_tolerance=0.5,
            mean_verify_reads=10**14,
        ),
        environment=replace(
            cell.environment, use_temperature=cell.environment.programming_temperature
        ),
    )
