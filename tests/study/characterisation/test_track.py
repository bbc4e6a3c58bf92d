"""A track characterised: shares that add up, pulses that are known to work, and a page."""

import csv
import json

import pytest

from bayespin.load import InputError
from bayespin.report.characterisation import page, track
from bayespin.study.characterisation import schema
from bayespin.study.characterisation.run import prepare, run_characterisation
from tests.device.test_track_writing import FOUND

CONTENT = {
    "kind": "track", "name": "small", "title": "A small track",
    "pulses": {"current_densities": ["1.5e12 A/m2", "3e12 A/m2"], "widths": ["0.26 ns"],
               "transfer_densities": ["4e12 A/m2"], "settle": "0.5 ns"},
    "run": {"walls": 24, "retention_temperatures": ["300 K", "358 K"]},
}  # fmt: skip
PARTS = ("wall_width", "saturation_magnetisation", "cross_section", "hard_axis", "dmi")
OWN = ("pitch", "depth", "width", "barrier", "depinning_field", "misfit")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose calibration is known, since it takes most of the time."""
    prepared = prepare(schema.read(CONTENT, "here"), tmp_path_factory.mktemp("runs"))
    known = {name: getattr(FOUND.track, name) for name in PARTS}
    known |= {name: getattr(FOUND, name) for name in OWN}
    object.__setattr__(prepared.model, "_calibration", lambda: known)
    return run_characterisation(prepared, report=page.write)


@pytest.fixture(scope="module")
def results(folder):
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_shares_of_every_pulse_add_up(results):
    assert len(results["rows"]) == 2 * (2 + 1)
    for row in results["rows"]:
        assert row["missed"] + row["single"] + row["double"] == pytest.approx(1)
        assert sum(row["counts"]) == 24


def test_a_known_pulse_steps_and_half_of_it_does_not(results):
    """3e12 A/m² for 0.26 ns moves 24 of 24 rigid walls, both ways (test_track_writing)."""
    strong = [r for r in results["rows"] if r["current_density"] == 3e12]
    assert [r["direction"] for r in strong] == ["forth", "back"]
    assert all(r["single"] == 1 and r["single_error"] > 0 for r in strong)
    assert all(r["missed"] == 1 for r in results["rows"] if r["current_density"] == 1.5e12)
    assert track.best_pulse(results["rows"], "spin-orbit")["current_density"] == 3e12


def test_the_device_agrees_with_its_page(results):
    """Barrier, retention and ends of the conductance are the preset's own."""
    held = results["retention"][1]["seconds"] / (365.25 * 86400)
    assert held == pytest.approx(0.44, rel=0.05)
    assert len(results["levels"]) == results["device"]["levels"] == 16
    low, high = (results["levels"][k]["conductance"] for k in (0, -1))
    assert 1e-5 < low < high < 2.4e-5


def test_walls_drift_on_a_smooth_track_and_stay_in_notches(results):
    own = results["own"]
    assert own["smooth_spread"] > 2 * own["smooth_spread_at_pulse_end"]
    assert own["spread_in_notch"] < 0.1 * results["wall"]["pitch"]


def test_the_table_says_where_it_comes_from(folder, results):
    lines = (folder / "table.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# title: A small track"
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert [float(row["single"]) for row in rows] == [r["single"] for r in results["rows"]]


def test_the_page_has_its_figures_and_the_terminal_its_table(folder, results):
    text = (folder / "report.html").read_text(encoding="utf-8")
    for part in ("rigid walls and films part here", "two or more", "Without notches"):
        assert part in text
    assert len(list((folder / "figures").glob("*.svg"))) == 6 + 3 + 2
    found = page.table(results)
    assert all(row[5].startswith("1.00") for row in found.rows[:2])


def test_a_map_shows_the_shares_that_it_was_given(results):
    import matplotlib.figure

    rows = [r for r in results["rows"] if r["mechanism"] == "spin-orbit"]
    axes = track.step_map(matplotlib.figure.Figure().add_subplot(), rows, "single")
    assert [text.get_text() for text in axes.texts] == ["0", "100"]


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"pulses": {"widths": ["0 ns"]}}, "`widths` must hold positive values"),
        ({"run": {"walls": 0}}, "`walls` must be positive"),
        ({"preset": "none"}, "none"),
    ],
)
def test_impossible_tracks_are_refused(change, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        prepare(schema.read({**CONTENT, **change}, "here"), tmp_path)
