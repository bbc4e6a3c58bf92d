"""The page of a simulation: the numbers of its run, complete in itself, drawn again the same."""

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from bayespin.load import InputError
from bayespin.report import page as study_page
from bayespin.report.simulation import page, table
from bayespin.study.simulation.run import prepare, run_simulation
from tests.study.simulation.small import simulation

NAMES = ("thermal-ensemble", "film-ensemble", "notched-track")
ANIMATIONS = {"film-ensemble": "film.gif", "notched-track": "wall.gif"}
DRAWINGS = {
    "thermal-ensemble": {"law-0", "law-1", "memory-0", "memory-1"},
    "film-ensemble": {
        "law", "map-0", "map-1", "map-2", "m-x-0-over-time", "m-y-0-over-time", "m-z-0-over-time",
    },
    "notched-track": {"wall-position-over-time", "final-positions", "maps"},
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One finished folder of each kind, with its page."""
    out = tmp_path_factory.mktemp("runs")
    chosen = (simulation(name) for name in NAMES)
    return {s.name: run_simulation(prepare(s, out), report=page.write) for s in chosen}


def text_of(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def results_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_complete_in_itself(finished, name):
    text = text_of(finished[name])
    assert not re.findall(r'(?:src|srcset|href)="(?!data:|#)[^"]*"', text)
    assert "<script>" in text
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(ids)
    assert re.search(r"\bnan\b|None", re.sub(r'"data:[^"]*"', "", text)) is None


@pytest.mark.parametrize("name", NAMES)
def test_figures_and_animation_are_files_too(finished, name):
    folder = finished[name]
    drawn = {path.stem for path in (folder / "figures").iterdir()}
    assert drawn == DRAWINGS[name]
    for path in (folder / "figures").iterdir():
        assert path.read_text(encoding="utf-8").rstrip().endswith("</svg>")
    if name in ANIMATIONS:
        content = (folder / ANIMATIONS[name]).read_bytes()
        assert content[:6] == b"GIF89a"
        assert base64.b64encode(content).decode() in text_of(folder)
    for file in re.findall(r"<dt><code>([^<]+)</code>", text_of(folder)):
        assert (folder / file).exists()


def test_the_numbers_of_the_page_are_the_results(finished):
    text, results = text_of(finished["thermal-ensemble"]), results_of(finished["thermal-ensemble"])
    for row in results["rows"]:
        assert f"{row['exact_std']:.4g}" in text
        assert f"{row['distance']['value']:.4f}" in text
    assert "80 macrospins" in text
    text, results = text_of(finished["notched-track"]), results_of(finished["notched-track"])
    assert f"{results['coordinates']['notch_depth_kt']:.1f} kT" in text
    best = max(results["rows"], key=lambda row: row["walls"])
    assert f"{100 * best['share']:.1f}" in text


@pytest.mark.parametrize("name", NAMES)
def test_drawn_again_it_is_the_same(finished, name):
    folder, before = finished[name], text_of(finished[name])
    (folder / "report.html").unlink()
    assert page.write(folder) == folder / "report.html"
    assert text_of(folder) == before


def test_failed_trajectories_and_remarks_stand_at_the_top(finished, tmp_path):
    folder = shutil.copytree(finished["thermal-ensemble"], tmp_path / "copy")
    results = results_of(folder)
    results |= {"failed": 3, "first_failed_s": 1e-10, "remarks": ["The cell is <coarse>."]}
    results["rows"][0] = {"remark": "The series is too short.", "failed": 3}
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
    page.write(folder)
    ribbons = re.findall(r'<p class="ribbon"[^>]*>([^<]*)</p>', text_of(folder))
    assert ribbons == [
        "3 of 80 trajectories are no longer finite, the first after 100\u00a0ps; they are left out "
        "of every number and figure: take a smaller time step.",
        "The cell is &lt;coarse&gt;.",
        "The series is too short.",
    ]
    assert "3 of 80 trajectories" in table.table(results).notes[0]


def test_a_track_without_films_has_no_animation(tmp_path):
    chosen = simulation("notched-track", beside__films=0)
    folder = run_simulation(prepare(chosen, tmp_path), report=page.write)
    assert not list(folder.glob("*.gif"))
    assert {path.name for path in folder.glob("*.nc")} == {"trajectories.nc"}
    assert "wall-position-over-time" in {path.stem for path in (folder / "figures").iterdir()}


@pytest.mark.parametrize("name", NAMES)
def test_the_table_fits_a_terminal(finished, name):
    found = table.table(results_of(finished[name]))
    assert max(map(len, found.lines())) <= 80
    assert all(len(row) == len(found.header) for row in found.rows)


def test_the_table_holds_values_beside_exact_ones(finished):
    results = results_of(finished["thermal-ensemble"])
    first = table.table(results).rows[0]
    assert first[0] == "−80 mT"
    assert first[2] == f"{results['rows'][0]['exact_std']:.4f}"
    assert float(first[1].split(" ± ")[0]) == pytest.approx(
        results["rows"][0]["std"]["value"], abs=1e-3
    )


def test_a_folder_of_another_kind_or_without_data_is_one_sentence(finished, tmp_path):
    with pytest.raises(InputError, match=r"results.json, but does not"):
        page.write(tmp_path)
    (tmp_path / "results.json").write_text('{"schema_version": 1, "kind": "network"}')
    with pytest.raises(InputError, match="must be a run of `bayespin simulate`"):
        page.write(tmp_path)
    folder = shutil.copytree(finished["film-ensemble"], tmp_path / "copy")
    (folder / "film.nc").unlink()
    with pytest.raises(InputError, match=r"must hold film.nc"):
        page.write(folder)
    (folder / "trajectories.nc").write_bytes(b"no")
    with pytest.raises(InputError, match=r"trajectories.nc` must be a whole NetCDF"):
        page.write(folder)


def test_results_of_both_kinds_are_told_apart(finished):
    assert study_page.read(finished["thermal-ensemble"])["kind"] == "macrospin"
