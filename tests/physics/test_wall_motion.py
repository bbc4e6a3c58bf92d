"""Velocity formulas against the roots of the steady equations, and the values of the note."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize

from bayespin.constants import GYROMAGNETIC_RATIO as GAMMA
from bayespin.physics import domain_wall
from bayespin.physics import wall_motion as motion
from bayespin.physics.spin_torque import spin_hall_field

WIDTH = domain_wall.width_parameter(16e-12, 0.51e6)
NOTE = 1.7595e11 / GAMMA
"""The note's velocities are by mumax3's γ."""
HARD = motion.hard_axis_field(0.03e6, 1.1e6)


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def test_values_of_the_note():
    """micromagnetics.md §5.8: B_W 5.45 mT, 13.41 and 23.99 m/s, 7.54 m/s, u_c 26.9 m/s, 44.8."""
    limit = motion.walker_field(0.2, HARD)
    assert limit == pytest.approx(5.45e-3, abs=1e-5)
    field = limit * real(0.5, 0.9, 3.0)
    angle = motion.walker_angle(field[:2], 0.2, HARD)
    width = (16e-12 / (0.51e6 + 0.03e6 * angle.sin() ** 2)).sqrt()
    material = {"damping": 0.2, "hard_axis": HARD}
    below = motion.mean_velocity(field[:2], 0 * field[:2], wall_width=width, **material)
    torch.testing.assert_close(NOTE * below, real(13.41, 23.99), atol=0.01, rtol=0)
    above = motion.mean_velocity(field[2:], real(0), wall_width=WIDTH, **material)
    torch.testing.assert_close(NOTE * above, real(7.54), atol=0.12, rtol=0)  # with its own Δ(φ)
    critical = motion.critical_drift(WIDTH, HARD)
    assert critical == pytest.approx(26.9, abs=0.05)
    drift = real(20, 2 * critical)
    none = motion.mean_velocity(real(0, 0), drift, wall_width=WIDTH, **material)
    torch.testing.assert_close(NOTE * none, real(0, 44.8), atol=0.1, rtol=0)
    equal = motion.mean_velocity(
        real(0, 0, 0), real(20, 20, 20), wall_width=WIDTH, nonadiabaticity=0.4, **material
    )
    torch.testing.assert_close(equal, real(40, 40, 40))


def test_chiral_wall_of_the_note():
    """§5.8: D 1 mJ/m², B_SH 5/20/80 mT: 38.3/131.8/232.8 m/s; 4.99 mT per 1e11 A/m²; 251 m/s."""
    chiral = motion.dmi_field(1e-3, 1.1e6, WIDTH)
    found = motion.spin_hall_velocity(real(0.005, 0.020, 0.080), WIDTH, 0.2, chiral)
    torch.testing.assert_close(NOTE * found, real(38.3, 131.8, 232.8), atol=0.1, rtol=0)
    assert motion.saturation_velocity(1e-3, 1.1e6) == pytest.approx(251, abs=0.5)
    current = motion.saturation_current_density(1e-3, WIDTH, 0.2, 0.1, 0.6e-9)
    field = spin_hall_field(0.1, current, 1.1e6, 0.6e-9)
    assert field == pytest.approx(0.2 * chiral, rel=1e-12)
    half = motion.spin_hall_velocity(real(field), WIDTH, 0.2, chiral)
    assert float(half) == pytest.approx(motion.saturation_velocity(1e-3, 1.1e6) / math.sqrt(2))


def residual(unknown, drive):
    """Both equations of the module's docstring with φ̇ = 0, in units of γ."""
    velocity, angle = unknown
    along = drive["b"] + math.pi / 2 * drive["sh"] * math.cos(angle) + drive["beta"] * drive["u"]
    across = drive["p"] / 2 * math.sin(2 * angle) + math.pi / 2 * drive["d"] * math.sin(angle)
    return drive["alpha"] * velocity - along, velocity - across - drive["u"]


