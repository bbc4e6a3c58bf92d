"""Recorded ensembles as xarray datasets with units, and as NetCDF files.

Axes are among `time, point, replica, component, z, y, x`. Every variable and coordinate says its
SI unit and its name in words; the whole says its title, source, seed and versions.
xarray takes a second to import, so functions import it when called.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bayespin.load import InputError, nearest
from bayespin.physics.files._replacement import replacement
from bayespin.physics.film.mesh import Mesh
from bayespin.shapes import Float, Int, Tensor
from bayespin.units import parse

if TYPE_CHECKING:
    import xarray

DIMENSIONS = ("time", "point", "replica", "component", "z", "y", "x")
_Variable = tuple[tuple[str, ...], Any, dict[str, Any]]
_ATTRIBUTES = ("title", "source", "seed", "versions")
_DAMAGE = (OSError, KeyError, RuntimeError, TypeError, ValueError)  # all that HDF5's readers raise
_REMEDY = "write it again with `save_dataset`"


@dataclass(frozen=True)
class Quantity:
    """What a variable is.

    Raises:
        ValueError: the unit is not an SI unit without prefix, "1" for none, or a text is empty.
    """

    units: str
    long_name: str

    def __post_init__(self) -> None:
        if not _is_si(self.units):
            raise ValueError(
                f"`units` must be an SI unit without prefix, such as A/m2, or 1 for none, "
                f"but is {self.units!r}."
            )
        if not self.long_name.strip():
            raise ValueError("`long_name` must say what the variable is, but is empty.")


def _is_si(units: str) -> bool:
    try:
        return parse(f"1 {units}", units) == 1.0
    except ValueError:
        return False


QUANTITIES: Mapping[str, Quantity] = {
    "time": Quantity("s", "time"),
    "point": Quantity("1", "operating point"),
    "replica": Quantity("1", "replica"),
    "component": Quantity("1", "Cartesian component"),
    "x": Quantity("m", "x of the cell centre"),
    "y": Quantity("m", "y of the cell centre"),
    "z": Quantity("m", "z of the cell centre"),
    "m": Quantity("1", "direction of the magnetisation"),
    "m_x": Quantity("1", "mean x component of the magnetisation's direction"),
    "m_y": Quantity("1", "mean y component of the magnetisation's direction"),
    "m_z": Quantity("1", "mean z component of the magnetisation's direction"),
    "mask": Quantity("1", "1 in magnetic cells, 0 elsewhere"),
    "wall_position": Quantity("m", "position of the domain wall"),
    "wall_angle": Quantity("rad", "angle of the magnetisation in the domain wall"),
    "energy": Quantity("J", "magnetic energy"),
    "status": Quantity("1", "state of the trajectory"),
    "voltage": Quantity("V", "voltage over the tunnel junction"),
    "current_density": Quantity("A/m2", "current density"),
    "anisotropy": Quantity("J/m3", "uniaxial anisotropy energy density"),
    "temperature": Quantity("K", "temperature"),
    "field": Quantity("T", "applied magnetic flux density"),
}
"""The names that we give, with what they are; other names bring their own `Quantity`."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where the numbers come from.

    Raises:
        ValueError: a text is empty, or the seed negative.
    """

    title: str
    source: str
    """The model, study or command that made them."""
    seed: int
    versions: Mapping[str, str]
    """Version of each program, by name."""

    def __post_init__(self) -> None:
        for name in ("title", "source"):
            if not getattr(self, name).strip():
                raise ValueError(f"`{name}` must hold words, but is empty.")
        if not 0 <= self.seed < 2**63:  # the integers that NetCDF holds
            raise ValueError(f"`seed` must be from 0 to 2^63 - 1, but is {self.seed}.")
        if not self.versions:
            raise ValueError("`versions` must name at least one program, but is empty.")

    @property
    def attributes(self) -> dict[str, str | int]:
        """Return the attributes of a dataset; the versions are one line."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return {"title": self.title, "source": self.source, "seed": self.seed, "versions": versions}


def trajectories(
    series: Mapping[str, Float[Tensor, "time *points replica"]],
    time: Float[Tensor, " time"],
    status: Int[Tensor, "*points replica"],
    provenance: Provenance,
    *,
    points: Mapping[str, Float[Tensor, "*points"]] | None = None,
    quantities: Mapping[str, Quantity] | None = None,
) -> "xarray.Dataset":
    """Return recorded series as a dataset over time, point and replica.

    Axes of operating points, none or several, become the one axis `point`, the last fastest.
    `status` is 0 for a sound trajectory and 1 for one that is no longer finite. `points` says what
    tells operating points apart, such as `voltage`; `quantities` what names are that `QUANTITIES`
    lacks.

    Raises:
        ValueError: a name that is not known, or a shape that fits neither time, nor status.
    """
    import xarray

    build = _Builder(time, tuple(status.shape[:-1]), status.shape[-1], quantities)
    axes = ("time", "point", "replica")
    variables = {name: build.variable(name, axes, values) for name, values in series.items()}
    variables["status"] = build.status(status)
    return xarray.Dataset(variables, build.coordinates(points), provenance.attributes)


