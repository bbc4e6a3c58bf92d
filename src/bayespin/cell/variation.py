"""What makes one chip's devices differ from the next one's: drawn once per chip, from a key."""

from dataclasses import dataclass, replace
from typing import Annotated

import torch

from bayespin.device.domain_wall_mtj import DomainWallMtj
from bayespin.rng import Noise
from bayespin.shapes import Bool, Float, Int, Tensor
from bayespin.units import Unit

HOPS = 15
"""Hops of a wall in use whose directions are drawn; after as many its level is lost anyway."""


@dataclass(frozen=True, kw_only=True)
class Variation:
    """Differences between devices of one chip, one standard deviation each, and dead devices.

    Raises:
        ValueError: a negative value, or a probability above 1.
    """

    setting_spread: float
    """Where gates stand before the first pulse, over the range of settings."""
    conductance_spread: float
    """Relative spread of G0, pillars and tracks."""
    stray_field: Annotated[float, Unit("T")]
    """Residual field along a pillar's read-out axis."""
    dead_gate_probability: float
    """That a gate does not move its pillar."""
    stuck_wall_probability: float
    """That a wall does not leave the notch where it was made."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(
                    f"`{name}` must be finite and not negative, but is {getattr(self, name)}."
                )
        for name in ("dead_gate_probability", "stuck_wall_probability"):
            if not getattr(self, name) <= 1:
                raise ValueError(f"`{name}` must be at most 1, but is {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True)
class CellDevices:
    """The four junctions of some cells; the first axis is the positive and the negative one."""

    pillar_scale: Float[Tensor, "pair cells"]
    """G0 over its nominal value."""
    stray_field: Float[Tensor, "pair cells"]
    """T."""
    first_coordinate: Float[Tensor, "pair cells"]
    """Where the gate stands before the first pulse: 0 at the first level, 1 at the last."""
    dead: Bool[Tensor, "pair cells"]
    gate_drift: Float[Tensor, "pair cells"]
    """Standard normal: how a gate's setting moves with time."""
    track_scale: Float[Tensor, "pair cells"]
    """G0 over its nominal value."""
    stuck: Bool[Tensor, "pair cells"]
    first_notch: Int[Tensor, "pair cells"]
    """Where a stuck wall stands; others are made at the low end."""
    notch_offset: Float[Tensor, "pair cells levels"]
    """How far each notch stands from its place, in levels."""
    hop_chance: Float[Tensor, "pair cells"]
    """Uniform: the quantile of this wall's number of hops."""
    hop_directions: Int[Tensor, "pair cells"]
    """One bit per hop: up where it is set."""

    @classmethod
    def draw(
        cls, count: int, variation: Variation, track: DomainWallMtj, noise: Noise
    ) -> "CellDevices":
        """Return `count` cells' devices; calls of `noise` come in the order of the fields."""
        like = torch.empty(2, count)

        def uniform() -> Tensor:
            return torch.special.ndtr(noise.normal(like))

        scale, field = noise.normal(like), noise.normal(like)
        first, dead, drift = noise.normal(like), uniform(), noise.normal(like)
        track_scale, stuck, where = noise.normal(like), uniform(), uniform()
        offset = noise.normal(torch.empty(2, count, track.levels))
        return cls(
            pillar_scale=1 + variation.conductance_spread * scale,
            stray_field=variation.stray_field * field,
            first_coordinate=(0.5 + variation.setting_spread * first).clamp_(0, 1),
            dead=dead < variation.dead_gate_probability,
            gate_drift=drift,
            track_scale=1 + variation.conductance_spread * track_scale,
            stuck=stuck < variation.stuck_wall_probability,
            first_notch=(where * track.levels).to(torch.int16).clamp_(0, track.levels - 1),
            # Half precision is a thousandth of the offset's spread, and these are most of a file.
            notch_offset=(track.notch_spread * offset).half(),
            hop_chance=uniform(),
            hop_directions=(uniform() * 2**HOPS).clamp_(0, 2**HOPS - 1).to(torch.int16),
        )


def with_reference_track(devices: CellDevices) -> CellDevices:
    """Return the devices with a wall in the middle of every negative track, which never moves."""
    levels = devices.notch_offset.shape[2]
    stuck, notch, offset = (
        t.clone() for t in (devices.stuck, devices.first_notch, devices.notch_offset)
    )
    stuck[1], notch[1] = True, (levels - 1) // 2
    offset[1] = (levels - 1) / 2 - (levels - 1) // 2
    return replace(devices, stuck=stuck, first_notch=notch, notch_offset=offset)
