"""Thermal macrospins: the stochastic Landau-Lifshitz-Gilbert equation for batches of replicas.

The second description of a stochastic free layer: it knows neither the equilibrium law nor the
correlation time, and tests both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from bayespin.cite import cites
from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.numerics.stochastic import StepNoise, heun_step, integrate
from bayespin.physics.free_layer import FreeLayer, thermal_energy
from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class Macrospins:
    """Parameters of an ensemble of operating points, each with any number of replicas."""

    layer: FreeLayer
    effective_anisotropy: Float[Tensor, "*points 1"]
    """K_eff along z in J/m³, negative for an easy plane; the last axis stands for the replicas."""
    applied_field: Float[Tensor, "... 3"]
    """Uniform field in tesla, broadcast over points and replicas."""
    temperature: float
    """K."""
    time_step: float
    """s; 1/50 of the fastest of precession and relaxation is enough, see `step`."""

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"`temperature` must not be negative, but is {self.temperature:g} K.")
        if not self.time_step > 0:
            raise ValueError(f"`time_step` must be positive, but is {self.time_step:g} s.")


def thermal_field_std(parameters: Macrospins) -> float:
    """Return the standard deviation of each component of the thermal field over one step, in T.

    √(2αkT/(γ M_s V Δt)).

    Symbols: α damping; k Boltzmann's constant; T temperature (K); γ (rad/(s T)); M_s (A/m); V
    volume (m³); Δt time step (s). For the form of the equation used in `torque`.

    Source: Brown, DOI 10.1103/PhysRev.130.1677; García-Palacios and Lázaro (1998).
    """
    if parameters.temperature == 0:
        return 0.0
    layer = parameters.layer
    moment = layer.saturation_magnetisation * layer.volume
    power = 2 * layer.damping * thermal_energy(parameters.temperature)
    return math.sqrt(power / (GYROMAGNETIC_RATIO * moment * parameters.time_step))


def gyration_rate(damping: float) -> float:
    """Return γ/(1 + α²), the prefactor of both torques in Landau-Lifshitz form, rad/(s T)."""
    return GYROMAGNETIC_RATIO / (1 + damping**2)


def deterministic_field(
    parameters: Macrospins, magnetisation: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """Return the effective field without noise, B = (2K_eff/M_s) m_z ẑ + B_applied, in tesla."""
    stiffness = 2 * parameters.effective_anisotropy / parameters.layer.saturation_magnetisation
    along = (stiffness * magnetisation[..., 2]).expand(magnetisation.shape[:-1])
    none = torch.zeros_like(along)
    return torch.stack((none, none, along), -1) + parameters.applied_field


def _cross(a: Tensor, b: Tensor) -> Tensor:
    """Return a × b; several times faster than `torch.linalg.cross` with the short axis last."""
    a1, a2, a3 = a.unbind(-1)
    b1, b2, b3 = b.unbind(-1)
    return torch.stack((a2 * b3 - a3 * b2, a3 * b1 - a1 * b3, a1 * b2 - a2 * b1), -1)


def torque(
    magnetisation: Float[Tensor, "*batch 3"], field: Float[Tensor, "*batch 3"], damping: float
) -> Float[Tensor, "*batch 3"]:
    """Return dm/dt = −γ/(1+α²) [m×B + α m×(m×B)], in 1/s.

    Symbols: m unit magnetisation; B field with its thermal part (T); α damping; γ (rad/(s T)).
    Perpendicular to m, and to the energy gradient's level lines only through α.
    """
    precession = _cross(magnetisation, field)
    return -gyration_rate(damping) * (precession + damping * _cross(magnetisation, precession))


def init(
    parameters: Macrospins, replicas: int, generator: torch.Generator, nodes: int = 4001
) -> Float[Tensor, "*points replicas 3"]:
    """Return magnetisations drawn from Boltzmann's law of the anisotropy alone (no applied field).

    m_z by inversion of its distribution p(m_z) ∝ exp(σ m_z²), σ = K_eff V/kT, on `nodes` points;
    the azimuth is uniform.

    Raises:
        ValueError: `replicas` is less than 1.
    """
    if replicas < 1:
        raise ValueError(f"Argument `replicas` must be at least 1, but is {replicas}.")
    layer, anisotropy = parameters.layer, parameters.effective_anisotropy
    barrier = anisotropy * layer.volume / thermal_energy(parameters.temperature)
    grid = torch.linspace(-1, 1, nodes, dtype=anisotropy.dtype, device=anisotropy.device)
    exponent = barrier * grid.square()
    density = torch.exp(exponent - exponent.amax(-1, keepdim=True))
    area = torch.cat(
        (torch.zeros_like(density[..., :1]), (density[..., 1:] + density[..., :-1]).cumsum(-1)), -1
    )
    area = area / area[..., -1:]
    shape = (*barrier.shape[:-1], replicas)
    uniform = torch.empty((2, *shape), dtype=grid.dtype, device=grid.device)
    uniform.uniform_(generator=generator)
    right = torch.searchsorted(area, uniform[0].contiguous()).clamp(1, nodes - 1)
    low, high = area.gather(-1, right - 1), area.gather(-1, right)
    fraction = (uniform[0] - low) / (high - low).clamp(min=1e-300)
    m_z = torch.lerp(grid[right - 1], grid[right], fraction)
    azimuth, radius = 2 * math.pi * uniform[1], (1 - m_z.square()).clamp(min=0).sqrt()
    return torch.stack((radius * azimuth.cos(), radius * azimuth.sin(), m_z), -1)


@cites("10.1103/PhysRev.130.1677", "10.1103/PhysRevB.58.14937")
def step(
    parameters: Macrospins,
    magnetisation: Float[Tensor, "*batch 3"],
    noise: Float[Tensor, "*batch 3"],
) -> Float[Tensor, "*batch 3"]:
    """Advance by one time step: Heun with the thermal field, then back onto the unit sphere.

    B = B_det(m) + B_th noise, B_th = `thermal_field_std`, in both stages of Heun (Stratonovich).

    Symbols: m unit magnetisation; noise N(0, 1).

    Source: Brown (1963); García-Palacios and Lázaro (1998). Bias of averages of order Δt: 1 % and
    less while γB Δt/(1+α²) < 0.1 for the typical field and 2Δt < 0.01 τ_N.
    """
    amplitude = thermal_field_std(parameters) * math.sqrt(parameters.time_step)

    def rate(_: float | Tensor, m: Tensor, forcing: Tensor) -> Tensor:
        field = deterministic_field(parameters, m) + amplitude * forcing
        return torque(m, field, parameters.layer.damping)

    moved = heun_step(rate, magnetisation, noise, parameters.time_step)
    return moved / moved.square().sum(-1, keepdim=True).sqrt()


def simulate(
    parameters: Macrospins,
    magnetisation: Float[Tensor, "*batch 3"],
    noise: StepNoise,
    steps: range,
    observe: Callable[[int, Tensor], None] | None = None,
) -> Float[Tensor, "*batch 3"]:
    """Return the magnetisation after the steps with the given indices.

    `observe(i, m)` sees the state after step i. range(0, n) equals range(0, k) then range(k, n).
    """

    def advance(_: int, m: Tensor, draw: Tensor) -> Tensor:
        return step(parameters, m, draw)

    return integrate(advance, magnetisation, noise, steps, observe)


def energy(
    parameters: Macrospins, magnetisation: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch"]:
    """Return E = −K_eff V m_z² − M_s V m·B_applied in joules; falls along any noiseless path."""
    layer = parameters.layer
    zeeman = (magnetisation * parameters.applied_field).sum(-1) * layer.saturation_magnetisation
    anisotropy = parameters.effective_anisotropy * magnetisation[..., 2].square()
    return -layer.volume * (anisotropy + zeeman)
