"""Where a result comes from: versions, commit, machine, seeds, time."""

import datetime
import importlib.metadata
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import bayespin

_LIBRARIES = ("torch", "numpy", "scipy")


def software() -> dict[str, str]:
    """Return versions of what computes, the commit, and the machine in words."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {
        "bayespin": bayespin.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        **versions,
        "platform": platform.platform(),
        "cpu": processor(),
    }


def commit() -> str:
    """Return the commit of a checkout, with "+" for uncommitted changes; "none" elsewhere."""
    folder = Path(bayespin.__file__).parent
    found = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not found:
        return "none"
    # A site-packages folder inside somebody's checkout is not that checkout.
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") != "__init__.py":
        return "none"
    return found + ("+" if _git(folder, "status", "--porcelain", "--", ".") else "")


def _git(folder: Path, *words: str) -> str:
    try:
        asked = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def processor() -> str:
    """Return the processor's name and the number of cores."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8").splitlines()
        models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        name = f"{models[0]}, {len(models)} cores" if models else name
    return name


def now() -> str:
    """Return the time in UTC, in ISO 8601."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def threads() -> int:
    """Return the number of threads that torch computes with."""
    return torch.get_num_threads()


def sections(
    stages_by_seed: Sequence[dict[str, float]], seeds: tuple[int, ...], started: str
) -> dict[str, Any]:
    """Return the provenance of one run; stages are summed over seeds."""
    names = list(stages_by_seed[0])
    stages = {name: sum(found[name] for found in stages_by_seed) for name in names}
    return {
        **software(),
        "threads": threads(),
        "seeds": list(seeds),
        "started": started,
        "wall_time_s": round(sum(stages.values()), 1),
        "stages_s": {name: round(seconds, 1) for name, seconds in stages.items()},
    }
