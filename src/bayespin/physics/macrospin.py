"""Thermal macrospins: the stochastic Landau-Lifshitz-Gilbert equation for batches of replicas.

The second description of a stochastic free layer: it knows neither the equilibrium law nor the
correlation time, and tests both. Axes of m: operating points, then component, then replicas.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from bayespin.cite import cites
from bayespin.constants import BOLTZMANN, GYROMAGNETIC_RATIO
from bayespin.numerics.stochastic import (
    Method,
    Rate,
    StepNoise,
    frozen_rk4_step,
    heun_step,
    integrate,
)
from bayespin.physics.drive import Driven, at, largest
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.llg import (
    Components,
    check_temperature,
    check_time_step,
    components,
    damped_turning,
    diffused,
    gyration_rate,
    thermal_field_std,
    unit,
)
from bayespin.physics.spin_torque import SpinTorque
from bayespin.shapes import Float, Int, Tensor

AXIS = -2
"""The component axis of a macrospin's magnetisation."""

SPLITTING_ANGLE = 4.0
"""γBΔt at which `RotationSplitting` is stable for any damping: half of it in each of two
Runge-Kutta steps, which bear 2.8 along either axis. Not a step at which it is accurate."""

Step = Callable[[int, Tensor, Tensor], Tensor]
"""Maps (index of the step, m, noise) to the next m."""


@dataclass(frozen=True, kw_only=True)
class Macrospins:
    """Parameters of an ensemble of operating points, each with any number of replicas.

    Scalars that differ between points have shape `*points 1`, or `*points replicas` where each
    replica is a device of its own; vectors have `*points 3 1`, or 3 where all share one. Any
    `Driven` value may be a function of time.

    Raises:
        ValueError: a value is not finite, the temperature negative, a field without three
            components, or the time step larger than the stiffest field allows (the sentence names
            the largest stable one).
    """

    layer: FreeLayer
    effective_anisotropy: Driven
    """K_eff along z in J/m³, negative for an easy plane. A function of time is VCMA."""
    in_plane_anisotropy: Driven = 0.0
    """K_ip along x in J/m³, positive where a pillar is longer along x."""
    applied_field: Driven = 0.0
    """Applied and stray field in tesla."""
    spin_torques: tuple[SpinTorque, ...] = ()
    """Their amplitudes broadcast over m: `*points 1 1`."""
    temperature: float | Float[Tensor, "..."]
    """K."""
    time_step: float
    """s; 1/50 of the fastest of precession and relaxation is enough, see `step`."""
    stable_angle: float | None = None
    """γBΔt that the scheme bears: `SPLITTING_ANGLE` for `RotationSplitting`, else that of Heun."""

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        per_anisotropy = 2 / self.layer.saturation_magnetisation
        scales = {
            "effective_anisotropy": per_anisotropy,
            "in_plane_anisotropy": per_anisotropy,
            "applied_field": 1.0,
        }
        stiffest = sum(torque.largest_field for torque in self.spin_torques)
        for name, scale in scales.items():
            bound = largest(getattr(self, name))
            if not math.isfinite(bound):
                raise ValueError(f"`{name}` must be finite, but is {bound:g}.")
            stiffest += scale * bound
        _check_components(self.applied_field)
        if self.stable_angle is None:
            check_time_step(self.time_step, stiffest, self.layer.damping)
        elif not 0 < GYROMAGNETIC_RATIO * stiffest * self.time_step < self.stable_angle:
            raise ValueError(
                f"`time_step` must turn m by less than {self.stable_angle:g} rad in the stiffest "
                f"field, {stiffest:.3g} T, but is {self.time_step:.3g} s."
            )

    @property
    def points(self) -> torch.Size:
        """Shape of the operating points, by broadcasting what is constant or set at time 0."""
        scalars = (self.effective_anisotropy, self.in_plane_anisotropy, self.temperature)
        shapes = [torch.as_tensor(at(value, 0.0)).shape[:-1] for value in scalars]
        torques = [a for t in self.spin_torques for a in (t.damping_like, t.field_like)]
        for vector in (self.applied_field, *torques):
            shapes.append(torch.as_tensor(at(vector, 0.0)).shape[:-2])
        return torch.broadcast_shapes(*shapes)


