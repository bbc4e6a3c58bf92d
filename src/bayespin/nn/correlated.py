"""Correlated sampling: the reads of a cell remember each other, in the order of the schedule.

A chip reads a layer's positions one after another, then the other layers, then the next
Monte-Carlo pass. Each output remembers the last read through a few states (`array.reads`). Images
are independent: between two of them the chip waits, or reads something else.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import torch

from bayespin.array.reads import Nodes, OutputMemory, ReadSchedule, Step
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

    def convert(self, y: Float[Tensor, "tiles images positions outputs"], x: Tensor) -> Tensor:
        """Return the layer's output from what its tiles integrated for inputs x."""
        ...


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """A layer's cells grouped by correlation time."""

    tiles: RowTiles
    nodes: Nodes
    weights: Float[Tensor, "nodes tiles height outputs"]
    """Variance of each cell, shared out over the nodes."""
    within: Step
    between: Step


@dataclass
class CorrelatedReads:
    """An estimator with a memory: make a new one for images that are independent."""

    within: ReadSchedule
    """From one position to the next."""
    pauses: Mapping[int, float] = field(default_factory=dict)
    """s that a layer (by `id`) waits after its last position for the next pass."""
    _layers: dict[int, Remembered] = field(default_factory=dict)
    _memory: dict[int, OutputMemory] = field(default_factory=dict)

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
        if id(layer) not in self._layers:
            self._layers[id(layer)] = self._grouped(layer)
        known, parts = self._layers[id(layer)], layer.parts(x)
        power = _products(parts.drives.square(), known)
        return lambda noise: layer.convert(self._read(id(layer), known, parts, power, noise), x)

    def _grouped(self, layer: RememberingLayer) -> Remembered:
        tiles, variance, time = layer.cells()
        nodes = Nodes.fit(time[variance > 0], self.within)
        shares = nodes.weights(time, self.within).to(variance) * variance
        pause = self.pauses.get(id(layer), self.within.gap)
        between = ReadSchedule(window=self.within.window, gap=pause)
        return Remembered(
            tiles=tiles,
            nodes=nodes,
            weights=torch.stack([tiles.lay_out(part) for part in shares]),
            within=_columns(Step.of(nodes.time, self.within)),
            between=_columns(Step.of(nodes.time, between)),
        )

    def _read(
        self, name: int, known: Remembered, parts: ReadParts, power: Tensor, noise: Noise
    ) -> Tensor:
        total = power.sum(0).clamp_min(torch.finfo(power.dtype).tiny)
        share = (parts.variance.clamp_min(0) * power / total).sqrt()
        last = self._memory.get(name)
        y = parts.mean.clone()
        for p in range(parts.drives.shape[1]):
            drive, own = parts.drives[:, p : p + 1], power[:, :, :, p]
            if last is None:
                state, average = self._first(own, known, noise)
            else:
                cosine = _cosine(drive, own, last, known)
                step = known.between if p == 0 else known.within
                state, average = step.advance(last.state, cosine, noise)
            y[:, :, p] += (share[:, :, :, p] * average).sum(0)
            last = OutputMemory(state=state, drive=drive, variance=own)
        if last is not None:
            self._memory[name] = last
        if parts.read_noise is not None:
            y = y.addcmul_(parts.read_noise.expand_as(y), noise.normal(y))
        return y

    def _first(self, like: Tensor, known: Remembered, noise: Noise) -> tuple[Tensor, Tensor]:
        """Return state and average of a read with nothing before it: a stationary process."""
        return known.within.advance(noise.normal(like), 1.0, noise)


def _cosine(drive: Tensor, power: Tensor, last: OutputMemory, known: Remembered) -> Tensor:
    """Return Σ x x' S² / √(Σ x² S² Σ x'² S²) by node and output."""
    common = _products(drive * last.drive, known)[:, :, :, 0]
    scale = (power * last.variance).sqrt().clamp_min(torch.finfo(power.dtype).tiny)
    return (common / scale).clamp(-1, 1)


def _columns(step: Step) -> Step:
    """Return the update with its nodes before the axes of tiles, images and outputs."""
    return Step(*(t.view(-1, 1, 1, 1) for t in (step.kept, step.seen, step.waited)))


def _products(
    x: Float[Tensor, "images positions rows"], known: Remembered
) -> Float[Tensor, "nodes tiles images positions outputs"]:
    flat = x.flatten(0, 1)
    found = torch.stack([known.tiles.apply(flat, weights) for weights in known.weights])
    return found.unflatten(2, x.shape[:2])


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
