"""What each flaw costs and what reads buy, drawn and written from numbers worked by hand."""

import pytest
from matplotlib.figure import Figure

from bayespin.report.cost_of_hardware import (
    flaw_differences,
    flaw_lines,
    flaw_plate,
    reads_plate,
    stopping_lines,
)


def flaw(name: str, accuracy: float, nll: float) -> dict[str, object]:
    return {"name": name, "accuracy": accuracy, "nll": nll, "ece": 0.01, "ood_ece": 0.02,
            "ood_signed_error": 0.0, "epistemic": 0.1, "energy_j": 2e-6}  # fmt: skip


RESULTS = {
    "flaws": [flaw("base", 0.90, 0.25), flaw("wires", 0.895, 0.26), flaw("all", 0.89, 0.28)],
    "flaws_se": [{"accuracy": 0.001, "nll": 0.002}] * 3,
    "reads": {
        "images": 1000,
        "curve": {"reads": [1, 10, 100], "accuracy": [0.85, 0.89, 0.9], "nll": [0.4, 0.3, 0.28],
                  "ece": [0.05, 0.02, 0.01], "auroc_epistemic": [0.5, 0.9, 0.95]},
        "stopped": {"bets": {"error": 0.05, "mean_reads": 25.0, "decided": 0.9, "accuracy": 0.899,
                             "changed": 0.002}},
    },
}  # fmt: skip
ROWS = [{"model": "bnn", "where": "spintronic", "sampling": "per_read", "reads": 100,
         "energy_j": 2e-6, "latency_s": 4e-3}]  # fmt: skip


def test_differences_from_the_base_in_points():
    axes = flaw_differences(Figure().add_subplot(), RESULTS, "accuracy")
    drawn = [line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1]
    assert drawn == pytest.approx([-0.5, -1.0])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["wires", "all"]
    with pytest.raises(ValueError, match="must be one of accuracy, nll, ood_ece"):
        flaw_differences(Figure().add_subplot(), RESULTS, "brier")


def test_the_table_says_what_the_figure_shows():
    base, _, whole = flaw_lines(RESULTS)
    assert (base.name, whole.name) == ("base", "all")
    assert base.cells[0].value == "90.00\u00a0%"
    assert base.cells[1].below == ("± 0.002",)
    assert whole.cells[-1].value == "2\u00a0µJ"
    assert len(flaw_plate(RESULTS).panels) == 3


def test_stopping_saves_its_share_of_energy_and_latency():
    (line,) = stopping_lines(RESULTS, ROWS)
    told = {cell.column: cell.value for cell in line.cells}
    assert told["Energy"] == "500\u00a0nJ"
    assert told["Latency"] == "1\u00a0ms"
    assert told["Mean reads"] == "25"
    assert len(reads_plate(RESULTS).panels) == 4


def test_a_run_without_either_shows_nothing():
    assert flaw_plate({}) is None
    assert reads_plate({}) is None
    assert flaw_lines({}) == stopping_lines({}, []) == []
