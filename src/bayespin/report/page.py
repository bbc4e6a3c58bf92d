"""One run folder to one HTML file: no network, light and dark, made for reading."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from bayespin.load import InputError
from bayespin.report.cell_plates import device_plate, held_plate, levels_plate
from bayespin.report.cost_of_hardware import (
    flaw_lines,
    flaw_plate,
    reads_plate,
    reads_said,
    stopping_lines,
)
from bayespin.report.examples import examples
from bayespin.report.formatting import MISSING, area, count, figures, quantity
from bayespin.report.naming import CHIP, find_row, known
from bayespin.report.palette import TONES
from bayespin.report.plates import (
    calibration_plate,
    entropy_plate,
    ood_plate,
    sigma_plate,
)
from bayespin.report.reference import CITATION, DOI, OOD_SET, comparable
from bayespin.report.shares import shares
from bayespin.report.tables import (
    baseline_lines,
    mapping_lines,
    programming_lines,
    result_lines,
    seed_lines,
)
from bayespin.report.verdict import check_summary, checks, programming, sentences, tiles, unverified

SCHEMA_VERSIONS: Final = (1, 2)
"""Values of `schema_version` in a results.json that this page can read.

1 lacks what programming took and left, the map of (μ, σ), and the device.
"""


def render(results: Mapping[str, Any], devices: Sequence[tuple[str, str]] = ()) -> str:
    """Return the whole page; equal results give equal text.

    Args:
        results: the content of a results.json; values that are null, and parts that are missing,
            become a dash or leave their section out.
        devices: titles and relative addresses of pages of characterised devices.
    """
    return fill("report.html", {**_content(results), "device_pages": devices})


def device_pages(run_dir: Path) -> list[tuple[str, str]]:
    """Return title and relative address of each characterisation's page in the same folder."""
    found = []
    for page in sorted(run_dir.parent.glob("[!.]*/report.html")):
        try:
            results = json.loads((page.parent / "results.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(results, dict) and "characterisation" in results:
            found.append((str(results.get("title")), f"../{page.parent.name}/report.html"))
    return found


def fill(template: str, content: Mapping[str, Any]) -> str:
    """Return a page of the package's templates with its content, style and script in it."""
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _template("script.js").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template(template).render(
        style=Markup(_theme() + _template("style.css")),
        script=Markup(script),
        script_hash=digest,
        **content,
    )


def write(run_dir: Path) -> Path:
    """Write report.html beside the results.json of a run folder and return its path.

    Raises:
        InputError: no results.json, not JSON, of another schema version, or a folder that cannot
            be written.
    """
    return save(run_dir, render(read(run_dir), device_pages(run_dir)))


def read(run_dir: Path) -> dict[str, Any]:
    """Return the results of a run folder, of a study or of a simulation.

    Raises:
        InputError: no results.json, not JSON, or of another schema version.
    """
    source = run_dir / "results.json"
    try:
        results = json.loads(source.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"Run folder `{run_dir}` must hold a readable results.json, but does not: "
            f"{error.strerror}."
        ) from None
    except ValueError as error:
        raise InputError(f"File `{source}` must be JSON, but is not: {error}.") from None
    version = results.get("schema_version") if isinstance(results, dict) else None
    if version not in SCHEMA_VERSIONS:
        known_versions = " or ".join(map(str, SCHEMA_VERSIONS))
        raise InputError(
            f"Field `schema_version` of `{source}` must be {known_versions}, but is {version!r}; "
            f"run the study again with this version of bayespin."
        )
    return results


def save(run_dir: Path, page: str) -> Path:
    """Write a page as report.html of a run folder and return its path.

    Raises:
        InputError: the folder cannot be written.
    """
    target = run_dir / "report.html"
    beside = target.with_suffix(".html.part")
    try:
        beside.write_text(page, encoding="utf-8", newline="\n")
        os.replace(beside, target)
    except OSError as error:
        raise InputError(
            f"Run folder `{run_dir}` must be writable, but is not: {error.strerror}."
        ) from None
    return target


def _template(name: str) -> str:
    folder = resources.files("bayespin.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _theme() -> str:
    """Return the colour roles as CSS variables: light by default, dark by system or by choice."""
    light = "".join(f"--{role}:{tone.light};" for role, tone in TONES.items())
    dark = "".join(f"--{role}:{tone.dark};" for role, tone in TONES.items())
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark)"
        f"{{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n"
    )


def _content(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows, as text, tables and drawings."""
    rows, listed = results.get("rows") or (), checks(results)
    chip = find_row(rows, CHIP)
    seeds = results.get("seed_rows") or ()
    return {
        "title": str(results.get("title") or results.get("study") or "bayespin study"),
        "study": str(results.get("study") or MISSING),
        "study_hash": str(results.get("study_hash") or MISSING),
        "quick": bool(results.get("quick")),
        "sentences": sentences(results),
        "tiles": tiles(results),
        "checks": listed,
        "check_summary": check_summary(listed),
        "lines": result_lines(rows, paper=comparable(results)),
        "ood": str((results.get("data") or {}).get("ood") or "out-of-distribution images"),
        "paper": {"citation": CITATION, "doi": DOI, "ood": OOD_SET} if comparable(results) else {},
        "calibration": calibration_plate(results),
        "ladder": ood_plate(results),
        "entropy": entropy_plate(results),
        "sigma": sigma_plate(results),
        "held": held_plate(results),
        "mapping": mapping_lines(results.get("mapping") or ()),
        **_limits(results, rows),
        "device": device_plate(results),
        "levels": levels_plate(results),
        "programming": programming_lines(results.get("programming") or ()),
        "programming_said": " ".join(filter(None, (unverified(results), programming(results)))),
        "shares": shares(chip),
        "baselines": baseline_lines(results, chip),
        "chip_energy": quantity((chip or {}).get("energy_j"), "J"),
        "chip_area": area((chip or {}).get("area_m2")),
        "chip_latency": quantity((chip or {}).get("latency_s"), "s"),
        "examples": examples(results),
        "seeds": seed_lines(seeds) if len({row.get("seed") for row in seeds}) > 1 else [],
        "not_simulated": [str(item) for item in results.get("not_simulated") or ()],
        "facts": _facts(results),
        "stages": _stages(results),
        "digests": _pairs((results.get("provenance") or {}).get("data_sha256")),
    }


def _limits(results: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the hardware costs, and what reads buy."""
    return {
        "flaws": flaw_plate(results),
        "flaw_lines": flaw_lines(results),
        "reads": reads_plate(results),
        "stopping": stopping_lines(results, rows),
        "reads_said": reads_said(results),
    }


def _pairs(table: object) -> list[tuple[str, str]]:
    return [(str(k), str(v)) for k, v in table.items()] if isinstance(table, Mapping) else []


def _stages(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    stages = (results.get("provenance") or {}).get("stages_s") or {}
    return [(str(name), quantity(seconds, "s")) for name, seconds in stages.items()]


def _facts(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the provenance as name and value, in a fixed order, without what is not known."""
    preset, data = results.get("preset") or {}, results.get("data") or {}
    origin = results.get("provenance") or {}
    sizes = [
        f"{count(data[part])} {part}" for part in ("train", "validation", "test")
        if known(data.get(part)) is not None
    ]  # fmt: skip
    wall = known(origin.get("wall_time_s"))
    told = {
        "study": f"{results.get('study')} ({results.get('study_hash')})",
        "preset": f"{preset.get('name')} ({preset.get('hash')})" if preset else None,
        "data": f"{data.get('name')}: {', '.join(sizes)} images" if data else None,
        "other images": data.get("ood"),
        "seeds": ", ".join(map(str, origin.get("seeds") or ())),
        "started": origin.get("started"),
        "wall time": None if wall is None else f"{figures(wall / 60)} min",
        "bayespin": " · ".join(str(origin[k]) for k in ("bayespin", "commit") if origin.get(k)),
        "python": origin.get("python"),
        "torch": origin.get("torch"),
        "numpy": origin.get("numpy"),
        "platform": origin.get("platform"),
        "processor": origin.get("cpu"),
        "threads": origin.get("threads"),
    }
    return [(name, str(value)) for name, value in told.items() if value is not None and value != ""]
