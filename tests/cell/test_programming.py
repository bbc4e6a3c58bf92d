"""Programming: exact without errors; with errors, what the loops leave is what they say."""

import math
from dataclasses import fields, replace
from functools import cache
from unittest.mock import patch

import pytest
import torch

from bayespin.cell import gate_loop, programming, wall_loop
from bayespin.cell.bit_cell import BitCell, without_errors
from bayespin.cell.interface import GaussianCell, Use, WantedCells, ideal_cells, sigma_level
from bayespin.cell.use import state_of, written_from
from bayespin.numerics.tensor_file import read_tensors, write_tensors
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import mean_is, proportion_is, required_samples, variance_is

CELL = BitCell.preset()
STILL = replace(CELL, environment=replace(CELL.environment, use_temperature=300.0))
EXACT = without_errors(CELL)
GAIN, NOISE, STEPS = 4.0, 0.012, CELL.track.levels - 1


def column(mean, sigma=0.05):
    mean = torch.as_tensor(mean).reshape(-1, 1).double()
    return WantedCells(mean=mean, sigma=torch.full_like(mean, sigma), read_noise=NOISE)


def weights(count, most=0.6):
    return torch.empty(count).uniform_(-most, most, generator=Key.root(9).generator())


def programmed(wanted, cell=STILL, gain=GAIN, seed=0):
    return cell.program(wanted, gain, Key.root(seed))


@cache
def chip():
    """2000 cells with rows of ten outputs."""
    mean = weights(2000).reshape(200, 10).double()
    sigma = 0.01 * 8 ** torch.linspace(0, 1, 2000, dtype=torch.float64).reshape(200, 10)
    return programmed(WantedCells(mean=mean, sigma=sigma, read_noise=NOISE))


def residual(wanted, cell):
    """Error of the mean in level steps."""
    held = programmed(wanted, cell).cells.mean / cell.full_scale
    return ((held - wanted.mean) * STEPS).flatten()


def test_a_bit_cell_is_a_gaussian_cell():
    assert isinstance(CELL, GaussianCell)


def test_without_errors_every_level_is_exact_and_the_rest_rounds():
    levels = torch.arange(-STEPS, STEPS + 1).double() / STEPS
    assert float(residual(column(levels), EXACT).abs().max()) < 1e-4
    between = residual(column(torch.linspace(-1, 1, 4001)), EXACT)
    assert 0.49 < float(between.abs().max()) <= 0.5 + 1e-4
    beyond = programmed(column([-1.7, 1.7]), EXACT).cells
    assert (beyond.mean / CELL.full_scale).flatten().tolist() == pytest.approx([-1, 1], rel=1e-6)


@pytest.mark.parametrize("gain", [1.0, 8.0])
def test_without_errors_sigma_is_the_nearest_level_in_ratio(gain):
    levels = CELL.sigma_levels(gain, 300.0)
    sigma = torch.logspace(-3, -0.05, 3001, dtype=torch.float64)[:, None]
    wanted = WantedCells(mean=torch.zeros_like(sigma), sigma=sigma, read_noise=NOISE)
    found = programmed(wanted, EXACT, gain).cells.deviation / CELL.full_scale
    held = torch.hypot(levels, torch.tensor(NOISE).double())
    nearest = (sigma / held).log().abs().argmin(1)
    torch.testing.assert_close(found[:, 0], levels[nearest], rtol=3e-4, atol=0)
    assert set(nearest.tolist()) == set(range(16))


def test_conductances_by_hand():
    cells = programmed(column([0.2, -0.6]), EXACT).cells
    low, pillars = CELL.track_window[0], 2 * CELL.pillar_conductance
    tracks = torch.tensor([[0.2], [0.6]]).double() * CELL.full_scale + 2 * low
    torch.testing.assert_close(cells.total_conductance, tracks + pillars, rtol=3e-3, atol=0)
    heat = tracks + GAIN**2 * pillars
    torch.testing.assert_close(cells.noise_conductance, heat, rtol=3e-3, atol=0)


