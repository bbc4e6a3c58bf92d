"""Shapes that a film is cut to, and the grains that it is made of.

A shape tells which points (x, y) are magnetic, in metres from the corner of the mesh; it is the
same through the thickness. `cells_inside` makes a mask of it:

    box = Mesh(cells=(32, 32, 1), cell=(2e-9, 2e-9, 1e-9))
    disk = dataclasses.replace(box, mask=cells_inside(inscribed_ellipse(box), box))
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.spatial import KDTree

from bayespin.physics.film.mesh import Mesh
from bayespin.rng import Noise
from bayespin.shapes import Bool, Float, Int, Tensor
from bayespin.units import format_quantity

Shape = Callable[[Tensor, Tensor], Tensor]
"""Maps x and y, which broadcast, to True inside."""

_NECK_POINTS = 2001
_TIE = 1e-9
"""Points this close to an edge, against its size, are inside: rounding breaks no symmetry."""


def _check_lengths(**lengths: float) -> None:
    for name, length in lengths.items():
        if not (length > 0 and math.isfinite(length)):
            raise ValueError(f"`{name}` must be positive, but is {length:g} m.")


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """An ellipse with its axes along x and y; a disk when they are equal.

    Raises:
        ValueError: an axis is not positive.
    """

    centre: tuple[float, float]
    """m."""
    axes: tuple[float, float]
    """Full lengths along x and y, m."""

    def __post_init__(self) -> None:
        _check_lengths(axes=min(self.axes))

    def __call__(self, x: Float[Tensor, "..."], y: Float[Tensor, "..."]) -> Bool[Tensor, "..."]:
        """Return where (2(x − x_0)/a)² + (2(y − y_0)/b)² <= 1."""
        (x0, y0), (a, b) = self.centre, self.axes
        return (2 * (x - x0) / a) ** 2 + (2 * (y - y0) / b) ** 2 <= 1 + _TIE


def inscribed_ellipse(mesh: Mesh) -> Ellipse:
    """Return the largest ellipse in the box of a mesh: a disk in a square."""
    length, width, _ = mesh.extent
    return Ellipse(centre=(length / 2, width / 2), axes=(length, width))


@dataclass(frozen=True, kw_only=True)
class Notch:
    """A cut into the edges of a track.

    Depth of the cut at x: d (1 − |2(x − p)/w|) if triangular, d √(1 − (2(x − p)/w)²) if round.

    Raises:
        ValueError: the depth or width is not positive, or the profile or edges have no such name.
    """

    position: float
    """p, of its middle along the track, m."""
    depth: float
    """d, m; of each cut, where both edges have one."""
    width: float
    """w, at the edge, m."""
    profile: Literal["triangular", "round"] = "triangular"
    edges: Literal["both", "lower", "upper"] = "both"

    def __post_init__(self) -> None:
        _check_lengths(depth=self.depth, width=self.width)
        if self.profile not in ("triangular", "round"):
            raise ValueError(f"`profile` must be triangular or round, but is {self.profile!r}.")
        if self.edges not in ("both", "lower", "upper"):
            raise ValueError(f"`edges` must be both, lower or upper, but is {self.edges!r}.")

    def cut(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return the depth of the cut at x, in metres."""
        away = (2 * (x - self.position) / self.width).abs().clamp(max=1)
        return self.depth * (1 - away if self.profile == "triangular" else (1 - away**2).sqrt())


