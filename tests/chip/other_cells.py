"""A cell of another kind: a memory of two numbers and a digital generator of Gaussians."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from bayespin.cell.interface import (
    Environment,
    Programmed,
    ProgrammedCells,
    ProgrammingReport,
    Reading,
    Residual,
    Use,
    WantedCells,
    sigma_level,
)
from bayespin.events import Events
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class DigitalSampler:
    """Mean and σ as codes of `bits` bits; σ grows by 1.1 from code to code; writes never fail.

    Its converter puts 200 µS on the row; the spread grows by a tenth of its value per kelvin too
    warm, and the mean fades with a lifetime of a year, so that use shows.
    """

    read: Reading
    environment: Environment
    bits: int = 6
    column_gains: tuple[float, ...] = (1.0,)
    full_scale: float = 2e-4
    output_conductance: float = 2e-4

    def sigma_levels(self, gain: float, temperature: float) -> Float[Tensor, " levels"]:
        return gain * 2e-3 * 1.1 ** torch.arange(2**self.bits, dtype=torch.float64)

    def read_noise(self, gain: float) -> float:
        return 0.0

    def mean_error(self, gain: float) -> Float[Tensor, " levels"]:
        step = 2 / (2**self.bits - 1)
        return torch.full((2**self.bits,), step / math.sqrt(12), dtype=torch.float64)

    def sampling_period(self) -> float:
        return self.read.window

    def program(self, wanted: WantedCells, gain: float, key: Key) -> Programmed:
        steps = (2**self.bits - 1) / 2
        levels = self.sigma_levels(gain, self.environment.programming_temperature)
        state = {
            "mean": (wanted.mean * steps).round(),
            "sigma": sigma_level(wanted.sigma, levels, wanted.read_noise),
        }
        cells, number = self.in_use(state, gain, Use(temperature=300.0)), wanted.mean.numel()
        nothing = Residual(rms=0.0, largest=0.0, verified=number, failed={})
        report = ProgrammingReport(
            cells=number,
            mean=replace(
                nothing,
                rms=float((cells.mean / self.full_scale - wanted.mean).square().mean().sqrt()),
            ),
            sigma=nothing,
            pulses={"codes": 2.0 * number},
            energy={"codes": 1e-15 * 2 * number},
            endurance_used={"codes": (0.0, 0.0)},
            levels={"codes": torch.bincount(state["sigma"].flatten(), minlength=2**self.bits)},
            row_time=torch.full((len(wanted.mean),), 1e-9, dtype=torch.float64),
        )
        events = Events(write_pulses=2.0 * number, write_energy=1e-15 * 2 * number)
        return Programmed(cells=cells, events=events, report=report, state=state)

    def in_use(self, state: Mapping[str, Tensor], gain: float, use: Use) -> ProgrammedCells:
        kept = math.exp(-use.age / 3.156e7)
        warm = 1 + 0.1 * (use.temperature - 300.0)
        steps = (2**self.bits - 1) / 2
        held = self.sigma_levels(gain, 300.0)[state["sigma"]]
        return ProgrammedCells.differential(
            kept * self.full_scale * state["mean"] / steps,
            warm * self.full_scale * held,
            self.output_conductance,
        )
