"""What simulations make of their sections, against the physics that they name."""

import math

import pytest
import torch

from bayespin.device import presets, stochastic_mtj
from bayespin.load import InputError
from bayespin.physics import equilibrium
from bayespin.physics.domain_wall import width_parameter
from bayespin.physics.drive import at
from bayespin.physics.files.ovf import write_ovf
from bayespin.physics.files.snapshot import Snapshot
from bayespin.physics.film import texture
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.spin_torque import slonczewski_field, spin_hall_field
from bayespin.rng import Key
from bayespin.study.simulation.films import FilmModel
from bayespin.study.simulation.macrospins import MacrospinModel
from bayespin.study.simulation.walls import Coordinates, WallModel, wall_in_film
from tests.study.simulation.small import simulation


def test_macrospins_are_the_preset_s_free_layer_with_its_exact_law():
    model = MacrospinModel(simulation("thermal-ensemble"))
    pillar = presets.junction("easyplane-50nm")
    settings = torch.tensor([1.0613e-3, 0.9733e-3], dtype=torch.float64)
    stability = stochastic_mtj.stability(pillar, settings, 300.0)
    torch.testing.assert_close(-model.points.barrier(0.0), stability)
    exact = model.exact()
    torch.testing.assert_close(exact["exact_std"], equilibrium.easy_plane_std(stability))
    expected = stochastic_mtj.correlation_time(pillar, settings)
    torch.testing.assert_close(exact["linear_time"], expected, rtol=1e-7, atol=0)
    # The slowest mode is slower by about 1/(2Δ): (Δ/(Δ − 1/2) for a stiff plane.
    ratio = exact["exact_time"] / exact["linear_time"]
    torch.testing.assert_close(ratio, stability / (stability - 0.5), rtol=2e-3, atol=0)
    for law, spread in zip(model.laws, exact["exact_std"], strict=True):
        at_one_std = law(torch.tensor([0.0, float(spread)]))
        assert at_one_std.tolist() == pytest.approx([0.5, 0.841345], abs=1e-4)


def test_all_levels_of_the_preset_without_settings():
    model = MacrospinModel(simulation("thermal-ensemble", layer={}))
    assert len(model.points.interface_anisotropy) == 16


def test_a_voltage_shifts_the_anisotropy_by_the_preset_s_efficiency():
    """ΔK_eff = ξV/(t_MgO t) = 60e-15 · 0.2/(1.2e-9 · 2.2e-9) = 4545 J/m³."""
    still = MacrospinModel(simulation("thermal-ensemble"))
    model = MacrospinModel(simulation("thermal-ensemble", drive__voltage="0.2 V"))
    moved = model.points.anisotropy(0.2) - still.points.anisotropy(0.0)
    assert moved.tolist() == pytest.approx([4545.45] * 2, rel=1e-4)
    parameters = model.system.parameters
    torch.testing.assert_close(
        torch.as_tensor(parameters.effective_anisotropy)[:, 0], model.points.anisotropy(0.2)
    )
    pulse = {"start": "1 ns", "width": "1 ns", "voltage": "0.2 V"}
    driven = MacrospinModel(simulation("thermal-ensemble", drive__pulses=[pulse]))
    waveform = driven.system.parameters.effective_anisotropy
    assert torch.allclose(at(waveform, 0.5e-9)[:, 0], still.points.anisotropy(0.0))
    assert torch.allclose(at(waveform, 1.5e-9)[:, 0], model.points.anisotropy(0.2))
    assert driven.log_density is None


def test_currents_turn_macrospins_by_both_torques():
    model = MacrospinModel(
        simulation(
            "thermal-ensemble", drive__current_density="1e11 A/m2", torque__spin_hall_angle=0.1,
            torque__field_like=0.5, torque__polarisation=0.6, torque__asymmetry=1.5,
        )
    )  # fmt: skip
    below, through = model.system.parameters.spin_torques
    spin_hall = spin_hall_field(0.1, 1e11, 1e6, 2.2e-9)
    assert float(at(below.damping_like, 0.0)) == pytest.approx(spin_hall)
    assert float(at(below.field_like, 0.0)) == pytest.approx(spin_hall / 2)
    assert below.direction.tolist() == [0, 1, 0]
    assert float(at(through.damping_like, 0.0)) == pytest.approx(
        slonczewski_field(0.6, 1e11, 1e6, 2.2e-9)
    )
    assert through.asymmetry == 1.5
    assert model.exact() == {}


