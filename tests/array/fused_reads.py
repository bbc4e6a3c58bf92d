"""Runs of the fused kernel for `test_moments_triton`, in a process without import hooks.

On CUDA where there is a device, else interpreted by Triton on the CPU (TRITON_INTERPRET=1). Prints
one JSON object.
"""

import json
import sys
from dataclasses import replace

import torch

from bayespin.array import _moments_kernel as kernel
from bayespin.array.moments_triton import FusedTiles, fused_reads, plain_reads
from bayespin.rng import Key

DEVICE = "cpu" if kernel.INTERPRETED else "cuda"
IMAGES, TILES, HEIGHT, OUTPUTS, READS = 19, 2, 21, 18, 3  # no multiple of a block
SEED = Key.root(0).child("fused reads").seed()
generator = Key.root(1).generator()


def uniform(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=generator).to(DEVICE)


drives = uniform(IMAGES, TILES, HEIGHT)
fine = FusedTiles(
    mean=uniform(TILES, HEIGHT, OUTPUTS) - 0.5,
    variance=uniform(TILES, HEIGHT, OUTPUTS) * 0.1,
    step=(uniform(TILES, OUTPUTS) + 1) * 2.0**-16,
    half_steps=2**20,
)
coarse = replace(fine, step=fine.step * 2.0**12, half_steps=8)


def compare(tiles: FusedTiles) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the kernel's reads and their twin's."""
    fused = fused_reads(drives, tiles, SEED, range(READS), "ieee")
    return fused, plain_reads(drives, tiles, SEED, range(READS))


(found, twin), (steps, steps_twin) = compare(fine), compare(coarse)
quiet = replace(fine, variance=torch.zeros_like(fine.variance))
unclipped = compare(replace(coarse, half_steps=2**20))[1]
parts = [fused_reads(drives, fine, SEED, part, "ieee") for part in (range(1), range(1, READS))]
result = {
    "fine": float((found - twin).abs().max()),
    "coarse": float(((steps - steps_twin).abs() > 1e-5).double().mean()),
    "clipped": float((steps_twin != unclipped).double().mean()),
    "split": torch.equal(torch.cat(parts), found),
    "other seed": float((fused_reads(drives, fine, SEED + 1, range(1), "ieee") - found[:1]).std()),
    "noise": float((found - fused_reads(drives, quiet, SEED, range(1), "ieee")).std()),
    "expected noise": float(
        torch.einsum("bti,tij->bj", drives.square(), fine.variance).mean().sqrt()
    ),
}
json.dump(result, sys.stdout)
