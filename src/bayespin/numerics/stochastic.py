"""Stochastic steps and the loop that repeats them; no physics.

A step is a pure function of (state, noise, dt). The loop counts steps with an integer, never with
a sum of times, and asks its noise by that integer: n steps at once equal any split of them, to
the last bit.
"""

import math
from collections.abc import Callable
from typing import TypeVar

from bayespin.cite import cites
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor

State = TypeVar("State")
Rate = Callable[[Tensor, Tensor], Tensor]
"""Maps (state, forcing) to the time derivative of the state."""
StepNoise = Callable[[int], Tensor]
"""Maps the index of a step to its standard normal numbers."""


@cites("10.1007/978-3-662-12616-5", "10.1103/PhysRevB.58.14937")
def heun_step(
    rate: Rate,
    state: Float[Tensor, "*batch"],
    noise: Float[Tensor, "*noise"],
    dt: float,
) -> Float[Tensor, "*batch"]:
    """Advance dx = rate(x, ξ) dt by one Heun step; converges to the Stratonovich solution.

    k1 = rate(x, ξ), k2 = rate(x + k1 dt, ξ), x' = x + (k1 + k2) dt/2, with ξ = noise/√dt held over
    the step.

    Symbols: x state; ξ white noise of unit spectral density, so ∫ξ dt over a step has variance dt;
    dt time step (the unit of 1/rate); noise N(0, 1).

    Source: Kloeden and Platen (1992); García-Palacios and Lázaro (1998). Weak order 1: the bias of
    an average is proportional to dt. Strong order 1 for commutative noise, 1/2 otherwise.
    """
    forcing = noise / math.sqrt(dt)
    first = rate(state, forcing)
    second = rate(state + dt * first, forcing)
    return state + (dt / 2) * (first + second)


def keyed_step_noise(key: Key, like: Float[Tensor, "*noise"]) -> StepNoise:
    """Return noise that depends on the key and the step index alone, shaped as `like`.

    A run may stop after any step and resume elsewhere without carrying a generator's state.
    """

    def draw(index: int) -> Tensor:
        return KeyedNoise.from_key(key.child(index), like.device).normal(like)

    return draw


def integrate(
    step: Callable[[State, Tensor], State],
    state: State,
    noise: StepNoise,
    steps: range,
    observe: Callable[[int, State], None] | None = None,
) -> State:
    """Return the state after the steps with the given indices.

    state ← step(state, noise(i)) for each i in `steps`; then `observe(i, state)`. Integrating
    range(0, n) equals range(0, k) followed by range(k, n).
    """
    for index in steps:
        state = step(state, noise(index))
        if observe is not None:
            observe(index, state)
    return state
