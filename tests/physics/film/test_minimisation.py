"""Relaxed states against closed forms: walls, chirality, edges, pinning."""

import math

import pytest
import torch

from bayespin.physics.drive import Sine
from bayespin.physics.film import motion
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.minimisation import relax
from bayespin.physics.film.motion import Drive, films

MS, A, K = 1.1e6, 1.6e-11, 5.1e5
WIDTH = math.sqrt(A / K)
TIME_STEP = 1e-15
NOTHING = torch.zeros((), dtype=torch.float64)


def track(cells=(120, 1, 1), size=1e-9, **changes):
    parameters = {
        "mesh": Mesh(cells=cells, cell=(size, size, 6e-10)),
        "saturation_magnetisation": MS,
        "exchange": A,
        "damping": 0.3,
        "uniaxial_anisotropy": K,
        "demagnetisation": "none",
    }
    return Film(**(parameters | changes))


def ensemble(film, drive=None, time_step=TIME_STEP):
    return films(film, drive or Drive(), time_step=time_step, like=NOTHING)


def wall(film, angle=math.pi / 2):
    """Up to the left and down to the right of the middle; `angle` from x at the centre."""
    x = film.mesh.centres(0)
    x = (x - x.mean()) / (1.5 * WIDTH)
    m = torch.stack((math.cos(angle) / x.cosh(), math.sin(angle) / x.cosh(), -x.tanh()))
    return m.reshape(1, 3, 1, 1, -1).expand(1, 3, *film.mesh.shape).clone()


def relaxed(film, start, **settings):
    found = relax(ensemble(film), start, **settings)
    assert bool(found.converged.all())
    return found.state


@pytest.mark.parametrize("size,measured", [(5e-10, 5.596e-9), (1e-9, 5.579e-9), (2e-9, 5.509e-9)])
def test_width_of_a_wall_on_a_grid(size, measured):
    """∫(m_x² + m_y²) dx = 2Δ; on cells dx it is short by (dx/Δ)²/8, as the reference run found."""
    film = track((int(120e-9 / size), 1, 1), size)
    m = relaxed(film, wall(film))
    width = float(m[0, :2].square().sum()) * size / 2
    assert width == pytest.approx(measured, abs=2e-12)
    assert width == pytest.approx(WIDTH * (1 - (size / WIDTH) ** 2 / 8), rel=2e-3)


@pytest.mark.parametrize("dmi", [0.0, 1e-3])
def test_energy_of_a_wall(dmi):
    """4√(AK) − π|D| for the chirality that D favours, per cross section."""
    film = track((240, 1, 1), 5e-10, interfacial_dmi=dmi)
    spins = ensemble(film)
    uniform = torch.zeros(1, 3, 1, 1, 240, dtype=torch.float64)
    uniform[:, 2] = 1
    ground = relax(spins, uniform).state
    found = [relax(spins, wall(film, angle)).state for angle in (0.0, math.pi)]
    section = 5e-10 * 6e-10
    energies = [float(motion.energy(spins, m) - motion.energy(spins, ground)) for m in found]
    expected = 4 * math.sqrt(A * K) - math.pi * dmi
    assert min(energies) / section == pytest.approx(expected, rel=0.01)


def test_edge_tilt_of_a_chiral_film():
    """dm/dn = (D/2A)(z x n) x m at a free edge: sin θ = −(D/2)/√(AK) for a half-infinite film."""
    dmi = 1.5e-3
    film = track((160, 1, 1), 5e-10, interfacial_dmi=dmi)
    m = torch.zeros(1, 3, 1, 1, 160, dtype=torch.float64)
    m[:, 2] = 1
    m[:, 0, ..., :10] = 0.1
    m = relaxed(film, m / m.norm(dim=1, keepdim=True), tolerance=1e-8)
    left, right = m[0, 0, 0, 0, 0], m[0, 0, 0, 0, -1]
    assert float(left) == pytest.approx(-float(right), rel=1e-5)  # the solver's tolerance
    # Half a cell inside the edge the tilt has fallen by dx/2Δ.
    expected = dmi / (2 * math.sqrt(A * K)) * (1 - 2.5e-10 / WIDTH)
    assert abs(float(left)) == pytest.approx(expected, rel=0.02)


