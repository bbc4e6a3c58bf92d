"""Write-verify of a mean: move two walls notch by notch until the measured cell is what was wanted.

A pulse moves a wall by one notch; it may miss, or go two. A wall then rests where that notch is
on this track, a little off its place, and a little elsewhere at every visit. The loop starts with
both walls at the low end, brings their difference to the wanted one, and then raises both together:
each pair of notches has the same difference, but other offsets, so walls reach means between the
levels. When no pair of the sweep is within the tolerance, it goes back to the best one seen.
Each column read by itself shows which notch its wall is in, so trains that go astray are noticed.
The pillars stay in circuit: their mismatch is corrected and their spread blurs every reading.
"""

from dataclasses import dataclass

import torch

from bayespin.cell.variation import CellDevices
from bayespin.rng import Noise
from bayespin.shapes import Float, Int, Tensor

VERIFIED, STUCK, BEYOND, NO_PAIR, EXHAUSTED = range(5)
REASONS = {
    STUCK: "stuck wall",
    BEYOND: "beyond the range of this cell's tracks",
    NO_PAIR: "no pair of notches within the tolerance",
    EXHAUSTED: "attempts exhausted",
}


@dataclass(frozen=True, kw_only=True)
class WallRules:
    """The tracks as the loop counts them (conductances over w_max), and when it stops."""

    levels: int
    low: float
    """Conductance of level 0; level n − 1 has one more."""
    missed: float
    """That a pulse leaves the wall where it is."""
    double: float
    """That it carries the wall two notches."""
    cycle_spread: float
    """Where a wall rests in its notch, anew at every visit: standard deviation in levels."""
    tolerance: float
    """Largest measured error, in level steps."""
    reads: int
    """N reads per verification."""
    attempts: int
    """Most verifications."""


@dataclass(frozen=True, kw_only=True)
class InCircuit:
    """What the pillars and the reads add to every look at the tracks, over w_max."""

    needed: Float[Tensor, " cells"]
    """Difference of the tracks that gives the wanted mean with these pillars."""
    blur: Float[Tensor, " cells"]
    """Standard deviation of one read: pillars and read noise."""


@dataclass(frozen=True, kw_only=True)
class SetWalls:
    """Where the walls ended, and what it took."""

    notch: Int[Tensor, "pair cells"]
    rest: Float[Tensor, "pair cells"]
    """Where in its notch each wall rests by chance, in levels, without the notch's own offset."""
    pulses: Int[Tensor, "pair cells"]
    verifications: Int[Tensor, " cells"]
    conductance_read: Float[Tensor, " cells"]
    """Conductance of both tracks, summed over verifications: what their reads heated."""
    outcome: Int[Tensor, " cells"]


def track_conductance(
    scale: Float[Tensor, "*cells"],
    offset: Float[Tensor, "*cells"],
    place: Float[Tensor, "*cells"],
    rules: WallRules,
) -> Float[Tensor, "*cells"]:
    """Return each junction's conductance over w_max: scale (low + position/(n − 1)).

    The position is the notch's offset and `place`, notch and rest; it stays within the track: a
    wall pushed into a dead zone rests at its edge.
    """
    position = (place + offset).clamp_(0, rules.levels - 1)
    return scale * (rules.low + position / (rules.levels - 1))


@dataclass(frozen=True)
class Trains:
    """How far trains of 0, 1, ... pulses move a wall, as bounds on a standard normal number.

    The law of a train of m pulses is the m-fold convolution of (missed, one, double); its inverse
    distribution function is taken at Φ(draw), so a train costs one number however long it is.
    """

    bounds: Float[Tensor, "trains steps"]
    """Φ⁻¹ of P(net <= j) for each train, j from 0."""

    @classmethod
    def of(cls, most: int, missed: float, double: float) -> "Trains":
        """Return the law of trains of up to `most` pulses.

        Args:
            most: pulses of the longest train.
            missed: that a pulse leaves the wall where it is.
            double: that it carries the wall two notches.
        """
        law = torch.zeros(most + 1, 2 * most + 1, dtype=torch.float64)
        law[0, 0] = 1
        for m in range(most):
            for moved, chance in enumerate((missed, 1 - missed - double, double)):
                law[m + 1, moved:] += chance * law[m, : 2 * most + 1 - moved]
        chances = law.cumsum(1).clamp_max(1)
        for m in range(most + 1):
            chances[m, 2 * m :] = 1  # rounding must not leave a hair for a draw to fall into
        return cls(torch.special.ndtri(chances))

    def net(self, pulses: Float[Tensor, "*cells"], draw: Float[Tensor, "*cells"]) -> Tensor:
        """Return by how many notches trains of `pulses` move their walls, from one draw each."""
        exact = torch.arange(len(self.bounds))
        last = float(self.bounds[exact, exact].min())
        least = float(self.bounds[exact[1:], exact[:-1]].max())
        # Nearly all trains do what they are asked; only the others are looked up.
        odd = ((draw > last) | (draw <= least)).nonzero(as_tuple=True)
        net = pulses.clone()
        rows = self.bounds[pulses[odd].long()]
        net[odd] = torch.searchsorted(rows, draw[odd].double()[:, None])[:, 0].to(net)
        return net


