"""(u·∇)m against exact derivatives, at surfaces and in vacuum."""

import math

import pytest
import torch

from bayespin.physics.film.gradient import directional_derivative
from bayespin.physics.film.mesh import Mesh
from bayespin.rng import Key

CELL = (2e-9, 3e-9, 1.5e-9)
U = torch.tensor([3.0, -2.0, 5.0], dtype=torch.float64)


def holes():
    """Vacuum in which every magnetic cell keeps a neighbour along every axis."""
    mask = torch.ones((2, 5, 7), dtype=torch.bool)
    mask[:, 2:, 0] = mask[:, 2, 4] = mask[:, (0, 4), 3] = False
    return mask


def coordinates(mesh):
    x, y, z = (mesh.centres(axis) for axis in range(3))
    return x.reshape(1, 1, -1), y.reshape(1, -1, 1), z.reshape(-1, 1, 1)


@pytest.mark.parametrize("masked", [False, True])
def test_a_linear_function_has_its_exact_slope_everywhere(masked):
    """(u·∇)(c + a·r) = u·a, also beside vacuum and at the ends, whatever stands in the vacuum."""
    mesh = Mesh(cells=(7, 5, 2), cell=CELL, mask=holes() if masked else None)
    x, y, z = coordinates(mesh)
    slopes = torch.tensor([[1.0, 2.0, -3.0], [0.5, 0.0, 4.0], [-2.0, 1.0, 0.1]]).double()
    m = 1e8 * torch.stack([a * x + b * y + c * z for a, b, c in slopes.tolist()])
    m = torch.where(mesh.occupied, m, 1e6)
    found = directional_derivative(m, mesh, U)
    expected = (1e8 * slopes @ U).reshape(3, 1, 1, 1) * mesh.occupied
    torch.testing.assert_close(found, expected.expand_as(found), rtol=1e-10, atol=1e-4)


def worst_errors(count):
    """Largest error of a wave's derivative inside and at the ends of 100 nm."""
    d = 100e-9 / count
    mesh = Mesh(cells=(count, 1, 1), cell=(d, d, d))
    phase = 2 * math.pi * (mesh.centres(0) / 40e-9 + 0.1)
    m = phase.cos().reshape(1, 1, 1, -1).expand(3, 1, 1, -1)
    exact = -2 * math.pi / 40e-9 * phase.sin()
    error = (directional_derivative(m, mesh, torch.tensor([1.0, 0.0, 0.0])) - exact).abs()[0, 0, 0]
    return float(error[1:-1].max()), float(error[[0, -1]].max())


def test_order_inside_and_at_the_ends():
    """Second order inside, (kd)²/6 of k at most, first order at the ends."""
    (inside, ends), (finer, finer_ends) = worst_errors(100), worst_errors(200)
    k = 2 * math.pi / 40e-9
    assert inside == pytest.approx(k * (k * 1e-9) ** 2 / 6, rel=0.01)
    assert inside / finer == pytest.approx(4, rel=0.02)
    assert ends / finer_ends == pytest.approx(2, rel=0.1)


def test_a_central_difference_spans_both_neighbours():
    """(m_{i+1} − m_{i−1})/2d inside, (m_{i+1} − m_i)/d and (m_i − m_{i−1})/d at the ends."""
    mesh = Mesh(cells=(4, 1, 1), cell=CELL)
    m = (
        torch.tensor([0.0, 1.0, 5.0, 2.0], dtype=torch.float64)
        .reshape(1, 1, 1, 4)
        .expand(3, 1, 1, 4)
    )
    found = directional_derivative(m, mesh, torch.tensor([2e-9, 0.0, 0.0], dtype=torch.float64))
    assert found[0, 0, 0].tolist() == pytest.approx([1.0, 2.5, 0.5, -3.0])


def test_a_cell_without_neighbours_has_no_slope():
    mask = torch.tensor([[[True, False, True, True]]])
    mesh = Mesh(cells=(4, 1, 1), cell=CELL, mask=mask)
    m = torch.arange(12, dtype=torch.float64).reshape(3, 1, 1, 4)
    found = directional_derivative(m, mesh, U)
    assert not found[..., :2].any()
    assert found[..., 2:].all()


def test_every_replica_may_have_its_own_velocity():
    mesh = Mesh(cells=(7, 5, 2), cell=CELL, mask=holes())
    generator = Key.root(5).generator()
    m = torch.empty((4, 3, *mesh.shape), dtype=torch.float64).normal_(generator=generator)
    u = torch.empty((4, 3, 1, 1, 1), dtype=torch.float64).normal_(generator=generator)
    found = directional_derivative(m, mesh, u)
    for one in range(4):
        alone = directional_derivative(m[one], mesh, u[one].flatten())
        assert torch.equal(found[one], alone)
