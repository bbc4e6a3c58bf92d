"""Every Python block of README and docs runs and prints what the page says; every link leads on."""

import json
import re
import textwrap
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

from tests.docs.quote import filled

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEEDS_IMAGES = "fashion_mnist("
GENERATED = ("studies.md", "simulate.md")  # docstrings fill their lines
LINK = re.compile(r"(?<!!)\[[^\]]+\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(?P<title>.+?) *$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def run(page: Path) -> int:
    """Evaluate the examples of a page in order, in one namespace, and return their number."""
    document = Sybil(parsers=[PythonCodeBlockParser()], path=str(page.parent)).parse(page)
    examples = list(document.examples())
    for example in examples:
        example.evaluate()
    return len(examples)


WITH_CODE = [p for p in PAGES if "```python" in p.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", WITH_CODE, ids=name_of)
def test_examples(page, request):
    if NEEDS_IMAGES in page.read_text(encoding="utf-8"):
        request.getfixturevalue("fashion_mnist_dir")  # skips where the images are not
    assert run(page) > 0


def test_readme_and_tour_have_examples():
    assert {"README.md", "docs/tour.md"} <= {name_of(page) for page in WITH_CODE}


WRONG = ("```python\n>>> 1 + 1\n3\n```\n", "```python\nassert 1 > 2\n```\n")


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_example_is_seen(tmp_path, wrong):
    page = tmp_path / "page.md"
    page.write_text(wrong)
    with pytest.raises(Exception, match=r"Expected:|^$|assert"):
        run(page)


def anchor(title: str) -> str:
    """The fragment that both Markdown renderers in use make of a heading."""
    words = re.sub(r"[^\w\s-]", "", title.replace("`", "")).strip().lower()
    return re.sub(r"[-\s]+", "-", words)


def dead_links(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    dead = []
    for target in (m["target"] for m in LINK.finditer(text)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        file, _, fragment = target.partition("#")
        there = page.parent / file if file else page
        titles = HEADING.findall(there.read_text(encoding="utf-8")) if there.is_file() else []
        if not there.exists() or (fragment and fragment not in map(anchor, titles)):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_internal_links_lead_somewhere(page):
    assert dead_links(page) == []


def test_a_dead_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        textwrap.dedent("""
        # One title
        [here](#one-title) [gone](#other-title) [gone](other.md) [web](https://example.org)
        """)
    )
    assert dead_links(page) == ["#other-title", "other.md"]


def long_lines(page: Path) -> list[str]:
    """Lines of prose beyond 100 columns; tables, links and quoted results cannot be broken."""
    lines = FENCE.sub("", page.read_text(encoding="utf-8")).splitlines()
    breakable = (n for n in lines if not n.startswith("|") and "](" not in n)
    return [n for n in breakable if len(n) > 100 and "<!-- result" not in n]


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in GENERATED], ids=name_of)
def test_pages_read_well_as_plain_text(page):
    assert long_lines(page) == []


def test_figures_are_written_into_their_markers(tmp_path):
    rows = [{"model": "bnn", "where": "ideal", "energy_j": 2.164e-6, "ood_ece": {"0.5": 0.0181}}]
    (tmp_path / "r.json").write_text(json.dumps({"rows": rows}))
    page = (
        "<!-- result r.json rows/bnn,ideal/energy_j .2f*1e6 -->…<!-- /result --> µJ, "
        "<!-- result r.json rows/bnn,ideal/ood_ece/0.5 .4f -->old<!-- /result -->"
    )
    assert filled(page, tmp_path) == page.replace("…", "2.16").replace("old", "0.0181")
