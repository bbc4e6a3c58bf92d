"""A simulation from its schema to a finished run folder."""

import dataclasses
import hashlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from bayespin import load
from bayespin.load import fingerprint
from bayespin.physics.ensemble import Trajectories
from bayespin.physics.files.dataset import save_dataset
from bayespin.physics.sampling import Target, sample_until
from bayespin.rng import Key
from bayespin.study import provenance
from bayespin.study.bench import Bench, completed, origin_of, refusals_of, require_device
from bayespin.study.simulation import record, stepping
from bayespin.study.simulation.films import FilmModel
from bayespin.study.simulation.macrospins import MacrospinModel
from bayespin.study.simulation.schema import (
    FilmSimulation,
    MacrospinSimulation,
    Simulation,
    WallSimulation,
)
from bayespin.study.simulation.sections import Run
from bayespin.study.simulation.walls import Coordinates, WallModel
from bayespin.study.store import RunFolder, write_json
from bayespin.study.watch import Watch

SCHEMA_VERSION = 1
"""Of results.json of a simulation."""
_MODELS: dict[type, Callable[[Any], Any]] = {
    MacrospinSimulation: MacrospinModel,
    FilmSimulation: FilmModel,
    WallSimulation: WallModel,
}


def _ignore(*_: Any) -> None:
    return


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A simulation that was found possible, and where it goes."""

    simulation: Simulation
    model: Any
    folder: RunFolder
    remarks: tuple[str, ...]
    """Warnings of the physics, such as a cell that is too coarse."""


def prepare(simulation: Simulation, out: Path) -> Prepared:
    """Check a simulation before any work, and return its model and run folder.

    Raises:
        InputError: no such device, an unreadable file, or a value that is impossible.
    """
    where = f"simulation {simulation.name}"
    require_device(where, simulation.run.device)
    with refusals_of(where), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = _MODELS[type(simulation)](simulation)
    identity = {"simulation": load.dump(simulation), "schema": SCHEMA_VERSION}
    if isinstance(model, MacrospinModel):
        identity["layer"] = load.dump(model.points.layer)
        identity["points"] = model.points.interface_anisotropy.tolist()
    if isinstance(model, FilmModel) and model.system.start is not None:
        start = model.system.start.numpy().tobytes()
        identity["start"] = hashlib.sha256(start).hexdigest()
    return Prepared(
        simulation=simulation,
        model=model,
        folder=RunFolder(out, simulation.name, fingerprint(identity)),
        remarks=tuple(str(one.message) for one in caught),
    )


def run_simulation(
    prepared: Prepared,
    *,
    force: bool = False,
    watch: Watch | None = None,
    report: Callable[[Path], object] = _ignore,
) -> Path:
    """Run a simulation and return its folder; a finished one is returned at once.

    Interrupted at any point, the same call resumes and ends in the same numbers.

    Args:
        prepared: from `prepare`.
        force: begin anew, and replace a finished run when the new one is whole.
        watch: callback for progress, and how many blocks of replicas are advanced at once.
        report: called with the folder before it is published, to add figures and a page.

    Raises:
        InputError: the output folder cannot be used, the ensembles do not fit the memory, or a
            track holds no wall.
    """
    simulation, folder = prepared.simulation, prepared.folder
    bench = Bench(
        where=f"simulation {simulation.name}",
        folder=folder,
        key=Key.root(simulation.run.seed).child("simulation"),
        watch=watch if watch is not None else Watch(),
        provenance=origin_of(
            simulation.title, f"bayespin simulate, {simulation.name}", simulation.run.seed
        ),
    )

    def fill(started: str) -> None:
        numbers = folder.step("numbers", lambda: _timed(prepared, bench))
        write_json(folder.work / "results.json", _assembled(prepared, numbers, started))
        resolved = tomli_w.dumps(load.dump(simulation))
        (folder.work / "simulation.toml").write_text(resolved, encoding="utf-8")
        report(folder.work)

    return completed(folder, fill, force=force)


def _timed(prepared: Prepared, bench: Bench) -> dict[str, Any]:
    begun = time.perf_counter()
    numbers = _CARRY_OUT[type(prepared.simulation)](prepared.model, bench)
    return {**numbers, "seconds": time.perf_counter() - begun}


def _macrospins(model: MacrospinModel, bench: Bench) -> dict[str, Any]:
    """Run macrospins, until the error that is asked for if there is one."""
    asked, reached = model.simulation.target, None
    if asked is None:
        found = bench.carried_out("macrospins", model.system, model.schedule)
    else:
        target = Target(
            observable="m_z",
            statistic=asked.statistic,
            error=asked.error,
            longest=round(asked.longest / model.system.time_step),
            laws=model.laws,
        )
        execution = bench.execution("macrospins", model.schedule)
        with refusals_of(bench.where):
            sampled = sample_until(
                model.system, model.schedule, bench.key.child("macrospins"), target, execution
            )
        found = sampled.trajectories
        reached = {"error": sampled.error, "reached": sampled.reached}
    points = {"interface_anisotropy": model.points.interface_anisotropy}
    dataset = record.dataset_of(found, bench.provenance, model.simulation.drive, points)
    save_dataset(bench.folder.work / "trajectories.nc", dataset)
    return {"rows": model.rows(found), "target": reached, **_counts(found)}


def _films(model: FilmModel, bench: Bench) -> dict[str, Any]:
    """Run films, keep maps of the first, and write final states."""
    simulation = model.simulation
    found, frames, times = bench.filmed("films", model.system, model.schedule, simulation.frames)
    dataset = record.dataset_of(found, bench.provenance, simulation.drive)
    save_dataset(bench.folder.work / "trajectories.nc", dataset)
    record.save_film(bench.folder.work / "film.nc", frames, times, model.mesh, bench.provenance)
    names = record.save_snapshots(
        bench.folder.work, found, model.mesh, simulation.name, simulation.snapshots
    )
    numbers = {"cells": model.mesh.count, "snapshots": names, **_counts(found)}
    return {"rows": model.rows(found), **numbers}


def _walls(model: WallModel, bench: Bench) -> dict[str, Any]:
    """Calibrate a track, run walls as coordinates, and films of the whole track beside them."""
    simulation, folder = model.simulation, bench.folder
    with refusals_of(bench.where):
        plain = folder.step("calibration", lambda: dataclasses.asdict(model.calibrated()))
        coordinates = Coordinates(**plain)
        system = model.walls(coordinates)
    found = bench.carried_out("walls", system, stepping.schedule(simulation.run, system.time_step))
    dataset = record.dataset_of(found, bench.provenance, simulation.drive)
    save_dataset(folder.work / "trajectories.nc", dataset)
    numbers = {"coordinates": model.summary(coordinates), **_counts(found)}
    if model.beside is None:
        return {**numbers, "rows": model.rows(found, None), "snapshots": []}
    beside, frames, times = bench.filmed(
        "films", model.beside, model.beside_schedule, simulation.beside.frames
    )
    dataset = record.dataset_of(beside, bench.provenance, simulation.drive)
    save_dataset(folder.work / "films.nc", dataset)
    record.save_film(folder.work / "film.nc", frames, times, model.film.mesh, bench.provenance)
    names = record.save_snapshots(
        folder.work, beside, model.film.mesh, simulation.name, simulation.beside.films
    )
    rows = model.rows(found, beside)
    return {**numbers, "rows": rows, "snapshots": names, "beside": _counts(beside)}


def _counts(found: Trajectories) -> dict[str, Any]:
    """Return how many trajectories there are, how many failed and when, and how they were run."""
    failed = found.failed_step[found.failed_step >= 0]
    return {
        "trajectories": found.status.numel(),
        "failed": failed.numel(),
        "first_failed_s": float(failed.min()) * found.time_step if failed.numel() else None,
        "time_step_s": found.time_step,
        "steps": found.schedule.steps,
        "records": found.schedule.records,
    }


_CARRY_OUT: dict[type, Callable[[Any, Bench], dict[str, Any]]] = {
    MacrospinSimulation: _macrospins,
    FilmSimulation: _films,
    WallSimulation: _walls,
}


def _assembled(prepared: Prepared, numbers: dict[str, Any], started: str) -> dict[str, Any]:
    simulation = prepared.simulation
    run: Run = simulation.run
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": simulation.kind,
        "simulation": simulation.name,
        "title": simulation.title,
        "study_hash": prepared.folder.final.name.rsplit("-", 1)[1],
        "quick": False,
        "run": dataclasses.asdict(run),
        "remarks": list(prepared.remarks),
        **{name: value for name, value in numbers.items() if name != "seconds"},
        "provenance": {
            **provenance.software(),
            "threads": provenance.threads(),
            "seeds": [run.seed],
            "started": started,
            "wall_time_s": round(numbers["seconds"], 1),
        },
    }
