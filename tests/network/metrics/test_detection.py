"""Detection scores against sklearn and closed forms; selective prediction against brute force."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from bayespin.network import metrics


def scores(known: int, strangers: int, seed: int, ties: bool):
    random = torch.Generator().manual_seed(seed)
    inside = torch.randn(known, generator=random, dtype=torch.float64)
    outside = torch.randn(strangers, generator=random, dtype=torch.float64) + 0.7
    return (inside.round(decimals=1), outside.round(decimals=1)) if ties else (inside, outside)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("known,strangers", [(300, 200), (1, 1), (7, 1), (1, 20), (2000, 500)])
def test_against_sklearn(known, strangers, ties):
    inside, outside = scores(known, strangers, known, ties)
    truth = [0] * known + [1] * strangers
    both = torch.cat([inside, outside]).numpy()
    assert metrics.auroc(inside, outside) == pytest.approx(roc_auc_score(truth, both), abs=1e-12)
    assert metrics.aupr(inside, outside) == pytest.approx(
        average_precision_score(truth, both), abs=1e-12
    )
    false, true, _ = roc_curve(truth, both, drop_intermediate=False)
    assert metrics.fpr95(inside, outside) == pytest.approx(
        float(false[true >= 0.95 - 1e-12].min()), abs=1e-12
    )


def test_closed_forms():
    low, high = torch.tensor([0.1, 0.2]), torch.tensor([0.3, 0.4, 0.5])
    assert metrics.auroc(low, high) == 1
    assert metrics.auroc(high, low) == 0
    assert metrics.fpr95(low, high) == 0
    assert metrics.fpr95(high, low) == 1
    assert metrics.aupr(low, high) == 1
    same = torch.full((4,), 0.5)
    assert metrics.auroc(same, same) == 0.5
    assert metrics.aupr(same, same) == 0.5
    # Three of four pairs in order, and one tie: (2 + 1/2) / 4.
    assert metrics.auroc(torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.5])) == 0.625


def test_nineteen_of_twenty_strangers_are_enough():
    """One stranger hides below every known image; 95 % are found without any false alarm."""
    inside = torch.linspace(0, 1, 11)
    outside = torch.cat([torch.tensor([-1.0]), torch.linspace(2, 3, 19)])
    assert metrics.fpr95(inside, outside) == 0
    assert metrics.fpr95(inside, torch.cat([outside, torch.tensor([-1.0])])) == 1


@pytest.mark.parametrize("shift", [0.0, 0.5, 2.0])
def test_two_normal_laws(shift):
    """AUROC of N(0,1) against N(shift,1) is Phi(shift / sqrt 2); sd <= 1/(2 sqrt n) (Hanley)."""
    n = 20_000
    random = torch.Generator().manual_seed(3)
    inside = torch.randn(n, generator=random)
    outside = torch.randn(n, generator=random) + shift
    exact = 0.5 * (1 + math.erf(shift / 2))
    assert abs(metrics.auroc(inside, outside) - exact) < 4.9 * 0.5 / math.sqrt(n)


@given(st.integers(0, 10**6), st.booleans())
@settings(deadline=None, max_examples=30, derandomize=True)
def test_symmetry_order_and_monotone_maps(seed, ties):
    inside, outside = scores(30, 20, seed, ties)
    value = metrics.auroc(inside, outside)
    assert metrics.auroc(outside, inside) == pytest.approx(1 - value, abs=1e-12)
    assert metrics.auroc(inside.flip(0), outside.flip(0)) == value
    for metric in (metrics.auroc, metrics.fpr95, metrics.aupr):
        assert metric(inside.exp(), outside.exp()) == metric(inside, outside)


def test_selective_prediction_by_hand():
    confidence = torch.tensor([0.9, 0.5, 0.8, 0.7, 0.6])
    correct = torch.tensor([True, False, True, False, True])
    # Falling confidence: right, right, wrong, right, wrong.
    risks = [0, 0, 1 / 3, 1 / 4, 2 / 5]
    assert metrics.aurc(confidence, correct) == pytest.approx(sum(risks) / 5, abs=1e-12)
    for coverage, risk in ((0.2, 0), (0.4, 0), (0.41, 1 / 3), (0.8, 1 / 4), (1.0, 2 / 5)):
        found = metrics.risk_at_coverage(confidence, correct, coverage)
        assert found == pytest.approx(risk, abs=1e-12)
    for risk, coverage in ((0.0, 0.4), (0.24, 0.4), (0.25, 0.8), (0.4, 1.0)):
        assert metrics.coverage_at_risk(confidence, correct, risk) == coverage
    assert metrics.coverage_at_risk(confidence, torch.zeros(5, dtype=torch.bool)) == 0


def selective(images: int, seed: int, ties: bool):
    random = torch.Generator().manual_seed(seed)
    confidence = torch.rand(images, generator=random, dtype=torch.float64)
    correct = torch.rand(images, generator=random).double() < 0.3 + 0.7 * confidence
    return (confidence.round(decimals=1) if ties else confidence), correct


def test_curve_of_risk_and_coverage_by_hand():
    confidence = torch.tensor([0.9, 0.5, 0.8, 0.7, 0.6])
    correct = torch.tensor([True, False, True, False, True])
    curve = metrics.risk_coverage(confidence, correct)
    assert curve.coverage.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve.risk.tolist() == pytest.approx([0, 0, 1 / 3, 1 / 4, 2 / 5])
    # Errors that slip through: 0, 0, 0, 1/5, 1/5, 2/5 of all, at 0 to 5 images kept.
    assert metrics.augrc(confidence, correct) == pytest.approx((0.2 + 0.2 + 0.4 / 2) / 5)
    assert curve.as_lists(2) == {"coverage": [0.6, 1.0], "risk": pytest.approx([1 / 3, 0.4])}
    assert curve.as_lists()["risk"] == curve.risk.tolist()
    with pytest.raises(ValueError, match="`points` must be at least 1, but is 0"):
        curve.as_lists(0)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("images,seed", [(2, 1), (40, 2), (3000, 3)])
def test_augrc_is_its_closed_form_and_aurc_the_area(images, seed, ties):
    """(1 − AUROC_f) a (1 − a) + (1 − a)²/2, with sklearn's AUROC of right against wrong."""
    confidence, correct = selective(images, seed, ties)
    correct[0], correct[1] = True, False
    right = correct.double().mean()
    order = roc_auc_score(correct.numpy(), confidence.numpy())
    exact = (1 - order) * right * (1 - right) + (1 - right) ** 2 / 2
    assert metrics.augrc(confidence, correct) == pytest.approx(float(exact), rel=1e-12)
    curve = metrics.risk_coverage(confidence, correct)
    assert metrics.aurc(confidence, correct) == pytest.approx(float(curve.risk.mean()), rel=1e-12)