def means_converge_to_what_is_wanted():
    """Verified cells: uniform in ± t, and the verification's own error; mismatch is 12 times t."""
    rules, count = STILL.programming, 4000
    track = replace(
        STILL.track, notch_spread=0.1, cycle_spread=0.1,
        missed_step_probability=1e-3, double_step_probability=1e-3,
    )  # fmt: skip
    done = programmed(column(weights(count), 0.03), replace(STILL, track=track))
    met = done.state["wall_outcome"] == wall_loop.VERIFIED
    error = (done.cells.mean / STILL.full_scale).flatten() - weights(count).double()
    blur = (done.cells.deviation / STILL.full_scale).flatten().square() + NOISE**2
    look = float(blur.mean()) / rules.mean_verify_reads * STEPS**2
    variance = rules.mean_tolerance**2 / 3 + look
    assert 0.8 < float(met.double().mean()) < 0.95
    assert 0.8 < float((error * STEPS)[met].square().mean()) / variance < 1.15
    mean_is(error[met] * STEPS, 0.0)


def test_means_converge_to_what_is_wanted_in_spite_of_mismatch_and_stray_field():
    means_converge_to_what_is_wanted()


def misses_are_repaired():
    """A fifth of the pulses fails, and costs pulses: the walls' own columns tell where they are."""
    wanted, most = column(weights(2000), 0.03), {}
    for missed in (1e-3, 0.19):
        track = replace(STILL.track, missed_step_probability=missed, double_step_probability=0.04)
        done = programmed(wanted, replace(STILL, track=track))
        error = (done.cells.mean / STILL.full_scale - wanted.mean).flatten() * STEPS
        most[missed] = float(error.square().mean().sqrt()), done.report.pulses["tracks"]
    assert most[0.19][0] < 1.25 * most[1e-3][0]
    assert most[0.19][1] > 1.2 * most[1e-3][1]


def test_misses_are_repaired():
    misses_are_repaired()


def test_walls_lost_on_the_way_back_are_caught():
    with patch.object(wall_loop, "MOST_RETURNS", 1), pytest.raises(AssertionError):
        misses_are_repaired()


def spreads_converge_to_the_tolerance():
    """σ of single pillars: within t as measured, so uniform in ± t and the χ error of N reads."""
    rules, cell = STILL.programming, STILL
    done = programmed(column(torch.zeros(1500), 0.055))
    bench, written = cell.bench(GAIN), written_from(done.state)
    met = written.gate_outcome == gate_loop.VERIFIED
    _, spread = bench.curves.law(written.coordinate, written.devices.stray_field)
    level = sigma_level(torch.tensor([0.055]), cell.sigma_levels(GAIN, 300.0), NOISE)
    target = float(cell.sigma_levels(GAIN, 300.0)[level]) / (GAIN * 2**0.5)
    error = (written.devices.pillar_scale * spread / target - 1)[met]
    look = 1 / (2 * (rules.sigma_verify_reads - 1))
    assert float(met.double().mean()) > 0.98
    # The flat prior is the widest; without the error of the reads 0.37 would be left.
    assert 0.6 < float(error.square().mean()) / (rules.sigma_tolerance**2 / 3 + look) < 1.1


def test_spreads_converge_to_the_tolerance():
    spreads_converge_to_the_tolerance()


def test_verification_of_spreads_without_noise_is_caught():
    blind = lambda draw, _: torch.ones_like(draw)  # noqa: E731
    with patch.object(gate_loop, "chi_factor", blind), pytest.raises(AssertionError):
        spreads_converge_to_the_tolerance()


def test_a_blurless_look_at_means_is_caught():
    right = wall_loop.InCircuit
    blind = lambda needed, blur: right(needed=needed, blur=0 * blur)  # noqa: E731
    with patch.object(programming, "InCircuit", blind), pytest.raises(AssertionError):
        means_converge_to_what_is_wanted()


