"""The page: its numbers are the results', it loads nothing, and no input breaks or hijacks it."""

import copy
import json
import re
from html.parser import HTMLParser

import pytest

from bayespin.load import InputError
from bayespin.report.page import render, write
from bayespin.report.palette import TONES
from bayespin.report.reference import PAPER

HOSTILE = (
    "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'{{ 7*7 }}$\\frac"
)
SIZE_LIMIT = 600_000


class Outline(HTMLParser):
    """Elements with their attributes, and the text of table cells by column."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[tuple[str, str]] = []
        self.column: str | None = None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag == "td":
            self.column = found["data-label"]

    def handle_endtag(self, tag):
        if tag == "td":
            self.column = None

    def handle_data(self, data):
        if self.column is not None and data.strip():
            self.cells.append((self.column, data.strip()))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

    def column_values(self, column: str) -> list[str]:
        return [text for name, text in self.cells if name == column]


def slim(results: dict) -> dict:
    """One drawing of each kind, so that many pages render in a short time."""
    few = copy.deepcopy(results)
    for part in ("reliability", "sigma"):
        few[part] = dict(list(few[part].items())[-1:])
    few["examples"], few["rows"] = few["examples"][:1], few["rows"][-1:]
    return few


@pytest.fixture(scope="module")
def whole(module_results) -> str:
    return render(module_results)


@pytest.fixture
def one_of_each(results) -> dict:
    return slim(results)


def nulls(value):
    """The same structure with null for every leaf."""
    if isinstance(value, dict):
        return {key: nulls(item) for key, item in value.items()}
    return [nulls(item) for item in value] if isinstance(value, list) else None


def test_numbers_on_the_page_equal_the_results(whole, results):
    outline = Outline(whole)
    accuracy = [t for t in outline.column_values("Accuracy") if t[0].isdigit()]
    ece, ood = outline.column_values("ECE"), outline.column_values("OOD ECE")
    for place, row in enumerate(results["rows"]):
        assert float(accuracy[place].split()[0]) == pytest.approx(100 * row["accuracy"], abs=5e-3)
        assert f"{row['ece']:.4f}" in ece
        assert f"{row['ood_ece']['0.5']:.4f}" in ood
    for row in PAPER:
        assert f"paper {row.ece:.4f}" in ece
        assert f"paper {row.ood_ece:.4f}" in ood
    outside = [t for t in outline.column_values("σ outside window") if "%" not in t]
    assert [int(t.replace(",", "")) for t in outside] == [
        entry["outside_window"] for entry in results["mapping"]
    ]


def test_a_changed_number_changes_the_page(one_of_each):
    before = render(one_of_each)
    one_of_each["rows"][0]["nll"] = 0.4321
    assert "0.432" not in before
    assert "0.432" in render(one_of_each)


def test_equal_results_give_equal_bytes(whole, results):
    assert render(results) == whole


def test_it_is_small_and_loads_nothing(whole):
    assert len(whole.encode()) < SIZE_LIMIT
    outline = Outline(whole)
    sources = [attrs["src"] for attrs in outline.named("img")]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not [attrs for attrs in outline.named("script") if "src" in attrs]
    links = [attrs["href"] for attrs in outline.named("link")]
    assert all(link.startswith("data:") for link in links)
    assert "@import" not in whole
    assert "url(http" not in whole


def test_both_themes_are_there_and_figures_use_no_colour_of_their_own(whole):
    for role, tone in TONES.items():
        assert f"--{role}:{tone.light};" in whole
        assert whole.count(f"--{role}:{tone.dark};") == 2  # by the system's wish and by choice
    for svg in re.findall(r"<svg.*?</svg>", whole, re.DOTALL):
        assert not re.search(r"#[0-9a-f]{6}\b(?!-)", svg)


def test_pictures_and_drawings_have_words_for_those_who_do_not_see_them(whole):
    outline = Outline(whole)
    assert all(attrs["alt"] for attrs in outline.named("img"))
    drawings = [attrs for attrs in outline.named("svg") if "aria-hidden" not in attrs]
    assert len(drawings) > 20
    assert all(attrs["aria-label"] for attrs in drawings)
    headings = [tag for tag, _ in outline.elements if re.fullmatch(r"h\d", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1


def test_ids_are_unique(whole):
    ids = [attrs["id"] for _, attrs in Outline(whole).elements if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_hostile_text_stays_text(one_of_each):
    hostile = one_of_each
    for key in ("study", "study_hash", "title"):
        hostile[key] = HOSTILE
    hostile["data"].update(ood=HOSTILE, name=HOSTILE, classes=[HOSTILE] * 10)
    hostile["not_simulated"] = [HOSTILE]
    hostile["checks"] = [{"name": HOSTILE, "value": 1.0, "target": HOSTILE, "met": False}]
    hostile["examples"][0]["note"] = HOSTILE
    hostile["mapping"][0]["layer"] = HOSTILE
    hostile["sigma"] = {HOSTILE: next(iter(hostile["sigma"].values()))}
    hostile["reliability"] = {HOSTILE: next(iter(hostile["reliability"].values()))}
    hostile["rows"][0]["breakdown"]["energy_j"] = {HOSTILE: 1e-9}
    hostile["provenance"].update(cpu=HOSTILE, data_sha256={HOSTILE: HOSTILE})
    clean = Outline(render(slim(hostile | {"title": "a"})))
    outline = Outline(render(hostile))
    assert len(outline.named("script")) == 1
    assert len(outline.named("style")) == 1
    assert len(outline.named("img")) == len(clean.named("img")) == 1
    assert not [name for _, attrs in outline.elements for name in attrs if name.startswith("on")]
    assert "{{ 7*7 }}" in render(hostile)


@pytest.mark.parametrize(
    "part",
    ["title", "preset", "data", "rows", "seed_rows", "reliability", "mapping", "sigma", "examples",
     "checks", "not_simulated", "provenance"],
)  # fmt: skip
def test_a_missing_part_leaves_a_whole_page(one_of_each, part):
    one_of_each[part] = None
    page = render(one_of_each)
    assert page.rstrip().endswith("</html>")
    del one_of_each[part]
    assert render(one_of_each) == page
    assert "None" not in re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)


def test_nulls_become_dashes(results):
    results["rows"] = [
        {**nulls(row), **{key: row[key] for key in ("model", "where", "sampling")}}
        for row in results["rows"]
    ]
    for part in ("mapping", "checks", "provenance", "data", "preset", "seed_rows"):
        results[part] = nulls(results[part])
    results.update(sigma=None, reliability=None, examples=None)
    outline = Outline(render(results))
    assert set(outline.column_values("Accuracy")) == {"–", *(
        f"paper {100 * row.accuracy:.2f}\u00a0%" for row in PAPER
    )}  # fmt: skip
    assert render({}).rstrip().endswith("</html>")


def test_quick_is_stamped_on_the_page_and_on_every_figure(make_results):
    page, full = render(slim(make_results(True))), render(slim(make_results(False)))
    assert "<title>Quick run:" in page
    assert 'class="ribbon"' in page
    assert page.count('class="stamp"') >= 6
    assert 'class="stamp"' not in full
    assert 'class="ribbon"' not in full


def test_the_page_leads_to_devices_characterised_beside_the_run(tmp_path, one_of_each):
    for name, kind in (("mine-1a", "characterisation"), ("other-2b", "simulation"), ("bad-3c", "")):
        folder = tmp_path / name
        folder.mkdir()
        told = json.dumps({kind: name, "title": f"Title of {name}"}) if kind else "no JSON"
        (folder / "results.json").write_text(told)
        (folder / "report.html").write_text("a page")
    run = tmp_path / ".study.partial"
    run.mkdir()
    (run / "results.json").write_text(json.dumps(one_of_each))
    page = write(run).read_text(encoding="utf-8")
    assert '<a href="../mine-1a/report.html">Title of mine-1a</a>' in page
    assert "Title of other-2b" not in page
    assert "characterised beside this run" not in render(one_of_each)


def test_write_puts_the_page_beside_the_results(tmp_path, one_of_each):
    run = tmp_path / "run"  # alone in its folder: other runs beside it would be linked
    run.mkdir()
    (run / "results.json").write_text(json.dumps(one_of_each), encoding="utf-8")
    path = write(run)
    assert path == run / "report.html"
    assert path.read_text(encoding="utf-8") == render(one_of_each)
    assert sorted(p.name for p in run.iterdir()) == ["report.html", "results.json"]


@pytest.mark.parametrize(
    "content, sentence",
    [
        (None, "must hold a readable results.json"),
        ("{", "must be JSON"),
        ("[]", "must be 1 or 2, but is None"),
        ('{"schema_version": 3}', "must be 1 or 2, but is 3"),
    ],
)
def test_write_refuses_what_it_cannot_read(tmp_path, content, sentence):
    if content is not None:
        (tmp_path / "results.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=sentence):
        write(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_write_leaves_the_old_page_when_the_new_one_cannot_be_written(tmp_path, one_of_each):
    (tmp_path / "results.json").write_text(json.dumps(one_of_each), encoding="utf-8")
    (tmp_path / "report.html").write_text("old", encoding="utf-8")
    (tmp_path / "report.html.part").mkdir()  # stands in for a folder that refuses new files
    with pytest.raises(InputError, match="must be writable"):
        write(tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "old"
