"""Micromagnetic walls against the closed forms of the one-dimensional model (micromagnetics 5.8).

Cells of 2 nm, Δ = 5.6 nm. The central difference of the Zhang-Li torque is slower by
1 − (dx/Δ)²/6 = 0.979; the wall on the grid is narrower by (dx/Δ)²/8 = 0.984, and with it everything
that is proportional to Δ.
"""

import math

import pytest
import torch

from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.physics import wall_motion
from bayespin.physics.film import motion
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.motion import Drive, films
from bayespin.physics.film.texture import wall, wall_position
from bayespin.physics.spin_torque import SpinTorque

MS, A, K, HARD, DAMPING = 1.1e6, 1.6e-11, 5.1e5, 3e4, 0.2
WIDTH, CELL = math.sqrt(A / K), 2e-9
ON_GRID = 1 - (CELL / WIDTH) ** 2 / 8
DIFFERENCE = 1 - (CELL / WIDTH) ** 2 / 6
HARD_FIELD = 2 * HARD / MS
WALKER = DAMPING * HARD_FIELD / 2


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def track(hard=HARD, **changes):
    """A chain whose local demagnetisation makes x, across the wall, a hard axis."""
    factor = 2 * hard / (VACUUM_PERMEABILITY * MS**2)
    return Film(
        mesh=Mesh(cells=(64, 1, 1), cell=(CELL, CELL, 6e-10)), saturation_magnetisation=MS,
        exchange=A, damping=DAMPING, uniaxial_anisotropy=K, demagnetisation=(factor, 0.0, 0.0),
        **changes,
    )  # fmt: skip


def velocities(film, drive, angles, settle=0.1e-9, measure=0.25e-9):
    """Mean velocity of each wall over `measure`; it starts with the angle of its steady motion."""
    start = wall(film.mesh, 56e-9, WIDTH, angles)
    spins = films(film, drive, time_step=1e-15, like=start)
    first = motion.solve(spins, start, (0.0, settle), 1e-5, 1e-13)
    last = motion.solve(spins, first.state, (settle, settle + measure), 1e-5, first.next_step)
    moved = wall_position(last.state, film.mesh) - wall_position(first.state, film.mesh)
    return moved / measure


def along_z(fields):
    return torch.stack((0 * fields, 0 * fields, fields), -1)[..., None, None, None]


def along_x(speeds):
    return torch.stack((speeds, 0 * speeds, 0 * speeds), -1)[..., None, None, None]


def test_field_and_current_below_breakdown():
    """v = γΔ(φ)B/α with sin 2φ = B/B_W, and v = βu/α: two fields and three drifts in one batch."""
    field = WALKER * real(0.5, 0.9, 0, 0, 0)
    drift, beta = real(0, 0, 20, 20, 20), real(0, 0, 0.1, 0.2, 0.4)
    drive = Drive(
        applied_field=along_z(field),
        drift_velocity=along_x(drift),
        nonadiabaticity=beta.reshape(5, 1, 1, 1, 1),
    )
    # sin 2φ = (v − u)/u_c on either drive, about the Bloch wall at π/2
    lag = drift * (beta / DAMPING - 1) / wall_motion.critical_drift(WIDTH, HARD_FIELD)
    angle = math.pi / 2 + torch.asin(field / WALKER + lag) / 2
    found = velocities(track(), drive, angle)
    narrowed = torch.sqrt(A / (K + HARD * angle[:2].cos().square()))
    walker = wall_motion.GYROMAGNETIC_RATIO * narrowed * field[:2] / DAMPING
    torch.testing.assert_close(found[:2], walker * ON_GRID, rtol=0.012, atol=0)
    torch.testing.assert_close(
        found[2:], beta[2:] / DAMPING * drift[2:] * DIFFERENCE, rtol=0.012, atol=0
    )


def test_spin_orbit_torque_drives_chiral_walls():
    """v = γΔ(π/2)B_D/√(1 + (αB_D/B_SH)²): D −1 mJ/m², which favours φ = 0; B_SH 5, 20, 80 mT."""
    dmi, strength = -1e-3, real(5e-3, 20e-3, 80e-3)
    torque = SpinTorque(direction=real(0, 1, 0), damping_like=strength.reshape(3, 1, 1, 1, 1))
    film = track(hard=0.0, interfacial_dmi=dmi)
    angle = wall_motion.spin_hall_angle(strength, DAMPING, wall_motion.dmi_field(1e-3, MS, WIDTH))
    expected = wall_motion.spin_hall_velocity(
        strength, WIDTH, DAMPING, wall_motion.dmi_field(1e-3, MS, WIDTH)
    )
    found = velocities(film, Drive(spin_torques=(torque,)), angle, 0.1e-9, 0.1e-9)
    torch.testing.assert_close(found, expected, rtol=0.015, atol=0)


@pytest.mark.slow
def test_field_and_current_above_breakdown():
    """Means over two whole periods: ⟨v⟩ falls back at 3 B_W; β = 0 moves at 2u_c, and not below."""
    field = 3 * WALKER
    period = float(wall_motion.breakdown_period(real(field), DAMPING, HARD_FIELD)[0])
    found = velocities(
        track(), Drive(applied_field=real(0, 0, field)), real(math.pi / 2), 1e-9, 2 * period
    )
    reference = wall_motion.mean_velocity(
        real(field), real(0.0), wall_width=WIDTH, damping=DAMPING, hard_axis=HARD_FIELD
    )
    # The wall breathes, Δ(φ), and so does the grid's share: 3 % (the reference run has 0.97).
    torch.testing.assert_close(found, reference, rtol=0.05, atol=0)
    critical = wall_motion.critical_drift(WIDTH, HARD_FIELD)
    drive = Drive(drift_velocity=along_x(critical * real(0.7, 2.0)))
    slow, fast = velocities(track(), drive, real(math.pi / 2, math.pi / 2), 2e-9, 2 * period)
    assert abs(float(slow)) < 0.02 * critical
    assert float(fast) == pytest.approx(critical * math.sqrt(3) / (1 + DAMPING**2), rel=0.08)
