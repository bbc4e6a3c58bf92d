"""Calibration errors against torchmetrics, brute force and data of known calibration."""

import importlib
import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multiclass_calibration_error

from bayespin.network import metrics
from tests.network.metrics.examples import labels_drawn_from, predictions
from tests.statistical.check import mean_is, required_samples

# The package exports a function under the name of this module.
their_bins = importlib.import_module("torchmetrics.functional.classification.calibration_error")


def theirs(p, labels, bins):
    """The computation of torchmetrics in the dtype of `p`; its front door casts to float32."""
    confidence, predicted = p.max(1)
    correct = (predicted == labels).to(p.dtype)
    return float(their_bins._ce_compute(confidence, correct, bins))


@pytest.mark.parametrize("bins", [1, 10, 15, 100])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ece_equals_torchmetrics(bins, seed):
    p = predictions(5000, 10, seed=seed)
    labels = labels_drawn_from(predictions(5000, 10, seed=seed, sharpness=1.5), seed=9)
    assert metrics.ece(p, labels, bins) == pytest.approx(theirs(p, labels, bins), abs=1e-12)
    # Through the front door only float32 rounding is left: 2.3e-7 at most in 200 such sets.
    front = float(multiclass_calibration_error(p, labels, num_classes=10, n_bins=bins))
    assert metrics.ece(p.float(), labels, bins) == pytest.approx(front, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_confidences_on_bin_edges_fall_where_torchmetrics_puts_them(dtype):
    """Every edge k/15, its two floating neighbours, and 1, alternately right and wrong."""
    edge = torch.linspace(0, 1, 16, dtype=dtype)[9:]
    below = torch.nextafter(edge, torch.zeros_like(edge))
    above = torch.nextafter(edge, torch.full_like(edge, 2)).clamp_max(1)
    top = torch.cat([edge, below, above, torch.ones(5, dtype=dtype)])
    p = torch.stack([top, 1 - top], 1)
    labels = (torch.arange(len(top)) % 3 == 0).long()
    rounding = 1e-12 if dtype == torch.float64 else 1e-6
    found = metrics.ece(p, labels)
    assert found == pytest.approx(theirs(p, labels, 15), abs=rounding)
    # The case decides: closing the bins above instead gives another number.
    closed_above = torch.bucketize(top, torch.linspace(0, 1, 16, dtype=dtype)) - 1
    excess = top.double() - (labels == 0).double()
    other = sum(abs(float(excess[closed_above == b].sum())) for b in range(15)) / len(top)
    assert abs(found - other) > 0.01


def test_ece_by_hand():
    """Three bins: 0.95 right and wrong, 0.65 right twice, 0.5 wrong once."""
    top = torch.tensor([0.95, 0.95, 0.65, 0.65, 0.5], dtype=torch.float64)
    p = torch.stack([top, 1 - top], 1)
    labels = torch.tensor([0, 1, 0, 0, 1])
    expected = (abs(1.9 - 1) + abs(1.3 - 2) + abs(0.5 - 0)) / 5
    assert metrics.ece(p, labels) == pytest.approx(expected, abs=1e-12)
    assert metrics.signed_calibration_error(p, labels) == pytest.approx(
        (1.9 + 1.3 + 0.5 - 3) / 5, abs=1e-12
    )


def test_saturated_confidences_are_a_bin_of_their_own_in_ece_only():
    p = torch.tensor([[1.0, 0.0], [0.94, 0.06]], dtype=torch.float64)
    labels = torch.tensor([1, 0])
    assert metrics.ece(p, labels) == pytest.approx((1 + 0.06) / 2, abs=1e-12)
    diagram = metrics.reliability(p, labels)
    assert diagram.count[14] == 2
    assert float(diagram.accuracy[14]) == 0.5
    assert float(diagram.confidence[14]) == pytest.approx(0.97, abs=1e-12)


def test_reliability_diagram_sums_to_ece_and_shows_empty_bins():
    p = predictions(3000, 5, seed=3)
    labels = labels_drawn_from(p, seed=4)
    diagram = metrics.reliability(p, labels)
    assert int(diagram.count.sum()) == 3000
    gap = (diagram.accuracy - diagram.confidence).abs().nan_to_num() * diagram.count / 3000
    assert float(gap.sum()) == pytest.approx(metrics.ece(p, labels), abs=1e-12)
    inside = diagram.count > 0
    assert bool((diagram.confidence[inside] >= diagram.edges[:-1][inside]).all())
    assert bool((diagram.confidence[inside] <= diagram.edges[1:][inside]).all())
    # The largest of five probabilities is at least 0.2: the first three bins are empty.
    lists = diagram.as_lists()
    assert lists["accuracy"][:3] == lists["confidence"][:3] == [None] * 3
    assert lists["count"][:3] == [0] * 3


def test_adaptive_ece_equals_brute_force():
    p = predictions(1003, 4, seed=7)
    labels = labels_drawn_from(predictions(1003, 4, seed=7, sharpness=1.0), seed=8)
    confidence, predicted = p.max(1)
    order = sorted(range(1003), key=lambda i: float(confidence[i]))
    total = 0.0
    for b in range(15):
        members = [i for rank, i in enumerate(order) if rank * 15 // 1003 == b]
        assert len(members) in (66, 67)
        conf = math.fsum(float(confidence[i]) for i in members) / len(members)
        acc = sum(int(predicted[i] == labels[i]) for i in members) / len(members)
        total += len(members) / 1003 * abs(conf - acc)
    assert metrics.adaptive_ece(p, labels) == pytest.approx(total, abs=1e-12)
    # One bin leaves only the signed error; as many bins as images leave |confidence - correct|.
    signed = metrics.signed_calibration_error(p, labels)
    assert metrics.adaptive_ece(p, labels, bins=1) == pytest.approx(abs(signed), abs=1e-12)
    each = (confidence - (predicted == labels).double()).abs().mean()
    assert metrics.adaptive_ece(p, labels, bins=1003) == pytest.approx(float(each), abs=1e-12)


def test_classwise_ece_of_two_classes_is_the_binary_error():
    p = predictions(2000, 2, seed=1)
    labels = labels_drawn_from(predictions(2000, 2, seed=1, sharpness=1.0), seed=2)
    total = 0.0
    for c in range(2):
        index = np.digitize(p[:, c].numpy(), np.linspace(0, 1, 16)) - 1
        hit = (labels == c).double().numpy()
        total += sum(abs((p[:, c].numpy() - hit)[index == b].sum()) for b in range(15)) / 2000
    assert metrics.classwise_ece(p, labels) == pytest.approx(total / 2, abs=1e-12)


@pytest.mark.parametrize("shift", [-0.2, -0.05, 0.05, 0.2])
def test_known_miscalibration_is_recovered(shift):
    """Two classes, confidence uniform in [0.7, 0.8], right with probability confidence - shift.

    Every bin errs to one side, so ECE and the signed error both estimate the shift. Standard
    deviation of confidence - correct is below 0.5; n sees an error of 0.005.
    """
    n = required_samples(0.5, 0.005)
    random = torch.Generator().manual_seed(11)
    top = 0.7 + 0.1 * torch.rand(n, generator=random, dtype=torch.float64)
    labels = (torch.rand(n, generator=random, dtype=torch.float64) >= top - shift).long()
    p = torch.stack([top, 1 - top], 1)
    excess = top - (labels == 0).double()
    mean_is(excess, shift)
    signed = metrics.signed_calibration_error(p, labels)
    assert signed == pytest.approx(float(excess.mean()), abs=1e-12)
    assert metrics.ece(p, labels) == pytest.approx(abs(signed), abs=1e-12)
    assert metrics.adaptive_ece(p, labels) == pytest.approx(abs(signed), abs=1e-12)


def test_floor_equals_ece_of_resampled_labels():
    """Against the long way: labels drawn from all class probabilities, each given to `ece`."""
    p = predictions(500, 5, seed=2)
    draws = required_samples(0.01, 0.0015)
    floor = metrics.ece_floor(p, torch.Generator().manual_seed(1), draws=4000)
    slow = torch.tensor([metrics.ece(p, labels_drawn_from(p, seed=s)) for s in range(draws)])
    # The mean of 4000 draws is itself uncertain: allowed as bias, at the same alpha.
    mean_is(slow, floor.mean, bias=4.9 * float(slow.std()) / math.sqrt(4000))
    below = (slow < floor.low).double().mean()
    above = (slow > floor.high).double().mean()
    assert abs(float(below) - 0.05) < 4.9 * math.sqrt(0.05 * 0.95 / draws)
    assert abs(float(above) - 0.05) < 4.9 * math.sqrt(0.05 * 0.95 / draws)


def test_floor_of_one_bin_in_closed_form():
    """Confidence 0.8, one bin: E|mean of N Bernoulli - 0.8| is a binomial sum."""
    n, q = 100, 0.8
    p = torch.tensor([[q, 1 - q]], dtype=torch.float64).repeat(n, 1)
    exact = sum(math.comb(n, k) * q**k * (1 - q) ** (n - k) * abs(k / n - q) for k in range(n + 1))
    sd = math.sqrt(q * (1 - q) / n - exact**2)
    floor = metrics.ece_floor(p, torch.Generator().manual_seed(3), draws=20_000)
    assert floor.mean == pytest.approx(exact, abs=4.9 * sd / math.sqrt(20_000))


def test_floor_is_keyed_fast_and_falls_with_the_root_of_the_images():
    p = predictions(10_000, 10, seed=1)
    started = time.perf_counter()
    first = metrics.ece_floor(p, torch.Generator().manual_seed(5))
    # 0.04 s measured on one core; five times the promised second leaves room for a busy machine.
    assert time.perf_counter() - started < 5
    assert metrics.ece_floor(p, torch.Generator().manual_seed(5)) == first
    assert metrics.ece_floor(p, torch.Generator().manual_seed(6)) != first
    quarter = metrics.ece_floor(p[:2500], torch.Generator().manual_seed(5))
    assert quarter.mean / first.mean == pytest.approx(2, rel=0.15)
    assert first.low < first.mean < first.high


def test_calibrated_labels_lie_at_the_floor_and_overconfident_ones_above():
    p = predictions(10_000, 10, seed=4)
    floor = metrics.ece_floor(p, torch.Generator().manual_seed(0), draws=400)
    spread = (floor.high - floor.low) / (2 * 1.645)
    assert abs(metrics.ece(p, labels_drawn_from(p, seed=1)) - floor.mean) < 4.9 * spread
    true = predictions(10_000, 10, seed=4, sharpness=1.7)
    assert metrics.ece(p, labels_drawn_from(true, seed=1)) > floor.mean + 10 * spread


@given(st.integers(0, 10**6), st.integers(1, 40))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_order_does_not_matter_and_bounds_hold(seed, bins):
    """Confidences are rounded to tenths, so that ties cross the borders of equal-mass bins."""
    p = predictions(60, 2, seed=seed).mul(10).round().div(10)
    labels = labels_drawn_from(p, seed=seed)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
    signed = abs(metrics.signed_calibration_error(p, labels))
    for metric in (metrics.ece, metrics.adaptive_ece, metrics.classwise_ece):
        value = metric(p, labels, bins)
        assert metric(p[order], labels[order], bins) == pytest.approx(value, abs=1e-12)
        assert 0 <= value <= 1
        if metric is not metrics.classwise_ece:
            assert value >= signed - 1e-12


def test_wrong_arguments_are_one_sentence():
    p, labels = predictions(5, 2, seed=0), torch.zeros(5, dtype=torch.long)
    for metric in (metrics.ece, metrics.adaptive_ece, metrics.classwise_ece, metrics.reliability):
        with pytest.raises(ValueError, match="`bins` must be at least 1, but is 0"):
            metric(p, labels, 0)
    with pytest.raises(ValueError, match="`draws` must be at least 1, but is 0"):
        metrics.ece_floor(p, torch.Generator(), draws=0)
