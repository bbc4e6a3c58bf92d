"""Programming: exact without errors; with errors, the law of what the closed loop leaves."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy import stats

from bayespin.cell import programming
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import WantedCells
from bayespin.cell.programming import ideal_cells, without_errors
from bayespin.rng import Key
from tests.statistical.check import mean_is, proportion_is, required_samples, variance_is

CELL = BitCell.preset()
EXACT = without_errors(CELL)
GAIN, NOISE, STEPS = 4.0, 0.012, CELL.track.levels - 1
PLACEMENT, SPREAD = CELL.track.placement_error, CELL.programming.conductance_spread
MISSED = CELL.track.missed_step_probability
# One write: uniform rounding, placement of the last write, missed steps; on the junction's scale.
SINGLE_WRITE = (1 / 12 + PLACEMENT**2 + MISSED) * (1 + SPREAD**2)
COUNT = required_samples(math.sqrt(2), 0.05)


def changed(cell, **changes):
    return replace(cell, programming=replace(cell.programming, **changes))


def column(mean, sigma=0.05):
    mean = mean.reshape(-1, 1).double()
    return WantedCells(mean=mean, sigma=torch.full_like(mean, sigma), read_noise=NOISE)


def programmed(wanted, cell, gain=GAIN, seed=0):
    return programming.program(wanted, cell, gain, Key.root(seed))


def residual(wanted, cell):
    """Error of the mean in level steps."""
    cells, _ = programmed(wanted, cell)
    return ((cells.mean / cell.full_scale - wanted.mean) * STEPS).flatten()


def inside(count):
    """Wanted means of both signs, several spreads of the mismatch away from zero and full."""
    magnitude = torch.linspace(0.4, 0.55, count, dtype=torch.float64)
    return column(torch.where(torch.arange(count) % 2 == 0, magnitude, -magnitude))


def test_without_errors_every_level_is_exact_and_the_rest_rounds():
    levels = torch.arange(-STEPS, STEPS + 1).double() / STEPS
    assert float(residual(column(levels), EXACT).abs().max()) < 1e-9
    between = residual(column(torch.linspace(-1, 1, 4001)), EXACT)
    assert 0.49 < float(between.abs().max()) <= 0.5 + 1e-9
    beyond, _ = programmed(column(torch.tensor([-1.7, 1.7])), EXACT)
    assert (beyond.mean / CELL.full_scale).flatten().tolist() == pytest.approx([-1, 1])


@pytest.mark.parametrize("gain", [1.0, 8.0])
def test_without_errors_sigma_is_the_nearest_level_in_ratio(gain):
    levels = CELL.sigma_levels(gain, 300.0).numpy()
    held, wanted = np.hypot(levels, NOISE), np.geomspace(0.001, 0.9, 20_001)
    nearest = np.abs(np.log(wanted[:, None] / held)).argmin(1)
    cells, _ = programmed(
        WantedCells(
            mean=torch.zeros(20_001, 1), sigma=torch.tensor(wanted)[:, None], read_noise=NOISE
        ),
        EXACT,
        gain,
    )
    found = (cells.deviation / CELL.full_scale).flatten().numpy()
    assert found == pytest.approx(levels[nearest], rel=1e-9)
    assert set(nearest) == set(range(16))


def test_conductances_by_hand():
    cells, _ = programmed(column(torch.tensor([0.2, -0.6])), EXACT)
    low, pillars = CELL.track_window[0], 2 * CELL.pillar_conductance
    tracks = torch.tensor([[0.2], [0.6]]) * CELL.full_scale + 2 * low
    assert torch.allclose(cells.total_conductance, tracks.double() + pillars, rtol=1e-6)
    heat = tracks.double() + GAIN**2 * pillars
    assert torch.allclose(cells.noise_conductance, heat, rtol=1e-6)


def means_close_on_what_is_wanted():
    """Sees 5 % of the variance; a mismatch of pillars out of the loop adds 800 %."""
    error = residual(inside(COUNT), changed(CELL, verify_attempts=1))
    mean_is(error, 0.0)
    variance_is(error, SINGLE_WRITE)


def test_means_close_on_what_is_wanted_in_spite_of_mismatch_and_stray_field():
    means_close_on_what_is_wanted()
    wild = changed(CELL, verify_attempts=1, stray_field=3e-3)
    assert float(residual(inside(2000), wild).std()) < 1.1 * math.sqrt(SINGLE_WRITE)


def test_small_weights_are_no_worse_than_large_ones():
    """Mismatch of two tracks at their ends, 0.9 level, must not decide which junction moves."""
    small = residual(column(torch.linspace(-0.1, 0.1, 20_000)), changed(CELL, verify_attempts=1))
    assert float(small.square().mean()) < SINGLE_WRITE


@cache
def chance_of_a_hit():
    """Share of writes within the tolerance, for every rounding error in ±1/2, placed normally."""
    tolerance = CELL.programming.verify_tolerance
    rounding = np.linspace(-0.5, 0.5, 1001)
    edges = (np.array([[tolerance], [-tolerance]]) - rounding) / PLACEMENT
    return stats.norm.cdf(edges[0]) - stats.norm.cdf(edges[1])


def test_verified_writing_hits_the_tolerance():
    """Between fresh rounding at every attempt (best) and the same rounding each time (worst)."""
    n, tries = 20_000, CELL.programming.verify_attempts
    wanted = inside(n)
    error = residual(wanted, CELL).abs()
    tolerance = CELL.programming.verify_tolerance
    missed = float((error > tolerance).double().mean())
    hit = chance_of_a_hit()
    assert 0.9 * (1 - hit.mean()) ** tries < missed < 1.1 * ((1 - hit) ** tries).mean()
    assert float(error[error <= tolerance].square().mean()) == pytest.approx(
        tolerance**2 / 3, rel=0.05
    )
    _, events = programmed(wanted, CELL)
    attempts = (events.write_pulses - 2 * n) / 3
    assert events.verify_reads == 2 * attempts + 2 * n
    k = np.arange(tries)[:, None]
    best, worst = ((1 - hit.mean()) ** k).sum(), ((1 - hit) ** k).sum(0).mean()
    assert 0.98 * best < attempts / n < 1.02 * worst


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_more_attempts_leave_smaller_errors_and_cost_more(attempts):
    wanted = inside(4000)
    few, many = (changed(CELL, verify_attempts=n) for n in (attempts, 2 * attempts))
    assert residual(wanted, many).square().mean() < residual(wanted, few).square().mean()
    assert programmed(wanted, many)[1].write_pulses > programmed(wanted, few)[1].write_pulses


@pytest.mark.parametrize("error,spread", [(0.02, 0.0), (0.0, 0.05), (0.02, 0.05)])
def test_sigma_errors_of_two_pillars(error, spread):
    """Mean of the squares of two pillars' (1 + c e)(1 + r f): moments in closed form."""
    cell = changed(EXACT, sigma_residual=error, conductance_spread=spread, verify_attempts=1)
    wanted = column(torch.full((COUNT,), 0.4))
    ideal = programmed(column(torch.tensor([0.4])), EXACT)[0].deviation
    square = (programmed(wanted, cell)[0].deviation / ideal).square()
    second = (1 + spread**2) * (1 + error**2)
    fourth = math.prod(1 + 6 * s**2 + 3 * s**4 for s in (error, spread))
    mean_is(square, second)
    variance_is(square, (fourth - second**2) / 2)


