"""One run folder of a regression study to figures and one HTML file that needs no network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from bayespin.load import InputError
from bayespin.report import page, sections
from bayespin.report.formatting import MISSING, count, decimals, figures, percent, quantity, signed
from bayespin.report.naming import known
from bayespin.report.plates import Mark
from bayespin.report.regression.figures import MARGINS, bands, differences
from bayespin.report.sections import WIDE, Drawing, Group, Section
from bayespin.report.table import Table
from bayespin.report.tables import Cell, Line
from bayespin.report.verdict import Tile

Row = Mapping[str, Any]
KIND: Final = "regression"
_CHIP, _TWIN = ("spintronic", "per_read"), ("software", "per_read")
_NAMES: Final = {
    ("software", "frozen"): ("software, frozen", "frozen"),
    ("software", "per_read"): ("software, per read", "perread"),
    ("ideal", "per_read"): ("ideal cells", "ideal"),
    ("spintronic", "per_read"): ("spintronic chip", "spintronic"),
}
_FILES: Final = {
    "results.json": "the numbers of this page, and where they come from",
    "study.toml": "the study with every default written out",
    "figures/": "the drawings of this page as SVG files",
    "checkpoints/": "the trained networks",
}
_BANDS: Final = (
    Mark(kind="line", role="ink", label="predicted mean"),
    Mark(kind="block", role="aleatoric", label="± 2 deviations of the data's noise (aleatoric)"),
    Mark(kind="block", role="epistemic", label="with what the network does not know (epistemic)"),
    Mark(kind="line", role="muted", label="training data"),
)


def write(run_dir: Path) -> Path:
    """Write figures and report.html of a run folder; return the path of the page.

    Raises:
        InputError: no results, damaged ones, or a folder that cannot be written.
    """
    results = page.read(run_dir)
    if results.get("kind") != KIND:
        raise InputError(
            f"Folder `{run_dir}` must be a run of a regression study, but is not; take "
            f"`bayespin report`."
        )
    opening = sections.Opening(
        run=str(results.get("study") or MISSING),
        warnings=["Quick run: do not quote."] if results.get("quick") else [],
        sentences=_sentences(results),
        tiles=_tiles(results),
        files=_FILES,
        facts=_facts(results),
    )
    return sections.write(run_dir, results, opening, _sections(results))


def table(results: Row) -> Table:
    """Return the rows of a study for a terminal: every set in software and on the chip."""
    lines = []
    for name, where, row in _shown(results):
        mean, se = row["mean"], row["se"]
        lines.append(
            (
                name, where, _pm(mean["nll"], se["nll"]), _pm(mean["rmse"], se["rmse"]),
                figures(mean["crps"]), percent(mean["coverage_90"], 1).replace("\u00a0", " "),
            )
        )  # fmt: skip
    met, made = _met(results)
    told = f"; {met} of {made} equivalent in NLL and RMSE" if made else ""
    return Table(
        header=("set", "where", "NLL (nats)", "RMSE", "CRPS", "in 90 %"),
        rows=tuple(lines),
        notes=(
            "In the unit of the table; ± standard error over the splits; software sampled per "
            "read, as the chip.",
            f"Last layer: {results.get('output_layer')}{told}.",
        ),
    )


def _shown(results: Row) -> list[tuple[str, str, Row]]:
    return [
        (row["set"], _NAMES[row["where"], row["sampling"]][0].partition(",")[0], row)
        for row in results.get("rows") or ()
        if (row["where"], row["sampling"]) in (_TWIN, _CHIP)
    ]


def _pm(mean: object, error: object) -> str:
    wrong = known(error)
    value = figures(mean, 4)
    return value if wrong is None else f"{value} ± {figures(wrong, 2)}"


def _met(results: Row) -> tuple[int, int]:
    """Return on how many sets the chip is equivalent to its software, and of how many."""
    found = [one["per_read"] for one in (results.get("against_software") or {}).values()]
    made = [one for one in found if all(one.values())]
    return sum(all(part["met"] for part in one.values()) for one in made), len(made)


def _sentences(results: Row) -> list[str]:
    met, made = _met(results)
    said = []
    if made:
        said.append(
            f"On {met} of {made} sets the chip predicts as its software does: the 95 % intervals "
            f"of the differences lie within 0.03 nats and 2\u00a0% of the error."
        )
    toy = results.get("toy")
    if toy is not None:
        ours, twin = (_doubt(toy["bands"]["/".join(key)]) for key in (_CHIP, _TWIN))
        said.append(
            f"In the middle of the gap the epistemic deviation is {figures(ours, 2)} times that "
            f"where there are data, in software {figures(twin, 2)} times."
        )
    if results.get("output_layer") == "digital":
        said.append("The last layer is computed digitally, with its trained Gaussians.")
    return said


def _doubt(bands: Row) -> float:
    """Return the epistemic deviation in the middle of the gap over its mean where data stand."""
    x, doubt = np.array(bands["x"]), np.array(bands["epistemic"])
    known = ((x >= -1) & (x <= -0.2)) | ((x >= 0.3) & (x <= 1))
    return float(doubt[np.abs(x - 0.05).argmin()] / doubt[known].mean())


def _tiles(results: Row) -> list[Tile]:
    tiles = []
    for name, first in list((results.get("first") or {}).items())[:4]:
        tiles.append(
            Tile(
                label=f"{name}: one prediction",
                value=quantity(first.get("energy_j"), "J"),
                lines=(
                    f"{count(results.get('reads'))} reads",
                    f"{quantity(first.get('latency_s'), 's')}",
                ),
            )
        )
    return tiles


def _sections(results: Row) -> list[Section]:
    found = []
    if results.get("toy") is not None:
        found.append(_toy(results["toy"]))
    if _met(results)[1]:
        found.append(_equivalence(results["against_software"]))
    return [*found, _table(results)]


def _toy(toy: Row) -> Section:
    drawings = []
    for key in (_TWIN, _CHIP):
        name = "/".join(key)

        def draw(figure: Figure, name: str = name) -> None:
            bands(figure.add_subplot(), toy, name)

        drawings.append(
            Drawing(
                name=f"bands-{key[0]}",
                title=_NAMES[key][0],
                note="",
                alt=f"Prediction with bands, {_NAMES[key][0]}",
                draw=draw,
            )
        )
    return Section(
        name="bands",
        title="What is noise, and what is not known",
        question="Does the chip know where it has seen nothing?",
        groups=(
            Group(
                name="bands",
                caption="y = sin 4x (dotted) with noise that grows to the right; no data between "
                "−0.2 and 0.3, and none beyond ± 1.",
                drawings=tuple(drawings),
                marks=_BANDS,
            ),
        ),
    )


def _equivalence(against: Row) -> Section:
    drawings = []
    for name, label in MARGINS.items():

        def draw(figure: Figure, name: str = name) -> None:
            differences(figure.add_subplot(), against, name)

        drawings.append(
            Drawing(name=f"difference-{name.replace('_', '-')}", title=label, note="", alt=label,
                    draw=draw, size=WIDE if len(against) > 9 else (348, 320))
        )  # fmt: skip
    return Section(
        name="equivalence",
        title="What the chip changes",
        question="Does it predict as its software does?",
        groups=(
            Group(
                name="equivalence",
                caption="Paired over splits, 95 % intervals of Student's t. Grey: the margin "
                "within which the two count as equal; red where the interval leaves it.",
                drawings=tuple(drawings),
            ),
        ),
    )


def _table(results: Row) -> Section:
    lines = []
    for row in results.get("rows") or ():
        name, role = _NAMES[row["where"], row["sampling"]]
        mean, se = row["mean"], row["se"]

        def cell(column: str, key: str, text: str, mean: Row = mean, error: Row = se) -> Cell:
            wrong = known(error.get(key))
            return Cell(column=column, value=text, below=() if wrong is None else (
                f"± {figures(wrong, 2)}",))  # fmt: skip

        lines.append(
            Line(
                name=f"{row['set']}: {name}",
                role=role,
                detail=f"{count(row['splits'])} splits",
                cells=(
                    cell("NLL (nats)", "nll", signed(mean["nll"], 3).removeprefix("+")),
                    cell("one Gaussian", "matched_nll",
                         signed(mean["matched_nll"], 3).removeprefix("+")),
                    cell("RMSE", "rmse", figures(mean["rmse"], 4)),
                    cell("CRPS", "crps", figures(mean["crps"], 3)),
                    cell("in 50 %", "coverage_50", percent(mean["coverage_50"], 1)),
                    cell("in 90 %", "coverage_90", percent(mean["coverage_90"], 1)),
                    cell("in 95 %", "coverage_95", percent(mean["coverage_95"], 1)),
                    cell("miscalibration", "miscalibration_area",
                         decimals(mean["miscalibration_area"], 3)),
                ),
            )
        )  # fmt: skip
    return Section(
        name="sets",
        title="Every set",
        question="How good, and how honest?",
        lines=tuple(lines),
        first="set and network",
        caption="Test examples, in the unit of each table; ± standard error over the splits.",
        note="NLL of the mixture over reads, and of the one Gaussian with its mean and variance; "
        "shares of the targets inside central intervals; area between wanted and observed shares.",
    )


def _facts(results: Row) -> dict[str, Any]:
    preset = results.get("preset") or {}
    return {
        "study": f"{results.get('study')} ({results.get('study_hash')})",
        "preset": f"{preset.get('name')} ({preset.get('hash')})",
        "reads": results.get("reads"),
        "last layer": results.get("output_layer"),
    }
