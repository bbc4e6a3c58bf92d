"""Energy, latency and area of the chip: each split drawn as a bar above its table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from bayespin.report.figures import stacked_bar
from bayespin.report.formatting import MISSING, area, percent, prefixed, quantity
from bayespin.report.naming import Row, known
from bayespin.report.palette import PARTS, TONES
from bayespin.report.svg import inline_svg
from bayespin.report.tables import Cell, Line


@dataclass(frozen=True, kw_only=True)
class Share:
    """One whole and its parts: a stacked bar, and a table whose swatches key its colours."""

    name: str
    first: str
    svg: Markup
    lines: tuple[Line, ...]


def shares(row: Row | None) -> list[Share]:
    """Return energy by component and by layer (with latency), and area by component."""
    breakdown = (row or {}).get("breakdown") or {}
    component = _sized(breakdown.get("energy_j"))
    layer = _known_parts(breakdown.get("energy_by_layer_j"))
    latency = breakdown.get("latency_by_layer_s") or {}
    sizes = _sized(breakdown.get("area_m2"))
    listed = []
    if component:
        listed.append(_energy("component", component, {}))
    if layer:
        listed.append(_energy("layer", layer, latency))
    if sizes:
        listed.append(_area(sizes))
    return listed


def _known_parts(parts: object) -> dict[str, float]:
    if not isinstance(parts, Mapping):
        return {}
    pairs = {str(name): known(value) for name, value in parts.items()}
    return {name: value for name, value in pairs.items() if value is not None}


def _sized(parts: object) -> dict[str, float]:
    """Return the parts, largest first."""
    return dict(sorted(_known_parts(parts).items(), key=lambda item: -item[1]))


def _energy(title: str, parts: Mapping[str, float], latency: Mapping[str, Any]) -> Share:
    scale, symbol = prefixed(sum(parts.values()), "J")
    extra = {"Latency": {n: quantity(latency.get(n), "s") for n in parts}} if latency else {}
    return _share(
        f"Energy by {title}",
        parts,
        (scale, f"energy per prediction ({symbol})"),
        {"Energy": {name: quantity(value, "J") for name, value in parts.items()}, **extra},
    )


def _area(parts: Mapping[str, float]) -> Share:
    return _share(
        "Area by component",
        parts,
        (1e-6, "chip area (mm²)"),
        {"Area": {name: area(value) for name, value in parts.items()}},
    )


def _share(
    name: str,
    parts: Mapping[str, float],
    axis: tuple[float, str],
    columns: Mapping[str, Mapping[str, str]],
) -> Share:
    """Return a share with one column per entry of `columns`, and the share in per cent."""
    whole, roles = sum(parts.values()), _roles()

    def draw(figure: Figure) -> None:
        stacked_bar(figure.add_subplot(), parts, *axis)

    lines = []
    for place, (part, value) in enumerate(parts.items()):
        cells = [Cell(column=column, value=texts[part]) for column, texts in columns.items()]
        percentage = percent(value / whole, 1) if whole > 0 else MISSING
        cells.insert(1, Cell(column="Share", value=percentage))
        role = roles[min(place, len(roles) - 1)]
        lines.append(Line(name=spoken(part), role=role, detail="", cells=tuple(cells)))
    first = name.rpartition(" ")[2]
    told = ", ".join(f"{line.name} {line.cells[0].value}" for line in lines)
    svg = inline_svg(draw, size=(348, 84), name=f"share{name.replace(' ', '')}".lower(), alt=told)
    return Share(name=name, first=first.capitalize(), svg=svg, lines=tuple(lines))


def _roles() -> list[str]:
    """Return the colour roles of `PARTS`, in order."""
    roles = {tone.light: role for role, tone in TONES.items()}
    return [roles[part] for part in PARTS]


def spoken(name: str) -> str:
    """Return a part's name for people: "buffer_read" is "buffer read", "adc" is "ADC"."""
    words = name.replace("_", " ").split()
    return " ".join(w.upper() if w in {"adc", "dac", "sram"} else w for w in words)