def test_sigma_follows_the_temperature_of_use():
    wanted = column(torch.tensor([0.0, 0.3, -0.3]), 0.08)
    cold = programmed(wanted, EXACT)[0].deviation
    hot_cell = replace(EXACT, environment=replace(EXACT.environment, use_temperature=320.0))
    ratio = programmed(wanted, hot_cell)[0].deviation / cold
    assert ratio.flatten().tolist() == pytest.approx([math.sqrt(320 / 300)] * 3, rel=1e-3)


def missed_steps_are_as_frequent_as_stated():
    chance, level = 0.05, 6
    cell = changed(EXACT, verify_attempts=1)
    cell = replace(cell, track=replace(cell.track, missed_step_probability=chance))
    count = 100_000
    error = residual(column(torch.full((count,), level / STEPS)), cell).round()
    assert set(error.tolist()) == {-1.0, 0.0, 1.0}
    proportion_is(int((error != 0).sum()), count, chance)
    proportion_is(int((error > 0).sum()), count, chance / 2)


def test_missed_steps_are_as_frequent_as_stated():
    """0.05 ± 0.0034 at five standard errors: one tail for two would be 0.025."""
    missed_steps_are_as_frequent_as_stated()


def test_same_key_same_chip():
    wanted = inside(50)
    chips = [programmed(wanted, CELL, seed=seed) for seed in (0, 0, 1)]
    for name in ("mean", "deviation", "noise_conductance", "total_conductance"):
        one, same, other = (getattr(cells, name) for cells, _ in chips)
        assert torch.equal(one, same)
        assert not bool((one == other).any())
    assert chips[0][1] == chips[1][1]


def test_ideal_cells_hold_what_is_wanted_and_are_silent():
    wanted = WantedCells(
        mean=torch.tensor([[0.123, -2.0]]), sigma=torch.tensor([[0.0, 0.4]]), read_noise=NOISE
    )
    cells = ideal_cells(wanted, CELL)
    assert torch.allclose(cells.mean / CELL.full_scale, wanted.mean)
    assert torch.allclose(cells.deviation / CELL.full_scale, wanted.sigma)
    assert not bool(cells.noise_conductance.any())
    mid_scale = sum(CELL.track_window) + 2 * CELL.pillar_conductance
    assert cells.total_conductance.flatten().tolist() == pytest.approx([mid_scale] * 2, rel=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["mean", "sigma"])
def test_weights_that_are_not_finite_are_refused(bad, name):
    given = {"mean": torch.zeros(2, 2), "sigma": torch.ones(2, 2)}
    given[name][1, 0] = bad
    with pytest.raises(ValueError, match=f"must be finite, but `{name}` holds NaN or infinity; "):
        WantedCells(read_noise=0.0, **given)


def test_negative_sigma_is_refused():
    with pytest.raises(ValueError, match=r"`sigma` must not be negative, but .* is -0\.2\."):
        WantedCells(mean=torch.zeros(1, 2), sigma=torch.tensor([[0.1, -0.2]]), read_noise=0.0)
