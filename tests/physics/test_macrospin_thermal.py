"""The stochastic equation of motion against equilibrium laws, rates and orders, faults included.

Steps h are in units of the free diffusion time τ_N, barriers σ = K_eff V/kT; an easy plane has
σ < 0. Biases are those that `macrospin.step` states, or their order in h.
"""

import math

import numpy as np
import pytest
import torch

from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.numerics.quadrature import gauss_legendre, shape
from bayespin.numerics.stochastic import (
    frozen_rk4_step,
    heun_step,
    integrate,
    keyed_step_noise,
)
from bayespin.physics import equilibrium, llg, macrospin, relaxation
from bayespin.physics import free_layer as free
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins, RotationSplitting
from bayespin.rng import Key
from tests.statistical.check import LEDGER, Ledger, mean_is, variance_is

SPARE = Ledger(math.inf)
"""For checks that must fail: these cannot raise a false alarm."""
TEMPERATURE = 300.0
ENERGY = free.thermal_energy(TEMPERATURE)


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def disk(damping):
    return FreeLayer(
        saturation_magnetisation=1e6, diameter=50e-9, thickness=1.2e-9, damping=damping
    )


def ensemble(damping, h, *barriers, **others):
    layer = disk(damping)
    anisotropy = real(*barriers)[:, None] * ENERGY / layer.volume
    return Macrospins(
        layer=layer,
        effective_anisotropy=anisotropy,
        temperature=TEMPERATURE,
        time_step=h * relaxation.free_diffusion_time(layer, TEMPERATURE),
        **others,
    )


def along_x(points, replicas):
    start = torch.zeros(points, 3, replicas)
    start[:, 0] = 1.0
    return start


def mean_square(barrier):
    """⟨m_z²⟩ under exp(σ m_z²)."""
    one = torch.ones(1, dtype=torch.float64)
    law = gauss_legendre(lambda u: barrier * u.square(), -one, one, 400)
    return float(law.expectation(torch.square))


def test_mean_squares_of_the_table():
    """micromagnetics.md 5.5."""
    table = {0: 0.33333, 0.5: 0.37973, 1: 0.42923, 2: 0.53127, 5: 0.76427, 10: 0.89273}
    for barrier, value in table.items():
        assert mean_square(barrier) == pytest.approx(value, abs=6e-6)


BARRIERS = (2.0, 5.0, -5.0)
"""Easy axes of 2 and 5 kT, an easy plane of Δ = 5."""


def mean_squares(damping, h, method, replicas=3000, times=(2.0, 8.0)):
    """m_z² of each replica, settled from Boltzmann's law and averaged; both times in τ_N."""
    spins = ensemble(damping, h, *BARRIERS)
    start = macrospin.init(spins, replicas, Key.root(10).generator()).float()
    noise = keyed_step_noise(Key.root(11).child(round(1e3 * damping), round(1e6 * h)), start)
    settling, steps = (round(time / h) for time in times)
    m = macrospin.simulate(spins, start, noise, range(settling), method=method)
    total = torch.zeros(len(BARRIERS), replicas, dtype=torch.float64)

    def observe(_, m):
        total.add_(m[:, 2].square())

    macrospin.simulate(spins, m, noise, range(settling, settling + steps), observe, method)
    return total / steps


def check_equilibrium(bias, *settings, ledger=LEDGER, **others):
    """`bias` is relative, one for each barrier."""
    found = mean_squares(*settings, **others)
    for values, barrier, allowed in zip(found, BARRIERS, bias, strict=True):
        exact = mean_square(barrier)
        mean_is(values, exact, bias=allowed * exact, ledger=ledger)


HEUN = ((0.006, 0.006, 0.019), 1.0, 0.02, heun_step)