def film_snapshots(
    m: Float[Tensor, "time *points replica 3 z y x"],
    time: Float[Tensor, " time"],
    mesh: Mesh,
    provenance: Provenance,
    *,
    points: Mapping[str, Float[Tensor, "*points"]] | None = None,
    quantities: Mapping[str, Quantity] | None = None,
) -> "xarray.Dataset":
    """Return magnetisations of a film as a dataset with the cells' centres and mask.

    Axes of operating points, none or several, become the one axis `point`, the last fastest.

    Raises:
        ValueError: a name that is not known, or a shape that fits neither time, nor mesh.
    """
    import xarray

    build = _Builder(time, tuple(m.shape[1:-5]), m.shape[-5], quantities)
    build.sizes |= {"component": 3, **dict(zip("zyx", mesh.shape, strict=True))}
    variables = {
        "m": build.variable("m", DIMENSIONS, m),
        "mask": build.variable("mask", ("z", "y", "x"), mesh.occupied.to(torch.int8)),
    }
    cells = {
        name: build.variable(name, (name,), mesh.centres(axis)) for axis, name in enumerate("xyz")
    }
    component = (("component",), list("xyz"), _attributes(QUANTITIES["component"]))
    coordinates = build.coordinates(points) | cells | {"component": component}
    return xarray.Dataset(variables, coordinates, provenance.attributes)


class _Builder:
    """Makes variables of known sizes and names."""

    def __init__(
        self,
        time: Tensor,
        points: tuple[int, ...],
        replicas: int,
        quantities: Mapping[str, Quantity] | None,
    ) -> None:
        self._time, self._points = time, points
        self._known = {**QUANTITIES, **(quantities or {})}
        self.sizes = {"time": len(time), "point": math.prod(points), "replica": replicas}

    def variable(self, name: str, axes: tuple[str, ...], values: Tensor) -> _Variable:
        """Return axes, values and attributes, with the axes of operating points made one."""
        if name not in self._known:
            raise ValueError(
                f"Name `{name}` must be one of {', '.join(self._known)} or be given in "
                f"`quantities`{nearest(name, list(self._known))}."
            )
        wide = (self._points if a == "point" else (self.sizes[a],) for a in axes)
        expected = tuple(size for group in wide for size in group)
        if tuple(values.shape) != expected:
            raise ValueError(
                f"`{name}` must have the shape {expected} of its axes {', '.join(axes)}, "
                f"but has shape {tuple(values.shape)}."
            )
        shape = tuple(self.sizes[a] for a in axes)
        held = values.detach().cpu().numpy().reshape(shape)
        return axes, held, _attributes(self._known[name])

    def status(self, status: Tensor) -> _Variable:
        """Return the status of each trajectory, with its flags in words."""
        axes, held, attributes = self.variable("status", ("point", "replica"), status)
        flags = {"flag_values": np.array([0, 1], np.int8), "flag_meanings": "ok not_finite"}
        return axes, held.astype(np.int8), attributes | flags

    def coordinates(self, points: Mapping[str, Tensor] | None) -> dict[str, _Variable]:
        """Return time, the numbers of points and replicas, and what tells points apart."""
        numbers = {
            axis: ((axis,), np.arange(self.sizes[axis]), _attributes(QUANTITIES[axis]))
            for axis in ("point", "replica")
        }
        told = {n: self.variable(n, ("point",), values) for n, values in (points or {}).items()}
        return {"time": self.variable("time", ("time",), self._time), **numbers, **told}


def _attributes(quantity: Quantity) -> dict[str, Any]:
    return {"units": quantity.units, "long_name": quantity.long_name}


def check_conventions(dataset: "xarray.Dataset") -> None:
    """Refuse a dataset that does not say what it holds.

    Raises:
        ValueError: an axis outside `DIMENSIONS`, a variable or coordinate without SI unit or name
            in words, one of `QUANTITIES` in another unit, or no title, source, seed or versions.
    """
    for name in _ATTRIBUTES:
        if name not in dataset.attrs:
            raise ValueError(f"Attribute `{name}` must be given, but is missing.")
    for axis in dataset.dims:
        if axis not in DIMENSIONS:
            raise ValueError(f"Axis `{axis}` must be one of {', '.join(DIMENSIONS)}, but is not.")
    for name, variable in dataset.variables.items():
        units, words = (str(variable.attrs.get(key, "")) for key in ("units", "long_name"))
        try:
            quantity = Quantity(units, words)
        except ValueError as error:
            raise ValueError(f"Variable `{name}`: {error}") from None
        wanted = QUANTITIES.get(str(name), quantity).units
        if units != wanted:
            raise ValueError(f"Variable `{name}` must be in {wanted}, but is in {units}.")


def save_dataset(path: Path, dataset: "xarray.Dataset") -> None:
    """Write a dataset as NetCDF 4, losslessly compressed; takes its size in memory once more.

    Raises:
        ValueError: the dataset does not say what it holds, see `check_conventions`.
        OSError: the disk is full or cannot be written; an older file at `path` is left as it was.
    """
    check_conventions(dataset)
    plain = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True, "_FillValue": None}
    numbers = [n for n, v in dataset.variables.items() if v.ndim and v.dtype.kind in "fiu"]
    # In memory first: HDF5 does not survive a disk that fills up under it, the process crashes.
    content = dataset.to_netcdf(engine="h5netcdf", encoding=dict.fromkeys(numbers, plain))
    with replacement(path) as beside:
        beside.write_bytes(content)


def load_dataset(path: Path) -> "xarray.Dataset":
    """Return the dataset in a file of `save_dataset`, in memory.

    Raises:
        InputError: the file is missing, damaged, or does not say what it holds.
    """
    import h5py
    import xarray

    try:
        path.open("rb").close()  # says why a file cannot be read better than HDF5 does
        with h5py.File(path, "r") as file:  # h5netcdf leaves a half-made object when this fails
            file.attrs.get("_nc3_strict")
        dataset = xarray.load_dataset(path, engine="h5netcdf", decode_times=False)
        check_conventions(dataset)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise InputError(f"File `{path}` must be readable, but is not: {error.strerror}.") from None
    except _DAMAGE as error:
        raise InputError(
            f"File `{path}` must be a whole NetCDF 4 file of bayespin, but is not ({error}); "
            f"{_REMEDY}."
        ) from None
    return dataset
