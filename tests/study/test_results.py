"""The results file: means, standard errors and promises against numbers worked by hand."""

import copy
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from bayespin.chip.accelerator import Accelerator
from bayespin.cost.baselines import LayerWork, digital_baselines
from bayespin.cost.components import load_components
from bayespin.study import evaluate, results
from bayespin.study.schema import Study, Targets
from tests.study.tiny import TEST, study

KEYS = ("dnn/software/none", "bnn/software/frozen", "bnn/software/per_read",
        "bnn/ideal/per_read", "bnn/spintronic/per_read")  # fmt: skip
IMAGES = TEST
RIGHT = torch.ones(5, IMAGES, dtype=torch.bool)
RIGHT[2, 0] = RIGHT[4, 0] = False
LAYER = {"layer": "conv1", "positions": 9, "weights": 150, "outputs": 6}


def rung(value: float) -> dict[str, Any]:
    return {
        "ood_ece": value, "ood_signed_error": -value, "ood_accuracy": 1 - value,
        "ood_entropy": {"total": 3 * value, "aleatoric": 2 * value, "epistemic": value},
    }  # fmt: skip


def found(seed: int, accuracy: float) -> dict[str, Any]:
    """Return what one seed gives, every row with the accuracy plus a hundredth per row."""
    rows = {}
    for index, key in enumerate(KEYS):
        rows[key] = {
            "accuracy": accuracy + index / 100, "nll": 1.0, "brier": 0.5, "ece": 0.02,
            "ece_floor": 0.01, "ece_floor_range": [accuracy, 2 * accuracy], "auroc_total": 0.9,
            "auroc_epistemic": None if key.startswith("dnn") else accuracy,
            "adaptive_ece": 0.02, "classwise_ece": 0.01, "aurc": 0.1, "coverage_at_5": 0.5,
            "risk_at_80": 0.05, "correct": evaluate.packed(RIGHT[index]),
            **dict.fromkeys(
                ("aupr_epistemic", "fpr95_epistemic"), None if key.startswith("dnn") else 0.4
            ),
            "shifts": {"noise": {"0.1": rung(accuracy)}},
            "reliability": {"seed": seed}, **rung(0.1), "ladder": {"0.5": rung(accuracy)},
        }  # fmt: skip
    bill = {
        "energy_j": accuracy * 1e-6, "energy_high_j": 3e-6, "latency_s": 1e-3, "area_m2": 1e-6,
        "programming_energy_j": accuracy * 3e-9, "programming_time_s": 2.0,
        "breakdown": {"energy_j": {"adc": accuracy, "array": 2.0}},
    }  # fmt: skip
    bills = {"ideal": bill, "spintronic": bill}
    return {"seed": seed, "rows": rows, "bills": bills, "mapping": [LAYER], "sigma": {"of": seed},
            "weights": {"of": seed}, "programming": [{"of": seed}], "examples": [seed],
            "seconds": {}}  # fmt: skip


@pytest.fixture
def two(pictures) -> Study:
    return study(pictures, seeds=[3, 7])


@pytest.fixture
def assembled(two) -> dict[str, Any]:
    seeds = [found(3, 0.8), found(7, 0.9)]
    before = copy.deepcopy(seeds)
    made = results.assemble(two, Accelerator.from_preset(), seeds)
    assert seeds == before
    return made


def test_rows_are_means_over_seeds_and_se_their_error(assembled):
    """Of two values a and b, the mean is (a + b)/2 and its standard error |a − b|/2."""
    assert [f"{r['model']}/{r['where']}/{r['sampling']}" for r in assembled["rows"]] == list(KEYS)
    for index, row in enumerate(assembled["rows"]):
        assert row["accuracy"] == pytest.approx(0.85 + index / 100)
        assert row["se"]["accuracy"] == pytest.approx(0.05)
        assert row["se"]["nll"] == 0
        assert row["ece_floor_range"] == pytest.approx([0.85, 1.7])
        assert row["ood_ece"] == pytest.approx({"0.0": 0.1, "0.5": 0.85})
        assert row["ood_entropy"]["0.5"]["total"] == pytest.approx(3 * 0.85)
        assert row["se"]["ood_accuracy"] == pytest.approx({"0.0": 0, "0.5": 0.05})
        assert row["seeds"] == [3, 7]
        assert "seed" not in row


def test_what_a_row_lacks_stays_null(assembled):
    plain, frozen, *_, chip = assembled["rows"]
    assert plain["auroc_epistemic"] is None
    assert "auroc_epistemic" not in plain["se"]
    assert frozen["energy_j"] is None
    assert frozen["breakdown"] is None
    assert chip["energy_j"] == pytest.approx(0.85e-6)
    assert chip["se"]["energy_j"] == pytest.approx(0.05e-6)
    assert chip["breakdown"]["energy_j"] == pytest.approx({"adc": 0.85, "array": 2.0})
    assert (plain["reads"], chip["reads"]) == (1, 3)


def test_single_seeds_stand_beside_the_mean(assembled):
    rows = [row for row in assembled["seed_rows"] if row["where"] == "spintronic"]
    assert [row["seed"] for row in rows] == [3, 7]
    assert [row["accuracy"] for row in rows] == pytest.approx([0.84, 0.94])
    assert assembled["sigma"] == assembled["weights"] == {"of": 3}
    assert assembled["programming"] == [{"of": 3}]
    assert assembled["rows"][-1]["programming_energy_j"] == pytest.approx(2.55e-9)
    assert assembled["rows"][-1]["programming_time_s"] == pytest.approx(2.0)
    assert assembled["reliability"]["dnn/software/none"] == {"seed": 3}


