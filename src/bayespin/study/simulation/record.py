"""Trajectories, films and snapshots, written for people and other tools."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from bayespin.physics.drive import at, largest
from bayespin.physics.ensemble import Trajectories
from bayespin.physics.files.dataset import (
    QUANTITIES,
    Provenance,
    Quantity,
    film_snapshots,
    save_dataset,
    trajectories,
)
from bayespin.physics.files.ovf import write_ovf
from bayespin.physics.files.snapshot import Snapshot
from bayespin.physics.files.vtk import write_vti
from bayespin.physics.film.mesh import Mesh
from bayespin.shapes import Float, Tensor
from bayespin.study.simulation import stepping
from bayespin.study.simulation.sections import Drive

if TYPE_CHECKING:
    import xarray

_QUANTITIES = {"interface_anisotropy": Quantity("J/m2", "interface anisotropy energy per area")}


def dataset_of(
    found: Trajectories,
    provenance: Provenance,
    drive: Drive,
    points: Mapping[str, Tensor] | None = None,
) -> "xarray.Dataset":
    """Return trajectories as a dataset, with the current or voltage over time where there is one.

    `points` says what tells operating points apart.
    """
    dataset = trajectories(
        found.series, found.times, found.status, provenance, points=points, quantities=_QUANTITIES
    )
    for name in ("current_density", "voltage"):
        driven = stepping.driven(
            drive, lambda one, n=name: torch.tensor(getattr(one, n), dtype=torch.float64)
        )
        if largest(driven) > 0:
            values = [float(at(driven, float(time))) for time in found.times]
            known = QUANTITIES[name]
            dataset[name] = ("time", values, {"units": known.units, "long_name": known.long_name})
    return dataset


def save_film(
    path: Path,
    frames: Float[Tensor, "frames 3 z y x"],
    times: Sequence[float],
    mesh: Mesh,
    provenance: Provenance,
) -> None:
    """Write the magnetisation of the first replica at some times."""
    moments = torch.tensor(times, dtype=torch.float64)
    save_dataset(path, film_snapshots(frames[:, None], moments, mesh, provenance))


def save_snapshots(
    folder: Path, found: Trajectories, mesh: Mesh, title: str, count: int
) -> list[str]:
    """Write the final state of the first sound replicas as OVF and VTK; return the names."""
    place, names = folder / "snapshots", []
    place.mkdir(exist_ok=True)
    for replica in found.sound.nonzero()[:count, -1].tolist():
        snapshot = Snapshot(
            m=found.state[replica],
            mesh=mesh,
            time=found.schedule.steps * found.time_step,
            title=f"{title}, replica {replica}",
        )
        names += [f"snapshots/replica-{replica:03d}.ovf", f"snapshots/replica-{replica:03d}.vti"]
        write_ovf(folder / names[-2], snapshot)
        write_vti(folder / names[-1], snapshot)
    return names
