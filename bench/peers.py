"""Speeds of magnum.np and cmtj on this machine, one thread, one replica at a time.

Neither enters this process: BAYESPIN_MAGNUMNP_PYTHON and BAYESPIN_CMTJ_PYTHON name interpreters
that have them (`pip install torch==2.13.0 magnumnp==2.2.0`, `pip install cmtj==1.15.0`); without
one its figures are left out.

A film is nx x 16 x 1 cells of 2 x 2 x 1.5 nm, M_s 1 MA/m, A 13 pJ/m, K_u 0.7 MJ/m³, α 0.02, 300 K,
with exchange, demagnetisation, uniaxial anisotropy and thermal field, in float64 as shipped; one
replica-cell-step is one step of one cell. `heun` are steps of 50 fs of two evaluations of the
shipped right-hand side (its own Heun does not run in 2.2.0), `rkf45` accepted steps of the shipped
adaptive scheme, of six evaluations, which come out near 50 fs here. `eager` runs the functions as
written, `compiled` through torch.compile, which is how they come; compiling is not counted.

A macrospin is one trajectory of the shipped Heun scheme at 300 K with anisotropy and demagnetising
tensor, steps of 1 ps, one state in a thousand kept.

Rates count processor time of the peer's process, so that other work on the machine weighs little;
the best of five rounds.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _measure import report

HERE = Path(__file__).resolve().parent
INTERPRETERS = {
    "magnumnp": os.environ.get("BAYESPIN_MAGNUMNP_PYTHON"),
    "cmtj": os.environ.get("BAYESPIN_CMTJ_PYTHON"),
}


def timed(peer: str, arguments: list[str], **environment: str) -> dict[str, float]:
    """Return what `_peer_NAME.py` prints last, run by the interpreter of that peer."""
    kept = {name: v for name, v in os.environ.items() if not name.startswith("PYTHON")}
    command = [str(INTERPRETERS[peer]), str(HERE / f"_peer_{peer}.py"), *arguments]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command,
            cwd=folder,
            env=kept | {"OMP_NUM_THREADS": "1", "CUDA_DEVICE": "-1"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise SystemExit(f"{peer} stopped with status {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def rates() -> dict[str, float]:
    """Return replica-cell-steps (films) and steps (macrospin) per second of the peers there are."""
    found: dict[str, float] = {}
    if INTERPRETERS["magnumnp"]:
        for kind, disable in (("eager", "1"), ("compiled", "0")):
            for nx in (16, 64):
                speeds = timed("magnumnp", [str(nx)], TORCH_COMPILE_DISABLE=disable)
                for scheme, value in speeds.items():
                    found[f"magnumnp_film{nx}_{kind}_{scheme}_cell_steps_per_s"] = value
    if INTERPRETERS["cmtj"]:
        found["cmtj_macrospin_heun_steps_per_s"] = timed("cmtj", [])["heun"]
    return found


if __name__ == "__main__":
    figures = rates()
    if figures:
        report("peers", figures, "1/s", next(iter(figures)))
    else:
        print("No peer: see the head of bench/peers.py for the two variables.", file=sys.stderr)