def test_what_n_reads_find_is_the_law_of_chi_square():
    """Mean of χ²_ν/ν is 1 and its variance 2/ν, ν = N − 1; N for ν would add 1/ν."""
    count, reads = required_samples(math.sqrt(2), 0.05), 21
    draw = KeyedNoise.from_key(Key.root(3)).normal(torch.empty(count).double())
    square = gate_loop.chi_factor(draw, reads).square()
    mean_is(square, 1.0, bias=1e-3)
    variance_is((square - 1) / math.sqrt(2 / (reads - 1)), 1.0, bias=5e-3)


TRAIN, MISSED, DOUBLE = 6, 0.08, 0.03


def trains_end_where_their_law_says():
    """P(net) of six pulses by counting outcomes: multinomial, both tails of their own chance."""
    count = 100_000
    draw = KeyedNoise.from_key(Key.root(4)).normal(torch.empty(count))
    trains = wall_loop.Trains.of(20, MISSED, DOUBLE)
    net = trains.net(torch.full((count,), float(TRAIN)), draw)
    right = 1 - MISSED - DOUBLE
    exact = TRAIN * MISSED * right ** (TRAIN - 1)
    exact += TRAIN * (TRAIN - 1) * (TRAIN - 2) / 2 * MISSED**2 * DOUBLE * right ** (TRAIN - 3)
    third = math.factorial(6) / (math.factorial(3) * math.factorial(2))
    exact += third * MISSED**3 * DOUBLE**2 * right
    proportion_is(int((net == TRAIN - 1).sum()), count, exact)
    mean_is(net.double(), TRAIN * (1 - MISSED + DOUBLE))


def test_trains_of_pulses_end_where_their_law_says():
    trains_end_where_their_law_says()
    still = wall_loop.Trains.of(5, 0.0, 0.0).net(torch.arange(6.0), torch.linspace(-9, 9, 6))
    assert still.tolist() == [0, 1, 2, 3, 4, 5]


def test_missed_steps_of_the_wrong_sign_are_caught():
    right = wall_loop.Trains.of
    swapped = lambda most, missed, double: right(most, double, missed)  # noqa: E731
    with patch.object(wall_loop.Trains, "of", swapped), pytest.raises(AssertionError):
        trains_end_where_their_law_says()


def test_the_ledger_is_the_sum_over_pulses_and_reads():
    done, cell = chip(), STILL
    state, gate, track, rules = done.state, cell.pillar.gate, cell.track, cell.programming
    assert done.events.write_pulses == float(
        state["gate_pulses"].sum() + state["wall_pulses"].sum()
    )
    reads = rules.sigma_verify_reads * int(state["gate_verifications"].sum())
    reads += rules.mean_verify_reads * int(state["wall_verifications"].sum())
    assert done.events.verify_reads == reads
    energy = done.report.energy
    assert done.events.write_energy == math.fsum(energy.values())
    assert energy["gate pulses"] == int(state["gate_pulses"].sum()) * gate.pulse_energy
    assert energy["wall pulses"] == int(state["wall_pulses"].sum()) * track.pulse_energy
    # Reads of a pillar heat its own conductance: within mismatch and shift, the nominal one.
    one = cell.read.voltage**2 * cell.read.window * cell.pillar_conductance
    looks = int(state["gate_verifications"].sum()) * rules.sigma_verify_reads
    assert energy["reads of sigma"] == pytest.approx(looks * one, rel=0.02)
    assert sum(done.report.pulses.values()) == done.events.write_pulses


def test_times_of_a_row_by_hand():
    done, cell, rules = chip(), STILL, STILL.programming
    state, period = done.state, cell.sampling_period()
    row = slice(30, 40)
    expected = 0.0
    for polarity in range(2):
        looks = state["gate_verifications"][polarity, row]
        pulses = state["gate_pulses"][polarity, row]
        expected += max(
            int(p) * cell.pillar.gate.pulse_time + int(n) * rules.sigma_verify_reads * period
            for p, n in zip(pulses, looks, strict=True)
        )
    looks = state["wall_verifications"][row]
    expected += max(
        int(p) * cell.track.pulse_time + int(n) * rules.mean_verify_reads * period
        for p, n in zip(state["wall_pulses"][:, row].max(0).values, looks, strict=True)
    )
    assert float(done.report.row_time[3]) == pytest.approx(expected, rel=1e-9)


