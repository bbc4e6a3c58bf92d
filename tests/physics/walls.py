"""Tracks and walls that the tests of `wall_ensemble`, `wall_pinning` and others share."""

import torch

from bayespin.physics import wall_ensemble as ensemble
from bayespin.physics import wall_motion as motion
from bayespin.physics.wall_ensemble import Notches, WallTrack

WIDTH, MOMENT, SECTION = 5.6e-9, 1.1e6, 50e-18
HARD = motion.hard_axis_field(0.03e6, MOMENT)


def real(*values):
    return torch.tensor(values, dtype=torch.float64)


def track(**changes):
    usual = {
        "wall_width": WIDTH, "saturation_magnetisation": MOMENT, "cross_section": SECTION,
        "damping": 0.2, "hard_axis": HARD,
    }  # fmt: skip
    return WallTrack(**(usual | changes))


def at_rest(where, points=1, replicas=1):
    return ensemble.init(where, torch.zeros(points, 1, dtype=torch.float64), replicas)


def silence(state):
    return lambda _: torch.zeros_like(state)


def path(walls, state, steps):
    """Return positions and angles after every step, time first, of a path without noise."""
    seen = [state]
    ensemble.simulate(walls, state, silence(state), range(steps), lambda _, s: seen.append(s))
    q, phi = torch.stack(seen).unbind(-2)
    return q[..., 0], phi[..., 0]


def row(depth, width, pitch, count=3):
    """Notches of equal depth about q = 0."""
    centres = (torch.arange(count, dtype=torch.float64) - count // 2) * pitch
    return Notches(position=centres[:, None], depth=real(depth), width=real(width))
