"""Runs of the fused kernel for `test_macrospin_triton`, in a process without import hooks.

On CUDA where there is a device, else interpreted by Triton on the CPU (TRITON_INTERPRET=1, at 40 ms
a step). Prints one JSON object.
"""

import json
import sys
from dataclasses import replace

import torch
import triton
import triton.language as tl

from bayespin import rng
from bayespin.physics import _macrospin_kernel as kernel
from bayespin.physics import macrospin
from bayespin.physics import macrospin_triton as fused
from bayespin.physics.drive import Pulse, Sine
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.macrospin_triton import Form
from bayespin.physics.spin_torque import SpinTorque
from bayespin.rng import CounterNoise, Key

DEVICE = "cpu" if kernel.INTERPRETED else "cuda"
POINTS, REPLICAS, STEPS, EVERY = 3, 40, 8, 4
SEED = Key.root(0).child("fused").seed()
FORM = Form(128, 4)


@triton.jit
def draw(words, normals, seed, step, point, LANES: tl.constexpr):
    lane = tl.arange(0, LANES)
    replica = lane.to(tl.uint32)
    here, now = replica * 0 + point.to(tl.uint32), replica * 0 + step.to(tl.uint32)
    ours = kernel._philox(seed, replica, now, here, replica * 0)
    theirs = tl.philox(seed, replica, now, here, replica * 0)
    made = kernel._normals(seed, replica, now, here)
    for k in tl.static_range(4):
        tl.store(words + k * LANES + lane, ours[k].to(tl.int64))
        tl.store(words + (4 + k) * LANES + lane, theirs[k].to(tl.int64))
    for k in tl.static_range(3):
        tl.store(normals + k * LANES + lane, made[k])


def generator() -> dict[str, object]:
    lanes, step, point = 4096, 2**32 - 5, 7
    words = torch.zeros((2, 4, lanes), dtype=torch.int64, device=DEVICE)
    normals = torch.zeros((3, lanes), device=DEVICE)
    draw[(1,)](words, normals, SEED, step, point, LANES=lanes)
    counter = (torch.arange(lanes), torch.tensor(step), torch.tensor(point), torch.tensor(0))
    exact = torch.stack(rng.philox(SEED, counter)).to(DEVICE)
    noise = CounterNoise(SEED, torch.empty(1, 3, lanes), first_point=point)(step)[0]
    return {
        "words": bool((words == exact).all()),
        "normals": float((normals.cpu() - noise).abs().max()),
    }


def real(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, device=DEVICE)


def steady() -> Macrospins:
    torque = SpinTorque(direction=real(0.0, 0.6, 0.8), damping_like=3e-3, field_like=1e-3)
    return Macrospins(
        layer=FreeLayer(
            saturation_magnetisation=1e6, diameter=50e-9, thickness=1.2e-9, damping=0.1
        ),
        effective_anisotropy=real(-3e4, 0.0, 2e4)[:, None],
        in_plane_anisotropy=2e3,
        applied_field=real(0.01, 0.02, 0.005),
        spin_torques=(torque,),
        temperature=300.0,
        time_step=2e-12,
    )


def driven() -> Macrospins:
    """Return edges within the run, one of them sharp and exactly at the start of a step."""
    spins, edge = steady(), 5 * 2e-12
    torque = SpinTorque(
        direction=real(0.0, 0.6, 0.8),
        damping_like=Sine(amplitude=5e-3, frequency=5e10),
        field_like=Pulse(amplitude=real(1e-3, 0.0, -2e-3)[:, None, None], start=edge, width=6e-12),
    )
    return replace(
        spins,
        effective_anisotropy=Pulse(
            amplitude=spins.effective_anisotropy, start=edge, width=1e-11, rise=5e-12
        ),
        applied_field=Pulse(amplitude=real(0.01, 0.02, 0.005), start=edge, width=1e-11),
        spin_torques=(torque,),
    )


def devices() -> Macrospins:
    """Return replicas that differ from each other, each at a temperature of its own."""
    spread = torch.linspace(0.9, 1.1, REPLICAS, dtype=torch.float64, device=DEVICE)
    return replace(
        steady(),
        effective_anisotropy=real(-3e4, 0.0, 2e4)[:, None] * spread,
        temperature=300 * spread,
        spin_torques=(),
    )


def start(dtype: torch.dtype) -> torch.Tensor:
    m = CounterNoise(1, torch.empty((POINTS, 3, REPLICAS), dtype=torch.float64))(0)
    return (m / m.norm(dim=1, keepdim=True)).to(device=DEVICE, dtype=dtype)


def difference(spins: Macrospins, dtype: torch.dtype, seed: int = SEED) -> float:
    """Return the largest difference of kernel and twin over all records."""
    m, kept = start(dtype), []

    def keep(index: int, m: torch.Tensor) -> None:
        if (index + 1) % EVERY == 0:
            kept.append(m.clone())

    macrospin.simulate(spins, m, CounterNoise(seed, m), range(STEPS), keep)
    found = fused.simulate(spins, m, CounterNoise(SEED, m), range(STEPS), EVERY, FORM)
    return float((found - torch.stack(kept)).abs().max())


def splits() -> dict[str, bool]:
    """Return what must be equal bit for bit."""
    spins, m = driven(), start(torch.float32)
    noise = CounterNoise(SEED, m)
    whole = fused.simulate(spins, m, noise, range(STEPS), EVERY, FORM)
    first = fused.simulate(spins, m, noise, range(3), None, FORM)[-1]
    second = fused.simulate(spins, first, noise, range(3, STEPS), None, FORM)[-1]
    fused.STEPS_PER_LAUNCH = 3
    pieces = fused.simulate(spins, m, noise, range(STEPS), EVERY, FORM)
    fused.STEPS_PER_LAUNCH = 8
    grouped = fused.simulate(spins, m, noise, range(STEPS), EVERY, FORM)
    fused.STEPS_PER_LAUNCH = 8192
    alone = steady()
    batch = fused.simulate(alone, m, noise, range(EVERY), None, FORM)[-1]
    lone = fused.simulate(
        replace(alone, effective_anisotropy=alone.effective_anisotropy[1:]),
        m[1:, :, 7:8],
        CounterNoise(SEED, m[1:, :, 7:8], first_replica=7, first_point=1),
        range(EVERY),
        None,
        FORM,
    )[-1]
    return {
        "steps": torch.equal(second, whole[-1]),
        "launches": torch.equal(pieces, whole),
        "several records a launch": torch.equal(grouped, whole),
        "points and replicas": torch.equal(lone, batch[1:, :, 7:8]),
    }


def main() -> None:
    torch.set_num_threads(1)
    found = {
        "device": DEVICE,
        **generator(),
        "equal": splits(),
        "steady": difference(steady(), torch.float32),
        "driven": difference(driven(), torch.float32),
        "devices": difference(devices(), torch.float32),
        "double": difference(driven(), torch.float64),
        "other noise": difference(steady(), torch.float32, seed=SEED + 1),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
