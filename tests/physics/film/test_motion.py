"""Films that move: fields against the macrospin, equipartition of modes, invariances, refusals."""

import math

import pytest
import torch

from bayespin.constants import BOLTZMANN, GYROMAGNETIC_RATIO, VACUUM_PERMEABILITY
from bayespin.numerics.stochastic import keyed_step_noise
from bayespin.physics.drive import Pulse, Sum
from bayespin.physics.film import motion
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.motion import Drive, films
from bayespin.physics.film.operator import dense_matrix
from bayespin.physics.spin_torque import SpinTorque
from bayespin.rng import Key
from tests.statistical.check import variance_is

MS, DAMPING = 1e6, 0.1
MATERIAL = {
    "saturation_magnetisation": MS, "exchange": 1.3e-11, "damping": DAMPING,
    "uniaxial_anisotropy": 9e5,
}  # fmt: skip
NOTHING = torch.zeros((), dtype=torch.float64)
TIME_STEP = 5e-14


def mesh(cells=(6, 4, 1), mask=None):
    return Mesh(cells=cells, cell=(3e-9, 3e-9, 1.5e-9), mask=mask)


def film(cells=(6, 4, 1), mask=None, **changes):
    return Film(**(MATERIAL | {"mesh": mesh(cells, mask)} | changes))


def ensemble(sample=None, like=NOTHING, **settings):
    drive = settings.pop("drive", Drive())
    defaults = {"time_step": TIME_STEP, "temperature": 300.0}
    return films(sample or film(), drive, like=like, **(defaults | settings))


def random(sample, batch=3, dtype=torch.float64):
    generator = Key.root(2).child("m").generator()
    m = torch.empty((batch, 3, *sample.mesh.shape), dtype=dtype).normal_(generator=generator)
    return m / m.norm(dim=1, keepdim=True) * sample.occupied.to(m)


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def up(sample, batch=1, dtype=torch.float64):
    m = torch.zeros((batch, 3, *sample.mesh.shape), dtype=dtype)
    m[:, 2] = 1
    return m * sample.occupied.to(m)


def test_energy_is_the_work_of_the_field():
    """B = −(1/(M_s V)) ∂E/∂m, by automatic differentiation, with a field and a shifted K."""
    drive = Drive(applied_field=vector(0.1, 0.2, -0.3), anisotropy_shift=4e4)
    spins = ensemble(film(interfacial_dmi=1e-3), drive=drive)
    m = random(spins.film).requires_grad_()
    motion.energy(spins, m).sum().backward()
    expected = -m.grad / (MS * spins.film.mesh.cell_volume)
    found = motion.effective_field(spins, m.detach())
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_energy_of_uniform_states_in_closed_form():
    """E/V = −K_u m_z² − M_s B m_z for no demagnetisation and a field along z."""
    spins = ensemble(film(demagnetisation="none"), drive=Drive(applied_field=vector(0, 0, 0.2)))
    volume = 24 * spins.film.mesh.cell_volume
    expected = -(9e5 + MS * 0.2) * volume
    assert float(motion.energy(spins, up(spins.film))[0]) == pytest.approx(expected, rel=1e-12)


def test_local_demagnetisation_is_a_shape_anisotropy():
    thin = ensemble(film(demagnetisation=(0.0, 0.0, 1.0), uniaxial_anisotropy=0.0))
    field = motion.effective_field(thin, up(thin.film))
    assert float(field[0, 2, 0, 0, 0]) == pytest.approx(-VACUUM_PERMEABILITY * MS)


def test_zhang_li_torque_is_the_drift_of_the_texture():
    """Small damping: dm/dt = −(u·∇)m + β m×(u·∇)m where no other field acts."""
    long = film((64, 1, 1), exchange=0.0, uniaxial_anisotropy=0.0, demagnetisation="none",
                damping=1e-9)  # fmt: skip
    x = long.mesh.centres(0) * 2 * math.pi / (64 * 3e-9) * 2
    m = torch.stack((x.cos(), x.sin(), 0 * x)).reshape(1, 3, 1, 1, 64)
    drive = Drive(drift_velocity=vector(50.0, 0, 0), nonadiabaticity=0.3)
    spins = ensemble(long, drive=drive, temperature=0.0, evaluation="direct", time_step=1e-18)
    rate = motion.torque(m, motion.effective_field(spins, m), 1e-9, motion.AXIS)
    slope = 2 * math.pi / (64 * 3e-9) * 2
    change = 50.0 * slope * torch.stack((-x.sin(), x.cos(), 0 * x)).reshape(1, 3, 1, 1, 64)
    expected = -change + 0.3 * torch.linalg.cross(m, change, dim=1)
    inner = (..., slice(2, -2))
    torch.testing.assert_close(rate[inner], expected[inner], rtol=0, atol=0.01 * 50 * slope)


