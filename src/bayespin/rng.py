"""Keyed randomness: the only place where random numbers are made.

A `Key` is a path of integers and words, such as ("predict", sample 7, block 3). Each path owns
an independent stream, so results depend neither on the number of workers nor on how work is
split, as long as the split falls on the boundaries that the path names.

Streams are derived by `numpy.random.SeedSequence`, which hashes the whole path.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from bayespin.shapes import Float, Tensor


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


@dataclass(frozen=True)
class KeyedNoise:
    """Standard normal numbers from one keyed stream, in the order of the calls."""

    generator: torch.Generator

    @classmethod
    def from_key(cls, key: Key, device: torch.device | str = "cpu") -> "KeyedNoise":
        """Return the noise of the stream that `key` names."""
        return cls(key.generator(device))

    def normal(self, like: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return independent N(0, 1) numbers with the shape, dtype and device of `like`."""
        # Filling an empty tensor is measurably faster than `torch.randn`.
        return torch.empty_like(like).normal_(generator=self.generator)


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
