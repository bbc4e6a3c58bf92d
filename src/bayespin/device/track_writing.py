"""From a track's data to walls that can be simulated: its film, its wall, its pulses."""

import dataclasses
import math

import torch

from bayespin.device.domain_wall_mtj import DomainWallMtj, notch_pitch
from bayespin.physics.film.film import Film
from bayespin.physics.film.geometry import Notch, Track, cells_inside
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.row_calibration import RowCalibration, calibrate_row
from bayespin.physics.spin_torque import spin_hall_field
from bayespin.physics.wall_ensemble import WallTrack
from bayespin.physics.wall_writing import WritePulses, row_of_notches
from bayespin.shapes import Float, Tensor

_ROOM = 45e-9
"""Track without notches at either end of a section, m."""


def section(track: DomainWallMtj, notches: int, cell: float) -> tuple[Film, float, float]:
    """Return a film with a few of the notches, x of its middle notch, and the pitch, in metres.

    The pitch is that of the track rounded to whole cells, so that every notch is the same.

    Symbols: `cell` edge of the mesh along the track (m), below half a width parameter.
    """
    pitch = round(notch_pitch(track) / cell) * cell
    half = math.ceil(((notches // 2 + 1) * pitch + _ROOM) / cell) * cell
    places = [half + (i - notches // 2) * pitch for i in range(notches)]
    cells = (round(2 * half / cell), round(track.width / cell), 1)
    edges = (2 * half / cells[0], track.width / cells[1], track.thickness)
    shape = Track(
        length=2 * half,
        width=track.width,
        notches=tuple(
            Notch(position=place, depth=track.notch_depth, width=track.notch_width, edges="lower")
            for place in places
        ),
    )
    mesh = Mesh(cells=cells, cell=edges)
    mesh = dataclasses.replace(mesh, mask=cells_inside(shape, mesh))
    film = Film(
        mesh=mesh,
        saturation_magnetisation=track.saturation_magnetisation,
        exchange=track.exchange,
        damping=track.damping,
        uniaxial_anisotropy=track.uniaxial_anisotropy,
        interfacial_dmi=-track.dmi,
    )
    return film, half, pitch


def calibrated(track: DomainWallMtj, cell: float = 1.5e-9) -> RowCalibration:
    """Return the wall and the notches of the track, from the micromagnetics of a section."""
    film, middle, pitch = section(track, 3, cell)
    return calibrate_row(film, middle, pitch, places=15, tolerance=1e-3)


def wall_track(track: DomainWallMtj, found: RowCalibration, notches: int = 13) -> WallTrack:
    """Return what walls of the track live on: a row of notches about q = 0, without ends."""
    row = row_of_notches(notches, found.pitch, found.depth, found.width) if notches else None
    return dataclasses.replace(found.track, damping=track.damping, notches=row)


def spin_orbit_pulses(
    track: DomainWallMtj,
    current_density: Float[Tensor, " points"],
    width: Float[Tensor, " points"],
) -> WritePulses:
    """Return pulses of given current density in the metal (A/m²) and width (s)."""
    per_current = spin_hall_field(
        track.write.spin_hall_angle, 1.0, track.saturation_magnetisation, track.thickness
    )
    return WritePulses(mechanism="spin-orbit", amplitude=per_current * current_density, width=width)


def own_pulse(track: DomainWallMtj) -> WritePulses:
    """Return the pulse that the track is written with, forwards."""
    density = torch.tensor([track.write.current_density], dtype=torch.float64)
    width = torch.tensor([track.write.duration], dtype=torch.float64)
    return spin_orbit_pulses(track, density, width)


def adiabatic_heating(track: DomainWallMtj, heat_capacity: float = 2.6e6) -> float:
    """Return ρJ²t/c, how much a pulse would warm the metal if no heat left it, in kelvin.

    Symbols: ρ (Ω m), J (A/m²), t (s) of the pulse; c heat capacity per volume (J/(m³ K)), 2.6e6
    for heavy metals. An upper bound: the simulated pulses leave heat out.
    """
    pulse = track.write
    power = pulse.metal_resistivity * pulse.current_density**2
    return power * pulse.duration / heat_capacity