def test_one_seed_has_no_error(two):
    made = results.assemble(two, Accelerator.from_preset(), [found(3, 0.8)])
    assert made["rows"][0]["se"] == {}
    assert made["rows"][0]["seeds"] == [3]


def test_three_seeds_by_hand(two):
    """0.7, 0.8, 1.2: mean 0.9, deviations −0.2, −0.1, 0.3, se = √(0.14/2/3)."""
    seeds = [found(seed, accuracy) for seed, accuracy in ((0, 0.7), (1, 0.8), (2, 1.2))]
    row = results.assemble(two, Accelerator.from_preset(), seeds)["rows"][0]
    assert row["accuracy"] == pytest.approx(0.9)
    assert row["se"]["accuracy"] == pytest.approx(math.sqrt(0.14 / 6))


def test_promises_are_met_or_said_to_be_broken(two, assembled):
    """Accuracies are 0.86 frozen, 0.87 per read, 0.89 on the chip; its ECE is 0.02."""
    targets = Targets(software_accuracy=0.865, spintronic_accuracy=0.89, spintronic_ece=0.019,
                      accuracy_gap=0.0301)  # fmt: skip
    told = results.checks(replace(two, targets=targets), assembled["rows"], assembled["paired"])
    assert [check["met"] for check in told] == [False, True, True, False, True]
    assert [check["target"] for check in told] == [
        ">= 0.865", ">= 0.865", ">= 0.89", "<= 0.019", "<= 0.0301",
    ]  # fmt: skip
    assert told[-1]["value"] == pytest.approx(0.03)
    tight = replace(two, targets=Targets(accuracy_gap=0.0299))
    assert not results.checks(tight, assembled["rows"], assembled["paired"])[0]["met"]
    assert results.checks(two, assembled["rows"], assembled["paired"]) == []


def test_promises_about_what_is_foreign(two, assembled):
    """On the chip NLL 1, ECE 0.01 above its floor, OOD ECE 0.85 as of the plain one, AUROC 0.85."""
    kept = Targets(spintronic_nll=1.0, spintronic_ece_excess=0.0101, spintronic_ood_ece=0.86,
                   ood_ece_ratio=1.0, spintronic_auroc=0.84, paired_interval=1.0)  # fmt: skip
    broken = Targets(spintronic_nll=0.99, spintronic_ece_excess=0.0099, spintronic_ood_ece=0.84,
                     ood_ece_ratio=1.01, spintronic_auroc=0.86, paired_interval=0.001)  # fmt: skip
    for targets, met in ((kept, True), (broken, False)):
        told = results.checks(replace(two, targets=targets), assembled["rows"], assembled["paired"])
        assert [check["met"] for check in told] == 6 * [met]


def test_paired_differences_are_image_by_image(two):
    """The chip errs on the first image, the frozen twin on none, the other on the same."""
    frozen, per_read = results.paired(two, [found(3, 0.8), found(7, 0.9)])
    images = two.data.test_images
    assert frozen["difference"] == pytest.approx(-1 / images)
    assert frozen["se_images"] == pytest.approx((1 / images**2) ** 0.5, rel=0.02)
    assert frozen["interval"] == pytest.approx([-1 / images] * 2)
    assert (per_read["difference"], per_read["se_images"]) == (0.0, 0.0)
    assert results.paired(two, [found(3, 0.8)])[0]["interval"] is None


def test_one_interval_over_two_seeds_by_hand(two):
    """Differences −1/n and −2/n: mean −1.5/n, error 0.5/n, t of one degree 12.706."""
    seeds = [found(3, 0.8), found(7, 0.9)]
    second = RIGHT[0].clone()
    second[:2] = False
    seeds[1]["rows"][KEYS[-1]]["correct"] = evaluate.packed(second)
    low, high = results.paired(two, seeds)[0]["interval"]
    n = two.data.test_images
    assert (low, high) == pytest.approx(((-1.5 - 6.353) / n, (-1.5 + 6.353) / n), rel=1e-3)


def test_shifts_have_errors_and_fidelity_waits_for_all_seeds(two):
    seeds = [found(3, 0.8), found(7, 0.9)]
    made = results.assemble(two, Accelerator.from_preset(), seeds)
    row = made["rows"][0]
    assert row["shifts"]["noise"]["0.1"]["ood_ece"] == pytest.approx(0.85)
    assert row["se"]["shifts"]["noise"]["0.1"]["ood_ece"] == pytest.approx(0.05)
    assert "fidelity" not in made
    for index, one in enumerate(seeds):
        one["fidelity"] = {"again": {"kl": float(index)}}
    made = results.assemble(two, Accelerator.from_preset(), seeds)
    assert made["fidelity"] == {"again": {"kl": 0.5}}
    assert made["fidelity_se"] == {"again": {"kl": 0.5}}


def test_baselines_count_every_position(two, assembled):
    """9 positions of 150 weights and 6 outputs: 1350 products, 54 activations."""
    work = [LayerWork(name="conv1", macs=1350, weights=150, outputs=54)]
    wanted = {b.name: b.energy_j for b in digital_baselines(work, 3, load_components("28nm"))}
    assert {b["name"]: b["energy_j"] for b in assembled["baselines"]} == wanted