def test_currents_see_vacuum_made_by_a_map_of_the_moment():
    """A cell with M_s = 0 is one outside the mask: (u·∇)m is one-sided beside it."""
    magnetic = torch.ones((1, 4, 6), dtype=torch.bool)
    magnetic[0, 1, 2:4] = False
    drive = Drive(drift_velocity=vector(300.0, 200.0, 0.0), nonadiabaticity=0.1)
    plain = {"drive": drive, "temperature": 0.0}
    masked = ensemble(film(mask=magnetic, demagnetisation="none"), **plain)
    density = torch.where(magnetic, MS, 0.0).double()
    mapped = ensemble(film(saturation_magnetisation=density, demagnetisation="none"), **plain)
    m = motion.with_vacuum_filled(masked, random(masked.film))
    expected = motion.effective_field(masked, m) * magnetic
    torch.testing.assert_close(motion.effective_field(mapped, m) * magnetic, expected)


def test_driven_vectors_of_every_kind_lie_along_the_components():
    """On three columns a vector that broadcast along x would pass without a word."""
    still, sample = vector(0.0, 0.0, 0.1), film((3, 1, 1), demagnetisation="none")
    pulse = Pulse(amplitude=vector(0.2, 0.0, 0.0), start=0.0, width=1.0)
    m = up(sample)
    none = motion.effective_field(ensemble(sample), m)
    for drive in (Sum(parts=(still, pulse)), lambda time: still + pulse(time)):
        field = motion.effective_field(ensemble(sample, drive=Drive(applied_field=drive)), m)
        expected = vector(0.2, 0.0, 0.1).reshape(3, 1, 1, 1).expand_as(m[0])
        torch.testing.assert_close((field - none)[0], expected)


def test_a_single_cell_is_a_macrospin():
    """Kittel: f = (γ/2π)(B + 2K/M_s − µ0M_s(N_z − N_x)) of small circles, a cube has N_z = N_x."""
    cube = Film(**(MATERIAL | {"damping": 1e-3}), mesh=Mesh(cells=(1, 1, 1), cell=(3e-9,) * 3))
    applied = 0.3
    spins = ensemble(cube, drive=Drive(applied_field=vector(0, 0, applied)), temperature=0.0)
    start = vector(0.01, 0.0, math.sqrt(1 - 1e-4)).reshape(1, 3, 1, 1, 1)
    duration = 5e-12
    m = motion.solve(spins, start, (0.0, duration), 1e-9).state.flatten()
    angle = GYROMAGNETIC_RATIO / (1 + 1e-6) * (applied + 2 * 9e5 / MS) * duration
    assert math.atan2(m[1], m[0]) == pytest.approx(math.remainder(angle, math.tau), abs=2e-3)


def test_without_noise_the_energy_falls():
    spins = ensemble(film(interfacial_dmi=1e-3), temperature=0.0)
    m, energies = random(spins.film), []
    silent = lambda _: torch.zeros_like(m)  # noqa: E731
    motion.simulate(
        spins, m, silent, range(100), lambda _, m: energies.append(motion.energy(spins, m))
    )
    assert bool((torch.stack(energies).diff(dim=0) < 0).all())


def test_fixed_and_adaptive_steps_agree():
    pulse = Pulse(amplitude=vector(0.5, 0, 0), start=1e-12, width=2e-12, rise=1e-12)
    spins = ensemble(film(interfacial_dmi=1e-3), temperature=0.0, time_step=1e-14,
                     drive=Drive(applied_field=pulse))  # fmt: skip
    m = random(spins.film)
    fixed = motion.simulate(spins, m, lambda _: torch.zeros_like(m), range(400))
    adaptive = motion.solve(spins, m, (0.0, 400 * 1e-14), 1e-7)
    torch.testing.assert_close(adaptive.state, fixed, rtol=0, atol=2e-3)


def test_adaptive_steps_do_not_leap_over_a_pulse():
    """A film at rest along z has no error in any step; the pulse at 2 ns must turn it over."""
    pulse = Pulse(amplitude=vector(0.5, 0.0, -4.0), start=2e-9, width=3e-10)
    sample = film((2, 1, 1), demagnetisation="none")
    spins = ensemble(sample, drive=Drive(applied_field=pulse), temperature=0.0)
    found = motion.solve(spins, up(sample), (0.0, 3e-9))
    assert float(found.state[0, 2].mean()) == pytest.approx(-1, abs=0.01)