def _check_components(field: Driven) -> None:
    value = at(field, 0.0)
    if isinstance(value, Tensor) and value.ndim:
        count = value.shape[-1] if value.ndim == 1 else value.shape[AXIS]
        if count == 3:
            return
    elif value == 0 and isinstance(field, (int, float)):
        return
    raise ValueError(
        "`applied_field` must have three components, as the only axis or as the one before the "
        f"replicas, but is {value}."
    )


def _scalar(value: float | Tensor, like: Tensor) -> Tensor:
    """Return `*points 1` as `*points 1 1`, to broadcast over m."""
    tensor = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    return tensor.unsqueeze(AXIS) if tensor.ndim else tensor


def _vector(value: float | Tensor, like: Tensor) -> Tensor:
    """Return three components, shared or per point, to broadcast over m."""
    tensor = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    return tensor.unsqueeze(-1) if tensor.ndim == 1 else tensor.expand(*tensor.shape[:-2], 3, 1)


Timed = Callable[[float | Tensor], Tensor]


def _converted(
    value: Driven, convert: Callable[[float | Tensor, Tensor], Tensor], like: Tensor, scale: float
) -> Timed:
    """Return the value as a function of time; what is constant is converted once."""
    if isinstance(value, (int, float, Tensor)):
        constant = convert(scale * value, like)
        return lambda time: constant
    return lambda time: convert(scale * value(time), like)


@dataclass(frozen=True)
class _Terms:
    """The fields of an ensemble, ready to broadcast over m, in its dtype and on its device."""

    along: Timed
    """2K_eff/M_s, T."""
    across: Timed | None
    """2K_ip/M_s, T; None for a round pillar."""
    applied: Timed
    """T."""
    thermal: Tensor
    """B_th √Δt, T √s."""
    spin_torques: tuple[SpinTorque, ...]
    scale: float
    """What the fields are multiplied by: 1, or −γ/(1 + α²) for rates of turning."""

    def field(self, m: Components, time: float | Tensor, forcing: Components) -> Components:
        """Return scale (B(m, t) + B_th √Δt ξ) for m and ξ = `forcing`."""
        offset = components(self.applied(time), AXIS)
        pairs = zip(offset, forcing, strict=True)
        x, y, z = (torch.addcmul(o, f, self.thermal) for o, f in pairs)
        z = torch.addcmul(z, m.z, self.along(time))
        if self.across is not None:
            x = torch.addcmul(x, m.x, self.across(time))
        total = Components(x, y, z)
        for spin_torque in self.spin_torques:
            total = total.add(spin_torque.field_components(m, time), alpha=self.scale)
        return total


def _terms(parameters: Macrospins, like: Tensor, scale: float) -> _Terms:
    layer, in_plane = parameters.layer, parameters.in_plane_anisotropy
    per_anisotropy = scale * 2 / layer.saturation_magnetisation
    std = thermal_field_std(
        layer.damping,
        layer.saturation_magnetisation,
        layer.volume,
        torch.as_tensor(parameters.temperature, dtype=torch.float64),
        parameters.time_step,
    )
    is_round = isinstance(in_plane, (int, float)) and in_plane == 0
    return _Terms(
        along=_converted(parameters.effective_anisotropy, _scalar, like, per_anisotropy),
        across=None if is_round else _converted(in_plane, _scalar, like, per_anisotropy),
        applied=_converted(parameters.applied_field, _vector, like, scale),
        thermal=_scalar(scale * std * math.sqrt(parameters.time_step), like),
        spin_torques=parameters.spin_torques,
        scale=scale,
    )


def effective_field(
    parameters: Macrospins, magnetisation: Float[Tensor, "*points 3 replicas"], time: float = 0.0
) -> Float[Tensor, "*points 3 replicas"]:
    """Return the effective field without noise, in tesla.

    B = (2K_eff/M_s) m_z ẑ + (2K_ip/M_s) m_x x̂ + B_applied + the fields of the spin torques.

    Symbols: K_eff, K_ip anisotropies (J/m³); M_s (A/m).
    """
    still = components(torch.zeros_like(magnetisation), AXIS)
    terms = _terms(parameters, magnetisation, 1.0)
    return torch.cat(terms.field(components(magnetisation, AXIS), time, still), AXIS)


