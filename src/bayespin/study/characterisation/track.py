"""A domain-wall track characterised: what pulses do to its wall, and how long it then stays."""

import csv
import math
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import torch

from bayespin import load
from bayespin.constants import BOLTZMANN
from bayespin.device import domain_wall_mtj, track_writing
from bayespin.device.domain_wall_mtj import DomainWallMtj
from bayespin.load import build, read_resource
from bayespin.physics.row_calibration import RowCalibration
from bayespin.physics.spin_torque import drift_velocity
from bayespin.physics.wall_calibration import HeldWalls
from bayespin.physics.wall_ensemble import WallTrack
from bayespin.physics.wall_writing import (
    WritePulses,
    WriteStatistics,
    mirrored,
    row_barrier,
    write_paths,
    write_statistics,
)
from bayespin.shapes import Tensor
from bayespin.study.bench import Bench
from bayespin.study.simulation.sections import require, require_name
from bayespin.units import Unit

NOTCHES = 9
"""Of the row that walls are simulated on."""
SHOWN = 40
"""Walls whose paths are kept."""
_COLUMNS = ("mechanism", "direction", "amplitude", "current_density", "width", "missed", "single",
            "double", "missed_error", "single_error", "double_error")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Pulses:
    """The grid of pulses, and what a current does."""

    current_densities: Annotated[tuple[float, ...], Unit("A/m2")] = (
        2.1e12,
        2.4e12,
        2.7e12,
        3.0e12,
        3.3e12,
    )
    """In the metal under the track, of spin-orbit pulses."""
    widths: Annotated[tuple[float, ...], Unit("s")] = (0.18e-9, 0.26e-9, 0.38e-9, 0.54e-9)
    """Of both kinds of pulses."""
    transfer_densities: Annotated[tuple[float, ...], Unit("A/m2")] = (2.5e12, 3.2e12, 4e12)
    """In the magnet itself, of spin-transfer pulses, positive along the electrons."""
    polarisation: float = 0.6
    """Of the current in the magnet."""
    nonadiabaticity: float = 0.1
    """β of Zhang and Li."""
    settle: Annotated[float, Unit("s")] = 1.5e-9
    """After a pulse, for walls to come to rest; the own pulse is watched twice as long."""

    def __post_init__(self) -> None:
        require(self, positive="polarisation settle", not_negative="nonadiabaticity")
        for name in ("current_densities", "widths", "transfer_densities"):
            values = getattr(self, name)
            if not values or not min(values) > 0:
                raise ValueError(f"`{name}` must hold positive values, but holds {list(values)}.")


@dataclass(frozen=True, kw_only=True)
class TrackRun:
    """How many walls, how warm."""

    walls: int = 200
    """At every pulse."""
    temperature: Annotated[float, Unit("K")] = 300.0
    retention_temperatures: Annotated[tuple[float, ...], Unit("K")] = (
        280.0, 300.0, 320.0, 340.0, 358.0, 380.0,
    )  # fmt: skip
    cell: Annotated[float, Unit("m")] = 1.5e-9
    """Of the film that the wall is calibrated on."""
    seed: int = 0
    """Decides all random numbers."""

    def __post_init__(self) -> None:
        require(self, positive="walls temperature cell")
        if not self.retention_temperatures or not min(self.retention_temperatures) > 0:
            raise ValueError(
                f"`retention_temperatures` must hold positive values, but holds "
                f"{list(self.retention_temperatures)}."
            )
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"`seed` must be 0 to 2^32 − 1, but is {self.seed}.")


@dataclass(frozen=True, kw_only=True)
class TrackCharacterisation:
    """A notched track written by pulses, as walls of two coordinates calibrated on a film."""

    name: str
    """Names the run folder."""
    title: str
    """Heads the table and the report."""
    kind: Literal["track"]
    """Chooses this schema."""
    preset: str = "easyplane-50nm"
    """Whose track it is."""
    pulses: Pulses = field(default_factory=Pulses)
    run: TrackRun = field(default_factory=TrackRun)

    def __post_init__(self) -> None:
        require_name(self.name)


