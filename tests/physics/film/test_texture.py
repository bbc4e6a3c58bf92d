"""Initial states and the measures of a wall."""

import dataclasses
import math

import pytest
import torch

from bayespin.physics.film import texture
from bayespin.physics.film.geometry import Notch, Track, cells_inside
from bayespin.physics.film.mesh import Mesh
from bayespin.rng import InjectedNoise

TRACK = Mesh(cells=(80, 8, 2), cell=(1e-9, 2e-9, 1e-9))
NOTCHES = (
    Notch(position=25e-9, depth=4e-9, width=20e-9),
    Notch(position=60e-9, depth=6e-9, width=10e-9, edges="upper"),
)


def notched():
    track = Track(length=80e-9, width=16e-9, notches=NOTCHES)
    return dataclasses.replace(TRACK, mask=cells_inside(track, TRACK))


def lengths_are_one_or_zero(m, mesh):
    length = m.norm(dim=-4)
    torch.testing.assert_close(length, mesh.occupied.double().expand_as(length))


def test_uniform_points_along_its_direction():
    m = texture.uniform(notched(), (3.0, 0.0, 4.0))
    lengths_are_one_or_zero(m, notched())
    torch.testing.assert_close(m[0], 0.6 * notched().occupied.double())


@pytest.mark.parametrize("direction", [(0.0, 0.0, 0.0), (math.nan, 0.0, 1.0)])
def test_no_direction_is_refused(direction):
    with pytest.raises(ValueError, match="`direction` must have a length"):
        texture.uniform(TRACK, direction)


def test_disorder_is_the_direction_of_its_noise():
    """v/|v| of normal numbers is uniform on the sphere; the numbers are those of the noise."""
    mesh = Mesh(cells=(2, 1, 1), cell=(1e-9, 1e-9, 1e-9), mask=torch.tensor([[[True, False]]]))
    drawn = torch.tensor([[3.0, 1.0], [0.0, 1.0], [-4.0, 1.0]], dtype=torch.float64)
    m = texture.disordered(mesh, InjectedNoise([drawn.reshape(1, 3, 1, 1, 2)]), (1,))
    assert m.squeeze().tolist() == [[0.6, 0.0], [0.0, 0.0], [-0.8, 0.0]]


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize("angle", [0.0, math.pi / 2, 2.5, -2.0])
def test_profile_of_a_wall(polarity, angle):
    """m_z = −p tanh((x − q)/Δ), m_x = cos φ sech, m_y = sin φ sech."""
    q, width = 31.5e-9, 5e-9
    m = texture.wall(TRACK, q, width, angle, polarity)
    lengths_are_one_or_zero(m, TRACK)
    middle = m[:, 0, 0, 31]  # its centre is at q
    assert middle.tolist() == pytest.approx([math.cos(angle), math.sin(angle), 0], abs=1e-12)
    assert float(m[2, 0, 0, 36]) == pytest.approx(-polarity * math.tanh(1), rel=1e-12)
    assert float(m[2, 0, 0, 0]) * polarity > 0.99


def test_walls_are_found_where_they_were_put():
    """q and φ of a batch, to the accuracy of the cut at the ends, Δ e^{−2q/Δ}."""
    positions = torch.tensor([25e-9, 40.3e-9, 52.7e-9], dtype=torch.float64)
    angles = torch.tensor([-3.0, 0.4, 1.5], dtype=torch.float64)
    m = texture.wall(TRACK, positions, 4e-9, angles)
    assert m.shape == (3, 3, 2, 8, 80)
    torch.testing.assert_close(texture.wall_position(m, TRACK), positions, atol=1e-13, rtol=0)
    torch.testing.assert_close(texture.wall_angle(m, TRACK), angles)


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize("position", [10.25e-9, 25e-9, 40.5e-9, 59.75e-9, 79e-9])
def test_a_sharp_wall_is_found_among_notches(position, polarity):
    """The column that holds the wall is up in part; its volume counts, however narrow it is."""
    mesh = notched()
    columns = torch.arange(80, dtype=torch.float64) + 0.5
    up = (position / 1e-9 - columns + 0.5).clamp(0, 1)
    m = torch.zeros((3, *mesh.shape), dtype=torch.float64)
    m[2] = polarity * (2 * up - 1)
    assert float(texture.wall_position(m, mesh, polarity)) == pytest.approx(position, rel=1e-12)


def test_domains_shortened_by_temperature_are_allowed_for():
    m = 0.9 * texture.wall(TRACK, torch.tensor([20e-9], dtype=torch.float64), 3e-9, 0.0)
    assert float(texture.wall_position(m, TRACK)) == pytest.approx(22e-9, rel=1e-4)
    found = texture.wall_position(m, TRACK, domain_magnetisation=0.9)
    assert float(found) == pytest.approx(20e-9, rel=1e-4)


def test_a_wall_that_left_is_at_the_end_and_a_broken_replica_nowhere():
    mesh = notched()
    up = texture.uniform(mesh, (0.0, 0.0, 1.0))
    m = torch.stack((up, -up, up * math.nan))
    found = texture.wall_position(m, mesh)
    assert found[:2].tolist() == pytest.approx([80e-9, 0], abs=1e-20)
    assert bool(found[2].isnan())


def test_the_angle_ignores_the_domains():
    """Weight 1 − m_z²: a tilt of 0.1 in 60 nm of domain would turn an average over the track."""
    m = texture.wall(TRACK, 40e-9, 2e-9, math.pi / 2)
    m[0] += torch.where(m[2].abs() > 0.99, 0.1, 0.0)
    assert float(texture.wall_angle(m, TRACK)) == pytest.approx(math.pi / 2, abs=0.03)


@pytest.mark.parametrize("circulation, polarity", [(1, 1), (-1, 1), (1, -1)])
def test_a_vortex_turns_about_its_core(circulation, polarity):
    mesh = Mesh(cells=(33, 33, 2), cell=(2e-9, 2e-9, 2e-9))
    m = texture.vortex(mesh, circulation, polarity)
    lengths_are_one_or_zero(m, mesh)
    x, y = mesh.centres(0) - 33e-9, (mesh.centres(1) - 33e-9).reshape(-1, 1)
    turning = (x * m[1] - y * m[0]) / torch.hypot(x, y)
    assert float(m[2, 0, 16, 16]) == polarity
    outside = torch.hypot(x, y) >= 10.1e-9
    assert not m[2][:, outside].any()
    torch.testing.assert_close(
        turning[:, outside], torch.full_like(turning[:, outside], circulation)
    )
    assert m[:2].mean((1, 2, 3)).tolist() == pytest.approx([0, 0], abs=1e-15)


def test_the_s_state_turns_both_ends_the_same_way():
    """Seed of muMAG 4: <m> near (0.967, 0.125, 0), even along the bar, both ends towards +y."""
    mesh = Mesh(cells=(64, 16, 1), cell=(500e-9 / 64, 125e-9 / 16, 3e-9))
    m = texture.s_state(mesh)
    lengths_are_one_or_zero(m, mesh)
    torch.testing.assert_close(m, m.flip(-1))
    assert float(m[1, 0, 0, 0]) > 0.9
    assert float(m[0, 0, 0, 32]) > 0.99
    assert m.mean((1, 2, 3)).tolist() == pytest.approx([0.967, 0.125, 0], abs=0.06)