NOTCH, REST, BELIEVED, PAIR, PULSES, SCALE, STUCK_AT = range(7)
"""Rows of a front's walls: whole numbers are floats, so that no step converts them."""
NEEDED, BLUR, BEST, RETURNS, HEATED = range(5)
"""Rows of a front's cells."""
MOST_RETURNS = 6
"""Trains that may go astray on the way back to the best pair."""


class _Front:
    """The cells that are not done: their walls, where the controller believes them, its best."""

    def __init__(
        self, circuit: InCircuit, devices: CellDevices, rules: WallRules, noise: Noise
    ) -> None:
        cells = len(circuit.needed)
        missed, double = rules.missed, rules.double
        self.rules, self.noise = rules, noise
        self.trains = Trains.of(2 * rules.levels, missed, double)
        self.offsets, self.index = devices.notch_offset.flatten(1), torch.arange(cells)
        self.walls, self.cells = torch.zeros(2, 7, cells), torch.zeros(5, cells)
        self.walls[:, NOTCH] = torch.where(devices.stuck, devices.first_notch, 0)
        self.walls[:, REST] = rules.cycle_spread * noise.normal(self.walls[:, REST])
        self.walls[:, SCALE], self.walls[:, STUCK_AT] = devices.track_scale, devices.stuck
        self.cells[NEEDED], self.cells[BEST] = circuit.needed, torch.inf
        self.cells[BLUR] = circuit.blur * rules.reads**-0.5

    def error(self) -> Tensor:
        """Return what a verification finds missing, in level steps."""
        walls, cells = self.walls, self.cells
        at = (self.index * self.rules.levels + walls[:, NOTCH]).long()
        offset = self.offsets.gather(1, at).float()
        tracks = track_conductance(
            walls[:, SCALE], offset, walls[:, NOTCH] + walls[:, REST], self.rules
        )
        cells[HEATED] += tracks.sum(0)
        seen = tracks[0] - tracks[1] + cells[BLUR] * self.noise.normal(cells[BLUR])
        return (cells[NEEDED] - seen) * (self.rules.levels - 1)

    def move(self, ask: Tensor) -> None:
        """Send `ask` pulses, up or down, to both walls of each cell."""
        walls, top, trains = self.walls, self.rules.levels - 1, ask.abs()
        net = self.trains.net(trains, self.noise.normal(ask)) * ask.sign()
        rest = self.rules.cycle_spread * self.noise.normal(ask)
        moves = (ask != 0) & (walls[:, STUCK_AT] == 0)
        walls[:, NOTCH] = torch.where(moves, walls[:, NOTCH] + net, walls[:, NOTCH]).clamp_(0, top)
        walls[:, REST] = torch.where(moves, rest, walls[:, REST])
        walls[:, PULSES] += trains
        walls[:, BELIEVED] = walls[:, NOTCH]  # each column by itself shows where its wall went

    def keep(self, going: Tensor) -> None:
        """Drop the cells that are done."""
        left = going.nonzero()[:, 0]
        self.index = self.index[left]
        self.walls, self.cells = (
            self.walls.index_select(2, left), self.cells.index_select(1, left)
        )  # fmt: skip


