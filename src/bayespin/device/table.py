"""Spread and memory of a device against its setting, as a table: measured or simulated, one CSV.

Lines `# key: value` say where the numbers come from; then a header and rows. Columns `setting`,
`mean`, `sigma`, `tau` and `temperature` are needed: conductances in S, times in s, K; σ is
instantaneous, before any read window. A header may name another unit: `tau [ns]`.
"""

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from bayespin.load import InputError, nearest
from bayespin.shapes import Float, Tensor
from bayespin.units import parse

REQUIRED = {"setting": "", "mean": "S", "sigma": "S", "tau": "s", "temperature": "K"}
OPTIONAL = {
    "mean_error": "S", "sigma_error": "S", "tau_error": "s", "frequency": "Hz",
    "excess_kurtosis": "1", "skewness": "1", "distance": "1", "stability": "1",
}  # fmt: skip
_UNITS = REQUIRED | OPTIONAL
_POSITIVE = ("mean", "sigma", "tau", "temperature")
_NOT_NEGATIVE = ("mean_error", "sigma_error", "tau_error", "frequency")
_HEADER = re.compile(r"(\w+)\s*(?:\[([^\]]*)\])?$")
FEWEST_SETTINGS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class SpreadTable:
    """A grid of settings and temperatures, in rows that ascend in temperature, then in setting.

    Raises:
        InputError: a column is missing or has an impossible value, or the rows are no grid.
    """

    columns: Mapping[str, Float[Tensor, " rows"]]
    """By name, in SI, float64; an optional column may hold NaN where nothing is known."""
    metadata: Mapping[str, str]
    """What the lines `# key: value` say: `setting_unit`, `source`, `date`, `amplitude`, …"""

    def __post_init__(self) -> None:
        lines = range(1, len(next(iter(self.columns.values()), ())) + 1)
        _check(self.columns, "Table", tuple(lines))
        order = sorted(
            range(len(lines)),
            key=lambda row: (self.columns["temperature"][row], self.columns["setting"][row]),
        )
        ordered = {name: values.double()[order] for name, values in self.columns.items()}
        object.__setattr__(self, "columns", ordered)

    def __eq__(self, other: object) -> bool:
        """Return whether both would be the same file: `text_of` is exact."""
        return isinstance(other, SpreadTable) and text_of(self) == text_of(other)

    def __hash__(self) -> int:
        return hash(text_of(self))

    @property
    def settings(self) -> Float[Tensor, " settings"]:
        """The settings, ascending, in `setting_unit`."""
        return self.columns["setting"].unique()

    @property
    def temperatures(self) -> Float[Tensor, " temperatures"]:
        """The temperatures, ascending, in K."""
        return self.columns["temperature"].unique()

    @property
    def setting_unit(self) -> str:
        """Unit of the settings, as the table states it."""
        return self.metadata.get("setting_unit", "1")

    def grid(self, name: str) -> Float[Tensor, "temperatures settings"]:
        """Return a column with a row for each temperature.

        Raises:
            KeyError: the table has no such column.
        """
        return self.columns[name].reshape(len(self.temperatures), len(self.settings))


def read_table(path: Path) -> SpreadTable:
    """Return the table in a CSV file.

    Raises:
        InputError: the file cannot be read or is not such a table; the sentence names file, row,
            column, value and what to do.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"File `{path}` must be readable, but is not: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InputError(
            f"File `{path}` must be text in UTF-8, but is not; save it as CSV (UTF-8)."
        ) from None
    return parse_table(text, f"File `{path}`")


def shipped_table(name: str) -> SpreadTable:
    """Return a table of the package.

    Raises:
        InputError: no such table; the sentence lists all.
    """
    folder = resources.files("bayespin") / "resources" / "tables"
    names = sorted(f.name[:-4] for f in folder.iterdir() if f.name.endswith(".csv"))
    if name not in names:
        known = ", ".join(names)
        raise InputError(
            f"Name `{name}` must be one of the shipped tables {known}{nearest(name, names)}."
        )
    return parse_table((folder / f"{name}.csv").read_text(encoding="utf-8"), f"table {name}")


def with_table(preset: Mapping[str, Any]) -> dict[str, Any]:
    """Return a preset's content, and that of the table its pillar names: what a hash covers.

    Raises:
        InputError: no such table.
    """
    name = preset["pillar"].get("table")
    return dict(preset) if name is None else {**preset, "table": text_of(shipped_table(name))}


def parse_table(text: str, where: str) -> SpreadTable:
    """Return the table that a CSV text holds; `where` names it in error messages.

    Raises:
        InputError: as `read_table`.
    """
    metadata: dict[str, str] = {}
    rows: list[tuple[int, list[str]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            key, colon, value = line[1:].partition(":")
            if colon:
                metadata[key.strip()] = value.strip()
        elif line.strip():
            rows.append((number, [cell.strip() for cell in next(csv.reader([line]))]))
    if not rows:
        raise InputError(f"{where} must hold a header and rows, but is empty.")
    names, units = _header(rows[0][1], metadata, where)
    columns = {name: [] for name in names}
    for number, cells in rows[1:]:
        if len(cells) != len(names):
            raise InputError(
                f"{where}, row {number}: must have {len(names)} values, as its header, but has "
                f"{len(cells)}."
            )
        for name, cell in zip(names, cells, strict=True):
            columns[name].append(_number(name, cell, units[name], f"{where}, row {number}"))
    tensors = {k: torch.tensor(v, dtype=torch.float64) for k, v in columns.items()}
    _check(tensors, where, tuple(number for number, _ in rows[1:]))
    return SpreadTable(columns=tensors, metadata=metadata)


def _header(
    cells: list[str], metadata: dict[str, str], where: str
) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Return the columns' names, and of each its unit in the file and the one wanted."""
    names, units = [], {}
    for cell in cells:
        match = _HEADER.match(cell)
        name, unit = (match[1], match[2]) if match else (cell, None)
        if name not in _UNITS and ";" in cell:
            raise InputError(
                f"{where}: columns must be separated by commas, but the header has semicolons; "
                f"save it as CSV with commas and decimal points."
            )
        if name not in _UNITS:
            raise InputError(
                f"{where}: column `{name}` must be one of {', '.join(_UNITS)}, but is not"
                f"{nearest(name, list(_UNITS))}."
            )
        if name in names:
            raise InputError(f"{where}: column `{name}` must stand once, but stands twice.")
        if name == "setting" and unit is not None:
            metadata.setdefault("setting_unit", unit)
        wanted = metadata.get("setting_unit", "1") if name == "setting" else _UNITS[name]
        names.append(name)
        # A unit of its own, such as "pulses", is taken as it is.
        units[name] = ("", wanted) if unit in (None, wanted) else (unit, wanted)
        _number(name, "1", units[name], f"{where}, header")
    return names, units


