"""Kittel's formulas against the spectrum of the linearised equation of motion, and a ring-down."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.constants import GYROMAGNETIC_RATIO, VACUUM_PERMEABILITY
from bayespin.physics import resonance as fmr
from bayespin.physics.llg import torque


def ellipsoid_field(m, applied, moment, factors, anisotropy):
    """B = B0 ẑ − µ0M_s N m + (2K_u/M_s) m_z ẑ for one macrospin (3 1)."""
    z = torch.tensor([[0.0], [0.0], [1.0]], dtype=m.dtype)
    n = torch.tensor(factors, dtype=m.dtype)[:, None]
    return (applied + 2 * anisotropy / moment * m[2]) * z - VACUUM_PERMEABILITY * moment * n * m


def spectrum(damping, *parameters):
    """Return the pair of eigenvalues of dm/dt about m = ẑ, by differentiating `torque`."""
    z = torch.tensor([[0.0], [0.0], [1.0]], dtype=torch.float64)

    def rate(m):
        return torque(m, ellipsoid_field(m, *parameters), damping, -2)

    jacobian = torch.func.jacrev(rate)(z)[:2, 0, :2, 0]
    return torch.linalg.eigvals(jacobian)


@given(
    applied=st.floats(0.8, 3),
    share=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1), st.floats(0.05, 1)),
    anisotropy=st.floats(0, 5e5),
    damping=st.floats(1e-3, 0.3),
)
def test_stiffness_gives_the_linearised_spectrum(applied, share, anisotropy, damping):
    moment, factors = 0.8e6, tuple(one / sum(share) for one in share)
    pair = spectrum(damping, applied, moment, factors, anisotropy)
    stiffness = fmr.ellipsoid_stiffness(applied, moment, factors, anisotropy)
    assert -float(pair.real.mean()) == pytest.approx(fmr.decay_rate(stiffness, damping), rel=1e-9)
    found = fmr.ring_down_frequency(stiffness, damping)
    assert float(pair.imag.abs().max()) == pytest.approx(math.tau * found, rel=1e-9)
    free = spectrum(0.0, applied, moment, factors, anisotropy)
    kittel = math.tau * fmr.resonance_frequency(stiffness)
    assert float(free.imag.abs().max()) == pytest.approx(kittel, rel=1e-9)


def test_perpendicular_film_of_the_table():
    """micromagnetics.md §5.6: K_u 0.7 MJ/m³, M_s 1 MA/m, no field: 4.01 GHz, by mumax3's γ.

    That γ is 1.7595e11, 0.08 % below ours, and 4.0146 GHz is cut to 4.01.
    """
    found = fmr.resonance_frequency(fmr.perpendicular_film_stiffness(0.0, 1e6, 0.7e6))
    assert found * 1.7595e11 / GYROMAGNETIC_RATIO == pytest.approx(4.0146e9, abs=1e5)


def test_in_plane_film_and_sphere():
    field = torch.tensor([0.05, 0.5], dtype=torch.float64)
    found = fmr.resonance_frequency(fmr.in_plane_film_stiffness(field, 0.8e6))
    film = (field * (field + VACUUM_PERMEABILITY * 0.8e6)).sqrt()
    torch.testing.assert_close(found, GYROMAGNETIC_RATIO / math.tau * film)
    sphere = fmr.ellipsoid_stiffness(field, 0.8e6, (1 / 3, 1 / 3, 1 / 3))
    torch.testing.assert_close(
        fmr.ring_down_frequency(sphere, 0.0), GYROMAGNETIC_RATIO / math.tau * field
    )


def test_ring_down_of_twenty_periods():
    """f and the decay of the whole equation of motion agree to 0.1 % (micromagnetics.md §5.6)."""
    parameters, damping, dt = (0.2, 0.8e6, (0.0, 1.0, 0.0), 0.0), 0.01, 1e-12
    stiffness = fmr.ellipsoid_stiffness(*parameters)
    steps = round(20 / fmr.ring_down_frequency(stiffness, damping) / dt)
    m = torch.tensor([[1e-3], [0.0], [1.0]], dtype=torch.float64)
    m, seen = m / m.norm(), []

    def rate(state):
        return torque(state, ellipsoid_field(state, *parameters), damping, -2)

    for _ in range(steps):  # classical Runge-Kutta: its phase error is (ωΔt)⁴/120, below 1e-7
        k1 = rate(m)
        k2 = rate(m + dt / 2 * k1)
        k3 = rate(m + dt / 2 * k2)
        m = m + dt / 6 * (k1 + 2 * k2 + 2 * k3 + rate(m + dt * k3))
        seen.append(float(m[0]))
    x = np.array(seen)
    before = np.flatnonzero((x[:-1] < 0) & (x[1:] >= 0))  # upward crossings, one a period
    crossings = before + x[before] / (x[before] - x[before + 1])
    period = (crossings[-1] - crossings[0]) / (len(crossings) - 1) * dt
    assert 1 / period == pytest.approx(fmr.ring_down_frequency(stiffness, damping), rel=1e-5)
    peaks = [x[a:b].max() for a, b in pairwise(before)]
    decay = math.log(peaks[0] / peaks[-1]) / (len(peaks) - 1) / period
    assert decay == pytest.approx(fmr.decay_rate(stiffness, damping), rel=1e-3)