def test_a_time_step_that_is_too_large_names_the_largest():
    with pytest.raises(ValueError, match=r"`run.time_step` must be at most 20 ps.*is 50 ps"):
        MacrospinModel(simulation("thermal-ensemble", run__time_step="50 ps"))
    with pytest.raises(ValueError, match=r"`run.time_step` must be at most .* fs, .*is 4 ps"):
        FilmModel(simulation("film-ensemble", run__time_step="4 ps"))


def test_a_film_is_cut_to_its_outline_and_starts_where_it_should(tmp_path):
    eight = {"geometry__cells": [8, 8, 1], "geometry__size": ["32 nm", "32 nm", "2.2 nm"]}
    model = FilmModel(simulation("film-ensemble", **eight))
    assert model.mesh.cell == pytest.approx((4e-9, 4e-9, 2.2e-9))
    assert model.mesh.count == 52  # the disk of 8 x 8 cells
    start = model.system.initial(3, Key.root(0))
    assert start.shape == (3, 3, 1, 8, 8)
    assert float(start[:, 0].sum()) == 3 * 52
    path = tmp_path / "start.ovf"
    write_ovf(path, Snapshot(m=texture.vortex(model.mesh), mesh=model.mesh))
    read = FilmModel(simulation("film-ensemble", **eight, initial=str(path)))
    assert torch.equal(read.system.start, texture.vortex(model.mesh))
    hard = {"initial": "wall", "material__uniaxial_anisotropy": "700 kJ/m3"}
    wall = FilmModel(simulation("film-ensemble", **eight, **hard)).system.start
    assert torch.equal(wall[2].sign(), texture.wall(model.mesh, 16e-9, 1e-9, 0.0)[2].sign())
    free = FilmModel(simulation("film-ensemble", initial="random")).system.initial(2, Key.root(0))
    assert not torch.equal(free[0], free[1])


def test_a_start_that_does_not_fit_is_one_sentence(tmp_path):
    path = tmp_path / "start.ovf"
    with pytest.raises(InputError, match=r"start.ovf` must be readable"):
        FilmModel(simulation("film-ensemble", initial=str(path)))
    other = Mesh(cells=(8, 8, 1), cell=(5e-9, 5e-9, 2.2e-9))
    write_ovf(path, Snapshot(m=texture.uniform(other, (0, 0, 1)), mesh=other))
    with pytest.raises(ValueError, match=r"4 x 4 x 1 of 4 nm x 4 nm.*8 x 8 x 1 of 5 nm x 5 nm"):
        FilmModel(simulation("film-ensemble", initial=str(path)))
    hole = torch.ones((1, 4, 4), dtype=torch.bool)
    hole[0, 1, 1] = False
    holed = Mesh(cells=(4, 4, 1), cell=(4e-9, 4e-9, 2.2e-9), mask=hole)
    write_ovf(path, Snapshot(m=texture.uniform(holed, (0, 0, 1)), mesh=holed))
    with pytest.raises(ValueError, match="is zero in 1 of them"):
        FilmModel(simulation("film-ensemble", initial=str(path)))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"start.ovf`: `Data` must hold"):
        FilmModel(simulation("film-ensemble", initial=str(path)))


def test_grains_spread_the_anisotropy():
    model = FilmModel(
        simulation("film-ensemble", geometry__grain_size="4 nm", geometry__grain_spread=0.1)
    )
    values = torch.as_tensor(model.film.uniaxial_anisotropy)
    assert values.shape == (1, 4, 4)
    assert float(values.std() / 442.4e3) == pytest.approx(0.1, rel=0.5)


def test_a_mesh_beyond_memory_names_one_that_fits():
    with pytest.raises(ValueError, match=r"`cells` must fit .*B of memory, which \d+ x \d+ x 1"):
        FilmModel(simulation("film-ensemble", geometry__cells=[300_000, 300_000, 1]))


