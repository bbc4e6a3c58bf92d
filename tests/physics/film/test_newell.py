"""Newell's tensor against 50 digits, Aharoni's cuboids, sum rules and the dipole."""

import itertools
import math
from typing import Any

import pytest
import torch

from bayespin.physics.film.newell import AXES, REACH, closed_form, integrated_dipole, newell_tensor

EDGES = [
    (2e-9, 2e-9, 2e-9),
    (2e-9, 2e-9, 1e-9),
    (500e-9 / 128, 125e-9 / 32, 3e-9),
    (5e-9, 5e-9, 0.6e-9),
    (1e-9, 4e-9, 8e-9),
]


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def aharoni(a, b, c):
    """N_z of a cuboid 2a x 2b x 2c (Aharoni 1998, doi 10.1063/1.367113, equation 1)."""
    r, ab, bc, ca = math.hypot(a, b, c), math.hypot(a, b), math.hypot(b, c), math.hypot(c, a)

    def log(length, edge):
        return math.log((length - edge) / (length + edge))

    total = (b * b - c * c) / (2 * b * c) * log(r, a) + (a * a - c * c) / (2 * a * c) * log(r, b)
    total += -b / (2 * c) * log(ab, a) - a / (2 * c) * log(ab, b)
    total += c / (2 * a) * log(bc, b) + c / (2 * b) * log(ca, a)
    total += 2 * math.atan(a * b / (c * r)) + (a**3 + b**3 - 2 * c**3) / (3 * a * b * c)
    total += (a * a + b * b - 2 * c * c) / (3 * a * b * c) * r + c / (a * b) * (ca + bc)
    return (total - (ab**3 + bc**3 + ca**3) / (3 * a * b * c)) / math.pi


def block_factors(cells, cell):
    """Demagnetising factors of the whole block: the mean over all pairs of cells."""
    tensor = newell_tensor(cells, cell)[:3]
    for dim, n in zip((3, 2, 1), cells, strict=True):
        # A distance of k cells occurs 2(n − k) times among n² pairs, the distance 0 n times.
        pairs = 2 * (n - torch.arange(n, dtype=torch.float64))
        pairs[0] = n
        shape = [1, 1, 1, 1]
        shape[dim] = n
        tensor = tensor * (pairs / n).reshape(shape)
    return tensor.sum((1, 2, 3))


def precise(offset, cell) -> list[float]:
    """The closed form with 50 digits."""
    mp: Any = pytest.importorskip("mpmath")
    d = [mp.mpf(edge / max(cell)) for edge in cell]

    def f(x, y, z):
        r = mp.sqrt(x * x + y * y + z * z)
        return sum(
            b / 2 * (c * c - x * x) * mp.asinh(b / mp.hypot(x, c)) if x or c else 0
            for b, c in ((y, z), (z, y))
        ) + (-x * y * z * mp.atan2(y * z, x * r) + (2 * x * x - y * y - z * z) * r / 6)

    def g(x, y, z):
        r = mp.sqrt(x * x + y * y + z * z)
        total = -x * y * r / 3 + (x * y * z * mp.asinh(z / mp.hypot(x, y)) if x or y else 0)
        for a, b in ((x, y), (y, x)):
            if b or z:
                total += b / 6 * (3 * z * z - b * b) * mp.asinh(a / mp.hypot(b, z))
            total -= z * b * b / 2 * mp.atan2(a * z, b * r)
        return total - z**3 / 6 * mp.atan2(x * y, z * r)

    def component(i, j):
        total = mp.mpf(0)
        for steps in itertools.product((-1, 0, 1), repeat=3):
            p = [(o + s) * e for o, s, e in zip(offset, steps, d, strict=True)]
            weight = math.prod(1 if s else -2 for s in steps)
            others = [abs(p[k]) for k in range(3) if k not in (i, j)]
            if i == j:
                total += weight * f(abs(p[i]), *others)
            else:
                sign = mp.sign(p[i]) * mp.sign(p[j])
                total += weight * sign * g(abs(p[i]), abs(p[j]), *others)
        return float(-total / (4 * mp.pi * d[0] * d[1] * d[2]))

    with mp.workdps(50):
        return [component(i, j) for i, j in AXES]


def test_a_cube_demagnetises_itself_by_a_third():
    tensor = newell_tensor((1, 1, 1), (1.7e-9, 1.7e-9, 1.7e-9)).flatten()
    expected = real(1 / 3, 1 / 3, 1 / 3, 0, 0, 0)
    torch.testing.assert_close(tensor, expected, atol=1e-15, rtol=0)


@pytest.mark.parametrize("cell", EDGES)
def test_the_trace_is_one_within_a_cell_and_zero_between_cells(cell):
    tensor = newell_tensor((40, 30, 5), cell)
    trace = tensor[:3].sum(0)
    assert trace[0, 0, 0] == pytest.approx(1, abs=1e-13)
    trace[0, 0, 0] = 0
    assert trace.abs().max() < 1e-13
    # Far cells have small fields: there, too, the trace is zero as far as digits go.
    assert (trace.abs() / tensor.abs().amax(0)).max() < 1e-10


