"""Walls of films against walls as two coordinates: rates, calibrated tracks, and depinning."""

import dataclasses

import pytest
import torch

from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.physics import domain_wall, llg, wall_motion
from bayespin.physics import wall_calibration as calibration
from bayespin.physics import wall_ensemble as ensemble
from bayespin.physics.film import geometry, motion, texture
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.minimisation import relax
from bayespin.physics.film.motion import Drive, films
from bayespin.physics.spin_torque import SpinTorque
from bayespin.physics.wall_ensemble import Walls, WallTrack
from tests.physics.walls import real, row

EXCHANGE, ANISOTROPY, MOMENT, WALL = 12e-12, 1.39e5, 0.795e6, 9.29e-9
LIKE = torch.zeros((), dtype=torch.float64)


def strip(cells=(64, 1, 1), cell=4e-9, notch=0.0, **changes):
    """A perpendicular strip 1.2 nm thick, K_eff given; a notch cuts its middle from both edges."""
    box = Mesh(cells=cells, cell=(cell, 4e-9, 1.2e-9))
    length, width, _ = box.extent
    cuts = (geometry.Notch(position=length / 2, depth=notch, width=20e-9),) if notch else ()
    track = geometry.Track(length=length, width=width, notches=cuts)
    mesh = dataclasses.replace(box, mask=geometry.cells_inside(track, box))
    usual = {
        "saturation_magnetisation": MOMENT, "exchange": EXCHANGE, "damping": 0.5,
        "uniaxial_anisotropy": ANISOTROPY, "demagnetisation": "none",
    }  # fmt: skip
    return Film(**({"mesh": mesh} | usual | changes))


def hard_along_y(hard_axis):
    """Factors whose local demagnetisation is a hard axis along y of B_p, µ0M_sN_y."""
    return (0.0, hard_axis / (VACUUM_PERMEABILITY * MOMENT), 0.0)


@pytest.mark.parametrize(
    "drive, effect",
    [
        ({"applied_field": real(0, 0, 0.02)}, {"field": 0.02}),
        (
            {"spin_torques": (SpinTorque(direction=real(0, 1, 0), damping_like=0.03),)},
            {"spin_hall_field": 0.03},
        ),
        ({"drift_velocity": real(40, 0, 0)}, {"drift_velocity": 40.0}),
        ({"drift_velocity": real(40, 0, 0), "nonadiabaticity": 0.7}, {"drift_velocity": 40.0}),
    ],
)
def test_a_film_and_two_coordinates_move_alike(drive, effect):
    """q̇ and φ̇ of a tanh wall by the whole equation, at many φ, with hard axis, DMI and drive.

    q̇ = ½ ∫ṁ_z dx and φ̇ = ∫ sin θ (e_φ·ṁ) dx/(2Δ). Cells of Δ/19 leave (dx/Δ)²/6 of a gradient.
    """
    dmi, hard = 2e-4, 0.05
    film = strip((400, 1, 1), 0.5e-9, interfacial_dmi=dmi, demagnetisation=hard_along_y(hard))
    width = domain_wall.width_parameter(EXCHANGE, ANISOTROPY)
    angle = torch.linspace(-3, 3, 7, dtype=torch.float64)
    m = texture.wall(film.mesh, film.mesh.extent[0] / 2, width, angle)
    moved = films(film, Drive(**drive), time_step=1e-15, like=LIKE, evaluation="direct")
    rate = llg.torque(m, motion.effective_field(moved, m), 0.5, motion.AXIS)[..., 0, 0, :]
    across = (angle.cos()[:, None] * rate[:, 1] - angle.sin()[:, None] * rate[:, 0]) * 0.5e-9
    sine = (1 - m[:, 2, 0, 0].square()).sqrt()
    track = WallTrack(
        wall_width=width, saturation_magnetisation=MOMENT, cross_section=1.0, damping=0.5,
        hard_axis=hard, dmi=wall_motion.dmi_field(-dmi, MOMENT, width),
        nonadiabaticity=drive.get("nonadiabaticity", 0.0),
    )  # fmt: skip
    walls = Walls(track=track, temperature=0, time_step=1e-15, **effect)
    state = torch.stack((torch.zeros_like(angle), angle))
    expected = (ensemble.step(walls, state, torch.zeros_like(state)) - state) / 1e-15
    scale = float(expected.abs().amax(-1)[0])
    torch.testing.assert_close(rate[:, 2].sum(-1) * 0.25e-9, expected[0], rtol=0, atol=2e-3 * scale)
    turning = (sine * across).sum(-1) / (2 * width)
    torch.testing.assert_close(turning, expected[1], rtol=0, atol=2e-3 * scale / width)


