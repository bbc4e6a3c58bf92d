"""CUDA part of `bench physics`: replica-steps per second, their curve, and the roofline.

The roofline comes from the machine code of the compiled kernel. Every instruction of the inner loop
takes one issue slot, of which a multiprocessor has 4 x 32 lanes per clock, and a place in the pipe
that executes it. The slowest of these sets the bound; the fraction is the measured rate over it.
The state of a macrospin stays in registers, so memory sets no bound.

What to expect on an H200, as arithmetic and not as a measurement: 153 instructions per step of the
widest form are 2.2e11 steps/s at 1.98 GHz, 60 % of it 1.3e11. What usually holds the rest back is
the wait for results where too few warps share a scheduler, and clocks below their maximum.

Run as a program, prints the figures as JSON; without a device only the bound, from code compiled
for one.
"""

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from bayespin.numerics.stochastic import keyed_step_noise
from bayespin.physics import macrospin_triton
from bayespin.physics.film import motion
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.macrospin_triton import Form
from bayespin.physics.spin_torque import SpinTorque
from bayespin.rng import CounterNoise, Key

KEY = Key.root(0)
WIDEST = Form.fitting(10**6)
COUNTS = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)

# Lanes per clock and multiprocessor of compute capability 9.0: CUDA C++ Programming Guide, table
# of the throughput of native arithmetic instructions; four schedulers issue one warp each.
LANES = {"issue": 128, "float": 128, "integer": 64, "multiply": 64, "convert": 64, "special": 16}
PIPES = {
    "float": ("FFMA", "FMUL", "FADD"),
    "multiply": ("IMAD",),
    "convert": ("I2FP", "I2F", "F2I"),
    "special": ("MUFU",),
    "integer": ("LOP3", "IADD3", "VIADD", "SHF", "ISETP", "FSETP", "SEL", "FSEL", "LEA", "PRMT"),
}
LABEL = re.compile(r"(LBB\d+):")
BRANCH = re.compile(r"BRA(?:\.U)? (LBB\d+);")
OPCODE = re.compile(r"\S+\s+(?:@!?\w+ )?([A-Z][A-Z0-9_]*)")


@dataclass(frozen=True)
class Processor:
    """What bounds a kernel that lives in registers."""

    multiprocessors: int
    clock: float
    """Hz."""


H200 = Processor(132, 1.98e9)
"""As `nvidia-smi` shows it: multiprocessors and highest clock."""


def inner_loop(machine_code: str) -> Counter[str]:
    """Return how often each instruction stands in the longest loop that has no loop inside."""
    lines = machine_code.splitlines()
    labels = {m[1]: n for n, line in enumerate(lines) if (m := LABEL.match(line))}
    jumps = ((n, labels[m[1]]) for n, line in enumerate(lines) if (m := BRANCH.search(line)))
    # A kernel ends in a jump to itself, which is no loop.
    loops = [(start, end) for end, start in jumps if start < end - 1]
    innermost = [
        (start, end)
        for start, end in loops
        if not any(start <= s and e <= end and (s, e) != (start, end) for s, e in loops)
    ]
    start, end = max(innermost, key=lambda loop: loop[1] - loop[0])
    return Counter(m[1] for line in lines[start : end + 1] if (m := OPCODE.match(line)))


def bounds(loop: Counter[str], steps: int, processor: Processor) -> dict[str, float]:
    """Return macrospin steps per second that each pipe allows, for `steps` of a lane in a loop."""
    used = {pipe: sum(loop[name] for name in names) for pipe, names in PIPES.items()}
    used["issue"] = loop.total()
    lanes = processor.multiprocessors * processor.clock * steps
    return {pipe: LANES[pipe] * lanes / count for pipe, count in used.items() if count}


class _Described:
    """Stands for a device that is not there: enough for Triton to compile for a Hopper."""

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget  # ty: ignore[import-not-found]

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, _device: int) -> int:
        return 0


def compiled(form: Form) -> Any:
    """Return the steady kernel without torques, compiled for the device or for a Hopper."""
    from triton.runtime import driver  # ty: ignore[import-not-found]
    from triton.runtime.jit import MockTensor  # ty: ignore[import-not-found]

    from bayespin.physics import _macrospin_kernel as kernel

    if not torch.cuda.is_available():
        driver.set_active(_Described())
    arrays = (MockTensor.wrap_dtype(torch.float32),) * 5
    shape = (form.lanes, False, False, False)
    place, counts = (KEY.seed(), 0, 0, 0), (2, 8192, 2, 10**6)
    return kernel.advance.warmup(
        arrays, place, counts, shape, num_warps=form.warps, enable_fp_fusion=True, grid=(1,)
    )


