"""What a row of the results is called and how it is drawn, the same in table, figure and text."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RowStyle:
    """Name, colour role, marker and line of one row; marker and line repeat what colour says."""

    label: str
    short: str
    role: str
    marker: str
    line: str


CHIP: Final = "bnn/spintronic/per_read"
DETERMINISTIC: Final = "dnn/software/none"
SOFTWARE: Final = ("bnn/software/frozen", "bnn/software/per_read")

_STYLES: Final = {
    DETERMINISTIC: RowStyle(
        label="Deterministic, software",
        short="DNN, software",
        role="deterministic",
        marker="s",
        line=":",
    ),
    SOFTWARE[0]: RowStyle(
        label="Bayesian, software, frozen",
        short="BNN, frozen",
        role="frozen",
        marker="^",
        line="--",
    ),
    SOFTWARE[1]: RowStyle(
        label="Bayesian, software, per read",
        short="BNN, per-read",
        role="perread",
        marker="v",
        line="-.",
    ),
    "bnn/ideal/per_read": RowStyle(
        label="Bayesian, chip of ideal cells",
        short="BNN, ideal cells",
        role="ideal",
        marker="D",
        line="--",
    ),
    CHIP: RowStyle(
        label="Bayesian, spintronic chip",
        short="BNN, spintronic",
        role="spintronic",
        marker="o",
        line="-",
    ),
}


def row_key(row: Row) -> str:
    """Return `model/where/sampling`, the name of a row across the results."""
    return "/".join(str(row.get(part)) for part in ("model", "where", "sampling"))


def style_of(key: str) -> RowStyle:
    """Return the style of a row; a row without one of its own is drawn in `other`."""
    plain = key.replace("/", ", ").replace("_", " ")
    return _STYLES.get(
        key, RowStyle(label=plain, short=plain[:20], role="other", marker="x", line="-")
    )


def find_row(rows: Iterable[Row], key: str) -> Row | None:
    """Return the row of that key, or None."""
    return next((row for row in rows if row_key(row) == key), None)


def known(value: object) -> float | None:
    """Return a finite number as float, and None for anything else: null, NaN, a string."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def ladder(values: object) -> list[tuple[float, float]]:
    """Return (blend fraction, value) pairs of `{"0.5": value, ...}`, sorted, nulls left out."""
    if not isinstance(values, Mapping):
        return []
    pairs = [(float(f), known(value)) for f, value in values.items()]
    return sorted((f, value) for f, value in pairs if value is not None)


def at_blend(values: object, fraction: float) -> float | None:
    """Return the value of a ladder at one blend fraction, or None where it was not measured."""
    return next((v for f, v in ladder(values) if math.isclose(f, fraction, abs_tol=1e-9)), None)