@pytest.mark.parametrize("cell", EDGES)
@pytest.mark.parametrize("offset", [(0, 0, 0), (1, 0, 0), (2, 1, 1), (5, 3, 2), (30, 1, 0)])
def test_fifty_digits(cell, offset):
    x, y, z = offset
    found = newell_tensor((x + 1, y + 1, z + 1), cell)[:, z, y, x]
    expected = real(*precise(offset, cell))
    error = (found - expected).abs().max()
    assert error < 2e-14
    assert error < 1e-10 * expected.abs().max()
    distance = math.hypot(x * cell[0], y * cell[1], z * cell[2])
    if distance >= REACH * max(cell):
        assert error < 5e-13 * expected.abs().max()


@pytest.mark.parametrize("cell", EDGES)
def test_the_closed_form_meets_the_integrated_dipole(cell):
    """Two routes to (1/V) ∫∫ T dV dV', with nothing in common, between 2 and 5 longest edges."""
    longest = max(cell)
    edges = tuple(d / longest for d in cell)
    x, y, z = (min(6, int(3 / d) + 1) for d in edges)
    closed = closed_form((x, y, z), edges)
    for k, j, i in itertools.product(range(z), range(y), range(x)):
        offset = real([i * edges[0]], [j * edges[1]], [k * edges[2]])
        if float(offset.norm()) >= REACH:
            other = integrated_dipole(offset, edges, REACH)[:, 0]
            torch.testing.assert_close(closed[:, k, j, i], other, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "cells, cell",
    [
        ((1, 1, 1), (3e-9, 2e-9, 1e-9)),
        ((128, 32, 1), (500e-9 / 128, 125e-9 / 32, 3e-9)),
        ((250, 62, 1), (2e-9, 125e-9 / 62, 3e-9)),
        ((20, 20, 4), (2e-9, 2e-9, 1e-9)),
        ((10, 5, 8), (4e-9, 8e-9, 0.5e-9)),
    ],
)
def test_a_block_has_the_factors_of_aharoni_however_it_is_cut(cells, cell):
    """N_z = (1/n) ∑ N_zz(r_i − r_j) over all pairs of cells, and for x and y in turn."""
    a, b, c = (n * d for n, d in zip(cells, cell, strict=True))
    expected = real(aharoni(b, c, a), aharoni(c, a, b), aharoni(a, b, c))
    torch.testing.assert_close(block_factors(cells, cell), expected, atol=1e-12, rtol=0)


def test_aharoni_known_values():
    assert aharoni(1, 1, 1) == pytest.approx(1 / 3, abs=1e-14)
    # A square rod of endless length has 1/2 across.
    assert aharoni(1e4, 1, 1) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("cell, order", [((1.0, 1.0, 1.0), 4), ((2.0, 2.0, 1.0), 2)])
def test_far_cells_are_dipoles(cell, order):
    """N → V (δ_ij − 3 r_i r_j/r²)/(4πr³), up to (d/r)², and for cubes up to (d/r)⁴."""
    errors = []
    for i, j, k in ((20, 10, 5), (40, 20, 10)):
        tensor = newell_tensor((i + 1, j + 1, k + 1), cell)[:, k, j, i]
        r = real(i * cell[0], j * cell[1], k * cell[2])
        dipole = torch.eye(3, dtype=torch.float64) - 3 * torch.outer(r, r) / r.dot(r)
        dipole = dipole * math.prod(cell) / (4 * math.pi * r.norm() ** 3)
        expected = torch.stack([dipole[a, b] for a, b in AXES])
        errors.append(float(((tensor - expected) / dipole.abs().max()).abs().max()))
    assert errors[0] < 0.01
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_axes_can_be_renamed(order):
    """Renamed axes rename the components: N_ij(r) of one is N_p(i)p(j)(p(r)) of the other."""
    cells, cell = (9, 4, 3), (2e-9, 3e-9, 1.5e-9)
    tensor = newell_tensor(cells, cell)
    renamed = newell_tensor(tuple(cells[a] for a in order), tuple(cell[a] for a in order))
    dims = [3 - order[2 - d] - 1 for d in range(3)]
    for number, (i, j) in enumerate(AXES):
        source = AXES.index(tuple(sorted((order[i], order[j]))))
        expected = tensor[source].permute(dims)
        torch.testing.assert_close(renamed[number], expected, atol=1e-14, rtol=0)


def test_only_the_shape_of_a_cell_counts():
    near, far = newell_tensor((6, 5, 4), (2e-9, 3e-9, 1e-9)), newell_tensor((6, 5, 4), (2, 3, 1))
    torch.testing.assert_close(near, far, atol=1e-14, rtol=0)
