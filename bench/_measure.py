"""What all benches share: interleaved timing in one process, and one JSON line per figure."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bayespin.study import provenance


def interleaved(tasks: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each task; all take turns, so machine noise hits all alike."""
    for task in tasks.values():
        task()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(found) for name, found in seconds.items()}


def _rounded(value: float) -> float:
    return round(value, 4) if abs(value) < 1e4 else float(f"{value:.4g}")


def report(
    bench: str,
    values: Mapping[str, float],
    unit: str | Mapping[str, str],
    reference: str | Mapping[str, str],
) -> None:
    """Print one JSON line per figure, beside the value of the figure named `reference`.

    `unit` and `reference` are one for all figures, or one per figure; figures of their reference's
    unit carry their ratio to it. With `--out FILE` on the command line they are also written with
    provenance.
    """
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--out", type=Path, help="write the figures with provenance to a file")
    out = arguments.parse_args().out
    units = unit if isinstance(unit, Mapping) else dict.fromkeys(values, unit)
    single = isinstance(reference, str)
    references = dict.fromkeys(values, reference) if single else dict(reference)
    figures = []
    for name, value in values.items():
        figure = {"bench": bench, "figure": name, "value": _rounded(value), "unit": units[name]}
        beside = references[name]
        if units[name] == units[beside]:
            figure["reference"] = _rounded(values[beside])
            figure["ratio"] = round(value / values[beside], 3)
        figures.append(figure)
    for figure in figures:
        print(json.dumps(figure))
    if out is not None:
        content = {
            "source": f"python3 tasks.py bench {bench} --out FILE",
            "reference": reference,
            "figures": {figure["figure"]: figure for figure in figures},
            "provenance": {
                **provenance.software(),
                "threads": provenance.threads(),
                "date": provenance.now(),
            },
        }
        out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
