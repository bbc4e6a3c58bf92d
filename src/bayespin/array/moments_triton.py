"""Reads of a layer's tiles in one fused kernel on CUDA: both products in one pass over the inputs.

    y_bj = Σ_t Δ_tj · clip( round( (Σ_i x_i M_ij + √(Σ_i x_i² V_ij) ε_btj) / Δ_tj ), ±N )

x, M, V: drives, mean and variance of the cells of tile t (see `array.crossbar`); Δ, N: step of the
converter, and steps from zero to the end of its range; ε: N(0, 1), of the counter (output, image,
read, tile). No tile's output is stored: memory is that of inputs, weights and results. For cells
without wires and without read noise.

The plain torch form, `plain_reads`, makes the same numbers to rounding, and is the kernel's test.
Triton is needed only when `fused_reads` is called.
"""

import contextlib
import importlib.util
from dataclasses import dataclass
from types import ModuleType
from typing import Literal

import torch

from bayespin.cite import cites
from bayespin.rng import _normal_pair, philox
from bayespin.shapes import Float, Tensor

Precision = Literal["tf32", "ieee"]
"""Of the products: rounded to 10 bits for tensor cores, or float32 throughout."""
MOST_READS = 65535
"""Reads of one launch: what the third axis of a CUDA grid takes."""


@dataclass(frozen=True, kw_only=True)
class FusedTiles:
    """What the cells and converters of a layer's tiles do.

    Raises:
        ValueError: shapes that do not belong together, or a dtype other than float32.
    """

    mean: Float[Tensor, "tiles height outputs"]
    variance: Float[Tensor, "_ _ _"]
    step: Float[Tensor, "_ _"]
    """Δ of each converter."""
    half_steps: int
    """N."""

    def __post_init__(self) -> None:
        wanted = {"variance": self.mean.shape, "step": self.mean[:, 0].shape}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(
                    f"`{name}` must have shape {tuple(shape)}, as `mean` has it, but has "
                    f"{tuple(getattr(self, name).shape)}."
                )
        for name in ("mean", *wanted):
            if getattr(self, name).dtype != torch.float32:
                raise ValueError(
                    f"`{name}` must be float32, but is {getattr(self, name).dtype}: convert it."
                )


def available(device: torch.device) -> bool:
    """Return whether the fused kernel runs on this device: CUDA, with Triton installed."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


@cites("10.1145/2063384.2063405")
def fused_reads(
    drives: Float[Tensor, "images tiles height"],
    tiles: FusedTiles,
    seed: int,
    reads: range,
    precision: Precision = "tf32",
) -> Float[Tensor, "reads images outputs"]:
    """Return reads with these numbers; any split of them gives the same bits.

    Args:
        drives: x in [0, 1], of each tile's rows.
        tiles: cells and converters.
        seed: of the noise; `Key.seed`.
        reads: indices of the reads, without gaps.
        precision: of the products.

    Raises:
        ValueError: no CUDA device or Triton, drives that do not fit the tiles, or reads with gaps
            or too many for a launch.
    """
    kernel = _kernel(drives.device)
    _check(drives, tiles, reads)
    images, count, height = drives.shape
    outputs = tiles.step.shape[1]
    out = drives.new_empty((len(reads), images, outputs))
    block = (16, 16, 16) if kernel.INTERPRETED else (128, 128, 32)
    grid = (-(-images // block[0]), -(-outputs // block[1]), len(reads))
    on_device = drives.is_cuda
    with torch.cuda.device(drives.device) if on_device else contextlib.nullcontext():
        kernel.read[grid](
            (drives.contiguous(), *(t.contiguous() for t in _arrays(tiles)), out),
            (seed, reads.start),
            (images, count, height, outputs),
            (*block, tiles.half_steps, precision),
            num_warps=8,
        )
    return out


def plain_reads(
    drives: Float[Tensor, "images tiles height"], tiles: FusedTiles, seed: int, reads: range
) -> Float[Tensor, "reads images outputs"]:
    """Return the reads of `fused_reads` by plain torch, one after another, tile by tile.

    Raises:
        ValueError: drives that do not fit the tiles, or reads with gaps or too many for a launch.
    """
    _check(drives, tiles, reads)
    images, outputs = torch.arange(len(drives))[:, None], torch.arange(tiles.step.shape[1])
    found = []
    for number in reads:
        total = drives.new_zeros(len(drives), len(outputs))
        for tile, (mean, variance, step) in enumerate(zip(*_arrays(tiles), strict=True)):
            x = drives[:, tile]
            counter = (outputs, images, torch.tensor(number), torch.tensor(tile))
            w0, w1, _, _ = philox(seed, counter)
            epsilon = _normal_pair(w0, w1)[0].to(x)
            y = torch.addcmul(x @ mean, (x.square() @ variance).clamp_min(0).sqrt(), epsilon)
            total += (y / step).round().clamp(-tiles.half_steps, tiles.half_steps) * step
        found.append(total)
    return torch.stack(found)


def _arrays(tiles: FusedTiles) -> tuple[Tensor, Tensor, Tensor]:
    return tiles.mean, tiles.variance, tiles.step


def _kernel(device: torch.device) -> ModuleType:
    """Return the module of the kernel, which needs Triton."""
    if importlib.util.find_spec("triton") is not None:
        from bayespin.array import _moments_kernel as kernel

        if device.type == "cuda" or kernel.INTERPRETED:
            return kernel
    raise ValueError(
        f"`drives` must be on a CUDA device, with Triton installed, for the fused kernel, but is "
        f"on {device}: use `plain_reads`."
    )


def _check(drives: Tensor, tiles: FusedTiles, reads: range) -> None:
    count, height, _ = tiles.mean.shape
    if drives.shape[1:] != (count, height) or drives.dtype != torch.float32:
        raise ValueError(
            f"`drives` must be float32 of shape (images, {count}, {height}), as the tiles are, but "
            f"is {drives.dtype} of shape {tuple(drives.shape)}."
        )
    if reads.step != 1 or reads.start < 0 or not 1 <= len(reads) <= MOST_READS:
        raise ValueError(
            f"`reads` must be 1 to {MOST_READS} numbers from 0 on without gaps, but is {reads}."
        )
