"""Figures of a characterised pillar draw what the results hold."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from bayespin.report.characterisation import comparisons, figures
from tests.report.characterisation.conftest import FIELDS, PROBABILITIES, WINDOWS, estimate, row


@pytest.fixture
def axes():
    return Figure().add_subplot()


def points(container):
    """The markers of an error bar plot, and half the length of each bar."""
    line, _, (bars,) = container.lines
    half = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
    return line.get_xdata(), line.get_ydata(), half


def test_spread_and_time_are_drawn_at_their_field_with_two_errors(axes, rows):
    figures.against_field(axes, rows, "std")
    x, y, half = points(axes.containers[0])
    assert list(x) == pytest.approx([1e3 * field for field in FIELDS])
    assert list(y) == pytest.approx([one["std"]["value"] for one in rows])
    assert half == pytest.approx([2 * one["std"]["se"] for one in rows])
    other = Figure().add_subplot()
    figures.against_field(other, rows, "decay_time")
    assert "(ns)" in other.get_ylabel()
    assert points(other.containers[0])[1][0] == pytest.approx(14.2, rel=1e-3)


def test_every_temperature_has_its_own_colour(axes, rows):
    warm = [row(field, kelvin=340.0) for field in FIELDS]
    figures.against_field(axes, rows + warm, "std")
    colours = {one.lines[0].get_color() for one in axes.containers}
    assert (len(axes.containers), len(colours)) == (2, 2)


def test_residuals_are_per_cent_off_the_law(axes, rows):
    rows[2]["std"]["value"] *= 1.03
    figures.residuals(axes, rows, "std")
    _, y, half = points(axes.containers[0])
    assert list(y) == pytest.approx([0, 0, 3, 0], abs=1e-9)
    assert half == pytest.approx([0.8] * 4)


def test_reads_are_drawn_over_the_window_factor_of_the_law(axes, rows):
    figures.read_windows(axes, rows[:1], WINDOWS)
    x, y, _ = points(axes.containers[0])
    assert list(x) == pytest.approx([1, 10])
    assert list(y) == pytest.approx([one["value"] for one in rows[0]["read_std"]])
    law = axes.lines[0].get_ydata()
    assert law[0] == pytest.approx(rows[0]["laws"]["std"], rel=0.02)  # 1 ns of 14 ns
    assert bool((np.diff(law) < 0).all())


def test_a_histogram_is_a_density_beside_its_normal_law(axes, rows):
    figures.histogram(axes, rows[1])
    steps = axes.patches[0].get_data()
    assert float((steps.values * np.diff(steps.edges)).sum()) == pytest.approx(1)
    normal = axes.lines[0]
    peak = normal.get_ydata()[np.abs(normal.get_xdata()).argmin()]
    assert steps.values.max() == pytest.approx(peak, rel=0.01)


def test_quantiles_of_a_normal_law_lie_on_the_line(axes, rows):
    figures.normal_quantiles(axes, rows[0], PROBABILITIES)
    dots = axes.lines[1]
    assert list(dots.get_ydata()) == pytest.approx(list(dots.get_xdata()), abs=1e-9)
    rows[0]["quantiles"][-1] *= 1.5
    off = Figure().add_subplot()
    figures.normal_quantiles(off, rows[0], PROBABILITIES)
    dots = off.lines[1]
    assert dots.get_ydata()[-1] == pytest.approx(1.5 * dots.get_xdata()[-1])


def test_the_memory_of_a_precession_turns(axes, rows):
    time = rows[0]["laws"]["slowest_time"]
    rows[0]["laws"]["frequency"] = 1 / time
    figures.autocorrelation(axes, rows[0])
    law = axes.lines[0]
    half_turn = np.interp(0.5 * time * 1e9, law.get_xdata(), law.get_ydata())
    assert half_turn == pytest.approx(-np.exp(-0.5), rel=1e-2)


def test_the_gaussian_breaks_below_five(axes, rows):
    soft = row(2 / 521.0, varied="stability", excess_kurtosis=estimate(-0.63, 0.01))
    figures.gaussian_break(axes, [*rows, soft], "excess_kurtosis", "easy-plane")
    shade = axes.patches[0]
    assert shade.get_x() + shade.get_width() == pytest.approx(5)
    x, y, _ = points(axes.containers[0])
    assert (x[-1], y[-1]) == pytest.approx((2, -0.63))
    law = axes.lines[0]
    assert np.interp(2, law.get_xdata(), law.get_ydata()) == pytest.approx(-0.634, abs=0.01)


def test_a_stray_field_is_drawn_over_the_anisotropy_field(axes, rows):
    shifted = [
        row(f, varied="stray_field", stray_field=1.5e-3, mean=estimate(1.5e-3 / f, 1e-4))
        for f in FIELDS
    ]
    comparisons.mean_shift(axes, rows + shifted)
    x, y, _ = points(axes.containers[0])
    assert list(x) == pytest.approx(list(y))
    assert x[0] == pytest.approx(0.075)


def test_a_read_voltage_is_drawn_over_the_setting_without_it(axes, rows):
    pushed = [dict(one, varied="read_voltage", read_voltage=0.1) for one in rows]
    pushed[1] = pushed[1] | {"std": estimate(1.1 * rows[1]["std"]["value"], 1e-4)}
    comparisons.voltage_shift(axes, rows + pushed)
    assert list(points(axes.containers[0])[1]) == pytest.approx([1, 1.1, 1, 1])


def test_an_out_of_round_pillar_is_drawn_over_the_round_one(axes, rows):
    oval = [dict(one, varied="in_plane_anisotropy", in_plane_anisotropy=5e-3) for one in rows]
    for one in oval:
        one["read_std"] = [one["read_std"][0], estimate(0.35 * one["std"]["value"], 1e-4)]
    comparisons.out_of_round(axes, rows + oval, 1)
    assert list(points(axes.containers[0])[1]) == pytest.approx([0.7] * 4)


def test_films_are_drawn_by_diameter(axes):
    films = [
        {"diameter": d, "anisotropy_field": b, "ratio_std": estimate(r, 0.01)}
        for d, b, r in ((50e-9, 0.1, 1.01), (50e-9, 0.3, 1.0), (100e-9, 0.1, 0.8))
    ]
    comparisons.film_ratio(axes, films, "std")
    assert [list(points(one)[1]) for one in axes.containers] == [[1.01, 1.0], [0.8]]
    assert [name for _, name in comparisons.legend_of_diameters(films)] == [
        "d = 50 nm", "d = 100 nm",
    ]  # fmt: skip


def test_residuals_of_the_fit_leave_out_what_was_not_fitted(axes):
    left = [
        {"stability": 12.0, "temperature": 300.0, "sigma": 0.5, "tau": None},
        {"stability": 40.0, "temperature": 300.0, "sigma": -5.0, "tau": 1.5},
    ]
    comparisons.fit_residuals(axes, left, "tau")
    assert (axes.lines[0].get_xdata()[0], *axes.lines[0].get_ydata()) == (40.0, 1.5)
    other = Figure().add_subplot()
    comparisons.fit_residuals(other, left, "sigma")
    assert list(other.lines[0].get_ydata()) == [0.5, -5.0]
    limits = sorted(line.get_ydata()[0] for line in other.lines[1:])
    assert limits == [-4, 0, 4]
