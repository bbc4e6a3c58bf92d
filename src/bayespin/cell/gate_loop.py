"""Write-verify of a pillar's spread: read N times, estimate, pulse the gate, read again.

A loop knows what a nominal device would do, and what it reads; not the device's own conductance,
stray field or where its gate stands. So it moves the gate by the difference of two nominal
coordinates, that of the wanted and that of the measured spread, which leads a device of any other
curve to its target too, in a few more steps.
"""

from dataclasses import dataclass

import torch

from bayespin.cell.curves import DeviceCurves
from bayespin.cell.masks import at, choose, number, places
from bayespin.device.stochastic import Gate
from bayespin.rng import Noise
from bayespin.shapes import Bool, Float, Int, Tensor

VERIFIED, DEAD, FLOOR, CAP, EXHAUSTED = range(5)
REASONS = {
    DEAD: "dead gate",
    FLOOR: "gate at its end, spread still too large",
    CAP: "gate at its end, spread still too small",
    EXHAUSTED: "attempts exhausted",
}


@dataclass(frozen=True, kw_only=True)
class GateRules:
    """When the loop stops, and what it reads with."""

    tolerance: float
    """Largest relative error of the measured spread."""
    reads: int
    """N reads per verification."""
    attempts: int
    """Most verifications."""
    noise: float
    """Standard deviation of the reads' own noise for a nominal pillar, over the unit."""


@dataclass(frozen=True, kw_only=True)
class OnePillar:
    """The pillars of one polarity; see `variation.CellDevices`."""

    scale: Float[Tensor, " cells"]
    field: Float[Tensor, " cells"]
    coordinate: Float[Tensor, " cells"]
    dead: Bool[Tensor, " cells"]


@dataclass(frozen=True, kw_only=True)
class SetSpreads:
    """Where the gates ended, and what it took."""

    coordinate: Float[Tensor, " cells"]
    measured: Float[Tensor, " cells"]
    """Spread of the pillar as last verified, read noise taken off, over the unit."""
    pulses: Int[Tensor, " cells"]
    verifications: Int[Tensor, " cells"]
    outcome: Int[Tensor, " cells"]


def chi_factor(draw: Float[Tensor, "*cells"], reads: int) -> Float[Tensor, "*cells"]:
    """Return √(χ²_ν/ν), ν = N − 1: measured over true deviation of N independent reads.

    χ²_ν/ν ≈ (1 − 2/(9ν) + ξ√(2/(9ν)))³ with ξ a standard normal `draw`: Wilson and Hilferty
    (1931), DOI 10.1073/pnas.17.12.684. From ν = 15, mean and deviation of the root are right to
    1e-3 of the deviation. Reads three correlation times apart lose 0.5 % of their number.
    """
    spread = 2 / (9 * (reads - 1))
    return (1 - spread + draw * spread**0.5).clamp_min(1e-3).pow(1.5)


def reference(cells: int, coordinate: float) -> SetSpreads:
    """Return quiet junctions in place of pillars: they fluctuate not, and nothing is set."""
    none = torch.zeros(cells, dtype=torch.int16)
    return SetSpreads(
        coordinate=torch.full((cells,), coordinate),
        measured=torch.zeros(cells),
        pulses=none,
        verifications=none,
        outcome=torch.full((cells,), VERIFIED, dtype=torch.int8),
    )


