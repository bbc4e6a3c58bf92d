"""What a film tells its domain walls: the parameters of `wall_ensemble`, from micromagnetics.

A film with an |up|down> wall across a track along x is brought to rest, turned, and held at many
places. Its energies give the width parameter, the hard-axis and DMI fields, and the potential of
the notches.

The position q is the volume of the domain on the left over the full cross section of the track:
metres of track without notches. That is what a field works on, dE/dq = −2M_sSB, and what a
junction over the track reads.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize

from bayespin.physics import domain_wall
from bayespin.physics.film import motion, texture
from bayespin.physics.film.film import Film, Map
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.minimisation import relax
from bayespin.physics.film.motion import Drive, Films, films
from bayespin.physics.film.operator import LinearField
from bayespin.physics.llg import largest_stable_step
from bayespin.physics.wall_ensemble import (
    Notches,
    WallTrack,
    potential,
    potential_slope,
    resting_angle,
)
from bayespin.shapes import Bool, Float, Tensor

TOLERANCE = 1e-5
"""Torque left in a film at rest, as a share of its stiffest field: 1e-3 kT of a barrier."""
_STRETCH = 0.2
"""Widths of the trial walls reach e^±0.2 of the relaxed one: more than a hard axis changes it."""
_TRIALS = 9
_REACH = 4.0
"""Walls are held up to this many width parameters beyond the outermost notches."""
_PULL = 0.5
"""Pull on a held wall, as a share of the anisotropy field per width parameter: it outweighs any
notch that leaves a wall whole, and is no stiffer than the anisotropy itself."""


@dataclass(frozen=True, kw_only=True)
class HeldWalls:
    """The energy of a wall at a row of places, without field."""

    position: Float[Tensor, " places"]
    """q, m; volume on the left over the full cross section."""
    energy: Float[Tensor, " places"]
    """J, above the lowest of the row."""
    slope: Float[Tensor, " places"]
    """dE/dq, N: 2M_sS times the field that held the wall; independent of `energy`."""
    converged: Bool[Tensor, " places"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What `calibrate` found."""

    track: WallTrack
    wall_energy: float
    """Energy of the wall at rest in the track without notches, J."""
    held: HeldWalls | None
    """The walls that the notches were fitted to."""
    misfit: float
    """Largest |energy − fit| of the held walls over the deepest notch: a few per cent, as real
    notches are not Gaussian."""


def _resting(film: Film) -> Films:
    """Return a film to be relaxed, in float64 on the CPU, without drive."""
    smallest = float(torch.as_tensor(film.damping).min())
    step = largest_stable_step(film.stiffest_field, smallest) / 2  # only checked, never taken
    like = torch.zeros((), dtype=torch.float64)
    return films(film, Drive(), time_step=step, like=like, evaluation="direct")


def line_moment(film: Film) -> float:
    """Return M_sS, the moment of the fullest column of cells over its length, in A m."""
    _, dy, dz = film.mesh.cell
    return float(film.moment_density.sum((0, 1)).max()) * dy * dz


def without_notches(film: Film) -> Film:
    """Return the track that the fullest column of cells makes when repeated along x.

    Maps take their values in that column.
    """
    column = int(film.moment_density.sum((0, 1)).argmax())

    def repeated(values: Map) -> Map:
        if not isinstance(values, Tensor) or not values.ndim:
            return values
        return values[..., column : column + 1].expand(film.mesh.shape).contiguous()

    mesh = film.mesh
    if mesh.mask is not None:
        mask = mesh.mask[..., column : column + 1].expand(mesh.shape).contiguous()
        mesh = Mesh(cells=mesh.cells, cell=mesh.cell, mask=mask)
    return dataclasses.replace(
        film,
        mesh=mesh,
        saturation_magnetisation=repeated(film.saturation_magnetisation),
        exchange=repeated(film.exchange),
        damping=repeated(film.damping),
        uniaxial_anisotropy=repeated(film.uniaxial_anisotropy),
    )