@dataclass(frozen=True, kw_only=True)
class Track:
    """A straight track along x from the corner of the mesh, with notches.

    Raises:
        ValueError: a size is not positive, or notches cut the track in two.
    """

    length: float
    """m."""
    width: float
    """m."""
    notches: tuple[Notch, ...] = ()

    def __post_init__(self) -> None:
        _check_lengths(length=self.length, width=self.width)
        if not self.neck > 0:
            raise ValueError(
                f"`notches` must leave a neck, but cut {format_quantity(self.width, 'm')} of track "
                f"through."
            )

    @property
    def neck(self) -> float:
        """Least width of the track, m."""
        x = torch.linspace(0, self.length, _NECK_POINTS, dtype=torch.float64)
        middles = torch.tensor([notch.position for notch in self.notches], dtype=torch.float64)
        lower, upper = self._cuts(torch.cat((x, middles.clamp(0, self.length))))
        return float((self.width - lower - upper).min())

    def _cuts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the deepest cut into the lower and the upper edge at x."""
        lower, upper = torch.zeros_like(x), torch.zeros_like(x)
        for notch in self.notches:
            cut = notch.cut(x)
            lower = lower if notch.edges == "upper" else lower.maximum(cut)
            upper = upper if notch.edges == "lower" else upper.maximum(cut)
        return lower, upper

    def __call__(self, x: Float[Tensor, "..."], y: Float[Tensor, "..."]) -> Bool[Tensor, "..."]:
        """Return where a point lies on the track and in none of its notches."""
        lower, upper = self._cuts(x)
        tie = _TIE * self.width
        along = (x >= -tie) & (x <= self.length + tie)
        return along & (y >= lower - tie) & (self.width - y >= upper - tie)


def cells_inside(shape: Shape, mesh: Mesh) -> Bool[Tensor, "z y x"]:
    """Return a mask: True in the cells whose centre lies inside. The edge is a staircase."""
    x, y = mesh.centres(0).reshape(1, 1, -1), mesh.centres(1).reshape(1, -1, 1)
    return shape(x, y).expand(mesh.shape).contiguous()


def filled_fraction(
    shape: Shape, mesh: Mesh, samples: int = 8, least: float = 0.1
) -> Float[Tensor, "z y x"]:
    """Return how much of each cell lies inside, to scale M_s at edges with: from 0 to 1.

    The share of samples x samples points in each cell. Cells filled less than `least` count as
    empty, because fields go with 1/M_s and the emptiest cell would set the time step.

    Raises:
        ValueError: there is less than one sample, or `least` is not between 0 and 1.
    """
    if samples < 1:
        raise ValueError(f"Argument `samples` must be at least 1, but is {samples}.")
    if not 0 <= least <= 1:
        raise ValueError(f"Argument `least` must be from 0 to 1, but is {least:g}.")
    _, ny, nx = mesh.shape
    x, y = (
        (torch.arange(count * samples, dtype=torch.float64) + 0.5) * (size / samples)
        for count, size in ((nx, mesh.cell[0]), (ny, mesh.cell[1]))
    )
    inside = shape(x.reshape(1, -1), y.reshape(-1, 1)).expand(ny * samples, nx * samples)
    share = inside.reshape(ny, samples, nx, samples).double().mean((1, 3))
    return torch.where(share < least, 0.0, share).expand(mesh.shape).contiguous()


def grains(mesh: Mesh, size: float, generator: torch.Generator) -> Int[Tensor, "z y x"]:
    """Return the number of the grain of each cell: Voronoi cells of random points, columnar.

    Points lie uniformly in the box and `size` around it, one per size²; a cell belongs to the
    nearest. Numbers run from 0 without gaps.

    Symbols: size root of the mean area of a grain (m).

    Raises:
        ValueError: grains would be smaller than cells.
    """
    length, width, _ = mesh.extent
    finest = max(mesh.cell[0], mesh.cell[1])
    if not (size >= finest and math.isfinite(size)):
        raise ValueError(
            f"Argument `size` must be at least a cell, {format_quantity(finest, 'm')}, but is "
            f"{format_quantity(size, 'm')}."
        )
    box = torch.tensor([length + 2 * size, width + 2 * size], dtype=torch.float64)
    count = max(1, round(float(box.prod()) / size**2))
    points = torch.rand((count, 2), dtype=torch.float64, generator=generator) * box - size
    cells = torch.cartesian_prod(mesh.centres(1), mesh.centres(0)).flip(-1)
    _, nearest = KDTree(points.numpy()).query(cells.numpy())
    _, numbers = torch.unique(torch.from_numpy(nearest), return_inverse=True)
    return numbers.reshape(1, *mesh.shape[1:]).expand(mesh.shape).contiguous()


def spread_over_grains(
    grains: Int[Tensor, "z y x"], mean: float, spread: float, noise: Noise
) -> Float[Tensor, "z y x"]:
    """Return a map with one normal value per grain, mean (1 + spread ξ), in the unit of `mean`.

    Symbols: spread standard deviation over the mean; ξ N(0, 1) of `noise`, one per grain.
    """
    drawn = noise.normal(torch.empty(int(grains.max()) + 1, dtype=torch.float64))
    return mean * (1 + spread * drawn[grains])
