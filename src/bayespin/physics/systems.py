"""Macrospins, films and walls as systems that `ensemble.run` advances and records.

What differs between replicas of one block must be in the state. Devices that differ in their
parameters are operating points.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch

from bayespin.numerics.stochastic import StepNoise, heun_step, keyed_step_noise
from bayespin.physics import macrospin, wall_ensemble
from bayespin.physics.drive import Driven, at
from bayespin.physics.film import motion, texture
from bayespin.physics.film.motion import Films
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.wall_ensemble import Walls
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor

Recorded = dict[str, Tensor]
"""Names and values (*points, replicas) of one record."""


def macrospin_components(
    parameters: Macrospins, m: Float[Tensor, "*points 3 replicas"], time: float
) -> Recorded:
    """Return m_x, m_y and m_z."""
    return dict(zip(("m_x", "m_y", "m_z"), m.unbind(-2), strict=True))


def film_averages(
    films: Films, m: Float[Tensor, "*points replicas 3 z y x"], time: float
) -> Recorded:
    """Return the components of ⟨m⟩."""
    return dict(zip(("m_x", "m_y", "m_z"), films.film.average(m).unbind(-1), strict=True))


def wall_coordinates(
    walls: Walls, state: Float[Tensor, "*points 2 replicas"], time: float
) -> Recorded:
    """Return the position in metres and the angle in radians."""
    return dict(zip(("wall_position", "wall_angle"), state.unbind(-2), strict=True))


def _check_start(start: Tensor, axis: int, occupied: Tensor | None = None) -> None:
    """Refuse vectors that are not of unit length: the first record would show them as they are."""
    wrong = ~((start.norm(dim=axis) - 1).abs() < 1e-3)
    if occupied is not None:
        wrong = wrong & occupied.to(start.device)
    if bool(wrong.any()):
        raise ValueError(
            f"`start` must hold unit vectors, but {int(wrong.sum())} of {wrong.numel()} are not; "
            f"take `llg.unit` of it."
        )


def _check_points(name: str, held: tuple[int, ...], driven: Iterable[Driven], inner: int) -> None:
    """Refuse a state without the operating points of its drive: no step can add an axis to it.

    `inner` axes of a driven value belong to one operating point.
    """
    shapes = [torch.as_tensor(at(value, 0.0)).shape[:-inner] for value in driven]
    try:
        enough = torch.broadcast_shapes(held, *shapes) == tuple(held)
    except RuntimeError:
        enough = False
    if not enough:
        wanted = ", ".join(str(tuple(shape)) for shape in dict.fromkeys(shapes) if shape)
        raise ValueError(
            f"`{name}` must have the operating points of what drives it, {wanted}, "
            f"but has {tuple(held)}; expand it to them."
        )


@dataclass(frozen=True, kw_only=True)
class MacrospinEnsemble:
    """Macrospins, (*points, 3, replicas)."""

    parameters: Macrospins
    start: Float[Tensor, "*points 3 1"] | None = field(default=None, repr=False)
    """m at time 0; without it a draw from Boltzmann's law of the anisotropy alone."""
    observe: Callable[[Macrospins, Tensor, float], Recorded] = macrospin_components
    method: macrospin.Scheme = heun_step
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    replica_axis: int = -1

    @property
    def time_step(self) -> float:
        """Length of a step, s."""
        return self.parameters.time_step

    def initial(self, replicas: int, key: Key) -> Float[Tensor, "*points 3 replicas"]:
        """Return the magnetisations at time 0.

        Raises:
            ValueError: `start` does not hold unit vectors.
        """
        if self.start is None:
            m = macrospin.init(self.parameters, replicas, key.generator())
        else:
            _check_start(self.start, macrospin.AXIS)
            m = self.start.expand(*self.parameters.points, 3, replicas).clone()
        return m.to(dtype=self.dtype, device=self.device)

    def noise(self, key: Key, state: Float[Tensor, "*points 3 replicas"]) -> StepNoise:
        """Return keyed noise of the shape of the state."""
        return keyed_step_noise(key, state)

    def advance(
        self, state: Float[Tensor, "*points 3 replicas"], noise: StepNoise, steps: range
    ) -> Float[Tensor, "*points 3 replicas"]:
        """Return the magnetisations after the steps."""
        return macrospin.simulate(self.parameters, state, noise, steps, method=self.method)

    def observables(self, state: Float[Tensor, "*points 3 replicas"], time: float) -> Recorded:
        """Return what `observe` sees."""
        return self.observe(self.parameters, state, time)


