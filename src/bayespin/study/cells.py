"""What results tell of a chip's cells: programming, the pairs (μ, σ) they hold, their device."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import held_sigma
from bayespin.chip.accelerator import Accelerator, Deployment
from bayespin.device.stochastic import ReadPoint, StochasticDevice
from bayespin.device.table import SpreadTable
from bayespin.device.tabulated import TabulatedDevice
from bayespin.load import resource_names
from bayespin.network.models import Network
from bayespin.network.slicing import Remainder
from bayespin.nn.compensation import expected_reach
from bayespin.nn.hardware import HardwareLayer
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.shapes import Float, Tensor

_BINS = (40, 32)
"""Of μ and of σ in the map of pairs."""
_POINTS = 81
"""Of the device's curve."""


def programming(deployment: Deployment) -> list[dict[str, Any]]:
    """Return what programming each layer took and left, as plain values."""
    rows = []
    for name, layer in deployment.layers.items():
        report = layer.report
        if report is None:
            continue
        rows.append(
            {
                "layer": name,
                "cells": report.cells,
                "pulses": dict(report.pulses),
                "verify_reads": layer.events.verify_reads,
                "energy_j": dict(report.energy),
                "time_s": deployment.programming_time(name),
                "mean": asdict(report.mean),
                "sigma": asdict(report.sigma),
                "endurance_used": {n: list(pair) for n, pair in report.endurance_used.items()},
                "levels": {n: counts.tolist() for n, counts in report.levels.items()},
            }
        )
    return rows


def weight_maps(network: Network, deployment: Deployment) -> dict[str, Any]:
    """Return 2-D histograms of trained (μ, σ) per layer, and what a cell can hold of them.

    `counts` has a row for each bin of σ, whose edges are logarithmic; `held` are the spreads of the
    levels with read noise, `mean_error` the expected errors of μ there, all in weight units, and
    behind wires by what is left of a cell there on average.
    """
    cell, maps = deployment.chip.cell, {}
    temperature = cell.environment.programming_temperature
    for found in deployment.mappings:
        layer = network.stages[found.layer]
        if isinstance(layer, Remainder):  # holds nothing that was trained
            continue
        assert isinstance(layer, MeanFieldLayer)
        mean, sigma = (t.detach().flatten().double() for t in (layer.mean, layer.sigma()))
        levels = cell.sigma_levels(found.gain, temperature)
        reach = _reach(deployment, found.layer)
        largest = found.weight_max * reach
        held = held_sigma(levels, found.read_noise) * largest
        inside = (mean.abs() <= largest) & (sigma >= held[0]) & (sigma <= held[-1])
        maps[found.layer] = {
            **_histogram(mean, sigma),
            "weight_max": largest,
            "held": held.tolist(),
            "mean_error": (cell.mean_error(found.gain) * largest).tolist(),
            "held_share": float(inside.double().mean()),
        }
    return maps


def _reach(deployment: Deployment, layer: str) -> float:
    """Return what wires leave of a cell's weight, on average over the layer."""
    stage = deployment.network.stages[layer]
    assert isinstance(stage, HardwareLayer)
    wires = deployment.chip.layout.wires
    return float(expected_reach(deployment.chip.cell, stage.tiling.grid, wires).mean())


def _histogram(mean: Float[Tensor, " weights"], sigma: Float[Tensor, " weights"]) -> dict[str, Any]:
    """Return edges that contain all weights, and counts, with σ along the first axis."""
    reach = 1.02 * float(mean.abs().max())
    across = torch.linspace(-reach, reach, _BINS[0] + 1).double()
    ends = sigma.log10()
    up = torch.linspace(float(ends.min()) - 0.02, float(ends.max()) + 0.02, _BINS[1] + 1).double()
    column = torch.bucketize(mean, across[1:-1])
    place = torch.bucketize(ends, up[1:-1]) * _BINS[0] + column
    counts = torch.bincount(place, minlength=_BINS[0] * _BINS[1])
    return {
        "mean_edges": across.tolist(),
        "sigma_edges": (10**up).tolist(),
        "counts": counts.reshape(_BINS[1], _BINS[0]).tolist(),
    }


def device(chip: Accelerator) -> dict[str, Any] | None:
    """Return σ and τ of the pillar against its setting; None for cells without pillars.

    Instantaneous, at the programming temperature and without a voltage: at the levels and between;
    for a pillar that is a table also the rows of the nearest temperature and, where the preset has
    one, the closed form that the table stands in for. `study` names what characterises it anew.
    """
    cell = chip.cell
    if not isinstance(cell, BitCell):
        return None
    pillar = cell.pillar
    at = ReadPoint(temperature=cell.environment.programming_temperature, window=0.0)
    levels = pillar.level_settings()
    between = torch.linspace(float(levels.min()), float(levels.max()), _POINTS, dtype=levels.dtype)
    told = {
        "setting_unit": "J/m2",
        "temperature": at.temperature,
        "source": "the closed forms of the preset",
        "levels": _sampled(pillar, levels, at),
        "curve": _sampled(pillar, between, at),
        "law": None,
        "points": None,
        "study": chip.preset if chip.preset in resource_names("characterisations") else None,
    }
    if isinstance(pillar, TabulatedDevice):
        law, unit = pillar.law, pillar.table.setting_unit
        told |= {"setting_unit": unit, **_points(pillar.table, at.temperature)}
        told["law"] = None if law is None else _sampled(law, between, at)
    return told


def _points(table: SpreadTable, temperature: float) -> dict[str, Any]:
    """Return the rows of a table at its nearest temperature, with one standard error each."""
    row = int((table.temperatures - temperature).abs().argmin())
    kelvin = float(table.temperatures[row])
    levels = table.settings.tolist()
    points = {"setting": levels}
    for name in ("sigma", "tau"):
        points[name] = table.grid(name)[row].tolist()
        error = f"{name}_error"
        given = table.grid(error)[row].tolist() if error in table.columns else [None] * len(levels)
        points[error] = [None if v is None or math.isnan(v) else v for v in given]
    source = table.metadata.get("source", "a table")
    return {"points": points, "source": f"{source} (rows at {kelvin:g} K)"}


def _sampled(
    pillar: StochasticDevice, settings: Float[Tensor, " points"], at: ReadPoint
) -> Mapping[str, list[float]]:
    found = pillar.fluctuation(settings, at)
    return {
        "setting": settings.tolist(),
        "sigma": found.deviation.tolist(),
        "tau": found.correlation_time.tolist(),
    }