def test_every_loop_is_accounted_for():
    report = chip().report
    for part, loops in ((report.mean, 2000), (report.sigma, 4000)):
        assert part.verified + sum(part.failed.values()) == loops
        assert part.rms < part.largest
    assert int(report.levels["pillars"].sum()) == int(report.levels["tracks"].sum()) == 4000


def test_errors_of_the_report_are_those_of_the_cells():
    done = chip()
    error = done.cells.mean / STILL.full_scale - weights(2000).reshape(200, 10)
    assert done.report.mean.rms == pytest.approx(float(error.square().mean().sqrt()), rel=1e-4)
    assert done.report.mean.largest == pytest.approx(float(error.abs().max()), rel=1e-4)


@pytest.mark.parametrize("chance", ["dead_gate_probability", "stuck_wall_probability"])
def test_dead_devices_are_counted_and_do_not_move(chance):
    cell = replace(STILL, variation=replace(STILL.variation, **{chance: 0.2}))
    done = programmed(column(weights(2000)), cell)
    state = done.state
    if chance == "dead_gate_probability":
        dead = state["dead"]
        proportion_is(int(dead.sum()), dead.numel(), 0.2)
        assert torch.equal(state["coordinate"][dead], state["first_coordinate"][dead])
        missed = dead & (state["gate_outcome"] != gate_loop.VERIFIED)
        assert done.report.sigma.failed["dead gate"] == int(missed.sum()) > 0
    else:
        stuck = state["stuck"]
        proportion_is(int(stuck.sum()), stuck.numel(), 0.2)
        assert torch.equal(state["notch"][stuck], state["first_notch"][stuck])
        missed = stuck.any(0) & (state["wall_outcome"] != wall_loop.VERIFIED)
        assert done.report.mean.failed["stuck wall"] == int(missed.sum()) > 0


def test_a_second_pillar_makes_good_what_a_dead_one_lacks():
    """A first pillar left at mid-range: without its twin's help σ would miss by tens of percent."""
    cell = replace(STILL, variation=replace(STILL.variation, dead_gate_probability=0.5))
    done = programmed(column(torch.zeros(2000), 0.06), cell)
    one_dead = done.state["dead"][0] & ~done.state["dead"][1]
    levels = cell.sigma_levels(GAIN, 300.0)
    target = levels[sigma_level(torch.tensor([0.06]), levels, NOISE)]
    found = (done.cells.deviation[one_dead] / cell.full_scale / target).log().abs()
    assert float(found.median()) < 0.04
    assert float(done.state["coordinate"][0][one_dead].max()) < 0.75  # far below its share


def test_same_key_same_chip_however_the_work_is_split():
    mean, spread, bench = weights(600), torch.full((600,), 0.01), CELL.bench(GAIN)
    with patch.object(programming, "BLOCK", 256):
        one, two = (programming.write(mean, spread, bench, Key.root(0), w) for w in (1, 2))
        other = programming.write(mean, spread, bench, Key.root(1))
        head = programming.write(mean[:256], spread[:256], bench, Key.root(0))
    for name, value in state_of(one).items():
        assert torch.equal(value, state_of(two)[name]), name
    assert torch.equal(head.rest, one.rest[:, :256])
    for name in ("rest", "coordinate", "gate_conductance_read"):
        assert not torch.equal(getattr(one, name), getattr(other, name))


def test_a_saved_chip_is_the_same_chip(tmp_path):
    done = chip()
    write_tensors(tmp_path / "chip", dict(done.state), {})
    state, _ = read_tensors(tmp_path / "chip", "program again")
    assert state.keys() == done.state.keys()
    again = STILL.in_use(state, GAIN, Use(temperature=300.0))
    for field in fields(again):
        assert torch.equal(getattr(again, field.name), getattr(done.cells, field.name))


def test_a_state_that_is_not_whole_is_refused():
    state = {k: v for k, v in chip().state.items() if k != "rest"}
    with pytest.raises(ValueError, match="`state` must hold `rest`, but does not; "):
        STILL.in_use(state, GAIN, Use(temperature=300.0))


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
