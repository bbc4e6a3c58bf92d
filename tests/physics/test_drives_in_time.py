"""Drives that change in time, read at the time of the step: macrospins, films and walls alike.

A field B(t) along z turns m by the angle γ/(1 + α²) ∫B dt, and a wall without a hard axis too.
"""

import math

import pytest
import torch

from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.physics import macrospin, wall_ensemble
from bayespin.physics.drive import Driven, Sine
from bayespin.physics.film import motion
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.wall_ensemble import Walls
from tests.physics.walls import WIDTH, at_rest, silence, track

DAMPING, STEP, STEPS = 0.3, 1e-12, 50
ALONG_X = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)


def ramp(amplitude: Driven) -> Sine:
    """A quarter of a wave in the run: ∫B dt is (2/π) amplitude x time."""
    return Sine(amplitude=amplitude, frequency=1 / (4 * STEPS * STEP))


def azimuth_of_a_macrospin(field: torch.Tensor) -> float:
    layer = FreeLayer(saturation_magnetisation=1e6, diameter=5e-8, thickness=1e-9, damping=DAMPING)
    spins = Macrospins(
        layer=layer, effective_anisotropy=0.0, applied_field=ramp(field), temperature=0.0,
        time_step=STEP,
    )  # fmt: skip
    m = ALONG_X.reshape(3, 1)
    x, y, _ = macrospin.simulate(spins, m, silence(m), range(STEPS)).flatten().tolist()
    return math.atan2(y, x)


def azimuth_of_a_film(field: torch.Tensor) -> float:
    film = Film(
        mesh=Mesh(cells=(2, 1, 1), cell=(3e-9, 3e-9, 1e-9)), saturation_magnetisation=1e6,
        exchange=0.0, damping=DAMPING, demagnetisation="none",
    )  # fmt: skip
    films = motion.films(
        film, motion.Drive(applied_field=ramp(field)), time_step=STEP, like=ALONG_X
    )
    m = ALONG_X.reshape(1, 3, 1, 1, 1).expand(1, 3, 1, 1, 2)
    x, y, _ = motion.simulate(films, m, silence(m), range(STEPS))[0, :, 0, 0, 0].tolist()
    return math.atan2(y, x)


def angle_of_a_wall(field: torch.Tensor) -> float:
    wall = track(damping=DAMPING, hard_axis=0.0)
    walls = Walls(track=wall, temperature=0.0, time_step=STEP, field=ramp(float(field[2])))
    start = at_rest(wall)
    position, angle = wall_ensemble.simulate(walls, start, silence(start), range(STEPS)).flatten()
    assert float(position) == pytest.approx(DAMPING * WIDTH * float(angle), rel=1e-6)
    return float(angle)


@pytest.mark.parametrize("turned", [azimuth_of_a_macrospin, azimuth_of_a_film, angle_of_a_wall])
def test_a_growing_field_turns_by_its_integral(turned):
    """To 1 in 1000; read one step too late or too early it would be 3 %."""
    field = torch.tensor([0.0, 0.0, 0.15], dtype=torch.float64)
    integral = 2 / math.pi * 0.15 * STEPS * STEP
    angle = GYROMAGNETIC_RATIO / (1 + DAMPING**2) * integral
    assert 0.5 < angle < 1
    assert turned(field) == pytest.approx(angle, rel=1e-3)