@dataclass(frozen=True)
class RotationSplitting:
    """Half a step without noise, a random rotation, half a step without noise: weak order 2.

    m ← D(Δt/2) R D(Δt/2) m, D one step of `half` at T = 0, R the rotation of `llg.diffused` with
    s² = 2αγkTΔt/((1 + α²)M_sV) = Δt/τ_N.

    R has the law of thermal noise alone: the two torques of a thermal field, γ/(1 + α²) times m×B
    and α m×(m×B), spread m as one precession does whose field is √(1 + α²) times as strong (the
    generator of both is s²/2Δt times the Laplacian of the sphere).

    Paths are not those of `heun_step` under the same noise, their law is. `step` states measured
    biases: steps ten times as long as Heun's do.

    Source: Strang, DOI 10.1137/0705041, for the order of the splitting; García-Palacios and Lázaro
    (1998), for the two forms of the noise.
    """

    half: Method = frozen_rk4_step
    """`heun_step` halves the cost, for twice the bias and more at small damping."""

    def step(
        self,
        rate: Rate,
        m: Components,
        noise: Components,
        spread: Float[Tensor, "..."],
        clock: tuple[float, float | Tensor],
    ) -> Components:
        """Return the next m; `spread` is s², `clock` holds the time step and the time."""
        dt, time = clock
        still = Components(*(torch.zeros_like(spread) for _ in range(3)))
        before = self.half(rate, m, still, dt / 2, time)
        return self.half(rate, diffused(before, noise, spread), still, dt / 2, time + dt / 2)


Scheme = Method | RotationSplitting


def _advance(
    parameters: Macrospins, like: Tensor, method: Scheme
) -> Callable[[Tensor, Tensor, float | Tensor], Tensor]:
    """Return (m, noise, time) → the next m, with what is constant converted once."""
    damping, dt = parameters.layer.damping, parameters.time_step
    terms = _terms(parameters, like, -float(gyration_rate(damping)))
    spread = terms.thermal.square() * ((1 + damping**2) * dt)

    def rate(time: float | Tensor, m: Components, forcing: Components) -> Components:
        return damped_turning(m, terms.field(m, time, forcing), damping)

    def advance(m: Tensor, noise: Tensor, time: float | Tensor) -> Tensor:
        start, draw = components(m, AXIS), components(noise, AXIS)
        if isinstance(method, RotationSplitting):
            moved = method.step(rate, start, draw, spread, (dt, time))
        else:
            moved = method(rate, start, draw, dt, time)
        return unit(torch.cat(moved, AXIS), AXIS)

    return advance


@cites("10.1103/PhysRev.130.1677", "10.1103/PhysRevB.58.14937")
def step(
    parameters: Macrospins,
    magnetisation: Float[Tensor, "*points 3 replicas"],
    noise: Float[Tensor, "*points 3 replicas"],
    time: float = 0.0,
    method: Scheme = heun_step,
) -> Float[Tensor, "*points 3 replicas"]:
    """Advance by one time step with the thermal field, then back onto the unit sphere.

    B = B(m, t) + B_th noise, B_th = `llg.thermal_field_std`, held over the step in all stages of
    the method (Stratonovich).

    Symbols: m unit magnetisation; noise N(0, 1); time at the start of the step (s).

    Source: Brown (1963); García-Palacios and Lázaro (1998).

    Bias, measured against quadrature and `fokker_planck_rate`: ⟨m_z²⟩ at σ = 5, slowest rate at
    σ = 5, ⟨m_z²⟩ of an easy plane of Δ = 5; sampling error 0.1 %, 1 to 2 %, 0.1 to 0.3 %:

    | α, Δt/τ_N, γB_kΔt | Heun | frozen Runge-Kutta | `RotationSplitting` |
    | --- | --- | --- | --- |
    | 1, 0.1, 1 | 2.1 %, −12 %, −17 % | 2.8 %, −29 %, −8 % | 0.1 %, 4 %, −1.9 % |
    | 1, 0.02, 0.2 | 0.6 %, −1 %, −1.7 % | 0.5 %, −5 %, −1.4 % | 0, 1 %, −0.3 % |
    | 0.1, 0.02, 1 | −16 %, 145 %, −19 % | 3.0 %, −22 %, −2.7 % | 0, 1 %, −0.2 % |
    | 0.02, 0.002, 0.5 | −11 %, 89 %, −9 % | 0.5 %, −4 %, −0.4 % | 0, 0, 0.2 % |
    | 0.02, 0.0005, 0.13 | 0, 0, −0.7 % | 0.1 %, −1 %, −0.3 % | 0, 3 %, −0.2 % |

    So Heun wants γB_kΔt < 0.1 and Δt < 0.01 τ_N, and frozen noise is no cure for the second.
    """
    return _advance(parameters, magnetisation, method)(magnetisation, noise, time)