def _first_width(rest: Films) -> float:
    """Return √(A/K_eff) with K_eff from the energies of uniform states along z and x."""
    film = rest.film
    states = torch.stack([texture.uniform(film.mesh, axis) for axis in ((1, 0, 0), (0, 0, 1))])
    across, along = motion.energy(rest, states).tolist()
    anisotropy = (across - along) / (film.mesh.count * film.mesh.cell_volume)
    if not anisotropy > 0:
        raise ValueError(
            f"`film` must be perpendicular to hold a wall, but its effective anisotropy is "
            f"{anisotropy:.3g} J/m3."
        )
    exchange = float(torch.as_tensor(film.exchange).max())
    return domain_wall.width_parameter(exchange, anisotropy)


def _turned_energies(rest: Films, width: float) -> tuple[float, float, float]:
    """Return E of straight walls at φ = 0, π/2 and π, each of its best width, in joules."""
    mesh = rest.film.mesh
    stretch = torch.linspace(-_STRETCH, _STRETCH, _TRIALS, dtype=torch.float64)
    angles = torch.tensor([0, math.pi / 2, math.pi], dtype=torch.float64)
    trial = texture.wall(
        mesh, mesh.extent[0] / 2, width * stretch.exp().expand(3, -1), angles[:, None]
    )
    found = motion.energy(rest, trial.flatten(0, 1)).reshape(3, _TRIALS)
    powers = torch.stack([stretch**n for n in range(5)], 1)
    lowest = []
    for row in torch.linalg.lstsq(powers, (found - found.mean()).mT).solution.mT:
        fine = torch.linspace(-_STRETCH, _STRETCH, 2001, dtype=torch.float64)
        lowest.append(float(sum(c * fine**n for n, c in enumerate(row)).min() + found.mean()))
    return lowest[0], lowest[1], lowest[2]


def _profile_width(film: Film, wall: Tensor, domain: Tensor) -> float:
    """Return Δ = ½ ∫(m_x² + m_y²) dx of the wall, less what the tilted edges of a domain have."""
    weight = film.moment_density * film.mesh.cell[1] * film.mesh.cell[2] * film.mesh.cell[0]
    in_plane = [(m[:2].square().sum(0) * weight).sum() for m in (wall, domain)]
    return float(in_plane[0] - in_plane[1]) / (2 * line_moment(film))


def straight_wall(film: Film, tolerance: float) -> tuple[WallTrack, float]:
    """Return the track without notches, and the energy of a wall in it, in joules."""
    rest = _resting(film)
    guess = _first_width(rest)
    length = film.mesh.extent[0]
    if length < 8 * guess:
        raise ValueError(
            f"`film` must be 8 wall widths long, {8 * guess:.3g} m, but is {length:.3g} m."
        )
    energies = _turned_energies(rest, guess)
    angle = (0.0, math.pi / 2, math.pi)[energies.index(min(energies))]
    wall = texture.wall(film.mesh, length / 2, guess, angle)
    up, down = (texture.uniform(film.mesh, (0, 0, sign)) for sign in (1, -1))
    found = relax(rest, torch.stack((wall, up, down)), tolerance)
    if not bool(found.converged.all()):
        raise ValueError(
            f"`tolerance` must be reached by the wall, but {found.steps} steps left a torque of "
            f"{float(found.torque.max()):.3g} T."
        )
    width = _profile_width(film, found.state[0], found.state[1])
    neel, bloch, opposite = _turned_energies(rest, width)
    scale = line_moment(film) * width
    moment = float(film.moment_density.max())
    track = WallTrack(
        wall_width=width,
        saturation_magnetisation=moment,
        cross_section=line_moment(film) / moment,
        damping=float(torch.as_tensor(film.damping).max()),
        hard_axis=(bloch - (neel + opposite) / 2) / scale,
        dmi=(opposite - neel) / (2 * math.pi * scale),
    )
    alone, above, below = motion.energy(rest, found.state).tolist()
    return track, alone - (above + below) / 2


