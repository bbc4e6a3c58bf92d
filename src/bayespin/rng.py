"""Keyed randomness: the only place where random numbers are made.

A `Key` is a path of integers and words, such as ("predict", sample 7, block 3). Each path owns
an independent stream, so results depend neither on the number of workers nor on how work is
split, as long as the split falls on the boundaries that the path names.

Streams are derived by `numpy.random.SeedSequence`, which hashes the whole path.

Two kinds of numbers come out of a key: those that depend on the order of the calls, and those of a
counter-based generator, addressed by replica, point and step. The second kind costs more on a CPU,
but is free of any order, and a fused kernel can make it in registers.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from bayespin.shapes import Float, Int, Tensor

LARGE = 2**18
"""Numbers of a call from which `fill_normal_` beats torch's generator, on two threads too."""
PIECE = 2**18
"""Numbers made at once: fewer wait for the interpreter's lock, more leave a core's cache.

Part of what a key means.
"""

WORD = 0xFFFFFFFF
"""Mask of a 32-bit word."""
ROUNDS = 10
PHILOX_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
PHILOX_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
# Minimax polynomials, found by Lawson's iteration in double precision; see `_normal_pair`.
LOG_COEFFICIENTS = (
    -1.99999995, 0.99999955, -0.66668321, 0.50005892, -0.39916833, 0.33087472, -0.29834761,
    0.28964401, -0.17919842,
)  # fmt: skip
SINE_COEFFICIENTS = (3.14159258, -5.16770688, 2.55003138, -0.59804517, 0.07722012)
COSINE_COEFFICIENTS = (0.99999995, -4.93479286, 4.05841192, -1.33188017, 0.2196968)
LOG_SPLIT = 0x3F3504F3
"""Bits of √½ in float32: mantissas are taken from √½ to √2, where the logarithm is smooth."""
EXPONENT_BITS = -0x800000
"""Mask of sign and exponent of a float32, as a signed word."""

Words = Int[Tensor, "..."]
"""32-bit words, held in int64: torch does not multiply unsigned integers."""


def _word(part: int | str) -> int:
    """Map a path part to a non-negative integer, the same on every machine and in every run."""
    if isinstance(part, str):
        return int.from_bytes(hashlib.blake2b(part.encode(), digest_size=8).digest(), "little")
    # Larger ones would spread over the words of the next parts: 5 + 2**32 would be (5, 1).
    if not 0 <= part < 2**32:
        raise ValueError(
            f"Argument `path` must hold integers from 0 to 2^32 - 1, but holds {part}."
        )
    return part


@dataclass(frozen=True)
class Key:
    """A path that names one random stream.

    `Key.root(seed).child("train", epoch).generator()` is a fresh `torch.Generator`.
    """

    path: tuple[int, ...]

    @classmethod
    def root(cls, seed: int) -> "Key":
        """Return the key from which a study derives all others.

        Raises:
            ValueError: `seed` is negative or above 2^32 - 1.
        """
        return cls((_word(seed),))

    def child(self, *parts: int | str) -> "Key":
        """Return the key one or more steps further down the path."""
        # The length before the parts keeps ("ab",) and ("a", "b") apart for any hashing of words.
        return Key((*self.path, len(parts), *(_word(part) for part in parts)))

    def seed(self) -> int:
        """Return the 63-bit seed of this stream."""
        state = np.random.SeedSequence(list(self.path)).generate_state(1, np.uint64)
        return int(state[0] >> np.uint64(1))

    def generator(self, device: torch.device | str = "cpu") -> torch.Generator:
        """Return a new generator at the start of this stream."""
        generator = torch.Generator(device=device)
        generator.manual_seed(self.seed())
        return generator


