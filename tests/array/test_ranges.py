"""Ranges without data against samples that they never saw, and both against laws by hand."""

import pytest
import torch
from scipy import stats

from bayespin.array.converter import Adc
from bayespin.array.ranges import (
    InputMoments,
    OutputMoments,
    RangeReport,
    calibrated_ranges,
    data_free_ranges,
    expected_range,
)
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import proportion_is

ROWS, OUTPUTS, ADC = 40, 5, Adc(bits=8)


def draw(name, *shape):
    return torch.rand(shape, generator=Key.root(4).child(name).generator(), dtype=torch.float64)


WEIGHTS = [draw(f"w{t}", ROWS, OUTPUTS) - 0.4 for t in range(2)]
SIGMA = 0.1 + 0.2 * draw("sigma", ROWS, OUTPUTS)


def strokes(reads):
    """Drives of rows that rise and fall together."""
    common, own = draw("common", reads, 1), draw("own", reads, ROWS)
    return (common * own).float().double()


def tile_moments(inputs):
    noise = inputs.square @ SIGMA.square()
    found = [inputs.outputs(w, noise) for w in WEIGHTS]
    return OutputMoments(
        adc=ADC,
        mean=torch.stack([m for m, _ in found]),
        deviation=torch.stack([s for _, s in found]),
        read_deviation=noise.sqrt().expand(2, -1),
    )


def noisy(drives):
    noise = KeyedNoise.from_key(Key.root(4).child("reads"))
    spread = (drives.square() @ SIGMA.square()).sqrt()
    means = torch.stack([drives @ w for w in WEIGHTS])
    return means + spread * noise.normal(means)


def test_moments_of_outputs_are_those_of_samples():
    """Sums over the same drives: exact but for the noise, which is summed by hand."""
    drives = strokes(3000)
    found = tile_moments(InputMoments.of(drives))
    noise = (drives.square() @ SIGMA.square()).mean(0)
    for t, weights in enumerate(WEIGHTS):
        y = drives @ weights
        torch.testing.assert_close(found.mean[t], y.mean(0), rtol=1e-9, atol=1e-12)
        exact = (y.var(0, correction=0) + noise).sqrt()
        torch.testing.assert_close(found.deviation[t], exact, rtol=1e-9, atol=0)


def test_rows_that_move_together_need_their_covariance():
    drives = strokes(3000)
    joint = InputMoments.of(drives)
    apart = InputMoments.independent(drives.mean(0), drives.square().mean(0))
    torch.testing.assert_close(apart.square, joint.square, rtol=1e-9, atol=0)
    for inputs, wide in ((joint, True), (apart, False)):
        report = data_free_ranges("dense", tile_moments(inputs), 1e-2)
        seen = RangeReport.of("dense", report.full_range, samples=noisy(drives))
        assert (seen.observed_share < 0.03) is wide


def test_a_range_clips_the_share_it_was_asked_for():
    """Against normal laws, and against normal samples."""
    mean = torch.tensor([[0.0, 2.0, -1.0]], dtype=torch.float64)
    deviation = torch.tensor([[1.0, 0.5, 0.0]], dtype=torch.float64)
    for share in (1e-6, 1e-3, 0.1, 0.3):
        found = float(expected_range(mean, deviation, share))
        hand = stats.norm(0, 1).sf(found) * 2 + stats.norm(2, 0.5).sf(found)
        hand += stats.norm(2, 0.5).cdf(-found) + float(found < 1)
        assert hand / 3 == pytest.approx(share, rel=1e-6)
    full = expected_range(mean, deviation, 0.01)
    like = torch.empty(1, 20_000, 3, dtype=torch.float64)
    y = mean[:, None] + deviation[:, None] * KeyedNoise.from_key(Key.root(1)).normal(like)
    clipped = int((y.abs() > full).sum())
    proportion_is(clipped, y.numel(), 0.01)  # outputs differ, which narrows the law


def test_data_free_and_calibrated_ranges_agree_on_normal_outputs():
    """Independent uniform drives of 40 rows: sums are near normal, ranges within 5 %."""
    drives = draw("uniform", 40_000, ROWS)
    third = torch.full((ROWS,), 1 / 3, dtype=torch.float64)
    moments = tile_moments(InputMoments.independent(1.5 * third, third))
    free = data_free_ranges("dense", moments, 1e-3)
    seen = calibrated_ranges("dense", noisy(drives), 1e-3, moments)
    torch.testing.assert_close(free.full_range, seen.full_range, rtol=0.05, atol=0)
    assert free.expected_share == pytest.approx(1e-3, rel=1e-6)
    assert seen.observed_share == pytest.approx(1e-3, rel=1e-2)
    assert seen.expected_share == pytest.approx(1e-3, rel=0.5)
    assert free.observed_share is None
    step = free.full_range[0] / 127
    assert float(free.steps_per_sigma[0] * step) == pytest.approx(
        float(moments.read_deviation[0].mean()), rel=1e-12
    )


def test_refusals():
    report = RangeReport.of(
        "conv1", torch.tensor([1.0]), samples=torch.linspace(-2, 2, 101)[None, :, None]
    )
    report.check(0.6)
    with pytest.raises(ValueError, match=r"layer `conv1` must clip at most 0\.01 .* clip 0\.5"):
        report.check(0.01)
    with pytest.raises(ValueError, match="`clipped_share` must be between 0 and 1, but is 0"):
        expected_range(torch.ones(1, 2), torch.ones(1, 2), 0.0)
    with pytest.raises(ValueError, match="`square` must be at least the square of `mean`"):
        InputMoments.independent(torch.ones(3), 0.5 * torch.ones(3))
