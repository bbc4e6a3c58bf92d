"""Wall width and conductance of a track against closed forms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

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
