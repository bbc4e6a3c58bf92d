"""The potential of a long row of equal notches, from micromagnetics of a few of them.

`wall_calibration` fits each notch of a film by itself. Where notches stand closer than a few wall
widths their wells overlap, and only the sum means anything: here one depth and one width serve for
every notch of an endless row.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import optimize

from bayespin.physics.film.film import Film
from bayespin.physics.wall_calibration import (
    HeldWalls,
    hold,
    line_moment,
    place_in_volume,
    straight_wall,
    without_notches,
)
from bayespin.physics.wall_ensemble import Notches, WallTrack, potential, potential_slope
from bayespin.shapes import Tensor

PULL = 4.0
"""Pull on a held wall, as a share of the anisotropy field per width parameter. Half of one, as for
lone notches, lets walls slip off the sharp crest between close ones: they then miss up to a third
of the barrier."""
_NEIGHBOURS = 6
"""Notches on either side that the fit adds up."""


@dataclass(frozen=True, kw_only=True)
class RowCalibration:
    """What `calibrate_row` found."""

    track: WallTrack
    """Without notches; see `wall_writing.row_of_notches`."""
    pitch: float
    """Volume of a period over the full cross section, m: less than its length along x."""
    depth: float
    """U0 of every notch, J; larger than the barrier, as wells overlap."""
    width: float
    """w, m."""
    barrier: float
    """Of the held walls, J; the fit's is `wall_writing.row_barrier`."""
    depinning_field: float
    """Steepest slope of the held walls over 2M_sS, T."""
    misfit: float
    """Largest |energy − fit| over the barrier."""
    held: HeldWalls


def _endless(pitch: float, depth: Tensor, width: Tensor) -> Notches:
    centres = torch.arange(-_NEIGHBOURS, _NEIGHBOURS + 1, dtype=torch.float64) * pitch
    return Notches(position=centres[:, None], depth=depth, width=width)


def _fit(held: HeldWalls, pitch: float) -> tuple[float, float, float]:
    """Return U0, w and the largest misfit over the barrier: least squares of energy and slope."""
    scale, steepest = float(held.energy.max()), float(held.slope.abs().max())

    def misfit(values: np.ndarray) -> np.ndarray:
        shift, depth, width = torch.from_numpy(values)
        row = _endless(pitch, depth.abs() * scale, width.abs() * pitch)
        energy = shift + (potential(row, held.position) - held.energy) / scale
        slope = (potential_slope(row, held.position) - held.slope) / steepest
        return torch.cat((energy, slope)).numpy()

    found = optimize.least_squares(misfit, np.array([1.0, 1.0, 0.35]), x_scale="jac")
    worst = float(np.abs(misfit(found.x)[: len(held.position)]).max())
    return abs(found.x[1]) * scale, abs(found.x[2]) * pitch, worst


def calibrate_row(
    film: Film, middle: float, pitch: float, places: int = 21, tolerance: float = 2e-4
) -> RowCalibration:
    """Return the wall and the potential of an endless row of the notch at `middle`.

    The wall is held at `places` from just behind the notch at x = `middle` (m) to just beyond the
    crest half a `pitch` (m) ahead. The film needs a notch or two on either side.

    Raises:
        ValueError: a wall did not come to rest, or the film is not perpendicular.
    """
    track, energy = straight_wall(without_notches(film), tolerance)
    line = line_moment(film)
    stiffness = PULL * energy / (2 * line * float(track.wall_width) ** 2)
    share = torch.linspace(-0.05, 0.55, places, dtype=torch.float64)
    held = hold(film, middle + share * pitch, track, stiffness, tolerance)
    if not bool(held.converged.all()):
        raise ValueError(
            f"`tolerance` must be reached by every held wall, but "
            f"{int((~held.converged).sum())} of {places} are still moving."
        )
    ends = torch.tensor([middle, middle + pitch], dtype=torch.float64)
    start, stop = place_in_volume(film, ends).tolist()
    held = replace(held, position=held.position - start)
    depth, width, misfit = _fit(held, stop - start)
    return RowCalibration(
        track=replace(track, ends=(-math.inf, math.inf)),
        pitch=stop - start,
        depth=depth,
        width=width,
        barrier=float(held.energy.max()),
        depinning_field=float(held.slope.abs().max()) / (2 * line),
        misfit=misfit,
        held=held,
    )
