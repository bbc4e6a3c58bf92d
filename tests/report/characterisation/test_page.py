"""What the page and the terminal say of a characterised pillar."""

import json

import pytest

from bayespin.report.characterisation import page, pillar, words
from bayespin.report.characterisation.page import KINDS
from tests.report.characterisation.conftest import FIELDS, estimate, results_of, row

FIT = {
    "intercept": estimate(545.0, 0.4), "slope": estimate(-4.7e5, 400.0),
    "diffusion_time": estimate(1.48e-7, 2e-10), "chi_squared": 6.0, "degrees": 5,
    "probability": 0.31, "rows": 4, "departing": 0,
    "residuals": [
        {"stability": 12.0, "temperature": 300.0, "sigma": 0.1, "tau": None},
        {"stability": 40.0, "temperature": 300.0, "sigma": 0.1, "tau": 0.2},
    ],
}  # fmt: skip


def test_the_terminal_holds_eighty_columns_at_many_temperatures(rows):
    rows += [row(field, kelvin=kelvin) for kelvin in (280.0, 340.0) for field in FIELDS]
    rows[0]["decay_time"] = estimate(1.4567e-8, 1.23e-9)
    found = page.table(results_of(rows))
    assert max(map(len, found.lines())) <= 80
    assert len(found.rows) == len(FIELDS)
    assert any("the other 2 temperatures are in table.csv" in note for note in found.notes)


def test_the_terminal_shows_the_conductance_and_its_ratio_to_the_law(rows):
    rows[1]["std"]["value"] *= 1.02
    shown = page.table(results_of(rows)).rows[1]
    assert shown[3:6] == ("152 nS", "0.39%", "1.020")  # 1.02 · 1.18 µS/√(2 · 31.26)
    assert page.table(results_of(rows)).rows[0][5] == "1.000"


def test_laws_that_depart_are_named(rows):
    one = {
        "law": "s = 1/√(2Δ)", "departing": 2, "points": 4, "departs_from": [1.0, 3.0],
        "ratio": estimate(0.9, 0.01), "worst": estimate(0.7, 0.01), "worst_stability": 1.0,
        "worst_window": None, "allowance": 0.005,
    }  # fmt: skip
    found = results_of(rows, verdicts=[one, one | {"law": "true", "departing": 0}])
    assert any("depart somewhere: s = 1/√(2Δ)." in said for said in words.sentences(found))
    first, second = words.verdict_lines(found["verdicts"])
    assert (first.cells[0].value, second.cells[0].value) == ("departs", "holds")
    assert first.cells[3].value == "−30.0 %"


def test_the_softest_point_is_told_from_a_break(rows):
    assert words.gaussian_sentence(results_of(rows)).startswith("Down to Δ = 10.4, the softest")
    later = {"from_stability": rows[1]["stability"], "excess_kurtosis": 0.13}
    assert words.gaussian_sentence(results_of(rows, gaussian=later)).startswith("From Δ = 31.3 on")
    none = {"from_stability": None, "excess_kurtosis": 0.13}
    assert "Even the stiffest" in words.gaussian_sentence(results_of(rows, gaussian=none))


def test_the_fit_says_where_it_holds_and_what_it_left_out():
    assert "holds at all 4 rows" in words.fit_sentence(FIT)
    assert "without the τ of 1 rows" in words.fit_sentence(FIT)
    assert "does not hold at 3 of 4 rows" in words.fit_sentence(FIT | {"departing": 3})


def test_sections_follow_what_was_swept(rows, tmp_path):
    plain = [one.name for one in pillar.sections(results_of(rows), tmp_path)]
    assert plain == ["table", "windows", "shape", "memory", "gaussian", "laws"]
    shifted = [row(field, varied="stray_field", stray_field=1e-3) for field in FIELDS]
    films = [
        {"diameter": 50e-9, "stability": 300.0, "anisotropy_field": 0.6,
         "macrospin_std": 0.04, "macrospin_decay_time": 5e-10, "std": estimate(0.03, 1e-4),
         "decay_time": estimate(5e-10, 1e-11), "ratio_std": estimate(0.75, 0.01),
         "ratio_decay_time": estimate(1.0, 0.02)}
    ]  # fmt: skip
    more = results_of(rows + shifted, fit=FIT, film={"rows": films})
    found = {one.name: one for one in pillar.sections(more, tmp_path)}
    assert list(found) == [*plain, "fit", "disturbances", "film"]
    assert "50 nm at B_k 600 mT: 0.750 ± 0.010" in found["film"].note.replace("\u00a0", " ")
    assert [one.name for one in found["disturbances"].groups[0].drawings] == ["mean-shift"]


def test_the_page_is_written_with_every_figure(rows, tmp_path):
    found = results_of(rows, fit=FIT, schema_version=1, study_hash="0", remarks=[], provenance={})
    (tmp_path / "results.json").write_text(json.dumps(found), encoding="utf-8")
    text = page.write(tmp_path).read_text(encoding="utf-8")
    drawn = {path.stem for path in (tmp_path / "figures").glob("*.svg")}
    assert {"std-against-field", "read-windows", "fit-sigma", "fit-tau", "histogram-0"} <= drawn
    assert "The compact model" in text
    assert "pillar" in KINDS


@pytest.mark.parametrize("value, se, text", [(-1e-6, 0.01, "0.000 ± 0.010"), (None, None, "–")])
def test_a_value_near_zero_has_no_sign(value, se, text):
    assert words.with_sign({"value": value, "se": se}) == text
