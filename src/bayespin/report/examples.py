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


def picture_uri(pixels: Sequence[Sequence[int]]) -> str:
    """Return a grey image (rows of numbers from 0, black, to 255) as a PNG data address."""
    png = io.BytesIO()
    grey = np.clip(np.asarray(pixels, dtype=float), 0, 255).astype(np.uint8)
    imsave(
        png, np.repeat(grey[..., None], 3, axis=2), format="png", metadata={"Software": "bayespin"}
    )
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
    verdict, note = "; ".join(said), str(entry.get("note") or "")

    def draw(figure: Figure) -> None:
        predictive_distribution(figure.add_subplot(), rows, names, truth)

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
