"""One thermal film in magnum.np, timed; run by `peers.py` in an interpreter that has it.

Arguments: cells along x. Prints one line of JSON last. magnum.np is GPLv3 and sets torch's default
dtype, device and seed when imported, so that it never enters the process of bayespin.
"""

import json
import sys
import time
from collections.abc import Callable

import torch
from magnumnp import (  # ty: ignore[import-not-found]
    DemagField,
    ExchangeField,
    LLGSolver,
    Mesh,
    State,
    ThermalField,
    UniaxialAnisotropyField,
)

NY, CELL, STEP = 16, (2e-9, 2e-9, 1.5e-9), 5e-14
STEPS, ROUNDS = 100, 5


def best_rate(advance: Callable[[], int]) -> float:
    """Return the best count per second over some rounds, after one that warms up."""
    advance()
    rates = []
    for _ in range(ROUNDS):
        started = time.process_time()
        count = advance()
        rates.append(count / (time.process_time() - started))
    return max(rates)


def main(nx: int) -> dict[str, float]:
    """Return cell-steps per second of Heun by hand and of accepted steps of the shipped RKF45."""
    torch.set_num_threads(1)
    state = State(Mesh((nx, NY, 1), CELL))
    state.material = {"Ms": 1e6, "A": 1.3e-11, "Ku": 7e5, "Ku_axis": [0, 0, 1], "alpha": 0.02}
    state.T = 300.0
    state.m = state.Constant([0.0, 0.0, 1.0])
    terms = [ExchangeField(), DemagField(), UniaxialAnisotropyField(), ThermalField()]
    solver = LLGSolver(terms)

    def heun() -> int:
        for _ in range(STEPS):
            m, state._dt = state.m, STEP
            first = solver.dm(state.t, m, state)
            second = solver.dm(state.t + STEP, m + STEP * first, state)
            moved = m + STEP / 2 * (first + second)
            state.m = moved / torch.linalg.norm(moved, dim=-1, keepdim=True)
            # The thermal field is drawn anew when this number changes: once a step.
            state._step += 1
        return STEPS * nx * NY

    def shipped() -> int:
        before = state._step
        solver.step(state, 2e-12)
        return (state._step - before) * nx * NY

    return {"heun": best_rate(heun), "rkf45": best_rate(shipped)}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
