"""Metrics of mixtures: quadrature and closed forms as oracles, and perfect calibration."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from bayespin.network.metrics import regression as metrics
from bayespin.network.metrics.regression import Mixture
from bayespin.rng import Key

KEY = Key.root(62)


def mixture(reads=4, examples=6):
    draw = KEY.child(reads, examples).generator()
    mean = torch.randn(reads, examples, generator=draw, dtype=torch.float64)
    deviation = 0.2 + torch.rand(reads, examples, generator=draw, dtype=torch.float64)
    return Mixture(mean=mean, deviation=deviation), torch.randn(
        examples, generator=draw, dtype=torch.float64
    )


def density(found, example, y):
    return stats.norm.pdf(y, found.mean[:, example], found.deviation[:, example]).mean()


def test_moments_and_likelihood_are_those_of_the_density():
    found, y = mixture()
    nlls = []
    for k in range(6):
        first, second = (
            integrate.quad(lambda t, p=p, k=k: t**p * density(found, k, t), -15, 15, limit=200)[0]
            for p in (1, 2)
        )
        assert float(found.centre[k]) == pytest.approx(first, rel=1e-6)
        assert float(found.spread[k]) == pytest.approx((second - first**2) ** 0.5, rel=1e-6)
        nlls.append(-np.log(density(found, k, float(y[k]))))
    assert metrics.regression_nll(found, y) == pytest.approx(np.mean(nlls), rel=1e-9)
    one = stats.norm.logpdf(y, found.centre, found.spread)
    assert metrics.matched_nll(found, y) == pytest.approx(-one.mean(), rel=1e-9)
    assert metrics.rmse(found, y) == pytest.approx(
        float(np.sqrt(np.mean((y.numpy() - found.centre.numpy()) ** 2)))
    )


def test_score_is_the_integral_over_thresholds():
    """CRPS = ∫ (P(Y <= t) − [y <= t])² dt."""
    found, y = mixture()
    wanted = []
    for k in range(6):

        def below(t, k=k):
            return stats.norm.cdf(t, found.mean[:, k], found.deviation[:, k]).mean()

        left = integrate.quad(lambda t: below(t) ** 2, -20, float(y[k]), limit=200)[0]
        right = integrate.quad(lambda t: (1 - below(t)) ** 2, float(y[k]), 20, limit=200)[0]
        wanted.append(left + right)
    assert metrics.crps(found, y) == pytest.approx(np.mean(wanted), rel=1e-6)


def test_quantiles_invert_the_distribution():
    found, _ = mixture()
    for share in (0.01, 0.5, 0.975):
        at = found.quantile(share)
        torch.testing.assert_close(found.below(at), torch.full_like(at, share))


def test_targets_of_the_mixture_itself_are_calibrated_and_others_are_not():
    """20,000 targets: one binomial standard error of a coverage is at most 0.0036."""
    found, _ = mixture(reads=3, examples=20_000)
    draw = KEY.child("targets").generator()
    chosen = torch.randint(3, (20_000,), generator=draw)
    normal = torch.randn(20_000, generator=draw, dtype=torch.float64)
    columns = torch.arange(20_000)
    y = found.mean[chosen, columns] + found.deviation[chosen, columns] * normal
    for share in (0.5, 0.8, 0.9, 0.95):
        inside = metrics.interval(found, y, share)
        assert inside.coverage == pytest.approx(share, abs=0.018)
        assert inside.width > 0
    area, root = metrics.miscalibration(found, y)
    assert area < root < 0.01
    narrow = Mixture(mean=found.mean, deviation=0.5 * found.deviation)
    assert metrics.interval(narrow, y, 0.9).coverage < 0.87
    assert metrics.miscalibration(narrow, y)[0] > 0.02
    assert metrics.regression_nll(narrow, y) > metrics.regression_nll(found, y)
    assert metrics.crps(narrow, y) > metrics.crps(found, y)


def test_aleatoric_and_epistemic_add_up():
    found, _ = mixture()
    total = found.deviation.square().mean(0) + found.mean.var(0, correction=0)
    torch.testing.assert_close(found.spread.square(), total)


@pytest.mark.parametrize(
    "mean, deviation",
    [(torch.zeros(2, 3), torch.zeros(2, 3)), (torch.full((1, 1), float("nan")), torch.ones(1, 1))],
)
def test_what_is_no_mixture_is_refused(mean, deviation):
    with pytest.raises(ValueError, match="`mean` and `deviation` must"):
        Mixture(mean=mean, deviation=deviation)


def test_a_share_is_between_none_and_all():
    with pytest.raises(ValueError, match="`share` must be between 0 and 1"):
        mixture()[0].quantile(1.0)
