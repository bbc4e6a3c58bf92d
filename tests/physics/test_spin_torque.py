"""Spin torques against their formulas, and the signs of the convention."""

import math

import pytest
import torch

from bayespin.physics import llg
from bayespin.physics.drive import Pulse
from bayespin.physics.spin_torque import (
    SpinTorque,
    drift_velocity,
    slonczewski_field,
    spin_hall_field,
)


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


Y, Z = real(0, 1, 0), real(0, 0, 1)


def test_numbers_of_the_literature():
    """micromagnetics.md 5.8: 4.99 mT per 1e11 A/m²; muMAG 5: u = 72.35 m/s."""
    assert spin_hall_field(0.1, 1e11, 1.1e6, 0.6e-9) == pytest.approx(4.99e-3, rel=1e-3)
    assert drift_velocity(1e12, 1.0, 8e5) == pytest.approx(72.35, rel=1e-4)
    # a junction at P = 0.6, 1e10 A/m², 1 MA/m, 1.2 nm: ħPJ/(2eM_st)
    assert slonczewski_field(0.6, 1e10, 1e6, 1.2e-9) == pytest.approx(1.6455e-3, rel=1e-4)
    both = slonczewski_field(0.6, real(0.0, -1e10), 1e6, 1.2e-9)
    torch.testing.assert_close(both, real(0.0, -1.6455e-3), rtol=1e-4, atol=0)


@pytest.mark.parametrize("axis", [-2, -4])
def test_field_is_that_of_its_formula(axis):
    """B = bη m×p + b_fl p, on both layouts and per operating point."""
    shape = {-2: (2, 3, 5), -4: (2, 3, 1, 4, 5)}[axis]
    m = llg.unit(torch.linspace(-1, 2, math.prod(shape), dtype=torch.float64).reshape(shape), axis)
    b = real(1e-3, -2e-3).reshape(2, *[1] * (len(shape) - 1))
    direction = real(0.6, 0.0, 0.8)
    torque = SpinTorque(direction=direction, damping_like=b, field_like=3e-3, asymmetry=1.5)
    p = direction.reshape(3, *[1] * (-axis - 1)).expand(shape)
    along = (m * p).sum(axis, keepdim=True)
    eta = 2 * 1.5**2 / ((1.5**2 + 1) + (1.5**2 - 1) * along)
    exact = b * eta * torch.linalg.cross(m, p, dim=axis) + 3e-3 * p
    torch.testing.assert_close(torque.field(m, 0.0, axis), exact)
    assert torque.largest_field == pytest.approx(1.5**2 * 2e-3 + 3e-3)


def test_damping_like_turns_towards_the_polarisation_and_field_like_about_it():
    m = real(1, 0, 0)
    pulled = llg.torque(m, SpinTorque(direction=Y, damping_like=1e-3).field(m, 0, -1), 1e-9, -1)
    torch.testing.assert_close(pulled / pulled.norm(), Y, atol=1e-8, rtol=0)
    turned = llg.torque(m, SpinTorque(direction=Y, field_like=1e-3).field(m, 0, -1), 1e-9, -1)
    torch.testing.assert_close(turned / turned.norm(), -Z, atol=1e-8, rtol=0)


def test_spin_hall_current_acts_on_a_wall_as_a_field_along_z():
    """micromagnetics.md 5.8: B_z = B_SH cos φ for m in the plane of the film."""
    angle = 0.7
    m = real(math.cos(angle), math.sin(angle), 0)
    field = SpinTorque(direction=Y, damping_like=2e-3).field(m, 0.0, -1)
    assert float(field[2]) == pytest.approx(2e-3 * math.cos(angle))


def test_efficiency_runs_from_one_to_the_square_of_the_asymmetry():
    torque = SpinTorque(direction=Z, damping_like=1.0, asymmetry=2.0)
    tilts = {1e-6: 1.0, math.pi / 2: 8 / 5, math.pi - 1e-6: 4.0}
    for tilt, efficiency in tilts.items():
        m = real(math.sin(tilt), 0, math.cos(tilt))
        size = float(torque.field(m, 0.0, -1).norm()) / math.sin(tilt)
        assert size == pytest.approx(efficiency)


def test_amplitudes_follow_time_and_dtype():
    pulse = Pulse(amplitude=real(1e-3), start=1.0, width=1.0)
    torque = SpinTorque(direction=Z, field_like=pulse)
    m = torch.tensor([1.0, 0.0, 0.0])
    assert torque.field(m, 1.5, -1).dtype == torch.float32
    assert float(torque.field(m, 1.5, -1)[2]) == pytest.approx(1e-3)
    assert float(torque.field(m, 0.5, -1)[2]) == 0.0


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"direction": real(0, 0, 2)}, "`direction` must have length 1 .* has length 2"),
        ({"direction": real(0, 0, math.nan)}, "`direction` must have length 1"),
        ({"asymmetry": 0.5}, "`asymmetry` must be at least 1, but is 0.5"),
        ({"damping_like": math.nan}, "`damping_like` must be finite, but is nan T"),
    ],
)
def test_impossible_torques_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SpinTorque(**{"direction": Z, **changes})
