"""The fused kernel behind `macrospin_triton`: needs Triton, so nothing else may import this module.

One lane is one macrospin. Its magnetisation stays in registers over all steps of a launch; noise is
made there too, word for word that of `rng.CounterNoise`. Only arithmetic that every processor
rounds alike is used, but for two approximate square roots: no library function.
"""
# ruff: noqa: ANN001 - the arguments of a kernel have no Python types

import inspect
import math

import triton  # ty: ignore[import-not-found]
import triton.language as tl  # ty: ignore[import-not-found]

from bayespin import rng

# Triton reads globals of a kernel only where they are declared constant.
ROUNDS: tl.constexpr = tl.constexpr(rng.ROUNDS)
EVEN_MULTIPLIER: tl.constexpr = tl.constexpr(rng.PHILOX_MULTIPLIERS[0])
ODD_MULTIPLIER: tl.constexpr = tl.constexpr(rng.PHILOX_MULTIPLIERS[1])
LOW_INCREMENT: tl.constexpr = tl.constexpr(rng.PHILOX_INCREMENTS[0])
HIGH_INCREMENT: tl.constexpr = tl.constexpr(rng.PHILOX_INCREMENTS[1])
LOG_COEFFICIENTS: tl.constexpr = tl.constexpr(rng.LOG_COEFFICIENTS)
SINE_COEFFICIENTS: tl.constexpr = tl.constexpr(rng.SINE_COEFFICIENTS)
COSINE_COEFFICIENTS: tl.constexpr = tl.constexpr(rng.COSINE_COEFFICIENTS)
LOG_SPLIT: tl.constexpr = tl.constexpr(rng.LOG_SPLIT)
EXPONENT_BITS: tl.constexpr = tl.constexpr(rng.EXPONENT_BITS)
LOG_PER_EXPONENT: tl.constexpr = tl.constexpr(-2 * math.log(2) / 2**23)


def _jit(function):
    """Return the function as Triton's, without the wrapper that checks of array types put on it."""
    return triton.jit(inspect.unwrap(function))


@_jit
def _philox(seed, c0, c1, c2, c3):
    k0 = (seed & 0xFFFFFFFF).to(tl.uint32)
    k1 = (seed >> 32).to(tl.uint32)
    for _ in tl.static_range(ROUNDS):
        # 64-bit products compile to one instruction each; `umulhi` and a product take two.
        even = c0.to(tl.uint64) * EVEN_MULTIPLIER
        odd = c2.to(tl.uint64) * ODD_MULTIPLIER
        c0 = (odd >> 32).to(tl.uint32) ^ c1 ^ k0
        c1 = odd.to(tl.uint32)
        c2 = (even >> 32).to(tl.uint32) ^ c3 ^ k1
        c3 = even.to(tl.uint32)
        k0 = tl.add(k0, LOW_INCREMENT, sanitize_overflow=False)
        k1 = tl.add(k1, HIGH_INCREMENT, sanitize_overflow=False)
    return c0, c1, c2, c3


@_jit
def _polynomial(coefficients: tl.constexpr, DEGREE: tl.constexpr, x):
    value = x * coefficients[DEGREE] + coefficients[DEGREE - 1]
    for k in tl.static_range(2, DEGREE + 1):
        value = value * x + coefficients[DEGREE - k]
    return value


@_jit
def _radius(first, second):
    uniform = first.to(tl.float32) * 2.0**-32 + 2.0**-33
    bits = uniform.to(tl.int32, bitcast=True)
    exponent = (bits - LOG_SPLIT) & EXPONENT_BITS
    t = (bits - exponent).to(tl.float32, bitcast=True) - 1.0
    log = exponent.to(tl.float32) * LOG_PER_EXPONENT
    radius = tl.sqrt(log + t * _polynomial(LOG_COEFFICIENTS, 8, t))
    signed = radius.to(tl.uint32, bitcast=True) ^ (second & 0x80000000)
    return signed.to(tl.float32, bitcast=True)


@_jit
def _half_turns(word):
    return (word << 1).to(tl.int32, bitcast=True).to(tl.float32) * 2.0**-32


@_jit
def _normals(seed, replica, step, point):
    """Return the three numbers of `rng.CounterNoise`; the fourth of Box and Muller is not made."""
    w0, w1, w2, w3 = _philox(seed, replica, step, point, replica * 0)
    radius, x, y = _radius(w0, w1), _half_turns(w1), _half_turns(w3)
    return (
        radius * _polynomial(COSINE_COEFFICIENTS, 4, x * x),
        radius * (x * _polynomial(SINE_COEFFICIENTS, 4, x * x)),
        _radius(w2, w3) * _polynomial(COSINE_COEFFICIENTS, 4, y * y),
    )


