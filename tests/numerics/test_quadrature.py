"""Quadrature against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.numerics.quadrature import cumulative, gauss_legendre, shape


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def ends(lower, upper):
    return torch.tensor(lower, dtype=torch.float64), torch.tensor(upper, dtype=torch.float64)


@given(rate=st.floats(-700, 700).filter(lambda k: abs(k) > 1e-3), offset=st.floats(-1e6, 1e6))
def test_mean_of_an_exponential_law_at_any_offset(rate, offset):
    """E[u] of exp(ku + c) on [0, 1] is 1/(1 − e^−k) − 1/k whatever the constant c is."""
    law = gauss_legendre(lambda u: rate * u + offset, *ends(0.0, 1.0))
    exact = 0.5 + rate / 12 if abs(rate) < 0.01 else -1 / math.expm1(-rate) - 1 / rate
    assert float(law.expectation(lambda u: u)) == pytest.approx(exact, abs=1e-7)


def test_moments_of_beta_and_uniform_laws():
    """u^(a−1)(1−u)^(b−1): all four moments in closed form, two laws in one batch."""
    a, b = real(1.0, 3.0), real(1.0, 5.0)
    law = gauss_legendre(
        lambda u: (a - 1)[:, None] * u.log() + (b - 1)[:, None] * (1 - u).log(),
        real(0.0, 0.0),
        real(1.0, 1.0),
    )
    found = shape(law)
    total = a + b
    torch.testing.assert_close(found.mean, a / total)
    torch.testing.assert_close(found.std, (a * b / (total + 1)).sqrt() / total)
    skewness = 2 * (b - a) * (total + 1).sqrt() / ((total + 2) * (a * b).sqrt())
    torch.testing.assert_close(found.skewness, skewness, atol=1e-12, rtol=1e-9)
    kurtosis = (a - b).square() * (total + 1) - a * b * (total + 2)
    kurtosis = 6 * kurtosis / (a * b * (total + 2) * (total + 3))
    torch.testing.assert_close(found.excess_kurtosis, kurtosis, atol=1e-11, rtol=1e-9)


def test_polynomials_are_exact_to_degree_2n_minus_1():
    law = gauss_legendre(torch.zeros_like, *ends(-1.0, 1.0), nodes=4)
    assert float(law.expectation(lambda u: u**6)) == pytest.approx(1 / 7, rel=1e-14)
    assert float(law.expectation(lambda u: u**8)) != pytest.approx(1 / 9, rel=1e-6)


def test_cumulative_of_a_normal_law():
    points, distribution = cumulative(lambda u: -u.square() / 2, *ends(-9.0, 9.0))
    error = (distribution - torch.special.ndtr(points)).abs().max()
    assert float(error) < 1e-6


def test_one_batch_entry_does_not_see_another():
    sharp = real(1.0, 4000.0)
    both = gauss_legendre(lambda u: -sharp[:, None] * u**2, -torch.ones(2).double(), real(1.0, 1.0))
    alone = gauss_legendre(lambda u: -(u**2), *ends(-1.0, 1.0))
    torch.testing.assert_close(both.weights[0], alone.weights, rtol=1e-13, atol=0)


@pytest.mark.parametrize("lower, upper, nodes", [(1.0, 1.0, 9), (2.0, 1.0, 9), (0.0, 1.0, 1)])
def test_impossible_intervals_and_orders_are_refused(lower, upper, nodes):
    with pytest.raises(ValueError, match="must"):
        gauss_legendre(torch.zeros_like, *ends(lower, upper), nodes=nodes)
