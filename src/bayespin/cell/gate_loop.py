"""Write-verify of a pillar's spread: read N times, estimate, pulse the gate, read again.

A loop knows what a nominal device would do, and what it reads; not the device's own conductance,
stray field or where its gate stands. So it moves the gate by the difference of two nominal
coordinates, that of the wanted and that of the measured spread, which leads a device of any other
curve to its target too, in a few more steps.
"""

from dataclasses import dataclass

import torch

from bayespin.cell.curves import DeviceCurves
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
    cells = len(target)
    state = pillar.coordinate.clone()
    measured = torch.empty_like(target)
    pulses, verifications = (torch.zeros(cells, dtype=torch.int32) for _ in range(2))
    outcome = torch.full((cells,), EXHAUSTED, dtype=torch.int8)
    active, goal = torch.arange(cells), curves.coordinate_of(target)
    wanted = (target.square() + rules.noise**2).sqrt()
    at_end = torch.zeros(cells, dtype=torch.bool)
    for attempt in range(rules.attempts):
        seen, found = _verify(state[active], active, pillar, curves, rules, noise)
        measured[active] = found
        verifications[active] += 1
        met = (seen / wanted[active] - 1).abs() <= rules.tolerance
        step = goal[active] - curves.coordinate_of(found)
        beyond = (
            ~met & at_end[active] & (((state[active] + step) <= 0) | (state[active] + step >= 1))
        )
        outcome[active[beyond]] = torch.where(step[beyond] > 0, CAP, FLOOR).to(torch.int8)
        outcome[active[met]] = VERIFIED
        left = ~(met | beyond)
        active, step = active[left], step[left]
        if len(active) == 0 or attempt == rules.attempts - 1:
            break
        moved = state[active] + _moves(step, gate, noise)
        moved = torch.where(pillar.dead[active], state[active], moved.clamp_(0, 1))
        at_end[active] = (moved == 0) | (moved == 1)
        state[active] = moved
        pulses[active] += 1
    outcome[pillar.dead & (outcome != VERIFIED)] = DEAD
    return SetSpreads(coordinate=state, measured=measured, pulses=pulses,
                      verifications=verifications, outcome=outcome)  # fmt: skip


def _moves(step: Tensor, gate: Gate, noise: Noise) -> Tensor:
    """Return how far pulses that ask for `step` go: δ (1 + a ξ) + r ξ', over the range."""
    return step * (1 + gate.step_error * noise.normal(step)) + gate.resolution * noise.normal(step)


def _verify(
    state: Tensor,
    active: Tensor,
    pillar: OnePillar,
    curves: DeviceCurves,
    rules: GateRules,
    noise: Noise,
) -> tuple[Tensor, Tensor]:
    """Return the deviation that N reads find, with read noise and without its nominal share."""
    scale = pillar.scale[active]
    spread = scale * curves.deviation_at(state, pillar.field[active])
    true = (spread.square() + scale * rules.noise**2).sqrt()
    seen = true * chi_factor(noise.normal(true), rules.reads)
    # Where noise prevails, its share may exceed what was measured: then call it a tenth.
    own = (seen.square() - rules.noise**2).clamp_min(0.01 * rules.noise**2 + 1e-30).sqrt()
    return seen, own