@dataclass(frozen=True)
class _Spring:
    """The field of a film and, along z, one that draws each wall of a batch to its place."""

    film: Film
    linear: LinearField
    target: Float[Tensor, " places"]
    stiffness: float
    """T/m."""

    def pull(self, m: Tensor) -> Float[Tensor, " places"]:
        """Return −κ(q − q_0) in tesla."""
        return self.stiffness * (self.target - volume_position(self.film, m))

    def __call__(
        self, m: Float[Tensor, "*batch 3 z y x"], offset: Float[Tensor, "..."] | None
    ) -> Float[Tensor, "*batch 3 z y x"]:
        field = self.linear(m, offset)
        along = field.select(motion.AXIS, 2) + self.pull(m)[:, None, None, None]
        return torch.stack((field.select(motion.AXIS, 0), field.select(motion.AXIS, 1), along), 1)


def volume_position(film: Film, m: Float[Tensor, "*batch 3 z y x"]) -> Float[Tensor, "*batch"]:
    """Return q = (L'/2)(1 + ⟨m_z⟩), L' the film's moment over M_sS, in metres.

    The volume of the up domain over the full cross section. Conjugate to a field along z:
    E_Zeeman = −2M_sSB q + constant, whatever the wall looks like.
    """
    total = float(film.moment_density.sum()) * film.mesh.cell_volume
    return total / line_moment(film) / 2 * (1 + film.average(m)[..., 2])


def place_in_volume(film: Film, x: Float[Tensor, " places"]) -> Float[Tensor, " places"]:
    """Return the volume q left of coordinates x along the track, in metres; x without notches."""
    columns = film.moment_density.sum((0, 1))
    edges = torch.arange(len(columns) + 1, dtype=torch.float64) * film.mesh.cell[0]
    filled = columns / columns.max() * film.mesh.cell[0]
    upto = torch.cat((torch.zeros(1, dtype=torch.float64), filled.cumsum(0)))
    left = (torch.searchsorted(edges, x.double().contiguous(), right=True) - 1).clamp(
        0, len(columns) - 1
    )
    share = (x - edges[left]) / film.mesh.cell[0]
    return upto[left] + share * (upto[left + 1] - upto[left])


def hold(
    film: Film,
    positions: Float[Tensor, " places"],
    track: WallTrack,
    stiffness: float,
    tolerance: float = TOLERANCE,
) -> HeldWalls:
    """Return the energy of a wall at each place x along a film, by umbrella relaxation.

    A uniform field −κ(q − q_0) along z, added to the film's own, holds each wall at its place, also
    where the energy curves down: the film relaxes in E + M_sSκ(q − q_0)². At rest dE/dq is
    2M_sS times that field, a second measurement of the same curve.

    Symbols: q `volume_position`, q_0 that of x (m); κ `stiffness` (T/m), above |d²E/dq²|/(2M_sS)
    everywhere, or walls jump. `track` gives the width and angle to start from.
    """
    rest = _resting(film)
    angle = resting_angle(track, positions)
    start = texture.wall(film.mesh, positions, track.wall_width, angle)
    spring = _Spring(film, rest.linear, volume_position(film, start), stiffness)
    found = relax(dataclasses.replace(rest, linear=spring), start, tolerance)
    energy = motion.energy(rest, found.state)
    return HeldWalls(
        position=volume_position(film, found.state),
        energy=energy - energy.min(),
        slope=2 * line_moment(film) * spring.pull(found.state),
        converged=found.converged,
    )


