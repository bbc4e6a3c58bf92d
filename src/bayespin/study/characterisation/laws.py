"""What closed forms and exact laws say of the points that are simulated."""

import math
from dataclasses import dataclass

import torch

from bayespin.numerics.quadrature import gauss_legendre, shape
from bayespin.physics import relaxation, stack
from bayespin.physics.equilibrium import distance_to_normal
from bayespin.physics.stack import StackPoints
from bayespin.shapes import Float, Tensor

LARGEST_BARRIER = 90.0
"""Δ up to which the slowest mode is computed; the linear time is 1 % from it there."""


@dataclass(frozen=True, kw_only=True)
class Laws:
    """Predictions at each operating point."""

    mean: Float[Tensor, " points"]
    std: Float[Tensor, " points"]
    """s of Boltzmann's law, exact."""
    excess_kurtosis: Float[Tensor, " points"]
    normality: Float[Tensor, " points"]
    """KS distance of Boltzmann's law to the normal law of the same mean and std."""
    gaussian_std: Float[Tensor, " points"]
    """1/√(2Δ), its limit for a stiff layer."""
    linear_time: Float[Tensor, " points"]
    """(1 + α²)/(αγB_k), s."""
    slowest_time: Float[Tensor, " points"]
    """Of the Fokker-Planck equation of a round easy plane without a field, s; elsewhere and above
    `LARGEST_BARRIER` not a number."""
    frequency: Float[Tensor, " points"]
    """γB_k/(2π(1 + α²)) of a perpendicular layer, Hz; 0 for an easy plane."""
    read_std: Float[Tensor, "points windows"]
    """s times the window factor of an exponential, or of a precession."""

    @property
    def time(self) -> Float[Tensor, " points"]:
        """The better known of both times, s."""
        return torch.where(self.slowest_time.isfinite(), self.slowest_time, self.linear_time)


def laws_of(points: StackPoints, windows: tuple[float, ...]) -> Laws:
    """Return what is known of the points without simulating them.

    Raises:
        ValueError: the law of a point cannot be integrated.
    """
    density = stack.log_density(points)
    law = shape(gauss_legendre(density, *stack.interval(points), 400))
    linear = relaxation.correlation_time(points.layer.damping, points.anisotropy_field)
    plane = points.orientation == "easy-plane"
    turning = relaxation.precession_frequency(points.anisotropy_field)
    frequency = torch.zeros_like(linear) if plane else turning / (1 + points.layer.damping**2)
    slowest = _slowest_time(points) if plane else torch.full_like(linear, torch.nan)
    time = torch.where(slowest.isfinite(), slowest, linear)
    return Laws(
        mean=law.mean,
        std=law.std,
        excess_kurtosis=law.excess_kurtosis,
        normality=distance_to_normal(density, law),
        gaussian_std=1 / (2 * points.stability).sqrt(),
        linear_time=linear,
        slowest_time=slowest,
        frequency=frequency,
        read_std=law.std[:, None] * _window_factors(points, windows, time, frequency),
    )


def _slowest_time(points: StackPoints) -> Float[Tensor, " points"]:
    rate = relaxation.fokker_planck_rate(-points.stability.clamp(max=LARGEST_BARRIER))
    known = (points.stability <= LARGEST_BARRIER) & ~points.shifted
    return torch.where(known, points.diffusion_time / rate, torch.nan)


def _window_factors(
    points: StackPoints, windows: tuple[float, ...], time: Tensor, frequency: Tensor
) -> Float[Tensor, "points windows"]:
    if points.orientation == "easy-plane":
        return torch.stack([relaxation.window_factor(one / time) for one in windows], -1)
    turning = 2 * math.pi * frequency
    return torch.stack(
        [
            relaxation.dephasing_window_factor(one, time, turning, points.stability)
            for one in windows
        ],
        -1,
    )
