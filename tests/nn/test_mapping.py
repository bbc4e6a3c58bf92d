"""What a mapping chooses, what it promises to hold, and what it refuses."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayespin.array.crossbar import code_noise
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import WantedCells, held_sigma
from bayespin.nn.mapping import (
    InputStatistics,
    _Offer,
    _Posterior,
    choose,
    input_statistics,
    require_fit,
    wanted_cells,
)
from bayespin.physics import transport
from bayespin.rng import Key

KEY = Key.root(0).child("mapping")
CELL = BitCell.preset()
FULL_DRIVE = InputStatistics(scale=1.0, clipping=0.0, noise=1.0)
HEAT = code_noise(CELL.read, CELL.environment.use_temperature)


def posterior(low: float, high: float, spread: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    """Means ~ N(0, spread²) and σ spread evenly in ratio from `low` to `high`, (outputs, rows)."""
    generator = KEY.child("posterior").generator()
    mean = torch.empty(40, 50).normal_(0.0, spread, generator=generator)
    ratio = torch.empty(40, 50).uniform_(generator=generator)
    return mean, low * (high / low) ** ratio


def divergence(
    mean: torch.Tensor, sigma: torch.Tensor, cell: BitCell, at: tuple[float, float, InputStatistics]
) -> float:
    """The definition, weight by weight: the level nearest in ratio, clipping, rounding, drive."""
    weight_max, gain, inputs = at
    noise = cell.read_noise(gain) * inputs.noise**0.5
    levels = cell.sigma_levels(gain, cell.environment.programming_temperature)
    held = (levels.square() + noise**2).sqrt() * weight_max
    mean, sigma = mean.double().flatten(), sigma.double().flatten()
    nearest = (sigma[:, None] / held).log().abs().argmin(1)
    got = held[nearest]
    error = (mean.abs() - weight_max).clamp_min(0).square() + inputs.clipping * mean.square()
    error += (cell.mean_error(gain)[nearest] * weight_max) ** 2
    return float(((sigma / got).log() + (got**2 + error) / (2 * sigma**2) - 0.5).sum())


def options(mean: torch.Tensor) -> list[tuple[float, float, InputStatistics]]:
    scales = (float(mean.abs().max()) * torch.linspace(0.1, 1.0, 10)).tolist()
    return [(w, g, FULL_DRIVE) for w in scales for g in CELL.cell.column_gains]


def least(mean: torch.Tensor, sigma: torch.Tensor, cell: BitCell) -> float:
    """The divergence that the choice reaches, by the definition."""
    found = choose("layer", mean, sigma, cell, [FULL_DRIVE])
    return divergence(mean, sigma, cell, (found.weight_max, found.gain, FULL_DRIVE))


@pytest.mark.parametrize("low,high", [(0.02, 0.06), (0.05, 0.08), (0.03, 0.2)])
def test_binned_divergence_is_the_sum_over_weights(low, high):
    mean, sigma = posterior(low, high)
    law, inputs = _Posterior.of(mean, sigma), InputStatistics(scale=2.0, clipping=0.01, noise=1.7)
    for weight_max, gain in ((0.15, 4.0), (0.4, 8.0)):
        exact = divergence(mean, sigma, CELL, (weight_max, gain, inputs))
        scales = torch.tensor([weight_max], dtype=torch.float64)
        found = law.loss_in_cells(_Offer.of(CELL, gain), scales, inputs) + law.loss_by_clipping(
            scales
        )
        assert float(found) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("low,high", [(0.02, 0.06), (0.05, 0.08), (0.01, 0.02)])
def test_choice_is_the_least_of_all_options(low, high):
    mean, sigma = posterior(low, high)
    best = min(divergence(mean, sigma, CELL, option) for option in options(mean))
    assert least(mean, sigma, CELL) <= best * 1.01


def test_window_covers_the_spreads_up_to_what_rounding_is_worth():
    """A window spans a factor of nine, so two fit; ends may be missed by less than a level."""
    mean, sigma = posterior(0.02, 0.04)
    found = choose("layer", mean, sigma, CELL, [FULL_DRIVE])
    assert found.below_floor == 0
    assert float(sigma.max()) < 1.15 * found.window[1]
    assert found.above_cap < 0.2 * found.weights


@settings(max_examples=15)
@given(low=st.floats(0.01, 0.05), ratio=st.floats(1.0, 2.0), spread=st.floats(0.1, 0.3))
def test_counts_and_window_are_those_of_the_choice(low, ratio, spread):
    mean, sigma = posterior(low, low * ratio, spread)
    found = choose("layer", mean, sigma, CELL, [FULL_DRIVE])
    levels = CELL.sigma_levels(found.gain, CELL.environment.programming_temperature)
    held = held_sigma(levels, found.read_noise) * found.weight_max
    assert found.window == pytest.approx((float(held.min()), float(held.max())))
    assert found.below_floor == int((sigma < found.window[0]).sum())
    assert found.above_cap == int((sigma > found.window[1]).sum())
    assert found.outside_window == found.below_floor + found.above_cap
    assert found.clipped == int((mean.abs() > found.weight_max).sum())
    assert found.weights == 2000


def test_spreads_a_little_beyond_the_window_are_no_reason_to_refuse():
    """A factor of 1.8 is counted and reported; one of 2.4 is no longer the same posterior."""
    mean, sigma = posterior(0.02, 0.04)
    found = choose("layer", mean, sigma, CELL, [FULL_DRIVE])
    floor, cap = (end * torch.ones_like(sigma) for end in found.window)
    for accepted in (1.8 * cap, floor / 1.8):
        require_fit(found, accepted)
    for refused in (2.4 * cap, floor / 2.4):
        with pytest.raises(ValueError, match="2000 of its 2000 weights are far off"):
            require_fit(found, refused)


def test_wide_spreads_get_a_full_scale_beyond_the_largest_mean():
    """σ of pruned weights exceeds every mean: rounding the means then costs next to nothing."""
    mean, sigma = posterior(0.2, 0.4)
    found = choose("layer", mean, sigma, CELL, [FULL_DRIVE])
    assert found.weight_max > 2 * float(mean.abs().max())
    assert found.below_floor == 0
    assert float(sigma.max()) < 1.15 * found.window[1]


def better_cells() -> dict[str, BitCell]:
    """Cells that can do all the preset can, and more."""
    track, pillar, layout = CELL.track, CELL.pillar, CELL.cell
    finer = replace(layout, column_gains=(*layout.column_gains, 3.0, 6.0, 16.0))
    return {
        "finer track": replace(CELL, track=replace(track, levels=32)),
        "more pillar levels": replace(
            CELL, pillar=replace(pillar, law=replace(pillar.law, levels=31))
        ),
        "more gains": replace(CELL, cell=finer),
    }


@pytest.mark.parametrize("name", better_cells())
def test_a_better_cell_never_holds_the_posterior_worse(name):
    better = better_cells()[name]
    ranges = ((0.02, 0.06), (0.03, 0.05), (0.05, 0.08), (0.01, 0.02))
    reached = []
    for low, high in ranges:
        mean, sigma = posterior(low, high)
        reached.append((least(mean, sigma, better), least(mean, sigma, CELL)))
    assert all(new < old * 1.001 for new, old in reached)
    assert any(new < old * 0.999 for new, old in reached)


def refusals() -> dict[str, tuple[torch.Tensor, torch.Tensor, str]]:
    mean, sigma = posterior(0.02, 0.06)
    broken, endless, narrow = mean.clone(), sigma.clone(), sigma.clone()
    broken[3, 4], endless[0, 0], narrow[0, 0] = torch.nan, torch.inf, 0.0
    return {
        "NaN mean": (broken, sigma, "must have finite means"),
        "infinite σ": (mean, endless, "must have finite standard deviations"),
        "zero means": (torch.zeros_like(mean), sigma, "must have a mean other than zero"),
        "σ of zero": (mean, narrow, "must have positive σ"),
        "σ far too small": (mean, sigma * 1e-3, "2000 of its 2000 weights are far off"),
        "σ far too large": (mean, sigma * 1e3, "2000 of its 2000 weights are far off"),
    }


@pytest.mark.parametrize("name", refusals())
def test_refusals_are_one_sentence_that_names_the_layer(name):
    mean, sigma, text = refusals()[name]
    with pytest.raises(ValueError, match=text) as refusal:
        require_fit(choose("conv1", mean, sigma, CELL, [FULL_DRIVE]), sigma)
    sentence = str(refusal.value)
    assert sentence.startswith("Layer `conv1` must")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_input_statistics_of_two_values_by_hand():
    """Inputs 0, 0, 1 and 4 in the ratio 2:1:1; scaled by 4 nothing clips."""
    x = torch.tensor([0.0, 0.0, 1.0, 4.0])
    last = input_statistics(x, HEAT)[-1]
    power = (0.25**2 + 1) / 4
    code = round(0.25 * 255)
    assert (last.scale, last.clipping) == (4.0, 0.0)
    heat = float((HEAT[code] + HEAT[255]) / HEAT[255]) / 4
    assert last.noise == pytest.approx(heat / power, rel=1e-9)


def test_a_smaller_input_scale_clips_more_and_drowns_less():
    x = torch.empty(10_000).exponential_(generator=KEY.child("inputs").generator())
    found = input_statistics(x, HEAT)
    scales, clips, noises = zip(*((f.scale, f.clipping, f.noise) for f in found), strict=True)
    assert list(scales) == sorted(scales)
    assert list(clips) == sorted(clips, reverse=True)
    assert list(noises) == sorted(noises)
    u = (x.double() / scales[0]).clamp_max(1)
    exact = ((x.double() / scales[0] - u) ** 2).mean() / u.square().mean()
    assert clips[0] == pytest.approx(float(exact), rel=1e-9)


def test_silent_inputs_have_statistics():
    assert input_statistics(torch.zeros(10), HEAT) == [FULL_DRIVE]


def test_read_noise_is_the_physics_averaged_over_the_inputs():
    """noise² = E[var I(u)]/(V G_full)² / E[u²] of one mid-scale cell, undriven rows silent."""
    x = torch.tensor([0.0] * 60 + [0.2] * 30 + [1.0] * 10)
    mean, sigma = posterior(0.02, 0.06)
    found = choose("layer", mean, sigma, CELL, [input_statistics(x, HEAT)[-1]])
    low, high = CELL.track_window
    siemens = low + high + found.gain**2 * 2 * CELL.pillar_conductance
    read, kelvin = CELL.read, CELL.environment.use_temperature

    def variance(u: float) -> float:
        total = torch.tensor(siemens, dtype=torch.float64)
        current = transport.mean_current_variance(total, u * read.voltage, kelvin, read.window)
        return float(current) / (read.voltage * CELL.full_scale) ** 2

    exact = (0.3 * variance(0.2) + 0.1 * variance(1.0)) / (0.3 * 0.2**2 + 0.1)
    assert found.read_noise == pytest.approx(exact**0.5, rel=1e-7)


def programming_error(sigma: float, gain: float) -> float:
    """Rms error over w_max of programmed means away from the ends, before any drift."""
    still = replace(CELL.environment, use_temperature=CELL.environment.programming_temperature)
    cell = replace(CELL, environment=still)
    mean = torch.empty(40, 100, dtype=torch.float64)
    mean.uniform_(-0.6, 0.6, generator=KEY.child("level").generator())
    wanted = WantedCells(mean=mean, sigma=torch.full_like(mean, sigma), read_noise=0.0)
    held = cell.program(wanted, gain, KEY.child("chip")).cells.mean / cell.full_scale
    return float((held - mean).square().mean().sqrt())


@pytest.mark.parametrize("sigma,gain", [(0.01, 4.0), (0.05, 4.0), (0.1, 8.0)])
def test_expected_error_of_a_mean_is_a_fair_estimate_of_programmed_chips(sigma, gain):
    """The closed form neglects that pairs of notches share their rounding: a factor of 1.5."""
    level = int((CELL.sigma_levels(gain, 300.0) - sigma).abs().argmin())
    expected = float(CELL.mean_error(gain)[level])
    assert 1 / 1.5 < expected / programming_error(sigma, gain) < 1.5


def test_wanted_cells_are_rows_by_outputs_in_fractions():
    mean, sigma = posterior(0.02, 0.06)
    mapping = choose("layer", mean, sigma, CELL, [FULL_DRIVE])
    wanted = wanted_cells(mean.reshape(40, 2, 5, 5), sigma.reshape(40, 2, 5, 5), mapping)
    assert wanted.read_noise == mapping.read_noise
    torch.testing.assert_close(wanted.sigma.T * mapping.weight_max, sigma.double())
    inside = mean.abs() <= mapping.weight_max
    torch.testing.assert_close((wanted.mean.T * mapping.weight_max)[inside], mean.double()[inside])
    assert float(wanted.mean.abs().max()) <= 1.0
