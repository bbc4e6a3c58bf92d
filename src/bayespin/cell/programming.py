"""Programming of cells: from wanted Gaussians to what the devices hold, errors included.

Order of events, per cell: the pillars are set to the level nearest to the wanted σ by closed-loop
write-verify; both track junctions are moved to their low ends; then one of them, as the sign of
what is missing tells, is moved to the level that brings the *measured* cell, pillars in circuit,
nearest to the wanted mean. So the mismatch of pillars and tracks and the stray field's mean shift
are corrected up to one level's rounding and the placement error of the last write (physics.md §2,
§5, §9).
"""

from dataclasses import dataclass, replace

import torch

from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import ProgrammedCells, WantedCells, sigma_level
from bayespin.device import domain_wall_mtj, stochastic_mtj
from bayespin.events import Events
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Tensor


def ideal_cells(wanted: WantedCells, cell: BitCell) -> ProgrammedCells:
    """Return cells that hold the wanted Gaussians exactly and read without noise.

    The reference of every comparison: same array and converters, perfect devices.
    """
    total = torch.full_like(wanted.mean, cell.output_conductance)
    return ProgrammedCells(
        mean=wanted.mean * cell.full_scale,
        deviation=wanted.sigma * cell.full_scale,
        noise_conductance=torch.zeros_like(total),
        total_conductance=total,
    )


def program(
    wanted: WantedCells, cell: BitCell, gain: float, key: Key
) -> tuple[ProgrammedCells, Events]:
    """Return the cells of one chip after programming, and what programming took.

    Args:
        wanted: means and standard deviations as fractions of w_max; values outside the cell's
            window end at its edge.
        cell: devices and their errors.
        gain: integrator gain g of the pillar pair.
        key: the chip: the same key makes the same devices and the same errors.

    Raises:
        ValueError: wanted values that are not finite.
    """
    noise = KeyedNoise.from_key(key)
    anisotropies = stochastic_mtj.level_anisotropies(cell.pillar)
    levels = cell.sigma_levels(gain, cell.environment.programming_temperature)
    chosen = sigma_level(wanted.sigma, levels, wanted.read_noise)
    plus, minus = (_pillar(cell, anisotropies, chosen, noise) for _ in range(2))
    # Both pillars' mean difference is in circuit while the tracks are written.
    offset = gain * (plus.mean - minus.mean)
    needed = wanted.mean.double() * cell.full_scale - offset
    tracks = _write_tracks(needed, cell, noise)
    pillars = plus.mean + minus.mean
    cells = ProgrammedCells(
        mean=tracks.plus - tracks.minus + offset,
        deviation=gain * (plus.deviation.square() + minus.deviation.square()).sqrt(),
        noise_conductance=tracks.plus + tracks.minus + gain**2 * pillars,
        total_conductance=tracks.plus + tracks.minus + pillars,
    )
    # Per attempt both tracks go to their ends and one moves on, with a verifying read after each;
    # per pillar one write and one read, a lower bound without its own loop's repetitions.
    attempts, weights = float(tracks.attempts.sum()), wanted.mean.numel()
    events = Events(
        write_pulses=3 * attempts + 2 * weights, verify_reads=2 * attempts + 2 * weights
    )
    return cells, events


@dataclass(frozen=True, kw_only=True)
class _Pillar:
    mean: Tensor
    deviation: Tensor


def _pillar(cell: BitCell, anisotropies: Tensor, level: Tensor, noise: KeyedNoise) -> _Pillar:
    """Return conductances of one pillar per cell: its own G0, residual error and stray field."""
    errors, like = cell.programming, torch.empty(level.shape, dtype=torch.float64)
    own = 1 + errors.conductance_spread * noise.normal(like)
    residual = 1 + errors.sigma_residual * noise.normal(like)
    field = errors.stray_field * noise.normal(like)
    spread = stochastic_mtj.read_spread(
        cell.pillar, anisotropies, cell.environment.use_temperature, cell.read.window
    )[level]
    amplitude = own * cell.pillar_amplitude
    shift = stochastic_mtj.mean_shift(
        cell.pillar, anisotropies[level], field, cell.environment.use_temperature
    )
    return _Pillar(
        mean=own * cell.pillar_conductance + amplitude * shift,
        deviation=amplitude * spread * residual,
    )