def test_heun_keeps_the_equilibrium_law():
    """Power: 3000 averages over 8 τ_N have errors of 0.3, 0.13 and 0.4 %; 4 % of T are 2 to 4 %."""
    check_equilibrium(*HEUN)
    with pytest.raises(AssertionError):  # the law of a layer 4 % hotter
        mean_is(mean_squares(*HEUN[1:])[1], mean_square(5 / 1.04), bias=0.0045, ledger=SPARE)


@pytest.mark.parametrize("damping,h,times", [(0.5, 0.04, (1.0, 6.0)), (0.01, 8e-4, (0.3, 1.2))])
def test_equilibrium_does_not_depend_on_damping(damping, h, times):
    """By rotation splitting; the precession turns by up to 0.4 rad a step at α = 0.01."""
    bias = (0.002, 0.002, 0.006)
    check_equilibrium(bias, damping, h, RotationSplitting(), replicas=4000, times=times)


def test_noise_twice_as_strong_is_caught(monkeypatch):
    right = macrospin.thermal_field_std
    monkeypatch.setattr(macrospin, "thermal_field_std", lambda *p: math.sqrt(2) * right(*p))
    for settings in (HEUN, (HEUN[0], 0.5, 0.04, RotationSplitting())):
        with pytest.raises(AssertionError, match="mean"):
            check_equilibrium(*settings, replicas=300, ledger=SPARE)


def test_missing_damping_factor_is_caught(monkeypatch):
    monkeypatch.setattr(macrospin, "gyration_rate", lambda _: GYROMAGNETIC_RATIO)
    for settings in (HEUN, (HEUN[0], 0.5, 0.02, RotationSplitting())):
        with pytest.raises(AssertionError, match="mean"):
            check_equilibrium(*settings, replicas=300, ledger=SPARE)


def test_euler_without_projection_is_caught():
    """The Itô reading of the same equation leaves the sphere."""
    spins = ensemble(1.0, 0.02, *BARRIERS)
    start = along_x(len(BARRIERS), 300).double()
    noise = keyed_step_noise(Key.root(11).child("euler"), start)
    std = llg.thermal_field_std(1.0, 1e6, disk(1.0).volume, TEMPERATURE, spins.time_step)

    def euler(_, m, n):
        field = macrospin.effective_field(spins, m) + std * n
        return m + spins.time_step * llg.torque(m, field, 1.0, -2)

    m = integrate(euler, start, noise, range(200))
    with pytest.raises(AssertionError):
        mean_is(m[0, 2].square(), mean_square(2.0), bias=0.006, ledger=SPARE)


def generator_of(polynomial, barrier):
    """Return Lf = ½[(1 − u²)f']' + σu(1 − u²)f', Brown's backward operator in units of 1/τ_N."""
    u = np.polynomial.Polynomial([0.0, 1.0])
    flow = (1 - u**2) * polynomial.deriv()
    return flow.deriv() / 2 + barrier * u * flow


def exact_mean(height, barrier, h):
    """E[m_z] a time h after m_z = `height`: the series of e^{hL} on f = u."""
    term = np.polynomial.Polynomial([0.0, 1.0])
    total = 0.0
    for k in range(25):
        total += term(height) * h**k / math.factorial(k)
        term = generator_of(term, barrier)
    return total


