"""The table of a characterised pillar, with error bars: mean and sigma of the conductance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import torch

from bayespin.device.table import SpreadTable

Row = Mapping[str, Any]


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


_COLUMNS: Final[dict[str, Callable[[Row], float]]] = {
    "setting": lambda row: row["setting"],
    "mean": lambda row: row["mean_conductance"] + row["amplitude"] * row["mean"]["value"],
    "sigma": lambda row: row["amplitude"] * row["std"]["value"],
    "tau": lambda row: row["decay_time"]["value"],
    "temperature": lambda row: row["temperature"],
    "mean_error": lambda row: row["amplitude"] * row["mean"]["se"],
    "sigma_error": lambda row: row["amplitude"] * row["std"]["se"],
    "tau_error": lambda row: row["decay_time"]["se"],
    "frequency": lambda row: _known(row["frequency"]["value"]),
    "excess_kurtosis": lambda row: _known(row["excess_kurtosis"]["value"]),
    "skewness": lambda row: _known(row["skewness"]["value"]),
    "distance": lambda row: _known(row["normality"]["value"]),
    "stability": lambda row: row["stability"],
}


def table_of(rows: Sequence[Row], origin: Mapping[str, str]) -> SpreadTable:
    """Return the operating points of the table, at an instant, and where they come from.

    G = G0 (1 + P² u): mean G0 + G0P² ⟨u⟩, sigma G0P² s. `distance` is to a normal law.

    Raises:
        InputError: the points are no grid, or a number of one is impossible.
    """
    own = [row for row in rows if row["varied"] == "setting"]
    columns = {
        name: torch.tensor([of(row) for row in own], dtype=torch.float64)
        for name, of in _COLUMNS.items()
    }
    return SpreadTable(columns=columns, metadata=origin)


def of_projection(table: SpreadTable, rows: Sequence[Row]) -> SpreadTable:
    """Return the same table with σ and its error of u instead of the conductance.

    Symbols: `rows` the operating points, whose amplitudes G0P² (S) may differ with a held voltage.
    """
    places = {
        (row["temperature"], row["setting"]): row["amplitude"]
        for row in rows
        if row["varied"] == "setting"
    }
    keys = zip(
        table.columns["temperature"].tolist(), table.columns["setting"].tolist(), strict=True
    )
    amplitude = torch.tensor([places[key] for key in keys], dtype=torch.float64)
    own = {name: table.columns[name] / amplitude for name in ("sigma", "sigma_error")}
    return replace(table, columns={**table.columns, **own})
