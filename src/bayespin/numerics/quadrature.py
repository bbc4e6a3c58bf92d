"""Expectations under a density that is known up to a factor, on an interval, by quadrature."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from bayespin.shapes import Float, Tensor

LogDensity = Callable[[Tensor], Tensor]
"""Maps points (*batch, nodes) to the logarithm of a density, up to a constant per batch entry."""


@dataclass(frozen=True)
class Weighted:
    """Points of an interval with normalised weights: a discrete stand-in for a density."""

    points: Float[Tensor, "*batch nodes"]
    weights: Float[Tensor, "*batch nodes"]

    def expectation(
        self, function: Callable[[Float[Tensor, "*batch nodes"]], Float[Tensor, "*batch nodes"]]
    ) -> Float[Tensor, "*batch"]:
        """Return E[f(u)] = ∑ weight f(point)."""
        return (self.weights * function(self.points)).sum(-1)


@dataclass(frozen=True)
class Shape:
    """The first four moments of a law, as mean, standard deviation, skewness, excess kurtosis."""

    mean: Float[Tensor, "*batch"]
    std: Float[Tensor, "*batch"]
    skewness: Float[Tensor, "*batch"]
    excess_kurtosis: Float[Tensor, "*batch"]


def gauss_legendre(
    log_density: LogDensity,
    lower: Float[Tensor, "*batch"],
    upper: Float[Tensor, "*batch"],
    nodes: int = 400,
) -> Weighted:
    """Discretise p(u) ∝ exp(L(u)) on [lower, upper] by Gauss-Legendre quadrature.

    weight_i = w_i exp(L(u_i) − max L) / ∑ of the same, so that no exponent overflows however
    large L is. Exact for L + f smooth on the scale of the node spacing, which is about
    (upper − lower) π / (2 nodes) in the middle and `nodes` times finer at the ends: narrow the
    interval to the part that carries the density when it is sharper than that.

    Raises:
        ValueError: an interval is empty, or `nodes` is less than 2.
    """
    if nodes < 2:
        raise ValueError(f"Argument `nodes` must be at least 2, but is {nodes}.")
    if not bool((upper > lower).all()):
        raise ValueError("Argument `upper` must exceed `lower` everywhere, but does not.")
    abscissae, weights = np.polynomial.legendre.leggauss(nodes)
    x = torch.as_tensor(abscissae, dtype=lower.dtype, device=lower.device)
    w = torch.as_tensor(weights, dtype=lower.dtype, device=lower.device)
    middle, half = (upper + lower) / 2, (upper - lower) / 2
    points = middle[..., None] + half[..., None] * x
    exponent = log_density(points)
    weight = w * torch.exp(exponent - exponent.amax(-1, keepdim=True))
    return Weighted(points, weight / weight.sum(-1, keepdim=True))


def shape(law: Weighted) -> Shape:
    """Return mean, std, skewness γ1 = µ3/s³ and excess kurtosis γ2 = µ4/s⁴ − 3 of `law`."""
    mean = law.expectation(lambda u: u)
    centred = law.points - mean[..., None]
    variance, third, fourth = ((law.weights * centred**k).sum(-1) for k in (2, 3, 4))
    return Shape(
        mean=mean,
        std=variance.sqrt(),
        skewness=third / variance**1.5,
        excess_kurtosis=fourth / variance**2 - 3,
    )


def cumulative(
    log_density: LogDensity,
    lower: Float[Tensor, "*batch"],
    upper: Float[Tensor, "*batch"],
    points: int = 4001,
) -> tuple[Float[Tensor, "*batch points"], Float[Tensor, "*batch points"]]:
    """Return equidistant points and the distribution function F there, from 0 to 1.

    Trapezoidal rule: error in F of order ((upper − lower)/(points s))²/12 for a law of std s.
    """
    fraction = torch.linspace(0, 1, points, dtype=lower.dtype, device=lower.device)
    u = lower[..., None] + (upper - lower)[..., None] * fraction
    exponent = log_density(u)
    density = torch.exp(exponent - exponent.amax(-1, keepdim=True))
    steps = (density[..., 1:] + density[..., :-1]).cumsum(-1)
    start = torch.zeros_like(steps[..., :1])
    return u, torch.cat((start, steps / steps[..., -1:]), -1)