def test_augrc_of_nothing_right_and_nothing_wrong():
    confidence = torch.linspace(0, 1, 7)
    assert metrics.augrc(confidence, torch.ones(7, dtype=torch.bool)) == 0
    assert metrics.augrc(confidence, torch.zeros(7, dtype=torch.bool)) == pytest.approx(0.5)


def test_ties_count_with_the_expectation_over_their_orders():
    from itertools import permutations

    correct = [True, False, True, False]
    tied = metrics.aurc(torch.full((4,), 0.5), torch.tensor(correct))
    falling = torch.tensor([4.0, 3.0, 2.0, 1.0])
    all_orders = [metrics.aurc(falling, torch.tensor(order)) for order in permutations(correct)]
    assert tied == pytest.approx(sum(all_orders) / 24, abs=1e-12)
    assert tied == pytest.approx(0.5, abs=1e-12)


def test_wrong_arguments_are_one_sentence():
    some, none = torch.ones(2), torch.ones(0)
    for metric in (metrics.auroc, metrics.fpr95, metrics.aupr):
        with pytest.raises(ValueError, match="`inside` must hold at least one score"):
            metric(none, some)
        with pytest.raises(ValueError, match=r"`outside` .* holds 1, 1 of them not finite"):
            metric(some, torch.tensor([math.nan]))
    correct = torch.tensor([True, False])
    with pytest.raises(ValueError, match=r"`coverage` must lie in \(0, 1\], but is 0"):
        metrics.risk_at_coverage(some, correct, 0.0)
    with pytest.raises(ValueError, match=r"`risk` must lie in \[0, 1\], but is 2"):
        metrics.coverage_at_risk(some, correct, 2.0)
