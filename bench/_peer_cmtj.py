"""One thermal macrospin in cmtj, timed; run by `peers.py` in an interpreter that has it.

Prints one line of JSON last. cmtj is GPLv2 and never enters the process of bayespin.
"""

import json
import time

from cmtj import (  # ty: ignore[import-not-found]
    CVector,
    Junction,
    Layer,
    SolverMode,
    constantDriver,
)

STEP, STEPS, ROUNDS = 1e-12, 1_000_000, 5


def main() -> dict[str, float]:
    """Return steps per second of its Heun scheme at 300 K, one state in a thousand kept."""
    demagnetising = [CVector(0.05, 0, 0), CVector(0, 0.05, 0), CVector(0, 0, 0.9)]
    layer = Layer(
        "free",
        mag=CVector(0.1, 0.0, 0.995),
        anis=CVector(0, 0, 1),
        Ms=1.2566,  # tesla: 1 MA/m
        thickness=2e-9,
        cellSurface=2e-15,
        demagTensor=demagnetising,
        damping=0.02,
    )
    junction = Junction([layer])
    junction.setLayerAnisotropyDriver("free", constantDriver(7e5))
    junction.setLayerTemperatureDriver("free", constantDriver(300))
    rates = []
    for _ in range(ROUNDS):
        junction.clearLog()
        started = time.process_time()
        junction.runSimulation(
            totalTime=STEP * STEPS,
            timeStep=STEP,
            writeFrequency=1000 * STEP,
            solverMode=SolverMode.Heun,
        )
        rates.append(STEPS / (time.process_time() - started))
    heights = junction.getLog()["free_mz"]
    if not max(heights) - min(heights) > 1e-3:
        raise SystemExit("the temperature has no effect")
    return {"heun": max(rates)}


if __name__ == "__main__":
    print(json.dumps(main()))
