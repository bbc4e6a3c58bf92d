"""Planted faults of domain walls: their motion, pinning and calibration."""

import math
from dataclasses import replace

import torch

from tests.statistical.faults import Fault, times

PHYSICS = "bayespin.physics"


def _noise_on_position(right):
    def heun_step(rate, state, noise, *rest):
        along = torch.tensor([1.0, 0.0], dtype=noise.dtype)[:, None]
        return right(rate, state, noise * along, *rest)

    return heun_step


def _track_with(**factors):
    """Returns a fault by which a function of walls sees another track."""

    def wrong(right):
        def function(walls, *arguments):
            changed = {name: f * getattr(walls.track, name) for name, f in factors.items()}
            return right(replace(walls, track=replace(walls.track, **changed)), *arguments)

        return function

    return wrong


WALL_FAULTS = (
    Fault(
        "noise on the position of a wall alone",
        f"{PHYSICS}.wall_ensemble:heun_step",
        _noise_on_position,
    ),
    Fault("noise of walls x1.1", f"{PHYSICS}.wall_ensemble:thermal_field_std", times(1.1)),
    Fault("notches pull twice", f"{PHYSICS}.wall_ensemble:potential_slope", times(2)),
    Fault("B_p for B_p/2", f"{PHYSICS}.wall_ensemble:fields", _track_with(hard_axis=2)),
    Fault(
        "DMI of a wall of the wrong sign", f"{PHYSICS}.wall_ensemble:fields", _track_with(dmi=-1)
    ),
    Fault("no β of a wall", f"{PHYSICS}.wall_ensemble:fields", _track_with(nonadiabaticity=0)),
    Fault(
        "stable step of a wall x1.02", f"{PHYSICS}.wall_ensemble:largest_stable_step", times(1.02)
    ),
    Fault("Walker's field from B_p", f"{PHYSICS}.wall_motion:walker_field", times(2)),
    Fault(
        "spin-Hall velocity without π/2",
        f"{PHYSICS}.wall_motion:spin_hall_velocity",
        times(2 / math.pi),
    ),
    Fault("period of a whole turn", f"{PHYSICS}.wall_motion:breakdown_period", times(2)),
    Fault(
        "diffusion constant for both senses", f"{PHYSICS}.wall_motion:locked_diffusion", times(2)
    ),
    Fault("escape to both sides", f"{PHYSICS}.wall_pinning:escape_rate", times(2)),
    Fault(
        "steepest slope at the width",
        f"{PHYSICS}.wall_pinning:depinning_field",
        times(math.sqrt(2 / math.e)),
    ),
    Fault("width of a wall for its half", f"{PHYSICS}.wall_calibration:_profile_width", times(2)),
    Fault(
        "slope of held walls halved",
        f"{PHYSICS}.wall_calibration:hold",
        lambda right: lambda *arguments: replace(found := right(*arguments), slope=found.slope / 2),
    ),
    Fault("moment of half the track", f"{PHYSICS}.wall_calibration:line_moment", times(0.5)),
    Fault("wall energy of half a wall", f"{PHYSICS}.domain_wall:wall_energy", times(0.5)),
    Fault(
        "width on a grid as if continuous",
        f"{PHYSICS}.domain_wall:discrete_width_parameter",
        lambda _right: lambda width, cell: width,
    ),
)
