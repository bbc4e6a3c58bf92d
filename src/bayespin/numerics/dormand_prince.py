"""Adaptive Dormand-Prince integration of a batch; no physics.

Every element of the batch has its own time and its own step, so that its path does not depend on
its neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.shapes import Bool, Float, Int, Tensor

TimedRate = Callable[[Tensor, Tensor], Tensor]
"""Maps (times shaped to broadcast over the state, state) to the time derivative of the state."""

# Butcher tableau: nodes, stage weights, fifth order, difference to the embedded fourth order.
_NODES = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)

_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0


class StepTooSmall(ArithmeticError):
    """An adaptive step fell below rounding: the rate is not finite, or far too stiff."""


@dataclass(frozen=True)
class Adaptive:
    """Where an adaptive integration ended, and what it took."""

    state: Float[Tensor, " batch *rest"]
    next_step: Float[Tensor, " batch"]
    """The step to go on with, s."""
    accepted: Int[Tensor, " batch"]
    rejected: Int[Tensor, " batch"]


@cites("10.1016/0771-050X(80)90013-3")
def dormand_prince(
    rate: TimedRate,
    state: Float[Tensor, " batch *rest"],
    span: tuple[float, float],
    first_step: float | Float[Tensor, " batch"],
    tolerance: float,
    project: Callable[[Tensor], Tensor] | None = None,
) -> Adaptive:
    """Integrate dx/dt = rate(t, x) over `span` by the pair of orders 5 and 4.

    A step h is accepted when max |x5 − x4| <= `tolerance`, per element of the batch; the next one
    is h clamp(0.9 (tolerance/error)^{1/5}, 0.2, 5). Accepted states pass through `project` (back
    onto the unit sphere, say).

    Symbols: t time (s); x state, first axis the batch; tolerance absolute, in units of x.

    Source: Dormand and Prince (1980). First-same-as-last: six rates a step without `project`.

    Raises:
        ValueError: the span is not forward, a step or the tolerance not positive.
        StepTooSmall: a step fell below 1e-12 of the span.
    """
    start, stop = span
    if not stop > start:
        raise ValueError(f"Argument `span` must run forward, but is ({start:g} s, {stop:g} s).")
    if not tolerance > 0:
        raise ValueError(f"Argument `tolerance` must be positive, but is {tolerance:g}.")
    step = torch.as_tensor(first_step, dtype=torch.float64, device=state.device)
    step = step.expand(len(state)).clone()
    if not bool((step > 0).all()):
        raise ValueError("Argument `first_step` must be positive everywhere, but is not.")
    time = torch.full_like(step, start)
    counts = torch.zeros((2, len(state)), dtype=torch.int64, device=state.device)
    first = rate(_beside(time, state), state)
    while bool((running := time < stop).any()):
        if bool((step[running] < 1e-12 * (stop - start)).any()):
            raise StepTooSmall(f"The step fell below {1e-12 * (stop - start):.1e} s.")
        last = step >= stop - time
        taken = torch.where(running, torch.where(last, stop - time, step), 0.0)
        moved, rates, error = _attempt(rate, time, state, first, taken)
        fits = error <= tolerance  # false for a NaN
        accepted = running & fits
        moved = moved if project is None else project(moved)
        state = torch.where(_beside(accepted, state), moved, state)
        renewed = rates if project is None else rate(_beside(time + taken, state), state)
        first = torch.where(_beside(accepted, state), renewed, first)
        time = torch.where(accepted, torch.where(last, stop, time + taken), time)
        counts += torch.stack((accepted, running & ~fits))
        step = torch.where(running, _next_step(step, taken, error, tolerance, accepted), step)
    return Adaptive(state, step, counts[0], counts[1])


def _next_step(
    step: Float[Tensor, " batch"],
    taken: Float[Tensor, " batch"],
    error: Float[Tensor, " batch"],
    tolerance: float,
    accepted: Bool[Tensor, " batch"],
) -> Float[Tensor, " batch"]:
    # A step that is not finite has no estimate: shrink as far as allowed.
    ratio = torch.where(error.isfinite(), error / tolerance, torch.inf).clamp(min=1e-12)
    proposed = taken * (_SAFETY * ratio.pow(-0.2)).clamp(_SHRINK, _GROW)
    # A step cut short at the end of the span says nothing against the one that was planned.
    cut = accepted & (taken < step)
    return torch.where(cut, torch.maximum(step, proposed), proposed)


def _attempt(
    rate: TimedRate, time: Tensor, state: Tensor, first: Tensor, step: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the fifth-order state, the rate there, and the largest error of each element."""
    h = _beside(step, state).to(state.dtype)
    rates, moved = [first], state
    for node, weights in zip(_NODES[1:], _STAGES, strict=True):
        moved = state + h * _weighted(weights, rates)
        rates.append(rate(_beside(time + node * step, state), moved))
    error = (h * _weighted(_ERROR, rates)).abs().flatten(1).amax(1)
    return moved, rates[-1], error.double()


def _weighted(weights: tuple[float, ...], rates: list[Tensor]) -> Tensor:
    total = weights[0] * rates[0]
    for weight, k in zip(weights[1:], rates[1:], strict=True):
        if weight:
            total = total.add(k, alpha=weight)
    return total


def _beside(values: Tensor, state: Tensor) -> Tensor:
    """Return per-element values shaped to broadcast over the state."""
    return values.reshape(-1, *([1] * (state.ndim - 1)))
