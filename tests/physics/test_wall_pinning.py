"""Barriers, depinning fields and rates of escape against exact rates and moving walls."""

import math

import numpy as np
import pytest
import torch
from scipy import linalg

from bayespin.constants import BOLTZMANN
from bayespin.numerics.stochastic import keyed_step_noise
from bayespin.physics import wall_ensemble as ensemble
from bayespin.physics import wall_motion as motion
from bayespin.physics import wall_pinning as pinning
from bayespin.physics.drive import Pulse
from bayespin.physics.wall_ensemble import Walls
from bayespin.rng import Key
from tests.physics.walls import WIDTH, at_rest, path, real, row, track
from tests.statistical.check import proportion_is


def slowest_rate(wall, reach, diffusion, temperature, cells=1500):
    """λ1 of the overdamped Fokker-Planck equation for q in U(q), absorbed at ±reach.

    Jumps D/h² exp(−(U_j − U_i)/2kT) between cells of length h, made symmetric.
    """
    q = torch.linspace(-reach, reach, cells, dtype=torch.float64)[1:-1]
    u = (ensemble.potential(wall.notches, q) / (BOLTZMANN * temperature)).numpy()
    h = 2 * reach / (cells - 1)
    up, down = np.exp(-np.diff(u) / 2), np.exp(np.diff(u) / 2)
    leave = np.concatenate((up, [1.0])) + np.concatenate(([1.0], down))
    beside = -np.ones(len(u) - 1)
    lowest = linalg.eigvalsh_tridiagonal(leave, beside, select="i", select_range=(0, 0))
    return float(lowest[0]) * diffusion / h**2


PITCH = 24e-9


def pinned_track(depth, hard=0.0, damping=0.5):
    return track(
        damping=damping, hard_axis=hard, ends=(-PITCH, PITCH),
        notches=row(depth * BOLTZMANN * 300, 7e-9, PITCH),
    )  # fmt: skip


def climb(wall):
    return pinning.passage(wall, (0.0, PITCH), torch.zeros(1, dtype=torch.float64))


@pytest.mark.parametrize("hard", [0.0, 1e4])
def test_escape_rate_tends_to_the_slowest_mode(hard):
    """Over two barriers, free (B_p = 0) and locked (10⁴ T): the error falls as kT/E."""
    error = []
    for depth in (12, 24):
        wall = pinned_track(depth, hard)
        diffusion = motion.locked_diffusion if hard else motion.free_diffusion
        constant = diffusion(WIDTH, 0.5, wall.moment_density, 300.0)
        exact = slowest_rate(wall, PITCH, constant, 300.0)
        error.append(2 * float(pinning.escape_rate(wall, climb(wall), 300.0)) / exact - 1)
    assert abs(error[0]) < 0.12
    assert error[0] / error[1] == pytest.approx(2, rel=0.2)


def test_depinning_follows_the_exact_rate():
    """Walls left after two times, at a barrier of 4.1 kT, φ free: overdamped to the last term.

    Power: 5,000 walls, of which half leave, see 10 % of the rate.
    """
    wall = pinned_track(4.6)
    assert 4 < float(climb(wall).barrier) / (BOLTZMANN * 300) < 6
    constant = motion.free_diffusion(WIDTH, 0.5, wall.moment_density, 300.0)
    rate = slowest_rate(wall, PITCH, constant, 300.0)
    walls = Walls(track=wall, temperature=300.0, time_step=5e-11)
    settle, later = 60, 60 + round(0.7 / rate / walls.time_step)
    start = at_rest(wall, replicas=5000)
    noise = keyed_step_noise(Key.root(23).child("escape"), start)
    middle = ensemble.simulate(walls, start, noise, range(settle))
    held = ~ensemble.left_track(wall, middle)
    end = ensemble.simulate(walls, middle, noise, range(settle, later))
    stayed = held & ~ensemble.left_track(wall, end)
    chance = math.exp(-rate * (later - settle) * walls.time_step)
    proportion_is(int(stayed.sum()), int(held.sum()), chance)


def test_depinning_field_and_tilted_barrier():
    """No barrier is left at √(2/e)U0/(2M_sSw); just below, a wall stays, and just above it goes."""
    depth, width = 2e-19, 9e-9
    wall = track(damping=0.5, notches=row(depth, width, 1e-6, count=1), ends=(-1e-7, 1e-7))
    limit = pinning.depinning_field(depth, width, wall.moment_density)
    left = pinning.passage(wall, (-5e-8, 5e-8), limit * real(0.0, 0.9, 1.001))
    assert float(left.barrier[0]) == pytest.approx(depth, rel=1e-6)
    assert float(left.barrier[2]) == 0
    rates = pinning.escape_rate(wall, left, 300.0)
    assert rates.isfinite().tolist() == [True, True, False]
    assert float(rates[0]) < float(rates[1]) < float(rates[2]) == math.inf
    assert float(left.bottom[1]) < width / math.sqrt(2) < float(left.top[1])
    walls = Walls(
        track=wall, temperature=0, time_step=5e-12,
        field=Pulse(amplitude=limit * real(0.98, 1.02)[:, None], start=0.0, width=4e-9, rise=2e-9),
    )  # fmt: skip
    q, _ = path(walls, at_rest(wall, 2), 1200)
    assert float(q[-1, 0].abs()) < 1e-10
    assert float(q[-1, 1]) == 1e-7