@_jit
def _cross(a, b):
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@_jit
def _turn(m, row, thermal, damping, TORQUED: tl.constexpr):
    """Return m×(B + α m×B), −(1+α²)/γ of dm/dt; rows hold b, K_z, K_x, q of the field."""
    b = (
        row[0] + thermal[0] + row[4] * m[0],
        row[1] + thermal[1],
        row[2] + thermal[2] + row[3] * m[2],
    )
    if TORQUED:
        torque = _cross(m, (row[5], row[6], row[7]))
        b = b[0] + torque[0], b[1] + torque[1], b[2] + torque[2]
    c = _cross(m, b)
    return _cross(m, (b[0] + damping * c[0], b[1] + damping * c[1], b[2] + damping * c[2]))


@_jit
def _heun(m, rows, thermal, constants, TORQUED: tl.constexpr):
    """Return the next m: Heun under frozen noise, then back onto the unit sphere."""
    damping, reach = constants
    k = _turn(m, rows[0], thermal, damping, TORQUED)
    ahead = m[0] - reach * k[0], m[1] - reach * k[1], m[2] - reach * k[2]
    n = _turn(ahead, rows[1], thermal, damping, TORQUED)
    half = 0.5 * reach
    x = m[0] - half * (k[0] + n[0])
    y = m[1] - half * (k[1] + n[1])
    z = m[2] - half * (k[2] + n[2])
    scale = tl.rsqrt(x * x + y * y + z * z)
    return x * scale, y * scale, z * scale


@_jit
def _row(at, cells):
    return (
        tl.load(at), tl.load(at + cells), tl.load(at + 2 * cells), tl.load(at + 3 * cells),
        tl.load(at + 4 * cells), tl.load(at + 5 * cells), tl.load(at + 6 * cells),
        tl.load(at + 7 * cells),
    )  # fmt: skip


@_jit
def advance(arrays, place, counts, FORM: tl.constexpr):
    """Advance all macrospins; write m after every `every` steps.

    `arrays`: m (points 3 replicas); records (records points 3 replicas); rows of fields, 8 × cells,
    one or two per step; standard deviation of the thermal field (cells); damping and γΔt/(1+α²).
    `place`: seed, first replica, first point, first step. `counts`: records, steps per record,
    points, replicas. `FORM`: lanes of a program; two rows per step?; a cell per replica, not per
    point?; is there a torque?
    """
    m_in, records, rows, thermal, constants = arrays
    seed, first_replica, first_point, first_step = place
    count, every, points, replicas = counts
    # Small integers arrive in 32 bits, 1 as a constant; sums with a 64-bit zero are all alike.
    zero = tl.program_id(0).to(tl.int64) * 0
    seed, points, replicas = seed + zero, points + zero, replicas + zero
    BLOCK: tl.constexpr = FORM[0]
    DRIVEN: tl.constexpr = FORM[1]
    SPREAD: tl.constexpr = FORM[2]
    TORQUED: tl.constexpr = FORM[3]
    lane = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < points * replicas
    # Lanes beyond the last one repeat it, and store nothing.
    lane = tl.minimum(lane, points * replicas - 1)
    point, replica = lane // replicas, lane % replicas
    if SPREAD:
        cell, cells = lane, points * replicas
    else:
        cell, cells = point, points
    at = point * 3 * replicas + replica
    m = tl.load(m_in + at), tl.load(m_in + at + replicas), tl.load(m_in + at + 2 * replicas)
    std = tl.load(thermal + cell)
    fixed = tl.load(constants), tl.load(constants + 1)
    replica, point = (replica + first_replica).to(tl.uint32), (point + first_point).to(tl.uint32)
    rows += cell
    row = _row(rows, cells)
    stages = row, row
    for record in range(count):
        for k in range(every):
            taken = record * every + k
            if DRIVEN:
                now = rows + 16 * taken * cells
                stages = _row(now, cells), _row(now + 8 * cells, cells)
            n = _normals(seed, replica, (first_step + taken).to(tl.uint32), point)
            field = std * n[0].to(std.dtype), std * n[1].to(std.dtype), std * n[2].to(std.dtype)
            m = _heun(m, stages, field, fixed, TORQUED)
        out = records + at
        tl.store(out, m[0], mask=inside)
        tl.store(out + replicas, m[1], mask=inside)
        tl.store(out + 2 * replicas, m[2], mask=inside)
        records += points * 3 * replicas


INTERPRETED = not isinstance(advance, triton.JITFunction)
"""Whether Triton was told to interpret kernels on the CPU (TRITON_INTERPRET=1): slow, for tests."""
