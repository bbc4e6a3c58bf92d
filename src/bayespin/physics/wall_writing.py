"""How a pulse of current moves a wall along a row of notches, and how long it then stays.

One pulse a wall: it starts at rest in the middle notch, meets heat for a while, then the pulse, and
comes to rest. Counted is by how many notches it has moved along the push.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch

from bayespin.constants import BOLTZMANN
from bayespin.physics import ensemble, wall_ensemble, wall_pinning
from bayespin.physics.ensemble import Execution, Schedule
from bayespin.physics.systems import WallEnsemble
from bayespin.physics.wall_ensemble import Notches, Walls, WallTrack
from bayespin.rng import Key
from bayespin.shapes import Float, Int, Tensor

FURTHEST = 4
"""Steps beyond ±4 are counted as ±4."""
_STEPS_OF_STABILITY = 20
"""A step is 1/20 of the largest stable one: averages to 1 % (`wall_ensemble.Walls`)."""
_RECORDS = 60


@dataclass(frozen=True, kw_only=True)
class PulseShape:
    """A trapezium with its own height and width at every operating point: a waveform."""

    amplitude: Float[Tensor, " points 1"]
    """T or m/s."""
    width: Float[Tensor, " points 1"]
    """At half height, s."""
    start: float
    """s."""
    rise: float
    """s, for each edge."""

    def __call__(self, time: float | Tensor) -> Float[Tensor, "points 1"]:
        """Return the value at a time in seconds."""
        passed = (time - self.start) / self.rise
        left = (self.width + self.rise) / self.rise - passed
        return self.amplitude * left.clamp(max=passed).clamp(0, 1)


@dataclass(frozen=True, kw_only=True)
class WritePulses:
    """Pulses to be tried, one an operating point.

    Raises:
        ValueError: a width is below the rise, or a time is not positive.
    """

    mechanism: Literal["spin-orbit", "spin-transfer"]
    amplitude: Float[Tensor, " points"]
    """B_SH (T) of `spin_torque.spin_hall_field`, or u (m/s) of `drift_velocity`; signed."""
    width: Float[Tensor, " points"]
    """s."""
    rise: float = 20e-12
    """s, of each edge."""
    lead: float = 0.3e-9
    """s before the pulse, in which the wall takes up heat."""
    settle: float = 1.5e-9
    """s after it, in which the wall comes to rest."""

    def __post_init__(self) -> None:
        for name in ("rise", "lead", "settle"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be positive, but is {getattr(self, name):g} s.")
        if not bool((self.width >= self.rise).all()):
            raise ValueError(
                f"`width` must be at least the rise, {self.rise:g} s, but is "
                f"{float(self.width.min()):g} s."
            )

    @property
    def shape(self) -> PulseShape:
        """The waveform."""
        return PulseShape(
            amplitude=self.amplitude.double()[:, None],
            width=self.width.double()[:, None],
            start=self.lead,
            rise=self.rise,
        )

    @property
    def duration(self) -> float:
        """From the start to rest after the widest pulse, s."""
        return self.lead + float(self.width.max()) + self.rise + self.settle


@dataclass(frozen=True, kw_only=True)
class WriteStatistics:
    """Where walls are after one pulse."""

    steps: Int[Tensor, " steps"]
    """Notches moved along the push, −4 to 4."""
    counts: Int[Tensor, "points steps"]
    offset: Float[Tensor, "points replicas"]
    """Distance from the notch they ended in, m: an instant, with the thermal spread in it."""
    times: Float[Tensor, " records"]
    """s."""
    paths: Float[Tensor, "records points replicas"]
    """q from the start, m."""

    @property
    def probability(self) -> Float[Tensor, "points steps"]:
        """Share of the walls that moved by so many notches."""
        return self.counts / self.counts.sum(-1, keepdim=True)

    @property
    def error(self) -> Float[Tensor, "points steps"]:
        """Standard error √((p̃(1 − p̃)/(n + 4)), p̃ = (k + 2)/(n + 4): not 0 where nothing was seen.

        Source: Agresti and Coull (1998), DOI 10.1080/00031305.1998.10480550.
        """
        total = self.counts.sum(-1, keepdim=True) + 4
        share = (self.counts + 2) / total
        return (share * (1 - share) / total).sqrt()

    def _of(self, step: int) -> Float[Tensor, " points"]:
        return self.probability[:, FURTHEST + step]

    @property
    def missed(self) -> Float[Tensor, " points"]:
        """Share of the walls that did not move along the push."""
        return self.probability[:, : FURTHEST + 1].sum(-1)

    @property
    def single(self) -> Float[Tensor, " points"]:
        """Share of the walls that moved by one notch, as asked."""
        return self._of(1)

    @property
    def double(self) -> Float[Tensor, " points"]:
        """Share of the walls that moved by two notches or more."""
        return self.probability[:, FURTHEST + 2 :].sum(-1)


def row_of_notches(count: int, pitch: float, depth: float, width: float) -> Notches:
    """Return `count` equal notches about q = 0, a pitch apart (m), of depth U0 (J) and width (m).

    Where notches overlap, the barrier between neighbours is below U0: see `row_barrier`.
    """
    centres = (torch.arange(count, dtype=torch.float64) - (count - 1) / 2) * pitch
    return Notches(
        position=centres[:, None],
        depth=torch.tensor(depth, dtype=torch.float64),
        width=torch.tensor(width, dtype=torch.float64),
    )


def row_pitch(track: WallTrack) -> float:
    """Return the distance of the two notches in the middle of a row, in metres.

    Raises:
        ValueError: the track has fewer than three notches.
    """
    count = 0 if track.notches is None else track.notches.position.shape[-2]
    if track.notches is None or count < 3:
        raise ValueError(f"`track` must have at least three notches, but has {count}.")
    centres = track.notches.position.flatten()
    return float(centres[count // 2] - centres[count // 2 - 1])


def row_barrier(track: WallTrack) -> tuple[float, float]:
    """Return (E, Γ0) of a wall inside a row: barrier (J), rate of attempts both ways (1/s).

    Γ = Γ0 exp(−E/kT) by `wall_pinning.escape_rate`, whose Γ0 does not depend on the temperature
    as long as the material does not.
    """
    pitch, still = row_pitch(track), torch.zeros(1, dtype=torch.float64)
    climb = wall_pinning.passage(track, (-pitch / 2, pitch), still)
    climb = climb._replace(bottom=still)
    barrier = float(climb.barrier)
    reference = barrier / BOLTZMANN  # where E = kT
    rate = float(wall_pinning.escape_rate(track, climb, reference))
    return barrier, 2 * rate * math.e


def _walls(track: WallTrack, pulses: WritePulses, temperature: float) -> Walls:
    shape = pulses.shape
    orbit = pulses.mechanism == "spin-orbit"
    strongest = float(pulses.amplitude.abs().max()) if orbit else 0.0
    return Walls(
        track=track,
        temperature=temperature,
        time_step=wall_ensemble.largest_stable_step(track, strongest) / _STEPS_OF_STABILITY,
        spin_hall_field=shape if orbit else 0.0,
        drift_velocity=0.0 if orbit else shape,
    )


def write_paths(
    track: WallTrack,
    pulses: WritePulses,
    temperature: float,
    replicas: int,
    key: Key,
    execution: Execution | None = None,
) -> tuple[Float[Tensor, " records"], Float[Tensor, "records points replicas"]]:
    """Return times (s) and positions (m) of walls that start at q = 0 and meet one pulse.

    With or without notches; a wall that reaches an end of the track stays there.
    """
    walls = _walls(track, pulses, temperature)
    every = max(1, math.ceil(pulses.duration / walls.time_step / _RECORDS))
    system = WallEnsemble(
        walls=walls, position=torch.zeros(len(pulses.width), 1, dtype=torch.float64)
    )
    schedule = Schedule(replicas=replicas, steps=every * _RECORDS, record_every=every)
    found = ensemble.run(system, schedule, key, execution)
    return found.times, found.series["wall_position"]


def write_statistics(
    track: WallTrack,
    pulses: WritePulses,
    temperature: float,
    replicas: int,
    key: Key,
    execution: Execution | None = None,
) -> WriteStatistics:
    """Return by how many notches each pulse moves walls of a row, simulated.

    Symbols: T temperature (K), of bath and material alike; Joule heat of the pulse is left out.

    Raises:
        ValueError: fewer than three notches.
    """
    pitch = row_pitch(track)
    times, paths = write_paths(track, pulses, temperature, replicas, key, execution)
    final = paths[-1]
    moved = (final / pitch).round()
    along = (moved * pulses.amplitude.sign()[:, None]).clamp(-FURTHEST, FURTHEST).long()
    steps = torch.arange(-FURTHEST, FURTHEST + 1)
    return WriteStatistics(
        steps=steps,
        counts=(along[..., None] == steps).sum(1),
        offset=final - moved * pitch,
        times=times,
        paths=paths,
    )


def mirrored(pulses: WritePulses) -> WritePulses:
    """Return the same pulses with the current reversed."""
    return replace(pulses, amplitude=-pulses.amplitude)
