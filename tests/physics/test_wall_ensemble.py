"""Ensembles of walls against closed forms, equilibrium laws and escape rates, faults included."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.constants import BOLTZMANN
from bayespin.constants import GYROMAGNETIC_RATIO as GAMMA
from bayespin.numerics.stochastic import keyed_step_noise
from bayespin.physics import llg
from bayespin.physics import wall_ensemble as ensemble
from bayespin.physics import wall_motion as motion
from bayespin.physics.drive import Pulse
from bayespin.physics.wall_ensemble import Notches, Walls, WallTrack
from bayespin.rng import Key
from tests.physics.walls import (
    HARD,
    MOMENT,
    SECTION,
    WIDTH,
    at_rest,
    path,
    real,
    row,
    silence,
    track,
)
from tests.statistical.check import Ledger, required_samples, variance_is


def mean_velocity(q, dt, start, span):
    """Return (q(start + span) − q(start))/span between the steps of a recorded path."""
    times = np.arange(len(q)) * dt
    return float(np.diff(np.interp([start, start + span], times, q))[0] / span)


def test_field_and_current_below_and_above_breakdown():
    """`wall_motion.mean_velocity` for B of 0.5, 0.9, −3 B_W, and u at β 0, 0.1, 0.4, and 2u_c."""
    limit, critical = motion.walker_field(0.2, HARD), motion.critical_drift(WIDTH, HARD)
    field = real(0.5 * limit, 0.9 * limit, -3 * limit, 0, 0, 0, 0)
    drift = real(0, 0, 0, 20, 20, 20, 2 * critical)
    beta = real(0, 0, 0, 0, 0.1, 0.4, 0)
    wall = track(nonadiabaticity=beta[:, None])
    walls = Walls(
        track=wall, temperature=0, time_step=2e-11,
        field=field[:, None], drift_velocity=drift[:, None],
    )  # fmt: skip
    q, _ = path(walls, at_rest(wall, 7), 620)
    exact = [
        float(
            motion.mean_velocity(
                field[i], drift[i], wall_width=WIDTH, damping=0.2, hard_axis=HARD,
                nonadiabaticity=float(beta[i]),
            )
        )
        for i in range(7)
    ]  # fmt: skip
    # φ turns as in a field of this size: whole periods of it, or any span below breakdown
    turning = (GAMMA * field + (beta - 0.2) * drift / WIDTH).abs() / GAMMA
    period = motion.breakdown_period(turning, 0.2, HARD)
    for i in range(7):
        span = 2 * float(period[i]) if period[i] < 3e-9 else 2e-9
        found = mean_velocity(q[:, i], walls.time_step, 8e-9, span)
        assert found == pytest.approx(exact[i], rel=2e-3, abs=1e-3), i


@pytest.mark.parametrize("sign", [-1, 1])
def test_chiral_wall_under_spin_hall_torque(sign):
    """`spin_hall_velocity` and `spin_hall_angle` at B_SH 5, 20, 80 mT for either chirality."""
    chiral = sign * motion.dmi_field(1e-3, MOMENT, WIDTH)
    wall, field = track(dmi=chiral, hard_axis=0.0), real(0.005, 0.02, 0.08)
    walls = Walls(track=wall, temperature=0, time_step=1e-11, spin_hall_field=field[:, None])
    q, phi = path(walls, at_rest(wall, 3), 250)
    velocity = (q[-1] - q[-51]) / (50 * walls.time_step)
    exact = motion.spin_hall_velocity(field, WIDTH, 0.2, chiral)
    torch.testing.assert_close(velocity, exact, rtol=1e-3, atol=0)
    torch.testing.assert_close(
        phi[-1], motion.spin_hall_angle(field, 0.2, chiral), rtol=1e-3, atol=0
    )


def test_breakdown_with_dmi_is_at_the_walker_field():
    """Just below `walker_field` φ stands still, just above it turns, with both B_p and B_D."""
    limit = motion.walker_field(0.2, HARD, 0.04)
    wall = track(dmi=0.04)
    walls = Walls(
        track=wall, temperature=0, time_step=2e-11, field=limit * real(0.97, 1.03)[:, None]
    )
    _, phi = path(walls, at_rest(wall, 2), 600)
    assert abs(float(phi[-1, 0] - phi[-2, 0])) < 1e-6
    assert float(phi[-1, 1]) > math.tau


@given(bloch=st.floats(0.01, 0.1), dmi=st.floats(-0.1, 0.1))
def test_resting_angle_is_the_lowest_energy(bloch, dmi):
    for hard in (-bloch, bloch):
        walls = Walls(track=track(hard_axis=hard, dmi=dmi), temperature=0, time_step=1e-12)
        angles = torch.linspace(-math.pi, math.pi, 721, dtype=torch.float64)
        states = torch.stack((torch.zeros_like(angles), angles))
        lowest = ensemble.energy(walls, states).min()
        rest = ensemble.energy(walls, at_rest(walls.track))
        assert float(rest) <= float(lowest) + 1e-32


def test_rates_are_the_gradient_of_the_energy():
    """2M_sSΔ B_q = −Δ ∂E/∂q and 2M_sSΔ B_φ = ∂E/∂φ for field, notches, hard axis and DMI."""
    wall = track(dmi=0.03, notches=row(4e-20, 9e-9, 20e-9))
    walls = Walls(track=wall, temperature=0, time_step=1e-12, field=0.01)
    state = real(6e-9, 0.7).reshape(2, 1).requires_grad_()
    (slope,) = torch.autograd.grad(ensemble.energy(walls, state).sum(), state)
    along, across = ensemble.fields(walls, state)
    double = 2 * MOMENT * SECTION
    torch.testing.assert_close(along, -slope[0] / double, rtol=1e-9, atol=0)
    torch.testing.assert_close(across, slope[1] / (double * WIDTH), rtol=1e-9, atol=0)
    q = real(-17e-9, -3e-9, 8e-9).requires_grad_()
    (first,) = torch.autograd.grad(ensemble.potential(wall.notches, q).sum(), q)
    torch.testing.assert_close(ensemble.potential_slope(wall.notches, q), first, rtol=1e-9, atol=0)
    (second,) = torch.autograd.grad(ensemble.potential_slope(wall.notches, q).sum(), q)
    torch.testing.assert_close(
        ensemble.potential_curvature(wall.notches, q), second, rtol=1e-9, atol=0
    )


def test_without_noise_and_current_the_energy_falls():
    wall = track(dmi=0.03, notches=row(4e-20, 9e-9, 20e-9))
    walls = Walls(track=wall, temperature=0, time_step=2e-12, field=0.002)
    state = torch.stack((real(-13e-9, 4e-9, 11e-9), real(0.5, 2.0, -1.0)))
    energies = []
    ensemble.simulate(
        walls, state, silence(state), range(150),
        lambda _, s: energies.append(ensemble.energy(walls, s)),
    )  # fmt: skip
    assert bool((torch.stack(energies).diff(dim=0) < 0).all())


DIFFUSING = Walls(track=track(damping=0.3, hard_axis=0.3), temperature=30.0, time_step=4e-12)
"""φ relaxes in 69 ps and strays by 0.05 rad, so that sin 2φ = 2φ to 0.2 % of the variance."""
SPREADS = required_samples(2**0.5, 0.1)
"""Sees 10 % of a variance, 5 % of the noise, with a power of 0.999: 12,735 walls."""


def spread(time):
    """⟨q²⟩ of a wall with an elastic φ, from rest: 2D_free t at first and 2D_locked t at last.

    q = (Δ/α)(γ∫b_q dt − φ), φ̇ = −kφ + γ'(b_q − αb_φ), k = αγ'B_p, γ' = γ/(1 + α²), so that
    ⟨q²⟩ = 2D_locked {t + [(1 − e^{−2kt})/2k − 2(1 − e^{−kt})/k]/(1 + α²)}.
    """
    wall = DIFFUSING.track
    k = wall.damping * llg.gyration_rate(wall.damping) * wall.hard_axis
    locked = motion.locked_diffusion(
        WIDTH, wall.damping, wall.moment_density, DIFFUSING.temperature
    )
    memory = -math.expm1(-2 * k * time) / (2 * k) + 2 * math.expm1(-k * time) / k
    return 2 * locked * (time + memory / (1 + wall.damping**2))


def diffused(count, steps=(1, 120)):
    start = at_rest(DIFFUSING.track, replicas=count)
    noise, seen = keyed_step_noise(Key.root(21).child("spread"), start), []

    def observe(index, state):
        if index + 1 in steps:
            seen.append(state[0, 0])

    ensemble.simulate(DIFFUSING, start, noise, range(max(steps)), observe)
    return seen


def check_diffusion(count=SPREADS, **settings):
    """At 4 ps φ is all but free (1/17 of its relaxation time), at 480 ps it is locked.

    Bias of Heun, worked out for the first step: −(kΔt/2α)²/3 = −0.3 % of the variance.
    """
    for q, step in zip(diffused(count), (1, 120), strict=True):
        exact = spread(step * DIFFUSING.time_step)
        variance_is(q, exact, bias=0.004 * exact, **settings)


def test_thermal_diffusion_free_and_locked():
    check_diffusion()


def test_spread_joins_both_diffusion_constants():
    moment = DIFFUSING.track.moment_density
    free = motion.free_diffusion(WIDTH, 0.3, moment, 30.0)
    assert spread(1e-15) == pytest.approx(2e-15 * free, rel=1e-3)
    locked = motion.locked_diffusion(WIDTH, 0.3, moment, 30.0)
    assert spread(1e-6) == pytest.approx(2e-6 * locked, rel=1e-3)


@pytest.mark.parametrize("factors", [(1.0, 0.0), (0.0, 1.0), (1.1, 1.1)])
def test_wrong_noise_is_caught(monkeypatch, factors):
    """Noise on one coordinate alone, or 10 % too strong."""
    right = ensemble.heun_step
    wrong = real(*factors)[:, None]
    monkeypatch.setattr(
        ensemble, "heun_step", lambda rate, s, noise, *rest: right(rate, s, wrong * noise, *rest)
    )
    with pytest.raises(AssertionError, match="variance"):
        check_diffusion(ledger=Ledger(1))


def boltzmann_variance(log_weight, low, high):
    """∫x² p/∫p for ln p on an even interval: the trapezium rule, exact for a law that ends in 0."""
    x = torch.linspace(low, high, 2001, dtype=torch.float64)
    weight = torch.exp(log_weight(x) - log_weight(x).max())
    return float((weight * x.square()).sum() / weight.sum())


def test_pinned_walls_follow_boltzmann():
    """⟨q²⟩ and ⟨φ²⟩ of a notch 25 kT deep; kT/k = kT w²/(2U0) is 7 % less: it is anharmonic."""
    kt, width = BOLTZMANN * 300, 8e-9
    wall = track(damping=0.5, hard_axis=0.15, notches=row(25 * kt, width, 1e-6, count=1))
    walls = Walls(track=wall, temperature=300.0, time_step=5e-12)
    start = at_rest(wall, replicas=SPREADS)
    noise = keyed_step_noise(Key.root(22).child("pinned"), start)
    q, phi = ensemble.simulate(walls, start, noise, range(200))[0]
    place = boltzmann_variance(
        lambda x: -ensemble.potential(wall.notches, x) / kt, -1.2 * width, 1.2 * width
    )
    assert place == pytest.approx(kt / (2 * 25 * kt / width**2), rel=0.07)
    inner = MOMENT * SECTION * WIDTH * 0.15 / kt
    turn = boltzmann_variance(lambda x: -inner * x.sin().square(), -math.pi / 2, math.pi / 2)
    phi = phi - math.pi * (phi / math.pi).round()  # some turn to the other side, 11 kT away
    # Heun's stationary variance of a linear pair is exact to (γBΔt)²/4, here 0.3 %
    variance_is(q, place, bias=0.004 * place)
    variance_is(phi, turn, bias=0.004 * turn)


def test_levels_are_the_nearest_notches():
    notches = row(1e-19, 5e-9, 20e-9, count=4)  # at −40, −20, 0, 20 nm
    state = torch.stack((real(-70e-9, -29e-9, -9.9e-9, 10.1e-9), real(0, 0, 0, 0)))
    assert ensemble.level(notches, state).tolist() == [0, 1, 2, 3]


def varied(count):
    """Walls with a device of their own each, under a field pulse, in 16 notches."""
    shift = torch.linspace(0, 1, count, dtype=torch.float64)
    centres = torch.arange(16, dtype=torch.float64)[:, None] * 20e-9
    notches = Notches(position=centres + 2e-9 * shift, depth=1e-20 * (1 + shift), width=real(9e-9))
    wall = track(wall_width=WIDTH * (1 + 0.1 * shift), notches=notches, ends=(-1e-7, 4e-7))
    return Walls(
        track=wall, temperature=300.0, time_step=3e-12,
        field=Pulse(amplitude=0.02, start=6e-12, width=3e-11),
    )  # fmt: skip


def taken(walls, k):
    """Return wall k of `varied` as an ensemble of one."""
    wall, chosen = walls.track, slice(k, k + 1)
    notches = Notches(
        position=wall.notches.position[..., chosen],
        depth=wall.notches.depth[..., chosen],
        width=wall.notches.width,
    )
    return replace(walls, track=replace(wall, wall_width=wall.wall_width[chosen], notches=notches))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_replica_alone_equals_itself_in_a_batch_and_any_split_of_steps(dtype):
    walls = varied(37)
    start = ensemble.init(walls.track, torch.full((1,), 40e-9, dtype=dtype), 37)
    noise = keyed_step_noise(Key.root(24).child("batch"), start)
    whole = ensemble.simulate(walls, start, noise, range(20))
    assert whole.dtype == dtype
    alone = ensemble.simulate(
        taken(walls, 5), start[:, 5:6].clone(), lambda i: noise(i)[:, 5:6], range(20)
    )
    assert torch.equal(whole[:, 5:6], alone)
    half = ensemble.simulate(walls, start, noise, range(7))
    assert torch.equal(whole, ensemble.simulate(walls, half, noise, range(7, 20)))


def test_a_wall_that_is_not_finite_stays_seen_and_alone():
    wall = track(ends=(-1e-7, 1e-7))
    walls = Walls(track=wall, temperature=0, time_step=5e-12, field=0.001)
    state = at_rest(wall, replicas=3)
    state[..., 1] = math.nan
    moved = ensemble.simulate(walls, state, silence(state), range(3))[0, 0]
    assert moved.isfinite().tolist() == [True, False, True]


def amplification(wall, dt):
    """Return the largest |1 + hA + h²A²/2| of Heun about q = 0 and φ = 0, A by differentiation."""
    walls = Walls(track=wall, temperature=0, time_step=1e-15)
    at = torch.zeros(2, 1, dtype=torch.float64)
    slopes = torch.func.jacrev(lambda s: torch.stack(ensemble.fields(walls, s)))(at)[:, 0, :, 0]
    mix = real(wall.damping * WIDTH, WIDTH, 1, -wall.damping).reshape(2, 2)
    step = dt * llg.gyration_rate(wall.damping) * mix @ slopes
    return float(torch.linalg.eigvals(torch.eye(2) + step + step @ step / 2).abs().max())


def test_largest_stable_step_is_where_heun_stops_damping():
    """|1 + z + z²/2| crosses 1 there; equal fields give `llg.largest_stable_step`."""
    for damping, hard in ((0.05, 0.01), (0.05, 0.4), (0.9, 0.4), (2.0, 0.02)):
        wall = track(damping=damping, hard_axis=hard, notches=row(1e-19, 9e-9, 1e-6, count=1))
        limit = ensemble.largest_stable_step(wall)
        assert amplification(wall, 0.999 * limit) < 1 < amplification(wall, 1.001 * limit)
    stiff = float(ensemble.position_stiffness(wall, real(0.0)))
    equal = replace(wall, hard_axis=stiff, damping=0.02)
    assert ensemble.largest_stable_step(equal) == pytest.approx(
        llg.largest_stable_step(stiff, 0.02), rel=1e-9
    )
    assert ensemble.largest_stable_step(track(hard_axis=0.0)) == math.inf


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"damping": 0.0}, "`damping` must be positive and finite, but is 0"),
        ({"saturation_magnetisation": math.inf}, "must be positive and finite, but is inf"),
        ({"wall_width": real(5e-9, -1e-9)}, "`wall_width` must be positive and .* is -1e-09"),
        ({"hard_axis": math.nan}, "`hard_axis` must be finite"),
        ({"ends": (1e-7, 0.0)}, "`ends` must be in order"),
    ],
)
def test_impossible_tracks_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        WallTrack(**({**vars(track())} | changes))


def test_impossible_notches_and_steps_are_refused():
    with pytest.raises(ValueError, match="`width` must be positive, but is 0 m"):
        row(1e-19, 0.0, 1e-8)
    with pytest.raises(ValueError, match="`depth` must be finite"):
        row(math.inf, 1e-9, 1e-8)
    with pytest.raises(ValueError, match="must hold at least one notch"):
        row(1e-19, 1e-9, 1e-8, count=0)
    with pytest.raises(ValueError, match=r"`time_step` must be at most 1.08 ns .* but is 10 ns"):
        Walls(track=track(), temperature=0, time_step=1e-8)
    with pytest.raises(ValueError, match="`temperature` must not be negative, but is -1 K"):
        Walls(track=track(), temperature=-1.0, time_step=1e-12)
    with pytest.raises(ValueError, match=r"`temperature` must not be .* infinite, but is inf K"):
        Walls(track=track(), temperature=real(300.0, math.inf), time_step=1e-12)
    with pytest.raises(ValueError, match="`field` must be finite, but is nan"):
        Walls(track=track(), temperature=0, time_step=1e-12, field=math.nan)
    with pytest.raises(ValueError, match="`time_step` must be positive"):
        Walls(track=track(), temperature=0, time_step=0.0)
    with pytest.raises(ValueError, match="`replicas` must be at least 1"):
        at_rest(track(), replicas=0)
