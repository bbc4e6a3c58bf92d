"""What the figures of the cells draw is what the results hold, and the loss is the divergence."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch.distributions import Normal, kl_divergence

from bayespin.report.cell_figures import (
    device_curve,
    holding_loss,
    level_histogram,
    shade_steps,
    weight_map,
)
from bayespin.report.cell_plates import device_plate, held_plate, levels_plate
from bayespin.report.page import render

ENTRY = {
    "mean_edges": [-0.6, -0.2, 0.2, 0.6], "sigma_edges": [0.01, 0.03, 0.1, 0.3],
    "counts": [[0, 1, 0], [2, 90, 30], [0, 0, 7]], "weight_max": 0.5,
    "held": [0.02, 0.05, 0.12], "mean_error": [0.003, 0.004, 0.006], "held_share": 0.9,
}  # fmt: skip


@pytest.fixture
def axes():
    return Figure().add_subplot()


def test_loss_is_the_divergence_of_the_held_gaussian():
    """Averaged over an error of ± δ of the mean; a clipped mean ends at the full scale."""
    mean, sigma = np.array([-0.1, 0.3, 0.62]), np.array([0.008, 0.033, 0.2])
    found = holding_loss(ENTRY, mean, sigma)
    nearest = [0, 1, 2]  # of 0.02, 0.05 and 0.12, in ratio: 0.033 is nearer to 0.05
    for row, level in enumerate(nearest):
        for column, centre in enumerate(mean):
            target = Normal(torch.tensor(centre), torch.tensor(sigma[row]))
            kept = min(max(centre, -0.5), 0.5)
            beside = abs(centre - kept)
            square = ENTRY["mean_error"][level] ** 2 + beside**2
            held = Normal(target.mean + square**0.5, torch.tensor(ENTRY["held"][level]).double())
            assert found[row, column] == pytest.approx(float(kl_divergence(held, target)))


def test_a_cell_that_holds_a_pair_exactly_loses_nothing():
    perfect = {**ENTRY, "mean_error": [0.0, 0.0, 0.0]}
    held = np.array(ENTRY["held"])
    assert np.abs(holding_loss(perfect, np.array([0.0, 0.5]), held)).max() < 1e-12


def test_shades_cover_the_bins_that_reach_them(axes):
    """Thresholds 1, 90^(1/3) and 90^(2/3): five bins, then three, then two."""
    counts = np.array(ENTRY["counts"])
    assert shade_steps(counts) == [1, 4, 20]
    weight_map(axes, ENTRY)
    for patch, least in zip(axes.patches, (1, 4, 20), strict=True):
        covered = 0.0
        for corner in np.split(patch.get_path().vertices, len(patch.get_path().vertices) // 5):
            wide, tall = np.ptp(corner[:, 0]), np.log(corner[2, 1] / corner[0, 1])
            covered += wide / 0.4 * tall / np.log(10) * 2
        assert covered == pytest.approx((counts >= least).sum(), rel=0.1)


def test_the_frame_is_the_window(axes):
    weight_map(axes, ENTRY)
    (frame,) = axes.lines
    assert set(frame.get_xdata()) == {-0.5, 0.5}
    assert set(frame.get_ydata()) == {0.02, 0.12}
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    assert low <= 0.01
    assert high >= 0.3
    assert [label.endswith("(weight units)") for label in (axes.get_xlabel(), axes.get_ylabel())]


def test_bars_are_the_counts(axes):
    level_histogram(axes, [5, 0, 9], "spintronic")
    assert [bar.get_height() for bar in axes.patches] == [5, 0, 9]


def test_device_curve_has_points_with_their_errors_in_units_of_the_axis(axes, results):
    device = results["device"]
    device_curve(axes, device, "sigma")
    assert axes.get_xlabel() == "setting (mJ/m²)"
    assert axes.get_ylabel() == "σ (µS)"
    (bars,) = [c for c in axes.containers if hasattr(c, "has_yerr")]
    middle = bars.lines[0]
    np.testing.assert_allclose(middle.get_ydata(), np.array(device["points"]["sigma"]) * 1e6)
    np.testing.assert_allclose(middle.get_xdata(), np.array(device["points"]["setting"]) * 1e3)
    for segment, sigma in zip(bars.lines[2][0].get_segments(), device["points"]["sigma"],
                              strict=True):  # fmt: skip
        np.testing.assert_allclose(np.ptp(segment[:, 1]), 0.08 * sigma * 1e6)


def test_device_curve_does_without_table_and_law_and_names_what_it_can_draw(axes, results):
    bare = {**results["device"], "points": None, "law": None, "setting_unit": "1"}
    device_curve(axes, bare, "tau")
    assert len(axes.lines) == 2
    assert axes.get_xlabel() == "setting (1)"
    with pytest.raises(ValueError, match="`name` must be one of sigma, tau, but is 'mean'"):
        device_curve(axes, bare, "mean")


def test_results_of_an_older_schema_are_drawn_without_the_cells(results):
    for name in ("weights", "programming", "device"):
        results.pop(name)
    for row in results["rows"]:
        row.pop("programming_energy_j")
        row.pop("programming_time_s")
    results["schema_version"] = 1
    assert (device_plate(results), held_plate(results), levels_plate(results)) == (None,) * 3
    page = render({**results, "rows": results["rows"][-1:], "reliability": {}, "sigma": {}})
    assert 'id="cells"' not in page
    assert 'id="energy"' in page


def test_the_page_tells_what_programming_took_and_left(results):
    """Nine gate pulses and six of walls per weight; three gates are dead."""
    slim = {**results, "rows": results["rows"][-1:], "reliability": {}, "sigma": {}, "weights": {},
            "programming": results["programming"][:1], "examples": []}  # fmt: skip
    page = render(slim)
    for told in ("15.6", "pillars 9.4", "tracks 6.2", "2.10\u00a0%", "3 gave up", "63\u00a0pJ",
                 "Loops that gave up: 2 attempts exhausted; 3 dead gate.",
                 "Programming the chip costs 41\u00a0nJ and takes 21\u00a0ms",
                 "adds 41\u00a0fJ to each",
                 "`bayespin characterize easyplane-50nm` simulates"):  # fmt: skip
        assert told in page, told
    assert "beyond the device" not in page  # none of them
