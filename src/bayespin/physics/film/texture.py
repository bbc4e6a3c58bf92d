"""Magnetisations to start from, and where the wall is in one that was simulated.

All are unit vectors in float64, zero in vacuum. A track runs along x; coordinates count from the
corner of the mesh. Polarity +1 is |up|down>, m_z = −tanh((x − q)/Δ); −1 is |down|up>.
"""

import math
from typing import Literal

import torch

from bayespin.cite import cites
from bayespin.physics.film.mesh import Mesh
from bayespin.rng import Noise
from bayespin.shapes import Float, Tensor

Sense = Literal[1, -1]

_COMPONENTS = -4
_CELLS = (-3, -2, -1)


def _magnetic(m: Tensor, mesh: Mesh) -> Tensor:
    """Return m over the whole mesh, zero in vacuum."""
    return m.expand(*m.shape[:-3], *mesh.shape) * mesh.occupied.to(m)


def _plane(mesh: Mesh) -> tuple[Tensor, Tensor]:
    """Return x (1 1 x) and y (1 y 1) of the cell centres, counted from the middle of the mesh."""
    x, y = (mesh.centres(axis) - mesh.extent[axis] / 2 for axis in (0, 1))
    return x.reshape(1, 1, -1), y.reshape(1, -1, 1)


def uniform(mesh: Mesh, direction: tuple[float, float, float]) -> Float[Tensor, "3 z y x"]:
    """Return m along one direction, of any length but zero.

    Raises:
        ValueError: the direction has no length, or one that is not finite.
    """
    length = math.hypot(*direction)
    if not (length > 0 and math.isfinite(length)):
        raise ValueError(f"Argument `direction` must have a length, but is {direction}.")
    m = torch.tensor(direction, dtype=torch.float64) / length
    return _magnetic(m.reshape(3, 1, 1, 1), mesh)


def disordered(mesh: Mesh, noise: Noise, batch: tuple[int, ...] = ()) -> Float[Tensor, "..."]:
    """Return m (*batch 3 z y x) with every cell in a direction of its own, uniform on the sphere.

    Three normal numbers of `noise` over their length.
    """
    drawn = noise.normal(torch.empty((*batch, 3, *mesh.shape), dtype=torch.float64))
    return _magnetic(drawn / drawn.norm(dim=_COMPONENTS, keepdim=True), mesh)


def wall(
    mesh: Mesh,
    position: float | Float[Tensor, "..."],
    wall_width: float | Float[Tensor, "..."],
    angle: float | Float[Tensor, "..."],
    polarity: Sense = 1,
) -> Float[Tensor, "..."]:
    """Return a straight wall across the track, m (*batch 3 z y x).

    m_z = −p tanh((x − q)/Δ), (m_x, m_y) = (cos φ, sin φ)/cosh((x − q)/Δ), the wall at rest of a
    perpendicular film. Tensors of several walls broadcast to the batch.

    Symbols: q `position` (m); Δ `wall_width`, its width parameter (m); φ `angle` of its middle
    (rad), 0 and π for Néel walls, ±π/2 for Bloch walls; p `polarity`.
    """
    q, width, phi = (
        torch.as_tensor(value, dtype=torch.float64)[..., None, None, None]
        for value in (position, wall_width, angle)
    )
    reduced = (mesh.centres(0).reshape(1, 1, -1) - q) / width
    middle = 1 / torch.cosh(reduced)
    parts = (middle * phi.cos(), middle * phi.sin(), -polarity * torch.tanh(reduced))
    return _magnetic(torch.stack(torch.broadcast_tensors(*parts), _COMPONENTS), mesh)


@cites("10.1016/0304-8853(93)90428-5")
def vortex(
    mesh: Mesh, circulation: Sense = 1, polarity: Sense = 1, core_radius: float = 10e-9
) -> Float[Tensor, "3 z y x"]:
    """Return a vortex around the middle of the mesh.

    m = (−c (y/r) s, c (x/r) s, p √(1 − s²)), s = 2br/(b² + r²) inside r < b, 1 outside.

    Symbols: c `circulation`, +1 for counter-clockwise; p `polarity` of the core; b `core_radius`
    (m); r distance from the middle (m).

    Source: Usov and Peschany (1993), a trial state: relax it.
    """
    x, y = _plane(mesh)
    r = torch.hypot(x, y)
    inside = r < core_radius
    # s/r, so that the middle of the core needs no direction.
    along = torch.where(inside, 2 * core_radius / (core_radius**2 + r**2), 1 / r)
    up = torch.where(inside, (core_radius**2 - r**2) / (core_radius**2 + r**2), 0.0)
    return _magnetic(
        torch.stack((-circulation * y * along, circulation * x * along, polarity * up)), mesh
    )


def s_state(mesh: Mesh) -> Float[Tensor, "3 z y x"]:
    """Return a bar along +x whose two ends both turn towards +y: a seed for the S-state.

    m = (cos θ, sin θ, 0), θ = (π/2) e^{−4d/w} with d the distance to the nearer end and w the width
    of the bar (m). Relax it: muMAG problem 4 starts from the result.
    """
    length, width, _ = mesh.extent
    x = mesh.centres(0)
    distance = torch.minimum(x, length - x)
    theta = (math.pi / 2 * torch.exp(-4 * distance / width)).reshape(1, 1, -1)
    return _magnetic(torch.stack((theta.cos(), theta.sin(), torch.zeros_like(theta))), mesh)


def wall_position(
    m: Float[Tensor, "*batch 3 z y x"],
    mesh: Mesh,
    polarity: Sense = 1,
    domain_magnetisation: float = 1.0,
) -> Float[Tensor, "*batch"]:
    """Return where the wall is along x, in metres, from the volume of the domain on its left.

    V(q) = (V/2) (1 + p ⟨m_z⟩/m_D) with V(x) the magnetic volume left of x: q = (L/2)(1 + p ⟨m_z⟩)
    in a track of even width. With notches the volume of each column of cells counts.

    Symbols: ⟨m_z⟩ average over the magnetic cells; p `polarity`; m_D `domain_magnetisation`, |m_z|
    of a domain, below 1 at temperature. 0 or L when the wall has left; not finite if m is not.
    """
    columns = mesh.occupied.sum((0, 1)).to(m)
    upto = torch.cat((columns.new_zeros(1), columns.cumsum(0)))
    total = (m.select(_COMPONENTS, 2) * mesh.occupied.to(m)).sum(_CELLS)
    left = (upto[-1] + polarity * total / domain_magnetisation) / 2
    left = left.clamp(min=0).minimum(upto[-1])
    last = int(columns.nonzero().max())
    column = (torch.searchsorted(upto, left.contiguous(), right=True) - 1).clamp(0, last)
    share = (left - upto[column]) / columns[column]
    return (column + share) * mesh.cell[0]


def wall_angle(m: Float[Tensor, "*batch 3 z y x"], mesh: Mesh) -> Float[Tensor, "*batch"]:
    """Return the angle of the wall's middle in the plane of the film, from −π to π, in rad.

    φ = atan2(∑ w m_y, ∑ w m_x), w = 1 − m_z²: the wall counts, domains and their tilt do not.
    """
    weight = (1 - m.select(_COMPONENTS, 2).square()) * mesh.occupied.to(m)
    along = (weight * m.select(_COMPONENTS, 0)).sum(_CELLS)
    across = (weight * m.select(_COMPONENTS, 1)).sum(_CELLS)
    return torch.atan2(across, along)
