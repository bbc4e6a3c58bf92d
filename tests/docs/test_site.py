"""The documentation builds without a warning, loads nothing from elsewhere, and is complete."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bayespin.load import build
from bayespin.study.schema import Study
from bayespin.study.simulation.schema import read
from tests.docs.fields import DOCS, PAGES, up_to_date

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "bayespin"
LOADED = re.compile(r"<(?:script|img|iframe)[^>]+src=\"?(https?:[^\" >]+)|<link[^>]+rel=\"?(?:stylesheet|preconnect|preload)[^>]+href=\"?(https?:[^\" >]+)")  # fmt: skip # noqa: E501


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--site-dir", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")} - {"index"}
    assert pages <= {path.name for path in site.iterdir() if path.is_dir()}


def test_pages_load_nothing_from_elsewhere(site):
    html = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    assert LOADED.findall(html) == []


def test_the_search_for_foreign_assets_finds_them():
    page = '<link rel="stylesheet" href="https://fonts.example/a.css"><script src=https://b/c.js>'
    assert [a or b for a, b in LOADED.findall(page)] == [
        "https://fonts.example/a.css",
        "https://b/c.js",
    ]


def test_reference_shows_equations(site):
    html = (site / "api" / "index.html").read_text(encoding="utf-8")
    assert "K_eff = K_i/t" in html
    assert "10.1038/nmat2804" in html or "Ikeda" in html


def public_modules() -> set[str]:
    """Modules with something public in them, by dotted name."""
    files = (p for p in PACKAGE.rglob("*.py") if not p.stem.startswith("_"))
    return {".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts) for p in files}


def test_every_public_module_is_in_the_reference():
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)) == public_modules()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fields_are_those_of_the_schemas(page):
    text = page.read_text(encoding="utf-8")
    assert text == up_to_date(page), "run `python -m tests.docs.fields`"


def tomls_of(page: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"```toml\n(.*?)```", text, re.DOTALL)


def test_the_simulation_on_the_page_is_valid():
    (text,) = tomls_of("simulate.md")
    simulation = read(tomllib.loads(text), "docs/simulate.md")
    assert simulation.drive.pulses[0].field == (0.0, 0.0, 0.05)


def test_the_study_on_the_page_is_valid():
    (text,) = tomls_of("studies.md")
    study = build(Study, tomllib.loads(text), "docs/studies.md")
    assert study.hardware.accelerator().cell.environment.use_temperature == 350.0


def test_citation_is_complete():
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cited["cff-version"] == "1.2.0"
    assert cited["authors"] == [{"name": "The bayespin developers"}]
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["references"][0]["doi"] == "10.3389/fnano.2022.1021943"


def test_changelog_has_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{project['version']}]" in text
    assert "## [Unreleased]" in text
