"""muMAG problems 4 and 5: writes results/standard_problems.json and the curves of the docs.

Takes some ten minutes on one core. `pytest --slow` asserts the same runs against mumax3.
"""

import json
import time
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bayespin.physics.film.standard_problems import (
    Trace,
    driven_vortex,
    reversal,
    solve_problem,
)
from bayespin.report.palette import PARTS
from bayespin.report.svg import standalone_svg
from bayespin.study import provenance

ROOT = Path(__file__).resolve().parent.parent
PROBLEMS = {
    "problem 4, field a": (reversal("a"), 2e-9),
    "problem 4, field b": (reversal("b"), 2e-9),
    "problem 5, ξ = 0.05": (driven_vortex(0.05, (32, 32, 4)), 8e-9),
}
INTERVAL = 1e-11


def entry(trace: Trace, seconds: float) -> dict[str, Any]:
    """Return what is kept of a trace: ⟨m⟩ every 10 ps, rounded to what other codes agree on."""
    return {
        "relaxed": [round(value, 5) for value in trace.relaxed.tolist()],
        "times_ns": [round(value * 1e9, 4) for value in trace.times.tolist()],
        "average": [[round(value, 5) for value in row] for row in trace.average.tolist()],
        "seconds": round(seconds, 1),
    }


def draw(name: str, found: dict[str, Any], path: Path) -> None:
    """Write the three components of ⟨m⟩ against time."""

    def curves(figure: Figure) -> None:
        axes = figure.add_subplot()
        components = zip("xyz", zip(*found["average"], strict=True), strict=True)
        for index, (component, values) in enumerate(components):
            axes.plot(found["times_ns"], values, label=f"⟨m_{component}⟩", color=PARTS[index])
        axes.set(xlabel="time (ns)", ylabel="average magnetisation", title=f"muMAG {name}")
        axes.legend(frameon=False, ncols=3)

    path.parent.mkdir(exist_ok=True)
    path.write_text(standalone_svg(curves, (560, 260)), encoding="utf-8")


def main() -> None:
    """Run all problems and write what they gave."""
    results = {}
    for name, (problem, duration) in PROBLEMS.items():
        started = time.perf_counter()
        trace = solve_problem(problem, duration, INTERVAL)
        results[name] = entry(trace, time.perf_counter() - started)
        print(json.dumps({"problem": name, "seconds": results[name]["seconds"]}))
        draw(name, results[name], ROOT / "docs" / "images" / f"{FILES[name]}.svg")
    content = {
        "source": "python3 tasks.py bench standard_problems",
        "problems": results,
        "provenance": {**provenance.software(), "date": provenance.now()},
    }
    path = ROOT / "results" / "standard_problems.json"
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


FILES = {name: f"mumag{i}" for name, i in zip(PROBLEMS, ("4a", "4b", "5"), strict=True)}

if __name__ == "__main__":
    main()
