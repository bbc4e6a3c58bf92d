"""Equilibrium laws of the conductance projection u of a stochastic free layer (macrospin).

Two geometries: an easy-plane layer under a perpendicular reference (u = m_z), and a perpendicular
layer under an in-plane reference (u = m_x). Here Δ = |K_eff|V/kT is the stability factor and
b = M_s V B/kT the Zeeman energy of a field B along u, both without dimension.
"""

import functools
import math

import torch

from bayespin.cite import cites
from bayespin.numerics.interpolation import lookup
from bayespin.numerics.quadrature import (
    LogDensity,
    Shape,
    Weighted,
    cumulative,
    gauss_legendre,
    shape,
)
from bayespin.shapes import Float, Tensor

_TAIL = 12.0
"""Half width of the quadrature interval in standard deviations: what is left out is below 1e-32."""


@cites("arXiv:1902.03312")
def easy_plane_log_density(
    stability: Float[Tensor, "*batch"], field: Float[Tensor, "*batch"]
) -> LogDensity:
    """Return ln p(u) = −Δu² + bu up to a constant, u = m_z of an easy-plane layer in [−1, 1].

    Symbols: Δ stability factor; b = M_s V B_z/kT. Boltzmann's law with the flat measure of m_z, so
    a truncated Gaussian of variance 1/(2Δ) about b/(2Δ) at any Δ.

    Source: Kaiser et al. (2019), physics of low-barrier easy-plane magnets.
    """
    return lambda u: u * (field[..., None] - stability[..., None] * u)


def perpendicular_log_density(
    stability: Float[Tensor, "*batch"], field: Float[Tensor, "*batch"]
) -> LogDensity:
    """Return ln p(u) = Δ(1 − u²) + ln I0e(Δ(1 − u²)/2) + bu, u = m_x of a perpendicular layer.

    The law of m_x under Boltzmann's weight exp(Δ m_z² + b m_x), integrated over the azimuth about
    x; I0e(y) = exp(−y) I0(y) with I0 the modified Bessel function.

    Symbols: Δ stability factor; b = M_s V B_x/kT. Gaussian only for Δ of 5 and more.
    """

    def log_density(u: Tensor) -> Tensor:
        across = stability[..., None] * (1 - u.square())
        return across + torch.special.i0e(across / 2).log() + field[..., None] * u

    return log_density


def _interval(stability: Tensor, field: Tensor) -> tuple[Tensor, Tensor]:
    """Return the part of [−1, 1] that carries the law, so that sharp laws are resolved too."""
    sharpness = stability.clamp(min=1e-3)
    peak = (field / (2 * sharpness)).clamp(-1, 1)
    reach = _TAIL / (2 * sharpness).sqrt()
    return (peak - reach).clamp(min=-1), (peak + reach).clamp(max=1)


def easy_plane_law(
    stability: Float[Tensor, "*batch"],
    field: Float[Tensor, "*batch"] | None = None,
    nodes: int = 400,
) -> Weighted:
    """Return the easy-plane law of `easy_plane_log_density` on quadrature points.

    `shape(easy_plane_law(Δ, b))` has its mean, std, skewness and excess kurtosis. Accurate to
    1e-10 for Δ >= 0 and |b| up to 1e3.
    """
    b = torch.zeros_like(stability) if field is None else field
    return gauss_legendre(easy_plane_log_density(stability, b), *_interval(stability, b), nodes)


def perpendicular_law(
    stability: Float[Tensor, "*batch"],
    field: Float[Tensor, "*batch"] | None = None,
    nodes: int = 400,
) -> Weighted:
    """Return the law of `perpendicular_log_density` on quadrature points of [−1, 1].

    Accurate to 1e-10 for 0 <= Δ <= 2000 and |b| up to 1e3.
    """
    b = torch.zeros_like(stability) if field is None else field
    one = torch.ones_like(stability)
    return gauss_legendre(perpendicular_log_density(stability, b), -one, one, nodes)


def distance_to_normal(log_density: LogDensity, moments: Shape) -> Float[Tensor, "*batch"]:
    """Return sup |F(u) − Φ((u − mean)/std)|, the Kolmogorov-Smirnov distance to a normal law.

    Symbols: F distribution function of `log_density` on [−1, 1], Φ the standard normal one with
    the same mean and std. Accurate to 1e-4 for a std above 0.02.
    """
    one = torch.ones_like(moments.mean)
    points, distribution = cumulative(log_density, -one, one)
    z = (points - moments.mean[..., None]) / moments.std[..., None]
    return (distribution - torch.special.ndtr(z)).abs().amax(-1)


