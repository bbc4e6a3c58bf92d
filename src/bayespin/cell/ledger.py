"""The account of programming: pulses, reads, joules, seconds, and what the loops left."""

import math
from dataclasses import dataclass

import torch

from bayespin.cell import gate_loop, wall_loop
from bayespin.cell.interface import ProgrammingReport, Residual, WantedCells
from bayespin.cell.programming import Bench, Written
from bayespin.cell.use import tracks_of
from bayespin.events import Events
from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class ReadCost:
    """What one verifying read takes."""

    energy: float
    """J in a conductance of w_max: V² T_r G_full."""
    period: float
    """Time from read to read, s."""


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the loops were asked for, as flat cells."""

    mean: Float[Tensor, " cells"]
    """Over w_max."""
    spread: Float[Tensor, " cells"]
    """Of each single pillar, over w_max."""
    outputs: int
    """Cells in a row."""

    @classmethod
    def of(cls, wanted: WantedCells, spread: Float[Tensor, "rows outputs"]) -> "Targets":
        """Return the targets of a layer whose pillars should have these spreads."""
        mean = wanted.mean.double().flatten()
        return cls(mean=mean, spread=spread.flatten(), outputs=wanted.mean.shape[1])


def events_of(written: Written, bench: Bench, cost: ReadCost) -> Events:
    """Return counts and joules of programming; the energy is the sum of `energies`."""
    looks = bench.rules.sigma_verify_reads * _total(written.gate_verifications)
    looks += bench.rules.mean_verify_reads * _total(written.wall_verifications)
    return Events(
        write_pulses=_total(written.gate_pulses) + _total(written.wall_pulses),
        verify_reads=looks,
        write_energy=math.fsum(energies(written, bench, cost).values()),
    )


def energies(written: Written, bench: Bench, cost: ReadCost) -> dict[str, float]:
    """Return J by purpose: pulses times the energy of one, reads times V² T_r G."""
    gates, walls = written.gate_conductance_read, written.wall_conductance_read
    rules = bench.rules
    return {
        "gate pulses": _total(written.gate_pulses) * bench.gate.pulse_energy,
        "wall pulses": _total(written.wall_pulses) * bench.track.pulse_energy,
        "reads of sigma": float(gates.double().sum()) * rules.sigma_verify_reads * cost.energy,
        "reads of the mean": float(walls.double().sum()) * rules.mean_verify_reads * cost.energy,
    }


def row_times(
    written: Written, bench: Bench, cost: ReadCost, outputs: int
) -> Float[Tensor, " rows"]:
    """Return seconds per row: P+, then P−, then the tracks, each until its slowest output is done.

    The outputs of a row are written and read at once; both walls of a cell move at once.
    """
    rules = bench.rules
    gates = written.gate_pulses.double() * bench.gate.pulse_time
    gates = gates + written.gate_verifications.double() * (rules.sigma_verify_reads * cost.period)
    walls = written.wall_pulses.max(0).values.double() * bench.track.pulse_time
    walls = walls + written.wall_verifications.double() * (rules.mean_verify_reads * cost.period)
    phases = torch.cat([gates, walls[None]])
    return phases.unflatten(1, (-1, outputs)).amax(2).sum(0)


def errors(
    written: Written, targets: Targets, bench: Bench
) -> tuple[Float[Tensor, " cells"], Float[Tensor, " cells"]]:
    """Return errors of the mean over w_max, and relative errors of the spread.

    Both as devices truly are, fresh, at the programming temperature. A spread is that of all
    pillars with the noise of reading them: what the loop saw, free of its own uncertainty.
    """
    pillars, spreads = bench.pillars(written.devices, written.coordinate, bench.curves)
    tracks = tracks_of(written, written.notch, bench)
    held = tracks[0] - tracks[1] + bench.gain * (pillars[0] - pillars[1])
    count = bench.layout[0]
    noise = count * bench.pillar_noise**2
    found = (spreads.square().sum(0) + noise).sqrt()
    return held - targets.mean, found / (count * targets.spread.square() + noise).sqrt() - 1


def report(written: Written, targets: Targets, bench: Bench, cost: ReadCost) -> ProgrammingReport:
    """Return the report of a programmed layer."""
    mean, sigma = errors(written, targets, bench)
    pillars, tracks = bench.layout  # references are neither written nor counted
    notches, gates = written.notch[:tracks].flatten().long(), written.gate_pulses[:pillars]
    return ProgrammingReport(
        cells=len(targets.mean),
        mean=_residual(mean[targets.mean.abs() <= 1], written.wall_outcome, wall_loop.REASONS),
        sigma=_residual(sigma, written.gate_outcome[:pillars], gate_loop.REASONS),
        pulses={
            "pillars": _total(written.gate_pulses),
            "tracks": _total(written.wall_pulses),
        },
        energy=energies(written, bench, cost),
        endurance_used={"pillars": _used(gates, bench.gate.endurance)},
        levels={
            "pillars": _nearest(written.coordinate[:pillars], bench.levels),
            "tracks": torch.bincount(notches, minlength=bench.track.levels),
        },
        row_time=row_times(written, bench, cost, targets.outputs),
    )


def _residual(error: Tensor, outcome: Tensor, reasons: dict[int, str]) -> Residual:
    counts = torch.bincount(outcome.flatten().long(), minlength=len(reasons) + 1).tolist()
    return Residual(
        rms=float(error.square().mean().sqrt()) if len(error) else 0.0,
        largest=float(error.abs().max()) if len(error) else 0.0,
        verified=counts[0],
        failed={words: counts[code] for code, words in reasons.items() if counts[code]},
    )


def _nearest(coordinate: Tensor, levels: Tensor) -> Tensor:
    """Return how many coordinates lie nearest to each rising level; ties go to the lower one."""
    edges = ((levels[1:] + levels[:-1]) / 2).tolist()
    above = [coordinate.numel(), *(int((coordinate > edge).sum()) for edge in edges), 0]
    return torch.tensor(above[:-1]) - torch.tensor(above[1:])


def _used(pulses: Tensor, endurance: float) -> tuple[float, float]:
    if pulses.numel() == 0:
        return 0.0, 0.0
    return float(pulses.double().mean()) / endurance, float(pulses.max()) / endurance


def _total(counts: Tensor) -> float:
    return float(counts.sum(dtype=torch.int64))