def one_step_error(method, h, damping, barrier, height=0.4, nodes=14):
    """Error of E[m_z] after one step; the average over the noise by Gauss-Hermite quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    noise = torch.as_tensor(np.array(np.meshgrid(points, points, points)).reshape(3, -1))
    weight = torch.as_tensor(np.einsum("i,j,k->ijk", *[weights / weights.sum()] * 3).ravel())
    spins = ensemble(damping, h, barrier)
    m = real(math.sqrt(1 - height**2), 0.0, height)[:, None].expand(1, 3, noise.shape[-1])
    moved = macrospin.step(spins, m, noise[None], method=method)
    return float((weight * moved[0, 2]).sum()) - exact_mean(height, barrier, h)


@pytest.mark.parametrize("damping,barrier", [(1.0, 2.0), (0.3, 5.0), (1.0, -5.0)])
@pytest.mark.parametrize(
    "method,order",
    [(heun_step, 1), (frozen_rk4_step, 1), (RotationSplitting(), 2)],
    ids=["heun", "frozen", "splitting"],
)
def test_weak_order(method, order, damping, barrier):
    """One step errs by h^{order + 1} on average: no sampling, so the slope shows to 10 %."""
    errors = [abs(one_step_error(method, h, damping, barrier)) for h in (2e-3, 1e-3)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order + 1, abs=0.15)


@pytest.mark.parametrize("method", [heun_step, RotationSplitting()], ids=["heun", "splitting"])
def test_field_alone_gives_langevins_mean(method):
    """⟨m·b⟩ = coth ξ − 1/ξ, ξ = M_s V B/kT = 2, along z and, by symmetry, along x.

    Bias of Heun measured at 0.2 % at this step; power: a T wrong by 2 % is 0.5 %.
    """
    b = 2 * ENERGY / (1e6 * disk(1.0).volume)
    fields = real(0, 0, b, b, 0, 0).reshape(2, 3, 1)
    spins = ensemble(1.0, 0.02, 0.0, applied_field=fields)
    start = along_x(2, 4000).roll(1, -2)  # along y, across both
    noise = keyed_step_noise(Key.root(12).child("langevin"), start)
    m = macrospin.simulate(spins, start, noise, range(150), method=method)
    total = torch.zeros(2, 4000)

    def observe(_, m):
        total.add_(torch.stack((m[0, 2], m[1, 0])))

    macrospin.simulate(spins, m, noise, range(150, 400), observe, method)
    for values in total / 250:
        mean_is(values, 1 / math.tanh(2) - 0.5, bias=0.002)


def paths_of_m_z(barrier, gap):
    """m_z at the times 0, 0.5, 0.5 + gap (in τ_N) of replicas in equilibrium, from two origins."""
    h, replicas = 0.05, 100_000
    spins = ensemble(1.0, h, barrier)
    m = macrospin.init(spins, replicas, Key.root(14).generator()).float()
    noise = keyed_step_noise(Key.root(14).child(round(barrier)), m)
    seen = {}

    def observe(index, m):
        if index + 1 in wanted:
            seen[index + 1] = m[0, 2].double()

    span = round((0.5 + gap) / h)
    wanted = [start + offset for start in (0, span) for offset in (10, span)]
    seen[0] = m[0, 2].double()
    macrospin.simulate(spins, m, noise, range(2 * span), observe, RotationSplitting())
    return [[seen[start + offset] for offset in (0, 10, span)] for start in (0, span)]


@pytest.mark.parametrize("barrier,gap", [(2.0, 2.0), (5.0, 8.0)])
def test_correlation_decays_at_the_exact_rate(barrier, gap):
    """C(t + gap) = e^{−λ1 gap} C(t) once faster modes are gone, λ1 of `fokker_planck_rate`; to 7 %.

    Bias: the splitting's 1 % of λ1. Power: 7 % of λ1 are 9 standard errors beyond it.
    """
    exact = float(relaxation.fokker_planck_rate(real(barrier))[0])

    def check(rate, ledger):
        decay, loose = math.exp(-rate * gap), 0.01 * rate * gap
        products = [first * (late - decay * early) for first, early, late in paths]
        correlation = float(paths[0][0].mul(paths[0][1]).mean())
        mean_is(sum(products) / 2, 0.0, bias=loose * decay * correlation, ledger=ledger)

    paths = paths_of_m_z(barrier, gap)
    check(exact, LEDGER)
    for wrong in (0.93, 1.07):
        with pytest.raises(AssertionError):
            check(wrong * exact, SPARE)


def test_transverse_correlations_ring_at_the_anisotropy_field():
    """⟨m_x(0)m_x(t)⟩ = s² e^{−αω0t/(1+α²)} cos(ω0t/(1+α²)), ω0 = 2γK/M_s, s² = 1/2σ to 1/σ.

    At σ = 400 and half a turn; a quarter later it is zero. Bias: 1/σ of phase and size.
    """
    damping, barrier = 0.1, 400.0
    spins = ensemble(damping, 1.0e-5, barrier)
    b_k = 2 * barrier * ENERGY / (1e6 * disk(damping).volume)
    turn = llg.gyration_rate(damping) * b_k * spins.time_step
    assert turn < 0.09
    start = macrospin.init(spins, 40_000, Key.root(15).generator()).float()
    noise = keyed_step_noise(Key.root(15).child("ring"), start)
    variance = float(shape(equilibrium.perpendicular_law(real(barrier))).std) ** 2
    assert variance == pytest.approx(1 / (2 * barrier), rel=0.01)
    m = start
    for begin, end in ((0, round(math.pi / turn)), (round(math.pi / turn), round(4.712 / turn))):
        m = macrospin.simulate(spins, m, noise, range(begin, end))
        phase = end * turn
        exact = math.exp(-damping * phase) * math.cos(phase)
        products = start[0, 0] * m[0, 0] / variance
        mean_is(products, exact, bias=0.005)
        wrong = math.exp(-1.2 * damping * phase) * math.cos(1.05 * phase)
        with pytest.raises(AssertionError):  # 5 % off in frequency and 20 % in damping
            mean_is(products, wrong, bias=0.005, ledger=SPARE)


def test_first_draw_follows_the_equilibrium_law():
    layer = disk(1.0)
    spins = Macrospins(
        layer=layer,
        effective_anisotropy=real(-1e4, 1e4)[:, None],
        temperature=TEMPERATURE,
        time_step=1e-12,
    )
    m = macrospin.init(spins, 40_000, Key.root(13).generator())
    torch.testing.assert_close(m.norm(dim=-2), torch.ones(2, 40_000).double())
    delta = free.stability_factor(layer, real(1e4), TEMPERATURE)
    variance_is(m[0, 2], float(equilibrium.easy_plane_std(delta)) ** 2)
    variance_is(m[1, 0], float(shape(equilibrium.perpendicular_law(delta)).std) ** 2)
    mean_is(m[1, 2], 0.0)


READ_STEPS = (20, 50, 100, 300, 1000)
"""Of 10 ps: reads of 0.2, 0.5, 1, 3 and 10 ns."""


def window_averages(replicas):
    """u averaged over each read, at α = 0.02: easy planes of 20, 60, 200 mT, easy axis of 60 mT."""
    spins = Macrospins(
        layer=disk(0.02),
        effective_anisotropy=real(-1e4, -3e4, -1e5, 3e4)[:, None],
        temperature=TEMPERATURE,
        time_step=1e-11,
    )
    m = macrospin.init(spins, replicas, Key.root(15).generator())
    total = torch.zeros(4, replicas, dtype=torch.float64)
    averages = []

    def observe(index, m):
        total.add_(torch.cat((m[:3, 2], m[3:, 0])))  # an easy axis is read across itself
        if index + 1 in READ_STEPS:
            averages.append(total / (index + 1))

    noise = keyed_step_noise(Key.root(15).child("windows"), m)
    macrospin.simulate(spins, m, noise, range(1000), observe, RotationSplitting())
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
            variance_is(averages[point, window], exact, bias=0.01 * exact)
    table = real(
        0.293, 0.292, 0.291, 0.284, 0.265,
        0.172, 0.170, 0.167, 0.158, 0.132,
        0.091, 0.088, 0.083, 0.069, 0.045,
        0.149, 0.050, 0.035, 0.011, 0.004,
    ).reshape(4, 5)  # fmt: skip
    torch.testing.assert_close(closed, table[:3], rtol=0.035, atol=5e-4)
    torch.testing.assert_close(averages.std(-1), table, rtol=0.07, atol=5e-4)
