"""The fused kernel behind `moments_triton`: needs Triton, so nothing else may import this module.

A program makes one block of a layer's outputs, tile after tile. It walks over a tile's rows once:
inputs are squared in registers, and two accumulators take mean and variance. Noise is made in
registers too, then converted and summed: memory holds inputs, weights and the layer's outputs.
"""
# ruff: noqa: ANN001 - the arguments of a kernel have no Python types

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
def _products(matrices, row_inside, column_inside, shape, FORM: tl.constexpr):
    """Return x·M and x²·V of one tile's block."""
    drives, mean, variance = matrices
    height, outputs = shape
    ROWS: tl.constexpr = FORM[2]
    centre = tl.zeros((FORM[0], FORM[1]), tl.float32)
    spread = tl.zeros((FORM[0], FORM[1]), tl.float32)
    for first in range(0, height, ROWS):
        across, down = first + tl.arange(0, ROWS)[None, :], first + tl.arange(0, ROWS)[:, None]
        x = tl.load(drives + across, mask=row_inside & (across < height), other=0.0)
        inside = (down < height) & column_inside
        m = tl.load(mean + down * outputs, mask=inside, other=0.0)
        v = tl.load(variance + down * outputs, mask=inside, other=0.0)
        centre = tl.dot(x, m, centre, input_precision=FORM[4])
        spread = tl.dot(x * x, v, spread, input_precision=FORM[4])
    return centre, spread


@_jit
def read(arrays, place, counts, FORM: tl.constexpr):
    """Read a layer some times.

    `arrays`: drives (images, tiles, height); mean and variance (tiles, height, outputs); step of
    the converters (tiles, outputs); sums (reads, images, outputs). `place`: seed, first read.
    `counts`: images, tiles, height, outputs. `FORM`: images, outputs and rows of a block; steps
    from zero to the end of the range; precision of the products.
    """
    drives, mean, variance, step, out = arrays
    seed, first_read = place
    images, tiles, height, outputs = counts
    zero = tl.program_id(0).to(tl.int64) * 0
    seed, images, height, outputs = seed + zero, images + zero, height + zero, outputs + zero
    tiles = tiles + zero
    IMAGES: tl.constexpr = FORM[0]
    OUTPUTS: tl.constexpr = FORM[1]
    image = tl.program_id(0).to(tl.int64) * IMAGES + tl.arange(0, IMAGES)[:, None]
    output = tl.program_id(1).to(tl.int64) * OUTPUTS + tl.arange(0, OUTPUTS)[None, :]
    # The counter of a number is (output, image, read, tile); one of each pair is made.
    blank = (image + output).to(tl.uint32) * 0
    words = blank + output.to(tl.uint32), blank + image.to(tl.uint32)
    number = blank + (tl.program_id(2) + first_read + zero).to(tl.uint32)
    total = tl.zeros((IMAGES, OUTPUTS), tl.float32)
    for tile in range(tiles):
        x_row = drives + (image * tiles + tile) * height
        cells = tile * height * outputs + output
        matrices = (x_row, mean + cells, variance + cells)
        shape = (height, outputs)
        centre, spread = _products(matrices, image < images, output < outputs, shape, FORM)
        w0, w1, _, _ = draws._philox(
            seed, words[0], words[1], number, blank + (tile + zero).to(tl.uint32)
        )
        turn = draws._half_turns(w1)
        cosine = draws._polynomial(draws.COSINE_COEFFICIENTS, 4, turn * turn)
        y = centre + tl.sqrt(tl.maximum(spread, 0.0)) * (draws._radius(w0, w1) * cosine)
        size = tl.load(step + tile * outputs + output, mask=output < outputs, other=1.0)
        total += tl.minimum(tl.maximum(_rounded(y / size), -FORM[3]), FORM[3]) * size
    at = (tl.program_id(2) * images + image) * outputs + output
    tl.store(out + at, total, mask=(image < images) & (output < outputs))


INTERPRETED = not isinstance(read, triton.JITFunction)
"""Whether Triton was told to interpret kernels on the CPU (TRITON_INTERPRET=1): slow, for tests."""
