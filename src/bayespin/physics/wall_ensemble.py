"""Ensembles of domain walls as two coordinates: position q and angle φ, with notches and noise.

Layout of the state: `*points 2 replicas`, q in metres at index 0, φ in radians at 1. The wall is
|up|down> along +x and the signs are those of `wall_motion`:

(1 + α²) q̇ = γΔ(αB_q + B_φ),   (1 + α²) φ̇ = γ(B_q − αB_φ),
B_q = B + (π/2)B_SH cos φ + βu/(γΔ) − U'(q)/(2M_sS) + thermal,
B_φ = (B_p/2) sin 2φ + (π/2)B_D sin φ + u/(γΔ) + thermal,

which are the equations of micromagnetics.md §5.8 solved for q̇ and φ̇. Without current they
descend, at a rate set by α, the energy
E = U(q) − 2M_sSBq + M_sSΔ(B_p sin² φ − πB_D cos φ).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import torch

from bayespin.cite import cites
from bayespin.constants import BOLTZMANN, GYROMAGNETIC_RATIO
from bayespin.numerics.stochastic import StepNoise, heun_step, integrate
from bayespin.physics.drive import Driven, at, largest
from bayespin.physics.llg import check_temperature, gyration_rate
from bayespin.shapes import Bool, Float, Int, Tensor
from bayespin.units import format_quantity

Value = float | Tensor
"""One value for all walls, or a tensor that broadcasts to *points replicas (device variation)."""


@dataclass(frozen=True, kw_only=True)
class Notches:
    """The pinning potential U(q) = −∑_k U0_k exp(−((q − q_k)/w_k)²).

    The notch axis is the last but one, where the state has its two coordinates; an axis of
    replicas of length 1 gives every replica the same notches.

    Raises:
        ValueError: there is no notch, a width is not positive, a value not finite.
    """

    position: Float[Tensor, "*points notches replicas"]
    """q_k, m."""
    depth: Float[Tensor, "..."]
    """U0, J; broadcasts to the positions. Negative for a hill."""
    width: Float[Tensor, "..."]
    """w, m; broadcasts to the positions."""

    def __post_init__(self) -> None:
        if self.position.shape[-2] < 1:
            raise ValueError("`position` must hold at least one notch, but holds none.")
        for name in ("position", "depth", "width"):
            if not bool(getattr(self, name).isfinite().all()):
                raise ValueError(f"`{name}` must be finite, but is not.")
        if not bool((self.width > 0).all()):
            raise ValueError(f"`width` must be positive, but is {float(self.width.min()):g} m.")


@dataclass(frozen=True, kw_only=True)
class WallTrack:
    """What a wall lives on; `wall_calibration` measures it from a film.

    Raises:
        ValueError: a quantity is not positive or not finite, or the ends are not in order.
    """

    wall_width: Value
    """Δ, m: rigid, it does not breathe with φ."""
    saturation_magnetisation: Value
    """M_s, A/m."""
    cross_section: Value
    """S, width times thickness of the track, m²."""
    damping: Value
    """α."""
    hard_axis: Value = 0.0
    """B_p, T: positive holds φ = 0 or π (Néel), negative ±π/2 (Bloch)."""
    dmi: Value = 0.0
    """B_D, T: positive holds φ = 0. See `wall_motion.dmi_field` for the sign of a film's D."""
    nonadiabaticity: Value = 0.0
    """β of Zhang and Li."""
    notches: Notches | None = None
    ends: tuple[float, float] = (-math.inf, math.inf)
    """m. A wall that reaches an end leaves the track there, and stays at the end (`left_track`)."""

    def __post_init__(self) -> None:
        for name in ("wall_width", "saturation_magnetisation", "cross_section", "damping"):
            values = torch.as_tensor(getattr(self, name))
            wrong = values[~((values > 0) & values.isfinite())]
            if wrong.numel():
                raise ValueError(
                    f"`{name}` must be positive and finite, but is {float(wrong[0]):g}."
                )
        for name in ("hard_axis", "dmi", "nonadiabaticity"):
            if not bool(torch.as_tensor(getattr(self, name)).isfinite().all()):
                raise ValueError(f"`{name}` must be finite, but is not.")
        if not self.ends[0] < self.ends[1]:
            raise ValueError(f"`ends` must be in order, but are {self.ends}.")

    @property
    def moment_density(self) -> Value:
        """M_sS, moment per length of track, A m."""
        return self.saturation_magnetisation * self.cross_section


