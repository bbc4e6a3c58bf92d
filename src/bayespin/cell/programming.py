"""Programming of cells: from wanted Gaussians to what the devices hold, errors included.

Order of events, per cell: the pillars P+ and then P− are set to the level nearest to the wanted σ
(`cell.gate_loop`); P− makes good what P+ lacks, so that both together give the wanted spread. Then
both tracks are moved, pillars in circuit, until the measured cell has the wanted mean
(`cell.wall_loop`). Every pulse and every verifying read is counted: the energy is their sum.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from bayespin.cell import gate_loop, wall_loop
from bayespin.cell.curves import DeviceCurves
from bayespin.cell.gate_loop import GateRules, OnePillar, SetSpreads
from bayespin.cell.variation import CellDevices, Variation, with_reference_track
from bayespin.cell.wall_loop import InCircuit, SetWalls, WallRules
from bayespin.device.domain_wall_mtj import DomainWallMtj
from bayespin.device.stochastic import Gate
from bayespin.numerics.parallel import in_order
from bayespin.rng import Key, KeyedNoise, Noise
from bayespin.shapes import Float, Int, Tensor

MIDDLE = 0.5
"""Coordinate whose mean conductance a reference pillar has."""
BLOCK = 2**16
"""Cells that share a key: results depend on nothing else of how the work is split."""


@dataclass(frozen=True, kw_only=True)
class Programming:
    """Rules of the two write-verify loops.

    Raises:
        ValueError: a tolerance that is not positive, or counts too small for a loop.
    """

    sigma_tolerance: float
    """Largest relative error of a pillar's measured spread, read noise included."""
    sigma_verify_reads: int
    """Reads per estimate of a spread: its error is 1/√(2(N − 1))."""
    sigma_attempts: int
    """Most estimates per pillar."""
    mean_tolerance: float
    """Largest measured error of a mean, in level steps of the track."""
    mean_verify_reads: int
    """Reads per estimate of a mean, averaged over the pillars' fluctuations."""
    mean_attempts: int
    """Most estimates per cell."""

    def __post_init__(self) -> None:
        for name in ("sigma_tolerance", "mean_tolerance"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name)}.")
        least = {"sigma_verify_reads": 16, "mean_verify_reads": 1}
        for name, fewest in {**least, "sigma_attempts": 1, "mean_attempts": 2}.items():
            if not getattr(self, name) >= fewest:
                raise ValueError(
                    f"`{name}` must be at least {fewest}, but is {getattr(self, name)}."
                )


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What the loops know of a cell at one gain; conductances are fractions of w_max."""

    curves: DeviceCurves
    """Of a nominal pillar, read at the programming temperature."""
    levels: Float[Tensor, " levels"]
    """Coordinate of each level, from 0 to 1."""
    gate: Gate
    track: DomainWallMtj
    track_low: float
    """Conductance of a track at its lowest level."""
    swing: float
    """How much more a track has at its highest."""
    layout: tuple[int, int]
    """Stochastic pillars and written tracks of a cell: 2, or 1 and a reference."""
    variation: Variation
    rules: Programming
    gain: float
    pillar_noise: float
    """Read noise of one pillar alone."""
    read_noise: float
    """Read noise of a mid-scale cell, tracks and amplified pillars."""

    def pillars(
        self, devices: CellDevices, coordinate: Float[Tensor, "pair cells"], curves: DeviceCurves
    ) -> tuple[Float[Tensor, "pair cells"], Float[Tensor, "pair cells"]]:
        """Return means and spreads of P+ and P−; a reference is quiet, and feels no field.

        Args:
            devices: of the cells.
            coordinate: where their gates stand.
            curves: of a nominal pillar.
        """
        mean, deviation = curves.law(coordinate, devices.stray_field)
        if self.layout[0] == 1:
            middle = torch.full_like(mean[1], MIDDLE)
            mean[1], deviation[1] = curves.law(middle, torch.zeros_like(middle))[0], 0.0
        return devices.pillar_scale * mean, devices.pillar_scale * deviation

    @property
    def gate_rules(self) -> GateRules:
        """Rules of the loop for spreads."""
        return GateRules(
            tolerance=self.rules.sigma_tolerance,
            reads=self.rules.sigma_verify_reads,
            attempts=self.rules.sigma_attempts,
            noise=self.pillar_noise,
        )

    @property
    def wall_rules(self) -> WallRules:
        """Rules of the loop for means."""
        missed, double = self.track.step_errors()
        return WallRules(
            levels=self.track.levels,
            low=self.track_low,
            swing=self.swing,
            written=self.layout[1],
            missed=missed,
            double=double,
            cycle_spread=self.track.cycle_spread,
            tolerance=self.rules.mean_tolerance,
            reads=self.rules.mean_verify_reads,
            attempts=self.rules.mean_attempts,
        )


@dataclass(frozen=True, kw_only=True)
class Written:
    """Cells after both loops: devices, where gates and walls stand, and what it took."""

    devices: CellDevices
    coordinate: Float[Tensor, "pair cells"]
    """Where each gate stands: 0 at the first level, 1 at the last."""
    notch: Int[Tensor, "pair cells"]
    rest: Float[Tensor, "pair cells"]
    """Where in its notch each wall rests by chance, in levels."""
    gate_pulses: Int[Tensor, "pair cells"]
    gate_verifications: Int[Tensor, "pair cells"]
    gate_outcome: Int[Tensor, "pair cells"]
    wall_pulses: Int[Tensor, "pair cells"]
    wall_verifications: Int[Tensor, " cells"]
    wall_outcome: Int[Tensor, " cells"]
    gate_conductance_read: Float[Tensor, " cells"]
    """Conductance of each pillar, summed over its verifications and both pillars."""
    wall_conductance_read: Float[Tensor, " cells"]
    """Conductance of all four junctions, summed over verifications."""


def write(
    mean: Float[Tensor, " cells"],
    spread: Float[Tensor, " cells"],
    bench: Bench,
    key: Key,
    workers: int = 1,
) -> Written:
    """Return cells of one chip after write-verify.

    Args:
        mean: wanted means over w_max.
        spread: wanted spread of each single pillar, over w_max.
        bench: the cell.
        key: the chip. Blocks of `BLOCK` cells draw from keys of their own.
        workers: threads; the cells do not depend on it.
    """
    starts = range(0, len(mean), BLOCK)

    def one(start: int) -> Written:
        cells = slice(start, start + BLOCK)
        return _block(mean[cells], spread[cells], bench, key.child("block", start // BLOCK))

    blocks = list(in_order(one, starts, max(1, min(workers, len(starts)))))
    return joined(blocks)


def _block(mean: Tensor, spread: Tensor, bench: Bench, key: Key) -> Written:
    """Return one block: devices, then P+, P− and the tracks, each from its own stream."""
    noise = {name: KeyedNoise.from_key(key.child(name)) for name in ("devices", "gates", "walls")}
    devices = CellDevices.draw(len(mean), bench.variation, bench.track, noise["devices"])
    if bench.layout[1] == 1:
        devices = with_reference_track(devices)
    target, rules = spread.float(), bench.gate_rules
    plus = gate_loop.set_spreads(
        target, _pillar(devices, 0), bench.curves, bench.gate, rules, noise["gates"]
    )
    minus = _other(plus, target, devices, bench, noise["gates"])
    state = torch.stack([plus.coordinate, minus.coordinate])
    pillars, deviations = bench.pillars(devices, state, bench.curves)
    blur = (bench.gain * deviations).square().sum(0) + bench.read_noise**2
    needed = mean.float() - bench.gain * (pillars[0] - pillars[1])
    circuit = InCircuit(needed=needed, blur=blur.sqrt())
    walls = wall_loop.set_walls(circuit, devices, bench.wall_rules, noise["walls"])
    return _written(devices, (plus, minus), walls, pillars)


def _other(
    plus: SetSpreads, target: Tensor, devices: CellDevices, bench: Bench, noise: Noise
) -> SetSpreads:
    """Return P−, which makes good what P+ lacks; a reference has nothing to set."""
    if bench.layout[0] == 1:
        return gate_loop.reference(len(target), MIDDLE)
    rest = (2 * target.square() - plus.measured.square()).clamp_min(0).sqrt()
    least, most = bench.curves.deviation[len(bench.curves.deviation) // 2, [0, -1]]
    return gate_loop.set_spreads(
        torch.where(plus.outcome == gate_loop.VERIFIED, target, rest.clamp(least, most)),
        _pillar(devices, 1), bench.curves, bench.gate, bench.gate_rules, noise,
    )  # fmt: skip


def _pillar(devices: CellDevices, polarity: int) -> OnePillar:
    return OnePillar(
        scale=devices.pillar_scale[polarity],
        field=devices.stray_field[polarity],
        coordinate=devices.first_coordinate[polarity],
        dead=devices.dead[polarity],
    )


def _written(
    devices: CellDevices, gates: tuple[SetSpreads, SetSpreads], walls: SetWalls, pillars: Tensor
) -> Written:
    looks = torch.stack([g.verifications for g in gates])
    return Written(
        devices=devices,
        coordinate=torch.stack([g.coordinate for g in gates]),
        notch=walls.notch,
        rest=walls.rest,
        gate_pulses=torch.stack([g.pulses for g in gates]).to(torch.int16),
        gate_verifications=looks.to(torch.int16),
        gate_outcome=torch.stack([g.outcome for g in gates]),
        wall_pulses=walls.pulses,
        wall_verifications=walls.verifications,
        wall_outcome=walls.outcome,
        gate_conductance_read=(looks * pillars).sum(0),
        wall_conductance_read=walls.conductance_read + walls.verifications * pillars.sum(0),
    )


def joined(blocks: list[Written]) -> Written:
    """Return all cells of the blocks, in their order."""
    devices = {
        name: torch.cat([getattr(b.devices, name) for b in blocks], 1)
        for name in CellDevices.__dataclass_fields__
    }
    rest: Mapping[str, Tensor] = {
        name: torch.cat([getattr(b, name) for b in blocks], _cell_axis(name))
        for name in Written.__dataclass_fields__
        if name != "devices"
    }
    return Written(devices=CellDevices(**devices), **rest)


def _cell_axis(name: str) -> int:
    single = ("wall_verifications", "wall_outcome", "gate_conductance_read")
    return 0 if name in (*single, "wall_conductance_read") else 1
