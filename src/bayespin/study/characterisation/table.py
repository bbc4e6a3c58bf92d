"""The table of a characterised pillar, with error bars: mean and sigma of the conductance."""

from collections.abc import Callable, Mapping, Sequence
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