def pinning_field(soft, expected):
    """The field at which a wall passes from soft to hard, by bisection of relaxed states, in T.

    Heistracher et al. (2022), doi:10.1016/j.jmmm.2021.168875: 80 cells of 1 nm, easy axis along
    the field and the chain; the wall starts in the soft half.
    """
    hard = {"exchange": 1e-11, "uniaxial_anisotropy": 1e6, "saturation_magnetisation": 1.0}
    halves = torch.arange(80).reshape(1, 1, 80) < 40
    maps = {name: torch.where(halves, soft[name], value).double() for name, value in hard.items()}
    maps["saturation_magnetisation"] /= 4e-7 * math.pi
    film = track((80, 1, 1), easy_axis=(1.0, 0.0, 0.0), damping=1.0, **maps)
    x = film.mesh.centres(0)
    profile = (x - 25e-9) / 5e-9
    m = torch.stack((-profile.tanh(), 1 / profile.cosh(), 0 * x)).reshape(1, 3, 1, 1, 80)
    m = m * torch.tensor([-1.0, 1.0, 1.0]).reshape(3, 1, 1, 1)
    approach = torch.linspace(0.5, 0.8, 4, dtype=torch.float64)
    fields = expected * torch.cat((approach, torch.linspace(0.81, 1.1, 30, dtype=torch.float64)))
    passed = []
    state = m
    for field in fields:
        drive = Drive(applied_field=torch.stack((-field, 0 * field, 0 * field)))
        state = relax(ensemble(film, drive), state, tolerance=1e-6).state
        passed.append(bool(state[0, 0, 0, 0, 60] < 0))
    return float(fields[passed.index(True)])


JUMPS = {
    "A, K and J": ({"exchange": 2.5e-12, "uniaxial_anisotropy": 1e5,
                    "saturation_magnetisation": 0.25}, 1.568),
    "A and K": ({"exchange": 2.5e-12, "uniaxial_anisotropy": 1e5,
                 "saturation_magnetisation": 1.0}, 1.089),
    "K and J": ({"exchange": 1e-11, "uniaxial_anisotropy": 1e5,
                 "saturation_magnetisation": 0.25}, 1.005),
    "K": ({"exchange": 1e-11, "uniaxial_anisotropy": 1e5, "saturation_magnetisation": 1.0}, 0.565),
}  # fmt: skip


@pytest.mark.parametrize("jump", ["A, K and J", "K"])
def test_pinning_at_a_phase_boundary(jump):
    """H_p = (2K/J)(1 − ε_K ε_A)/(1 + √(ε_J ε_A))².

    The sweep finds it up to a step of 1 % too late; cells of 1 nm add (dx/Δ)²/8 = 1.25 % for the
    hard wall, Δ = 3.2 nm.
    """
    soft, expected = JUMPS[jump]
    assert 0.995 < pinning_field(soft, expected) / expected < 1.0225


@pytest.mark.slow
@pytest.mark.parametrize("jump", ["A and K", "K and J"])
def test_pinning_at_the_other_boundaries(jump):
    soft, expected = JUMPS[jump]
    assert 0.995 < pinning_field(soft, expected) / expected < 1.0225


def test_held_cells_stay_and_the_rest_relaxes():
    film = track((40, 1, 1))
    start = wall(film)
    held = torch.zeros(1, 1, 40, dtype=torch.bool)
    held[..., 10] = True
    found = relax(ensemble(film), start, held=held)
    assert torch.equal(found.state[..., 10], start[..., 10])
    assert not torch.equal(found.state[..., 20:], start[..., 20:])


def test_a_film_that_ran_out_of_steps_is_marked():
    film = track()
    found = relax(ensemble(film), wall(film), largest_count=2)
    assert not bool(found.converged.any())


def test_films_relax_each_by_itself():
    film = track((60, 1, 1))
    starts = torch.cat((wall(film), wall(film, 0.3)))
    together = relax(ensemble(film), starts)
    alone = relax(ensemble(film), starts[:1])
    torch.testing.assert_close(together.state[:1], alone.state, rtol=0, atol=1e-9)


def test_a_magnetisation_in_amperes_per_metre_relaxes_as_its_direction():
    film = track((40, 1, 1))
    found = relax(ensemble(film), 8e5 * wall(film))
    assert bool(found.converged.all())
    torch.testing.assert_close(found.state, relax(ensemble(film), wall(film)).state)


def test_a_state_at_rest_takes_no_step():
    film = track((10, 1, 1))
    m = torch.zeros(1, 3, 1, 1, 10, dtype=torch.float64)
    m[:, 2] = 1
    assert relax(ensemble(film), m).steps == 0


def test_tolerance_must_be_positive():
    with pytest.raises(ValueError, match="tolerance"):
        relax(ensemble(track()), wall(track()), tolerance=0.0)


def test_a_wave_is_taken_at_its_start():
    """`relax` sees the drive at t = 0: a sine is nothing there."""
    film = track((40, 1, 1))
    wave = Sine(amplitude=torch.tensor([0.0, 0.0, 1.0]), frequency=1e9)
    plain = relax(ensemble(film), wall(film)).state
    driven = relax(ensemble(film, Drive(applied_field=wave)), wall(film)).state
    assert torch.equal(plain, driven)
