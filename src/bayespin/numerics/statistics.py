"""Statistics of streams: parts computed apart, merged exactly."""

import math
from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.shapes import Float, Tensor

_PART = 2**22
"""Numbers that a Fourier transform of many series takes at a time."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations of samples; `+` merges two disjoint sets.

    n = n_a + n_b, m = m_a + (m_b − m_a) n_b/n, M2 = M2_a + M2_b + (m_b − m_a)² n_a n_b/n.

    Source: Chan, Golub and LeVeque, DOI 10.1080/00031305.1983.10483115. Exact up to rounding,
    for any split; no cancellation when the mean is large.
    """

    count: int
    mean: Float[Tensor, "*batch"]
    squares: Float[Tensor, "*batch"]

    @classmethod
    def of(cls, samples: Float[Tensor, " samples *batch"]) -> "Moments":
        """Return the moments over the first axis.

        Raises:
            ValueError: there is no sample.
        """
        if len(samples) == 0:
            raise ValueError("Argument `samples` must hold at least one sample, but is empty.")
        mean = samples.mean(0)
        return cls(len(samples), mean, (samples - mean).square().sum(0))

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both sets together."""
        count = self.count + other.count
        shift = other.mean - self.mean
        return Moments(
            count,
            self.mean + shift * (other.count / count),
            self.squares + other.squares + shift.square() * (self.count * other.count / count),
        )

    @property
    def variance(self) -> Float[Tensor, "*batch"]:
        """Unbiased variance, M2/(n − 1); not a number for a single sample."""
        return self.squares / (self.count - 1 if self.count > 1 else math.nan)

    @property
    def std(self) -> Float[Tensor, "*batch"]:
        """Square root of the unbiased variance."""
        return self.variance.sqrt()

    @property
    def standard_error(self) -> Float[Tensor, "*batch"]:
        """Standard error of the mean of independent samples, √(variance/n)."""
        return (self.variance / self.count).sqrt()


@dataclass(frozen=True)
class Autocovariance:
    """Lagged products of a time series up to a largest lag; `+` appends a later stretch.

    Holds n, S = ∑ x_t, P_l = ∑ x_t x_{t+l} for l = 0…L, and the first and last L values, which
    carry the products across the joint. Any split of a series in time merges to the same sums.
    """

    count: int
    total: Float[Tensor, "*batch"]
    products: Float[Tensor, " lags *batch"]
    head: Float[Tensor, " _ *batch"]
    tail: Float[Tensor, " _ *batch"]

    @classmethod
    def of(cls, series: Float[Tensor, " time *batch"], largest_lag: int) -> "Autocovariance":
        """Return the sums of one stretch; time is the first axis.

        Raises:
            ValueError: `largest_lag` is less than 1.
        """
        if largest_lag < 1:
            raise ValueError(f"Argument `largest_lag` must be at least 1, but is {largest_lag}.")
        length = len(series)
        products = [
            (series[: length - lag] * series[lag:]).sum(0)
            if lag < length
            else torch.zeros_like(series[0])
            for lag in range(largest_lag + 1)
        ]
        head, tail = series[:largest_lag], series[max(0, length - largest_lag) :]
        return cls(length, series.sum(0), torch.stack(products), head, tail)

    def __add__(self, later: "Autocovariance") -> "Autocovariance":
        """Return the sums of this stretch followed directly by `later`.

        Raises:
            ValueError: the two were made for different largest lags.
        """
        lags = len(self.products)
        if lags != len(later.products):
            raise ValueError(
                f"Argument `later` must have {lags} lags, but has {len(later.products)}."
            )
        products = self.products + later.products
        before, after = self.tail, later.head
        joint, edge = torch.cat((before, after)), len(before)
        across = [torch.zeros_like(self.total)]
        for lag in range(1, lags):
            first = max(0, edge - lag)
            last = min(edge, len(joint) - lag)
            pairs = joint[first : max(first, last)] * joint[first + lag : max(first, last) + lag]
            across.append(pairs.sum(0))
        largest = lags - 1
        return Autocovariance(
            self.count + later.count,
            self.total + later.total,
            products + torch.stack(across),
            torch.cat((self.head, later.head))[:largest],
            torch.cat((self.tail, later.tail))[-largest:],
        )

    def covariance(self) -> Float[Tensor, " lags *batch"]:
        """Return C_l = ∑ (x_t − m)(x_{t+l} − m)/(n − l), with m the mean of the whole series.

        Raises:
            ValueError: the series is not longer than the largest lag.
        """
        lags = len(self.products)
        if self.count < lags:
            raise ValueError(
                f"A series must be longer than {lags - 1} steps for that lag, but has {self.count}."
            )
        mean = self.total / self.count
        none = torch.zeros_like(self.total)[None]
        first = torch.cat((none, self.head.cumsum(0)))  # sum of the first l values
        last = torch.cat((none, self.tail.flip(0).cumsum(0)))  # sum of the last l values
        pairs = torch.arange(self.count, self.count - lags, -1, dtype=mean.dtype)
        pairs = pairs.reshape(-1, *([1] * mean.ndim)).to(mean.device)
        edges = 2 * self.total - first - last
        return (self.products - mean * edges + pairs * mean.square()) / pairs


def pooled_autocovariance(series: Float[Tensor, " time replicas"]) -> Float[Tensor, " lags"]:
    """Return C_l = ∑_r ∑_t (x_t − m)(x_{t+l} − m)/(R(n − l)) at every lag l < n, in float64.

    m is the mean over time and replicas: with many replicas it is known better than the mean of
    one series, so that even series of a few correlation times give an unbiased C up to −var(m).

    Symbols: x series of n values of R independent replicas. By Fourier transform, padded with
    zeros against wrapping; a few replicas at a time.
    """
    length, replicas = series.shape
    size = 1 << (2 * length - 1).bit_length()
    mean = series.double().mean()
    products = torch.zeros(length, dtype=torch.float64, device=series.device)
    for part in series.split(max(1, _PART // size), 1):
        spectrum = torch.fft.rfft((part.double() - mean).T, size)
        power = spectrum.real.square() + spectrum.imag.square()
        products += torch.fft.irfft(power.sum(0), size)[:length]
    pairs = torch.arange(length, 0, -1, dtype=torch.float64, device=series.device)
    return products / (pairs * replicas)


@cites("10.1007/978-1-4899-0319-8_6")
def window_lag(covariance: Float[Tensor, " lags"], window: float = 6.0) -> int:
    """Return the smallest lag M with M >= window (1/2 + ∑_{l=1}^{M} C_l/C_0).

    Long enough that an exponential has decayed by e^-window, short enough not to sum noise.

    Raises:
        ValueError: the correlations end before the window closes; take more lags.

    Source: Sokal, Monte Carlo Methods in Statistical Mechanics (1997).
    """
    times = 0.5 + (covariance[1:] / covariance[0]).cumsum(0)
    lags = torch.arange(1, len(covariance), dtype=covariance.dtype, device=covariance.device)
    closed = torch.nonzero(lags >= window * times)
    if len(closed) == 0:
        raise ValueError(
            f"Argument `covariance` must reach {window:g} correlation times, "
            f"but ends at lag {len(covariance) - 1}."
        )
    return int(closed[0, 0]) + 1


def integrated_time(
    covariance: Float[Tensor, " lags"], time_step: float, window: float = 6.0
) -> float:
    """Return the integrated correlation time τ = dt (1/2 + ∑_{l=1}^{M} C_l/C_0).

    M is `window_lag`. For C = e^(−t/τ) and dt ≪ τ it returns τ.

    Symbols: C_l covariance at lag l; dt time between samples (s); τ (s).

    Raises:
        ValueError: the correlations end before the window closes; take more lags.
    """
    last = window_lag(covariance, window)
    return time_step * float(0.5 + (covariance[1 : last + 1] / covariance[0]).sum())
