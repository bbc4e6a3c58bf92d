"""The entropy split against closed forms, and streaming against keeping every read."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayespin.network import metrics
from tests.network.metrics.examples import predictions


def accumulated(reads):
    accumulator = metrics.PredictiveAccumulator()
    for read in reads:
        accumulator.add(read)
    return accumulator


def test_streaming_equals_the_definition_on_all_reads():
    reads = torch.stack([predictions(40, 5, seed=s) for s in range(30)])
    found = accumulated(reads).result()
    mean = reads.mean(0)
    total = -(mean * mean.log()).sum(1)
    aleatoric = -(reads * reads.log()).sum(2).mean(0)
    # Mutual information as the mean divergence of each read from the mean: another formula.
    epistemic = (reads * (reads / mean).log()).sum(2).mean(0)
    assert found.reads == 30
    torch.testing.assert_close(found.mean, mean, rtol=0, atol=1e-14)
    torch.testing.assert_close(found.total, total, rtol=0, atol=1e-13)
    torch.testing.assert_close(found.aleatoric, aleatoric, rtol=0, atol=1e-13)
    torch.testing.assert_close(found.epistemic, epistemic, rtol=0, atol=1e-13)


@pytest.mark.parametrize("classes", [2, 10])
def test_certain_reads_that_disagree_are_all_epistemic(classes):
    """Each read is sure of another class: total = epistemic = ln(classes), aleatoric = 0."""
    reads = [torch.eye(classes)[c : c + 1] for c in range(classes)]
    found = accumulated(reads).result()
    assert float(found.total) == pytest.approx(math.log(classes), abs=1e-12)
    assert float(found.epistemic) == pytest.approx(math.log(classes), abs=1e-12)
    assert float(found.aleatoric) == 0


def test_equal_reads_are_all_aleatoric():
    p = predictions(100, 10, seed=0)
    found = accumulated([p] * 7).result()
    torch.testing.assert_close(found.aleatoric, metrics.entropy(p), rtol=0, atol=1e-13)
    assert float(found.epistemic.max()) < 1e-13
    assert bool((found.epistemic >= 0).all())


def test_two_coins_by_hand():
    """Reads (0.9, 0.1) and (0.5, 0.5): H(0.7), (H(0.9) + H(0.5)) / 2."""

    def binary(q):
        return -q * math.log(q) - (1 - q) * math.log(1 - q)

    reads = torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]], dtype=torch.float64)
    found = accumulated(reads).result()
    assert float(found.total) == pytest.approx(binary(0.7), abs=1e-14)
    assert float(found.aleatoric) == pytest.approx((binary(0.9) + binary(0.5)) / 2, abs=1e-14)
    assert float(found.epistemic) == pytest.approx(
        binary(0.7) - (binary(0.9) + binary(0.5)) / 2, abs=1e-14
    )


@given(st.integers(0, 10**6), st.integers(1, 9))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_merging_any_split_equals_one_pass_within_bounds(seed, cut):
    reads = [predictions(6, 3, seed=seed + s, sharpness=5.0) for s in range(10)]
    whole = accumulated(reads).result()
    merged = metrics.PredictiveAccumulator()
    merged.merge(metrics.PredictiveAccumulator())
    for part in (reads[:cut], reads[cut:]):
        merged.merge(accumulated(part))
    split = merged.result()
    assert split.reads == whole.reads == 10
    for name in ("mean", "total", "aleatoric", "epistemic"):
        torch.testing.assert_close(getattr(split, name), getattr(whole, name), rtol=0, atol=1e-12)
    assert bool((whole.epistemic >= 0).all())
    assert bool((whole.epistemic <= math.log(10)).all())
    assert bool((whole.total <= math.log(3) + 1e-12).all())


def test_merging_leaves_the_other_accumulator_and_the_reads_alone():
    read = predictions(3, 2, seed=0)
    kept = read.clone()
    other = accumulated([read])
    merged = metrics.PredictiveAccumulator()
    merged.merge(other)
    merged.add(read)
    assert (other.reads, merged.reads) == (1, 2)
    assert torch.equal(other.result().mean, kept)
    assert torch.equal(read, kept)


def test_finite_reads_bias_the_epistemic_part_low_as_stated():
    """One-hot reads of a uniform law over C classes: E[H(mean)] = ln C - (C - 1)/(2 R) + O(R^-2).

    10,000 images are 10,000 repetitions; sd is about sqrt((C - 1)/2)/R.
    """
    classes, count = 5, 50
    random = torch.Generator().manual_seed(1)
    accumulator = metrics.PredictiveAccumulator()
    for _ in range(count):
        drawn = torch.randint(classes, (10_000,), generator=random)
        accumulator.add(torch.nn.functional.one_hot(drawn, classes).double())
    missing = math.log(classes) - float(accumulator.result().epistemic.mean())
    leading = (classes - 1) / (2 * count)
    noise = 4.9 * math.sqrt((classes - 1) / 2) / count / 100
    assert abs(missing - leading) < noise + leading / count * classes


def test_wrong_use_is_one_sentence():
    with pytest.raises(ValueError, match="at least one read, but has none"):
        metrics.PredictiveAccumulator().result()
    accumulator = accumulated([predictions(3, 2, seed=0)])
    with pytest.raises(ValueError, match=r"of the first read, \(3, 2\), but is \(4, 2\)"):
        accumulator.add(predictions(4, 2, seed=0))
    with pytest.raises(ValueError, match="sum to 1"):
        accumulator.add(torch.ones(3, 2))
    assert accumulator.reads == 1
