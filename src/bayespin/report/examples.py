"""Test images with their predictive distributions."""

import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.image import imsave

from bayespin.report.figures import predictive_distribution
from bayespin.report.formatting import decimals, percent
from bayespin.report.naming import CHIP, DETERMINISTIC, known
from bayespin.report.svg import inline_svg

_MOST = 10
"""Classes that a drawing has room for."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image with what the networks say about it."""

    title: str
    note: str
    verdict: str
    uncertainty: str
    picture: str
    alt: str
    svg: Markup


def picture_uri(pixels: Sequence[Sequence[Any]]) -> str:
    """Return an image as a PNG data address.

    Args:
        pixels: rows of numbers from 0, black, to 255, or of such triples of red, green and blue.
    """
    png = io.BytesIO()
    values = np.clip(np.asarray(pixels, dtype=float), 0, 255).astype(np.uint8)
    colours = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    imsave(png, colours, format="png", metadata={"Software": "bayespin"})
    return f"data:image/png;base64,{b64encode(png.getvalue()).decode('ascii')}"


def _shown(rows: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the rows to draw: the deterministic network as a mark, the chip as bars (last)."""
    keys = [key for key in (DETERMINISTIC, CHIP) if rows.get(key)]
    if not keys:
        keys = [key for key in rows if rows.get(key)][-1:]
    return {key: rows[key] for key in keys}


def _best(row: Mapping[str, Any] | None, classes: Sequence[str]) -> str:
    mean = [known(value) for value in (row or {}).get("mean") or ()]
    numbers = [value if value is not None else -1.0 for value in mean]
    if not numbers or len(numbers) != len(classes):
        return ""
    place = int(np.argmax(numbers))
    return f"{classes[place]} ({percent(numbers[place], 0)})"


def _drawn(rows: Mapping[str, Any], count: int, truth: int | None) -> list[int]:
    """Return which classes to draw: all, or where they are many the likeliest and the true one."""
    if count <= _MOST:
        return list(range(count))
    likely = np.zeros(count)
    for row in rows.values():
        mean = [known(value) or 0.0 for value in row.get("mean") or ()]
        if len(mean) == count:
            likely = np.maximum(likely, mean)
    first = [int(number) for number in np.argsort(-likely, kind="stable") if number != truth]
    # In the order of likelihood; the true class in its place, or last where it would be left out.
    chosen = first[: _MOST - 1] + ([first[_MOST - 1]] if truth is None else [truth])
    return sorted(chosen, key=lambda number: -likely[number])


def _taken(row: Mapping[str, Any], drawn: Sequence[int]) -> dict[str, list[Any]]:
    """Return a row's numbers by class, for the classes that are drawn."""
    lists = {name: row.get(name) or [] for name in ("mean", "low", "high")}
    return {
        name: [values[number] for number in drawn]
        for name, values in lists.items()
        if len(values) > max(drawn, default=-1)
    }


def examples(results: Mapping[str, Any]) -> list[Example]:
    """Return the images of a run, ready for the page."""
    classes = [str(name) for name in (results.get("data") or {}).get("classes") or ()]
    return [
        _example(place, entry, classes)
        for place, entry in enumerate(results.get("examples") or ())
        if entry.get("image") and _shown(entry.get("rows") or {})
    ]


def _example(place: int, entry: Mapping[str, Any], classes: Sequence[str]) -> Example:
    rows = _shown(entry["rows"])
    main = next(reversed(rows.values()))
    names = list(classes) or [str(number) for number in range(len(main.get("mean") or ()))]
    label, foreign = entry.get("label"), str(entry.get("note")) == "digit"
    truth = label if isinstance(label, int) and not foreign and 0 <= label < len(names) else None
    title = "None of the classes" if foreign else names[truth] if truth is not None else "Image"
    said = [f"Chip: {_best(rows.get(CHIP), names)}"] if _best(rows.get(CHIP), names) else []
    if _best(rows.get(DETERMINISTIC), names):
        said.append(f"deterministic: {_best(rows[DETERMINISTIC], names)}")
    if len(names) > _MOST:
        said.append(f"{_MOST} of {len(names)} classes drawn")
    verdict, note = "; ".join(said), str(entry.get("note") or "")

    drawn = _drawn(rows, len(names), truth)
    parts = {key: {**row, **_taken(row, drawn)} for key, row in rows.items()}

    def draw(figure: Figure) -> None:
        place = drawn.index(truth) if truth is not None else None
        labels = [names[number] for number in drawn]
        predictive_distribution(figure.add_subplot(), parts, labels, place)

    return Example(
        title=title,
        note=note,
        verdict=verdict,
        uncertainty=f"entropy {decimals(main.get('total'), 2)} nat, of it epistemic "
        f"{decimals(main.get('epistemic'), 2)}",
        picture=picture_uri(entry["image"]),
        alt=f"Test image: {title} ({note})",
        svg=inline_svg(
            draw, size=(330, 216), name=f"example{place}", alt=f"Class probabilities. {verdict}."
        ),
    )
