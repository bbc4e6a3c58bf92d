"""Wall width and conductance of a track against closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize

from bayespin.physics import domain_wall as wall


def test_wall_of_the_pt_co_alox_set():
    """micromagnetics.md §5.7: K_eff 0.510 MJ/m³, Δ 5.60 nm, πΔ 17.6 nm."""
    anisotropy = wall.track_anisotropy(1.27e6, 1.1e6)
    assert anisotropy == pytest.approx(0.510e6, abs=500)
    width = wall.width_parameter(16e-12, anisotropy)
    assert width == pytest.approx(5.60e-9, abs=5e-12)
    assert wall.physical_width(width) == pytest.approx(17.6e-9, abs=5e-11)


@given(exchange=st.floats(10e-12, 31e-12), anisotropy=st.floats(5e4, 1e6))
def test_width_minimises_the_wall_energy(exchange, anisotropy):
    """E(Δ) = 2A/Δ + 2KΔ of a tanh profile is least at Δ = √(A/K), where it is 4√(AK)."""

    def energy(delta):
        return 2 * exchange / delta + 2 * anisotropy * delta

    best = wall.width_parameter(exchange, anisotropy)
    assert energy(best) == pytest.approx(4 * math.sqrt(exchange * anisotropy), rel=1e-12)
    assert energy(best) < min(energy(1.01 * best), energy(0.99 * best))


def test_energies_of_the_pt_co_alox_set():
    """micromagnetics.md §5.7: 4√(AK) 11.4 mJ/m², D_c 3.64 mJ/m², where the Néel wall is free."""
    anisotropy = wall.track_anisotropy(1.27e6, 1.1e6)
    assert wall.wall_energy(16e-12, anisotropy) == pytest.approx(11.4e-3, abs=5e-5)
    critical = wall.critical_dmi(16e-12, anisotropy)
    assert critical == pytest.approx(3.64e-3, abs=5e-6)
    assert wall.wall_energy(16e-12, anisotropy, -critical) == pytest.approx(0, abs=1e-15)


def chain_width(cell, exchange=16e-12, anisotropy=0.51e6, cells=80):
    """½ ∑ sin²θ dx of a chain in its energy minimum, with a wall between its two middle cells.

    dE/dθ_i ∝ (2A/dx²)[sin(θ_i − θ_{i−1}) + sin(θ_i − θ_{i+1})] + K sin 2θ_i = 0.
    """
    x = (np.arange(cells) - (cells - 1) / 2) * cell
    start = 2 * np.arctan(np.exp(x / math.sqrt(exchange / anisotropy)))

    def gradient(theta):
        padded = np.concatenate(([0.0], theta, [np.pi]))
        bend = np.sin(np.diff(padded)[:-1]) - np.sin(np.diff(padded)[1:])
        return 2 * exchange / (anisotropy * cell**2) * bend + np.sin(2 * theta)

    found = optimize.fsolve(gradient, start, xtol=1e-12)
    return np.sum(np.sin(found) ** 2) * cell / 2


@pytest.mark.parametrize("cell, measured", [(1e-9, 5.579e-9), (2e-9, 5.509e-9)])
def test_width_on_cells(cell, measured):
    """micromagnetics.md §5.7 measured 5.579 and 5.509 nm for Δ = 5.60 nm; the chain agrees."""
    width = wall.width_parameter(16e-12, 0.51e6)
    found = wall.discrete_width_parameter(width, cell)
    assert found == pytest.approx(measured, abs=3.5e-12)
    assert found == pytest.approx(chain_width(cell), rel=6e-4)


def test_films_without_perpendicular_anisotropy_are_refused():
    with pytest.raises(ValueError, match="must exceed the shape anisotropy"):
        wall.track_anisotropy(3e5, 0.795e6)


@given(position=st.floats(-0.1, 1.1), width=st.floats(0.02, 0.2))
def test_parallel_fraction_is_the_average_of_the_profile(position, width):
    exact = integrate.quad(
        lambda y: (1 + math.tanh((position - y) / width)) / 2, 0, 1, points=[0.5], epsabs=1e-12
    )[0]
    found = wall.parallel_fraction_exact(torch.tensor(position).double(), 1.0, width)
    assert float(found) == pytest.approx(exact, abs=1e-7)


def test_conductance_is_linear_between_the_dead_zones_only():
    length, width = 300e-9, 9.3e-9
    dead = wall.end_dead_zone(width)
    inside = torch.linspace(dead, length - dead, 50, dtype=torch.float64)
    error = (wall.parallel_fraction_exact(inside, length, width) - inside / length).abs().max()
    assert float(error) < 1.01 * width / (2 * length) * math.exp(-2 * math.pi)
    end = wall.parallel_fraction_exact(torch.zeros(1, dtype=torch.float64), length, width)
    assert float(end) > 0.01  # at the very end half of the wall still counts
