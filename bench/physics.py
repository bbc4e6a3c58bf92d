"""Replica-steps per second of the stochastic LLG equation, and the time of a characterisation.

A film step is one Heun step of one cell with exchange, DMI, uniaxial anisotropy, demagnetisation,
applied field, spin-orbit torque and noise; a macrospin step is one Heun step with anisotropy, field
and noise. Rates are the best of some rounds on one thread in float32, generator included. The
reference is what the noise alone allows: three normal numbers per step and nothing else.
`characterize_s` is 12 settings of one junction x 1024 macrospins x 200 ns.

Where there is a CUDA device, its figures follow; where BAYESPIN_MAGNUMNP_PYTHON and
BAYESPIN_CMTJ_PYTHON name interpreters (see `peers.py`), those of the peers and our ratios to them.
"""

import os
import time
from collections.abc import Callable

import peers
import physics_cuda
import torch
from _measure import report

from bayespin.device import presets, stochastic_mtj
from bayespin.numerics.stochastic import integrate, keyed_block_noise, keyed_step_noise
from bayespin.physics import macrospin
from bayespin.physics.characterisation import Settings, ensemble_statistics
from bayespin.physics.ensemble import Execution
from bayespin.physics.film import motion
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.free_layer import FreeLayer, effective_anisotropy
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.spin_torque import SpinTorque
from bayespin.rng import Key

KEY = Key.root(0)
FILM_BLOCK, MACROSPIN_BLOCK = 16, 32_768
STEPS = 500
CURVE = (1, 10, 100, 1000, 10_000, 100_000, 1_000_000)


def rate(advance: Callable[[int], object], count: int, per_call: int, rounds: int = 15) -> float:
    """Return the best rate of `count` x steps per second over some rounds of `per_call` steps."""
    advance(1)
    best = 0.0
    for _ in range(rounds):
        started = time.perf_counter()
        advance(per_call)
        best = max(best, count * per_call / (time.perf_counter() - started))
    return best


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
    m = torch.zeros((replicas, 3, 1, 16, nx))
    m[:, 2] = 1
    films = motion.films(film, drive, time_step=5e-14, temperature=300.0, like=m)
    noise = keyed_block_noise(KEY, m, FILM_BLOCK, 0)
    return rate(
        lambda steps: motion.simulate(films, m, noise, range(steps)),
        replicas * 16 * nx,
        max(5, 1_000_000 // (replicas * 16 * nx)),
    )


def macrospins() -> Macrospins:
    """Return one operating point of an easy-plane junction in a field."""
    return Macrospins(
        layer=FreeLayer(
            saturation_magnetisation=1e6, diameter=50e-9, thickness=1.2e-9, damping=0.02
        ),
        effective_anisotropy=-1e4,
        applied_field=torch.tensor([0.0, 0.0, 0.01]),
        temperature=300.0,
        time_step=1e-12,
    )


def macrospin_rate(replicas: int, compiled: bool = False) -> float:
    """Return replica-steps per second, in blocks that caches hold as `ensemble.run` makes them."""
    spins = macrospins()
    sizes = [MACROSPIN_BLOCK] * (replicas // MACROSPIN_BLOCK)
    sizes += [replicas % MACROSPIN_BLOCK] if replicas % MACROSPIN_BLOCK else []
    blocks = []
    for number, size in enumerate(sizes):
        m = torch.zeros((3, size))
        m[0] = 1
        blocks.append((m, keyed_step_noise(KEY.child("block", number), m)))

    def advance(steps: int) -> None:
        for m, noise in blocks:
            if compiled:
                integrate(step, m, noise, range(steps))
            else:
                macrospin.simulate(spins, m, noise, range(steps))

    if compiled:
        step = macrospin.compiled_step(spins, blocks[0][0])
    return rate(advance, replicas, max(16, min(2000, 5_000_000 // replicas)))


def noise_rate() -> float:
    """Return macrospin steps per second if only their noise were drawn."""
    m = torch.zeros((3, MACROSPIN_BLOCK))
    noise = keyed_step_noise(KEY, m)

    def draw(steps: int) -> None:
        for index in range(steps):
            noise(index)

    return rate(draw, MACROSPIN_BLOCK, STEPS)


def characterisation() -> float:
    """Return the seconds of 12 x 1024 macrospins of the reference pillar over 200 ns."""
    pillar = presets.junction("easyplane-50nm")
    interface = stochastic_mtj.level_anisotropies(pillar)
    chosen = interface[torch.linspace(0, len(interface) - 1, 12).round().long()]
    settings = Settings(
        layer=pillar.layer,
        anisotropy=effective_anisotropy(pillar.layer, chosen),
        temperature=300.0,
        duration=200e-9,
    )
    started = time.perf_counter()
    ensemble_statistics(settings, KEY, Execution(workers=os.cpu_count() or 1))
    return time.perf_counter() - started


def ours() -> dict[str, float]:
    """Return the figures of this package on the CPU."""
    found = {
        "noise_steps_per_s": noise_rate(),
        "macrospin_steps_per_s": macrospin_rate(MACROSPIN_BLOCK),
        "macrospin_compiled_steps_per_s": macrospin_rate(MACROSPIN_BLOCK, compiled=True),
        "film16_cell_steps_per_s": film_rate(16, 128),
        "film64_cell_steps_per_s": film_rate(64, 64),
    }
    for replicas in CURVE:
        found[f"macrospin_us_per_step_{replicas}"] = 1e6 * replicas / macrospin_rate(replicas)
    return found | {"characterize_s": characterisation()}


def ratios(figures: dict[str, float]) -> dict[str, float]:
    """Return how many times as fast as each peer that was measured, step for step of Heun."""
    against = {
        "film16_cell_steps_per_s": "magnumnp_film16_",
        "film64_cell_steps_per_s": "magnumnp_film64_",
        "macrospin_steps_per_s": "cmtj_macrospin_",
        "macrospin_compiled_steps_per_s": "cmtj_macrospin_",
    }
    return {
        f"{_short(mine)}_over_{_short(peer)}": figures[mine] / value
        for mine, start in against.items()
        for peer, value in figures.items()
        if peer.startswith(start) and "rkf45" not in peer
    }


def _short(name: str) -> str:
    return name.removesuffix("_steps_per_s").removesuffix("_cell")


def unit(name: str) -> str:
    """Return the unit of a figure, which its name tells."""
    for mark, symbol in (("_over_", "1"), ("us_per_step", "µs"), ("_per_s", "1/s")):
        if mark in name:
            return symbol
    return "s" if name.endswith("_s") else "1"


def main() -> None:
    """Measure everything that this machine can."""
    torch.set_num_threads(1)
    found = ours() | peers.rates()
    if torch.cuda.is_available():
        found |= physics_cuda.figures()
    found |= ratios(found)
    report("physics", found, {name: unit(name) for name in found}, "noise_steps_per_s")


if __name__ == "__main__":
    main()
