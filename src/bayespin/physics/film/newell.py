"""Newell's tensor: the mean field in one cuboid of another that is uniformly magnetised.

Convention: the demagnetising field is H = −N M. N has trace 1 within a cell and 0 between cells,
and its component along the line between two cells is negative.
"""

import itertools
import math

import numpy as np
import torch

from bayespin.cite import cites
from bayespin.shapes import Float, Tensor

AXES = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
"""Axes (i, j) of the six components of N in the order in which they are stored."""

REACH = 2.0
"""The closed form is used up to this many longest edges; beyond, the dipole is integrated.

The terms of the closed form grow with the cube of the distance, their sum falls with its cube: of N
between cubes a part 2e-14 is lost at 2 edges, 2e-12 at 4, 1e-8 at 20.
"""

_PRECISION = 1e-18
"""Error for which nodes are counted; the fifth power of the pole takes a thousand times that."""
_SHELLS = (REACH, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0, 60.0, 200.0, math.inf)
_EVALUATIONS_AT_ONCE = 1 << 18


@cites("10.1029/93JB00694")
def newell_tensor(
    cells: tuple[int, int, int], cell: tuple[float, float, float]
) -> Float[Tensor, "6 z y x"]:
    """Return N between cells whose distance is (0 … cells − 1) edges along each axis, in float64.

    N = (1/V) ∫∫ T(r − r') dV dV', T_ij = (δ_ij − 3 r_i r_j/r²)/(4πr³), components xx, yy, zz, xy,
    xz, yz. N_ij with i ≠ j is odd in the offsets along i and along j; all else is even, so that
    negative offsets need not be stored.

    Symbols: cells, numbers along x, y, z; cell, edges along x, y, z (m); V volume of a cell (m³);
    N dimensionless.

    Source: Newell, Williams and Dunlop (1993) up to `REACH`; beyond, Gauss quadrature of the same
    integral. Largest errors against 50 digits: beyond `REACH` 2e-13 of the largest component at
    that distance, 5e-15 from 2.5 edges on; below it, absolute, 1e-15 for cubes, 2e-14 for edges as
    50 : 50 : 1, 4e-12 as 100 : 1 : 1.
    """
    longest = max(cell)
    edges = (cell[0] / longest, cell[1] / longest, cell[2] / longest)
    x, y, z = (torch.arange(n, dtype=torch.float64) * d for n, d in zip(cells, edges, strict=True))
    offsets = torch.stack(torch.meshgrid(z, y, x, indexing="ij")).flip(0)
    distance = offsets.square().sum(0).sqrt()
    tensor = torch.empty((6, *distance.shape), dtype=torch.float64)
    near = [min(n, math.floor(REACH / d) + 1) for n, d in zip(cells, edges, strict=True)]
    tensor[:, : near[2], : near[1], : near[0]] = closed_form((near[0], near[1], near[2]), edges)
    for inner, outer in itertools.pairwise(_SHELLS):
        shell = (distance >= inner) & (distance < outer)
        if bool(shell.any()):
            tensor[:, shell] = integrated_dipole(offsets[:, shell], edges, inner)
    return tensor


@cites("10.1029/93JB00694")
def closed_form(
    cells: tuple[int, int, int], cell: tuple[float, float, float]
) -> Float[Tensor, "6 z y x"]:
    """Return the tensor of `newell_tensor` at every distance in closed form.

    N_xx = −δx² δy² δz² f/(4πV), N_xy = −δx² δy² δz² g/(4πV), with δ²u = u(+d) − 2u(0) + u(−d) over
    an edge d; other components by exchange of axes.

    Source: Newell, Williams and Dunlop (1993), equations 27 to 32. Rounding errors of N are about
    1e-16 R³/V at the distance R, R³ at least the cube of the longest edge.
    """
    grids = [
        (torch.arange(n + 1, dtype=torch.float64) * d).reshape(
            [-1 if a == b else 1 for b in (2, 1, 0)]
        )
        for a, (n, d) in enumerate(zip(cells, cell, strict=True))
    ]
    components = []
    for i, j in AXES:
        others = [grids[k] for k in range(3) if k not in (i, j)]
        values = _f(grids[i], *others) if i == j else _g(grids[i], grids[j], *others)
        for axis in range(3):
            odd = i != j and axis in (i, j)
            values = _second_difference(values, 2 - axis, -1 if odd else 1)
        components.append(values)
    return torch.stack(components) / (-4 * math.pi * math.prod(cell))