def test_a_step_of_half_the_length_has_a_quarter_of_the_error():
    spins = [ensemble(temperature=0.0, time_step=dt) for dt in (4e-14, 2e-14)]
    m = random(spins[0].film)
    exact = motion.solve(spins[0], m, (0.0, 8e-13), 1e-10).state
    silent = lambda _: torch.zeros_like(m)  # noqa: E731
    errors = [
        float((motion.simulate(s, m, silent, range(n)) - exact).norm())
        for s, n in zip(spins, (20, 40), strict=True)
    ]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.1)


def modes(sample):
    """Eigenvectors and stiffness fields of small transverse deviations from m = z."""
    size = math.prod(sample.mesh.shape)
    matrix = dense_matrix(sample.linear_field(NOTHING), sample.mesh, "cpu").T
    blocks = matrix.reshape(3, size, 3, size)
    along = blocks[2, :, 2].sum(1)
    transverse = torch.diag(torch.cat((along, along))) - blocks[:2, :, :2].reshape(2 * size, -1)
    return torch.linalg.eigh((transverse + transverse.T) / 2)


TEMPERATURE, REPLICAS = 30.0, 256


def amplitudes(dtype=torch.float32):
    """Variance of every normal mode times its stiffness, over kT/(M_s V_cell): 1 in equilibrium.

    Eight groups of equally stiff modes, each normalised sample an independent replica's mode.
    Heun at γBΔt = 0.2 for the stiffest mode biases its variance by about α-independent 1 %.
    """
    sample = film((4, 3, 1), damping=0.5)
    stiffness, vectors = modes(sample)
    spins = ensemble(sample, torch.zeros((), dtype=dtype), temperature=TEMPERATURE,
                     time_step=2e-14)  # fmt: skip
    m = up(sample, REPLICAS, dtype)
    noise = keyed_step_noise(Key.root(5).child("modes"), m)
    m = motion.simulate(spins, m, noise, range(600))
    transverse = m[:, :2].reshape(REPLICAS, -1).double() @ vectors
    unit = BOLTZMANN * TEMPERATURE / (MS * sample.mesh.cell_volume)
    return transverse * (stiffness / unit).sqrt()


def check_equipartition():
    """Power: 256 x 24 samples see a variance wrong by 10 % with z = 5.5 above the threshold 4.9."""
    scaled = amplitudes()
    soft, stiff = scaled[:, :12], scaled[:, 12:]
    variance_is(soft.flatten(), 1.0, bias=0.03)
    variance_is(stiff.flatten(), 1.0, bias=0.03)


def test_every_mode_holds_half_kt():
    """⟨a_k²⟩ = kT/(M_s V_cell B_k): micromagnetics of small angles is a set of oscillators."""
    check_equipartition()


def test_noise_for_the_volume_of_the_film_is_caught(monkeypatch):
    right = motion.thermal_field_std
    monkeypatch.setattr(
        motion, "thermal_field_std", lambda a, ms, v, t, dt: 1.1 * right(a, ms, v, t, dt)
    )
    with pytest.raises(AssertionError, match="variance"):
        check_equipartition()


@pytest.mark.parametrize("evaluation", ["direct", "dense"])
def test_a_film_alone_moves_as_in_a_batch(evaluation):
    spins = ensemble(film(interfacial_dmi=1e-3), evaluation=evaluation)
    m = random(spins.film, 5)
    noise = keyed_step_noise(Key.root(3).child("noise"), m)
    together = motion.simulate(spins, m, noise, range(20))
    alone = motion.simulate(spins, m[2:3], lambda i: noise(i)[2:3], range(20))
    torch.testing.assert_close(alone[0], together[2], rtol=0, atol=1e-12)


def test_any_split_of_the_steps_gives_the_same_bits():
    spins = ensemble(drive=Drive(applied_field=Pulse(amplitude=vector(0.1, 0, 0), start=2e-13,
                                                     width=4e-13)))  # fmt: skip
    m = random(spins.film)
    noise = keyed_step_noise(Key.root(3).child("split"), m)
    whole = motion.simulate(spins, m, noise, range(20))
    part = motion.simulate(spins, m, noise, range(7))
    assert torch.equal(motion.simulate(spins, part, noise, range(7, 20)), whole)


def test_single_precision_follows_double():
    single, double = ensemble(like=NOTHING.float()), ensemble()
    m = random(double.film)
    noise = keyed_step_noise(Key.root(3).child("dtype"), m)
    found = motion.simulate(single, m.float(), lambda i: noise(i).float(), range(20))
    assert found.dtype == torch.float32
    expected = motion.simulate(double, m, noise, range(20))
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5)


