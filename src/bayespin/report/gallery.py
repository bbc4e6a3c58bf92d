"""The gallery of presets: what each device holds, in lines of a terminal."""

import re
from collections.abc import Iterator

import torch

from bayespin.cell.bit_cell import BitCell
from bayespin.device import domain_wall_mtj, stochastic_mtj
from bayespin.device.domain_wall_mtj import DomainWallMtj
from bayespin.device.stochastic import ReadPoint
from bayespin.device.stochastic_mtj import GAUSSIAN_STABILITY, StochasticMtj
from bayespin.device.tabulated import TabulatedDevice
from bayespin.load import read_resource, resource_names
from bayespin.shapes import Tensor
from bayespin.units import format_quantity

CONFIDENCE = ("low", "medium", "high")


def lines() -> list[str]:
    """Return the gallery, at most 80 columns wide."""
    found = []
    for name in resource_names("presets"):
        source = read_resource("presets", name)["source"]
        cell = BitCell.preset(name)
        found += [name, *_pillar(cell, source["pillar"]), *_track(cell.track, source["track"]), ""]
    return [*found[:-1], "", "Confidence is the lowest of the section; sources stand in the preset"]


def lowest_confidence(source: str) -> str:
    """Return the lowest confidence that a source text states, "unstated" if none."""
    stated = re.findall(r"confidence\s+(\w+)", source)
    known = [word for word in CONFIDENCE if word in stated]
    return known[0] if known else "unstated"


def _pillar(cell: BitCell, source: str) -> Iterator[str]:
    device = cell.pillar
    kelvin = cell.environment.programming_temperature
    read = ReadPoint(temperature=kelvin, window=cell.read.window)
    settings = device.level_settings()
    seen = device.fluctuation(settings, read)
    law = device.law if isinstance(device, TabulatedDevice) else device
    if isinstance(law, StochasticMtj):
        yield from _magnetic(law, settings, kelvin, device.gate.kind)
    yield _line("levels", f"{len(settings)}")
    window = format_quantity(cell.read.window, "s")
    yield _line("sigma of G", f"{_span(seen.deviation, 'S')} after a read of {window}")
    yield _line("tau", _span(seen.correlation_time, "s"))
    yield _line("temperature", f"{kelvin:g} K")
    numbers = "table" if isinstance(device, TabulatedDevice) else "law in closed form"
    yield _line("numbers", f"{numbers}; confidence {lowest_confidence(source)}")


def _magnetic(law: StochasticMtj, settings: Tensor, kelvin: float, gate: str) -> Iterator[str]:
    field = stochastic_mtj.easy_plane_field(law, settings, kelvin).abs()
    delta = stochastic_mtj.stability(law, settings, kelvin)
    yield _line("pillar", f"{law.orientation}, {gate} gate")
    yield _line("B_k", _span(field, "T"))
    soft = int((delta < GAUSSIAN_STABILITY).sum())
    words = "Gaussian at every level" if soft == 0 else f"{soft} levels are not Gaussian"
    yield _line("stability", f"{float(delta.min()):.3g} to {float(delta.max()):.3g}; {words}")


def _track(track: DomainWallMtj, source: str) -> Iterator[str]:
    length, width = (format_quantity(v, "m") for v in (track.length, track.width))
    yield _line("track", f"{length} x {width}, {track.levels} levels")
    window = torch.tensor(domain_wall_mtj.conductance_window(track))
    yield _line("  G", _span(window, "S"))
    yield _line("  confidence", lowest_confidence(source))


def _span(values: Tensor, unit: str) -> str:
    low, high = values.aminmax()
    return f"{format_quantity(float(low), unit)} to {format_quantity(float(high), unit)}"


def _line(name: str, value: str) -> str:
    return f"  {name:14s}{value}"
