"""Simulations of a second: the shipped ones with small numbers."""

import copy
from typing import Any

from bayespin.load import read_resource
from bayespin.study.simulation.schema import Simulation, read

CHANGES: dict[str, dict[str, Any]] = {
    "thermal-ensemble": {
        "layer": {"interface_anisotropy": ["1.0613 mJ/m2", "0.9733 mJ/m2"]},
        "run": {"duration": "1 ns", "record_every": "100 ps", "replicas": 40},
    },
    "film-ensemble": {
        "frames": 3,
        "snapshots": 2,
        "geometry": {"cells": [4, 4, 1], "size": ["16 nm", "16 nm", "2.2 nm"]},
        "run": {
            "duration": "40 ps", "record_every": "4 ps", "settle": "8 ps", "replicas": 33,
        },
    },
    "notched-track": {
        "track": {"length": "160 nm", "width": "25 nm", "notches": 2, "notch_depth": "8 nm"},
        "beside": {"films": 1, "cell": "5 nm", "frames": 3},
        "run": {"duration": "80 ps", "record_every": "8 ps", "replicas": 12},
    },
}  # fmt: skip


def content(name: str, /, **changes: Any) -> dict[str, Any]:
    """Return a small TOML content; `run__replicas=3` changes a field of a section."""
    found = copy.deepcopy(read_resource("simulations", name))
    for section, values in CHANGES[name].items():
        found[section] = found[section] | values if isinstance(values, dict) else values
    if name == "notched-track":
        found["drive"]["pulses"][0] |= {"start": "8 ps", "width": "24 ps", "period": "32 ps"}
    for path, value in changes.items():
        place = found
        *sections, last = path.split("__")
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return found


def simulation(name: str, /, **changes: Any) -> Simulation:
    """Return a small simulation."""
    return read(content(name, **changes), name)
