"""Reads in time: how the draws of one cell at successive reads belong together.

A cell's conductance fluctuates as an Ornstein-Uhlenbeck process u with its own τ; a read takes the
average over a window T, and a gap w passes before the next. With a = T/τ, e = exp(−a),
g = (1 − e)/a, k = exp(−w/τ) and s the process at the end of the last window,

    s' = e k s + ξ₁,    ū = g k s + ξ₂,
    ⟨ξ₁²⟩ = 1 − e²k²,   ⟨ξ₂²⟩ = v − g²k²,   ⟨ξ₁ξ₂⟩ = g (1 − e k²),

with v = 2 (a − 1 + e)/a² the variance of an average. Averages ℓ ≥ 1 reads apart correlate by

    f(ℓ) = (g²/v) exp(−w/τ) exp(−(ℓ − 1)(T + w)/τ).

That is all there is to averages at a fixed period, so one number per cell and read is enough:

    ū = p + d ε,    p' = ρ p + h ε,    ρ = ek,    ⟨p²⟩ = P = 2 f₁² / (b + √(b² − 4 f₁²)),
    d² = 1 − P,     h² = (1 − ρ²) P,    b = 1 − ρ² + 2 ρ f₁,    f₁ = f(1),

the innovations form of a process that is autoregressive and a moving average, both of order one.
`array.recall` draws outputs instead of cells.

Limits: τ ≪ w is `per_read`; τ ≫ all times is `frozen`. Sources: physics.md §8; Gillespie,
doi:10.1103/PhysRevE.54.2084 for the exact update of the process and its integral; Kailath,
doi:10.1109/TAC.1968.1099025 for innovations.
"""

from dataclasses import dataclass
from typing import Annotated

import torch

from bayespin.rng import Noise
from bayespin.shapes import Float, Tensor
from bayespin.units import Unit

_BLOCK = 112
"""Rows whose cells are advanced at once."""
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

    def advance(self, state: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Return the next state and the average of one read, both of unit variance.

        Args:
            state: s, whose axes the update's broadcast against.
            noise: two numbers for every state.
        """
        e, g, k = (factor.to(state) for factor in (self.kept, self.seen, self.waited))
        first, second = noise.normal(state), noise.normal(state)
        root = (1 - (e * k).square()).clamp_min(0).sqrt()
        both = (g * (1 - e * k.square())) / root.clamp_min(1e-12)
        rest = (1 - (g * k).square() - both.square()).clamp_min(0).sqrt()
        start = k * state
        return e * start + root * first, g * start + both * first + rest * second


@dataclass(frozen=True)
class Chain:
    """Averages of successive reads, of unit variance, from one number each."""

    kept: Tensor
    """ρ."""
    foreseen: Tensor
    """√P: spread of what earlier reads tell of the next."""
    fresh: Tensor
    """d."""
    passed_on: Tensor
    """h."""

    @classmethod
    def of(cls, step: Step) -> "Chain":
        """Return the chain of a process."""
        f, kept = step.correlation(1), step.kept * step.waited
        b = (1 - kept) * (1 + kept) + 2 * kept * f
        # b² − 4 f², as a product of sums that do not cancel.
        root = ((1 - kept) * (1 + kept - 2 * f) * (1 + kept) * (1 - kept + 2 * f)).clamp_min(0)
        power = 2 * f.square() / (b + root.sqrt()).clamp_min(torch.finfo(f.dtype).tiny)
        return cls(
            kept=kept,
            foreseen=power.sqrt(),
            fresh=(1 - power).clamp_min(0).sqrt(),
            passed_on=((1 - kept.square()) * power).sqrt(),
        )


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
        noise: a number per cell and read, and one more per cell.
    """
    chain = Chain.of(Step.of(time, schedule))
    first, fresh, passed = (
        (factor.to(drives) * spread) for factor in (chain.foreseen, chain.fresh, chain.passed_on)
    )
    kept, found = chain.kept.to(drives), []
    state = noise.normal(drives.new_empty(drives.shape[1], *spread.shape)).mul_(first)
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(spread), _BLOCK)]
    for x in drives:
        draws, sums = noise.normal(state), []
        for rows in blocks:  # so that a block's cells are still in the cache when they are needed
            part, draw = state[:, rows], draws[:, rows]
            value = torch.addcmul(part, fresh[rows], draw)
            sums.append(torch.bmm(x[:, None, rows], value)[:, 0])
            part.mul_(kept[rows]).addcmul_(passed[rows], draw)
        found.append(torch.stack(sums).sum(0))
    return torch.stack(found)
