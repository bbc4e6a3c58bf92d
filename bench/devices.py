"""Seconds, CPU seconds of all threads, and memory to program a million cells: both loops.

Means and spreads are drawn as a trained layer has them; one block of cells per core at a time.
"""

import os
import resource
import time

import torch
from _measure import interleaved, report

from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import WantedCells
from bayespin.rng import Key

ROWS, OUTPUTS, GAIN = 1000, 1000, 4.0


def main() -> None:
    """Time programming and one look at the chip at another temperature, in turns."""
    torch.set_num_threads(os.cpu_count() or 1)
    cell, key = BitCell.preset(), Key.root(0)
    generator = key.child("weights").generator()
    mean = torch.empty(ROWS, OUTPUTS).normal_(0, 0.2, generator=generator).clamp_(-1, 1)
    ratio = torch.empty(ROWS, OUTPUTS).uniform_(generator=generator)
    floor, cap = cell.sigma_window(GAIN, 1.0)
    sigma = floor * (cap / floor) ** ratio
    wanted = WantedCells(mean=mean, sigma=sigma, read_noise=cell.read_noise(GAIN))
    before = _peak()
    rounds, worked = 3, time.process_time()
    found = interleaved({"program_1e6_cells_s": lambda: cell.program(wanted, GAIN, key)}, rounds)
    worked = (time.process_time() - worked) / (rounds + 1)
    grown = _peak() - before
    report(
        "devices",
        {**found, "program_1e6_cells_cpu_s": worked, "program_1e6_cells_gib": grown},
        {
            "program_1e6_cells_s": "s",
            "program_1e6_cells_cpu_s": "CPU s",
            "program_1e6_cells_gib": "GiB",
        },
        "program_1e6_cells_s",
    )


def _peak() -> float:
    """Return the largest resident memory of this process so far, in GiB (kB on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
