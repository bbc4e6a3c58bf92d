"""What clipping and rounding leave of a Gaussian: mean and variance behind a converter.

A mid-tread converter of step Δ and range R = HΔ has thresholds t_k = (k − ½)Δ, k = 1 − H … H. With
P(t) = Φ((m − t)/s), the probability of y ~ N(m, s²) above t, its output Q has exactly

    E Q = −R + Δ Σ_k P(t_k),     E Q² = R² + 2Δ Σ_k t_k P(t_k).

Fast form. Thresholds are the midpoints of equal cells of [−R, R], so the sums are midpoint rules
for the moments of c = clip(y) and Euler's and Maclaurin's formula says what they miss:

    E Q  = E c  − (Δ²/24) [P']  + (7Δ⁴/5760) [P'''] + D,            [f] = f(R) − f(−R)
    E Q² = E c² − (Δ²/12) [(tP)'] + (7Δ⁴/2880) [(tP)'''] + D'.

The second term of E Q² holds Δ²/12 times the probability that y lies within the range. D, D' are
what no power of Δ sees: the dither of the noise itself, e = exp(−2π²s²/Δ²) small,

    D = −(Δ/π) e sin(2πm/Δ),     variance − e cos(2πm/Δ) (4 s² + Δ²/π²),

times the same probability. Below s = 0.9 Δ the few thresholds near m are summed instead.

Symbols: Φ, φ law and density of a standard normal number. Sources: Widrow, Kollár and Liu,
doi:10.1109/19.492748, for rounding and dither; moments of a clipped Gaussian by integration.
"""

import math

import torch

from bayespin.array.converter import Adc
from bayespin.shapes import Float, Tensor

NARROW = 0.9
"""Deviation in steps below which thresholds are summed."""
SAFE = 6.0
"""Deviations between the mean and the end of the range from which nothing is clipped."""
_NEAR = 8
_LEAST = 1e-6


def exact_moments(
    mean: Float[Tensor, "*shape"],
    deviation: Float[Tensor, "*shape"],
    adc: Adc,
    full_range: Float[Tensor, "*#shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return mean and variance of the converter's output, by the sum over all its thresholds.

    Args:
        mean: m of what it converts.
        deviation: s; may be zero.
        adc: the converter.
        full_range: R.
    """
    step = full_range / adc.half_steps
    rank = torch.arange(1 - adc.half_steps, adc.half_steps + 1).to(mean) - 0.5
    m, s = (mean / step)[..., None], (deviation / step).clamp_min(_LEAST)[..., None]
    above = torch.special.ndtr((m - rank) / s)
    # About the middle of the output, so that no digits cancel.
    centre = m.detach().round().clamp(-adc.half_steps, adc.half_steps)
    first = (above - (rank < centre).to(above)).sum(-1)
    second = (2 * (rank - centre) * (above - (rank < centre).to(above))).sum(-1)
    return (centre[..., 0] + first) * step, (second - first.square()) * step.square()


def converted_moments(
    mean: Float[Tensor, "*shape"],
    deviation: Float[Tensor, "*shape"],
    adc: Adc,
    full_range: Float[Tensor, "*#shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Return mean and variance of the converter's output, in closed form.

    Within 1e-4 Δ and 5e-4 Δ² of `exact_moments` in float64, with its gradients.

    Args:
        mean: m of what it converts.
        deviation: s; may be zero.
        adc: the converter.
        full_range: R.
    """
    step = (full_range / adc.half_steps).expand_as(mean)
    m, s = mean / step, (deviation / step).clamp_min(_LEAST)
    narrow = s < NARROW
    outer = m.abs() + SAFE * s > adc.half_steps
    first, second = _inner(m, s.clamp_min(NARROW))
    for law, chosen in ((_smooth, outer & ~narrow), (_near, narrow)):
        if bool(chosen.any()):
            found = law(m[chosen], s[chosen], adc.half_steps)
            first = first.masked_scatter(chosen, found[0])
            second = second.masked_scatter(chosen, found[1])
    return first * step, second.clamp_min(0) * step.square()


def _inner(m: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance in steps where nothing is clipped."""
    wave, turn = _dither(m, s)
    rest = wave * turn.cos() * (4 * s.square() + 1 / math.pi**2)
    return m - wave * turn.sin() / math.pi, s.square() + 1 / 12 - rest


def _dither(m: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    return torch.exp(-2 * math.pi**2 * s.square()), 2 * math.pi * m


def _near(m: Tensor, s: Tensor, half_steps: int) -> tuple[Tensor, Tensor]:
    """Return mean and variance in steps from the eight thresholds nearest to m."""
    centre = m.detach().round().clamp(-half_steps, half_steps)
    first, second = torch.zeros_like(m), torch.zeros_like(m)
    for k in range(-_NEAR // 2, _NEAR // 2):
        place = k + 0.5  # from the centre; thresholds below it would all be passed
        inside = (centre + place).abs() < half_steps
        above = torch.special.ndtr((m - centre - place) / s)
        part = torch.where(inside, above - float(place < 0), 0.0)
        first, second = first + part, second + 2 * place * part
    return centre + first, second - first.square()


def _density(z: Tensor) -> Tensor:
    return torch.exp(-z.square() / 2) * (1 / math.sqrt(2 * math.pi))


def _end(m: Tensor, s: Tensor, end: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return P at an end of the range and what it adds to first and second moments.

    Everything in steps, moments about m.
    """
    z = (m - end) / s
    above, density = torch.special.ndtr(z), _density(z)
    slope = -density / s  # P'
    bend = -z * density / s.square()  # P''
    third = (1 - z.square()) * density / s**3  # P'''
    shift = end - m
    # ∫ P dt up to the end, and ∫ 2(t − m) P dt
    plain = shift * above - s * density
    square = shift.square() * above + s.square() * (1 - above) - s * shift * density
    first = plain - slope / 24 + third * (7 / 5760)
    second = square - (above + shift * slope) / 12 + (3 * bend + shift * third) * (7 / 2880)
    return above, first, second


def _smooth(m: Tensor, s: Tensor, half_steps: int) -> tuple[Tensor, Tensor]:
    """Return mean and variance in steps by the fast form."""
    above, high, high_square = _end(m, s, half_steps)
    below, low, low_square = _end(m, s, -half_steps)
    inside = below - above
    wave, turn = _dither(m, s)
    wave = wave * inside
    first = -half_steps - m + (high - low)
    second = (half_steps + m).square() + (high_square - low_square)
    variance = second - first.square()
    variance = variance - wave * turn.cos() * (4 * s.square() + 1 / math.pi**2)
    return m + first - wave * turn.sin() / math.pi, variance


def clipped_probability(
    mean: Float[Tensor, "*shape"],
    deviation: Float[Tensor, "*shape"],
    full_range: Float[Tensor, "*#shape"],
) -> Float[Tensor, "*shape"]:
    """Return the probability Φ((−R − m)/s) + Φ((m − R)/s) that y ~ N(m, s²) is clipped."""
    s = deviation.clamp_min(_LEAST * full_range)
    return torch.special.ndtr((-full_range - mean) / s) + torch.special.ndtr(
        (mean - full_range) / s
    )