def set_walls(circuit: InCircuit, devices: CellDevices, rules: WallRules, noise: Noise) -> SetWalls:
    """Return the walls after every cell was verified, or given up with a reason.

    Args:
        circuit: what the tracks must give, and what blurs the look at them.
        devices: the tracks, as they are.
        rules: of the loop.
        noise: of pulses and reads.
    """
    count, front = len(circuit.needed), _Front(circuit, devices, rules, noise)
    walls, heated = torch.empty(2, 3, count), torch.empty(count)
    looks, outcome = torch.empty(count, dtype=torch.int16), torch.empty(count, dtype=torch.int8)
    for attempt in range(rules.attempts):
        error = front.error()
        ask, going, reason = _next_move(front, error, attempt)
        if attempt == rules.attempts - 1:
            going = torch.zeros_like(going)
        done = (~going).nonzero()[:, 0]
        at = front.index[done]
        walls[:, :, at] = front.walls[:, [NOTCH, REST, PULSES]][:, :, done]
        heated[at], looks[at] = front.cells[HEATED, done], attempt + 1
        outcome[at] = reason[done]
        if len(done) == len(going):
            break
        if len(done):
            front.keep(going)
            ask = ask[:, going]
        front.move(ask)
    outcome[(outcome != VERIFIED) & devices.stuck.any(0)] = STUCK
    notch, rest, pulses = walls.unbind(1)
    return SetWalls(notch=notch.to(torch.int16), rest=rest, pulses=pulses.to(torch.int16),
                    verifications=looks, conductance_read=heated, outcome=outcome)  # fmt: skip


def _next_move(front: _Front, error: Tensor, attempt: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return by how many notches both walls of each cell go, which go on, and why others do not."""
    top, size = front.rules.levels - 1, error.abs()
    walls, cells = front.walls, front.cells
    believed, sweeping = walls[:, BELIEVED], cells[RETURNS] == 0
    better = (size < cells[BEST]) & sweeping
    cells[BEST] = torch.where(better, size, cells[BEST])
    pair = walls[:, PAIR] = torch.where(better, believed, walls[:, PAIR])
    whole = error.round()
    split = torch.stack([whole.clamp_min(0), (-whole).clamp_min(0)])
    unmet = size > front.rules.tolerance
    reason = torch.where(unmet, NO_PAIR, VERIFIED).to(torch.int8)
    if attempt == 0:  # both walls at the low end: only the difference is missing
        ask = torch.where(whole == 0, 1, split).clamp_(max=top)
        return ask, unmet, reason
    cut = attempt >= front.rules.attempts - 3
    sweep = split + 1
    ended = (believed + sweep > top).any(0) | ~sweeping
    if cut:
        reason[unmet & ~ended] = EXHAUSTED
        ended = torch.ones_like(ended)
    back = pair - believed
    away = (back != 0).any(0) & (cells[RETURNS] < MOST_RETURNS)
    back = torch.where(away, back, split)
    # Once back, only a whole step that went wrong is worth another pulse, and that not forever.
    going = unmet & (~ended | away | ((whole != 0) & (cells[RETURNS] < 3)))
    at_ends = (believed == top).any(0) & (believed == 0).any(0) & (whole != 0)
    reason[at_ends & unmet] = BEYOND
    cells[RETURNS] += ended
    return torch.where(ended, back, sweep), going, reason


def expected_error(
    blur: Float[Tensor, " levels"], rules: WallRules, notch_spread: float
) -> Float[Tensor, " levels"]:
    """Return the expected rms error of a programmed mean over w_max.

    Every pair of notches of a sweep misses by the same rounding r, uniform in ± 1/2 step, and by
    its own offsets and rests, s = √(2 n² + 2 c²) steps: it is within the tolerance t with
    q(r) = P(|r + s ξ| < t) + P(|1 − r + s ξ| < t). After m pairs the share ∫ (1 − q)^m dr is left,
    with an error like that of rounding, 1/√12; the others are uniform in ± t. The verification's
    own error, blur/√N, adds in squares. One step is w_max/(n − 1).

    Symbols: `blur` standard deviation of one read over w_max; n `notch_spread`, c cycle spread in
    levels; ξ standard normal. For an average weight, m is two thirds of the levels. Means near
    ± w_max leave few pairs, and an error up to that of rounding.
    """
    look = blur * rules.reads**-0.5
    apart = max((2 * notch_spread**2 + 2 * rules.cycle_spread**2) ** 0.5, 1e-6)
    rounding = torch.linspace(0, 0.5, 101, dtype=torch.float64)
    edges = torch.stack([rounding, 1 - rounding])
    caught = torch.special.ndtr((rules.tolerance + edges) / apart)
    caught = (caught - torch.special.ndtr((edges - rules.tolerance) / apart)).sum(0)
    pairs = max(1, min(rules.attempts - 3, 2 * rules.levels // 3))
    left = float((1 - caught).clamp_min(0).pow(pairs).mean())
    square = (1 - left) * rules.tolerance**2 / 3 + left / 12
    return (square / (rules.levels - 1) ** 2 + look.square()).sqrt()
