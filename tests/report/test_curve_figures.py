"""Curves of choices show the numbers they were given, in the styles of their rows."""

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bayespin.network import metrics
from bayespin.report.curve_figures import QUANTITIES, price, reads_curve, risk_coverage
from bayespin.report.naming import CHIP, DETERMINISTIC, style_of
from bayespin.report.palette import colour

PLAIN = {"model": "dnn", "where": "software", "sampling": "none"}
BAYES = {"model": "bnn", "where": "spintronic", "sampling": "per_read"}
CONFIDENCE = torch.linspace(1, 0, 40)
CORRECT = torch.arange(40) % 7 != 6
READS = {"reads": [1, 2, 10], "accuracy": [0.8, 0.85, 0.9], "nll": [0.7, None, 0.4]}


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def test_risk_is_drawn_over_coverage_up_to_all_images(axes):
    curve = metrics.risk_coverage(CONFIDENCE, CORRECT).as_lists(10)
    drawn = risk_coverage(axes, [{**PLAIN, "risk_coverage": curve}, {**BAYES}])
    assert drawn is axes
    (line,) = axes.lines
    np.testing.assert_allclose(line.get_xdata(), np.linspace(0.1, 1, 10))
    np.testing.assert_allclose(line.get_ydata(), curve["risk"])
    assert line.get_ydata()[-1] == pytest.approx(5 / 40)
    assert line.get_color() == colour(style_of(DETERMINISTIC).role)
    assert axes.get_xlim() == (0, 1)
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] >= max(curve["risk"])


def test_rows_of_many_points_are_told_apart_without_colour(axes):
    curve = {"coverage": np.linspace(0.01, 1, 100).tolist(), "risk": [0.1] * 100}
    risk_coverage(axes, [{**row, "risk_coverage": curve} for row in (PLAIN, BAYES)])
    looks = {(line.get_linestyle(), line.get_marker()) for line in axes.lines}
    assert len(looks) == 2
    assert [line.get_markevery() for line in axes.lines] == [(19, 20)] * 2


def test_reads_are_drawn_on_a_logarithmic_axis_and_nulls_left_out(axes):
    rows = [{**BAYES, "reads_curve": READS}, PLAIN, {**PLAIN, "reads_curve": {"reads": [1]}}]
    reads_curve(axes, rows, "nll")
    (line,) = axes.lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1, 10], [0.7, 0.4])
    assert line.get_label() == style_of(CHIP).label
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == QUANTITIES["nll"]


def test_every_metric_of_a_curve_can_be_drawn(axes):
    reads = torch.rand(5, 8, 3, generator=torch.Generator().manual_seed(1)).softmax(-1)
    curve = metrics.reads_curve(reads, torch.zeros(8, dtype=torch.int64), strangers=reads)
    lists = curve.as_lists()
    assert set(lists) == {"reads", *QUANTITIES}
    for name in QUANTITIES:
        fresh = reads_curve(Figure().add_subplot(), [{**BAYES, "reads_curve": lists}], name)
        assert list(fresh.lines[0].get_ydata()) == lists[name]


def test_the_upper_axis_is_what_reads_cost(axes):
    priced = price(reads_curve(axes, [{**BAYES, "reads_curve": READS}]), 2.5, "energy (nJ)")
    assert priced is axes
    (upper,) = axes.child_axes
    axes.figure.draw_without_rendering()
    np.testing.assert_allclose(upper.get_xlim(), 2.5 * np.array(axes.get_xlim()))
    assert upper.get_xlabel() == "energy (nJ)"


def test_wrong_arguments_are_one_sentence(axes):
    with pytest.raises(ValueError, match=r"`quantity_name` must be one of accuracy.*is 'energy'"):
        reads_curve(axes, [], "energy")
    with pytest.raises(ValueError, match="`per_read` must be positive, but is 0"):
        price(axes, 0.0, "energy (J)")
