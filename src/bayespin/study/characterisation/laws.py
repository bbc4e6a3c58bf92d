"""What closed forms and exact laws say of the points that are simulated."""

import math
from dataclasses import dataclass

import torch

from bayespin.constants import BOLTZMANN
from bayespin.numerics.quadrature import gauss_legendre, shape
from bayespin.physics import precession, relaxation, stack
from bayespin.physics.equilibrium import distance_to_normal
from bayespin.physics.stack import StackPoints
from bayespin.shapes import Float, Tensor


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
    """Easy plane: of the slowest mode of the Fokker-Planck equation, round and without a field.
    Perpendicular: of the damped cosine nearest to a precession that dephases. s."""
    frequency: Float[Tensor, " points"]
    """Of that damped cosine, Hz; 0 for an easy plane."""
    linear_frequency: Float[Tensor, " points"]
    """γB_k/(2π(1 + α²)) of a perpendicular layer, Hz; 0 for an easy plane."""
    read_std: Float[Tensor, "points windows"]
    """s times the window factor of an exponential, or of a precession."""


def laws_of(points: StackPoints, windows: tuple[float, ...]) -> Laws:
    """Return what is known of the points without simulating them.

    Raises:
        ValueError: the law of a point cannot be integrated.
    """
    density = stack.log_density(points)
    law = shape(gauss_legendre(density, *stack.interval(points), 400))
    linear = relaxation.correlation_time(points.layer.damping, points.anisotropy_field)
    frequency = turning = torch.zeros_like(linear)
    slowest = points.diffusion_time / relaxation.easy_plane_rate(points.stability)
    if points.orientation == "perpendicular":
        turning = relaxation.precession_frequency(points.anisotropy_field)
        turning = turning / (1 + points.layer.damping**2)
        omega = 2 * math.pi * turning
        slowest, frequency = precession.fitted_precession(linear, omega, points.stability)
    return Laws(
        mean=law.mean,
        std=law.std,
        excess_kurtosis=law.excess_kurtosis,
        normality=distance_to_normal(density, law),
        gaussian_std=1 / (2 * points.stability).sqrt(),
        linear_time=linear,
        slowest_time=slowest,
        frequency=frequency,
        linear_frequency=turning,
        read_std=law.std[:, None] * _window_factors(points, windows, law.std),
    )


def _window_factors(
    points: StackPoints, windows: tuple[float, ...], spread: Tensor
) -> Float[Tensor, "points windows"]:
    """Return s_T/s of every point and window, in-plane anisotropy included."""
    linear = relaxation.correlation_time(points.layer.damping, points.anisotropy_field)
    if points.orientation == "perpendicular":
        turning = 2 * math.pi * relaxation.precession_frequency(points.anisotropy_field)
        turning = turning / (1 + points.layer.damping**2)
        factors = [
            relaxation.dephasing_window_factor(one, linear, turning, points.stability)
            for one in windows
        ]
        return torch.stack(factors, -1)
    slowest = points.diffusion_time / relaxation.easy_plane_rate(points.stability)
    factors = [
        relaxation.window_factor(one / slowest) * _out_of_round(points, one / slowest, spread)
        for one in windows
    ]
    return torch.stack(factors, -1)


def _out_of_round(points: StackPoints, ratio: Tensor, spread: Tensor) -> Float[Tensor, " points"]:
    """Return what the in-plane anisotropy of each point leaves of s_T; U = K_ip V/2kT."""
    thermal = BOLTZMANN * points.each("temperature")
    barriers = points.each("in_plane_anisotropy") * points.layer.volume / (2 * thermal)
    speeds = 2 * spread / points.layer.damping
    each = zip(ratio, speeds, barriers.tolist(), strict=True)
    return torch.stack([relaxation.out_of_round_factor(r, v, barrier) for r, v, barrier in each])
