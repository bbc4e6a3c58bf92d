"""Each figure of a simulation shows the numbers of its dataset."""

import numpy as np
import pytest
import xarray
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from bayespin.report.palette import colour
from bayespin.report.simulation.figures import (
    correlation_curve,
    final_positions,
    mark_notches,
    mark_pulses,
    over_time,
    single_replica,
    sound,
    time_cursor,
    value_histogram,
)


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


@pytest.fixture
def walls() -> xarray.Dataset:
    """Eleven walls over 4 ns at k · 10 nm + (0, 10, ..., 40 nm); the last is not finite."""
    time = np.arange(5) * 1e-9
    position = 10e-9 * (np.arange(11)[None, :] + np.arange(5)[:, None])
    position[2:, 10] = np.nan
    status = np.zeros(11, np.int8)
    status[10] = 1
    return xarray.Dataset(
        {
            "wall_position": (("time", "replica"), position, {"units": "m"}),
            "status": (("replica",), status),
            "current_density": (("time",), np.array([0, 1, 1, 0, 1]) * 1e11, {"units": "A/m2"}),
        },
        coords={"time": ("time", time, {"units": "s"})},
    )


def test_failed_replicas_are_left_out(walls):
    kept = sound(walls, "wall_position")
    assert kept.shape == (5, 10)
    np.testing.assert_array_equal(kept, walls["wall_position"].values[:, :10])
    points = walls.expand_dims(point=2).assign(status=(("point", "replica"), np.eye(2, 11)))
    assert sound(points, "wall_position", 0)[0, 0] == 10e-9  # point 0 lost its replica 0
    assert sound(points, "wall_position", 1)[0, 0] == 0


def test_a_histogram_is_a_density_under_its_law(axes):
    values = np.linspace(-0.3, 0.3, 6001)
    places = np.linspace(-0.3, 0.3, 50)
    law = (places, np.full(50, 1 / 0.6))
    value_histogram(axes, values, law)
    heights, edges, _ = axes.patches[0].get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1)
    inside = (edges[:-1] > -0.29) & (edges[1:] < 0.29)
    np.testing.assert_allclose(heights[inside], 1 / 0.6, rtol=0.02)
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), np.column_stack(law))
    assert axes.get_xlabel() == "u = m_z (1)"


@pytest.mark.parametrize("values", [np.array([]), np.full(7, 1.0)])
def test_a_histogram_of_nothing_or_of_one_value_is_drawn(axes, values):
    low, high = value_histogram(axes, values).get_xlim()
    assert -1 <= low < high <= 1


def test_a_correlation_is_drawn_with_its_error_against_exponentials(axes):
    lags = np.arange(5) * 2e-9
    curve, error = np.exp(-lags / 4e-9), np.full(5, 0.01)
    correlation_curve(axes, lags, curve, {"slow": 4e-9, "fast": 1e-9}, error)
    np.testing.assert_allclose(axes.lines[0].get_xydata(), np.column_stack((lags * 1e9, curve)))
    np.testing.assert_allclose(axes.lines[1].get_ydata(), curve)
    np.testing.assert_allclose(axes.lines[2].get_ydata(), np.exp(-lags / 1e-9))
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(1.02)
    assert axes.get_xlabel() == "lag t (ns)"


def test_a_quantity_over_time_has_its_median_and_its_band(axes, walls):
    over_time(axes, walls, "wall_position")
    median = axes.lines[-1]
    assert median.get_label() == "median"
    np.testing.assert_allclose(median.get_ydata(), 45 + 10 * np.arange(5))  # of ten walls, in nm
    assert len(axes.lines) == 7  # and six single ones
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(4.5)  # 5 % of 0 to 90 nm
    assert axes.get_xlabel() == "time (ns)"
    assert axes.get_ylabel() == "wall position q (nm)"


def test_a_drive_is_shaded_while_it_is_on(axes, walls):
    mark_pulses(axes, walls)
    spans = [(p.get_x(), p.get_x() + p.get_width()) for p in axes.patches]
    assert spans == [(1, 3), (4, 4)]
    mark_pulses(axes, walls.drop_vars("current_density"))
    assert len(axes.patches) == 2


def test_final_positions_are_shares_of_the_sound_replicas(axes, walls):
    final_positions(axes, walls, [50e-9, 100e-9])
    heights, edges, _ = axes.patches[0].get_data()
    assert heights.sum() == pytest.approx(100)
    places = edges[np.flatnonzero(heights)]
    np.testing.assert_allclose(places, 40 + 10 * np.arange(10), atol=2)
    assert [line.get_xdata()[0] for line in axes.lines] == pytest.approx([50, 100])


def test_notches_take_the_place_of_a_grid(axes):
    mark_notches(axes, [10e-9, 20e-9], axes.axhline, 1e-9)
    assert [line.get_ydata()[0] for line in axes.lines] == pytest.approx([10, 20])


def test_a_cursor_moves_over_one_replica(axes, walls):
    single_replica(axes, walls, {"wall_position": "perread"}, 3)
    assert to_hex(axes.lines[0].get_color()) == colour("perread")
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), walls["wall_position"][:, 3])
    move = time_cursor(axes, walls)
    move(3e-9)
    np.testing.assert_allclose(axes.lines[-1].get_xdata(), [3, 3])
