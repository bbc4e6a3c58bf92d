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


def report(bench: str, values: Mapping[str, float], unit: str, reference: str) -> None:
    """Print one JSON line per figure, beside the value of the figure named `reference`.

    With `--out FILE` on the command line the figures are also written with their provenance.
    """
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--out", type=Path, help="write the figures with provenance to a file")
    out = arguments.parse_args().out
    figures = [
        {
            "bench": bench,
            "figure": name,
            "value": round(value, 4),
            "unit": unit,
            "reference": round(values[reference], 4),
            "ratio": round(value / values[reference], 3),
        }
        for name, value in values.items()
    ]
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