@runtime_checkable
class Noise(Protocol):
    """A source of standard normal numbers: physics and layers take it as an argument."""

    def normal(self, like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return independent N(0, 1) numbers with the shape, dtype and device of `like`."""
        ...


@runtime_checkable
class WordSource(Protocol):
    """What gives random 64-bit words: a bit generator of numpy."""

    def random_raw(self, size: int) -> np.ndarray:
        """Return so many words, as uint64."""
        ...


def fill_normal_(out: Float[Tensor, " n"], words: WordSource) -> None:
    """Fill float32 or float64 with independent N(0, 1) numbers: Box-Muller, without a loop.

    r = √(−ln(u² + 2^−4 q²)), u = |s1| q, θ = π q s2: r sin θ, then r cos θ.

    Symbols: s1, s2 signed integers of 32 (float32) or 64 bits (float64); q = 2^−31 or 2^−63. The
    small term stands for the inner half of the cell at zero: numbers reach 6.76 standard
    deviations in float32, 9.5 in float64. One pair of numbers takes one word in float32, two in
    float64; of an odd count the last number is dropped.

    Source: Box and Muller (1958), DOI 10.1214/aoms/1177706645.
    """
    integer, scale = (np.int32, 2.0**-31) if out.dtype == torch.float32 else (np.int64, 2.0**-63)
    for piece in out.split(PIECE):
        pairs = -(-len(piece) // 2)
        both = piece if len(piece) == 2 * pairs else piece.new_empty(2 * pairs)
        raw = words.random_raw(pairs * piece.itemsize // 4)
        both.copy_(torch.from_numpy(raw.view(integer)))
        radius, angle = both[:pairs], both[pairs:]
        radius.mul_(scale).square_().add_(scale**2 / 16).log_().neg_().sqrt_()
        sine = angle.mul_(math.pi * scale).sin()
        angle.cos_().mul_(radius)
        radius.mul_(sine)
        if both is not piece:
            piece.copy_(both[: len(piece)])


@dataclass(frozen=True)
class KeyedNoise:
    """Standard normal numbers of one key, in the order of the calls.

    A call takes its numbers whole. On a CPU, calls for `LARGE` numbers and more take words of
    SFC64, a stream of their own: 0.6 to 0.8 of the time of torch's generator, which serves others.
    """

    generator: torch.Generator
    key: Key | None = None
    """Names the stream of large calls; without it torch's generator serves them too."""

    @classmethod
    def from_key(cls, key: Key, device: torch.device | str = "cpu") -> "KeyedNoise":
        """Return the noise of the streams that `key` names."""
        return cls(key.generator(device), key)

    @cached_property
    def _words(self) -> np.random.SFC64:
        assert self.key is not None
        return np.random.SFC64(np.random.SeedSequence(list(self.key.child("words").path)))

    def normal(self, like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return independent N(0, 1) numbers with the shape, dtype and device of `like`."""
        # Filling an empty tensor is measurably faster than `torch.randn`, and filling it in the
        # order of its memory ten times faster than in that of permuted axes.
        found = torch.empty_like(like, requires_grad=False)
        flat = found.as_strided((found.numel(),), (1,))
        large = self.key is not None and len(flat) >= LARGE and found.device.type == "cpu"
        if large and found.dtype in (torch.float32, torch.float64):
            fill_normal_(flat, self._words)
        else:
            flat.normal_(generator=self.generator)
        return found


@dataclass(frozen=True)
class HeldNoise:
    """Two sources: what is drawn once and held, and, as `fresh`, what each read draws anew.

    A source of weights that many calls share gives them the same draws; noise of converters and
    read-out must differ from call to call all the same.
    """

    held: Noise
    fresh: Noise

    def normal(self, like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return numbers that are held."""
        return self.held.normal(like)


class InjectedNoise:
    """Given numbers in the order of the calls; lets a test compare two descriptions exactly."""

    def __init__(self, draws: list[Tensor]) -> None:
        self._draws = iter(draws)

    def normal(self, like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the next given tensor.

        Raises:
            ValueError: its shape is not that of `like`.
        """
        draw = next(self._draws)
        if draw.shape != like.shape:
            raise ValueError(
                f"Injected noise must have shape {tuple(like.shape)}, but is {tuple(draw.shape)}."
            )
        return draw.to(like)


def philox(
    seed: int, counter: tuple[Words, Words, Words, Words]
) -> tuple[Words, Words, Words, Words]:
    """Return four random words for each counter: Philox-4x32-10.

    Ten rounds of (c0, c1, c2, c3) ← (hi(M1 c2) ⊕ c1 ⊕ k0, lo(M1 c2), hi(M0 c0) ⊕ c3 ⊕ k1,
    lo(M0 c0)), then k ← k + W, all modulo 2^32.

    Symbols: c counter words, broadcast against each other; k0, k1 the low and high word of `seed`;
    hi, lo the halves of a 64-bit product; M, W constants of the source.

    Source: Salmon, Moraes, Dror and Shaw (2011), DOI 10.1145/2063384.2063405. The words are those
    of Random123, and of `tl.philox` of Triton with the same seed and counter.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = seed & WORD, seed >> 32 & WORD
    for _ in range(ROUNDS):
        # Products of two words wrap around in int64, which keeps all 64 bits.
        even, odd = c0 * PHILOX_MULTIPLIERS[0], c2 * PHILOX_MULTIPLIERS[1]
        c0, c1 = (odd >> 32 & WORD) ^ c1 ^ k0, odd & WORD
        c2, c3 = (even >> 32 & WORD) ^ c3 ^ k1, even & WORD
        k0, k1 = k0 + PHILOX_INCREMENTS[0] & WORD, k1 + PHILOX_INCREMENTS[1] & WORD
    return c0, c1, c2, c3


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    value = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def _normal_pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return two independent N(0, 1) numbers in float32 for each pair of words: Box-Muller.

    r = √(−2 ln u), u = (w1 + ½)/2^32; x uniform on [−½, ½) from 31 bits of w2, whose last bit is
    the sign of both numbers: ±r cos πx, ±r sin πx.

    Only sums, products and one square root, in the order in which the fused kernel takes them:
    processors agree to a few units in the last place, which library functions do not promise. The
    polynomials are good to 5e-8; the numbers reach 6.7 standard deviations.
    """
    uniform = first.to(torch.float32) * 2.0**-32 + 2.0**-33
    bits = uniform.view(torch.int32)
    exponent = (bits - LOG_SPLIT) & EXPONENT_BITS
    t = (bits - exponent).view(torch.float32) - 1
    log = exponent.to(torch.float32) * (-2 * math.log(2) / 2**23)
    radius = (log + t * _polynomial(LOG_COEFFICIENTS, t)).sqrt()
    radius = torch.where(second > WORD >> 1, -radius, radius)
    x = ((second << 33) >> 32).to(torch.float32) * 2.0**-32
    cosine = _polynomial(COSINE_COEFFICIENTS, x * x)
    return radius * cosine, radius * (x * _polynomial(SINE_COEFFICIENTS, x * x))


@dataclass(frozen=True, eq=False)
class CounterNoise:
    """Standard normal numbers of (key, point, replica, step), for states `*points 3 replicas`.

    The three numbers of a replica in a step come from one call of `philox` with the counter
    (replica, step, point, 0): results depend on no split of steps, points or replicas at all.
    Numbers are drawn in float32 whatever the dtype of `like`, so that both dtypes see one path.

    Eight times as slow as `KeyedNoise` on a CPU: for runs that must agree with the fused kernel.

    Raises:
        ValueError: `first_replica` or `first_point` is negative, or indices pass 2^32.
    """

    seed: int
    like: Float[Tensor, "*points 3 replicas"]
    first_replica: int = 0
    first_point: int = 0

    def __post_init__(self) -> None:
        *points, _, replicas = self.like.shape
        for name, count in (("first_replica", replicas), ("first_point", math.prod(points))):
            first = getattr(self, name)
            if not 0 <= first <= 2**32 - count:
                raise ValueError(
                    f"`{name}` must be from 0 to {2**32 - count}, so that all {count} indices fit "
                    f"32 bits, but is {first}."
                )

    @classmethod
    def from_key(cls, key: Key, like: Float[Tensor, "*points 3 replicas"]) -> "CounterNoise":
        """Return the noise of the stream that `key` names."""
        return cls(key.seed(), like)

    def __call__(self, step: int) -> Float[Tensor, "*points 3 replicas"]:
        """Return the numbers of the step with this index, with shape, dtype and device of `like`.

        Raises:
            ValueError: the index does not fit 32 bits.
        """
        if not 0 <= step < 2**32:
            raise ValueError(f"`step` must be from 0 to 2^32 - 1, but is {step}.")
        *points, _, replicas = self.like.shape
        device = self.like.device
        replica = torch.arange(replicas, device=device) + self.first_replica
        point = torch.arange(math.prod(points), device=device)[:, None] + self.first_point
        # Words that all replicas share stay single numbers until a round mixes them.
        counter = (replica, torch.tensor(step), point, torch.tensor(0))
        w0, w1, w2, w3 = philox(self.seed, counter)
        (x, y), (z, _) = _normal_pair(w0, w1), _normal_pair(w2, w3)
        return torch.stack((x, y, z), 1).reshape(self.like.shape).to(self.like.dtype)


def hernandez_lobato_orders(examples: int, count: int) -> Int[Tensor, "count examples"]:
    """Return the orders of rows that define the standard splits of the UCI regression tables.

    Published as code: NumPy's legacy generator with seed 1, one draw without replacement for each
    split. A fixed table, made anew instead of stored; a generator of its own, so that nothing
    global moves. Source: Hernandez-Lobato and Adams, arXiv:1502.05336.
    """
    legacy = np.random.RandomState(1)
    orders = [legacy.choice(range(examples), examples, replace=False) for _ in range(count)]
    return torch.from_numpy(np.stack(orders))
