"""Write-verify of a mean: move two walls notch by notch until the measured cell is what was wanted.

A pulse moves a wall by one notch; it may miss, or go two. A wall then rests where that notch is
on this track, a little off its place, and a little elsewhere at every visit. The loop starts with
both walls at the low end, brings their difference to the wanted one, and then raises both together:
each pair of notches has the same difference, but other offsets, so walls reach means between the
levels. When no pair of the sweep is within the tolerance, it goes back to the best one seen.
Each column read by itself shows which notch its wall is in, so trains that go astray are noticed.
With a reference in place of one track there is a single notch to choose: the nearest one is taken.
The pillars stay in circuit: their mismatch is corrected and their spread blurs every reading.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import torch

from bayespin.cell.masks import at, choose, number, places
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
    """Conductance of level 0."""
    swing: float
    """How much more level n − 1 has: 1, or 2 where one track stands for both signs."""
    written: int
    """Walls that move: 2, or 1 and a reference."""
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
    """Return each junction's conductance over w_max: scale (low + swing position/(n − 1)).

    The position is the notch's offset and `place`, notch and rest; it stays within the track: a
    wall pushed into a dead zone rests at its edge.
    """
    position = (place + offset).clamp_(0, rules.levels - 1)
    return scale * (rules.low + position * rules.swing / (rules.levels - 1))


@dataclass(frozen=True)
class Trains:
    """How far trains of 0, 1, ... pulses move a wall, as bounds on a standard normal number.

    The law of a train of m pulses is the m-fold convolution of (missed, one, double); its inverse
    distribution function is taken at Φ(draw), so a train costs one number however long it is.
    """

    bounds: Float[Tensor, "trains steps"]
    """Φ⁻¹ of P(net <= j) for each train, j from 0."""

    @classmethod
    @cache
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

    @cached_property
    def table(self) -> tuple[Tensor, Tensor]:
        """Bounds in single precision, one before the first; and per train the place of its median.

        Rounded down, so that single numbers compare with them as with the bounds.
        """
        before = torch.full((len(self.bounds), 1), -torch.inf, dtype=torch.float64)
        rows = torch.cat([before, self.bounds], 1)
        single = rows.float()
        below = single.nextafter(torch.tensor(-torch.inf))
        single = torch.where(single.double() > rows, below, single)
        first = torch.arange(len(rows)) * rows.shape[1]
        return single.flatten(), (first + (self.bounds < 0).sum(1)).int()

    def net(self, pulses: Float[Tensor, "*cells"], draw: Float[Tensor, "*cells"]) -> Tensor:
        """Return by how many notches trains of `pulses` move their walls, from one draw each."""
        bounds, medians = self.table
        train, x = pulses.flatten().int(), draw.flatten()
        place = at(medians, train)  # of the bound below the net move: walk there from the median
        above = places(x > at(bounds, place + 1))
        while len(above):
            now = at(place, above) + 1
            place.scatter_(0, above, now)
            above = at(above, places(at(x, above) > at(bounds, now + 1)))
        below = places(x <= at(bounds, place))
        while len(below):
            now = at(place, below) - 1
            place.scatter_(0, below, now)
            below = at(below, places(at(x, below) <= at(bounds, now)))
        return (place - train * (self.bounds.shape[1] + 1)).to(pulses).view(pulses.shape)


MOST_RETURNS = 6
"""Trains that may go astray on the way back to the best pair."""


class _Front:
    """The cells that are not done: their walls, the best pair of notches seen, what it took.

    Whole numbers are floats, so that no step converts them.
    """

    def __init__(
        self, circuit: InCircuit, devices: CellDevices, rules: WallRules, noise: Noise
    ) -> None:
        cells = len(circuit.needed)
        self.rules, self.noise = rules, noise
        self.trains = Trains.of(2 * rules.levels, rules.missed, rules.double)
        self.offsets = devices.notch_offset.flatten()
        self.first_offset = torch.arange(2, dtype=torch.int32)[:, None] * (cells * rules.levels)
        self.index = torch.arange(cells, dtype=torch.int32)
        self.free, self.scale = 1 - number(devices.stuck), devices.track_scale
        self.notch = devices.stuck * devices.first_notch.float()
        self.rest = rules.cycle_spread * noise.normal(self.notch)
        self.pair, self.pulses = torch.zeros(2, cells), torch.zeros(2, cells)
        self.needed, self.blur = circuit.needed, circuit.blur * rules.reads**-0.5
        self.best = torch.full((cells,), torch.inf)
        self.heated, self.returns = torch.zeros(cells), torch.zeros(cells)

    def error(self) -> Tensor:
        """Return what a verification finds missing, in level steps."""
        entry = self.first_offset + self.index * self.rules.levels + self.notch.int()
        offset = at(self.offsets, entry.flatten()).float().view(entry.shape)
        tracks = track_conductance(self.scale, offset, self.notch + self.rest, self.rules)
        self.heated += tracks.sum(0)
        seen = tracks[0] - tracks[1] + self.blur * self.noise.normal(self.blur)
        return (self.needed - seen) * ((self.rules.levels - 1) / self.rules.swing)

    def move(self, ask: Tensor) -> None:
        """Send `ask` pulses, up or down, to both walls of each cell."""
        trains = ask.abs()
        net = self.trains.net(trains, self.noise.normal(ask)) * ask.sign()
        rest = self.rules.cycle_spread * self.noise.normal(ask)
        self.notch = (self.notch + self.free * net).clamp_(0, self.rules.levels - 1)
        self.rest = choose(self.free * trains.clamp_max(1), rest, self.rest)
        self.pulses += trains

    def keep(self, left: Tensor) -> None:
        """Drop all cells but those at these places."""
        for name in (
            "index", "free", "scale", "notch", "rest", "pair", "pulses",
            "needed", "blur", "best", "heated", "returns",
        ):  # fmt: skip
            setattr(self, name, at(getattr(self, name), left))


def set_walls(circuit: InCircuit, devices: CellDevices, rules: WallRules, noise: Noise) -> SetWalls:
    """Return the walls after every cell was verified, or given up with a reason.

    Args:
        circuit: what the tracks must give, and what blurs the look at them.
        devices: the tracks, as they are.
        rules: of the loop.
        noise: of pulses and reads.
    """
    count, front = len(circuit.needed), _Front(circuit, devices, rules, noise)
    walls, heated = torch.empty(3, 2, count), torch.empty(count)
    looks, outcome = torch.empty(count, dtype=torch.int16), torch.empty(count, dtype=torch.int8)
    for attempt in range(rules.attempts):
        step = _next_move if rules.written == 2 else _next_single
        ask, going, reason = step(front, front.error(), attempt)
        if attempt == rules.attempts - 1:
            going = torch.zeros_like(going)
        done = places(~going)
        where = at(front.index, done).long()
        for kept, now in zip(walls, (front.notch, front.rest, front.pulses), strict=True):
            kept.scatter_(1, where.expand(2, -1), at(now, done))
        heated.scatter_(0, where, at(front.heated, done))
        looks.scatter_(0, where, attempt + 1)
        outcome.scatter_(0, where, at(reason, done))
        if len(done) == len(going):
            break
        if len(done):
            left = places(going)
            front.keep(left)
            ask = at(ask, left)
        front.move(ask)
    outcome[(outcome != VERIFIED) & devices.stuck[: rules.written].any(0)] = STUCK
    notch, rest, pulses = walls
    return SetWalls(notch=notch.to(torch.int16), rest=rest, pulses=pulses.to(torch.int16),
                    verifications=looks, conductance_read=heated, outcome=outcome)  # fmt: skip


def _next_move(front: _Front, error: Tensor, attempt: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return by how many notches both walls of each cell go, which go on, and why others do not.

    The controller knows the notches: each column by itself shows where its wall went.
    """
    top, size, notch = front.rules.levels - 1, error.abs(), front.notch
    sweeping = front.returns == 0
    better = number((size < front.best) & sweeping)
    front.best = torch.minimum(front.best, size)  # of no use to those that sweep no more
    if attempt > 0:  # the first pair is the low end, wherever a stuck wall stands
        front.pair = choose(better, notch, front.pair)
    whole = error.round()
    # No train is longer than the law of trains, however far beyond the range a mean was wanted.
    split = torch.stack([whole, -whole]).clamp_(0, 2 * front.rules.levels)
    unmet, whole = size > front.rules.tolerance, whole.abs().clamp_max_(1)
    reason = unmet.view(torch.int8) * NO_PAIR
    if attempt == 0:  # both walls at the low end: only the difference is missing
        return (split + (1 - whole)).clamp_(max=top), unmet, reason
    cut, sweep = attempt >= front.rules.attempts - 3, split + 1
    ended = ((notch + sweep).amax(0) > top) | ~sweeping
    if cut:
        reason += (unmet & ~ended).view(torch.int8) * (EXHAUSTED - NO_PAIR)
        ended = torch.ones_like(ended)
    back = front.pair - notch
    away = (back.abs().amax(0) > 0) & (front.returns < MOST_RETURNS)
    # Once back, only a whole step that went wrong is worth another pulse, and that not forever.
    wrong = whole > 0
    going = unmet & (~ended | away | (wrong & (front.returns < 3)))
    at_ends = (notch.amax(0) == top) & (notch.amin(0) == 0) & wrong & unmet
    reason += at_ends.view(torch.int8) * (BEYOND - reason)
    returning = number(ended)
    front.returns = front.returns + returning
    return choose(returning, choose(number(away), back, split), sweep), going, reason