@dataclass(frozen=True, kw_only=True)
class Walls:
    """An ensemble: a track, what drives the walls, and how they are stepped.

    Raises:
        ValueError: the temperature is negative or not finite, a drive is not finite, or the time
            step is not positive or beyond `largest_stable_step`, which the sentence names.
    """

    track: WallTrack
    temperature: Value
    """K."""
    time_step: float
    """s; 1/20 of `largest_stable_step` and of the fastest turn 1/(γB) is accurate to 1 %."""
    field: Driven = 0.0
    """B along +z, T."""
    spin_hall_field: Driven = 0.0
    """B_SH, T, of a current along +x with spins along +y (`spin_torque.spin_hall_field`)."""
    drift_velocity: Driven = 0.0
    """u, m/s, positive where electrons drift along +x (`spin_torque.drift_velocity`)."""

    def __post_init__(self) -> None:
        check_temperature(self.temperature)
        for name in ("field", "spin_hall_field", "drift_velocity"):
            if not math.isfinite(bound := largest(getattr(self, name))):
                raise ValueError(f"`{name}` must be finite, but is {bound:g}.")
        if not 0 < self.time_step < math.inf:
            raise ValueError(f"`time_step` must be positive, but is {self.time_step:g} s.")
        limit = largest_stable_step(self.track, largest(self.spin_hall_field))
        if self.time_step > limit:
            raise ValueError(
                f"`time_step` must be at most {format_quantity(limit, 's')} for the stiffness of "
                f"the notches and of the angle, but is {format_quantity(self.time_step, 's')}."
            )


def _like(value: Any, state: Tensor) -> Any:
    """Return a value in the dtype and on the device of the state; a number stays a number."""
    return value.to(state) if isinstance(value, Tensor) else value


