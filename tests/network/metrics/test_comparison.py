"""Distances between predictions and paired differences against closed forms."""

import math

import pytest
import torch

from bayespin.network import metrics
from tests.network.metrics.examples import predictions
from tests.statistical.check import mean_is, variance_is


def test_fidelity_by_hand():
    p = torch.tensor([[0.5, 0.5], [0.9, 0.1]], dtype=torch.float64)
    q = torch.tensor([[0.25, 0.75], [0.9, 0.1]], dtype=torch.float64)
    found = metrics.fidelity(p, q)
    assert found.kl == pytest.approx(0.5 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3)), abs=1e-14)
    assert found.total_variation == pytest.approx(0.125, abs=1e-14)
    assert found.agreement == 0.5  # of equal classes the first wins


def test_fidelity_limits_and_inequalities():
    p, q = predictions(200, 6, seed=0), predictions(200, 6, seed=1, sharpness=1.0)
    same = metrics.fidelity(p, p)
    assert same.kl == pytest.approx(0, abs=1e-14)
    assert (same.agreement, same.total_variation) == (1, 0)
    eye = torch.eye(3)
    apart = metrics.fidelity(eye, eye.roll(1, 0))
    assert (apart.agreement, apart.total_variation) == (0, 1)
    assert apart.kl == pytest.approx(126 * math.log(2), abs=1e-9)
    found = metrics.fidelity(p, q)
    assert found.total_variation == metrics.fidelity(q, p).total_variation
    assert found.kl != pytest.approx(metrics.fidelity(q, p).kl, rel=0.1)
    # Pinsker's inequality with Jensen's: mean TV <= sqrt(mean KL / 2).
    assert found.total_variation <= math.sqrt(found.kl / 2)
    direct = torch.nn.functional.kl_div(q.log(), p, reduction="batchmean")
    assert found.kl == pytest.approx(float(direct), abs=1e-12)


def test_paired_difference_by_hand():
    """Of 100 images 3 only the first gets right and 1 only the second: d = 2 %."""
    a = torch.tensor([True] * 93 + [False] * 7)
    b = torch.tensor([True] * 90 + [False] * 9 + [True])
    found = metrics.paired_difference(a, b)
    assert found.difference == pytest.approx(0.02, abs=1e-15)
    variance = (4 - 100 * 0.02**2) / 99
    assert found.standard_error == pytest.approx(math.sqrt(variance / 100), abs=1e-15)
    low, high = found.interval(0.95)
    assert (high - low) / 2 == pytest.approx(1.959963984540054 * found.standard_error, rel=1e-12)
    assert (high + low) / 2 == pytest.approx(0.02, abs=1e-15)


def test_standard_error_is_that_of_repeated_test_sets():
    """2000 test sets of 400 images: normalised differences have mean 0 and variance 1.

    The two models share 85 % of their answers; the error is estimated from 60 disagreements per
    set, which makes the law Student-like: its variance is allowed 1/60 more than 1.
    """
    random = torch.Generator().manual_seed(8)
    shared = torch.rand(2000, 400, generator=random) < 0.85
    own = torch.rand(2, 2000, 400, generator=random)
    right = torch.rand(2000, 400, generator=random) < 0.9
    first = torch.where(shared, right, own[0] < 0.5)
    second = torch.where(shared, right, own[1] < 0.5)
    scaled = []
    for a, b in zip(first, second, strict=True):
        found = metrics.paired_difference(a, b)
        scaled.append(found.difference / found.standard_error)
    mean_is(scaled, 0.0)
    variance_is(scaled, 1.0, bias=1 / 60)


def test_a_model_against_itself_has_no_error():
    a = torch.tensor([True, False, True])
    found = metrics.paired_difference(a, a)
    assert (found.difference, found.standard_error) == (0, 0)
    assert found.interval() == (0, 0)


def test_wrong_arguments_are_one_sentence():
    one = torch.tensor([True])
    with pytest.raises(ValueError, match="same two or more images, but hold 1 and 1"):
        metrics.paired_difference(one, one)
    pair = metrics.PairedDifference(difference=0.0, standard_error=1.0)
    with pytest.raises(ValueError, match=r"`level` must lie in \(0, 1\), but is 95"):
        pair.interval(95.0)
    with pytest.raises(ValueError, match="sum to 1"):
        metrics.fidelity(torch.eye(2), torch.ones(2, 2))
