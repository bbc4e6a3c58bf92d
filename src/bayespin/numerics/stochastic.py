"""Stochastic steps and the loop that repeats them; no physics.

A step is a pure function of (time, state, noise). The loop counts steps with an integer, never
with a sum of times, and asks its noise by that integer: n steps at once equal any split of them,
to the last bit.
"""

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch

from bayespin.cite import cites
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor

State = TypeVar("State")


@runtime_checkable
class Linear(Protocol):
    """What a step method needs of a state: sums and multiples, as a tensor has them."""

    def add(self, other: Any, *, alpha: float = 1.0) -> Any:
        """Return self + alpha other."""
        ...

    def mul(self, factor: float, /) -> Any:
        """Return factor self."""
        ...


Vector = TypeVar("Vector", bound=Linear)
Rate = Callable[[float | Tensor, Any, Any], Any]
"""Maps (time, state, forcing) to the time derivative of the state."""
Method = Callable[[Rate, Any, Any, float, float | Tensor], Any]
"""One step, (rate, state, noise, dt, time) to the next state: `heun_step`, `frozen_rk4_step`."""
StepNoise = Callable[[int], Tensor]
"""Maps the index of a step to its standard normal numbers."""

STEPS_PER_STREAM = 16
"""Steps that share one generator: starting one costs as much as 6,000 normal numbers."""


@cites("10.1007/978-3-662-12616-5", "10.1103/PhysRevB.58.14937")
def heun_step(
    rate: Rate,
    state: Vector,
    noise: Linear,
    dt: float,
    time: float | Float[Tensor, ""] = 0.0,
) -> Vector:
    """Advance dx = rate(t, x, ξ) dt by one Heun step; converges to the Stratonovich solution.

    k1 = rate(t, x, ξ), k2 = rate(t + dt, x + k1 dt, ξ), x' = x + (k1 + k2) dt/2, with
    ξ = noise/√dt held over the step.

    Symbols: t time at the start of the step; x state; ξ white noise of unit spectral density, so
    ∫ξ dt over a step has variance dt; dt time step (the unit of 1/rate); noise N(0, 1).

    Source: Kloeden and Platen (1992); García-Palacios and Lázaro (1998). Weak order 1: the bias of
    an average is proportional to dt. Strong order 1 for commutative noise, 1/2 otherwise.
    """
    forcing = noise.mul(1 / math.sqrt(dt))
    first = rate(time, state, forcing)
    second = rate(time + dt, state.add(first, alpha=dt), forcing)
    return state.add(first.add(second), alpha=dt / 2)


@cites("10.1063/1.5003957", "10.1103/PhysRevB.58.14937")
def frozen_rk4_step(
    rate: Rate,
    state: Vector,
    noise: Linear,
    dt: float,
    time: float | Float[Tensor, ""] = 0.0,
) -> Vector:
    """Advance dx = rate(t, x, ξ) dt by one classical Runge-Kutta step under frozen noise.

    k1 = rate(t, x, ξ), k2 = rate(t + dt/2, x + k1 dt/2, ξ), k3 = rate(t + dt/2, x + k2 dt/2, ξ),
    k4 = rate(t + dt, x + k3 dt, ξ), x' = x + (k1 + 2k2 + 2k3 + k4) dt/6, ξ = noise/√dt held.

    Symbols as for `heun_step`. The path under frozen noise is followed to order 4, but frozen noise
    is itself only of weak order 1: what the method gains over Heun is the deterministic part, such
    as precession at small damping. `physics.macrospin.step` states measured biases.

    Source: Leliaert et al. (2017), who hold the noise over each step of a Runge-Kutta method.
    """
    forcing = noise.mul(1 / math.sqrt(dt))
    half = dt / 2
    first = rate(time, state, forcing)
    second = rate(time + half, state.add(first, alpha=half), forcing)
    third = rate(time + half, state.add(second, alpha=half), forcing)
    fourth = rate(time + dt, state.add(third, alpha=dt), forcing)
    total = first.add(fourth).add(second.add(third), alpha=2)
    return state.add(total, alpha=dt / 6)


def keyed_step_noise(key: Key, like: Float[Tensor, "*noise"]) -> StepNoise:
    """Return noise that depends on the key and the step index alone, shaped as `like`.

    A run may stop after any step and resume elsewhere without carrying a generator's state. Step i
    is draw i mod 16 of the stream of i div 16 (`STEPS_PER_STREAM`): in order it costs its numbers
    alone, out of order up to 15 draws more.

    Numbers are drawn in float32, which is five times as fast, and converted: float32 and float64
    runs see the same noise. One thread may call it at a time.
    """
    buffer = torch.empty_like(like, dtype=torch.float32)
    upcoming, stream = -1, None

    def draw(index: int) -> Tensor:
        nonlocal upcoming, stream
        group, skipped = divmod(index, STEPS_PER_STREAM)
        if stream is None or index != upcoming or not skipped:
            stream = KeyedNoise.from_key(key.child(group), like.device)
            for _ in range(skipped):
                stream.normal(buffer)
        upcoming = index + 1
        return stream.normal(buffer).to(like.dtype)

    return draw


def keyed_block_noise(
    key: Key, like: Float[Tensor, "*noise"], block: int, axis: int, first_block: int = 0
) -> StepNoise:
    """Return noise in which every `block` replicas along `axis` have a stream of their own.

    Block b, counted from `first_block`, takes `keyed_step_noise(key.child("block", b), ...)`: an
    ensemble cut into chunks of whole blocks sees the noise that it sees in one piece, and more
    replicas leave the noise of full blocks as it is.

    Raises:
        ValueError: `block` is less than 1.
    """
    if block < 1:
        raise ValueError(f"Argument `block` must be at least 1, but is {block}.")
    parts = [
        keyed_step_noise(key.child("block", first_block + number), part)
        for number, part in enumerate(like.split(block, axis))
    ]
    if len(parts) == 1:
        return parts[0]
    return lambda index: torch.cat([part(index) for part in parts], axis)


def integrate(
    step: Callable[[int, State, Tensor], State],
    state: State,
    noise: StepNoise,
    steps: range,
    observe: Callable[[int, State], None] | None = None,
) -> State:
    """Return the state after the steps with the given indices.

    state ← step(i, state, noise(i)) for each i in `steps`; then `observe(i, state)`. The index
    tells the step its time, i dt. Integrating range(0, n) equals range(0, k), then range(k, n).
    """
    for index in steps:
        state = step(index, state, noise(index))
        if observe is not None:
            observe(index, state)
    return state
