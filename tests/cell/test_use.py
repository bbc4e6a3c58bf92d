"""Cells after a time and at another temperature: the laws of drift and of hopping, and no more."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from bayespin.cell.bit_cell import BitCell, without_errors
from bayespin.cell.interface import Use, WantedCells
from bayespin.cell.use import aged_coordinates, hops, written_from
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import mean_is, proportion_is, variance_is

CELL = BitCell.preset()
GAIN, COUNT = 4.0, 1500


def programmed(cell, sigma=0.05):
    mean = torch.linspace(-0.5, 0.5, COUNT, dtype=torch.float64).reshape(-1, 1)
    wanted = WantedCells(mean=mean, sigma=torch.full_like(mean, sigma), read_noise=0.012)
    return cell.program(wanted, GAIN, Key.root(0))


def test_a_fresh_chip_at_its_use_temperature_is_the_programmed_one():
    done = programmed(CELL)
    again = CELL.in_use(done.state, GAIN, Use(temperature=CELL.environment.use_temperature))
    assert torch.equal(again.mean, done.cells.mean)
    assert torch.equal(again.deviation, done.cells.deviation)


@pytest.mark.parametrize("temperature", [300.0, 330.0, 358.0])
def test_spread_follows_the_device_at_the_temperature_of_use(temperature):
    cell = without_errors(CELL)
    done = programmed(cell)
    held = cell.sigma_levels(GAIN, 300.0).square() + 0.012**2
    level = int((held.log() - math.log(0.05**2)).abs().argmin())
    levels = [float(cell.sigma_levels(GAIN, t)[level]) for t in (300.0, temperature)]
    used = cell.in_use(done.state, GAIN, Use(temperature=temperature))
    ratio = used.deviation / done.cells.deviation
    assert ratio.flatten().tolist() == pytest.approx([levels[1] / levels[0]] * COUNT, rel=1e-3)


def gates_drift_by_decades():
    cell = CELL
    written, bench = written_from(programmed(cell).state), cell.bench(GAIN)
    inside = (written.coordinate > 0.1) & (written.coordinate < 0.95)
    for age, decades in ((999_999.0, 6.0), (99.0, 2.0)):
        moved = aged_coordinates(written, bench, age) - written.coordinate
        drift = moved[inside].double() / (decades * cell.pillar.gate.drift_per_decade)
        mean_is(drift, 0.0)
        variance_is(drift, 1.0)


def test_gates_drift_by_decades():
    gates_drift_by_decades()


@pytest.mark.parametrize("expected", [0.02, 0.7])
def test_hops_are_a_poisson_process_to_both_sides(expected):
    count = 50_000
    noise = KeyedNoise.from_key(Key.root(5))
    chance = torch.special.ndtr(noise.normal(torch.empty(2, count)))
    bits = (torch.special.ndtr(noise.normal(torch.empty(2, count))) * 2**15).to(torch.int16)
    moved = hops(chance, bits, expected).double()
    mean_is(moved.flatten(), 0.0)
    # Of one hop more or less each: variance of the difference of two Poisson numbers.
    mean_is(moved.square().flatten(), expected)
    stay = sum(
        math.exp(-expected) * (expected / 2) ** (2 * k) / math.factorial(k) ** 2 for k in range(9)
    )
    proportion_is(int((moved == 0).sum()), 2 * count, stay)


def test_what_has_hopped_stays_hopped():
    bits = torch.full((2, 1000), 2**15 - 1, dtype=torch.int16)  # all upwards
    chance = torch.linspace(0, 1, 2000).reshape(2, 1000)
    later = [hops(chance, bits, expected) for expected in (0.0, 0.1, 1.0, 3.0)]
    assert not bool(later[0].any())
    for before, after in pairwise(later):
        assert bool((after >= before).all())


def test_walls_that_have_hopped_move_the_mean_by_level_steps():
    cell = without_errors(CELL)
    done = programmed(cell)
    hour = cell.track.retention_time(330.0) * 0.1
    used = cell.in_use(done.state, GAIN, Use(temperature=330.0, age=hour))
    fresh = cell.in_use(done.state, GAIN, Use(temperature=330.0))
    steps = (used.mean - fresh.mean) / cell.full_scale * (cell.track.levels - 1)
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)
    # Walls at the low end, where most of one track's stand, can only hop up.
    assert 0.05 < float((steps.round() != 0).double().mean()) < 0.2


@pytest.mark.parametrize("bad", [{"temperature": 0.0}, {"temperature": 300.0, "age": -1.0}])
def test_impossible_uses_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=r"^`(temperature|age)` must .*, but is "):
        Use(**bad)


def test_drift_of_the_wrong_size_is_caught():
    real = CELL.pillar.gate.drift_per_decade
    wrong = replace(CELL.pillar.gate, drift_per_decade=1.2 * real)
    drifting = replace(CELL, pillar=replace(CELL.pillar, gate=wrong))
    written = written_from(programmed(CELL).state)
    inside = (written.coordinate > 0.1) & (written.coordinate < 0.95)
    moved = aged_coordinates(written, drifting.bench(GAIN), 999_999.0) - written.coordinate
    with pytest.raises(AssertionError):
        variance_is(moved[inside].double() / (6 * real), 1.0)