def fit_notches(held: HeldWalls, centres: Float[Tensor, " notches"]) -> tuple[Notches, float]:
    """Return Gaussian notches that fit a row of held walls, and the largest misfit over the depth.

    Least squares of E(q) = E_0 − ∑_k U0_k exp(−((q − q_k)/w_k)²) and of its slope, over their
    largest values, in E_0 and, for each notch, q_k, U0_k and w_k; `centres` (m) are where the q_k
    start from. Barrier and depinning field are met within the misfit or so; the curvature at the
    bottom is not, where a notch is flat or pointed.

    Raises:
        ValueError: there are fewer places than unknowns.
    """
    unknowns = 3 * len(centres) + 1
    if len(held.position) < unknowns:
        raise ValueError(
            f"`held` must have at least {unknowns} places for {len(centres)} notches, but has "
            f"{len(held.position)}."
        )
    scale, steepest = float(held.energy.max()), float(held.slope.abs().max())
    length = float(held.position.max() - held.position.min()) / (4 * len(centres))

    def notches(values: np.ndarray) -> Notches:
        shift, depth, width = torch.from_numpy(values[1:]).reshape(3, -1, 1)
        return Notches(
            position=centres[:, None] + shift * length,
            depth=depth * scale,
            width=width.abs() * length,
        )

    def misfit(values: np.ndarray) -> np.ndarray:
        found = notches(values)
        energy = values[0] + (potential(found, held.position) - held.energy) / scale
        slope = (potential_slope(found, held.position) - held.slope) / steepest
        return torch.cat((energy, slope)).numpy()

    count = len(centres)
    start = np.concatenate((np.ones(1), np.zeros(count), np.ones(count), np.ones(count) / 2))
    found = optimize.least_squares(misfit, start, x_scale="jac")
    fitted = notches(found.x)
    worst = float(np.abs(misfit(found.x)[: len(held.position)]).max()) * scale
    return fitted, worst / float(fitted.depth.abs().max())


def calibrate(
    film: Film,
    notches: tuple[float, ...] = (),
    places: int = 41,
    tolerance: float = TOLERANCE,
) -> Calibration:
    """Return the track on which (q, φ) walls move as walls of a film do.

    Δ = ½ ∫(m_x² + m_y²) dx of the wall at rest in the track without notches; B_p and B_D from its
    energies at φ = 0, π/2 and π, E = M_sSΔ(B_p sin² φ − πB_D cos φ) + constant, each with its own
    best width; U0, w and place of each notch by `hold` and `fit_notches`. The ends of the track
    are its dead zones, `domain_wall.end_dead_zone`.

    Symbols: `notches` coordinates x of the notches (m); `places` how many walls are held;
    `tolerance` of `relax`. β stays 0: it is no property of a film's energy.

    Cost: some hundred fields of `places` films. For many equal notches calibrate a short track
    with one.

    Raises:
        ValueError: the film is not perpendicular, too short for a wall, or did not come to rest.
    """
    track, energy = straight_wall(without_notches(film), tolerance)
    width = float(track.wall_width)
    x = torch.tensor([0.0, film.mesh.extent[0]], dtype=torch.float64)
    dead = domain_wall.end_dead_zone(width)
    low, high = place_in_volume(film, x).tolist()
    track = dataclasses.replace(track, ends=(low + dead, high - dead))
    if not notches:
        return Calibration(track=track, wall_energy=energy, held=None, misfit=0.0)
    centres = torch.tensor(notches, dtype=torch.float64)
    start = max(float(centres.min()) - _REACH * width, dead)
    stop = min(float(centres.max()) + _REACH * width, film.mesh.extent[0] - dead)
    # E_wall = 4 K_eff Δ S gives the anisotropy field 2K_eff/M_s that the pull is measured by
    stiffness = _PULL * energy / (2 * line_moment(film) * width**2)
    row = torch.linspace(start, stop, places, dtype=torch.float64)
    held = hold(film, row, track, stiffness, tolerance)
    if not bool(held.converged.all()):
        raise ValueError(
            f"`tolerance` must be reached by every held wall, but "
            f"{int((~held.converged).sum())} of {places} are still moving."
        )
    fitted, misfit = fit_notches(held, place_in_volume(film, centres))
    track = dataclasses.replace(track, notches=fitted)
    return Calibration(track=track, wall_energy=energy, held=held, misfit=misfit)


def measured_velocity(
    films: Films, m: Float[Tensor, " batch 3 z y x"], settle: float, span: float
) -> Float[Tensor, " batch"]:
    """Return the mean velocity of the walls of a batch over `span`, after `settle` (s), in m/s.

    (q(t + T) − q(t))/T of `volume_position`, by adaptive steps. The check of a calibration:
    compare it with `wall_motion.mean_velocity`, or with the walls of `wall_ensemble`.
    """
    begun = motion.solve(films, m, (0.0, settle)).state
    ended = motion.solve(films, begun, (settle, settle + span)).state
    return (volume_position(films.film, ended) - volume_position(films.film, begun)) / span
