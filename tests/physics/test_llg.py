"""The equation of motion, its noise amplitude and its stable steps, against closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.constants import BOLTZMANN, GYROMAGNETIC_RATIO
from bayespin.numerics.stochastic import heun_step
from bayespin.physics import llg
from bayespin.rng import Key

AXES = pytest.mark.parametrize("axis", [-1, -2, -4])


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def vectors(axis, seed=0, dtype=torch.float64):
    """Random vectors with their components along `axis`; every axis has its own length."""
    shape = {-1: (5, 3), -2: (5, 3, 4), -4: (2, 3, 4, 2, 5)}[axis]
    generator = Key.root(seed).generator()
    return torch.empty(shape, dtype=dtype).normal_(generator=generator)


@AXES
def test_cross_and_unit_are_those_of_linear_algebra(axis):
    a, b = vectors(axis, 1), vectors(axis, 2)
    torch.testing.assert_close(llg.cross(a, b, axis), torch.linalg.cross(a, b, dim=axis))
    torch.testing.assert_close(llg.unit(a, axis), a / a.norm(dim=axis, keepdim=True))


@AXES
@pytest.mark.parametrize("damping", [0.02, 1.5])
def test_torque_solves_gilberts_form(axis, damping):
    """dm/dt = −γ m×B + α m×dm/dt, which is implicit in dm/dt."""
    m, field = llg.unit(vectors(axis, 3), axis), vectors(axis, 4)
    rate = llg.torque(m, field, damping, axis)
    gilbert = -GYROMAGNETIC_RATIO * llg.cross(m, field, axis) + damping * llg.cross(m, rate, axis)
    torch.testing.assert_close(rate, gilbert)
    assert float((rate * m).sum(axis).abs().max()) < 1e-12 * float(rate.abs().max())


def test_damping_may_differ_along_the_batch():
    m, field = llg.unit(vectors(-2, 5), -2), vectors(-2, 6)
    dampings = torch.linspace(0.01, 0.5, 5, dtype=torch.float64).reshape(5, 1, 1)
    together = llg.torque(m, field, dampings, -2)
    for i, damping in enumerate(dampings.flatten().tolist()):
        torch.testing.assert_close(together[i], llg.torque(m[i], field[i], damping, -2))


def test_torque_is_differentiable():
    m, field = (
        vectors(-2, 7)[:1, :, :2].requires_grad_(),
        vectors(-2, 8)[:1, :, :2].requires_grad_(),
    )
    assert torch.autograd.gradcheck(
        lambda m, b: llg.torque(llg.unit(m, -2), b, 0.1, -2) / GYROMAGNETIC_RATIO, (m, field)
    )


@given(length=st.floats(1e-3, 10.0))
def test_cayleys_rotation_turns_by_twice_the_arc_tangent(length):
    """v×m turns m ⊥ v by 2 atan|v| and leaves what is along v."""
    v = torch.tensor([0.0, 0.0, length], dtype=torch.float64)
    m = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    turned = torch.cat(llg.rotated(llg.components(m, -1), llg.components(v, -1)), -1)
    angle = 2 * math.atan(length)
    exact = torch.tensor([0.6 * math.cos(angle), 0.6 * math.sin(angle), 0.8], dtype=torch.float64)
    torch.testing.assert_close(turned, exact)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_diffusion_leaves_of_a_harmonic_what_the_laplacian_does(degree):
    """E P_l(m·m') = e^{−l(l+1)s²/2} with an error of s⁶; rotation vectors of variance s²: of s⁴."""
    points, weights = np.polynomial.hermite_e.hermegauss(20)
    grid = torch.as_tensor(np.array(np.meshgrid(points, points, points)).reshape(3, 1, -1))
    weight = torch.as_tensor(np.einsum("i,j,k->ijk", *[weights / weights.sum()] * 3).ravel())
    m, noise = llg.components(real(0.6, 0.0, 0.8)[:, None], 0), llg.Components(*grid)
    legendre = np.polynomial.legendre.Legendre.basis(degree)

    def error(turned, spread):
        cosine = sum(a * b for a, b in zip(m, turned, strict=True))
        mean = float((weight * torch.as_tensor(legendre(cosine.numpy()))).sum())
        return abs(mean - math.exp(-degree * (degree + 1) * spread / 2))

    spreads = [0.01, 0.005]
    right = [error(llg.diffused(m, noise, real(s)), s) for s in spreads]
    plain = [error(llg.rotated(m, noise.mul(math.sqrt(s) / 2)), s) for s in spreads]
    assert math.log2(right[0] / right[1]) == pytest.approx(3, abs=0.1)
    assert math.log2(plain[0] / plain[1]) == pytest.approx(2, abs=0.1)


def test_thermal_field_of_a_known_case():
    """√(2αkT/(γM_sVΔt)): 50 nm x 1.2 nm, 1 MA/m, α 0.02, 300 K, 1 ps."""
    volume = math.pi * 50e-9**2 / 4 * 1.2e-9
    exact = math.sqrt(2 * 0.02 * BOLTZMANN * 300 / (GYROMAGNETIC_RATIO * 1e6 * volume * 1e-12))
    assert llg.thermal_field_std(0.02, 1e6, volume, 300.0, 1e-12) == pytest.approx(exact)
    assert exact == pytest.approx(0.0199832, rel=1e-5)
    temperatures = torch.tensor([0.0, 300.0])
    found = llg.thermal_field_std(0.02, 1e6, volume, temperatures, 1e-12)
    torch.testing.assert_close(found, torch.tensor([0.0, exact]))


def amplification(step, field, damping):
    """Growth per Heun step of a small precession about a field, without projection."""
    m = torch.tensor([1e-9, 0.0, 1.0], dtype=torch.float64)
    b = torch.tensor([0.0, 0.0, field], dtype=torch.float64)
    ratio = 1.0
    for _ in range(20):
        before = float(m[:2].norm())
        m = heun_step(lambda _, m, n: llg.torque(m, b + 0 * n, damping, -1), m, 0 * m, step)
        ratio = float(m[:2].norm()) / before
        m = torch.cat((m[:2] * (1e-9 / float(m[:2].norm())), torch.ones(1, dtype=torch.float64)))
    return ratio


@pytest.mark.parametrize("damping", [0.005, 0.02, 0.1, 1.0, 5.0])
def test_largest_stable_step_is_where_heun_stops_damping(damping):
    largest = llg.largest_stable_step(0.3, damping)
    assert amplification(0.99 * largest, 0.3, damping) < 1
    assert amplification(1.01 * largest, 0.3, damping) > 1


def test_largest_stable_step_in_its_limits():
    angle = GYROMAGNETIC_RATIO * 2.0 * llg.largest_stable_step(2.0, 1e-6)
    assert angle == pytest.approx(2e-2, rel=1e-2)  # 2α^{1/3}
    angle = GYROMAGNETIC_RATIO * 2.0 * llg.largest_stable_step(2.0, 1e3)
    assert angle == pytest.approx(2e3, rel=1e-3)  # 2α


def test_a_step_too_large_is_refused_with_the_largest_stable_one():
    message = r"`time_step` must be at most 53 fs for a field of 60 T and damping 0.02, but is 1 ps"
    with pytest.raises(ValueError, match=message):
        llg.check_time_step(1e-12, 60.0, 0.02)
    llg.check_time_step(53e-15, 60.0, 0.02)
    llg.check_time_step(1.0, 0.0, 0.02)
    for bad in (0.0, -1e-12, math.nan):
        with pytest.raises(ValueError, match="`time_step` must be positive"):
            llg.check_time_step(bad, 1.0, 0.02)


@pytest.mark.parametrize("name", ["stiffest_field", "damping"])
def test_without_damping_or_field_there_is_no_largest_step(name):
    with pytest.raises(ValueError, match=f"`{name}` must be positive, but is 0"):
        llg.largest_stable_step(**{"stiffest_field": 1.0, "damping": 0.1, name: 0.0})
