"""What of a network will be analog, on how many tiles, and what stays digital and why."""

from dataclasses import dataclass

import torch
from torch import nn

from bayespin.array.tiles import ArrayLayout
from bayespin.network.convert import Call, Held
from bayespin.network.models import INPUT, Network
from bayespin.nn.attention import Attention
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.folding import BATCH_NORMS
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.tokens import Tokens
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor

_NAME = 22
"""Characters of a name that the table shows."""
_REASONS = (
    (Attention, "mixes activations"),
    (PointLayer, "no sigma"),
    (BATCH_NORMS, "norm not folded"),
    ((nn.LayerNorm, nn.GroupNorm, nn.RMSNorm), "norm of each input"),
    (nn.Embedding, "a table"),
    (Tokens, "adds places"),
    (Held, "a constant"),
)
"""Why stages with numbers of their own stay digital."""


@dataclass(frozen=True, kw_only=True)
class PlannedStage:
    """One stage of a network, as it would be on the chip."""

    name: str
    kind: str
    """Its type, or the function it calls."""
    why: str
    rows: int = 0
    """Inputs that meet in an output, of one group; 0 for what stays digital."""
    outputs: int = 0
    weights: int = 0
    tiles: int = 0
    reads: int = 0
    """How often its tiles are read for one image and pass."""

    @property
    def analog(self) -> bool:
        """Whether it is put on tiles."""
        return self.tiles > 0


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """The stages of a network on a chip; its text is a table of at most 80 columns."""

    stages: tuple[PlannedStage, ...]

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return sum(stage.tiles for stage in self.stages)

    def __str__(self) -> str:
        width = max(5, *(min(len(stage.name), _NAME) for stage in self.stages))
        lines = [f"{'stage':{width}}  {'where':7}  {'matrix':>12}  tiles  reads  why"]
        for stage in self.stages:
            name = stage.name if len(stage.name) <= _NAME else f"…{stage.name[1 - _NAME :]}"
            size = f"{stage.rows} × {stage.outputs}" if stage.analog else ""
            numbers = f"{stage.tiles:5}  {stage.reads:5}" if stage.analog else " " * 12
            where = "analog" if stage.analog else "digital"
            lines.append(f"{name:{width}}  {where:7}  {size:>12}  {numbers}  {stage.why}")
        weights = sum(stage.weights for stage in self.stages)
        return "\n".join([*lines, f"{weights:,} weights on {self.tiles} tiles"])


def dry_run(
    network: Network, layout: ArrayLayout, images: Float[Tensor, " images *shape"]
) -> DryRun:
    """Return the plan of a network.

    Args:
        network: software network.
        layout: of the tiles.
        images: one or a few.
    """
    found: list[PlannedStage] = []
    passing = network.passing(KeyedNoise.from_key(Key.root(0)), local_reparameterised)

    def step(name: str, taken: list[Tensor]) -> Tensor:
        y = passing(name, taken)
        found.append(_planned(name, network.stages[name], layout, taken, y))
        return y

    with torch.no_grad():
        network.through({INPUT: images}, network.stages, step)
    return DryRun(stages=tuple(found))


def _planned(
    name: str, stage: nn.Module, layout: ArrayLayout, taken: list[Tensor], y: Tensor
) -> PlannedStage:
    kind = type(stage).__name__
    if not isinstance(stage, MeanFieldLayer):
        if isinstance(stage, Call):
            kind = stage.name
        reasons = (why for kinds, why in _REASONS if isinstance(stage, kinds))
        return PlannedStage(name=name, kind=kind, why=next(reasons, "no weights"))
    product, signed = stage.product, float(taken[0].min()) < 0
    return PlannedStage(
        name=name,
        kind=type(product).__name__,
        why="signed: two reads" if signed else "Gaussian weights",
        rows=product.rows,
        outputs=product.outputs,
        weights=stage.mean.numel(),
        tiles=len(layout.grid(product.rows, product.outputs, product.groups).shapes),
        reads=product.positions(y) * (2 if signed else 1),
    )
