"""The rules of the house that no linter checks: sizes, names, sources, quoted figures, start-up."""

import ast
import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "bayespin"
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "bench").rglob("*.py"), ROOT / "tasks.py"])
TESTS = sorted((ROOT / "tests").rglob("*.py"))

FUNCTION_LINES, FILE_LINES, ARGUMENTS = 40, 400, 6
# "path::function" -> why it may be longer or take more; nothing else is excused anywhere.
EXCEPTIONS: dict[str, str] = {}
BANNED_NAMES = {"util", "utils", "helper", "helpers", "common", "manager", "base"}
RANDOMNESS = ("manual_seed", "seed", "default_rng", "SeedSequence")
GLOBAL_SETTERS = (
    "set_default_dtype",
    "set_default_device",
    "set_num_threads",
    "set_grad_enabled",
    "use_deterministic_algorithms",
)
# Names of checking calls; functions of the same file that check something count as well.
CHECKING = re.compile(
    r"^(raises|warns|deprecated_call|gradcheck|fail|assert.*|check.*|.*_(is|are))$"
)
BUILD_MACHINE = re.compile(r"(?<![\w.\"'`~-])/(?:root|work|home|Users|tmp|mnt)/\w")
RESULT = re.compile(r"<!-- result (?P<spec>[^>]+?) -->(?P<text>.*?)<!-- /result -->", re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))


def documented(tree: ast.AST) -> Iterator[ast.AST]:
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return (n for n in ast.walk(tree) if isinstance(n, kinds))


def docstring_lines(tree: ast.AST) -> set[int]:
    lines: set[int] = set()
    for node in documented(tree):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            lines.update(range(first.lineno, first.end_lineno + 1))
    return lines


def code_lines(text: str, tree: ast.AST, first: int, last: int) -> int:
    """Count the lines that hold code: no docstring, comment or empty line."""
    skipped = docstring_lines(tree)
    numbered = enumerate(text.splitlines(), start=1)
    inside = (line.strip() for n, line in numbered if first <= n <= last and n not in skipped)
    return sum(bool(line) and not line.startswith("#") for line in inside)


def oversized(path: Path) -> list[str]:
    text, tree = path.read_text(encoding="utf-8"), parsed(path)
    lines = len(text.splitlines()) - len(docstring_lines(tree))
    found = [f"{name_of(path)}: {lines} lines"] if lines > FILE_LINES else []
    for node in functions(tree):
        a = node.args
        names = [x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
        count = len([x for x in names if x not in ("self", "cls")])
        lines = code_lines(text, tree, node.lineno, node.end_lineno)
        where = f"{name_of(path)}::{node.name}"
        if where not in EXCEPTIONS and (lines > FUNCTION_LINES or count > ARGUMENTS):
            found.append(f"{where}: {lines} lines, {count} arguments")
    return found


def calls(tree: ast.AST) -> set[str]:
    found = (n.func for n in ast.walk(tree) if isinstance(n, ast.Call))
    return {getattr(f, "attr", getattr(f, "id", "")) for f in found}


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").split(".")[0])
    return names


def idle_tests(tree: ast.AST) -> list[str]:
    """Names of tests that cannot fail: they assert nothing, themselves or through a function."""
    known = {node.name: node for node in functions(tree)}
    checking = {
        name
        for name, node in known.items()
        if any(isinstance(n, ast.Assert | ast.Raise) for n in ast.walk(node))
        or any(CHECKING.match(call) for call in calls(node))
    }
    return [
        name
        for name, node in known.items()
        if name.startswith("test_") and name not in checking and not calls(node) & checking
    ]


def words_of(path: Path, tree: ast.AST) -> set[str]:
    names = [path.stem, *(n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef))]
    split = (re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name) for name in names)
    return {word.lower() for words in split for word in words}


def committed_files() -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this folder is no git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=name_of)
def test_sizes(path: Path):
    assert not oversized(path)