@dataclass(frozen=True, kw_only=True)
class _Tracks:
    """Both junctions of each cell, and how many times each pair was written."""

    plus: Tensor
    minus: Tensor
    attempts: Tensor


def _write_tracks(needed: Tensor, cell: BitCell, noise: KeyedNoise) -> _Tracks:
    """Write G+ and G− until their difference is within the tolerance of `needed`.

    A cell whose verified error exceeds `verify_tolerance` level steps is written anew, with new
    placement errors, up to `verify_attempts` times; its last state stays. Wall placement thus
    serves as dither: the pair reaches values between the levels.
    """
    rules, like = cell.programming, torch.empty(needed.shape, dtype=torch.float64)
    own = [1 + rules.conductance_spread * noise.normal(like) for _ in range(2)]
    tolerance = rules.verify_tolerance * cell.full_scale / (cell.track.levels - 1)
    plus, minus = _attempt(needed, own, cell, noise)
    attempts = torch.ones_like(needed)
    for _ in range(rules.verify_attempts - 1):
        pending = (needed - (plus - minus)).abs() > tolerance
        again = _attempt(needed, own, cell, noise)
        plus, minus = (
            torch.where(pending, new, old) for new, old in zip(again, (plus, minus), strict=True)
        )
        attempts = attempts + pending
    return _Tracks(plus=plus, minus=minus, attempts=attempts)


def _attempt(
    needed: Tensor, own: list[Tensor], cell: BitCell, noise: KeyedNoise
) -> tuple[Tensor, Tensor]:
    """Return conductances of G+ and G− after both went to their ends and the major one moved."""
    end = torch.zeros(needed.shape, dtype=torch.long)
    plus, minus = (own_one * _place(end, cell, noise) for own_one in own)
    # Two junctions at their ends differ by their mismatch, so that alone tells which one to move.
    missing = needed - (plus - minus)
    rising = missing >= 0
    major = torch.where(rising, plus, minus)
    own_major = torch.where(rising, own[0], own[1])
    target = (major + missing.abs()) / own_major
    level = domain_wall_mtj.nearest_level(cell.track, target, cell.read.voltage)
    moved = own_major * _place(level, cell, noise)
    return torch.where(rising, moved, plus), torch.where(rising, minus, moved)


def _place(level: Tensor, cell: BitCell, noise: KeyedNoise) -> Tensor:
    """Return the conductance after writing `level`, with placement error and missed steps."""
    track, like = cell.track, torch.empty(level.shape, dtype=torch.float64)
    step = noise.normal(like)
    # A missed or double step: two-sided tail of the normal with the stated probability.
    tail = torch.special.ndtri(torch.tensor(1 - track.missed_step_probability / 2).double())
    missed = torch.where(step.abs() > tail, step.sign(), 0.0)
    position = level + track.placement_error * noise.normal(like) + missed
    return domain_wall_mtj.conductance(track, position, cell.read.voltage)


def without_errors(cell: BitCell) -> BitCell:
    """Return the cell with ideal programming and no drift: quantisation and window remain."""
    return replace(
        cell,
        programming=replace(
            cell.programming,
            sigma_residual=0.0,
            sigma_spread_interface_anisotropy=0.0,
            conductance_spread=0.0,
            stray_field=0.0,
        ),
        track=replace(cell.track, placement_error=0.0, missed_step_probability=0.0),
        environment=replace(
            cell.environment, use_temperature=cell.environment.programming_temperature
        ),
    )
