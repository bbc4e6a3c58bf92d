"""Provenance: the commit that computed, and nobody else's; stages add up."""

import datetime
import importlib.metadata
import re
import shutil
import subprocess

import pytest
import torch

import bayespin
from bayespin.study import provenance


def git(folder, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A folder that passes for the installed package."""
    folder = tmp_path / "checkout" / "bayespin"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setattr(bayespin, "__file__", str(folder / "__init__.py"))
    # Whatever lies above the temporary folder is not meant.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return folder


def test_no_commit_outside_a_checkout(package):
    assert provenance.commit() == "none"


def test_no_commit_without_git(package, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() == "none"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_of_a_checkout_and_its_changes(package):
    git(package.parent, "init", "-q")
    (package.parent / "note").touch()
    git(package.parent, "add", "note")
    git(package.parent, "commit", "-qm", "a package folder that nobody tracks")
    assert provenance.commit() == "none"  # such as site-packages inside somebody's checkout
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-qm", "tracked")
    clean = provenance.commit()
    assert re.fullmatch("[0-9a-f]{12}", clean)
    (package.parent / "note").write_text("changed beside the package", encoding="utf-8")
    assert provenance.commit() == clean
    (package / "__init__.py").write_text("1", encoding="utf-8")
    assert provenance.commit() == f"{clean}+"


def test_software_is_what_is_installed():
    found = provenance.software()
    assert found["torch"] == importlib.metadata.version("torch")
    assert found["bayespin"] == bayespin.__version__
    assert all(found.values())


def test_stages_are_summed_over_seeds():
    stages = [{"train dnn": 1.26, "train bnn": 2.0}, {"train dnn": 3.0, "train bnn": 4.5}]
    found = provenance.sections(stages, (3, 4), "2026-01-02T03:04:05Z")
    assert found["stages_s"] == {"train dnn": 4.3, "train bnn": 6.5}
    assert found["wall_time_s"] == 10.8
    assert found["seeds"] == [3, 4]
    assert found["started"] == "2026-01-02T03:04:05Z"
    assert found["threads"] == torch.get_num_threads()


def test_now_is_utc():
    told = datetime.datetime.strptime(provenance.now(), "%Y-%m-%dT%H:%M:%SZ")
    here = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    assert abs((here - told).total_seconds()) < 5
