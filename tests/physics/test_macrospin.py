"""The macrospin without noise, its invariances and refusals, against closed forms.

`test_macrospin_thermal.py` holds the statistics.
"""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.constants import GYROMAGNETIC_RATIO
from bayespin.numerics.stochastic import (
    frozen_rk4_step,
    heun_step,
    keyed_step_noise,
)
from bayespin.physics import llg, macrospin, resonance
from bayespin.physics.drive import Pulse, Sum
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins, RotationSplitting
from bayespin.physics.spin_torque import SpinTorque
from bayespin.rng import Key

METHODS = pytest.mark.parametrize(
    "method", [heun_step, frozen_rk4_step, RotationSplitting()], ids=["heun", "frozen", "splitting"]
)


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


Y, Z = real(0, 1, 0), real(0, 0, 1)


def disk(damping):
    return FreeLayer(
        saturation_magnetisation=1e6, diameter=50e-9, thickness=1.2e-9, damping=damping
    )


def cold(damping, anisotropy=0.0, time_step=1e-12, **others):
    """Macrospins at T = 0; K_eff of each point as the last axis but one."""
    return Macrospins(
        layer=disk(damping),
        effective_anisotropy=anisotropy,
        temperature=0.0,
        time_step=time_step,
        **others,
    )


def silence(start):
    return lambda _: torch.zeros_like(start)


def run(spins, start, steps, method=heun_step, first=0):
    m = torch.as_tensor(start, dtype=torch.float64).reshape(3, -1)
    m = m.expand(*spins.points, *m.shape)
    whole = range(first, first + steps)
    return macrospin.simulate(spins, m, silence(m), whole, method=method)


def tilted(angle, azimuth=0.0):
    """A unit vector at an angle from z."""
    across = math.sin(angle)
    return [across * math.cos(azimuth), across * math.sin(azimuth), math.cos(angle)]


@METHODS
@pytest.mark.parametrize("damping", [0.02, 0.5])
def test_damped_precession_in_closed_form(damping, method):
    """tanh⁻¹ m_z grows by αγBt/(1+α²) while the azimuth turns by γBt/(1+α²)."""
    field, dt, steps = 0.05, 4e-13, 400
    spins = cold(damping, time_step=dt, applied_field=real(0, 0, field))
    m = run(spins, [0.8, 0.0, 0.6], steps, method)[:, 0]
    angle = GYROMAGNETIC_RATIO * field * dt * steps / (1 + damping**2)
    assert float(m[2]) == pytest.approx(math.tanh(math.atanh(0.6) + damping * angle), abs=1e-5)
    assert math.remainder(math.atan2(m[1], m[0]) - angle, math.tau) == pytest.approx(0, abs=1e-5)


def test_twenty_periods_of_ring_down_have_kittels_frequency_and_linewidth():
    """f = (γ/2π)√(B_xB_y): B_y = B0 + 2K/M_s, B_x less by 2K_ip/M_s; decay αγ(B_x + B_y)/2."""
    damping, dt = 0.01, 4e-12
    spins = cold(damping, real(3e4), dt, in_plane_anisotropy=1.5e4, applied_field=real(0, 0, 0.05))
    stiffness = resonance.StiffnessFields(x=0.05 + 0.06 - 0.03, y=0.05 + 0.06)
    frequency = float(resonance.ring_down_frequency(stiffness, damping))
    assert frequency == pytest.approx(float(resonance.resonance_frequency(stiffness)), rel=1e-3)
    m_x = []
    start = real(*tilted(1e-3)).reshape(3, 1)
    steps = math.ceil(21 / frequency / dt)
    macrospin.simulate(
        spins, start, silence(start), range(steps), lambda _, m: m_x.append(float(m[0])),
        frozen_rk4_step,
    )  # fmt: skip
    x = torch.tensor(m_x, dtype=torch.float64)
    up = ((x[:-1] < 0) & (x[1:] >= 0)).nonzero()[:, 0]
    crossing = (up + x[up] / (x[up] - x[up + 1])) * dt
    found = (len(up) - 1) / float(crossing[-1] - crossing[0])
    assert len(up) >= 20
    assert found == pytest.approx(frequency, rel=1e-3)
    half = len(x) // 2
    growth = math.log(float(x[half:].abs().max() / x[:half].abs().max()))
    decay = -float(resonance.decay_rate(stiffness, damping)) * half * dt
    assert growth == pytest.approx(decay, rel=0.03)  # peaks are read within a sampled period