class TrackModel:
    """What a characterisation of a track simulates.

    Raises:
        InputError: no such preset.
    """

    def __init__(self, characterisation: TrackCharacterisation) -> None:
        self.characterisation = characterisation
        section = read_resource("presets", characterisation.preset)["track"]
        self.track = build(DomainWallMtj, section, f"preset {characterisation.preset}")

    @property
    def identity(self) -> dict[str, Any]:
        """The track, which a preset decides."""
        return {"track": load.dump(self.track)}

    def carry_out(self, bench: Bench) -> dict[str, Any]:
        """Simulate, write table.csv, and return what results.json adds."""
        found = _restored(bench.folder.step("calibration", self._calibration))
        wall = track_writing.wall_track(self.track, found, NOTCHES)
        rows = bench.folder.step("pulses", lambda: {"rows": self._rows(bench, wall)})["rows"]
        own = bench.folder.step("own pulse", lambda: self._own_pulse(bench, wall, found))
        _write_table(bench, rows)
        run = self.characterisation.run
        barrier, attempts = row_barrier(wall)
        return {
            "device": {"preset": self.characterisation.preset, **load.dump(self.track)},
            "run": load.dump(run),
            "temperature": run.temperature,
            "walls": run.walls,
            "wall": {"width": float(found.track.wall_width), "pitch": found.pitch,
                     "misfit": found.misfit, "barrier_kt": barrier / (BOLTZMANN * run.temperature),
                     "held_barrier_kt": found.barrier / (BOLTZMANN * run.temperature),
                     "attempt_rate": attempts},
            "pulse": {"energy": self.track.pulse_energy, "time": self.track.pulse_time,
                      "current_density": self.track.write.current_density,
                      "heating": track_writing.adiabatic_heating(self.track)},
            "rows": rows,
            "own": own,
            "retention": [
                {"temperature": one, "seconds": math.exp(barrier / (BOLTZMANN * one)) / attempts}
                for one in run.retention_temperatures
            ],
            "levels": self._levels(),
        }  # fmt: skip

    def _calibration(self) -> dict[str, float]:
        found = track_writing.calibrated(self.track, self.characterisation.run.cell)
        track = found.track
        parts = ("wall_width", "saturation_magnetisation", "cross_section", "hard_axis", "dmi")
        own = ("pitch", "depth", "width", "barrier", "depinning_field", "misfit")
        return {name: float(getattr(track, name)) for name in parts} | {
            name: float(getattr(found, name)) for name in own
        }

    def _orbit(self) -> tuple[WritePulses, Tensor]:
        grid = self.characterisation.pulses
        density, width = torch.meshgrid(
            torch.tensor(grid.current_densities, dtype=torch.float64),
            torch.tensor(grid.widths, dtype=torch.float64),
            indexing="ij",
        )
        pulses = track_writing.spin_orbit_pulses(self.track, density.flatten(), width.flatten())
        return pulses, density.flatten()

    def _transfer(self) -> tuple[WritePulses, Tensor]:
        grid = self.characterisation.pulses
        density, width = torch.meshgrid(
            torch.tensor(grid.transfer_densities, dtype=torch.float64),
            torch.tensor(grid.widths, dtype=torch.float64),
            indexing="ij",
        )
        speed = drift_velocity(
            density.flatten(), grid.polarisation, self.track.saturation_magnetisation
        )
        assert isinstance(speed, Tensor)
        pulses = WritePulses(mechanism="spin-transfer", amplitude=speed, width=width.flatten())
        return pulses, density.flatten()

    def _rows(self, bench: Bench, wall: WallTrack) -> list[dict[str, Any]]:
        """Return shares of missed, single and double steps of every pulse, forth and back."""
        run, rows = self.characterisation.run, []
        driven = replace(wall, nonadiabaticity=self.characterisation.pulses.nonadiabaticity)
        for track, (pulses, density) in ((wall, self._orbit()), (driven, self._transfer())):
            for direction in ("forth", "back"):
                sent = replace(pulses, settle=self.characterisation.pulses.settle)
                sent = sent if direction == "forth" else mirrored(sent)
                what = f"{pulses.mechanism} pulses {direction}"
                found = write_statistics(
                    track, sent, run.temperature, run.walls, bench.key.child(what),
                    bench.execution(what),
                )  # fmt: skip
                rows += _told(found, sent, density, direction)
        return rows

    def _own_pulse(self, bench: Bench, wall: WallTrack, found: RowCalibration) -> dict[str, Any]:
        """Return paths under the track's own pulse, and on the same track without notches."""
        run, pulse = self.characterisation.run, track_writing.own_pulse(self.track)
        pulse = replace(pulse, settle=2 * self.characterisation.pulses.settle)
        seen = write_statistics(
            wall, pulse, run.temperature, run.walls, bench.key.child("own"), bench.execution("own")
        )
        bare = track_writing.wall_track(self.track, found, 0)
        times, smooth = write_paths(
            bare, pulse, run.temperature, run.walls, bench.key.child("smooth"),
            bench.execution("smooth"),
        )  # fmt: skip
        after = int((times < pulse.lead + float(pulse.width[0]) + pulse.rise).sum())
        moved = smooth[:, 0]
        return {
            "times": times.tolist(),
            "notched": seen.paths[:, 0, :SHOWN].tolist(),
            "smooth": moved[:, :SHOWN].tolist(),
            "steps": seen.steps.tolist(),
            "counts": seen.counts[0].tolist(),
            "spread_in_notch": float(seen.offset[0].std()),
            "smooth_mean": float(moved[-1].mean()),
            "smooth_spread": float(moved[-1].std()),
            "smooth_spread_at_pulse_end": float(moved[min(after, len(moved) - 1)].std()),
        }

    def _levels(self) -> list[dict[str, float]]:
        levels = torch.arange(self.track.levels, dtype=torch.float64)
        held = domain_wall_mtj.conductance(self.track, levels)
        part = domain_wall_mtj.parallel_fraction(self.track, levels)
        pairs = zip(levels.tolist(), part.tolist(), held.tolist(), strict=True)
        return [{"level": n, "fraction": x, "conductance": g} for n, x, g in pairs]