def simulate(
    parameters: Macrospins,
    magnetisation: Float[Tensor, "*points 3 replicas"],
    noise: StepNoise,
    steps: range,
    observe: Callable[[int, Tensor], None] | None = None,
    method: Scheme = heun_step,
) -> Float[Tensor, "*points 3 replicas"]:
    """Return the magnetisation after the steps with the given indices; step i starts at i Δt.

    `observe(i, m)` sees the state after step i. range(0, n) equals range(0, k) then range(k, n).

    Raises:
        ValueError: m lacks operating points that the parameters have.
    """
    check_points(parameters, magnetisation)
    advance = _advance(parameters, magnetisation, method)

    def one(index: int, m: Tensor, draw: Tensor) -> Tensor:
        return advance(m, draw, index * parameters.time_step)

    return integrate(one, magnetisation, noise, steps, observe)


def compiled_step(
    parameters: Macrospins,
    like: Float[Tensor, "*points 3 replicas"],
    method: Scheme = heun_step,
) -> Step:
    """Return `step` compiled for the shape, dtype and device of `like`, for `integrate`.

    `integrate(compiled_step(parameters, m), m, noise, range(n))` is `simulate` with every step one
    fused loop, some five times as fast without its noise. Compiling takes seconds and needs a C++
    compiler (on CUDA, Triton). Bits may differ from those of `step`, by rounding.

    Raises:
        ValueError: `like` lacks operating points that the parameters have; later, m or its noise is
            not of the shape, dtype and device of `like`.
    """
    # Here, because the compiler takes as long to import as all of torch.
    from torch import _inductor
    from torch.fx.experimental.proxy_tensor import make_fx

    check_points(parameters, like)
    time = torch.zeros((), dtype=torch.float64)
    inputs: list[Any] = [like, torch.zeros_like(like), time]
    # Inductor without Dynamo: no guards, which cost as much per call as 10,000 replicas, and no
    # limit on how many ensembles one process may compile.
    with torch.no_grad():
        compiled = _inductor.compile(make_fx(_advance(parameters, like, method))(*inputs), inputs)
    expected = (like.shape, like.dtype, like.device)

    def one(index: int, m: Tensor, draw: Tensor) -> Tensor:
        for name, given in (("magnetisation", m), ("noise", draw)):
            if (given.shape, given.dtype, given.device) != expected:
                raise ValueError(
                    f"Argument `{name}` must be {expected[1]} {tuple(expected[0])} on "
                    f"{expected[2]}, as compiled for, but is {given.dtype} {tuple(given.shape)} "
                    f"on {given.device}."
                )
        return compiled(m, draw, time.new_tensor(index * parameters.time_step))

    return one


def check_points(parameters: Macrospins, magnetisation: Tensor) -> None:
    """Refuse a magnetisation without the operating points of the parameters.

    Raises:
        ValueError: names both shapes.
    """
    points = tuple(magnetisation.shape[:AXIS])
    if tuple(torch.broadcast_shapes(points, parameters.points)) != points:
        raise ValueError(
            f"`magnetisation` must have the operating points {tuple(parameters.points)}, but has "
            f"{points}."
        )