def easy_plane_std(stability: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return the standard deviation of u = m_z of an easy-plane layer without a field.

    s² = 1/(2Δ) − exp(−Δ)/(√(πΔ) erf √Δ); s → 1/√(2Δ) at large Δ, 1/√3 at Δ = 0.

    Symbols: Δ stability factor, Δ >= 0. Closed form of the quadrature of `easy_plane_law`, cheap
    enough for one value per weight; error below 1e-10.
    """
    small = stability < 1e-3
    delta = torch.where(small, torch.ones_like(stability), stability)
    edge = torch.exp(-delta) / (torch.sqrt(math.pi * delta) * torch.erf(delta.sqrt()))
    series = 1 / 3 - stability * (4 / 45) + stability.square() * (8 / 945)
    return torch.where(small, series, 1 / (2 * delta) - edge).sqrt()


def easy_plane_mean(
    stability: Float[Tensor, "*batch"], field: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the mean of u = m_z of an easy-plane layer in a field along u.

    A normal law of mean c = b/(2Δ) and std q = 1/√(2Δ), cut to [−1, 1]:
    ⟨u⟩ = c + q [φ(α) − φ(β)]/[Φ(β) − Φ(α)], α = (−1 − c)/q, β = (1 − c)/q.

    Symbols: Δ stability factor, 1e-4 <= Δ; b = M_s V B_z/kT; φ, Φ normal density and distribution.
    For B ≪ B_k and Δ ≫ 1 this is ⟨u⟩ = B/B_k. Closed form of `easy_plane_law`, error below 1e-9.
    """
    width = (2 * stability).rsqrt()
    centre = field.abs() / (2 * stability)  # odd in b: solve for b >= 0, restore the sign
    low, high = (-1 - centre) / width, (1 - centre) / width
    near = high < 6  # of the wall; beyond, what is cut off changes less than 1e-9
    shift = torch.zeros_like(low).masked_scatter(near, _cut_mean(low[near], high[near]))
    return torch.sign(field) * (centre + width * shift)


def _cut_mean(low: Tensor, high: Tensor) -> Tensor:
    """Return the mean of a normal law cut to [low, high]."""
    inside, root = high > 0, math.sqrt(0.5)
    bound = torch.where(inside, high, torch.ones_like(high))
    density = torch.exp(-low.square() / 2) - torch.exp(-bound.square() / 2)
    mean = math.sqrt(2 / math.pi) * density / (torch.erf(bound * root) - torch.erf(low * root))
    if bool(inside.all()):
        return mean
    return torch.where(inside, mean, _tail_mean(low, high.clamp(max=0)))


def _tail_mean(low: Tensor, high: Tensor) -> Tensor:
    """Return the mean of a normal law cut to [low, high], high <= 0: both bounds in one tail."""
    root = math.sqrt(0.5)
    ratio = torch.exp((high.square() - low.square()) / 2)  # exp(-high²/2) factored out
    scale = torch.special.erfcx(-high * root) - ratio * torch.special.erfcx(-low * root)
    return math.sqrt(2 / math.pi) * (ratio - 1) / scale


_STABLE, _NODES = 2000.0, 1025


@functools.cache
def _perpendicular_moments() -> tuple[Tensor, Tensor]:
    """Return ln s√(3 + 2Δ) and the excess kurtosis at equal steps of ln(1 + Δ) up to Δ = 2000."""
    delta = torch.expm1(torch.linspace(0, math.log1p(_STABLE), _NODES, dtype=torch.float64))
    moments = shape(perpendicular_law(delta))
    return (moments.std * (3 + 2 * delta).sqrt()).log(), moments.excess_kurtosis


def _position(stability: Tensor) -> Tensor:
    return stability.log1p() * ((_NODES - 1) / math.log1p(_STABLE))


def perpendicular_std(stability: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
    """Return the standard deviation of u = m_x of a perpendicular layer without a field.

    That of `perpendicular_law`, looked up in a table of Δ: within 2e-5 of it for 0 <= Δ <= 2000;
    s → 1/√(2Δ) at large Δ. Cheap enough for one value per weight.
    """
    scaled = lookup(_perpendicular_moments()[0], _position(stability)).exp()
    return scaled / (3 + 2 * stability).sqrt()


def perpendicular_mean(
    stability: Float[Tensor, "*batch"], field: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Return the mean of u = m_x of a perpendicular layer in a field along u.

    ⟨u⟩ = bs² + b³κs⁴/6: the first two cumulants of the law without field.

    Symbols: Δ stability factor; b = M_s V B_x/kT; s std, κ excess kurtosis. The law for Δ >= 5 and
    |b|s² <= 0.2 within 1 %; → B/B_k for Δ ≫ 1.
    """
    variance = perpendicular_std(stability).square()
    kurtosis = lookup(_perpendicular_moments()[1], _position(stability))
    return field * variance * (1 + field.square() * kurtosis * variance / 6)
