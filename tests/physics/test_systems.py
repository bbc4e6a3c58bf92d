"""Macrospins, films and walls in the one runner: the same bits as their own loops, any way cut."""

import dataclasses
import math

import pytest
import torch

from bayespin.numerics.stochastic import frozen_rk4_step, keyed_step_noise
from bayespin.physics import macrospin, wall_ensemble
from bayespin.physics.ensemble import Execution, Schedule, System, extend, run
from bayespin.physics.film import motion
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.texture import uniform
from bayespin.physics.free_layer import FreeLayer
from bayespin.physics.macrospin import Macrospins, RotationSplitting
from bayespin.physics.systems import FilmEnsemble, MacrospinEnsemble, WallEnsemble
from bayespin.physics.wall_ensemble import Walls, WallTrack
from bayespin.rng import Key

KEY = Key.root(2).child("systems")
LAYER = FreeLayer(saturation_magnetisation=1e6, diameter=50e-9, thickness=2.2e-9, damping=0.1)
SPINS = Macrospins(
    layer=LAYER,
    effective_anisotropy=torch.tensor([[-1e4], [-1e5], [2e4]]),
    temperature=300.0,
    time_step=2e-12,
)


def film(evaluation):
    """5 x 3 cells, one of them empty: no multiple of what a processor takes at once."""
    mask = torch.ones(1, 3, 5, dtype=torch.bool)
    mask[0, 1, 2] = False
    mesh = Mesh(cells=(5, 3, 1), cell=(3e-9, 3e-9, 1e-9), mask=mask)
    material = Film(
        mesh=mesh,
        saturation_magnetisation=1e6,
        exchange=1.2e-11,
        damping=0.1,
        uniaxial_anisotropy=7e5,
        interfacial_dmi=2e-4,
    )
    films = motion.films(
        material,
        motion.Drive(applied_field=torch.tensor([0.02, 0.0, -0.1])),
        time_step=5e-14,
        temperature=300.0,
        like=torch.empty(0),
        evaluation=evaluation,
    )
    return FilmEnsemble(films=films, start=uniform(mesh, (0.6, 0.0, 0.8)))


