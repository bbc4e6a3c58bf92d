"""Write-verify of a mean: move two walls notch by notch until the measured cell is what was wanted.

A pulse moves a wall by one notch; it may miss, or go two. A wall then rests where that notch is
on this track, a little off its place, and a little elsewhere at every visit. The loop starts with
both walls at the low end, brings their difference to the wanted one, and then raises both together:
each pair of notches has the same difference, but other offsets, so walls reach means between the
levels. When no pair of the sweep is within the tolerance, it goes back to the best one seen.
The pillars stay in circuit, so their mismatch is corrected and their spread blurs every reading.
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


def net_steps(pulses: Int[Tensor, "*cells"], draw: Float[Tensor, "*cells"],
              rules: WallRules) -> Int[Tensor, "*cells"]:  # fmt: skip
    """Return by how many notches trains of pulses move walls, from one normal draw each.

    The law of a train of m pulses is the m-fold convolution of (missed, one, double); its inverse
    distribution function is taken at Φ(draw), so a train costs one number however long it is.
    """
    most = int(pulses.max()) if pulses.numel() else 0
    bounds = torch.special.ndtri(_cumulative(most, rules))
    # Nearly all trains do what they are asked; only the others are looked up in full.
    exact = pulses.long()
    least, last = bounds[exact, (exact - 1).clamp_min(0)], bounds[exact, exact]
    wrong = ((draw > last) | ((draw <= least) & (exact > 0))).nonzero(as_tuple=True)
    net = exact.clone()
    net[wrong] = torch.searchsorted(bounds[exact[wrong]], draw[wrong].double()[:, None])[:, 0]
    return net


def _cumulative(most: int, rules: WallRules) -> Tensor:
    """Return P(net <= j) for trains of 0 to `most` pulses, j from 0 to 2 `most`."""
    law = torch.zeros(most + 1, 2 * most + 1, dtype=torch.float64)
    law[0, 0] = 1
    step = (rules.missed, 1 - rules.missed - rules.double, rules.double)
    for m in range(most):
        for moved, chance in enumerate(step):
            law[m + 1, moved:] += chance * law[m, : 2 * most + 1 - moved]
    chances = law.cumsum(1).clamp_max(1)
    for m in range(most + 1):
        chances[m, 2 * m :] = 1  # rounding must not leave a hair for a draw to fall into
    return chances


class _Walls:
    """Where the walls of all cells are, where the controller believes them, and its best pair."""

    def __init__(self, devices: CellDevices, rules: WallRules, noise: Noise) -> None:
        cells = devices.stuck.shape[1]
        self.devices, self.rules, self.noise = devices, rules, noise
        self.notch = torch.where(devices.stuck, devices.first_notch, 0).int()
        self.rest = rules.cycle_spread * noise.normal(torch.empty(2, cells))
        self.pulses = torch.zeros(2, cells, dtype=torch.int32)
        self.believed, self.best_pair = (torch.zeros(2, cells, dtype=torch.int32) for _ in "ab")
        self.best = torch.full((cells,), torch.inf)
        self.returns = torch.zeros(cells, dtype=torch.int8)
        """Moves since the sweep ended; 0 while it lasts."""
        self.outcome = torch.full((cells,), NO_PAIR, dtype=torch.int8)

    def conductances(self, active: Tensor) -> Tensor:
        """Return both tracks' conductances of some cells."""
        notch = self.notch[:, active]
        flat = self.devices.notch_offset.flatten(1)
        offset = flat.gather(1, active * self.rules.levels + notch)
        place = notch + self.rest[:, active]
        return track_conductance(
            self.devices.track_scale[:, active], offset.float(), place, self.rules
        )

    def move(self, active: Tensor, ask: Tensor) -> None:
        """Send `ask` pulses, up or down, to both walls of some cells."""
        rules, trains = self.rules, ask.abs()
        net = net_steps(trains, self.noise.normal(torch.empty(ask.shape)), rules) * ask.sign()
        rest = rules.cycle_spread * self.noise.normal(torch.empty(ask.shape))
        stuck = self.devices.stuck[:, active]
        here = self.notch[:, active]
        moved = (here + net).clamp_(0, rules.levels - 1).int()
        self.notch[:, active] = torch.where(stuck, here, moved)
        still = stuck | (ask == 0)
        self.rest[:, active] = torch.where(still, self.rest[:, active], rest)
        self.pulses[:, active] += trains
        believed = (self.believed[:, active] + ask).clamp_(0, rules.levels - 1)
        self.believed[:, active] = believed