def test_a_uniform_cube_has_no_shape_in_its_macrospin():
    """N = 1/3 along each axis: K_eff V/kT is K_u V/kT alone."""
    model = FilmModel(
        simulation(
            "film-ensemble", geometry__outline="rectangle", geometry__cells=[3, 3, 3],
            geometry__size=["9 nm", "9 nm", "9 nm"],
        )
    )  # fmt: skip
    expected = 442.4e3 * (9e-9) ** 3 / (1.380649e-23 * 300)
    assert model.macrospin_barrier == pytest.approx(expected, rel=1e-9)


def test_walls_stand_in_the_first_notch_of_both_descriptions():
    model = WallModel(simulation("notched-track", track__start=1))
    film = model.film
    assert film.mesh.cells == (32, 5, 1)
    place = model.simulation.track.places[1]
    assert place == pytest.approx(80e-9 + 22.5e-9)
    start = model.beside.initial(1, Key.root(0))
    seen = wall_in_film(model.beside.films, start, 0.0)
    assert float(seen["wall_position"]) == pytest.approx(float(model.places[1]), abs=2e-9)
    # φ = 0 for D < 0, where +πD cos φ is lowest.
    assert abs(float(seen["wall_angle"])) < 1e-6
    anisotropy = 536e3 - 2e-7 * math.pi * 0.795e6**2
    assert model.wall_width == pytest.approx(width_parameter(12e-12, anisotropy), rel=1e-6)


COORDINATES = Coordinates(
    wall_width=8e-9, cross_section=3e-17, hard_axis=7e-3, dmi=76e-3, notch_depth=5e-20,
    notch_width=9e-9, misfit=0.01,
)  # fmt: skip


def test_walls_feel_spin_hall_field_drift_and_field():
    model = WallModel(
        simulation(
            "notched-track", torque__polarisation=0.5, torque__nonadiabaticity=0.2,
            drive__field=["0 T", "0 T", "3 mT"],
        )
    )  # fmt: skip
    walls = model.walls(COORDINATES).walls
    assert float(at(walls.spin_hall_field, 0.0)) == 0
    on = 20e-12
    assert float(at(walls.spin_hall_field, on)) == pytest.approx(
        spin_hall_field(0.25, 1e12, 0.795e6, 1.2e-9)
    )
    # Electrons run against the current: u = −µ_B P J/(e M_s) = −36.4 m/s.
    assert float(at(walls.drift_velocity, on)) == pytest.approx(-36.4, rel=1e-3)
    assert float(at(walls.field, on)) == pytest.approx(3e-3)
    drive = model.beside.films.drive
    assert at(drive.drift_velocity, on).flatten().tolist() == pytest.approx([-36.4, 0, 0], rel=1e-3)
    assert walls.track.nonadiabaticity == drive.nonadiabaticity == 0.2
    assert walls.track.notches.position.shape == (2, 1)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"drive__field": ["1 mT", "0 T", "0 T"]}, "`drive.field` must be along z"),
        ({"torque__field_like": 0.3}, "`torque.field_like` must be 0"),
        ({"material__uniaxial_anisotropy": "100 kJ/m3"}, "`uniaxial_anisotropy` must exceed"),
        ({"beside__cell": "0.1 pm"}, "`cells` must fit"),
    ],
)
def test_a_track_that_cannot_be_is_one_sentence(changes, words):
    with pytest.raises(ValueError, match=words):
        WallModel(simulation("notched-track", **changes))


def test_a_wall_in_a_warm_film_is_where_it_was():
    """Domains of |m_z| = 0.8 move q = (L'/2)(1 + ⟨m_z⟩) but not q by their own magnetisation."""
    model = WallModel(simulation("notched-track"))
    m = model.beside.initial(1, Key.root(0)).clone()
    cold = wall_in_film(model.beside.films, m, 0.0)["wall_position"]
    m[:, 2] *= 0.8
    warm = wall_in_film(model.beside.films, m, 0.0)["wall_position"]
    assert float(warm) == pytest.approx(float(cold), abs=1e-12)