@given(
    share=st.floats(-0.95, 0.95), beta=st.floats(0, 2), u=st.floats(-1, 1), alpha=st.floats(0.02, 1)
)
def test_steady_motion_solves_both_equations(share, beta, u, alpha):
    """u is in units of γΔ; the field makes up for it so that the wall stays below breakdown."""
    hard = 0.05
    field = share * alpha * hard / 2 - (beta - alpha) * u * 0.01
    drive = {"b": field, "sh": 0, "p": hard, "d": 0, "u": u * 0.01, "beta": beta, "alpha": alpha}
    found = motion.mean_velocity(
        real(field), real(u * 0.01 * GAMMA * WIDTH),
        wall_width=WIDTH, damping=alpha, hard_axis=hard, nonadiabaticity=beta,
    ) / (GAMMA * WIDTH)  # fmt: skip
    angle = motion.walker_angle(real(share * alpha * hard / 2), alpha, hard)
    assert residual((float(found), float(angle)), drive) == pytest.approx((0, 0), abs=1e-14)


@given(
    sh=st.floats(-0.1, 0.1).filter(lambda b: abs(b) > 1e-4),
    chiral=st.floats(0.01, 0.2),
    sign=st.sampled_from([-1, 1]),
    alpha=st.floats(0.02, 1),
)
def test_spin_hall_motion_solves_both_equations(sh, chiral, sign, alpha):
    drive = {"b": 0, "sh": sh, "p": 0, "d": sign * chiral, "u": 0, "beta": 0, "alpha": alpha}
    speed = motion.spin_hall_velocity(real(sh), WIDTH, alpha, sign * chiral) / (GAMMA * WIDTH)
    angle = motion.spin_hall_angle(real(sh), alpha, sign * chiral)
    assert residual((float(speed), float(angle)), drive) == pytest.approx((0, 0), abs=1e-14)


@given(hard=st.floats(-0.1, 0.1), chiral=st.floats(-0.2, 0.2))
def test_walker_field_is_the_largest_that_any_angle_balances(hard, chiral):
    def balanced(angle):
        return hard / 2 * np.sin(2 * angle) + math.pi / 2 * chiral * np.sin(angle)

    grid = np.linspace(0, math.tau, 401)
    start = grid[np.abs(balanced(grid)).argmax()]
    best = optimize.minimize_scalar(
        lambda angle: -abs(balanced(angle)), bounds=(start - 0.03, start + 0.03), method="bounded"
    )
    assert motion.walker_field(0.3, hard, chiral) == pytest.approx(-0.3 * best.fun, abs=1e-9)


def test_walker_field_of_strong_dmi():
    assert motion.walker_field(0.2, 1e-4, 0.15) == pytest.approx(0.2 * math.pi / 2 * 0.15, rel=1e-4)


def test_breakdown_period_is_the_time_of_half_a_turn():
    """T = ∫_0^π dφ/φ̇, (1 + α²)φ̇ = γ(B − B_W sin 2φ)."""
    field, alpha = 0.02, 0.2
    limit = motion.walker_field(alpha, HARD)
    turn = integrate.quad(lambda x: 1 / (field - limit * math.sin(2 * x)), 0, math.pi)[0]
    found = motion.breakdown_period(real(field), alpha, HARD)
    assert float(found) == pytest.approx((1 + alpha**2) * turn / GAMMA, rel=1e-9)


def test_faster_than_walker_is_refused():
    with pytest.raises(ValueError, match=r"must not exceed the Walker field 0.005455 T, but reach"):
        motion.walker_angle(real(6e-3), 0.2, HARD)


def test_diffusion_of_the_note():
    """§5.8: 50 x 1 nm, α 0.1, 300 K, Δ 5.6 nm, M_s 1.1 MA/m: 3.7e-7 m²/s, 86 nm in 10 ns."""
    moment = 1.1e6 * 50e-18
    locked = motion.locked_diffusion(5.6e-9, 0.1, moment, 300.0)
    assert locked == pytest.approx(3.7e-7, abs=5e-9)
    assert math.sqrt(2 * locked * 10e-9) == pytest.approx(86e-9, abs=1e-9)
    free = motion.free_diffusion(5.6e-9, 0.1, moment, 300.0)
    assert free == pytest.approx(locked / 101, rel=1e-12)