def set_spreads(
    target: Float[Tensor, " cells"],
    pillar: OnePillar,
    curves: DeviceCurves,
    gate: Gate,
    rules: GateRules,
    noise: Noise,
) -> SetSpreads:
    """Return the pillars after every one was verified, or given up with a reason.

    Args:
        target: wanted spreads of the conductance, over the unit.
        pillar: the devices.
        curves: the law of a nominal device at the programming temperature.
        gate: how far a pulse goes astray.
        rules: of the loop.
        noise: of pulses and reads.
    """
    front = _Front.of(target, pillar, curves, rules)
    end, looks = torch.empty(2, len(target)), torch.empty(len(target), dtype=torch.int16)
    outcome = torch.empty(len(target), dtype=torch.int8)
    for attempt in range(rules.attempts):
        seen, found = front.verify(curves, rules, noise)
        met = (seen / front.wanted - 1).abs() <= rules.tolerance
        step = front.goal - curves.coordinate_of(found)
        asked = front.state + step
        # At its end already before the last pulse, and still asked to go beyond.
        beyond = front.at_end & ((asked <= 0) | (asked >= 1))
        stops = met | beyond if attempt < rules.attempts - 1 else torch.ones_like(met)
        done = places(stops)
        where = at(front.index, done)
        end[0].scatter_(0, where, at(front.state, done))
        end[1].scatter_(0, where, at(found, done))
        looks.scatter_(0, where, attempt + 1)
        reason = _reason(at(met, done), at(beyond, done), at(step, done))
        outcome.scatter_(0, where, reason)
        if len(done) == len(stops):
            break
        left = places(~stops)
        front, step = front.kept(left), at(step, left)
        front.pulse(_moves(step, gate, noise))
    outcome[pillar.dead & (outcome != VERIFIED)] = DEAD
    return SetSpreads(coordinate=end[0], measured=end[1], pulses=looks - 1,
                      verifications=looks, outcome=outcome)  # fmt: skip


def _reason(met: Tensor, beyond: Tensor, step: Tensor) -> Tensor:
    """Return the outcome of pillars that are done."""
    at_end = FLOOR + (CAP - FLOOR) * (step > 0).view(torch.int8)
    failed = torch.where(beyond, at_end, EXHAUSTED)
    return torch.where(met, VERIFIED, failed).to(torch.int8)


@dataclass(kw_only=True)
class _Front:
    """The pillars that are not done."""

    index: Tensor
    state: Tensor
    """Coordinate of each gate."""
    at_end: Tensor
    goal: Tensor
    """Coordinate at which a nominal pillar has the wanted spread."""
    wanted: Tensor
    """Wanted spread of the reads, their own noise included."""
    scale: Tensor
    row: Tensor
    up: Tensor
    """Place of the stray field in the table; see `DeviceCurves.places`."""
    dead: Tensor
    """1 for a dead gate, else 0."""

    @classmethod
    def of(
        cls, target: Tensor, pillar: OnePillar, curves: DeviceCurves, rules: GateRules
    ) -> "_Front":
        row, up = curves.places(pillar.field)
        return cls(
            index=torch.arange(len(target)),
            state=pillar.coordinate,
            at_end=torch.zeros_like(pillar.dead),
            goal=curves.coordinate_of(target),
            wanted=(target.square() + rules.noise**2).sqrt(),
            scale=pillar.scale,
            row=row,
            up=up,
            dead=number(pillar.dead),
        )

    def kept(self, left: Tensor) -> "_Front":
        """Return the pillars at these places of the front."""
        return _Front(**{name: at(getattr(self, name), left) for name in self.__dataclass_fields__})

    def pulse(self, moves: Tensor) -> None:
        """Move the gates; they end at their range, and the dead ones stay."""
        moved = (self.state + moves).clamp_(0, 1)
        self.state = choose(self.dead, self.state, moved)
        self.at_end = (self.state == 0) | (self.state == 1)

    def verify(self, curves: DeviceCurves, rules: GateRules, noise: Noise) -> tuple[Tensor, Tensor]:
        """Return the deviation that N reads find, with read noise and without its nominal share."""
        spread = self.scale * curves.deviation_at(self.state, (self.row, self.up))
        true = (spread.square() + self.scale * rules.noise**2).sqrt()
        seen = true * chi_factor(noise.normal(true), rules.reads)
        # Where noise prevails, its share may exceed what was measured: then call it a tenth.
        least = 0.01 * rules.noise**2 + 1e-30
        return seen, (seen.square() - rules.noise**2).clamp_min(least).sqrt()


def _moves(step: Tensor, gate: Gate, noise: Noise) -> Tensor:
    """Return how far pulses that ask for `step` go: δ (1 + a ξ) + r ξ', over the range."""
    return step * (1 + gate.step_error * noise.normal(step)) + gate.resolution * noise.normal(step)
