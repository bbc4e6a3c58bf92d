"""Adaptive steps: order, error control, and each element of a batch by itself."""

import math

import pytest
import torch

from bayespin.numerics.dormand_prince import StepTooSmall, dormand_prince

START = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64)
RATES = torch.tensor([1.0, 5.0, 0.2], dtype=torch.float64)[:, None]


def turning(time, x):
    """dx/dt = ω ẑ × x, whose solution turns by ω t."""
    return RATES[: len(x)] * torch.stack((-x[:, 1], x[:, 0]), 1)


def turned(span):
    angle = RATES[:, 0] * span
    c, s = angle.cos(), angle.sin()
    x, y = START.unbind(1)
    return torch.stack((c * x - s * y, s * x + c * y), 1)


@pytest.mark.parametrize("tolerance", [1e-5, 1e-8])
def test_error_stays_near_the_tolerance(tolerance):
    found = dormand_prince(turning, START, (0.0, 3.0), 0.01, tolerance)
    steps = found.accepted.double()
    error = (found.state - turned(3.0)).abs().amax(1)
    assert bool((error < 5 * steps * tolerance).all())
    assert bool((error > 1e-5 * tolerance).any())  # else steps are far smaller than asked


def test_fifth_order():
    """The number of steps grows as tolerance^(-1/5), since the error estimate is of order 5."""
    counts = [
        int(dormand_prince(turning, START[:1], (0.0, 30.0), 0.01, tol).accepted)
        for tol in (1e-6, 1e-10)
    ]
    assert math.log(counts[1] / counts[0]) / math.log(1e4) == pytest.approx(0.2, abs=0.01)


def test_order_of_one_step():
    """One step's error falls as h^6: 2^6 for half the step."""
    errors = []
    for h in (0.4, 0.2):
        found = dormand_prince(turning, START[:1], (0.0, h), h, 1.0)
        assert int(found.accepted) == 1
        errors.append(float((found.state[0] - turned(h)[0]).norm()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(6, abs=0.15)


def test_time_reaches_the_rate():
    """dx/dt = cos t, a quadrature."""
    found = dormand_prince(
        lambda t, x: torch.cos(t).expand_as(x), torch.zeros(2, 1, dtype=torch.float64),
        (0.3, 2.0), 0.1, 1e-9,
    )  # fmt: skip
    assert found.state.flatten().tolist() == pytest.approx([math.sin(2.0) - math.sin(0.3)] * 2)


def test_an_element_does_not_feel_its_neighbours():
    together = dormand_prince(turning, START, (0.0, 2.0), 0.3, 1e-7)
    alone = dormand_prince(turning, START[:1], (0.0, 2.0), 0.3, 1e-7)
    assert torch.equal(together.state[:1], alone.state)
    assert together.accepted[0] == alone.accepted[0]
    assert together.accepted[1] > 2 * together.accepted[2]


def test_too_long_a_first_step_is_rejected_and_shrunk():
    found = dormand_prince(turning, START, (0.0, 3.0), 3.0, 1e-8)
    assert bool((found.rejected > 0).all())
    torch.testing.assert_close(found.state, turned(3.0), atol=1e-6, rtol=0)


def test_a_short_span_does_not_shorten_the_next():
    planned = dormand_prince(turning, START[:1], (0.0, 20.0), 0.1, 1e-8).next_step
    cut = dormand_prince(turning, START[:1], (0.0, 1e-6), planned, 1e-8)
    assert float(cut.next_step) >= float(planned)


def test_projection_is_applied_to_accepted_states():
    found = dormand_prince(
        lambda t, x: 0.5 * x + turning(t, x), START, (0.0, 3.0), 0.01, 1e-6,
        lambda x: x / x.norm(dim=1, keepdim=True),
    )  # fmt: skip
    torch.testing.assert_close(found.state, turned(3.0), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "span,first,tolerance,word",
    [((1.0, 1.0), 0.1, 1e-5, "forward"), ((0.0, 1.0), 0.0, 1e-5, "first_step"),
     ((0.0, 1.0), 0.1, 0.0, "tolerance")],
)  # fmt: skip
def test_bad_input_is_one_sentence(span, first, tolerance, word):
    with pytest.raises(ValueError, match=word):
        dormand_prince(turning, START, span, first, tolerance)


def test_a_rate_that_is_not_finite_ends_in_words():
    with pytest.raises(StepTooSmall, match="fell below"):
        dormand_prince(lambda t, x: x / 0.0, START, (0.0, 1.0), 0.1, 1e-6)