def test_straight_track_gives_the_closed_forms():
    """Δ(1 − (dx/Δ)²/8), B_p = µ0M_sN_y, B_D = −D/(M_sΔ) of the film's D, 4√(AK) − π|D|.

    A wall that can shrink does so along its hard axis, which takes K_p/(4K_eff) of B_p.
    """
    dmi = 1e-4
    film = strip((128, 1, 1), 2e-9, interfacial_dmi=dmi, demagnetisation=hard_along_y(0.02))
    found = calibration.calibrate(film, tolerance=1e-6)
    track, width = found.track, domain_wall.width_parameter(EXCHANGE, ANISOTROPY)
    discrete = domain_wall.discrete_width_parameter(width, 2e-9)
    assert track.wall_width == pytest.approx(discrete, rel=1e-3)
    softer = 1 - 0.02 * MOMENT / 2 / (4 * ANISOTROPY)
    assert track.hard_axis == pytest.approx(0.02 * softer, rel=2e-3)
    assert track.dmi == pytest.approx(wall_motion.dmi_field(-dmi, MOMENT, width), rel=0.005)
    energy = domain_wall.wall_energy(EXCHANGE, ANISOTROPY, dmi) * 4e-9 * 1.2e-9
    assert found.wall_energy == pytest.approx(energy, rel=0.005)
    assert track.cross_section == pytest.approx(4.8e-18)
    dead = domain_wall.end_dead_zone(track.wall_width)
    assert track.ends == pytest.approx((dead, 256e-9 - dead))
    assert found.held is None


def test_measured_velocity_is_that_of_the_calibrated_track():
    """Half of Walker's field: γΔ(φ)B/α, within (dx/Δ)²/8 and K_p/K of a rigid wall."""
    film = strip(demagnetisation=hard_along_y(0.02))
    track = calibration.calibrate(film).track
    field = wall_motion.walker_field(0.5, track.hard_axis) / 2
    driven = films(film, Drive(applied_field=real(0, 0, field)), time_step=1e-13, like=LIKE)
    m = texture.wall(film.mesh, real(90e-9), track.wall_width, 0.26)
    found = calibration.measured_velocity(driven, m, 0.1e-9, 0.2e-9)
    exact = wall_motion.mean_velocity(
        real(field), real(0), wall_width=track.wall_width, damping=0.5, hard_axis=track.hard_axis
    )
    torch.testing.assert_close(found, exact, rtol=0.02, atol=0)