def init(
    parameters: Macrospins, replicas: int, generator: torch.Generator, nodes: int = 4001
) -> Float[Tensor, "*points 3 replicas"]:
    """Return magnetisations drawn from Boltzmann's law of K_eff at time 0 alone, without a field.

    m_z by inversion of its distribution p(m_z) ∝ exp(σ m_z²), σ = K_eff V/kT, on `nodes` points;
    the azimuth is uniform. Of the dtype and device of K_eff, float64 where that is a number.

    Raises:
        ValueError: `replicas` is less than 1, a temperature is zero, or K_eff differs between the
            replicas of a point.
    """
    if replicas < 1:
        raise ValueError(f"Argument `replicas` must be at least 1, but is {replicas}.")
    anisotropy = torch.as_tensor(at(parameters.effective_anisotropy, 0.0))
    dtype = anisotropy.dtype if anisotropy.ndim else torch.float64
    area, grid = _distribution(parameters, anisotropy.double(), nodes)
    uniform = torch.empty((2, *area.shape[:-1], replicas), dtype=grid.dtype, device=grid.device)
    uniform.uniform_(generator=generator)
    right = torch.searchsorted(area, uniform[0].contiguous()).clamp(1, nodes - 1)
    low, high = area.gather(-1, right - 1), area.gather(-1, right)
    fraction = (uniform[0] - low) / (high - low).clamp(min=1e-300)
    m_z = torch.lerp(grid[right - 1], grid[right], fraction)
    azimuth, radius = 2 * math.pi * uniform[1], (1 - m_z.square()).clamp(min=0).sqrt()
    return torch.stack((radius * azimuth.cos(), radius * azimuth.sin(), m_z), AXIS).to(dtype)


def _distribution(
    parameters: Macrospins, anisotropy: Tensor, nodes: int
) -> tuple[Float[Tensor, "*points nodes"], Float[Tensor, " nodes"]]:
    """Return the distribution function of m_z of each point, and where it is given."""
    temperature = torch.as_tensor(parameters.temperature, dtype=torch.float64).to(anisotropy.device)
    if not bool((temperature > 0).all()):
        raise ValueError("`temperature` must be positive for a draw from Boltzmann's law, not 0 K.")
    barrier = anisotropy * (parameters.layer.volume / BOLTZMANN) / temperature
    if barrier.ndim and barrier.shape[-1] != 1:
        raise ValueError(
            f"`effective_anisotropy` must have one value per operating point for a draw from "
            f"Boltzmann's law, but has {barrier.shape[-1]}."
        )
    barrier = barrier.expand(*parameters.points, 1)
    grid = torch.linspace(-1, 1, nodes, dtype=barrier.dtype, device=barrier.device)
    exponent = barrier * grid.square()
    density = torch.exp(exponent - exponent.amax(-1, keepdim=True))
    area = torch.cat(
        (torch.zeros_like(density[..., :1]), (density[..., 1:] + density[..., :-1]).cumsum(-1)), -1
    )
    return area / area[..., -1:], grid


def energy(
    parameters: Macrospins, magnetisation: Float[Tensor, "*points 3 replicas"], time: float = 0.0
) -> Float[Tensor, "*points replicas"]:
    """Return E = −K_eff V m_z² − K_ip V m_x² − M_s V m·B_applied, in joules.

    Spin torques have no energy and are left out. Falls along any noiseless path without them.
    """
    conservative = replace(parameters, spin_torques=())
    field = effective_field(conservative, magnetisation, time)
    applied = _vector(at(parameters.applied_field, time), magnetisation)
    energies = magnetisation * (field + applied) / 2
    moment = parameters.layer.saturation_magnetisation * parameters.layer.volume
    return -moment * energies.sum(AXIS)


def status(
    magnetisation: Float[Tensor, "*points 3 replicas"],
) -> Int[Tensor, "*points replicas"]:
    """Return 0 for each replica that is finite, 1 for each that is not, in int8."""
    return (~magnetisation.isfinite().all(AXIS)).to(torch.int8)
