"""Micromagnetic ensembles: batches of films that move by the stochastic LLG equation.

Axes of m: batch first (operating points, replicas), then component, z, y, x.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.numerics.dormand_prince import Adaptive, dormand_prince
from bayespin.numerics.memory import free_memory
from bayespin.numerics.stochastic import StepNoise, heun_step, integrate
from bayespin.physics.drive import Driven, Pulse, PulseTrain, Sine, Sum, at, edges, largest
from bayespin.physics.film.film import Film
from bayespin.physics.film.gradient import directional_derivative
from bayespin.physics.film.mesh import Mesh, check_cell
from bayespin.physics.film.operator import Evaluation, LinearField, linear_field
from bayespin.physics.llg import (
    check_temperature,
    check_time_step,
    components,
    cross,
    thermal_field_std,
    torque,
    unit,
)
from bayespin.physics.spin_torque import SpinTorque
from bayespin.shapes import Float, Tensor

AXIS = -4
"""The component axis of a film's magnetisation."""
COPIES = 24
"""Copies of m that a stochastic step may need at once, noise and fields included."""
DEMAGNETISATION_BYTES = 2600
"""Bytes per cell at the peak of making the demagnetising field, measured: 1,800 to 2,600."""


@dataclass(frozen=True, kw_only=True)
class Drive:
    """What acts on a film from outside; each value may change in time and along the batch.

    Raises:
        ValueError: a value is not finite.
    """

    applied_field: Driven = 0.0
    """Tesla; (3,) for a uniform field, or a shape that broadcasts to batch 3 z y x."""
    anisotropy_shift: Driven = 0.0
    """Added to K_u along the easy axis, J/m³; broadcasts to batch 1 z y x (VCMA, grains)."""
    spin_torques: tuple[SpinTorque, ...] = ()
    drift_velocity: Driven = 0.0
    """u of Zhang and Li, m/s, along the drift of the electrons; (3,) or batch 3 1 1 1."""
    nonadiabaticity: Driven = 0.0
    """β of Zhang and Li; a tensor broadcasts to batch 1 1 1 1."""

    def __post_init__(self) -> None:
        for name in ("applied_field", "anisotropy_shift", "drift_velocity", "nonadiabaticity"):
            if not math.isfinite(bound := largest(getattr(self, name))):
                raise ValueError(f"`{name}` must be finite, but is {bound:g}.")
        for name in ("applied_field", "drift_velocity"):
            object.__setattr__(self, name, _beside_cells(getattr(self, name)))

    def to(self, like: Float[Tensor, "..."]) -> "Drive":
        """Return the same drive with its tensors in the dtype and on the device of `like`."""

        def moved(value: Driven) -> Driven:
            return _mapped(value, lambda tensor: tensor.to(like))

        torques = tuple(
            replace(
                torque,
                direction=torque.direction.to(like),
                damping_like=moved(torque.damping_like),
                field_like=moved(torque.field_like),
            )
            for torque in self.spin_torques
        )
        return Drive(
            applied_field=moved(self.applied_field),
            anisotropy_shift=moved(self.anisotropy_shift),
            spin_torques=torques,
            drift_velocity=moved(self.drift_velocity),
            nonadiabaticity=moved(self.nonadiabaticity),
        )


