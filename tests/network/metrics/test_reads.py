"""Curves over the number of reads: the metrics of each prediction, and laws of large numbers."""

import math

import pytest
import torch

from bayespin.network import metrics
from bayespin.network.metrics import PredictiveAccumulator, reads_curve
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import mean_is

KEY = Key.root(0).child("reads")
COUNTS = (1, 2, 5, 20)


def softmax_reads(reads: int, images: int, word: str, scatter: float) -> torch.Tensor:
    """Logits of the image, times 2, with fresh noise in every read."""
    noise = KeyedNoise.from_key(KEY.child(word))
    own = 2 * noise.normal(torch.empty(images, 4))
    return (own + scatter * noise.normal(torch.empty(reads, images, 4))).softmax(-1)


@pytest.fixture
def known() -> torch.Tensor:
    return softmax_reads(20, 60, "known", 1.0)


@pytest.fixture
def labels(known) -> torch.Tensor:
    drawn = torch.multinomial(known.mean(0), 1, generator=KEY.child("labels").generator())
    return drawn.squeeze(1)


def test_each_number_is_the_metric_of_that_many_reads(known, labels):
    strangers = softmax_reads(20, 30, "strangers", 4.0)
    curve = reads_curve(known, labels, strangers, COUNTS)
    assert curve.reads == COUNTS
    for i, count in enumerate(COUNTS):
        mean = known[:count].double().mean(0)
        assert curve.accuracy[i] == metrics.accuracy(mean, labels)
        assert curve.nll[i] == pytest.approx(metrics.nll(mean, labels), rel=1e-12)
        assert curve.brier[i] == pytest.approx(metrics.brier(mean, labels), rel=1e-12)
        assert curve.ece[i] == pytest.approx(metrics.ece(mean, labels), rel=1e-12)
        split = []
        for reads in (known[:count], strangers[:count]):
            accumulator = PredictiveAccumulator()
            for read in reads:
                accumulator.add(read)
            split.append(accumulator.result())
        inside, outside = split
        assert curve.auroc_total[i] == metrics.auroc(inside.total, outside.total)
        assert curve.auroc_epistemic[i] == metrics.auroc(inside.epistemic, outside.epistemic)
    assert curve.auroc_epistemic[0] == 0.5
    assert curve.auroc_epistemic[-1] > 0.9


def test_groups_are_disjoint_and_averaged(known, labels):
    curve = reads_curve(known, labels, counts=(1, 8, 15), groups=3)
    single = [metrics.nll(read.double(), labels) for read in known[:3]]
    assert curve.nll[0] == pytest.approx(sum(single) / 3, rel=1e-12)
    pair = [metrics.nll(known[a : a + 8].double().mean(0), labels) for a in (0, 8)]
    assert curve.nll[1] == pytest.approx(sum(pair) / 2, rel=1e-12)  # a third has only four reads
    assert curve.nll[2] == pytest.approx(metrics.nll(known[:15].double().mean(0), labels))


def test_more_reads_never_cost_likelihood_on_average():
    """Of two-valued reads: from the mean of ln at N = 1 to the ln of the mean for many (Jensen)."""
    high, low = 0.9, 0.3
    coins = torch.randint(0, 2, (1000, 1), generator=KEY.child("coins").generator())
    p = torch.where(coins == 1, high, low).double()
    reads = torch.stack([p, 1 - p], -1)
    labels = torch.zeros(1, dtype=torch.int64)
    curve = reads_curve(reads, labels, counts=(1, 2, 10, 100), groups=1000)
    mean_is(-p.log(), -(math.log(high) + math.log(low)) / 2)
    assert curve.nll[0] == pytest.approx(float(-p.log().mean()), rel=1e-12)
    assert list(curve.nll) == sorted(curve.nll, reverse=True)
    assert curve.nll[-1] == pytest.approx(-math.log((high + low) / 2), abs=0.02)


def test_costs_are_multiples_and_lists_are_plain(known, labels):
    curve = reads_curve(known, labels)
    assert curve.reads == (1, 2, 5, 10, 20)
    assert curve.cost(2e-9) == pytest.approx((2e-9, 4e-9, 1e-8, 2e-8, 4e-8))
    assert curve.cost(2.0, once=3.0) == (5.0, 7.0, 13.0, 23.0, 43.0)
    lists = curve.as_lists()
    assert set(lists) == {"reads", "accuracy", "nll", "brier", "ece"}
    assert lists["accuracy"] == list(curve.accuracy)


def test_wrong_arguments_are_one_sentence(known, labels):
    for counts in ((), (0, 1), (2, 1), (5, 5), (1, 21)):
        with pytest.raises(ValueError, match="`counts` must grow from 1 or more to 20 or less"):
            reads_curve(known, labels, counts=counts)
    with pytest.raises(ValueError, match="to 3 or less"):
        reads_curve(known, labels, strangers=known[:3])
    with pytest.raises(ValueError, match="`groups` must be at least 1, but is 0"):
        reads_curve(known, labels, groups=0)
    with pytest.raises(ValueError, match=r"`labels` must lie in 0\.\.3"):
        reads_curve(known, labels + 4)
