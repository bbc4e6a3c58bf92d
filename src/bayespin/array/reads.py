"""Reads in time: how the draws of one cell at successive reads belong together.

A cell's conductance fluctuates as an Ornstein-Uhlenbeck process u with its own τ; a read takes the
average over a window T, and a gap w passes before the next. With a = T/τ, e = exp(−a),
g = (1 − e)/a, k = exp(−w/τ) and s the process at the end of the last window,

    s' = e k s + ξ₁,    ū = g k s + ξ₂,
    ⟨ξ₁²⟩ = 1 − e²k²,   ⟨ξ₂²⟩ = v − g²k²,   ⟨ξ₁ξ₂⟩ = g (1 − e k²),

with v = 2 (a − 1 + e)/a² the variance of an average. Averages ℓ ≥ 1 reads apart correlate by

    f(ℓ) = (g²/v) exp(−w/τ) exp(−(ℓ − 1)(T + w)/τ).

Exact form: one such state for every cell. Fast form: cells of like τ share a state on each output,
a few nodes of τ for all. For inputs that repeat it is exact but for the nodes. Where inputs x
change from read to read, what an output remembers is k s times the cosine of x and x' in the
metric of the variances: exact at lag 1, and beyond where inputs change little.

Limits: τ ≪ w is `per_read`; τ ≫ all times is `frozen`. Sources: physics.md §8; Gillespie,
doi:10.1103/PhysRevE.54.2084 for the exact update of the process and its integral.
"""

from dataclasses import dataclass
from typing import Annotated

import torch

from bayespin.rng import Noise
from bayespin.shapes import Float, Tensor
from bayespin.units import Unit

MOST_NODES = 8
NODE_ERROR = 5e-3
"""Error of a correlation, in units of the variance, that fewer nodes may make."""
_LAGS = 8
_SHORTEST = 1e-4
"""Shortest τ that is told apart, in windows."""


@dataclass(frozen=True, kw_only=True)
class ReadSchedule:
    """When a cell is read.

    Raises:
        ValueError: a window that is not positive, or a negative gap.
    """

    window: Annotated[float, Unit("s")]
    gap: Annotated[float, Unit("s")]
    """From the end of one read to the start of the next."""

    def __post_init__(self) -> None:
        if not self.window > 0:
            raise ValueError(f"`window` must be positive, but is {self.window} s.")
        if not self.gap >= 0:
            raise ValueError(f"`gap` must not be negative, but is {self.gap} s.")


