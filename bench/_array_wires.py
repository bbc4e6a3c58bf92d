"""Wires of 128 rows for `array_.py`: products through them, and what it takes to build them."""

import time
from collections.abc import Callable

import torch

from bayespin.array.effective import EffectiveTile, effective
from bayespin.array.wires import Wires, solve
from bayespin.cell.interface import ProgrammedCells
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor

ROWS, OUTPUTS, BATCH = 128, 128, 32
WIRES = Wires(row_resistance=1.0, column_resistance=1.0)
CONDUCTANCES = {"wires128": (1e-6, 1e-4), "wires128_mtj": (8e-5, 2e-4)}
"""Of cells of 10 kΩ to 1 MΩ, and of 5 to 12.5 kΩ."""


def pairs(low: float, high: float) -> ProgrammedCells:
    """Return 128 × 128 differential pairs, conductances uniform between two values."""
    generator = Key.root(0).generator()
    shape = (2, ROWS, OUTPUTS)
    conductance = low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)
    return ProgrammedCells(
        conductance=conductance,
        spread=0.03 * conductance,
        correlation_time=torch.zeros_like(conductance),
        gains=torch.tensor([1.0, -1.0], dtype=torch.float64),
        noise_gains=torch.zeros(2, dtype=torch.float64),
    )


def build_seconds(columns: int, low: float = 8e-5, high: float = 2e-4) -> float:
    """Return the seconds of the best of three exact solutions of 128 rows."""
    generator = Key.root(1).generator()
    uniform = torch.rand(ROWS, columns, generator=generator, dtype=torch.float64)
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        solve(low + (high - low) * uniform, WIRES)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def products() -> dict[str, Callable[[], object]]:
    """Return the products to time in turns: plain, through wires, and with the wires' noise."""
    x = torch.rand(BATCH, ROWS, generator=Key.root(2).generator())
    weight = torch.rand(ROWS, OUTPUTS, generator=Key.root(3).generator())
    tasks: dict[str, Callable[[], object]] = {"matmul": lambda: x @ weight}
    for name, (low, high) in CONDUCTANCES.items():
        tile = effective(pairs(low, high), WIRES)
        mean, variance = tile.mean.float(), single(tile)
        tasks[name] = lambda mean=mean: x @ mean
        tasks[f"{name}_variance"] = lambda variance=variance: variance(x)
    return tasks


def single(
    tile: EffectiveTile,
) -> Callable[[Float[Tensor, "images rows"]], Float[Tensor, "images outputs"]]:
    """Return the tile's variance as float32 products, in units of the largest."""
    scale = 1 / float(tile.square.abs().max())
    square, cross = (tile.square * scale).float(), (tile.cross * scale).float()
    profile = tile.profile.float()

    def variance(x: Tensor) -> Tensor:
        found, z = x.square() @ square, x @ profile
        for f in range(len(cross)):
            found.addcmul_(z[:, f, None], x @ cross[f])
        return found

    return variance
