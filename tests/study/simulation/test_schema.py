"""Simulations from their files: what is shipped can be read, every mistake is one sentence."""

import json
import re

import pytest

from bayespin.load import InputError, dump, resource_names
from bayespin.study.simulation.schema import (
    FilmSimulation,
    MacrospinSimulation,
    WallSimulation,
    read,
    shipped,
)
from tests.study.simulation.small import CHANGES, content

KINDS = {
    "thermal-ensemble": MacrospinSimulation,
    "film-ensemble": FilmSimulation,
    "notched-track": WallSimulation,
}


def test_the_shipped_simulations_are_of_all_kinds():
    assert set(resource_names("simulations")) == set(KINDS) == set(CHANGES)
    for name, kind in KINDS.items():
        found = shipped(name)
        assert isinstance(found, kind)
        assert found.name == name


@pytest.mark.parametrize("name", KINDS)
def test_what_is_written_is_read_again(name):
    found = shipped(name)
    assert read(json.loads(json.dumps(dump(found))), "file") == found


def test_quantities_and_pulses_are_si():
    found = shipped("notched-track")
    assert found.track.places == pytest.approx((70e-9, 115e-9, 160e-9, 205e-9, 250e-9))
    (pulse,) = found.drive.pulses
    assert (pulse.current_density, pulse.start, pulse.count) == (1e12, 0.2e-9, 3)


WRONG = [
    ("thermal-ensemble", {"kind": "macrospins"}, ["`kind` must be one of", "mean `macrospin`?"]),
    ("thermal-ensemble", {"kind": 3}, ["`kind` must be one of macrospin, film, wall", "3"]),
    ("thermal-ensemble", {"name": "a/b"}, ["`name` must be letters", "'a/b'"]),
    ("thermal-ensemble", {"run__replicas": 0}, ["[run] `replicas` must be positive", "0"]),
    ("thermal-ensemble", {"run__replicas": -3}, ["`replicas` must be positive", "-3"]),
    ("thermal-ensemble", {"run__duration": "-1 ns"}, ["[run] `duration` must", "-1 ns"]),
    ("thermal-ensemble", {"run__duration": "nan s"}, ["`run.duration` must be a number", "nan"]),
    ("thermal-ensemble", {"run__duration": "inf s"}, ["`run.duration` must be a number", "inf"]),
    ("thermal-ensemble", {"run__duration": "1 m"}, ["`run.duration` must be a number", "'1 m'"]),
    ("thermal-ensemble", {"run__duration": "50 ps"}, ["`duration` must hold", "100 ps", "50 ps"]),
    ("thermal-ensemble", {"run__settle": "1 ns"}, ["`duration` must hold", "1.1 ns", "1 ns"]),
    ("thermal-ensemble", {"run__time_step": "0 s"}, ["`time_step` must be positive", "0"]),
    ("thermal-ensemble", {"run__temperature": "-1 K"}, ["`temperature` must not be negative"]),
    ("thermal-ensemble", {"run__temperature": "0 K"}, ["`run.temperature` must be positive"]),
    ("thermal-ensemble", {"run__seed": -1}, ["`seed` must be 0 to", "-1"]),
    ("thermal-ensemble", {"run__dtype": "float16"}, ["`run.dtype` must be float32 or float64"]),
    ("thermal-ensemble", {"run__device": "gpu"}, ["`run.device` must be cpu or cuda", "'gpu'"]),
    ("thermal-ensemble", {"run__replica": 3}, ["`run.replica`", "(did you mean `replicas`?)"]),
    ("thermal-ensemble", {"layer__damping": 0.0}, ["[layer] `damping` must be positive", "0"]),
    ("thermal-ensemble", {"layer__diameter": "-5 nm"}, ["`diameter` must be positive", "-5 nm"]),
    ("thermal-ensemble", {"drive__field": ["1 mT"]}, ["[drive] `field` must hold three", "1"]),
    ("thermal-ensemble", {"drive__pulses": [{"start": "1 ns"}]}, ["`drive.pulses.width` must be"]),
    ("thermal-ensemble", {"drive__pulses": [{"start": "0 s", "width": "2 ns", "count": 2}]},
     ["`period` must be given for 2 pulses"]),
    ("thermal-ensemble",
     {"drive__pulses": [{"start": "0 s", "width": "2 ns", "count": 2, "period": "1 ns"}]},
     ["`width` must be at most the period, 1 ns", "2 ns"]),
    ("thermal-ensemble", {"torque__polarisation": 1.5}, ["`polarisation` must be 0 to 1", "1.5"]),
    ("thermal-ensemble", {"torque__asymmetry": 0.5}, ["`asymmetry` must be at least 1", "0.5"]),
    ("thermal-ensemble",
     {"target": {"statistic": "std", "error": 0.0, "longest": "9 ns"}},
     ["[target] `error` must be positive"]),
    ("thermal-ensemble",
     {"target": {"statistic": "std", "error": 0.1, "longest": "0.5 ns"}},
     ["`target.longest` must be at least the duration, 1 ns", "500 ps"]),
    ("film-ensemble", {"initial": "vortx"}, ["`initial` must be one of", "mean `vortex`?"]),
    ("thermal-ensemble", {"torque__nonadiabaticity": 0.1}, ["`torque.nonadiabaticity` must be 0"]),
    ("film-ensemble", {"drive__voltage": "0.1 V"}, ["`drive.voltage` must be 0 V", "100 mV"]),
    ("notched-track", {"torque__asymmetry": 2.0}, ["`torque.asymmetry` must be 1", "2"]),
    ("film-ensemble", {"frames": 1}, ["`frames` must be at least 2", "1"]),
    ("film-ensemble", {"snapshots": -1}, ["`snapshots` must not be negative", "-1"]),
    ("film-ensemble", {"geometry__cells": [4, 4]}, ["`cells` must hold three", "2"]),
    ("film-ensemble", {"geometry__cells": [4, 0, 1]}, ["`cells` must be at least 1", "[4, 0, 1]"]),
    ("film-ensemble", {"geometry__size": ["1 nm", "1 nm", "-1 nm"]}, ["`size` must be", "-1 nm"]),
    ("film-ensemble", {"material__exchange": "-1 pJ/m"}, ["`exchange` must be positive"]),
    ("film-ensemble", {"material__damping": float("nan")}, ["`material.damping`", "finite"]),
    ("notched-track", {"track__notch_depth": "13 nm"}, ["`notch_depth` must be", "13 nm"]),
    ("notched-track", {"track__length": "70 nm"}, ["`length` must exceed 75 nm", "70 nm"]),
    ("notched-track", {"track__start": 2}, ["`start` must be 0 to 1", "2"]),
    ("notched-track", {"track__notches": 0}, ["`notches` must be positive", "0"]),
    ("notched-track", {"beside__frames": 0}, ["`frames` must be at least 2", "0"]),
]  # fmt: skip


@pytest.mark.parametrize("name, changes, words", WRONG)
def test_a_mistake_is_one_sentence(name, changes, words):
    with pytest.raises(InputError) as raised:
        read(content(name, **changes), "file.toml")
    text = str(raised.value)
    assert text.startswith("file.toml: ")
    assert text.endswith(".")
    assert not re.search(r"[.!] |\n", text.replace("?)", ")"))
    for word in words:
        assert word in text, text


def test_a_simulation_that_is_not_shipped_is_one_sentence():
    with pytest.raises(InputError, match=r"`notched-trak`.*mean `notched-track`\?"):
        shipped("notched-trak")
