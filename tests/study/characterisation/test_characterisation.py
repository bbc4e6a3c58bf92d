"""A characterisation: what a file may say, what a run leaves, and verdicts that can fail."""

import json

import pytest
import torch

from bayespin.device.table import read_table
from bayespin.load import InputError, resource_names
from bayespin.report.characterisation import page
from bayespin.study.characterisation import schema
from bayespin.study.characterisation.laws import laws_of
from bayespin.study.characterisation.points import Sweeps
from bayespin.study.characterisation.run import prepare, run_characterisation
from bayespin.study.characterisation.verdicts import CLAIMS, gaussian_reach, ratios, verdict

SMALL = {
    "kind": "pillar",
    "name": "small",
    "title": "Three stiff settings",
    "sweep": {
        "settings": ["0.5 mJ/m2", "0.7 mJ/m2", "0.9 mJ/m2"],
        "read_windows": ["1 ns"],
        "stray_fields": ["0 mT", "20 mT"],
    },
    "run": {"replicas": 64, "decay_times": 8.0},
}


def changed(**sections):
    return {**SMALL, **{k: {**SMALL.get(k, {}), **v} for k, v in sections.items()}}


def prepared(content, tmp_path):
    return prepare(schema.read(content, "here"), tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run_characterisation(prepared(SMALL, tmp_path_factory.mktemp("runs")), report=page.write)


@pytest.mark.parametrize("name", resource_names("characterisations"))
def test_every_shipped_characterisation_is_possible(name, tmp_path):
    assert prepare(schema.shipped(name), tmp_path).folder.final.parent == tmp_path


@pytest.mark.parametrize(
    "sections, words",
    [
        ({"sweep": {"settings": ["1.3 mJ/m2"] * 3}}, "all different"),
        ({"sweep": {"settings": ["1.3 mJ/m2", "1.31 mJ/m2", "1.32 mJ/m2"]}}, "below compensation"),
        ({"sweep": {"levels": 4}}, "`levels` must be left out beside `settings`"),
        ({"sweep": {"temperatures": ["-3 K"]}}, "`temperatures` must be positive"),
        ({"run": {"replicas": 8}}, "`replicas` must be at least 32"),
        ({"stack": {"preset": "easyplane-60nm"}}, "easyplane-50nm"),
    ],
)
def test_the_impossible_is_refused_before_work(sections, words, tmp_path):
    with pytest.raises(InputError, match=words):
        prepared(changed(**sections), tmp_path)
    assert not list(tmp_path.iterdir())


def test_kinds_are_told(tmp_path):
    with pytest.raises(InputError, match=r"`kind` must be one of .*did you mean `pillar`"):
        schema.read({**SMALL, "kind": "pilar"}, "here")


def test_laws_of_the_reference_stack_are_those_of_its_barriers():
    content = {**SMALL, "sweep": {**SMALL["sweep"], "stabilities": [1.0, 2.0, 5.0, 10.0]}}
    sweeps = Sweeps(schema.read(content, "here"))
    laws = laws_of(sweeps.stack, (1e-9,))
    expected = torch.tensor([0.5037, 0.4398, 0.3135, 0.2236], dtype=torch.float64)
    torch.testing.assert_close(laws.std[-4:], expected, rtol=0, atol=6e-5)
    kurtosis = torch.tensor([-0.914, -0.634, -0.124, -0.003], dtype=torch.float64)
    torch.testing.assert_close(laws.excess_kurtosis[-4:], kurtosis, rtol=0, atol=6e-4)


def test_a_run_leaves_a_table_that_is_the_device_of_its_rows(finished):
    results = json.loads((finished / "results.json").read_text(encoding="utf-8"))
    table = read_table(finished / "table.csv")
    rows = [row for row in results["rows"] if row["varied"] == "setting"]
    assert table.settings.tolist() == [5e-4, 7e-4, 9e-4]
    sigma = [row["std"]["value"] * row["amplitude"] for row in rows]
    assert table.grid("sigma")[0].tolist() == pytest.approx(sigma, rel=1e-12)
    for row in rows:
        error = row["std"]["se"] + 0.003 * row["laws"]["std"]
        assert abs(row["std"]["value"] - row["laws"]["std"]) < 5 * error
    shifted = [row for row in results["rows"] if row["varied"] == "stray_field"]
    for row in shifted:
        off = abs(row["mean"]["value"] - 0.02 / row["anisotropy_field"])
        assert off < 5 * row["mean"]["se"]
    assert (finished / "report.html").is_file()
    assert (finished / "figures" / "std-against-field.svg").is_file()
    assert page.table(results).rows[0][0] == "0.5000"


def test_the_same_file_gives_the_same_bits_also_when_interrupted(finished, tmp_path, monkeypatch):
    run = prepared(SMALL, tmp_path)

    def pressed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("bayespin.study.characterisation.pillar.verdicts", pressed)
        with pytest.raises(KeyboardInterrupt):
            run_characterisation(run)
    assert not run.folder.finished
    again = run_characterisation(run)
    assert (again / "table.csv").read_bytes() == (finished / "table.csv").read_bytes()
    stamp = (again / "results.json").stat().st_mtime_ns
    assert (run_characterisation(run) / "results.json").stat().st_mtime_ns == stamp


def rows_off_by(factor, error):
    return [
        {
            "varied": "setting",
            "stability": 10.0 * (1 + k),
            "std": {"value": factor * 0.2, "se": error * 0.2},
            "excess_kurtosis": {"value": 0.3 if k == 1 else 0.0, "se": 0.01},
            "laws": {"std": 0.2},
        }
        for k in range(8)
    ]


@pytest.mark.parametrize(
    "factor, error, departing",
    [(1.0, 0.003, 0), (1.004, 0.003, 0), (1.04, 0.003, 8), (0.96, 0.003, 8), (1.04, 0.02, 0)],
)
def test_a_law_departs_by_more_than_statistics_and_time_step_explain(factor, error, departing):
    found = verdict(CLAIMS[0], list(ratios(CLAIMS[0], rows_off_by(factor, error), [])))
    assert (found["points"], found["departing"]) == (8, departing)
    assert found["ratio"]["value"] == pytest.approx(factor, rel=1e-9)


def test_the_gaussian_reaches_down_to_the_last_barrier_above_a_break():
    assert gaussian_reach(rows_off_by(1.0, 0.003))["from_stability"] == 30.0