def _mapped(value: Driven, change: Callable[[Tensor], Tensor]) -> Driven:
    """Return a driven value with its tensor, or that of its waveform, changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, (Pulse, Sine, PulseTrain)):
        return replace(value, amplitude=_mapped(value.amplitude, change))
    if isinstance(value, Sum):
        return Sum(parts=tuple(_mapped(part, change) for part in value.parts))
    return value


def _beside_cells(value: Driven) -> Driven:
    """Return a driven vector with its three components on the component axis."""
    return _mapped(value, lambda t: t.reshape(3, 1, 1, 1) if t.shape == (3,) else t)


def _vector(value: Driven, time: Any, like: Tensor) -> Tensor:
    """Return a driven vector at a time; any function of time may return three components."""
    found = _tensor(at(value, time), like)
    return found.reshape(3, 1, 1, 1) if found.shape == (3,) else found


@dataclass(frozen=True, kw_only=True)
class Films:
    """An ensemble: one film, what drives it, and how it is stepped. Made by `films`."""

    film: Film
    drive: Drive
    temperature: float
    """K."""
    time_step: float
    """s."""
    linear: LinearField
    mesh: Mesh
    """The mesh of the film, masked where M_s is zero, its mask on the device of the ensemble."""
    per_shift: Float[Tensor, "z y x"] = field(repr=False)
    """2/M_s, T per J/m³; zero in vacuum."""
    thermal_field: Float[Tensor, "z y x"] = field(repr=False)
    """Standard deviation of each component over one step, T; zero in vacuum."""
    damping: float | Float[Tensor, "z y x"] = field(repr=False)


def films(
    film: Film,
    drive: Drive,
    *,
    time_step: float,
    temperature: float = 0.0,
    like: Float[Tensor, "..."],
    evaluation: Evaluation = "auto",
) -> Films:
    """Return an ensemble whose tensors have the dtype and device of `like`.

    Raises:
        ValueError: the time step is larger than the stiffest field allows (the sentence names the
            largest stable one), the temperature is negative, or the mesh does not fit the memory
            (the sentence names one that does).
    """
    check_memory(film, like)
    check_temperature(temperature)
    check_cell(film.mesh, film.exchange, film.moment_density, film.wall_anisotropy)
    damping = torch.as_tensor(film.damping, dtype=torch.float64)
    check_time_step(
        time_step, film.stiffest_field + _stiffest_field(film, drive), float(damping.min())
    )
    if temperature > 0:
        std = thermal_field_std(
            damping,
            film.moment_density.clamp(min=float(film.moment_density.max()) * 1e-9),
            film.mesh.cell_volume,
            temperature,
            time_step,
        )
    else:
        std = torch.zeros(film.mesh.shape, dtype=torch.float64)
    mesh = film.mesh
    if not bool(film.occupied.all()):  # by the mask, or by a map of M_s
        mesh = replace(mesh, mask=film.occupied.bool().to(like.device))
    return Films(
        film=film,
        drive=drive.to(like),
        temperature=temperature,
        time_step=time_step,
        linear=linear_field(film.linear_field, film.mesh, like, evaluation),
        mesh=mesh,
        per_shift=(2 * film.inverse_moment_density).to(like),
        thermal_field=(film.occupied * std).to(like),
        damping=damping.to(like) if damping.ndim else float(damping),
    )


def _stiffest_field(film: Film, drive: Drive) -> float:
    """Return the largest field that a drive adds, as far as its waveforms tell, in tesla."""
    shift = 2 * largest(drive.anisotropy_shift) * float(film.inverse_moment_density.max())
    torques = sum(torque.largest_field for torque in drive.spin_torques)
    return largest(drive.applied_field) + shift + torques


def check_memory(film: Film, like: Float[Tensor, "..."]) -> None:
    """Refuse a mesh that would not fit the memory of the device of `like`.

    Raises:
        ValueError: names the memory that it takes, what is free, and a mesh that fits.
    """
    mesh = film.mesh
    cells = math.prod(mesh.shape)
    needed, free = cells * COPIES * 3 * like.dtype.itemsize, free_memory(like.device)
    if film.demagnetisation == "newell" and free_memory("cpu") * needed < (
        free * cells * DEMAGNETISATION_BYTES
    ):  # the tensor is made in the memory of the machine, whatever the device
        needed, free = cells * DEMAGNETISATION_BYTES, free_memory("cpu")
    if needed > free:
        axes = sum(count > 1 for count in mesh.cells)
        share = (free / needed) ** (1 / axes)
        fits = " x ".join(str(max(1, int(n * share)) if n > 1 else 1) for n in mesh.cells)
        raise ValueError(
            f"`mesh` of {' x '.join(map(str, mesh.cells))} cells takes {needed / 1e9:.3g} GB, but "
            f"{free / 1e9:.3g} GB are free: {fits} cells would fit."
        )


def _tensor(value: Any, like: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)


def _acts(value: Driven) -> bool:
    """Return False for the number 0 alone: tensors may wait on a device."""
    return not isinstance(value, (int, float)) or value != 0


def _axis(film: Film, like: Tensor) -> Tensor:
    return _tensor(film.easy_axis, like).reshape(3, 1, 1, 1)


def effective_field(
    films: Films,
    m: Float[Tensor, "*batch 3 z y x"],
    time: Any = 0.0,
    forcing: Float[Tensor, "*batch 3 z y x"] | None = None,
) -> Float[Tensor, "*batch 3 z y x"]:
    """Return everything that turns m, as a field in tesla.

    B = L m + B_th √Δt ξ + B_applied(t) + (2ΔK(t)/M_s)(m·e)e + B_spin torques + B_Zhang-Li, where
    B_Zhang-Li = −(1/γ)[m × (u·∇)m + β(u·∇)m].

    Symbols: ξ `forcing`, white noise of unit spectral density (1/√s); B_th `thermal_field`.

    Source: Zhang and Li, DOI 10.1103/PhysRevLett.93.127204, as a field.
    """
    drive = films.drive
    applied = _vector(drive.applied_field, time, m)
    if forcing is not None:
        applied = torch.addcmul(applied, forcing, films.thermal_field * films.time_step**0.5)
    field = films.linear(m, applied)
    if _acts(drive.anisotropy_shift):
        shift = _tensor(at(drive.anisotropy_shift, time), m)
        axis = _axis(films.film, m)
        along = (m * axis).sum(AXIS, keepdim=True)
        field = field + shift * films.per_shift * along * axis
    for spin_torque in drive.spin_torques:
        parts = spin_torque.field_components(components(m, AXIS), time)
        for total, part in zip(components(field, AXIS), parts, strict=True):
            total.add_(part)
    if _acts(drive.drift_velocity):
        drift = _vector(drive.drift_velocity, time, m)
        change = directional_derivative(m, films.mesh, drift)
        turned = cross(m, change, AXIS) + _tensor(at(drive.nonadiabaticity, time), m) * change
        field = field - turned / GYROMAGNETIC_RATIO
    return field


def energy(
    films: Films, m: Float[Tensor, "*batch 3 z y x"], time: float = 0.0
) -> Float[Tensor, "*batch"]:
    """Return E = −∑ M_s V m·(L m/2 + B_applied) − ∑ ΔK V (m·e)², in joules.

    Spin torques have no energy and are left out. Falls along any noiseless path without them.
    """
    film, drive = films.film, films.drive
    applied = _vector(drive.applied_field, time, m)
    density = film.moment_density.to(m)
    linear = (m * (films.linear(m, None) / 2 + applied)).sum(AXIS) * density
    shift = _tensor(at(drive.anisotropy_shift, time), m)
    along = (m * _axis(film, m)).sum(AXIS, keepdim=True)
    extra = (shift * film.occupied.to(m) * along.square()).sum(AXIS)
    return -film.mesh.cell_volume * (linear + extra).sum((-3, -2, -1))


# At module level, because nested functions are checked anew at every call under test.
def _rate(films: Films, time: float | Tensor, m: Tensor, forcing: Tensor | None = None) -> Tensor:
    """Return dm/dt."""
    return torque(m, effective_field(films, m, time, forcing), films.damping, AXIS)


def step(
    films: Films,
    m: Float[Tensor, "*batch 3 z y x"],
    noise: Float[Tensor, "*batch 3 z y x"],
    time: float = 0.0,
) -> Float[Tensor, "*batch 3 z y x"]:
    """Advance by one Heun step with thermal noise, then back onto the unit sphere.

    B_th = `thermal_field` · noise in both stages (Stratonovich).

    Source: García-Palacios and Lázaro, DOI 10.1103/PhysRevB.58.14937, cell by cell.
    """
    return unit(heun_step(partial(_rate, films), m, noise, films.time_step, time), AXIS)


def _numbered(films: Films, index: int, m: Tensor, noise: Tensor) -> Tensor:
    return step(films, m, noise, index * films.time_step)


def _on_sphere(m: Tensor) -> Tensor:
    return unit(m, AXIS)


def simulate(
    films: Films,
    m: Float[Tensor, "*batch 3 z y x"],
    noise: StepNoise,
    steps: range,
    observe: Callable[[int, Tensor], None] | None = None,
) -> Float[Tensor, "*batch 3 z y x"]:
    """Return the magnetisation after the steps with the given indices.

    `observe(i, m)` sees the state after step i. range(0, n) equals range(0, k) then range(k, n).
    """

    seen = None if observe is None else lambda i, state: observe(i, without_vacuum(films, state))
    moved = integrate(partial(_numbered, films), with_vacuum_filled(films, m), noise, steps, seen)
    return without_vacuum(films, moved)


def solve(
    films: Films,
    m: Float[Tensor, " batch 3 z y x"],
    span: tuple[float, float],
    tolerance: float = 1e-5,
    first_step: float | Float[Tensor, " batch"] | None = None,
) -> Adaptive:
    """Integrate without noise over `span` with adaptive steps (Dormand-Prince), each film its own.

    No step crosses an edge of a pulse: a film at rest says nothing against a step that leaps over
    one. What a function of your own switches must be cut by the caller, one span after the other.

    Symbols: span (s); tolerance largest error of a component of m per step.

    Raises:
        ValueError: the ensemble has a temperature: noise needs `simulate`.
    """
    if films.temperature > 0:
        raise ValueError(
            f"`temperature` must be 0 K for adaptive steps, but is {films.temperature:g} K; "
            f"take `simulate`."
        )

    begin = films.time_step if first_step is None else first_step
    rate, parts = partial(_rate, films), _uncut(films.drive, span)
    m = with_vacuum_filled(films, m)
    found = dormand_prince(rate, m, parts[0], begin, tolerance, _on_sphere)
    accepted, rejected = found.accepted, found.rejected
    for part in parts[1:]:
        found = dormand_prince(rate, found.state, part, found.next_step, tolerance, _on_sphere)
        accepted, rejected = accepted + found.accepted, rejected + found.rejected
    return Adaptive(without_vacuum(films, found.state), found.next_step, accepted, rejected)


def _uncut(drive: Drive, span: tuple[float, float]) -> list[tuple[float, float]]:
    """Return the parts of a span between the edges of the drive."""
    driven = [drive.applied_field, drive.anisotropy_shift, drive.drift_velocity]
    driven += [drive.nonadiabaticity]
    driven += [a for torque in drive.spin_torques for a in (torque.damping_like, torque.field_like)]
    start, stop = span
    found = {edge for value in driven for edge in edges(value) if start < edge < stop}
    cuts = [start, *sorted(found), stop]
    return list(itertools.pairwise(cuts))


def with_vacuum_filled(
    films: Films, m: Float[Tensor, "*batch 3 z y x"]
) -> Float[Tensor, "*batch 3 z y x"]:
    """Return m with a unit vector in vacuum, which moves nothing and can be normalised."""
    vacuum = films.film.occupied.to(m) == 0
    if not bool(vacuum.any()):
        return m
    return torch.where(vacuum, _tensor((0.0, 0.0, 1.0), m).reshape(3, 1, 1, 1), m)


def without_vacuum(
    films: Films, m: Float[Tensor, "*batch 3 z y x"]
) -> Float[Tensor, "*batch 3 z y x"]:
    """Return m with zero in vacuum."""
    return m * films.film.occupied.to(m)
