"""Equilibrium laws against the tables of the physics reference and against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from bayespin.numerics.quadrature import shape
from bayespin.physics import equilibrium as eq
from bayespin.physics import free_layer as free
from bayespin.physics.free_layer import FreeLayer


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


STABILITY = real(1, 2, 5, 10, 20, 50, 200)
PERPENDICULAR = (
    real(0.5342, 0.4841, 0.3433, 0.2316, 0.1604, 0.1005, 0.0501),
    real(-1.034, -0.813, -0.127, 0.045, 0.006, 0.001, 0.0),
)
EASY_PLANE = (
    real(0.5037, 0.4398, 0.3135, 0.2236, 0.1581, 0.1000, 0.0500),
    real(-0.914, -0.634, -0.124, -0.003, 0.0, 0.0, 0.0),
)
LAWS = {
    "perpendicular": (eq.perpendicular_law, eq.perpendicular_log_density, PERPENDICULAR),
    "easy plane": (eq.easy_plane_law, eq.easy_plane_log_density, EASY_PLANE),
}


@pytest.mark.parametrize("name", LAWS)
def test_table_of_spread_and_kurtosis(name):
    law, _, (std, kurtosis) = LAWS[name]
    found = shape(law(STABILITY))
    torch.testing.assert_close(found.std, std, atol=5.1e-5, rtol=0)
    torch.testing.assert_close(found.excess_kurtosis, kurtosis, atol=5.1e-4, rtol=0)
    torch.testing.assert_close(found.mean, torch.zeros(7).double(), atol=1e-13, rtol=0)
    torch.testing.assert_close(found.skewness, torch.zeros(7).double(), atol=1e-9, rtol=0)


def test_the_table_tells_the_two_laws_apart():
    found = shape(eq.perpendicular_law(STABILITY))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(found.std, EASY_PLANE[0], atol=5.1e-5, rtol=0)


@pytest.mark.parametrize("name", LAWS)
def test_gaussian_quality_from_stability_five(name):
    """|excess kurtosis| < 0.13 and KS distance < 0.003 need Δ >= 5; Δ = 2 has neither."""
    law, log_density, _ = LAWS[name]
    delta = real(2, 5, 7, 10, 30)
    moments = shape(law(delta))
    distance = eq.distance_to_normal(log_density(delta, torch.zeros_like(delta)), moments)
    assert bool((moments.excess_kurtosis[1:].abs() < 0.13).all())
    assert bool((distance[1:] < 0.003).all())
    assert float(moments.excess_kurtosis[0].abs()) > 0.13
    assert float(distance[0]) > 0.003


@pytest.mark.parametrize(
    "diameter, spreads",
    [
        (30e-9, (0.437, 0.284, 0.156)),
        (50e-9, (0.295, 0.171, 0.094)),
        (80e-9, (0.185, 0.107, 0.059)),
    ],
)
def test_spread_of_cofeb_disks(diameter, spreads):
    layer = FreeLayer(
        saturation_magnetisation=1e6, diameter=diameter, thickness=1.2e-9, damping=0.02
    )
    delta = free.stability_factor(layer, real(-1e4, -3e4, -1e5), 300.0)
    torch.testing.assert_close(eq.easy_plane_std(delta), real(*spreads), atol=5.1e-4, rtol=0)


@given(delta=st.floats(0, 5000))
def test_closed_form_of_the_spread(delta):
    d = real(delta)
    torch.testing.assert_close(
        eq.easy_plane_std(d), shape(eq.easy_plane_law(d)).std, atol=1e-10, rtol=0
    )
    assert float(eq.easy_plane_std(d)) <= 1 / math.sqrt(3) + 1e-12


@given(delta=st.floats(1e-3, 500), field=st.floats(-900, 900))
def test_closed_form_of_the_mean(delta, field):
    d, b = real(delta), real(field)
    exact = shape(eq.easy_plane_law(d, b)).mean
    torch.testing.assert_close(eq.easy_plane_mean(d, b), exact, atol=1e-9, rtol=0)


@given(field=st.floats(1e-2, 200))
@pytest.mark.parametrize("law", [eq.easy_plane_law, eq.perpendicular_law])
def test_without_anisotropy_both_laws_are_langevins(law, field):
    mean = float(shape(law(real(0.0), real(field))).mean)
    assert mean == pytest.approx(1 / math.tanh(field) - 1 / field, abs=1e-9)


def test_perpendicular_law_by_integration_over_the_sphere():
    """⟨m_x²⟩ from the polar angle: Boltzmann's weight exp(Δ m_z²), no Bessel function."""
    for delta in (0.7, 5.0, 20.0):
        weight, second = (
            integrate.quad(lambda z, k=k, d=delta: z**k * math.exp(d * (z * z - 1)), -1, 1)[0]
            for k in (0, 2)
        )
        exact = math.sqrt((1 - second / weight) / 2)
        assert float(shape(eq.perpendicular_law(real(delta))).std) == pytest.approx(exact, rel=1e-9)


def test_second_moment_table_of_an_easy_axis():
    """⟨m_z²⟩ of the micromagnetics reference (§5.5), through ⟨m_x²⟩ = (1 − ⟨m_z²⟩)/2."""
    sigma = real(0.5, 1, 2, 5, 10, 15, 20)
    exact = real(0.37973, 0.42923, 0.53127, 0.76427, 0.89273, 0.93060, 0.94856)
    found = 1 - 2 * shape(eq.perpendicular_law(sigma)).std.square()
    torch.testing.assert_close(found, exact, atol=6e-6, rtol=0)


def test_small_field_shifts_the_mean_by_field_over_anisotropy_field():
    delta, ratio = real(10.0, 100.0), 0.05
    found = eq.easy_plane_mean(delta, 2 * delta * ratio)
    torch.testing.assert_close(found, real(ratio, ratio), rtol=2e-3, atol=0)
    torch.testing.assert_close(eq.easy_plane_mean(delta, -2 * delta * ratio), -found)


def test_gradient_of_the_closed_forms():
    delta = real(0.3, 5.0, 80.0).requires_grad_()
    field = real(-3.0, 4.0, 300.0).requires_grad_()
    tiny = real(1e-4).requires_grad_()
    assert torch.autograd.gradcheck(eq.easy_plane_std, (tiny,), eps=1e-7)
    assert torch.autograd.gradcheck(eq.easy_plane_std, (delta,))
    assert torch.autograd.gradcheck(eq.easy_plane_mean, (delta, field))


def test_tabulated_spread_of_a_perpendicular_layer():
    delta = torch.cat((torch.linspace(0, 30, 41), torch.logspace(1.5, 3.3, 20))).double()
    exact = shape(eq.perpendicular_law(delta)).std
    torch.testing.assert_close(eq.perpendicular_std(delta), exact, rtol=2e-5, atol=0)
    far = torch.tensor([1e4], dtype=torch.float64)
    assert float(eq.perpendicular_std(far)) == pytest.approx(1 / math.sqrt(2e4), rel=1e-3)


def test_mean_of_a_perpendicular_layer_by_its_cumulants():
    delta, field = torch.meshgrid(
        torch.tensor([5.0, 10.0, 30.0, 200.0]).double(),
        torch.tensor([-0.2, 0.01, 0.1, 0.2]).double(),
        indexing="ij",
    )
    variance = eq.perpendicular_std(delta).square()
    pushed = field / variance
    exact = shape(eq.perpendicular_law(delta, pushed)).mean
    torch.testing.assert_close(eq.perpendicular_mean(delta, pushed), exact, rtol=1e-2, atol=0)