def processor() -> Processor:
    """Return the device that is here, with its highest clock."""
    query = ["nvidia-smi", "--query-gpu=clocks.max.sm", "--format=csv,noheader,nounits"]
    shown = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    count = torch.cuda.get_device_properties(0).multi_processor_count
    return Processor(count, float(shown.splitlines()[0]) * 1e6)


def rate(advance: Callable[[int], object], replicas: int, steps: int, rounds: int = 5) -> float:
    """Return the best rate of replicas x steps per second over some rounds."""
    advance(steps)
    best = 0.0
    for _ in range(rounds):
        torch.cuda.synchronize()
        started = time.perf_counter()
        advance(steps)
        torch.cuda.synchronize()
        best = max(best, replicas * steps / (time.perf_counter() - started))
    return best


def macrospin_rate(replicas: int, form: Form | None = None) -> float:
    """Return replica-steps per second of the fused kernel: Heun with noise, one operating point."""
    spins = Macrospins(
        layer=FreeLayer(
            saturation_magnetisation=1e6, diameter=50e-9, thickness=1.2e-9, damping=0.02
        ),
        effective_anisotropy=2e3,
        applied_field=torch.tensor([0.0, 0.0, 0.01], device="cuda"),
        temperature=300.0,
        time_step=1e-12,
    )
    m = torch.zeros((3, replicas), device="cuda")
    m[2] = 1
    noise = CounterNoise.from_key(KEY, m)
    steps = min(65_536, max(8192, 2**33 // replicas))
    return rate(
        lambda steps: macrospin_triton.simulate(spins, m, noise, range(steps), form=form),
        replicas,
        steps,
    )


def film_rate(nx: int, replicas: int) -> float:
    """Return replica-cell-steps per second of an nx x 16 x 1 film, all terms and noise."""
    film = Film(
        mesh=Mesh(cells=(nx, 16, 1), cell=(2e-9, 2e-9, 1.5e-9)),
        saturation_magnetisation=1e6,
        exchange=1.3e-11,
        damping=0.02,
        uniaxial_anisotropy=7e5,
        interfacial_dmi=2.5e-4,
    )
    torque = SpinTorque(direction=torch.tensor([0.0, 1.0, 0.0]), damping_like=1e-3)
    drive = motion.Drive(applied_field=torch.tensor([0.0, 0.0, 0.01]), spin_torques=(torque,))
    m = torch.zeros((replicas, 3, 1, 16, nx), device="cuda")
    m[:, 2] = 1
    films = motion.films(film, drive, time_step=5e-14, temperature=300.0, like=m)
    # One stream: a stream per block of replicas would cost a launch each.
    noise = keyed_step_noise(KEY, m)
    return rate(
        lambda steps: motion.simulate(films, m, noise, range(steps)), replicas * 16 * nx, 32
    )


def curve() -> dict[int, float]:
    """Return replica-steps per second for 1 to 1e6 replicas; the cost is replicas over this."""
    return {count: macrospin_rate(count) for count in COUNTS}


def figures() -> dict[str, float]:
    """Return the figures of this part; all but the fraction in steps per second."""
    measured = curve()
    loop = inner_loop(compiled(WIDEST).asm["sass"])
    allowed = bounds(loop, WIDEST.lanes // (32 * WIDEST.warps), processor())
    best = max(measured.values())
    return {
        "film16_cell_steps_per_s_cuda": max(film_rate(16, count) for count in (4096, 32_768)),
        "film64_cell_steps_per_s_cuda": max(film_rate(64, count) for count in (1024, 8192)),
        "macrospin_steps_per_s_cuda": best,
        "macrospin_bound_steps_per_s_cuda": min(allowed.values()),
        "macrospin_fraction_of_bound_cuda": best / min(allowed.values()),
        **{f"macrospin_{count}_steps_per_s_cuda": found for count, found in measured.items()},
    }


if __name__ == "__main__":
    if torch.cuda.is_available():
        print(json.dumps(figures()))
    else:
        code = inner_loop(compiled(WIDEST).asm["sass"])
        print(json.dumps({"loop": code, "bounds": bounds(code, 2, H200)}))
