"""What programmed cells are in use: at a temperature and after a time, without writing again.

Nothing random happens here. How far each gate drifts and when each wall hops was drawn with the
devices, so one chip ages along one path: what has hopped by tomorrow has hopped the day after.
"""

import math
from collections.abc import Mapping
from dataclasses import fields

import torch

from bayespin.cell.curves import DeviceCurves
from bayespin.cell.interface import Use
from bayespin.cell.programming import Bench, Written
from bayespin.cell.variation import HOPS, CellDevices
from bayespin.cell.wall_loop import track_conductance
from bayespin.shapes import Float, Int, Tensor

DRIFT_START = 1.0
"""Seconds after programming from which decades of drift are counted."""


def aged_coordinates(written: Written, bench: Bench, age: float) -> Float[Tensor, "pair cells"]:
    """Return where gates stand an age (s) after programming.

    c(t) = c + D ξ log10(1 + t/1 s), with D the gate's drift per decade and ξ the device's own
    standard normal number; a gate ends at its range.
    """
    decades = math.log10(1 + age / DRIFT_START)
    drift = bench.gate.drift_per_decade * decades * written.devices.gate_drift
    return (written.coordinate + drift).clamp_(0, 1)


def hops(chance: Float[Tensor, "pair cells"], directions: Int[Tensor, "pair cells"],
         expected: float) -> Int[Tensor, "pair cells"]:  # fmt: skip
    """Return by how many notches heat has moved each wall.

    Hops are a Poisson process with `expected` hops so far, up and down alike; the number is its
    quantile at the wall's own uniform `chance`, so it only grows with time. Beyond `HOPS` hops a
    wall counts as if it had made that many: its level is lost by then.
    """
    number = torch.zeros(chance.shape, dtype=torch.int16)
    term, below = math.exp(-expected), math.exp(-expected)
    for n in range(1, HOPS + 1):
        number += chance > below
        term *= expected / n
        below += term
    moved = torch.zeros_like(number)
    for n in range(int(number.max()) if number.numel() else 0):
        up = (directions >> n) & 1
        moved += torch.where(number > n, 2 * up - 1, 0).to(torch.int16)
    return moved


def cells_in_use(
    written: Written, bench: Bench, curves: DeviceCurves, use: Use
) -> dict[str, Float[Tensor, "columns cells"]]:
    """Return what `ProgrammedCells` tells by column, G+ G− P+ P−, at a temperature and an age.

    Conductances and spreads are over w_max, times in seconds. Tracks are quiet.

    Args:
        written: the chip.
        bench: the cell at the layer's gain.
        curves: of a nominal pillar at the temperature of use.
        use: when and where.
    """
    devices, levels = written.devices, bench.track.levels
    coordinate = aged_coordinates(written, bench, use.age)
    pillars, spreads = bench.pillars(devices, coordinate, curves)
    moved = hops(
        devices.hop_chance, devices.hop_directions,
        use.age / bench.track.retention_time(use.temperature),
    )  # fmt: skip
    notch = torch.where(devices.stuck, written.notch, written.notch + moved).clamp_(0, levels - 1)
    tracks = tracks_of(written, notch, bench)
    quiet = torch.zeros_like(tracks)
    memory = curves.correlation_time_at(coordinate, devices.stray_field)
    return {
        "conductance": torch.cat([tracks, pillars]),
        "spread": torch.cat([quiet, spreads]),
        "correlation_time": torch.cat([quiet, memory]),
    }


def tracks_of(
    written: Written, notch: Int[Tensor, "pair cells"], bench: Bench
) -> Float[Tensor, "pair cells"]:
    """Return the conductances of tracks over w_max with their walls at these notches."""
    offset = written.devices.notch_offset.gather(-1, notch.long()[..., None])[..., 0].float()
    scale = written.devices.track_scale
    return track_conductance(scale, offset, notch + written.rest, bench.wall_rules)


def state_of(written: Written) -> dict[str, Tensor]:
    """Return all tensors of a chip by name, for a file; `written_from` is the way back."""
    own = {f.name: getattr(written, f.name) for f in fields(written) if f.name != "devices"}
    return own | {f.name: getattr(written.devices, f.name) for f in fields(written.devices)}


def written_from(state: Mapping[str, Tensor]) -> Written:
    """Return the chip whose tensors `state` holds.

    Raises:
        ValueError: a tensor is missing.
    """
    names = [f.name for f in fields(Written) if f.name != "devices"]
    drawn = [f.name for f in fields(CellDevices)]
    for name in (*names, *drawn):
        if name not in state:
            raise ValueError(
                f"Argument `state` must hold `{name}`, but does not; take it from `Programmed`."
            )
    devices = CellDevices(**{name: state[name] for name in drawn})
    return Written(devices=devices, **{name: state[name] for name in names})
