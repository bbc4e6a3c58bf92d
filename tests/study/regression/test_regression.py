"""Regression studies: scores by hand, equivalence with its power, a tiny run from end to end."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats

from bayespin.load import InputError, build
from bayespin.network.metrics.regression import Mixture
from bayespin.report.regression import page
from bayespin.study.regression import run, scores
from bayespin.study.regression.schema import RegressionStudy, is_regression, shipped
from bayespin.study.watch import Watch

TINY: dict[str, Any] = {
    "name": "tiny", "title": "A tiny regression", "kind": "regression", "quick": True,
    "data": {"sets": ["toy"], "splits": 2},
    "training": {"steps": 30, "aware_steps": 20, "hidden": 6, "ceiling": 0.9, "kl_weight": 0.1},
    "hardware": {"calibration_images": 60, "wires": False},
    "evaluation": {"reads": 4},
}  # fmt: skip


def tiny(**changes: Any) -> RegressionStudy:
    return build(RegressionStudy, {**TINY, **changes}, "study tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    prepared = run.prepare(tiny(), tmp_path_factory.mktemp("runs"))
    return run.run_regression(prepared, report=page.write)


@pytest.fixture
def results(folder) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def test_scores_are_in_the_unit_of_the_table():
    """One read N(0, 1) in units of 3, and targets at ±1 of these units."""
    found = Mixture(mean=torch.zeros(1, 2), deviation=torch.ones(1, 2))
    told = scores.scores(found, torch.tensor([[1.0], [-1.0]]), 3.0)
    assert told["rmse"] == pytest.approx(3.0)
    assert told["nll"] == pytest.approx(0.5 + 0.5 * math.log(2 * math.pi) + math.log(3))
    assert told["matched_nll"] == pytest.approx(told["nll"])
    assert (told["coverage_50"], told["coverage_80"]) == (0.0, 1.0)
    assert told["width_95"] == pytest.approx(3 * 2 * 1.959964)
    assert told["sharpness"] == pytest.approx(3.0)
    assert told["epistemic_share"] == 0.0


def test_equivalence_is_an_interval_within_the_margin():
    """Differences 0.01, 0.02, 0.03: mean 0.02, error 0.01/√3, t of two degrees 4.3027."""
    found = scores.equivalence([1.01, 2.02, 3.03], [1.0, 2.0, 3.0], 0.05)
    assert found is not None
    reach = 4.302653 * 0.01 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.02 - reach, 0.02 + reach))
    assert found.met
    assert not scores.equivalence([1.01, 2.02, 3.03], [1.0, 2.0, 3.0], 0.044).met
    assert scores.equivalence([1.0], [1.0], 0.05) is None


def test_two_that_differ_by_the_margin_pass_at_most_one_time_in_forty():
    """At the edge of the margin the test errs with probability 2.5 %: 400 studies, 99.99 % bound.

    A fault that it sees: an interval of the normal law in place of Student's t passes 6 % of
    studies of five splits.
    """
    draw = torch.Generator().manual_seed(0)
    gaps = 0.03 + 0.02 * torch.randn(400, 5, generator=draw, dtype=torch.float64)
    passed = sum(scores.equivalence(row.tolist(), [0.0] * 5, 0.03).met for row in gaps)
    assert passed <= stats.binom.ppf(0.9999, 400, 0.025)


def test_a_run_holds_every_row_and_its_errors(results):
    assert [(row["where"], row["sampling"]) for row in results["rows"]] == list(run.ROWS)
    for row in results["rows"]:
        assert row["splits"] == 2
        assert all(math.isfinite(value) for value in row["mean"].values())
        singles = [one["/".join((row["where"], row["sampling"]))]["nll"]
                   for one in results["split_rows"]["toy"]]  # fmt: skip
        assert row["mean"]["nll"] == pytest.approx(sum(singles) / 2)
        assert row["se"]["nll"] == pytest.approx(abs(singles[0] - singles[1]) / 2)
    assert results["first"]["toy"]["energy_j"] > 0
    assert results["against_software"]["toy"]["per_read"]["nll"]["margin"] == 0.03


def test_the_toy_brings_its_picture(folder, results):
    bands = results["toy"]["bands"]["spintronic/per_read"]
    assert len(bands["x"]) == len(bands["mean"]) == len(bands["epistemic"])
    assert all(value > 0 for value in bands["aleatoric"])
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "What is noise, and what is not known" in html
    assert (folder / "figures" / "bands-spintronic.svg").is_file()
    table = page.table(results)
    assert max(map(len, table.lines())) <= 80
    assert [row[0] for row in table.rows] == ["toy", "toy"]


def test_a_stopped_run_goes_on_to_the_same_numbers(folder, results, tmp_path):
    class Stop(Exception):
        pass

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("toy, split 1: ideal"):
            raise Stop

    prepared = run.prepare(tiny(), tmp_path)
    with pytest.raises(Stop):
        run.run_regression(prepared, watch=Watch(progress=stop))
    assert not prepared.folder.finished
    again = run.run_regression(prepared)
    found = json.loads((again / "results.json").read_text(encoding="utf-8"))
    assert found["rows"] == results["rows"]
    assert again.name == folder.name


def test_a_digital_output_layer_keeps_its_gaussians(tmp_path):
    study = tiny(output_layer="digital", data={"sets": ["toy"], "splits": 1})
    done = run.run_regression(run.prepare(study, tmp_path))
    found = json.loads((done / "results.json").read_text(encoding="utf-8"))
    assert [layer["layer"] for layer in found["first"]["toy"]["mapping"]] == ["hidden"]
    assert found["against_software"]["toy"]["per_read"]["nll"] is None  # of one split


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"data": {"sets": ["bosten"]}}, r"`sets` .* `boston`"),
        ({"data": {"sets": []}}, "`sets` must be distinct names"),
        ({"data": {"sets": ["toy"], "splits": 0}}, "`splits` must be at least 1, but is 0"),
        ({"training": {"steps": 0}}, "`steps` and `batch` must be at least 1"),
        ({"training": {"steps": 9, "ceiling": 0.9}}, "`aware_steps` positive to train with it"),
        ({"training": {"steps": 9, "least_scale": 0.0}}, "`floor` must be positive"),
        ({"evaluation": {"reads": 1}}, "`reads` must be at least 2, but is 1"),
        ({"output_layer": "none"}, "output_layer"),
    ],
)
def test_mistakes_are_one_sentence(changes, words):
    with pytest.raises(InputError, match=words):
        tiny(**changes)


def test_tables_that_are_not_there_are_named_before_work(tmp_path):
    study = tiny(data={"sets": ["boston"], "path": str(tmp_path / "none")})
    with pytest.raises(InputError, match=r"`boston.csv.gz` is not there"):
        run.prepare(study, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_reads_cannot_be_learnt_with_codings_in_time(tmp_path):
    hardware = {"coding": "bit-serial", "calibration_images": 10}
    with pytest.raises(InputError, match=r"`hardware.coding` must be amplitude"):
        run.prepare(tiny(hardware=hardware), tmp_path)


@pytest.mark.parametrize("name", ["regression-toy", "uci"])
def test_shipped_studies_can_be_prepared(name):
    study = shipped(name)
    assert is_regression({"kind": study.kind})
    assert study.hardware.accelerator().preset == "easyplane-50nm"