def _next_single(front: _Front, error: Tensor, attempt: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the same for cells with one wall: it goes to the nearest notch, and that is all."""
    whole, notch = error.round(), front.notch[0]
    top = front.rules.levels - 1
    ask = torch.stack([whole.clamp(-top, top), torch.zeros_like(whole)])
    unmet = error.abs() > max(front.rules.tolerance, 0.5)
    at_end = ((notch >= top) & (whole > 0)) | ((notch <= 0) & (whole < 0))
    last = EXHAUSTED if attempt == front.rules.attempts - 1 else NO_PAIR
    reason = unmet.view(torch.int8) * last
    reason += (unmet & at_end).view(torch.int8) * (BEYOND - last)
    return ask, unmet & ~at_end, reason


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
    ± w_max leave few pairs, and an error up to that of rounding. With one wall there is one notch,
    and all errors are those of rounding; a step is swing w_max/(n − 1).
    """
    look = blur * rules.reads**-0.5
    if rules.written == 1:
        step = rules.swing / (rules.levels - 1)
        return (max(1 / 12, rules.tolerance**2 / 3) * step**2 + look.square()).sqrt()
    apart = max((2 * notch_spread**2 + 2 * rules.cycle_spread**2) ** 0.5, 1e-6)
    rounding = torch.linspace(0, 0.5, 101, dtype=torch.float64)
    edges = torch.stack([rounding, 1 - rounding])
    caught = torch.special.ndtr((rules.tolerance + edges) / apart)
    caught = (caught - torch.special.ndtr((edges - rules.tolerance) / apart)).sum(0)
    pairs = max(1, min(rules.attempts - 3, 2 * rules.levels // 3))
    left = float((1 - caught).clamp_min(0).pow(pairs).mean())
    square = (1 - left) * rules.tolerance**2 / 3 + left / 12
    return (square / (rules.levels - 1) ** 2 + look.square()).sqrt()
