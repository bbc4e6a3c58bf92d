"""The fused kernel behind `moments_triton`: needs Triton, so nothing else may import this module.

A program makes one block of outputs of one tile. It walks over the tile's rows once: inputs are
squared in registers, and two accumulators take mean and variance. Noise is made in registers too,
and the converter follows before anything is stored: memory holds inputs, weights and outputs only.
"""
# ruff: noqa: ANN001, ANN202, N803, N806 - the arguments of a kernel have no Python types

import inspect

import triton  # ty: ignore[import-not-found]
import triton.language as tl  # ty: ignore[import-not-found]

from bayespin.physics import _macrospin_kernel as draws


def _jit(function):
    """Return the function as Triton's, without the wrapper that checks of array types put on it."""
    return triton.jit(inspect.unwrap(function))


@_jit
def _rounded(x):
    """Return the nearest whole number, ties to even, of |x| < 2^22."""
    return (x + 12582912.0) - 12582912.0


@_jit
def read(arrays, place, counts, FORM: tl.constexpr):
    """Read every output of every tile once.

    `arrays`: drives (tiles, images, height); mean and variance (tiles, height, outputs); step of
    the converter (tiles, outputs); reads (tiles, images, outputs). `place`: seed, read.
    `counts`: images, height, outputs. `FORM`: images, outputs and rows of a block; steps from zero
    to the end of the range; precision of the products.
    """
    drives, mean, variance, step, out = arrays
    seed, number = place
    images, height, outputs = counts
    IMAGES: tl.constexpr = FORM[0]
    OUTPUTS: tl.constexpr = FORM[1]
    ROWS: tl.constexpr = FORM[2]
    HALF: tl.constexpr = FORM[3]
    PRECISION: tl.constexpr = FORM[4]
    zero = tl.program_id(0).to(tl.int64) * 0
    seed, images, height, outputs = seed + zero, images + zero, height + zero, outputs + zero
    blocks = tl.cdiv(images, IMAGES)
    tile = (tl.program_id(0) // blocks).to(tl.int64)
    image = (tl.program_id(0) % blocks).to(tl.int64) * IMAGES + tl.arange(0, IMAGES)[:, None]
    output = tl.program_id(1).to(tl.int64) * OUTPUTS + tl.arange(0, OUTPUTS)[None, :]
    centre = tl.zeros((IMAGES, OUTPUTS), tl.float32)
    spread = tl.zeros((IMAGES, OUTPUTS), tl.float32)
    for first in range(0, height, ROWS):
        across, down = first + tl.arange(0, ROWS)[None, :], first + tl.arange(0, ROWS)[:, None]
        x = tl.load(
            drives + (tile * images + image) * height + across,
            mask=(image < images) & (across < height),
            other=0.0,
        )
        cell = (tile * height + down) * outputs + output
        inside = (down < height) & (output < outputs)
        m = tl.load(mean + cell, mask=inside, other=0.0)
        v = tl.load(variance + cell, mask=inside, other=0.0)
        centre = tl.dot(x, m, centre, input_precision=PRECISION)
        spread = tl.dot(x * x, v, spread, input_precision=PRECISION)
    # One number of the pair is made for each output: its counter is (output, read, image, tile).
    word = image.to(tl.uint32) * 0 + output.to(tl.uint32)
    here = image.to(tl.uint32) + output.to(tl.uint32) * 0
    number, tile_word = here * 0 + number.to(tl.uint32), here * 0 + tile.to(tl.uint32)
    w0, w1, _, _ = draws._philox(seed, word, number, here, tile_word)
    x = draws._half_turns(w1)
    epsilon = draws._radius(w0, w1) * draws._polynomial(draws.COSINE_COEFFICIENTS, 4, x * x)
    y = centre + tl.sqrt(tl.maximum(spread, 0.0)) * epsilon
    inside = (image < images) & (output < outputs)
    size = tl.load(step + tile * outputs + output, mask=output < outputs, other=1.0)
    y = tl.minimum(tl.maximum(_rounded(y / size), -HALF), HALF) * size
    tl.store(out + (tile * images + image) * outputs + output, y, mask=inside)


INTERPRETED = not isinstance(read, triton.JITFunction)
"""Whether Triton was told to interpret kernels on the CPU (TRITON_INTERPRET=1): slow, for tests."""
