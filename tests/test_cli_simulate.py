"""`bayespin simulate`: a simulation end to end, and every mistake one sentence and a 2."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from tests.command_line import (
    Command,
    assert_one_sentence,
    assert_report_is_drawn_again,
    caller,
)
from tests.study.simulation import small


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process; returns exit code, output and error output."""
    return caller(monkeypatch, capsys)


def write_simulation(path: Path, name: str, **changes: Any) -> Path:
    path.write_text(tomli_w.dumps(small.content(name, **changes)), encoding="utf-8")
    return path


def test_a_simulation_from_toml_to_report_and_again(command, tmp_path):
    toml = write_simulation(tmp_path / "small.toml", "thermal-ensemble")
    out = tmp_path / "runs"
    words = ("simulate", toml, "--out", out, "--set", "run.replicas=36")
    code, output, error = command(*words)
    assert (code, error) == (0, "")  # not a terminal: no bars
    assert re.search(r"−80 mT +0\.1\d+ ± 0\.\d+ 0\.1095", output), output
    folder = next(out.iterdir())
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert (results["kind"], results["trajectories"]) == ("macrospin", 72)
    page = (folder / "report.html").read_text(encoding="utf-8")
    code, again, error = command(*words)
    assert (code, error) == (0, "")
    assert "finished earlier" in again
    assert_report_is_drawn_again(command, folder, page)


@pytest.mark.parametrize(
    "change, words",
    [
        ("run.replica=3", ["`run.replica` must be one of", "(did you mean `replicas`?)"]),
        ("run.time_step=1 ns", ["`run.time_step` must be at most 20 ps", "1 ns"]),
        ("run.duration=-1 ns", ["[run] `duration` must be positive", "-1 ns"]),
        ("layer.damping=nan", ["`layer.damping` must be a finite number", "nan"]),
        ("kind=films", ["`kind` must be one of macrospin, film, wall", "(did you mean `film`?)"]),
        ("nonsense", ["Option `--set` must be FIELD=VALUE", "'nonsense'"]),
    ],
)
def test_a_mistake_in_a_simulation_is_one_sentence_before_work(command, tmp_path, change, words):
    toml = write_simulation(tmp_path / "small.toml", "thermal-ensemble")
    found = command("simulate", toml, "--out", tmp_path / "runs", "--set", change)
    assert_one_sentence(*found, *words)
    assert not (tmp_path / "runs").exists()


def test_a_simulation_that_cannot_start_is_one_sentence(command, tmp_path):
    """A mesh beyond memory, a start that is missing, a name that is not shipped."""
    for change, words in (
        ("geometry.cells=[300000, 300000, 1]", ["`cells` must fit", "300000 x 300000 x 1"]),
        ("initial=nowhere.ovf", ["`nowhere.ovf` must be readable", "No such file"]),
    ):
        found = command("simulate", "film-ensemble", "--out", tmp_path / "runs", "--set", change)
        assert_one_sentence(*found, *words)
    found = command("simulate", "film-ensembel", "--out", tmp_path / "runs")
    assert_one_sentence(*found, "shipped simulations", "(did you mean `film-ensemble`?)")
    assert not (tmp_path / "runs").exists()


def test_control_c_in_a_simulation_says_how_to_go_on(command, tmp_path, monkeypatch):
    def pressed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bayespin.study.bench.run", pressed)
    toml = write_simulation(tmp_path / "small.toml", "thermal-ensemble")
    code, output, error = command("simulate", toml, "--out", tmp_path / "runs")
    assert (code, output) == (130, "")
    assert error == "Interrupted; the same command resumes where this one stopped.\n"