@dataclass(frozen=True)
class Step:
    """The update from one read to the next, for some τ; averages are scaled to unit variance."""

    kept: Tensor
    """e: of the state at the start of a window, at its end."""
    seen: Tensor
    """g/√v: of the state at the start, in the average."""
    waited: Tensor
    """k."""

    @classmethod
    def of(cls, time: Float[Tensor, "*nodes"], schedule: ReadSchedule) -> "Step":
        """Return the update of processes with these correlation times (s)."""
        tau = time.double().clamp_min(_SHORTEST * schedule.window)
        a = schedule.window / tau
        e, g = torch.exp(-a), -torch.expm1(-a) / a
        # The closed form of v cancels for small a, where the series takes over: 1 − a/3 + a²/12.
        v = torch.where(a < 1e-3, 1 - a / 3 + a.square() / 12, 2 * (a - 1 + e) / a.square())
        return cls(kept=e, seen=g / v.sqrt(), waited=torch.exp(-schedule.gap / tau))

    def correlation(self, lag: int) -> Float[Tensor, "*nodes"]:
        """Return f of averages `lag` >= 1 reads apart."""
        return self.seen.square() * self.waited * (self.kept * self.waited) ** (lag - 1)

    def advance(
        self, state: Tensor, remembered: Tensor | float, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Return the next state and the average of one read, both of unit variance.

        Args:
            state: s, whose axes the update's broadcast against.
            remembered: cosine of this read's input with that of the last; 1 for a cell.
            noise: two numbers for every state.
        """
        k = (self.waited * remembered).to(state)
        e, g = self.kept.to(state), self.seen.to(state)
        first, second = noise.normal(state), noise.normal(state)
        root = (1 - (e * k).square()).clamp_min(0).sqrt()
        both = (g * (1 - e * k.square())) / root.clamp_min(1e-12)
        rest = (1 - (g * k).square() - both.square()).clamp_min(0).sqrt()
        start = k * state
        return e * start + root * first, g * start + both * first + rest * second


@dataclass(frozen=True)
class Nodes:
    """A few correlation times that stand for all."""

    time: Float[Tensor, " nodes"]
    error: float
    """No correlation of a cell with itself, up to seven reads apart, is off by more."""

    @classmethod
    def fit(cls, time: Float[Tensor, "*cells"], schedule: ReadSchedule) -> "Nodes":
        """Return as few nodes as keep correlations within `NODE_ERROR`, at most `MOST_NODES`.

        One for the longest τ if that will do; else the shortest and the longest, and more where
        the error is largest.
        """
        least = _SHORTEST * schedule.window
        ends = torch.tensor([time.min().item(), time.max().item()], dtype=torch.float64)
        low, high = ends.clamp_min(least).log()
        fine = torch.lerp(low, high, torch.linspace(0, 1, 400, dtype=torch.float64)).exp()
        nodes, worst = cls._of(fine[-1:], fine, schedule)
        if nodes.error > NODE_ERROR:
            nodes, worst = cls._of(fine[[0, -1]], fine, schedule)
        while nodes.error > NODE_ERROR and len(nodes.time) < MOST_NODES:
            more = torch.cat([nodes.time, fine[worst : worst + 1]]).sort().values
            nodes, worst = cls._of(more, fine, schedule)
        return nodes

    @classmethod
    def _of(cls, nodes: Tensor, time: Tensor, schedule: ReadSchedule) -> "tuple[Nodes, int]":
        """Return nodes with their error over some τ, and where it is largest."""
        shares, node = cls(nodes, 0.0).weights(time, schedule), Step.of(nodes, schedule)
        own = Step.of(time, schedule)
        errors = (
            torch.stack(
                [
                    torch.einsum("n,nc->c", node.correlation(lag), shares) - own.correlation(lag)
                    for lag in range(1, _LAGS)
                ]
            )
            .abs()
            .amax(0)
        )
        return cls(nodes, float(errors.max())), int(errors.argmax())

    def weights(
        self, time: Float[Tensor, "*cells"], schedule: ReadSchedule
    ) -> Float[Tensor, " nodes *cells"]:
        """Return the share of each node in cells with these τ: not negative, and 1 in all.

        Between two nodes the shares make the correlation of neighbouring reads exact.
        """
        own = Step.of(time, schedule).correlation(1)
        node = Step.of(self.time, schedule).correlation(1)
        shares = torch.zeros(len(node), *time.shape, dtype=torch.float64)
        if len(node) == 1:
            return shares + 1
        right = torch.searchsorted(node, own.contiguous()).clamp_(1, len(node) - 1)
        low, high = node[right - 1], node[right]
        up = ((own - low) / (high - low).clamp_min(1e-300)).clamp_(0, 1)
        shares.scatter_(0, (right - 1)[None], (1 - up)[None])
        return shares.scatter_(0, right[None], up[None])


@dataclass
class OutputMemory:
    """What a layer's outputs remember of the last read."""

    state: Float[Tensor, " nodes *outputs"]
    drive: Tensor
    """x of the last read."""
    variance: Float[Tensor, " nodes *outputs"]
    """x²·S² of the last read, by node."""


def exact_reads(
    drives: Float[Tensor, "reads images rows"],
    spread: Float[Tensor, "rows outputs"],
    time: Float[Tensor, "rows outputs"],
    schedule: ReadSchedule,
    noise: Noise,
) -> Float[Tensor, "reads images outputs"]:
    """Return what fluctuations add to successive reads, from one state for every cell and image.

    Args:
        drives: x in [0, 1] of every read; images are independent.
        spread: S of a cell after the window.
        time: τ of a cell, s.
        schedule: of the reads.
        noise: two numbers per cell and read.
    """
    step = Step.of(time, schedule)
    state = noise.normal(drives.new_empty(drives.shape[1], *spread.shape))
    found = []
    for x in drives:
        state, average = step.advance(state, 1.0, noise)
        found.append(torch.einsum("bi,bij->bj", x, average.mul_(spread)))
    return torch.stack(found)