def notched():
    return strip((64, 8, 1), notch=6e-9, demagnetisation=(0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def calibrated():
    return calibration.calibrate(notched(), notches=(128e-9,))


def test_held_walls_measure_energy_and_slope_alike(calibrated):
    """∫ slope dq is the energy, though one is a field and the other a sum over cells."""
    held = calibrated.held
    middle = (held.slope[1:] + held.slope[:-1]) / 2
    climbed = (middle * held.position.diff()).cumsum(0)
    depth = float(held.energy.max())
    torch.testing.assert_close(climbed, held.energy[1:] - held.energy[0], rtol=0, atol=0.01 * depth)
    torch.testing.assert_close(held.energy, held.energy.flip(0), rtol=0, atol=1e-3 * depth)
    assert float(held.energy[20]) < 0.01 * depth


def test_notch_is_the_wall_that_is_missing(calibrated):
    """The wall is shorter by what the notch cuts, over a width of a few Δ: 0.5 to 1 of its energy.

    The mask cuts 4 of 32 nm over 12 nm and 8 nm nowhere, so U0 < (8/32) E_wall.
    """
    notches = calibrated.track.notches
    share = float(notches.depth) / calibrated.wall_energy
    cut = 1 - float(notched().mesh.occupied.sum((0, 1)).min()) / 8
    assert 0.5 * cut < share < cut
    assert 0.5 * WALL < float(notches.width) < 2 * WALL
    assert calibrated.misfit < 0.05


def test_field_that_frees_the_wall_is_the_steepest_slope(calibrated):
    """max dE/dq/(2M_sS): a film in 3 % less holds its wall, in 3 % more it lets it go.

    And where half of it holds a wall is where the fitted notch says, to a tenth of Δ.
    """
    film, track, moment = notched(), calibrated.track, calibration.line_moment(notched())
    limit = float(calibrated.held.slope.max()) / (2 * moment)
    field = torch.zeros(3, 3, 1, 1, 1, dtype=torch.float64)
    field[:, 2, 0, 0, 0] = limit * real(0.5, 0.97, 1.03)
    drive = Drive(applied_field=field)
    driven = films(film, drive, time_step=1e-13, like=LIKE, evaluation="direct")
    start = texture.wall(film.mesh, torch.full((3,), 128e-9).double(), track.wall_width, 0.0)
    half, less, more = calibration.volume_position(film, relax(driven, start, 1e-5).state)
    middle = float(calibration.place_in_volume(film, real(128e-9)))
    assert float(less) < middle + WALL
    assert float(more) > middle + 4 * WALL
    q = torch.linspace(middle, middle + WALL, 2001, dtype=torch.float64)
    slope = ensemble.potential_slope(track.notches, q)
    rest = q[(slope > moment * limit).nonzero()[0, 0]]
    assert float(half) == pytest.approx(float(rest), abs=0.1 * WALL)


def test_positions_are_volumes_of_full_track():
    """Without notches q = x; behind a notch it lacks what the notch took, counted by hand."""
    film = notched()
    plain = calibration.without_notches(film)
    assert bool(plain.mesh.occupied.all())
    x = real(10e-9, 128e-9, 255e-9)
    torch.testing.assert_close(calibration.place_in_volume(plain, x), x, rtol=1e-9, atol=0)
    lost = (~film.mesh.occupied).sum() * 4e-9 / 8
    behind = calibration.place_in_volume(film, x)
    torch.testing.assert_close(behind, x - lost * real(0, 0.5, 1), rtol=1e-9, atol=0)
    corners = real(8e-9, 128e-9, 252e-9)
    sharp = texture.wall(film.mesh, corners, 1e-12, 0.0)
    torch.testing.assert_close(
        calibration.volume_position(film, sharp),
        calibration.place_in_volume(film, corners),
        rtol=1e-9,
        atol=0,
    )


def test_maps_of_the_film_follow_its_fullest_column():
    film = notched()
    moment = torch.full(film.mesh.shape, MOMENT, dtype=torch.float64)
    moment[..., :5] *= 0.9
    mapped = dataclasses.replace(film, saturation_magnetisation=moment)
    plain = calibration.without_notches(mapped)
    assert torch.equal(plain.moment_density, torch.full_like(moment, MOMENT))


def held_row(notches, q):
    return calibration.HeldWalls(
        position=q,
        energy=ensemble.potential(notches, q) + 7e-20,
        slope=ensemble.potential_slope(notches, q),
        converged=torch.ones_like(q).bool(),
    )


def test_fit_recovers_planted_notches():
    planted = dataclasses.replace(
        row(1e-19, 9e-9, 40e-9), depth=real(1e-19, 5e-20, 8e-20)[:, None],
        width=real(9e-9, 6e-9, 12e-9)[:, None],
    )  # fmt: skip
    q = torch.linspace(-70e-9, 70e-9, 61, dtype=torch.float64)
    found, misfit = calibration.fit_notches(held_row(planted, q), real(-38e-9, 1e-9, 43e-9))
    torch.testing.assert_close(found.depth, planted.depth, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.width, planted.width, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.position, planted.position, rtol=0, atol=1e-14)
    assert misfit < 1e-6
    with pytest.raises(ValueError, match="must have at least 10 places for 3 notches, but has 6"):
        calibration.fit_notches(held_row(planted, q[:6]), real(-38e-9, 1e-9, 43e-9))


def test_films_without_walls_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="`film` must be perpendicular to hold a wall"):
        calibration.calibrate(strip(uniaxial_anisotropy=-1e5))
    with pytest.raises(ValueError, match=r"`film` must be 8 wall widths long, 7\.4"):
        calibration.calibrate(strip((10, 1, 1)))
    monkeypatch.setattr(calibration, "relax", lambda *a: relax(*a, largest_count=2))
    with pytest.raises(ValueError, match="`tolerance` must be reached by the wall, but 2 steps"):
        calibration.calibrate(strip())
