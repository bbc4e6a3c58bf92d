"""Accuracy, log-likelihood and Brier score against closed forms, torchmetrics and sklearn."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss
from torchmetrics.functional.classification import multiclass_accuracy

from bayespin.network import metrics
from tests.network.metrics.examples import labels_drawn_from, predictions


def test_closed_forms_of_four_predictions():
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.0, 0.0, 1.0]])
    labels = torch.tensor([0, 1, 2, 2])
    assert metrics.accuracy(p, labels) == 0.75
    assert metrics.nll(p.double(), labels) == pytest.approx(
        -(math.log(0.7) + math.log(0.8) + math.log(0.2)) / 4, abs=1e-7
    )
    # Sums over classes: 0.09+0.04+0.01, 0.01+0.04+0.01, 0.25+0.09+0.64, 0.
    assert metrics.brier(p, labels) == pytest.approx((0.14 + 0.06 + 0.98) / 4, abs=1e-7)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_uniform_and_certain_predictions(classes):
    labels = torch.arange(classes)
    uniform = torch.full((classes, classes), 1 / classes, dtype=torch.float64)
    assert metrics.nll(uniform, labels) == pytest.approx(math.log(classes), abs=1e-12)
    assert metrics.brier(uniform, labels) == pytest.approx(1 - 1 / classes, abs=1e-12)
    right = torch.eye(classes)
    assert metrics.nll(right, labels) == 0
    assert metrics.brier(right, labels) == 0
    wrong = right.roll(1, 0)
    assert metrics.brier(wrong, labels) == 2
    # The clamp: an impossible label costs 126 ln 2 in every dtype.
    for p in (wrong, wrong.double()):
        assert metrics.nll(p, labels) == pytest.approx(126 * math.log(2), abs=1e-9)


def test_against_other_libraries():
    p = predictions(2000, 10, seed=1)
    labels = labels_drawn_from(p, seed=2)
    assert metrics.nll(p, labels) == pytest.approx(
        log_loss(labels.numpy(), p.numpy(), labels=range(10)), abs=1e-12
    )
    theirs = multiclass_accuracy(p, labels, num_classes=10, average="micro")
    assert metrics.accuracy(p, labels) == pytest.approx(float(theirs), abs=1e-7)
    one_hot = torch.nn.functional.one_hot(labels, 10).numpy()
    squares = ((p.numpy() - one_hot) ** 2).sum(1)
    assert metrics.brier(p, labels) == pytest.approx(squares.mean(), abs=1e-12)


def test_mixture_likelihood_is_the_log_of_the_mean_not_the_mean_of_logs():
    """Two reads, (0.9, 0.1) and (0.1, 0.9): the mixture is a fair coin, ln 2 nats."""
    reads = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]], dtype=torch.float64)
    label = torch.tensor([0])
    accumulator = metrics.PredictiveAccumulator()
    for read in reads:
        accumulator.add(read)
    mean = accumulator.result().mean
    assert mean.tolist() == [[0.5, 0.5]]
    mixture = metrics.nll(mean, label)
    assert mixture == pytest.approx(math.log(2), abs=1e-12)
    mean_of_logs = sum(metrics.nll(read, label) for read in reads) / 2
    assert mean_of_logs == pytest.approx(-math.log(0.09) / 2, abs=1e-12)
    assert mean_of_logs > mixture + 0.5


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=30, derandomize=True)
def test_order_of_images_and_names_of_classes_do_not_matter(seed):
    p = predictions(50, 4, seed=seed)
    labels = labels_drawn_from(p, seed=seed + 1)
    generator = torch.Generator().manual_seed(seed)
    images = torch.randperm(50, generator=generator)
    classes = torch.randperm(4, generator=generator)
    renamed = torch.argsort(classes)[labels]
    for metric in (metrics.accuracy, metrics.nll, metrics.brier):
        assert metric(p[images], labels[images]) == pytest.approx(metric(p, labels), abs=1e-12)
        assert metric(p[:, classes], renamed) == pytest.approx(metric(p, labels), abs=1e-12)


def test_the_truth_scores_best_in_expectation():
    """Both scores are proper: E over y ~ p of the score of q is least at q = p."""
    p = predictions(20, 3, seed=5)
    for other in (predictions(20, 3, seed=6), p**2 / (p**2).sum(1, keepdim=True)):
        for score in (metrics.nll, metrics.brier):
            expected = [
                sum(
                    float(p[i, c]) * score(q[i : i + 1], torch.tensor([c]))
                    for i in range(20)
                    for c in range(3)
                )
                for q in (p, other)
            ]
            assert expected[0] < expected[1]


@pytest.mark.parametrize(
    "p,labels,message",
    [
        ([[0.5, 0.6]], [0], "rows that sum to 1 within 0.0001, but one is off by 0.1"),
        ([[1.5, -0.5]], [0], "non-negative, but holds -0.5: pass probabilities, not logits"),
        ([[math.nan, 1.0]], [0], "finite, but holds NaN or infinity"),
        ([[0.5, 0.5]], [2], r"lie in 0\.\.1, but spans 2\.\.2"),
        ([[0.5, 0.5]], [-1], r"lie in 0\.\.1, but spans -1\.\.-1"),
        ([[0.5, 0.5]], [0, 1], "one label for each of 1 images, but holds 2"),
        ([[1.0]], [0], "at least one image and two classes, but is 1 x 1"),
    ],
)
def test_wrong_input_is_one_sentence(p, labels, message):
    # Called past the run-time type check, which names mismatched lengths in its own words.
    from bayespin.network.metrics.probabilities import require_labels

    with pytest.raises(ValueError, match=message):
        require_labels(torch.tensor(p), torch.tensor(labels))