def _offsets(notches: Notches, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (q − q_k)/w_k, w_k and U0_k exp(−((q − q_k)/w_k)²), the notch axis last but one."""
    width = notches.width.to(position)
    offset = (position.unsqueeze(-2) - notches.position.to(position)) / width
    return offset, width, notches.depth.to(position) * torch.exp(-offset.square())


def _total(parts: Tensor) -> Tensor:
    """Return the sum over the notches, in an order that does not depend on the shape.

    `Tensor.sum` adds a lone replica in another order than a batch.
    """
    return reduce(torch.add, parts.unbind(-2))


def _coordinates(state: Tensor) -> tuple[Tensor, Tensor]:
    """Return q and φ, dense: strided numbers pass through other code, which rounds differently."""
    position, angle = state.unbind(-2)
    return position.contiguous(), angle.contiguous()


def potential(
    notches: Notches | None, position: Float[Tensor, "*points replicas"]
) -> Float[Tensor, "*points replicas"]:
    """Return U(q) of the notches in joules, 0 without notches."""
    if notches is None:
        return torch.zeros_like(position)
    return -_total(_offsets(notches, position)[2])


def potential_slope(
    notches: Notches | None, position: Float[Tensor, "*points replicas"]
) -> Float[Tensor, "*points replicas"]:
    """Return dU/dq in newtons."""
    if notches is None:
        return torch.zeros_like(position)
    offset, width, well = _offsets(notches, position)
    return _total(2 * offset / width * well)


def potential_curvature(
    notches: Notches | None, position: Float[Tensor, "*points replicas"]
) -> Float[Tensor, "*points replicas"]:
    """Return d²U/dq² in N/m; 2U0/w² at the bottom of a lone notch."""
    if notches is None:
        return torch.zeros_like(position)
    offset, width, well = _offsets(notches, position)
    return _total((2 - 4 * offset.square()) / width.square() * well)


def position_stiffness(
    track: WallTrack, position: Float[Tensor, "*points replicas"]
) -> Float[Tensor, "*points replicas"]:
    """Return −Δ ∂B_q/∂q = ΔU''(q)/(2M_sS) in tesla, the stiffness field of the position."""
    curvature = potential_curvature(track.notches, position)
    scale = _like(track.wall_width, position) / (2 * _like(track.moment_density, position))
    return scale * curvature


def angle_stiffness(
    track: WallTrack, angle: Float[Tensor, "*points replicas"]
) -> Float[Tensor, "*points replicas"]:
    """Return ∂B_φ/∂φ = B_p cos 2φ + (π/2)B_D cos φ in tesla, the stiffness field of the angle."""
    hard, dmi = _like(track.hard_axis, angle), _like(track.dmi, angle)
    return hard * (2 * angle).cos() + math.pi / 2 * dmi * angle.cos()


def resting_angle(track: WallTrack, like: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return the φ of lowest energy without drive, shaped as `like`; of ±φ the one above 0.

    0 or π by the sign of B_D where B_p >= 0; cos φ = πB_D/(2|B_p|), cut at ±1, where B_p < 0.
    """
    hard = torch.as_tensor(track.hard_axis).to(like).expand(like.shape)
    dmi = torch.as_tensor(track.dmi).to(like).expand(like.shape)
    bloch = math.pi / 2 * dmi / torch.where(hard < 0, -hard, torch.ones_like(hard))
    neel = torch.where(dmi < 0, -torch.ones_like(dmi), torch.ones_like(dmi))
    return torch.where(hard < 0, bloch.clamp(-1, 1), neel).acos()


def largest_stable_step(track: WallTrack, spin_hall_field: float = 0.0) -> float:
    """Return the largest time step in seconds with which Heun damps every small motion.

    With stiffness fields a of the position and c of the angle small motions go as e^{λt},
    λ² + 2rλ + s = 0, r = γα(a + c)/(2(1 + α²)), s = γ²ac/(1 + α²). |1 + z + z²/2| = 1, z = λΔt, at
    Δt = 2rx/s, x³ − 2x² + 2x = s/r², where they oscillate (s > r²); else at 2/(r + √(r² − s)).

    Symbols: a ΔU''/(2M_sS) at the bottom of the steepest notch, c = |B_p| + (π/2)(|B_D| + |B_SH|)
    (T). Equals `llg.largest_stable_step` for a = c. Infinite where nothing is stiff. Stability is
    not accuracy.
    """
    angle = sum(
        (torch.as_tensor(one, dtype=torch.float64).abs() * factor)
        for one, factor in (
            (track.hard_axis, 1.0),
            (track.dmi, math.pi / 2),
            (spin_hall_field, math.pi / 2),
        )
    )
    place = torch.zeros((), dtype=torch.float64)
    if track.notches is not None:
        centres = track.notches.position.double().movedim(-2, 0)
        place = torch.stack([position_stiffness(track, one) for one in centres]).amax(0)
        place = place.clamp(min=0)
    alpha = torch.as_tensor(track.damping, dtype=torch.float64)
    rate = gyration_rate(alpha)
    half = alpha * rate * (place + angle) / 2
    square = (1 + alpha**2) * rate**2 * place * angle
    excess = torch.where(half > 0, square / half.square(), torch.zeros_like(square))
    root = (27 * excess - 20) / (4 * math.sqrt(2))
    turning = 2 / 3 + 2 * math.sqrt(2) / 3 * torch.sinh(torch.asinh(root) / 3)
    slow = 2 / (half + (half.square() - square).clamp(min=0).sqrt())
    return float(torch.where(excess > 1, 2 * half * turning / square, slow).min())


def thermal_field_std(walls: Walls) -> Value:
    """Return the standard deviation of either thermal field over one step, √(αkT/(γM_sΔSΔt)), T.

    Symbols: α damping; k Boltzmann's constant; T temperature (K); γ (rad/(s T)); M_s (A/m); Δ
    width parameter (m); S cross section (m²); Δt time step (s). Independent in B_q and B_φ:
    fluctuation and dissipation balance in both (micromagnetics.md §5.8).
    """
    track = walls.track
    power = track.damping * (BOLTZMANN * walls.temperature)
    volume = track.cross_section * track.wall_width
    moment = GYROMAGNETIC_RATIO * track.saturation_magnetisation * volume
    return (power / (moment * walls.time_step)) ** 0.5


def fields(
    walls: Walls, state: Float[Tensor, "*points 2 replicas"], time: Any = 0.0
) -> tuple[Float[Tensor, "*points replicas"], Float[Tensor, "*points replicas"]]:
    """Return B_q and B_φ of the module's equations without noise, in tesla."""
    track = walls.track
    position, angle = _coordinates(state)
    sine, cosine = angle.sin(), angle.cos()
    spin_hall = _like(at(walls.spin_hall_field, time), state)
    drift = _like(at(walls.drift_velocity, time), state)
    drift = drift / (GYROMAGNETIC_RATIO * _like(track.wall_width, state))
    along = _like(at(walls.field, time), state) + _like(track.nonadiabaticity, state) * drift
    along = along + math.pi / 2 * spin_hall * cosine
    if track.notches is not None:
        slope = potential_slope(track.notches, position)
        along = along - slope / (2 * _like(track.moment_density, state))
    across = _like(track.hard_axis, state) * cosine + math.pi / 2 * _like(track.dmi, state)
    return along, sine * across + drift


def _rate(
    walls: Walls, amplitude: Value, time: float | Tensor, state: Tensor, forcing: Tensor
) -> Tensor:
    """Return (q̇, φ̇) by the module's equations, thermal fields `amplitude` · forcing included."""
    damping, width = _like(walls.track.damping, state), _like(walls.track.wall_width, state)
    along, across = fields(walls, state, time)
    along = along + amplitude * forcing[..., 0, :]
    across = across + amplitude * forcing[..., 1, :]
    scale = gyration_rate(damping)
    velocity = scale * width * (damping * along + across)
    return torch.stack((velocity, scale * (along - damping * across)), -2)


def init(
    track: WallTrack, position: Float[Tensor, "*points one"], replicas: int
) -> Float[Tensor, "*points 2 replicas"]:
    """Return walls at rest at the given positions (m), one or one per replica, at `resting_angle`.

    Raises:
        ValueError: `replicas` is less than 1.
    """
    if replicas < 1:
        raise ValueError(f"Argument `replicas` must be at least 1, but is {replicas}.")
    spread = position.expand(*position.shape[:-1], replicas)
    return torch.stack((spread, resting_angle(track, spread)), -2)


@cites("10.1209/0295-5075/78/57007", "10.1209/0295-5075/100/57002")
def step(
    walls: Walls,
    state: Float[Tensor, "*points 2 replicas"],
    noise: Float[Tensor, "*points 2 replicas"],
    time: float | Float[Tensor, ""] = 0.0,
) -> Float[Tensor, "*points 2 replicas"]:
    """Advance by one Heun step with thermal noise; walls that reach an end of the track stop.

    B_q and B_φ of `fields`, each with `thermal_field_std` · noise. The noise is additive, so that
    Itô and Stratonovich agree and every step method converges to the same law.

    Symbols: noise N(0, 1); time at the start of the step (s).

    Source: Mougin et al. (2007); Thiaville et al. (2012). Bias of averages of order Δt.
    """
    track = walls.track
    amplitude = _like(thermal_field_std(walls), state) * math.sqrt(walls.time_step)
    rate = partial(_rate, walls, amplitude)
    moved = heun_step(rate, state, noise, walls.time_step, time)
    if math.isinf(track.ends[0]) and math.isinf(track.ends[1]):
        return moved
    inside = ~left_track(track, state).unsqueeze(-2)
    position, angle = moved.unbind(-2)
    return torch.where(inside, torch.stack((position.clamp(*track.ends), angle), -2), state)


def simulate(
    walls: Walls,
    state: Float[Tensor, "*points 2 replicas"],
    noise: StepNoise,
    steps: range,
    observe: Callable[[int, Tensor], None] | None = None,
) -> Float[Tensor, "*points 2 replicas"]:
    """Return the state after the steps with the given indices; step i begins at i `time_step`.

    `observe(i, state)` sees the state after step i. range(0, n) equals range(0, k) then
    range(k, n).
    """

    def advance(index: int, now: Tensor, draw: Tensor) -> Tensor:
        return step(walls, now, draw, index * walls.time_step)

    return integrate(advance, state, noise, steps, observe)


def energy(
    walls: Walls, state: Float[Tensor, "*points 2 replicas"], time: float = 0.0
) -> Float[Tensor, "*points replicas"]:
    """Return E = U(q) − 2M_sSBq + M_sSΔ(B_p sin² φ − πB_D cos φ) in joules.

    Falls along any noiseless path without currents, which have no energy and are left out. The
    law of equilibrium is exp(−E/kT) with the flat measure of q and φ.
    """
    track = walls.track
    position, angle = _coordinates(state)
    moment = _like(track.moment_density, state)
    zeeman = 2 * moment * _like(at(walls.field, time), state) * position
    hard, dmi = _like(track.hard_axis, state), _like(track.dmi, state)
    turned = hard * angle.sin().square() - math.pi * dmi * angle.cos()
    inner = moment * _like(track.wall_width, state) * turned
    return potential(track.notches, position) - zeeman + inner


def left_track(
    track: WallTrack, state: Float[Tensor, "*points 2 replicas"]
) -> Bool[Tensor, "*points replicas"]:
    """Return which walls have left the track; each stays at the end where it did."""
    position = state[..., 0, :]
    return (position <= track.ends[0]) | (position >= track.ends[1])


def level(
    notches: Notches, state: Float[Tensor, "*points 2 replicas"]
) -> Int[Tensor, "*points replicas"]:
    """Return the index of the notch nearest to each wall: the level that a track holds."""
    distance = state[..., :1, :] - notches.position.to(state)
    return distance.abs().argmin(-2)