TRACK = WallTrack(wall_width=6e-9, saturation_magnetisation=1e6, cross_section=4e-17, damping=0.1)
WALLS = Walls(track=TRACK, temperature=300.0, time_step=2e-12, field=1e-3)
SYSTEMS = {
    "macrospins": MacrospinEnsemble(parameters=SPINS),
    "macrospins, Runge-Kutta": MacrospinEnsemble(parameters=SPINS, method=frozen_rk4_step),
    "macrospins, split": MacrospinEnsemble(parameters=SPINS, method=RotationSplitting()),
    "macrospins, started": MacrospinEnsemble(
        parameters=SPINS, start=torch.tensor([[1.0], [0.0], [0.0]]), dtype=torch.float64
    ),
    "films, dense": film("dense"),
    "films, Fourier": film("direct"),
    "walls": WallEnsemble(walls=WALLS, position=torch.tensor([[0.0], [1e-8]], dtype=torch.float64)),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_cuts_of_any_kind_leave_every_bit(name, tmp_path):
    system = SYSTEMS[name]
    assert isinstance(system, System)
    schedule = Schedule(replicas=7, steps=20, record_every=4, block=3)
    whole = run(system, schedule, KEY)
    stored = Execution(workers=2, segment=3, checkpoint=tmp_path)
    short = run(system, Schedule(replicas=7, steps=9, record_every=4, block=3), KEY, stored)
    for other in (extend(system, short, 20, stored), run(system, schedule, KEY, stored)):
        assert other.state.equal(whole.state)
        for series in whole.series:
            assert other.series[series].equal(whole.series[series])
    alone = run(system, Schedule(replicas=3, steps=20, block=3, first_block=1), KEY)
    assert alone.state.equal(whole.state.narrow(system.replica_axis, 3, 3))
    assert whole.state.dtype == system.dtype
    assert bool(whole.sound.all())
    # Noise is on: no two replicas are the same.
    last = next(iter(whole.series.values()))[-1].reshape(-1, 7)[0]
    assert len(last.unique()) == 7


def own_loop(system, simulate, parameters):
    state = system.initial(4, KEY.child("initial", 0))
    noise = keyed_step_noise(KEY.child("noise").child("block", 0), state)
    return simulate(parameters, state, noise, range(15))


@pytest.mark.parametrize(
    "name, simulate, parameters",
    [
        ("macrospins", macrospin.simulate, SPINS),
        ("films, Fourier", motion.simulate, SYSTEMS["films, Fourier"].films),
        ("walls", wall_ensemble.simulate, WALLS),
    ],
)
def test_the_runner_adds_nothing_to_the_physics(name, simulate, parameters):
    system = SYSTEMS[name]
    found = run(system, Schedule(replicas=4, steps=15, record_every=5), KEY)
    assert found.state.equal(own_loop(system, simulate, parameters))


def test_records_have_names_points_and_units_of_their_system():
    schedule = Schedule(replicas=4, steps=2)
    spins = run(SYSTEMS["macrospins"], schedule, KEY)
    assert {name: tuple(s.shape) for name, s in spins.series.items()} == dict.fromkeys(
        ("m_x", "m_y", "m_z"), (3, 3, 4)
    )
    torch.testing.assert_close(sum(s.square() for s in spins.series.values()), torch.ones(3, 3, 4))
    films = run(SYSTEMS["films, dense"], schedule, KEY)
    start = [float(films.series[name][0, 0]) for name in ("m_x", "m_y", "m_z")]
    assert start == pytest.approx([0.6, 0.0, 0.8], abs=1e-6)
    walls = run(SYSTEMS["walls"], schedule, KEY)
    assert walls.series["wall_position"][0].tolist() == [[0.0] * 4, [1e-8] * 4]
    assert walls.series["wall_angle"][0].unique().tolist() == [0.0]


def test_without_a_start_the_first_draw_is_the_law():
    """σ = 10.4, 104 (easy planes) and −21 (easy axis): ⟨m_z²⟩ = 1/2Δ, or near 1."""
    found = run(SYSTEMS["macrospins"], Schedule(replicas=4000, steps=1), KEY)
    square = found.series["m_z"][0].square().mean(-1)
    delta = 1e5 * LAYER.volume / (1.380649e-23 * 300)
    assert float(square[1]) == pytest.approx(1 / (2 * delta), rel=0.15)
    assert float(square[2]) > 0.9
    started = FilmEnsemble(films=SYSTEMS["films, Fourier"].films)
    m = started.initial(50, KEY)
    torch.testing.assert_close(
        m.square().sum(-4), started.films.film.occupied.float().expand(50, 1, 3, 5)
    )
    assert abs(float(m.mean())) < 5 / math.sqrt(50 * 14 * 3 * 3)


@pytest.mark.parametrize("name", ["macrospins, started", "films, dense"])
@pytest.mark.parametrize("factor", [5.0, 0.0, math.nan])
def test_a_start_that_is_no_direction_is_refused(name, factor):
    system = dataclasses.replace(SYSTEMS[name], start=factor * SYSTEMS[name].start)
    with pytest.raises(ValueError, match="`start` must hold unit vectors"):
        run(system, Schedule(replicas=2, steps=1), KEY)


def driven_film(start):
    system = SYSTEMS["films, dense"]
    fields = torch.tensor([0.01, 0.02, 0.03]).reshape(3, 1, 1, 1, 1, 1)
    drive = dataclasses.replace(system.films.drive, applied_field=fields)
    films = dataclasses.replace(system.films, drive=drive)
    return dataclasses.replace(system, films=films, start=start)


def driven_wall(position):
    walls = dataclasses.replace(WALLS, field=torch.tensor([[1e-3], [2e-3], [3e-3]]))
    return WallEnsemble(walls=walls, position=torch.as_tensor(position, dtype=torch.float64))


FILM_START = SYSTEMS["films, dense"].start


@pytest.mark.parametrize(
    "system, name",
    [
        (driven_film(FILM_START), "start"),
        (driven_film(None), "start"),
        (driven_film(FILM_START.expand(2, *FILM_START.shape)), "start"),
        (driven_wall([0.0]), "position"),
        (driven_wall([[0.0], [0.0]]), "position"),
    ],
)
def test_a_start_without_the_points_of_the_drive_is_refused(system, name):
    with pytest.raises(ValueError, match=rf"`{name}` must have the operating points .*\(3,\)"):
        system.initial(2, KEY)


@pytest.mark.parametrize(
    "system", [driven_film(FILM_START.expand(3, *FILM_START.shape)), driven_wall([[0.0]] * 3)]
)
def test_a_start_with_the_points_of_the_drive_runs(system):
    found = run(system, Schedule(replicas=2, steps=1), KEY)
    assert next(iter(found.series.values())).shape == (2, 3, 2)