def test_without_noise_the_energy_falls():
    spins = cold(
        0.1, real(-3e4, 2e4)[:, None], in_plane_anisotropy=5e3, applied_field=real(0.01, 0.0, 0.005)
    )
    warm = Macrospins(
        layer=disk(0.1), effective_anisotropy=real(0, 0)[:, None], temperature=1.0, time_step=1e-12
    )
    m = macrospin.init(warm, 20, Key.root(4).generator())
    energies = []
    macrospin.simulate(
        spins, m, silence(m), range(200), lambda _, m: energies.append(macrospin.energy(spins, m))
    )
    assert bool((torch.stack(energies).diff(dim=0) < 0).all())


def test_field_is_minus_the_gradient_of_the_energy():
    """B = −(1/M_sV) dE/dm, by automatic differentiation."""
    spins = cold(
        0.1, real(-3e4), in_plane_anisotropy=real(5e3), applied_field=real(0.01, 0.02, 0.005)
    )
    m = real(*tilted(0.8, 0.4)).reshape(3, 1).requires_grad_()
    (slope,) = torch.autograd.grad(macrospin.energy(spins, m).sum(), m)
    moment = 1e6 * disk(0.1).volume
    torch.testing.assert_close(macrospin.effective_field(spins, m), -slope / moment)


@METHODS
@given(angles=st.tuples(*[st.floats(0, math.tau)] * 3))
def test_turning_everything_turns_the_result(method, angles):
    """About any axes without anisotropy; noise, field and polarisation turn along."""
    turn = torch.eye(3, dtype=torch.float64)
    for axis, angle in zip((2, 0, 2), angles, strict=True):
        generator = torch.zeros(3, 3, dtype=torch.float64)
        i, j = [k for k in range(3) if k != axis]
        generator[i, j], generator[j, i] = -angle, angle
        turn = torch.linalg.matrix_exp(generator) @ turn
    m, noise = real(0.6, 0.0, 0.8)[:, None], real(0.3, -1.0, 0.7)[:, None]
    field, p = real(0.01, 0.02, 0.03), real(0.0, 0.6, 0.8)

    def moved(field, p, m, noise):
        torque = SpinTorque(direction=p, damping_like=0.02, field_like=0.01, asymmetry=1.5)
        spins = Macrospins(
            layer=disk(0.1),
            effective_anisotropy=0.0,
            applied_field=field,
            spin_torques=(torque,),
            temperature=300.0,
            time_step=1e-11,
        )
        return macrospin.step(spins, m, noise, 0.0, method)

    torch.testing.assert_close(
        moved(turn @ field, turn @ p, turn @ m, turn @ noise), turn @ moved(field, p, m, noise)
    )


def test_spin_hall_torque_tilts_a_perpendicular_layer_until_it_is_unstable():
    """Along the current, sin 2θ = −2b/B_k up to b = B_k/2; beyond, m turns to p."""
    b_k, strengths = 0.06, real(0.2, 0.45, 0.55)
    b = (strengths * b_k).reshape(-1, 1, 1)
    spins = cold(0.5, 3e4, 8e-12, spin_torques=(SpinTorque(direction=Y, damping_like=b),))
    m = run(spins, tilted(0.1, 0.3), 1000)[..., 0]
    for point in (0, 1):
        angle = -math.asin(2 * float(strengths[point])) / 2
        torch.testing.assert_close(m[point], real(*tilted(angle)), atol=1e-6, rtol=0)
    torch.testing.assert_close(m[2], Y, atol=1e-6, rtol=0)