@dataclass(frozen=True, kw_only=True)
class FilmEnsemble:
    """Films, (*points, replicas, 3, z, y, x).

    Driven values that differ between operating points have shape (*points, 1, 3 or 1, z, y, x).
    """

    films: Films
    start: Float[Tensor, "*points 3 z y x"] | None = field(default=None, repr=False)
    """m at time 0; without it every cell of every replica points in a direction of its own."""
    observe: Callable[[Films, Tensor, float], Recorded] = film_averages
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    replica_axis: int = -5

    @property
    def time_step(self) -> float:
        """Length of a step, s."""
        return self.films.time_step

    def initial(self, replicas: int, key: Key) -> Float[Tensor, "*points replicas 3 z y x"]:
        """Return the magnetisations at time 0.

        Raises:
            ValueError: `start` does not hold unit vectors, or lacks operating points of the drive.
        """
        drive = self.films.drive
        driven = [drive.applied_field, drive.anisotropy_shift, drive.drift_velocity]
        driven += [drive.nonadiabaticity]
        driven += [a for t in drive.spin_torques for a in (t.damping_like, t.field_like)]
        held = () if self.start is None else self.start.shape[:-4]
        _check_points("start", held, driven, inner=5)
        if self.start is None:
            m = texture.disordered(self.films.film.mesh, KeyedNoise.from_key(key), (replicas,))
        else:
            _check_start(self.start, motion.AXIS, self.films.mesh.occupied)
            m = self.start.unsqueeze(-5).expand(*self.start.shape[:-4], replicas, -1, -1, -1, -1)
        return m.to(dtype=self.dtype, device=self.device).contiguous()

    def noise(self, key: Key, state: Float[Tensor, "*points replicas 3 z y x"]) -> StepNoise:
        """Return keyed noise of the shape of the state."""
        return keyed_step_noise(key, state)

    def advance(
        self, state: Float[Tensor, "*points replicas 3 z y x"], noise: StepNoise, steps: range
    ) -> Float[Tensor, "*points replicas 3 z y x"]:
        """Return the magnetisations after the steps."""
        return motion.simulate(self.films, state, noise, steps)

    def observables(
        self, state: Float[Tensor, "*points replicas 3 z y x"], time: float
    ) -> Recorded:
        """Return what `observe` sees."""
        return self.observe(self.films, state, time)


@dataclass(frozen=True, kw_only=True)
class WallEnsemble:
    """Domain walls as (q, φ), (*points, 2, replicas)."""

    walls: Walls
    position: Float[Tensor, "*points 1"]
    """q at time 0, m; the angle is the resting one."""
    observe: Callable[[Walls, Tensor, float], Recorded] = wall_coordinates
    dtype: torch.dtype = torch.float64
    device: str = "cpu"
    replica_axis: int = -1

    @property
    def time_step(self) -> float:
        """Length of a step, s."""
        return self.walls.time_step

    def initial(self, replicas: int, key: Key) -> Float[Tensor, "*points 2 replicas"]:
        """Return the walls at rest at their positions.

        Raises:
            ValueError: `position` lacks operating points of the drive.
        """
        walls = self.walls
        driven = (walls.temperature, walls.field, walls.spin_hall_field, walls.drift_velocity)
        _check_points("position", self.position.shape[:-1], driven, inner=1)
        state = wall_ensemble.init(self.walls.track, self.position, replicas)
        return state.to(dtype=self.dtype, device=self.device)

    def noise(self, key: Key, state: Float[Tensor, "*points 2 replicas"]) -> StepNoise:
        """Return keyed noise of the shape of the state."""
        return keyed_step_noise(key, state)

    def advance(
        self, state: Float[Tensor, "*points 2 replicas"], noise: StepNoise, steps: range
    ) -> Float[Tensor, "*points 2 replicas"]:
        """Return the walls after the steps."""
        return wall_ensemble.simulate(self.walls, state, noise, steps)

    def observables(self, state: Float[Tensor, "*points 2 replicas"], time: float) -> Recorded:
        """Return what `observe` sees."""
        return self.observe(self.walls, state, time)