def test_vacuum_stays_empty_and_moves_nothing():
    mask = torch.ones((1, 4, 6), dtype=torch.bool)
    mask[0, 0, :2] = False
    torque = SpinTorque(direction=vector(0, 1, 0), damping_like=0.01)
    drive = Drive(spin_torques=(torque,), drift_velocity=vector(100.0, 0, 0))
    spins = ensemble(film(mask=mask, interfacial_dmi=1e-3), drive=drive)
    m = random(spins.film)
    noise = keyed_step_noise(Key.root(3).child("vacuum"), m)
    moved = motion.simulate(spins, m, noise, range(10))
    assert bool((moved[:, :, ~mask] == 0).all())
    torch.testing.assert_close(moved.norm(dim=1)[:, mask], torch.ones(3, 22, dtype=torch.float64))
    filled = torch.where(mask, m, -3.0)
    torch.testing.assert_close(motion.simulate(spins, filled, noise, range(10)), moved)


def test_bias_points_lie_along_the_batch():
    """Three fields in one batch move as three runs of one."""
    fields = torch.tensor([0.0, 0.1, -0.2], dtype=torch.float64)
    batch = torch.zeros((3, 3, 1, 1, 1), dtype=torch.float64)
    batch[:, 0, 0, 0, 0] = fields
    shift = (1e5 * fields).reshape(3, 1, 1, 1, 1)
    m = random(film())
    noise = keyed_step_noise(Key.root(3).child("points"), m)
    together = motion.simulate(
        ensemble(drive=Drive(applied_field=batch, anisotropy_shift=shift)), m, noise, range(10)
    )
    for k, value in enumerate(fields.tolist()):
        one = Drive(applied_field=vector(value, 0, 0), anisotropy_shift=1e5 * value)
        alone = motion.simulate(
            ensemble(drive=one), m[k : k + 1], lambda i, k=k: noise(i)[k : k + 1], range(10)
        )
        torch.testing.assert_close(alone[0], together[k], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "change,word",
    [
        ({"saturation_magnetisation": -1.0}, "saturation_magnetisation"),
        ({"exchange": math.nan}, "exchange"),
        ({"damping": -0.1}, "damping"),
        ({"uniaxial_anisotropy": math.inf}, "uniaxial_anisotropy"),
        ({"easy_axis": (0.0, 0.0, 2.0)}, "easy_axis"),
        ({"saturation_magnetisation": torch.ones(2, 2, 2)}, "shape"),
        ({"saturation_magnetisation": 0.0}, "positive in a cell"),
        ({"demagnetisation": (0.0, 0.0, math.nan)}, "three finite factors"),
    ],
)
def test_impossible_material_is_one_sentence(change, word):
    with pytest.raises(ValueError, match=word):
        film(**change)


def test_too_long_a_step_names_the_longest_stable_one():
    with pytest.raises(ValueError, match=r"`time_step` must be at most \d.* fs"):
        ensemble(time_step=1e-12)


def test_a_mesh_too_large_for_memory_is_refused_with_one_that_fits(monkeypatch):
    monkeypatch.setattr(motion, "free_memory", lambda device: 2.9e6)
    large = film((100, 40, 1))
    with pytest.raises(ValueError, match=r"takes 0.0104 GB, but 0.0029 GB .*: 52 x 21 x 1 cells"):
        ensemble(large)
    ensemble(film((52, 21, 1), demagnetisation="none"))


def test_coarse_cells_are_warned_of():
    coarse = Film(**MATERIAL, mesh=Mesh(cells=(6, 4, 1), cell=(2e-8, 2e-8, 1.5e-9)))
    with pytest.warns(UserWarning, match="cell"):
        ensemble(coarse)


@pytest.mark.parametrize(
    "change",
    [
        {"anisotropy_shift": 1e9},
        {"spin_torques": (SpinTorque(direction=vector(0, 1, 0), damping_like=2e3),)},
    ],
)
def test_a_drive_too_stiff_for_the_step_is_refused(change):
    """2ΔK/M_s = 2 kT and b = 2 kT are both beyond any step of 50 fs."""
    with pytest.raises(ValueError, match="`time_step` must be at most"):
        ensemble(drive=Drive(**change))


@pytest.mark.parametrize("name", ["applied_field", "anisotropy_shift", "drift_velocity"])
def test_a_drive_that_is_not_finite_is_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must be finite, but is nan"):
        Drive(**{name: vector(0.0, math.nan, 0.0)})


def test_noise_needs_fixed_steps():
    with pytest.raises(ValueError, match="simulate"):
        motion.solve(ensemble(), random(film()), (0.0, 1e-12))


def test_a_temperature_below_zero_is_refused():
    with pytest.raises(ValueError, match="temperature"):
        ensemble(temperature=-1.0)
