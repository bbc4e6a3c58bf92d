"""Each figure shows the numbers it was given: positions on the axes against the input."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from bayespin.report.figures import (
    entropy_ladder,
    ood_ladder,
    paper_points,
    predictive_distribution,
    reliability_counts,
    reliability_diagram,
    sigma_histogram,
    stacked_bar,
)
from bayespin.report.naming import CHIP, DETERMINISTIC, find_row, style_of
from bayespin.report.palette import colour
from bayespin.report.reference import PAPER

BINS = {
    "edges": [0.0, 0.25, 0.5, 0.75, 1.0],
    "confidence": [None, 0.4, 0.6, 0.9],
    "accuracy": [None, 0.5, 0.6, 0.8],
    "count": [0, 10, 30, 60],
}


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def test_reliability_bars_end_at_accuracy_and_gaps_at_confidence(axes):
    drawn = reliability_diagram(axes, BINS, style_of(CHIP))
    assert drawn is axes
    bars, gaps = drawn.containers
    assert [bar.get_height() for bar in bars] == [0.5, 0.6, 0.8]  # the empty bin is not drawn
    assert [bar.get_x() for bar in bars] == [0.25, 0.5, 0.75]
    ends = [gap.get_y() + gap.get_height() for gap in gaps]
    np.testing.assert_allclose(ends, [0.4, 0.6, 0.9])
    assert all(gap.get_hatch() for gap in gaps)


def test_counts_are_shares_of_all_images(axes):
    (bars,) = reliability_counts(axes, BINS).containers
    np.testing.assert_allclose([bar.get_height() for bar in bars], [0, 10, 30, 60])


def test_ladder_draws_every_row_in_its_style_at_its_values(axes, results):
    ood_ladder(axes, results["rows"])
    for line, row in zip(axes.lines, results["rows"], strict=True):
        fractions, values = line.get_data()
        np.testing.assert_allclose(fractions, [float(f) for f in row["ood_ece"]])
        np.testing.assert_allclose(values, list(row["ood_ece"].values()))
    looks = {(line.get_linestyle(), line.get_marker()) for line in axes.lines}
    assert len(looks) == len(results["rows"])  # told apart without colour


def test_ladder_leaves_nulls_out_and_refuses_another_quantity(axes):
    row = {"model": "dnn", "where": "software", "sampling": "none"}
    ood_ladder(axes, [{**row, "ood_ece": {"0.5": 0.2, "0.0": None, "0.9": 0.4}}, row])
    (line,) = axes.lines
    assert list(line.get_xdata()) == [0.5, 0.9]
    with pytest.raises(ValueError, match=r"`quantity_name` must be one of ood_ece.*but is 'ece'"):
        ood_ladder(axes, [row], "ece")


def test_all_points_of_the_paper_and_of_ours_are_in_view(axes, results):
    paper_points(ood_ladder(axes, results["rows"]))
    bottom, top = axes.get_ylim()
    stars = [line for line in axes.lines if line.get_marker() == "*"]
    assert [star.get_ydata()[0] for star in stars] == [row.ood_ece for row in PAPER]
    assert all(bottom <= value <= top for line in axes.lines for value in line.get_ydata())


def test_signed_error_shows_both_signs(axes):
    row = {"model": "bnn", "where": "ideal", "sampling": "per_read"}
    ood_ladder(axes, [{**row, "ood_signed_error": {"0": -0.1, "0.9": 0.2}}], "ood_signed_error")
    assert axes.get_ylim()[0] < -0.1
    assert axes.get_ylim()[1] > 0.2


def test_entropy_bands_stack_to_the_total(axes, results):
    row = find_row(results["rows"], CHIP)
    entropy_ladder(axes, row, 2.0)
    aleatoric, epistemic = (set(map(tuple, band.get_paths()[0].vertices))
                            for band in axes.collections)  # fmt: skip
    for f, rung in row["ood_entropy"].items():
        assert (float(f), rung["aleatoric"]) in aleatoric & epistemic
        assert (float(f), rung["total"]) in epistemic
    assert axes.get_ylim() == (0, 2.0)


def test_sigma_histogram_shades_the_window_and_keeps_all_weights_in_view(axes):
    histogram = {
        "edges": [0.001, 0.01, 0.1, 1.0, 10.0], "target": [0, 5, 7, 0],
        "programmed": [0, 12, 0, 0], "window": [0.02, 0.2],
    }  # fmt: skip
    sigma_histogram(axes, histogram)
    window, target, programmed = axes.patches
    assert (window.get_x(), window.get_x() + window.get_width()) == pytest.approx((0.02, 0.2))
    assert list(target.get_data().values) == [0, 5, 7, 0]
    assert list(programmed.get_data().values) == [0, 12, 0, 0]
    assert axes.get_xscale() == "log"
    low, high = axes.get_xlim()
    assert 0.001 < low < 0.01
    assert 1.0 < high < 10.0


def test_sigma_histogram_without_window_or_programmed_counts(axes):
    sigma_histogram(axes, {"edges": [0.1, 1.0, 2.0], "target": [0, 0], "window": None})
    assert axes.get_xlim()[0] < 0.1
    assert len(axes.patches) == 1


def test_stacked_bar_ends_at_the_sum_in_the_units_of_the_axis(axes):
    parts = {f"part {k}": k * 1e-9 for k in range(1, 12)}
    stacked_bar(axes, parts, 1e-9, "energy (nJ)")
    ends = [bar.get_x() + bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(ends, np.cumsum(range(1, 12)))
    assert axes.get_xlabel() == "energy (nJ)"
    assert axes.get_xlim()[1] > ends[-1]


def test_predictive_bars_whiskers_and_marks(axes):
    rows = {
        DETERMINISTIC: {"mean": [0.995, 0.005], "low": None, "high": None},
        CHIP: {"mean": [0.7, 0.3], "low": [0.5, 0.1], "high": [0.9, 0.5]},
    }
    predictive_distribution(axes, rows, ["coat", "bag"], 1)
    assert [bar.get_width() for bar in axes.patches] == [0.7, 0.3]
    assert {to_hex(bar.get_facecolor()) for bar in axes.patches} == {colour("spintronic")}
    segments = axes.collections[0].get_segments()
    np.testing.assert_allclose([s[:, 0] for s in segments], [[0.5, 0.9], [0.1, 0.5]])
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [0.995, np.nan])  # below one per cent
    weights = [label.get_fontweight() for label in axes.get_yticklabels()]
    assert weights == ["normal", "bold"]


def test_every_axis_names_its_unit(results):
    chip = find_row(results["rows"], CHIP)
    draws = [
        lambda a: reliability_counts(a, BINS),
        lambda a: ood_ladder(a, results["rows"]),
        lambda a: ood_ladder(a, results["rows"], "ood_signed_error"),
        lambda a: ood_ladder(a, results["rows"], "ood_accuracy"),
        lambda a: entropy_ladder(a, chip, 1.0),
    ]
    for draw in draws:
        drawn = draw(Figure().add_subplot())
        for label in (drawn.get_xlabel(), drawn.get_ylabel()):
            assert label.endswith(("(1)", "(%)", "(nat)")), label


def test_drawing_leaves_matplotlib_settings_alone(axes, results):
    before = dict(mpl.rcParams)
    ood_ladder(axes, results["rows"])
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("high", [0.012, 0.03, 0.06, 1.0])
def test_ticks_of_a_window_are_some_and_not_a_crowd(axes, high):
    edges = list(np.geomspace(0.01, high, 11))
    sigma_histogram(axes, {"edges": edges, "target": [1] * 10, "window": [0.01, high]})
    low, top = axes.get_xlim()
    seen = [tick for tick in axes.xaxis.get_majorticklocs() if low <= tick <= top]
    assert 2 <= len(seen) <= 6
