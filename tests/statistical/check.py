"""Statistical checks with a stated rate of false alarms.

Every check fails a correct program with probability at most ALPHA, and the checks of one run
together with at most CHECKS x ALPHA = 5e-4: the ledger of each process refuses more (a run on
several workers makes every check once, so their sum is that of one process). Samples must be
independent; of a correlated series pass one mean per independent replica.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

ALPHA = 1e-6
CHECKS = 500
MIN_EVENTS = 20
MIN_VARIANCE_SAMPLES = 500


@dataclass
class Ledger:
    """What the checks of one run may spend on false alarms, and have spent."""

    budget: float
    spent: float = 0.0

    def charge(self, alpha: float) -> None:
        self.spent += alpha
        if self.spent > self.budget * (1 + 1e-9):
            raise AssertionError(
                f"The statistical checks of this run may fail by chance with probability "
                f"{self.budget:g}, but ask for {self.spent:g}: use fewer, larger checks."
            )


LEDGER = Ledger(CHECKS * ALPHA)


def _judge(what: str, found: float, exact: float, z: float, threshold: float) -> None:
    if not abs(z) <= threshold:  # also NaN
        raise AssertionError(
            f"The {what} must be {exact:.8g}, but is {found:.8g}: z = {z:+.2f} against a "
            f"threshold of {threshold:.2f}."
        )


def mean_is(samples, exact, bias=0.0, alpha=ALPHA, ledger=LEDGER) -> None:
    """The mean of independent samples is `exact`, within `bias` and Student's quantile.

    `bias` is a proved or measured allowance for discretisation, never a margin of comfort.
    Student's law is exact for normal samples; skewed ones need thousands.
    """
    ledger.charge(alpha)
    x = np.asarray(samples, dtype=float).ravel()
    found, error = float(x.mean()), float(x.std(ddof=1)) / math.sqrt(x.size)
    excess = math.copysign(max(abs(found - exact) - bias, 0.0), found - exact)
    z = 0.0 if excess == 0 else (excess / error if error > 0 else math.copysign(math.inf, excess))
    z = z if math.isfinite(found) else math.nan
    _judge("mean", found, exact, z, float(stats.t.isf(alpha / 2, x.size - 1)))


def variance_is(samples, exact, bias=0.0, alpha=ALPHA, ledger=LEDGER) -> None:
    """The variance of independent samples with a finite fourth moment is `exact` within `bias`.

    Compares cube roots, which are close to normal where the variance itself is skewed
    (Wilson and Hilferty, doi:10.1073/pnas.17.12.684), with the kurtosis taken from the samples.
    For tails like a Laplace law the rate of false alarms is up to three times `alpha`.
    """
    ledger.charge(alpha)
    x = np.asarray(samples, dtype=float).ravel()
    if x.size < MIN_VARIANCE_SAMPLES:
        raise ValueError(f"`samples` must hold {MIN_VARIANCE_SAMPLES} or more, but holds {x.size}.")
    found = float(x.var(ddof=1))
    spread = (float(stats.kurtosis(x, fisher=False)) - 1) / x.size
    nearest = min(max(found, exact - bias), exact + bias)
    root = 0.0 if found == nearest else (found / nearest) ** (1 / 3) - (1 - spread / 9)
    _judge("variance", found, exact, 3 * root / math.sqrt(spread), stats.norm.isf(alpha / 2))


def proportion_is(successes, trials, exact, alpha=ALPHA, ledger=LEDGER) -> None:
    """`successes` of `trials` agree with the probability `exact` (binomial, both tails exact)."""
    ledger.charge(alpha)
    expected = trials * min(exact, 1 - exact)
    if expected < MIN_EVENTS:
        raise ValueError(f"`trials` must give {MIN_EVENTS} events or more, not {expected:.3g}.")
    law = stats.binom(trials, exact)
    tail = min(2 * law.cdf(successes), 2 * law.sf(successes - 1), 1.0)
    z = math.copysign(float(stats.norm.isf(tail / 2)), successes / trials - exact)
    _judge("proportion", successes / trials, exact, z, float(stats.norm.isf(alpha / 2)))


def proportion_at_most(successes, trials, bound, alpha=ALPHA, ledger=LEDGER) -> None:
    """`successes` of `trials` agree with some probability of `bound` or less (binomial, exact)."""
    ledger.charge(alpha)
    most = trials * bound
    if most < MIN_EVENTS:
        raise ValueError(
            f"`trials` must give {MIN_EVENTS} events or more at the bound, not {most:g}."
        )
    z = float(stats.norm.isf(stats.binom(trials, bound).sf(successes - 1)))
    if not z <= float(stats.norm.isf(alpha)):
        raise AssertionError(
            f"The proportion must be {bound:.8g} or less, but is {successes / trials:.8g}: "
            f"z = {z:+.2f}."
        )


def bound_catches(wrong, trials, bound, alpha=ALPHA) -> float:
    """Return the probability that `proportion_at_most` refuses a true proportion of `wrong`."""
    most = stats.binom(trials, bound).isf(alpha)
    return float(stats.binom(trials, wrong).sf(most))


def ks_is(samples, cdf: Callable, alpha=ALPHA, ledger=LEDGER) -> None:
    """Independent samples follow the continuous law `cdf` (exact Kolmogorov-Smirnov).

    Weak in the tails: pair it with moments. Both sides are values of the two cumulative
    distributions where they differ most.
    """
    ledger.charge(alpha)
    x = np.sort(np.asarray(samples, dtype=float).ravel())
    result = stats.ks_1samp(x, cdf)
    exact = float(cdf(result.statistic_location))
    z = float(stats.norm.isf(result.pvalue / 2)) * result.statistic_sign
    found = exact + result.statistic_sign * float(result.statistic)
    what = f"cumulative distribution at {result.statistic_location:.6g}"
    _judge(what, found, exact, z, float(stats.norm.isf(alpha / 2)))


def required_samples(sd: float, delta: float, alpha: float = ALPHA, power: float = 0.999) -> int:
    """Samples with which a shift of a mean by `delta` is seen with probability `power`.

    n = ((z(1 - alpha/2) + z(power)) sd / delta)^2; for a variance s^2 of normal samples use
    sd = sqrt(2) s^2.
    """
    z = float(stats.norm.isf(alpha / 2) + stats.norm.ppf(power))
    return math.ceil((z * sd / delta) ** 2)
