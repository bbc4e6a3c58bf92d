"""The reference track against its own micromagnetics and its own pulse."""

import math
from dataclasses import replace

import pytest
import torch

from bayespin.constants import BOLTZMANN
from bayespin.device import track_writing
from bayespin.device.domain_wall_mtj import DomainWallMtj, notch_pitch
from bayespin.load import build, read_resource
from bayespin.physics.row_calibration import RowCalibration
from bayespin.physics.wall_calibration import HeldWalls
from bayespin.physics.wall_ensemble import WallTrack
from bayespin.physics.wall_writing import row_barrier, write_statistics
from bayespin.rng import Key

TRACK = build(DomainWallMtj, read_resource("presets", "easyplane-50nm")["track"], "preset")
NONE = torch.zeros(1, dtype=torch.float64)
FOUND = RowCalibration(
    track=WallTrack(
        wall_width=3.9368e-9, saturation_magnetisation=0.795e6, cross_section=80e-18,
        damping=0.1, hard_axis=-0.03744, dmi=0.09467,
    ),
    pitch=15e-9, depth=3.57536e-18, width=10.0843e-9, barrier=2.587e-19,
    depinning_field=0.3397, misfit=0.238,
    held=HeldWalls(position=NONE, energy=NONE, slope=NONE, converged=NONE.bool()),
)  # fmt: skip
"""What `calibrated(TRACK)` gives; the slow test finds it again."""


def test_barrier_and_attempts_of_the_preset():
    barrier, attempts = row_barrier(track_writing.wall_track(TRACK, FOUND))
    assert TRACK.barrier == pytest.approx(barrier, rel=5e-3)
    assert TRACK.attempt_rate == pytest.approx(attempts, rel=5e-3)


def test_levels_are_held_for_ten_years_at_320_kelvin_not_at_358():
    """44.6 kT at 320 K: 50 years; 39.9 kT at 358 K: 0.4 years."""
    year = 365.25 * 86400
    assert TRACK.retention_time(320.0) > 10 * year
    assert 0.1 * year < TRACK.retention_time(358.0) < 10 * year


def test_a_short_strong_pulse_moves_rigid_walls_by_one_notch_both_ways():
    """24 walls of 24 at 300 K, forth and back; half the current moves none.

    Films need more time than rigid walls, so that the track's own pulse is longer and weaker.
    """
    wall = track_writing.wall_track(TRACK, FOUND, notches=5)
    density = torch.tensor([3e12, -3e12, 1.5e12], dtype=torch.float64)
    pulses = track_writing.spin_orbit_pulses(TRACK, density, torch.full_like(density, 0.26e-9))
    pulses = replace(pulses, lead=0.1e-9, settle=0.8e-9)
    found = write_statistics(wall, pulses, 300.0, 24, Key.root(2))
    assert found.single.tolist() == [1, 1, 0]
    assert found.missed.tolist() == [0, 0, 1]
    spread = float(found.offset[:2].std()) / FOUND.pitch
    assert spread == pytest.approx(TRACK.cycle_spread, rel=0.5)


def test_heating_by_hand():
    """8.3e-7 Ωm (2.7e12 A/m²)² 0.38 ns/2.6 MJ/(m³K) = 884 K."""
    assert track_writing.adiabatic_heating(TRACK) == pytest.approx(884.3, rel=1e-3)


def test_a_section_has_the_notches_of_the_track():
    """Up to the tip: cells of 2 nm leave 20 nm of neck where the drawn notch leaves 14."""
    film, middle, pitch = track_writing.section(TRACK, 3, 2e-9)
    assert pitch == pytest.approx(notch_pitch(TRACK), abs=1e-9)
    columns = film.moment_density.sum((0, 1))
    x = (torch.arange(len(columns)) + 0.5) * film.mesh.cell[0]
    for place in (middle - pitch, middle, middle + pitch):
        neck = columns[(x - place).abs() < film.mesh.cell[0]].min() / columns.max() * TRACK.width
        assert float(neck) == pytest.approx(TRACK.width - TRACK.notch_depth, abs=6.5e-9)
    assert film.interfacial_dmi == -TRACK.dmi


@pytest.mark.slow
def test_the_calibration_is_found_again():
    found = track_writing.calibrated(TRACK)
    kt = BOLTZMANN * 300
    assert found.barrier / kt == pytest.approx(FOUND.barrier / kt, rel=0.02)
    assert found.depth == pytest.approx(FOUND.depth, rel=0.02)
    assert found.pitch == pytest.approx(FOUND.pitch, rel=1e-6)
    assert math.isfinite(found.misfit)