def set_walls(circuit: InCircuit, devices: CellDevices, rules: WallRules, noise: Noise) -> SetWalls:
    """Return the walls after every cell was verified, or given up with a reason.

    Args:
        circuit: what the tracks must give, and what blurs the look at them.
        devices: the tracks, as they are.
        rules: of the loop.
        noise: of pulses and reads.
    """
    walls, active = _Walls(devices, rules, noise), torch.arange(len(circuit.needed))
    verifications = torch.zeros(len(active), dtype=torch.int32)
    heated, steps = torch.zeros(len(active)), rules.levels - 1
    for attempt in range(rules.attempts):
        plus, minus = walls.conductances(active)
        blur = circuit.blur[active] * rules.reads**-0.5
        seen = plus - minus + blur * noise.normal(blur)
        error = (circuit.needed[active] - seen) * steps
        verifications[active] += 1
        heated[active] += plus + minus
        met = error.abs() <= rules.tolerance
        walls.outcome[active[met]] = VERIFIED
        active, error = active[~met], error[~met]
        ask, going = _next_move(walls, active, error, attempt)
        if attempt == rules.attempts - 1 or not bool(going.any()):
            break
        active = active[going]
        walls.move(active, ask[:, going])
    failed = walls.outcome != VERIFIED
    walls.outcome[failed & devices.stuck.any(0)] = STUCK
    return SetWalls(notch=walls.notch, rest=walls.rest, pulses=walls.pulses,
                    verifications=verifications, conductance_read=heated,
                    outcome=walls.outcome)  # fmt: skip


def _next_move(walls: _Walls, active: Tensor, error: Tensor, attempt: int) -> tuple[Tensor, Tensor]:
    """Return how many notches both walls of each cell should go, and which cells go on at all."""
    top, size = walls.rules.levels - 1, error.abs()
    believed, best = walls.believed[:, active], walls.best[active]
    returns, better = walls.returns[active], size < best
    walls.best[active] = torch.where(better, size, best)
    pair = torch.where(better & (returns == 0), believed, walls.best_pair[:, active])
    walls.best_pair[:, active] = pair
    whole = error.round().int()
    split = torch.stack([whole.clamp_min(0), (-whole).clamp_min(0)])
    if attempt == 0:  # both walls at the low end: only the difference is missing
        ask = torch.where(whole == 0, 1, split).clamp_(max=top)
        return ask, torch.ones_like(better)
    sweep = 1 + split
    cut = attempt >= walls.rules.attempts - 3
    ended = (believed + sweep > top).any(0) | (returns > 0)
    walls.outcome[active[~ended & (returns == 0)]] = EXHAUSTED if cut else NO_PAIR
    ended = ended | cut
    back = torch.where((returns == 0) & (pair != believed).any(0), pair - believed, split)
    # Once back, only a whole step that went wrong is worth another pulse, and that not forever.
    lost = (whole != 0) & (returns < 3)
    going = ~ended | torch.where(returns == 0, (back != 0).any(0), lost)
    at_ends = (believed == top).any(0) & (believed == 0).any(0) & (whole != 0)
    walls.outcome[active[ended & at_ends & ~going]] = BEYOND
    walls.returns[active] = returns + ended
    return torch.where(ended, back, sweep), going


def expected_error(
    blur: Float[Tensor, " levels"], rules: WallRules, notch_spread: float
) -> Float[Tensor, " levels"]:
    """Return the expected rms error of a programmed mean over w_max.

    A pair of notches misses by rounding (uniform over a step) and by the four offsets and rests,
    s = √(1/12 + 2 n² + 2 c²) steps. It is within the tolerance t with probability about q = 2 t,
    and then uniform in ±t; after m pairs the share (1 − q)^m keeps the least of m misses, about
    1/(2 (m + 1)) (but not more than s), and the rest c√2 of the way back. The verification's own
    error, blur/√N, adds in squares. One step is w_max/(n − 1).

    Symbols: `blur` standard deviation of one read over w_max; n `notch_spread`, c cycle spread in
    levels. Within a factor of 1.5 of programmed chips for the reference preset; sweeps end early
    for means near ±w_max, where few pairs are left, and the error there is up to s.
    """
    steps, look = rules.levels - 1, (blur * rules.reads**-0.5)
    single = 1 / 12 + 2 * notch_spread**2 + 2 * rules.cycle_spread**2
    # Two thirds of the levels are left for the sweep of an average weight.
    pairs = max(1, min(rules.attempts - 3, 2 * rules.levels // 3))
    caught = min(1.0, 2 * rules.tolerance)
    left = (1 - caught) ** pairs
    kept = min(single, (0.5 / (pairs + 1)) ** 2 + 2 * rules.cycle_spread**2)
    square = (1 - left) * rules.tolerance**2 / 3 + left * kept
    return (square / steps**2 + look.square()).sqrt()