def integrated_dipole(
    offsets: Float[Tensor, "3 offsets"], cell: tuple[float, float, float], nearest: float
) -> Float[Tensor, "6 offsets"]:
    """Return the tensor at distances (x, y, z) of at least `nearest`, by quadrature of the dipole.

    N = V ∫ T(R + s d) Λ(s_x) Λ(s_y) Λ(s_z) d³s over |s| < 1 with Λ(s) = 1 − |s|, the law of the
    difference of two points that are uniform in an edge. Gauss' rule for the weight Λ with n nodes
    leaves about (2R/d)^(−2n): n follows from `nearest`, axis by axis.
    """
    rules = [_triangle_rule(_nodes(nearest / d)) for d in cell]
    s = [torch.from_numpy(d * nodes) for d, (nodes, _) in zip(cell, rules, strict=True)]
    shifts = torch.stack(torch.meshgrid(*s, indexing="ij")).reshape(3, 1, -1)
    products = np.einsum("i,j,k->ijk", *(weights for _, weights in rules))
    weights = torch.from_numpy(products).reshape(-1) * (math.prod(cell) / (4 * math.pi))
    size = max(1, _EVALUATIONS_AT_ONCE // len(weights))
    parts = offsets.unsqueeze(-1).split(size, 1)
    return torch.cat([_dipole(part + shifts) @ weights for part in parts], 1)


def _dipole(r: Float[Tensor, "3 offsets nodes"]) -> Float[Tensor, "6 offsets nodes"]:
    """Return δ_ij/r³ − 3 r_i r_j/r⁵."""
    inverse = r.square().sum(0).rsqrt()
    cubed = inverse**3
    direction = r * inverse
    return torch.stack([(float(i == j) - 3 * direction[i] * direction[j]) * cubed for i, j in AXES])


def _nodes(distance: float) -> int:
    """Return how many nodes integrate a pole at `distance` half widths to `_PRECISION`."""
    return max(1, math.ceil(-math.log(_PRECISION) / (2 * math.acosh(distance))))


def _triangle_rule(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of Gauss' rule for the weight 1 − |s| on (−1, 1).

    From the Jacobi matrix, which is s in an orthonormal basis of the polynomials (Golub and
    Welsch); sums over Gauss-Legendre points of each half are exact here.
    """
    points, weights = np.polynomial.legendre.leggauss(n + 1)
    half, half_weights = (points + 1) / 2, weights * (1 - points) / 4
    s = np.concatenate((-half, half))
    root = np.sqrt(np.concatenate((half_weights, half_weights)))
    basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(s, n - 1) * root[:, None])
    nodes, vectors = np.linalg.eigh(basis.T @ (s[:, None] * basis))
    return nodes, (vectors.T @ (basis.T @ root)) ** 2


def _second_difference(values: Float[Tensor, "..."], dim: int, parity: int) -> Float[Tensor, "..."]:
    """Return u(k+1) − 2u(k) + u(k−1) for k = 0 … n − 1 from u(0) … u(n), u(−1) = parity u(1)."""
    count = values.shape[dim] - 1
    below = torch.cat((parity * values.narrow(dim, 1, 1), values.narrow(dim, 0, count - 1)), dim)
    return (values.narrow(dim, 1, count) - values.narrow(dim, 0, count)) - (
        values.narrow(dim, 0, count) - below
    )


def _f(x: Tensor, y: Tensor, z: Tensor) -> Float[Tensor, "z y x"]:
    """Return Newell's f for x, y, z ≥ 0, whose fourth derivatives are dipole fields along x."""
    r = (x * x + y * y + z * z).sqrt()
    return (
        y / 2 * (z * z - x * x) * _asinh_ratio(y, x, z)
        + z / 2 * (y * y - x * x) * _asinh_ratio(z, x, y)
        - x * y * z * torch.atan2(y * z, x * r)
        + (2 * x * x - y * y - z * z) * r / 6
    )


def _g(x: Tensor, y: Tensor, z: Tensor) -> Float[Tensor, "z y x"]:
    """Return Newell's g for x, y, z ≥ 0, the same for the field along y of a dipole along x."""
    r = (x * x + y * y + z * z).sqrt()
    return (
        x * y * z * _asinh_ratio(z, x, y)
        + y / 6 * (3 * z * z - y * y) * _asinh_ratio(x, y, z)
        + x / 6 * (3 * z * z - x * x) * _asinh_ratio(y, x, z)
        - z**3 / 6 * torch.atan2(x * y, z * r)
        - z * y * y / 2 * torch.atan2(x * z, y * r)
        - z * x * x / 2 * torch.atan2(y * z, x * r)
        - x * y * r / 3
    )


def _asinh_ratio(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Return asinh(a/√(b² + c²)), finite on the axis b = c = 0, where its factor vanishes."""
    across = (b * b + c * c).sqrt()
    return torch.asinh(a / torch.where(across > 0, across, 1.0))