def _told(
    found: WriteStatistics, pulses: WritePulses, density: Tensor, direction: str
) -> list[dict[str, Any]]:
    middle = found.counts.shape[1] // 2
    parts = {
        "missed": found.counts[:, : middle + 1].sum(1),
        "single": found.counts[:, middle + 1],
        "double": found.counts[:, middle + 2 :].sum(1),
    }
    walls = int(found.counts[0].sum())
    rows = []
    for place, amplitude in enumerate(pulses.amplitude.tolist()):
        row = {"mechanism": pulses.mechanism, "direction": direction, "amplitude": amplitude,
               "current_density": float(density[place]), "width": float(pulses.width[place]),
               "counts": found.counts[place].tolist()}  # fmt: skip
        for name, counts in parts.items():
            share = (float(counts[place]) + 2) / (walls + 4)  # Agresti and Coull (1998)
            row[name] = float(counts[place]) / walls
            row[f"{name}_error"] = math.sqrt(share * (1 - share) / (walls + 4))
        rows.append(row)
    return rows


def _restored(plain: dict[str, float]) -> RowCalibration:
    none = torch.zeros(1, dtype=torch.float64)
    names = ("wall_width", "saturation_magnetisation", "cross_section", "hard_axis", "dmi")
    own = {name: value for name, value in plain.items() if name not in names}
    # The damping is the track's: `wall_track` puts it in.
    track = WallTrack(
        damping=1.0,
        wall_width=plain["wall_width"],
        saturation_magnetisation=plain["saturation_magnetisation"],
        cross_section=plain["cross_section"],
        hard_axis=plain["hard_axis"],
        dmi=plain["dmi"],
    )
    held = HeldWalls(position=none, energy=none, slope=none, converged=none.bool())
    return RowCalibration(track=track, held=held, **own)


def _write_table(bench: Bench, rows: list[dict[str, Any]]) -> None:
    """Write the grid as CSV with its origin in comment lines; amplitude in T or m/s."""
    versions = ", ".join(f"{k} {v}" for k, v in bench.provenance.versions.items())
    with (bench.folder.work / "table.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(f"# title: {bench.provenance.title}\n# source: {bench.provenance.source}\n")
        file.write(f"# seed: {bench.provenance.seed}\n# versions: {versions}\n")
        file.write("# errors: one standard error, Agresti and Coull\n")
        writer = csv.DictWriter(file, _COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
