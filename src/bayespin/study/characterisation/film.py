"""The micromagnetic twin of a characterisation: whole disks beside macrospins."""

from dataclasses import replace
from typing import Any

import torch

from bayespin.physics.characterisation import Sampling, characterise
from bayespin.physics.characterised import Characterised
from bayespin.physics.film_characterisation import (
    FilmSampling,
    characterise_film,
    disk_layer,
    ratio,
)
from bayespin.physics.stack import StackPoints
from bayespin.study.bench import Bench
from bayespin.study.characterisation.points import Sweeps
from bayespin.study.characterisation.sections import FilmTwin
from bayespin.study.simulation.statistics import number

FEWEST_CELLS = 4
"""Across a disk."""
_STATISTICS = ("std", "decay_time")


def twin_points(sweeps: Sweeps, film: FilmTwin, diameter: float) -> StackPoints:
    """Return the operating points of disks of one diameter: from the stiffer half of the table.

    Soft settings forget too slowly for films: their τ is a hundred thousand of their time steps.
    """
    count = len(sweeps.settings)
    stiff = sweeps.stack.stability[:count].argsort(descending=True)[: (count + 1) // 2]
    chosen = stiff[torch.linspace(0, len(stiff) - 1, min(film.settings, len(stiff))).round().long()]
    layer = disk_layer(replace(sweeps.stack.layer, diameter=diameter), film.cell)
    return replace(sweeps.stack.at(chosen), layer=layer)


def require_cells(film: FilmTwin, diameter: float) -> None:
    """Refuse cells too large for any disk of the section, before work.

    Raises:
        ValueError: a cell wider than a quarter of a disk.
    """
    smallest = min(film.diameters or (diameter,))
    if not film.cell <= smallest / FEWEST_CELLS:
        raise ValueError(
            f"`film.cell` must be at most {1e9 * smallest / FEWEST_CELLS:.3g} nm, so that "
            f"{FEWEST_CELLS} cells span a disk of {1e9 * smallest:.3g} nm, but is "
            f"{1e9 * film.cell:.3g} nm."
        )


def film_rows(
    sweeps: Sweeps, film: FilmTwin, windows: tuple[float, ...], bench: Bench
) -> list[dict[str, Any]]:
    """Return s and τ of films and of macrospins of the same volume, and their ratios.

    Raises:
        ValueError: an in-plane anisotropy at the first operating point, or films that do not fit.
    """
    rows = []
    for place, diameter in enumerate(film.diameters or (sweeps.stack.layer.diameter,)):
        points = twin_points(sweeps, film, diameter)
        longest = film.decay_times * float(points.decay_time.max())
        sampling = FilmSampling(
            windows=tuple(one for one in windows if one < longest / 4),
            exchange=film.exchange,
            cell=film.cell,
            duration=longest,
            wait=longest / 2,
            replicas=film.replicas,
        )
        key = bench.key.child("films", place)
        whole = characterise_film(points, sampling, key, bench.execution(f"films {place}"))
        single = Sampling(windows=(), replicas=1024, decay_times=20.0)
        alone = characterise(
            points, single, key.child("macrospins"), bench.execution(f"film macrospins {place}")
        )
        rows += _compared(points, whole, alone)
    return rows


def _compared(
    points: StackPoints, whole: Characterised, alone: Characterised
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "diameter": points.layer.diameter,
            "stability": float(points.stability[k]),
            "anisotropy_field": float(points.anisotropy_field[k]),
        }
        for k in range(len(points))
    ]
    for name in _STATISTICS:
        film = whole.statistics.std if name == "std" else whole.decay_time
        macrospin = alone.statistics.std if name == "std" else alone.decay_time
        over = ratio(film, macrospin)
        for k, row in enumerate(rows):
            row[name] = _pair(film.value[k], film.standard_error[k])
            row[f"macrospin_{name}"] = number(macrospin.value[k])
            row[f"ratio_{name}"] = _pair(over.value[k], over.standard_error[k])
            row[f"parted_{name}"] = bool(over.parted[k])
    return rows


def _pair(value: Any, error: Any) -> dict[str, float | None]:
    return {"value": number(value), "se": number(error)}
