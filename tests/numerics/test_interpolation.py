"""Tables of equal steps against the functions that they hold."""

import pytest
import torch

from bayespin.numerics.interpolation import lookup, tabulated


def test_lookup_is_linear_between_nodes_and_constant_beyond():
    table = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)
    found = lookup(table, torch.tensor([-1.0, 0.0, 0.5, 1.25, 2.0, 9.0], dtype=torch.float64))
    assert found.tolist() == [0.0, 0.0, 0.5, 1.75, 4.0, 4.0]


def test_many_points_have_the_error_of_their_steps():
    """h²f''/8 with h = 3/100 and f'' <= e³."""
    points = torch.linspace(0, 3, 5000, dtype=torch.float64).reshape(50, 100)
    found = tabulated(torch.exp, points, nodes=101)
    worst = float((found - points.exp()).abs().max())
    assert 0 < worst <= 0.03**2 * torch.e**3 / 8
    assert worst == pytest.approx(0.03**2 * torch.e**3 / 8, rel=0.05)
    assert torch.equal(tabulated(torch.exp, points, nodes=5000), points.exp())
    same = torch.full((200,), 2.0, dtype=torch.float64)
    torch.testing.assert_close(tabulated(torch.exp, same, nodes=10), same.exp(), rtol=1e-12, atol=0)
