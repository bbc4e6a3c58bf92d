"""Correlated sampling: the reads of a cell remember each other, in the order of the schedule.

A chip reads a layer's positions one after another, then the other layers, then the next
Monte-Carlo pass. Each output is drawn given its last few reads (`array.recall`). Images are
independent: between two of them the chip waits, or reads something else.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch

from bayespin.array.reads import ReadSchedule
from bayespin.array.recall import LEAST, MOST, Pass, Read, RecallingCells
from bayespin.array.tiles import RowTiles
from bayespin.rng import Noise
from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class ReadParts:
    """What a layer's reads consist of, position by position."""

    drives: Float[Tensor, "images positions rows"]
    mean: Float[Tensor, "tiles images positions outputs"]
    variance: Float[Tensor, "tiles images positions outputs"]
    """Of the cells' fluctuations."""
    read_noise: Float[Tensor, "tiles images positions outputs"] | None
    """Standard deviation of Johnson and shot noise; fresh at every read."""


@runtime_checkable
class RememberingLayer(Protocol):
    """What correlated reads need of a layer."""

    positions: int
    """Reads of each tile in one pass."""

    def parts(self, x: Tensor) -> ReadParts:
        """Return what reads of x consist of."""
        ...

    def cells(
        self,
    ) -> tuple[RowTiles, Float[Tensor, "rows outputs"], Float[Tensor, "rows outputs"]]:
        """Return the rows of the tiles, and variance and correlation time (s) of each cell."""
        ...

    def convert(
        self, y: Float[Tensor, "tiles images positions outputs"], x: Tensor, noise: Noise
    ) -> Tensor:
        """Return the layer's output from what its tiles integrated for inputs x."""
        ...


@dataclass
class CorrelatedReads:
    """An estimator with a memory: make a new one for images that are independent."""

    within: ReadSchedule
    """From one position to the next."""
    pauses: Mapping[int, float] = field(default_factory=dict)
    """s that a layer (by `id`) waits after its last position for the next pass."""
    _cells: dict[int, RecallingCells] = field(default_factory=dict)
    _past: dict[int, list[Read]] = field(default_factory=dict)

    def __call__(self, layer: object, x: Tensor, noise: Noise) -> Tensor:
        """Return one pass over all positions of x, which remembers the last pass.

        Raises:
            ValueError: a layer whose weights have no correlation time.
        """
        return self.reader(layer, x)(noise)

    def reader(self, layer: object, x: Tensor) -> Callable[[Noise], Tensor]:
        """Return what passes over all positions of x, again and again.

        Raises:
            ValueError: a layer whose weights have no correlation time.
        """
        if not isinstance(layer, RememberingLayer):
            raise ValueError(
                "Sampling must be `per_read` or `frozen` in software: `correlated` needs cells "
                "with a memory; deploy the network on a chip."
            )
        if id(layer) not in self._cells:
            tiles, variance, time = layer.cells()
            self._cells[id(layer)] = RecallingCells(
                tiles=tiles, variance=variance, time=time, window=self.within.window
            )
        parts = layer.parts(x)
        turn = Pass(self._cells[id(layer)], parts.drives.transpose(0, 1), self.within.gap)
        least = LEAST if parts.variance.requires_grad else 0.0
        share = (parts.variance.clamp_min(least) / turn.power.transpose(1, 2)).sqrt_()
        return lambda noise: layer.convert(
            self._read(id(layer), turn, parts, share, noise), x, noise
        )

    def _read(
        self, name: int, turn: Pass, parts: ReadParts, share: Tensor, noise: Noise
    ) -> Float[Tensor, "tiles images positions outputs"]:
        """Return what the integrators hold; `share` scales cells behind wires to those here."""
        past = self._past.get(name, [])
        start = past[-1].end + self.pauses.get(name, self.within.gap) if past else 0.0
        reads = turn.follow(past, start, noise.normal(turn.power))
        self._past[name] = (past + reads)[-MOST:]
        y = torch.stack([read.value for read in reads], 2).mul_(share).add_(parts.mean)
        if parts.read_noise is not None:
            y = y.addcmul_(parts.read_noise.expand_as(y), noise.normal(y))
        return y


@dataclass(frozen=True, kw_only=True)
class CorrelatedSampling:
    """Correlated reads, one every `period`.

    Raises:
        ValueError: a period shorter than the window.
    """

    window: float
    """s."""
    period: float
    """s from the start of one read of a layer to that of the next."""

    def __post_init__(self) -> None:
        if not 0 < self.window <= self.period:
            raise ValueError(
                f"`period` must be at least the read window of {self.window:g} s, "
                f"but is {self.period:g} s."
            )

    def estimator(self, layers: Iterable[object]) -> CorrelatedReads:
        """Return a fresh memory for a network of these layers, which take turns."""
        positions = {id(x): x.positions for x in layers if isinstance(x, RememberingLayer)}
        gap, total = self.period - self.window, sum(positions.values())
        return CorrelatedReads(
            within=ReadSchedule(window=self.window, gap=gap),
            pauses={name: gap + self.period * (total - own) for name, own in positions.items()},
        )
