"""The stochastic equation of motion against closed forms and equilibrium laws, faults included."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.numerics.quadrature import shape
from bayespin.numerics.stochastic import integrate, keyed_step_noise
from bayespin.physics import equilibrium, llg, macrospin, relaxation
from bayespin.physics import free_layer as free
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins
from bayespin.rng import Key
from tests.statistical.check import mean_is, variance_is

TEMPERATURE = 300.0


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def disk(damping):
    return FreeLayer(
        saturation_magnetisation=1e6, diameter=50e-9, thickness=1.2e-9, damping=damping
    )


def ensemble(damping, *anisotropies, field=(0.0, 0.0, 0.0), time_step=1e-11, temperature=300.0):
    return Macrospins(
        layer=disk(damping),
        effective_anisotropy=real(*anisotropies)[:, None],
        applied_field=torch.as_tensor(field, dtype=torch.float64),
        temperature=temperature,
        time_step=time_step,
    )


def along_x(points, replicas):
    start = torch.zeros(points, 3, replicas, dtype=torch.float64)
    start[:, 0] = 1.0
    return start


def silence(start):
    return lambda _: torch.zeros_like(start)


@pytest.mark.parametrize("damping", [0.02, 0.5])
def test_damped_precession_in_closed_form(damping):
    """tanh⁻¹ m_z grows by αγBt/(1+α²) while the azimuth turns by γBt/(1+α²)."""
    field, dt, steps = 0.05, 4e-13, 750
    spins = ensemble(damping, 0.0, field=(0.0, 0.0, field), time_step=dt, temperature=0.0)
    start = real(0.8, 0.0, 0.6).reshape(1, 3, 1)
    m = macrospin.simulate(spins, start, silence(start), range(steps))[0, :, 0]
    angle = GYROMAGNETIC_RATIO * field * dt * steps / (1 + damping**2)
    assert float(m[2]) == pytest.approx(math.tanh(math.atanh(0.6) + damping * angle), abs=1e-5)
    assert math.remainder(math.atan2(m[1], m[0]) - angle, math.tau) == pytest.approx(0, abs=1e-5)


def test_without_noise_the_energy_falls():
    spins = ensemble(0.1, -3e4, 2e4, field=(0.01, 0.0, 0.005), temperature=0.0, time_step=1e-12)
    m = macrospin.init(ensemble(0.1, 0.0, 0.0), 20, Key.root(4).generator())
    energies = []
    macrospin.simulate(
        spins, m, silence(m), range(200), lambda _, m: energies.append(macrospin.energy(spins, m))
    )
    assert bool((torch.stack(energies).diff(dim=0) < 0).all())


@given(angle=st.floats(0, math.tau))
def test_turning_everything_about_the_axis_turns_the_result(angle):
    c, s = math.cos(angle), math.sin(angle)
    turn = real(c, -s, 0, s, c, 0, 0, 0, 1).reshape(3, 3)
    m, noise = real(0.6, 0.0, 0.8)[None, :, None], real(0.3, -1.0, 0.7)[None, :, None]
    field = real(0.01, 0.02, 0.03)
    plain = ensemble(0.1, -1e4, field=field.tolist())
    turned = ensemble(0.1, -1e4, field=(turn @ field).tolist())
    torch.testing.assert_close(
        macrospin.step(turned, turn @ m, turn @ noise), turn @ macrospin.step(plain, m, noise)
    )


def equilibrated(points, replicas=5000, steps=350):
    """u after six relaxation times from the equator, at α = 1, where relaxation is cheap."""
    spins = ensemble(1.0, *points)
    start = along_x(len(points), replicas)
    noise = keyed_step_noise(Key.root(11).child("equilibrium"), start)
    return macrospin.simulate(spins, start, noise, range(steps))[:, 2]


def exact_variances(points):
    delta = free.stability_factor(disk(1.0), real(*points), TEMPERATURE)
    return equilibrium.easy_plane_std(delta).square().tolist()


POINTS = (-1e4, -3e4)
BIAS = 0.01
"""Relative allowance for the time step Δt: Heun's own h²/4 with h = Δt/τ < 0.06, and the projection
onto the sphere, of the order of 2Δt/τ_N = 0.006."""


def check_equilibrium(points=POINTS, **settings):
    for u, exact in zip(equilibrated(points, **settings), exact_variances(points), strict=True):
        variance_is(u, exact, bias=BIAS * exact)


def test_equilibrium_law_from_the_equator():
    u = equilibrated(POINTS)
    for values, exact in zip(u, exact_variances(POINTS), strict=True):
        variance_is(values, exact, bias=BIAS * exact)
        mean_is(values, 0.0)
    table = real(0.294, 0.173)  # physics.md §4, at 20 and 60 mT
    torch.testing.assert_close(u.std(-1), table, rtol=0.03, atol=0)


def test_noise_twice_as_strong_is_caught(monkeypatch):
    right = macrospin.thermal_field_std
    monkeypatch.setattr(macrospin, "thermal_field_std", lambda *p: math.sqrt(2) * right(*p))
    with pytest.raises(AssertionError, match="variance"):
        check_equilibrium(replicas=1000)


def test_missing_damping_factor_is_caught(monkeypatch):
    monkeypatch.setattr(macrospin, "gyration_rate", lambda _: GYROMAGNETIC_RATIO)
    with pytest.raises(AssertionError, match="variance"):
        check_equilibrium(replicas=1000)


def test_euler_without_projection_is_caught():
    spins = ensemble(1.0, *POINTS)
    start = along_x(2, 1000)
    noise = keyed_step_noise(Key.root(11).child("euler"), start)

    std = llg.thermal_field_std(1.0, 1e6, disk(1.0).volume, TEMPERATURE, spins.time_step)

    def euler(_, m, n):
        field = macrospin.effective_field(spins, m) + std * n
        return m + spins.time_step * llg.torque(m, field, 1.0, -2)

    m = integrate(euler, start, noise, range(350))
    exact = exact_variances(POINTS)[0]
    with pytest.raises(AssertionError):
        variance_is(m[0, 2], exact, bias=BIAS * exact)


def test_field_alone_gives_langevins_mean():
    """⟨m·b⟩ = coth ξ − 1/ξ, ξ = M_s V B/kT = 2, along z and, by symmetry, along x."""
    layer = disk(1.0)
    kt = free.thermal_energy(TEMPERATURE)
    b = 2 * kt / (layer.saturation_magnetisation * layer.volume)
    fields = [[[0.0], [0.0], [b]], [[b], [0.0], [0.0]]]
    spins = ensemble(1.0, 0.0, field=fields, time_step=4e-11)
    start = along_x(2, 5000).roll(1, -2)  # along y, across both
    noise = keyed_step_noise(Key.root(12).child("langevin"), start)
    m = macrospin.simulate(spins, start, noise, range(300))
    for values in (m[0, 2], m[1, 0]):
        mean_is(values, 1 / math.tanh(2) - 0.5, bias=0.004)


def test_first_draw_follows_the_equilibrium_law():
    spins = ensemble(1.0, -1e4, 1e4)
    m = macrospin.init(spins, 40_000, Key.root(13).generator())
    torch.testing.assert_close(m.norm(dim=-2), torch.ones(2, 40_000).double())
    delta = free.stability_factor(disk(1.0), real(1e4), TEMPERATURE)
    variance_is(m[0, 2], float(equilibrium.easy_plane_std(delta)) ** 2)
    variance_is(m[1, 0], float(shape(equilibrium.perpendicular_law(delta)).std) ** 2)
    mean_is(m[1, 2], 0.0)
    with pytest.raises(ValueError, match="at least 1"):
        macrospin.init(spins, 0, Key.root(13).generator())


def test_correlation_decays_at_the_exact_rate():
    """C(t) lies between exp(−λ̄t) (Jensen, λ̄ = ⟨1−u²⟩/2s²) and exp(−λ1 t); not at exp(−Δt)."""
    spins = ensemble(1.0, -1e4)
    delta = free.stability_factor(disk(1.0), real(1e4), TEMPERATURE)
    variance = float(equilibrium.easy_plane_std(delta)) ** 2
    time = 65 * spins.time_step / relaxation.free_diffusion_time(disk(1.0), TEMPERATURE)
    slow = math.exp(-float(relaxation.fokker_planck_rate(-delta)) * time)
    fast = math.exp(-(1 - variance) / (2 * variance) * time)
    start = macrospin.init(spins, 40_000, Key.root(14).generator())
    noise = keyed_step_noise(Key.root(14).child("decay"), start)
    later = macrospin.simulate(spins, start, noise, range(65))
    products = start[:, 2] * later[:, 2] / variance
    middle, allowance = (slow + fast) / 2, (slow - fast) / 2 + 0.003
    mean_is(products, middle, bias=allowance)
    assert fast <= slow
    with pytest.raises(AssertionError):  # twice the linearised rate
        mean_is(products, math.exp(-2 * float(delta) * time))


READ_STEPS = (20, 50, 100, 300, 1000)
"""Of 10 ps: reads of 0.2, 0.5, 1, 3 and 10 ns."""


def window_averages(replicas):
    """u averaged over each read, at α = 0.02: easy planes of 20, 60, 200 mT, easy axis of 60 mT."""
    spins = ensemble(0.02, -1e4, -3e4, -1e5, 3e4)
    m = macrospin.init(spins, replicas, Key.root(15).generator())
    total = torch.zeros(4, replicas, dtype=torch.float64)
    averages = []

    def observe(index, m):
        total.add_(torch.cat((m[:3, 2], m[3:, 0])))  # an easy axis is read across itself
        if index + 1 in READ_STEPS:
            averages.append(total / (index + 1))

    noise = keyed_step_noise(Key.root(15).child("windows"), m)
    macrospin.simulate(spins, m, noise, range(1000), observe)
    return torch.stack(averages, 1)


def test_spread_after_a_read():
    """Simulation against closed form (at the exact rate), and against the table of physics.md §4.

    The closed form takes one rate for all modes; at Δ = 5.7 that is good to 1 % of the variance.
    The table was itself sampled: 3 % off the closed form where the read is long.
    """
    averages = window_averages(2500)
    delta = free.stability_factor(disk(0.02), real(1e4, 3e4, 1e5), TEMPERATURE)
    rate = relaxation.fokker_planck_rate(-delta)
    time = relaxation.free_diffusion_time(disk(0.02), TEMPERATURE) / rate
    windows = real(*READ_STEPS) * 1e-11
    factor = relaxation.window_factor(windows / time[:, None])
    closed = equilibrium.easy_plane_std(delta)[:, None] * factor
    for point in range(3):
        for window in (2, 4):
            exact = float(closed[point, window]) ** 2
            variance_is(averages[point, window], exact, bias=BIAS * exact)
    table = real(
        0.293, 0.292, 0.291, 0.284, 0.265,
        0.172, 0.170, 0.167, 0.158, 0.132,
        0.091, 0.088, 0.083, 0.069, 0.045,
        0.149, 0.050, 0.035, 0.011, 0.004,
    ).reshape(4, 5)  # fmt: skip
    torch.testing.assert_close(closed, table[:3], rtol=0.035, atol=5e-4)
    torch.testing.assert_close(averages.std(-1), table, rtol=0.07, atol=5e-4)


def test_a_replica_alone_equals_itself_in_a_batch_and_any_split_of_steps():
    spins = ensemble(0.1, -1e4)
    batch = macrospin.init(spins, 6, Key.root(16).generator())
    noise = keyed_step_noise(Key.root(16).child("batch"), batch)
    whole = macrospin.simulate(spins, batch, noise, range(9))
    alone = macrospin.simulate(spins, batch[..., 2:3], lambda i: noise(i)[..., 2:3], range(9))
    assert torch.equal(whole[..., 2:3], alone)
    half = macrospin.simulate(spins, batch, noise, range(4))
    assert torch.equal(whole, macrospin.simulate(spins, half, noise, range(4, 9)))


@pytest.mark.parametrize("changes", [{"temperature": -1.0}, {"time_step": 0.0}])
def test_impossible_parameters_are_refused(changes):
    with pytest.raises(ValueError, match=f"`{next(iter(changes))}` must"):
        ensemble(0.1, 0.0, **changes)