def _number(name: str, cell: str, unit: tuple[str, str], where: str) -> float:
    if name in OPTIONAL and cell.lower() in ("", "nan"):
        return math.nan
    if "," in cell:
        raise InputError(f"{where}: `{name}` must have a decimal point, but is {cell!r}; mend it.")
    try:
        return parse(f"{cell} {unit[0]}", unit[1]) if unit[0] else float(cell)
    except ValueError as error:
        reason = f"{error}" if unit[0] else f"must be a number, but is {cell!r}"
        raise InputError(f"{where}: `{name}` {reason}; mend or remove the row.") from None


def _check(columns: Mapping[str, Tensor], where: str, lines: tuple[int, ...]) -> None:
    """Refuse missing columns, impossible values, and rows that are no grid."""
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InputError(
            f"{where} must have the columns {', '.join(REQUIRED)}, but lacks "
            f"{', '.join(missing)}; add them to the header and to every row."
        )
    for name, values in columns.items():
        for line, value in zip(lines, values.tolist(), strict=True):
            wanted = _refusal(name, value)
            if wanted:
                raise InputError(
                    f"{where}, row {line}: `{name}` must be {wanted}, but is {value:g}; "
                    f"mend or remove the row."
                )
    _check_grid(columns, where, lines)


def _refusal(name: str, value: float) -> str:
    """Return what a value must be, or nothing if it is."""
    if math.isnan(value) and name in OPTIONAL:
        return ""
    if not math.isfinite(value):
        return "a finite number"
    if name in _POSITIVE and not value > 0:
        return "positive"
    return "0 or more" if name in _NOT_NEGATIVE and value < 0 else ""


def _check_grid(columns: Mapping[str, Tensor], where: str, lines: tuple[int, ...]) -> None:
    settings, temperatures = columns["setting"].tolist(), columns["temperature"].tolist()
    seen: dict[tuple[float, float], int] = {}
    for line, place in zip(lines, zip(settings, temperatures, strict=True), strict=True):
        if place in seen:
            raise InputError(
                f"{where}, row {line}: `setting` must differ between rows of one temperature, but "
                f"{place[0]:g} at {place[1]:g} K stands in row {seen[place]} too; average them."
            )
        seen[place] = line
    if len(set(settings)) < FEWEST_SETTINGS:
        raise InputError(
            f"{where} must have at least {FEWEST_SETTINGS} settings, but has "
            f"{len(set(settings))}; measure more."
        )
    for setting in sorted(set(settings)):
        for kelvin in sorted(set(temperatures)):
            if (setting, kelvin) not in seen:
                raise InputError(
                    f"{where} must have every setting at every temperature, but lacks `setting` "
                    f"{setting:g} at {kelvin:g} K; add the row or remove that temperature."
                )


def write_table(table: SpreadTable, path: Path) -> None:
    """Write a table that `read_table` reads back to the last bit."""
    path.write_text(text_of(table), encoding="utf-8")


def text_of(table: SpreadTable) -> str:
    """Return a table as CSV, SI throughout, to the last bit."""
    lines = [f"# {key}: {value}" for key, value in table.metadata.items()]
    lines.append(",".join(table.columns))
    rows = zip(*(values.tolist() for values in table.columns.values()), strict=True)
    lines += [",".join(repr(value) for value in row) for row in rows]
    return "\n".join(lines) + "\n"
