"""Run folders: steps that keep their bits, files that are whole or not there."""

import json
import math
import os
import stat

import pytest

from bayespin.load import InputError
from bayespin.study.store import RunFolder, read_results, write_json

DIGEST = "0123456789abcdef"


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "runs", "tiny", DIGEST)


def test_names_of_folders(folder, tmp_path):
    assert folder.final == tmp_path / "runs" / "tiny-01234567"
    assert folder.work == tmp_path / "runs" / ".tiny-01234567.partial"


def test_a_step_is_computed_once_and_keeps_every_bit(folder):
    folder.open()
    values = {"x": [0.1 + 0.2, 5e-324, 1.7976931348623157e308], "name": "σ", "none": None}
    calls = []

    def compute():
        calls.append(1)
        return values

    assert folder.step("a", compute) == values
    again = RunFolder(folder.final.parent, "tiny", DIGEST).step("a", compute)
    assert again == values
    assert len(calls) == 1
    folder.forget("a")
    assert folder.step("a", lambda: {"x": 2}) == {"x": 2}
    folder.forget("never there")


def test_a_step_that_fails_is_not_stored(folder):
    folder.open()
    with pytest.raises(ZeroDivisionError):
        folder.step("a", lambda: {"x": 1 / 0})
    with pytest.raises(ValueError, match="JSON"):
        folder.step("a", lambda: {"x": math.nan})
    assert not list((folder.work / "steps").iterdir())


def test_a_file_is_never_half_written(folder, monkeypatch):
    folder.open()
    path = folder.work / "results.json"
    write_json(path, {"x": 1})

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"x": 2})
    assert json.loads(path.read_text(encoding="utf-8")) == {"x": 1}
    assert [p.name for p in folder.work.iterdir() if p.is_file()] == ["results.json"]


def test_publishing_replaces_the_older_run_whole(folder):
    for text in ("old", "new"):
        folder.open()
        (folder.work / text).touch()
        folder.step("a", dict)
        for name in ("net", "net.training"):
            (folder.work / "checkpoints" / f"{name}.safetensors").touch()
        write_json(folder.work / "results.json", {"is": text})
        assert folder.publish() == folder.final
        assert not folder.work.exists()
    assert folder.finished
    assert read_results(folder.final) == {"is": "new"}
    left = sorted(p.name for p in folder.final.iterdir())
    assert left == ["checkpoints", "new", "results.json"]
    assert [p.name for p in (folder.final / "checkpoints").iterdir()] == ["net.safetensors"]
    assert [p.name for p in folder.final.parent.iterdir()] == [folder.final.name]


def test_discarding_leaves_the_finished_run(folder):
    folder.open()
    write_json(folder.work / "results.json", {})
    folder.publish()
    folder.open()
    folder.discard()
    assert not folder.work.exists()
    assert folder.finished


def test_a_place_that_cannot_be_written_is_refused_and_nothing_made(folder, monkeypatch):
    folder.require_writable()
    assert not folder.final.parent.exists()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"^Run folder `.*runs` must be writable, but is not \(`"):
        folder.require_writable()
    monkeypatch.undo()
    folder.final.parent.write_text("here", encoding="utf-8")
    with pytest.raises(InputError, match="it is a file"):
        folder.require_writable()
    with pytest.raises(InputError, match="must be writable"):
        folder.open()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(InputError, match="it cannot be written"):
        RunFolder(tmp_path / "runs", "tiny", DIGEST).require_writable()
    tmp_path.chmod(stat.S_IRWXU)


def test_results_that_are_missing_or_damaged_are_refused(tmp_path):
    with pytest.raises(InputError, match="must be a finished run, but has no results"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text('{"rows": [', encoding="utf-8")
    with pytest.raises(InputError, match=r"must be valid JSON, but is damaged .*`--force`"):
        read_results(tmp_path)