def test_field_like_torque_tilts_as_a_field():
    """sin θ = b_fl/B_k along p."""
    torque = SpinTorque(direction=Y, field_like=0.024)
    m = run(cold(0.5, 3e4, 8e-12, spin_torques=(torque,)), tilted(0.1), 500)[:, 0]
    torch.testing.assert_close(m, real(0.0, 0.4, math.sqrt(1 - 0.16)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("along,asymmetry", [(1.0, 1.0), (-1.0, 1.0), (-1.0, 1.5)])
def test_slonczewski_torque_destabilises_beyond_the_critical_current(along, asymmetry):
    """A small tilt from ±p grows at (γ/(1+α²))(∓bη − αB_k): b_c = ∓αB_k/η, η(−1) = Λ²."""
    damping, b_k, dt, steps = 0.02, 0.06, 4e-12, 400
    efficiency = 1.0 if along > 0 else asymmetry**2
    shares = real(0.5, 1.5)
    b = (-along * shares * damping * b_k / efficiency).reshape(-1, 1, 1)
    torque = SpinTorque(direction=Z, damping_like=b, asymmetry=asymmetry)
    spins = cold(damping, 3e4, dt, spin_torques=(torque,))
    start = tilted(1e-4)
    start[2] *= along
    m = run(spins, start, steps, frozen_rk4_step)[..., 0]
    tilt = m[:, :2].norm(dim=-1)
    rate = llg.gyration_rate(damping) * damping * b_k * (shares - 1)
    torch.testing.assert_close((tilt / 1e-4).log(), rate * dt * steps, rtol=1e-3, atol=0)
    assert bool((tilt > 1e-4).tolist() == [False, True])


def test_a_voltage_pulse_lets_the_layer_precess_and_holds_it_again():
    """VCMA takes K_eff to zero for half a period: m_z = sech(αa) cos a about the in-plane field."""
    damping, field, dt = 0.005, 0.04, 1e-12
    half = math.pi * (1 + damping**2) / (GYROMAGNETIC_RATIO * field)
    steps = round(half / dt)
    pulse = Pulse(amplitude=real(-5e4), start=-dt, width=(steps + 1.5) * dt)
    spins = cold(damping, Sum(parts=(real(5e4), pulse)), dt, applied_field=real(field, 0.0, 0.0))
    m = run(spins, [0.0, 0.0, 1.0], steps)
    angle = math.pi * steps * dt / half
    exact = math.cos(angle) / math.cosh(damping * angle)
    assert float(m[2]) == pytest.approx(exact, abs=2e-5)
    later = run(spins, m, 800, first=steps)
    assert float(later[2]) < -0.5
    unmoved = run(cold(damping, real(5e4), dt, applied_field=real(field, 0, 0)), [0, 0, 1], steps)
    assert float(unmoved[2]) > 0.3


def test_points_broadcast_whatever_differs():
    fields = real(0.0, 0.01, 0.02).reshape(3, 1)[..., None] * real(0, 0, 1)[:, None]
    spins = Macrospins(
        layer=disk(0.1),
        effective_anisotropy=real(1e4, 2e4).reshape(2, 1, 1),
        applied_field=fields,
        spin_torques=(SpinTorque(direction=Y, damping_like=real(0.0).reshape(1, 1, 1)),),
        temperature=real(0.0, 300.0, 300.0)[:, None],
        time_step=1e-12,
    )
    assert tuple(spins.points) == (2, 3)
    m = torch.zeros(2, 3, 3, 4, dtype=torch.float64)
    m[:, :, 0] = 1
    noise = keyed_step_noise(Key.root(1), m)
    moved = macrospin.simulate(spins, m, noise, range(5))
    frozen = cold(0.1, real(1e4), applied_field=fields[0])
    still = macrospin.simulate(frozen, m[0, 0], silence(m[0, 0]), range(5))
    assert torch.equal(moved[0, 0], still)  # 0 K feels no noise
    for i in range(2):
        alone = Macrospins(
            layer=disk(0.1),
            effective_anisotropy=real([1e4, 2e4][i]),
            applied_field=fields[2, :, 0],
            temperature=300.0,
            time_step=1e-12,
        )
        single = macrospin.simulate(alone, m[i, 2], lambda k, i=i: noise(k)[i, 2], range(5))
        torch.testing.assert_close(moved[i, 2], single, rtol=1e-12, atol=0)
    with pytest.raises(ValueError, match=r"operating points \(2, 3\), but has \(3,\)"):
        macrospin.simulate(spins, m[0], noise, range(1))


def warm(dtype=torch.float64, time_step=1e-11):
    """Everything at once, driven in time."""
    pulse = Pulse(
        amplitude=torch.tensor([[2e3]], dtype=dtype), start=2e-11, width=5e-11, rise=1e-11
    )
    return Macrospins(
        layer=disk(0.1),
        effective_anisotropy=Sum(parts=(torch.tensor([[-1e4], [8e3]], dtype=dtype), pulse)),
        in_plane_anisotropy=1e3,
        applied_field=torch.tensor([1e-3, 0.0, 2e-3], dtype=dtype),
        spin_torques=(SpinTorque(direction=Y, damping_like=1e-3, field_like=5e-4, asymmetry=1.2),),
        temperature=300.0,
        time_step=time_step,
    )


@METHODS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_replicas_and_splits_keep_their_bits(method, dtype):
    """A replica alone, at any place of a batch of any size, and any split of the steps."""
    spins = warm(dtype)
    batch = macrospin.init(spins, 37, Key.root(16).generator())
    assert batch.dtype == dtype
    noise = keyed_step_noise(Key.root(16).child("batch"), batch)
    whole = macrospin.simulate(spins, batch, noise, range(9), method=method)
    for part in (slice(0, 1), slice(36, 37), slice(5, 22), slice(3, 36)):
        alone = macrospin.simulate(
            spins, batch[..., part], lambda i, p=part: noise(i)[..., p], range(9), method=method
        )
        assert torch.equal(whole[..., part], alone)
    half = macrospin.simulate(spins, batch, noise, range(4), method=method)
    assert torch.equal(whole, macrospin.simulate(spins, half, noise, range(4, 9), method=method))


@METHODS
def test_both_precisions_follow_one_path(method):
    """The same noise in float32 and float64: rounding of 6e-8 a step, not amplified at α = 0.1."""
    paths = []
    for dtype in (torch.float32, torch.float64):
        spins = warm(dtype)
        start = macrospin.init(warm(), 50, Key.root(17).generator()).to(dtype)
        noise = keyed_step_noise(Key.root(17).child("path"), start)
        paths.append(macrospin.simulate(spins, start, noise, range(100), method=method).double())
    assert float((paths[0] - paths[1]).abs().max()) < 1e-5
    assert float((paths[1].norm(dim=-2) - 1).abs().max()) < 1e-12


def test_status_says_which_replicas_are_not_finite():
    m = torch.ones(2, 3, 4)
    m[0, 1, 2], m[1, 0, 3] = math.nan, math.inf
    codes = macrospin.status(m)
    assert codes.dtype == torch.int8
    assert codes.tolist() == [[0, 0, 1, 0], [0, 0, 0, 1]]
    spins = cold(0.1, 1e4)
    moved = macrospin.step(spins, m[0], torch.zeros(3, 4))
    assert macrospin.status(moved).tolist() == [0, 0, 1, 0]  # it spreads to no neighbour


COMPILED = """
import torch
from bayespin.numerics.stochastic import integrate, keyed_step_noise
from bayespin.physics import macrospin
from bayespin.rng import Key
from tests.physics.test_macrospin import warm

spins = warm(torch.float32)
start = macrospin.init(spins, 500, Key.root(1).generator())
noise = keyed_step_noise(Key.root(2), start)
step = macrospin.compiled_step(spins, start)
fused = integrate(step, start, noise, range(20))
eager = macrospin.simulate(spins, start, noise, range(20))
half = integrate(step, start, noise, range(7))
print(
    float((fused - eager).abs().max()) < 1e-5,
    float((eager - start).abs().max()) > 0.1,
    torch.equal(fused, integrate(step, half, noise, range(7, 20))),
)
try:
    step(0, start[..., :9], noise(0))
except ValueError as error:
    print(error)
"""


def test_compiled_steps_are_the_same_steps():
    """In a process without the hook that checks shapes; compiling may take half a minute."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILED],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *found, refusal = done.stdout.splitlines()
    assert found == ["True True True"]
    assert refusal.startswith("Argument `magnetisation` must be torch.float32 (2, 3, 500)")


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"temperature": -1.0}, "`temperature` must not be negative, but is -1 K"),
        ({"temperature": math.nan}, "`temperature` must not be negative"),
        ({"time_step": 0.0}, "`time_step` must be positive, but is 0 s"),
        ({"time_step": 1e-9}, "`time_step` must be at most 99 ps for a field of 60 mT"),
        ({"effective_anisotropy": math.inf}, "`effective_anisotropy` must be finite"),
        ({"in_plane_anisotropy": math.nan}, "`in_plane_anisotropy` must be finite"),
        ({"applied_field": 0.1}, "`applied_field` must have three components"),
        ({"applied_field": torch.ones(2)}, "`applied_field` must have three components"),
        ({"applied_field": Pulse(amplitude=0.1, start=0, width=1)}, "must have three components"),
    ],
)
def test_impossible_parameters_are_refused(changes, message):
    right = {"effective_anisotropy": 3e4, "temperature": 300.0, "time_step": 1e-12}
    with pytest.raises(ValueError, match=message):
        Macrospins(layer=disk(0.1), **{**right, **changes})


def test_draws_that_have_no_law_are_refused():
    generator = Key.root(1).generator()
    spins = warm()
    with pytest.raises(ValueError, match="`replicas` must be at least 1, but is 0"):
        macrospin.init(spins, 0, generator)
    with pytest.raises(ValueError, match="`temperature` must be positive"):
        macrospin.init(cold(0.1, real(1e4)), 5, generator)
    each = Macrospins(
        layer=disk(0.1), effective_anisotropy=real(1e4, 2e4), temperature=1.0, time_step=1e-12
    )
    with pytest.raises(ValueError, match=r"one value per operating point .* has 2"):
        macrospin.init(each, 2, generator)
