"""Every Python block of README and docs runs and prints what the page says; every link leads on."""

import re
import textwrap
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEEDS_IMAGES = "fashion_mnist("
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


@pytest.mark.parametrize(
    "wrong", ["```python\n>>> 1 + 1\n3\n```\n", "```python\nassert 1 > 2\n```\n"]
)
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_line_of_prose_runs_on(page):
    """Plain Markdown must read well on its own: 100 columns, tables and links excepted."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    long = [
        n for n in text.splitlines() if len(n) > 100 and not n.startswith("|") and "](" not in n
    ]
    assert long == [line for line in long if "<!-- result" in line]