def test_oversized_sees_a_long_function_and_a_long_signature(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    body = "\n".join(f"    x = {i}" for i in range(FUNCTION_LINES))
    path = tmp_path / "a.py"
    path.write_text(f'def f():\n    """Doc."""\n{body}\ndef g(a, b, c, *, d, e, f, g): pass\n')
    assert oversized(path) == ["a.py::f: 41 lines, 0 arguments", "a.py::g: 1 lines, 7 arguments"]


def test_names_say_what_things_are():
    found = {name_of(p): sorted(words_of(p, parsed(p)) & BANNED_NAMES) for p in SOURCES}
    assert not {path: words for path, words in found.items() if words}


def test_every_test_can_fail():
    idle = {name_of(path): idle_tests(parsed(path)) for path in TESTS}
    assert not {path: names for path, names in idle.items() if names}


def test_idle_tests_are_seen():
    tree = ast.parse("def test_a(): f()\ndef f(): pass\ndef test_b(): g()\ndef g(): assert 0\n")
    assert idle_tests(tree) == ["test_a"]


# The one listed exception: worker threads take one torch thread each, and the caller's count is
# restored; `tests/study` and `tests/numerics/test_parallel.py` check that it is.
MAY_SET = {"parallel.py": {"set_num_threads"}}


def test_only_rng_makes_randomness_and_nobody_sets_globals():
    for path in PACKAGE.rglob("*.py"):
        used = calls(parsed(path)) - MAY_SET.get(path.name, set())
        assert not used & set(GLOBAL_SETTERS), name_of(path)
        if path.name != "rng.py":
            assert not used & set(RANDOMNESS), name_of(path)


def test_annotations_stay_real_objects():
    late = [p for p in [*SOURCES, *TESTS] if "__future__" in imported(parsed(p))]
    assert not late


def numbers_without_source(table: dict, sourced: bool = False) -> list[str]:
    """Dotted names of the values of a resource file that no `source` beside or above covers."""
    sourced = sourced or bool(table.get("source") or table.get("sources"))
    missing: list[str] = []
    for key, value in table.items():
        if isinstance(value, dict):
            missing += [f"{key}.{name}" for name in numbers_without_source(value, sourced)]
        elif key == "value" and not sourced:
            missing.append(key)
    return missing


def test_every_constant_of_the_components_has_a_source():
    files = sorted((PACKAGE / "resources" / "components").glob("*.toml"))
    assert files
    for path in files:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        assert not numbers_without_source(table), name_of(path)
        entries = [e for group in table.values() if isinstance(group, dict) for e in group.values()]
        priced = [e for e in entries if isinstance(e, dict) and "value" in e]
        assert priced
        assert all({"confidence", "licence", "read"} <= set(e) for e in priced), name_of(path)


def test_every_section_of_a_preset_has_a_source():
    files = sorted((PACKAGE / "resources" / "presets").glob("*.toml"))
    assert files
    for path in files:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        sources = table.pop("source")
        assert set(sources) == set(table) - {"like"}, name_of(path)
        assert all(text.strip() for text in sources.values()), name_of(path)


def test_numbers_without_source_are_seen():
    table = {
        "a": {"value": 1, "source": "x"},
        "b": {"value": 2},
        "c": {"source": "y", "d": {"value": 3}},
    }
    assert numbers_without_source(table) == ["b.value"]


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_bayespin_does_nothing_else():
    code = """
import logging, os, random, signal, sys, warnings
def state():
    logs = logging.root.handlers[:], logging.root.level
    return (random.getstate(), dict(os.environ), list(warnings.filters), logs, sys.path[:],
            signal.getsignal(signal.SIGINT), sys.getrecursionlimit())
before = state()
import bayespin
print(state() == before, sorted({"torch", "numpy", "matplotlib", "rich"} & set(sys.modules)))
"""
    assert python(code) == "True []\n"


def test_help_is_instant_and_needs_no_torch():
    code = """
import sys
sys.argv = ["bayespin", "--help"]
from bayespin.cli import main
try:
    code = main()
except SystemExit as stop:
    code = stop.code
assert not code, code
print("torch" in sys.modules, "scipy" in sys.modules)
"""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        printed = python(code)
        seconds.append(time.perf_counter() - started)
        assert printed.endswith("False False\n")
        assert "run" in printed
    assert min(seconds) < 0.5


def spelt(distribution: str) -> str:
    """A distribution's name in its one normal form."""
    return distribution.lower().replace("_", "-")


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {spelt(re.match(r"[\w-]+", line)[0]) for line in project["dependencies"]}


# Triton comes with the CUDA builds of torch; the module is imported when a run on CUDA begins.
MAY_IMPORT = {"_macrospin_kernel.py": {"triton"}, "_moments_kernel.py": {"triton"}}


def test_the_package_imports_only_what_it_declares():
    owners = importlib.metadata.packages_distributions()
    for path in PACKAGE.rglob("*.py"):
        foreign = imported(parsed(path)) - set(sys.stdlib_module_names) - {"bayespin"}
        foreign -= MAY_IMPORT.get(path.name, set())
        owned = {spelt(d) for name in foreign for d in owners.get(name, [name])}
        assert not owned - declared(), name_of(path)


def closure(names: set[str]) -> set[str]:
    """The distributions that a plain installation brings, without extras."""
    found: set[str] = set()
    while names:
        name = names.pop().lower().replace("_", "-")
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system
        found.add(name)
        needed = {re.match(r"[\w.-]+", n)[0].lower() for n in needs if "extra ==" not in n}
        names |= {n.replace("_", "-") for n in needed} - found
    return found


def test_no_dependency_is_under_the_gpl():
    installed = closure(declared())
    assert "torch" in installed
    for name in sorted(installed):
        meta = importlib.metadata.metadata(name)
        licences = [meta.get("License-Expression") or "", *(meta.get_all("Classifier") or [])]
        text = " ".join(x for x in licences if "::" not in x or x.startswith("License"))
        assert not re.search(r"(?<!L)GPL|(?<!Lesser )General Public", text), name


def test_torchvision_is_absent():
    assert importlib.util.find_spec("torchvision") is None


def test_tasks_needs_the_standard_library_only_and_speaks_on_python_3_8():
    text = (ROOT / "tasks.py").read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    assert imported(tree) <= set(sys.stdlib_module_names)


def test_no_path_of_a_build_machine_is_committed():
    text_types = {
        ".py",
        ".md",
        ".toml",
        ".txt",
        ".json",
        ".ipynb",
        ".yml",
        ".cff",
        ".html",
        ".css",
        "",
    }
    found = []
    for path in committed_files():
        if path.suffix in text_types:
            text = path.read_text(encoding="utf-8")
            found += [f"{name_of(path)}: {m[0]}" for m in BUILD_MACHINE.finditer(text)]
            found += [name_of(path)] if str(ROOT) in text else []
    assert not found


def quoted(spec: str, folder: Path) -> str:
    """Return the text that a marker `FILE KEYS FORMAT[*FACTOR]` stands for.

    KEYS go down the JSON file, separated by "/". In a list a step is an index, or words separated
    by commas that the wanted object holds as values: `rows/bnn,spintronic,per_read/accuracy`.
    FORMAT is Python's: `.1f*100` writes 0.9034 as 90.3.
    """
    file, keys, style = spec.split()
    node = json.loads((folder / file).read_text(encoding="utf-8"))
    for key in keys.split("/"):
        if isinstance(node, dict):
            node = node[key]
        elif key.isdigit():
            node = node[int(key)]
        else:
            wanted = set(key.split(","))
            (node,) = [item for item in node if wanted <= {str(v) for v in item.values()}]
    form, _, factor = style.partition("*")
    return (
        format(node * float(factor), form) if factor else format(node, form if form != "s" else "")
    )


def misquoted(page: Path, folder: Path) -> list[str]:
    found = RESULT.finditer(page.read_text(encoding="utf-8"))
    wrong = [(m["spec"], m["text"], quoted(m["spec"], folder)) for m in found]
    return [f"{spec}: says {said}, is {true}" for spec, said, true in wrong if said.strip() != true]


def test_figures_in_readme_and_docs_are_those_of_results():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert RESULT.search(pages[0].read_text(encoding="utf-8"))
    for page in pages:
        assert not misquoted(page, ROOT / "results"), name_of(page)


def test_a_misquoted_figure_is_seen(tmp_path):
    rows = [
        {"model": "bnn", "where": "ideal", "accuracy": 0.9034},
        {"model": "dnn", "accuracy": 0.91},
    ]
    (tmp_path / "r.json").write_text(json.dumps({"rows": rows, "machine": "two cores"}))
    page = tmp_path / "README.md"
    marker = "<!-- result r.json rows/bnn,ideal/accuracy .1f*100 -->{}<!-- /result --> %"
    page.write_text(
        marker.format("90.3") + "<!-- result r.json machine s -->two cores<!-- /result -->"
    )
    assert misquoted(page, tmp_path) == []
    page.write_text(marker.format("90.4"))
    assert misquoted(page, tmp_path) == [
        "r.json rows/bnn,ideal/accuracy .1f*100: says 90.4, is 90.3"
    ]
