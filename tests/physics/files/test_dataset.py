"""Datasets: axes, units and names; NetCDF files that give back what they were given."""

import math
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from bayespin.load import InputError
from bayespin.physics.files import dataset as module
from bayespin.physics.files.dataset import (
    QUANTITIES,
    Provenance,
    Quantity,
    check_conventions,
    film_snapshots,
    load_dataset,
    save_dataset,
    trajectories,
)
from bayespin.physics.film.mesh import Mesh

ORIGIN = Provenance(
    title="two voltages", source="test", seed=7, versions={"bayespin": "0.1.0", "torch": "2.13.0"}
)
TIME = torch.tensor([0.0, 1e-12, 2e-12], dtype=torch.float64)
MASK = torch.tensor([[[True, True, False], [True, True, True]]])
MESH = Mesh(cells=(3, 2, 1), cell=(2e-9, 3e-9, 1e-9), mask=MASK)


def counted(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.arange(math.prod(shape), dtype=dtype).reshape(shape)


def series(dtype: torch.dtype = torch.float32) -> xr.Dataset:
    """Two voltages by three anisotropies, four replicas, one of them lost."""
    status = torch.zeros(2, 3, 4, dtype=torch.int8)
    status[1, 0, 2] = 1
    voltage, anisotropy = torch.meshgrid(
        torch.tensor([0.1, 0.2]), torch.tensor([1e5, 2e5, 3e5]), indexing="ij"
    )
    return trajectories(
        {"m_z": counted(3, 2, 3, 4, dtype=dtype), "energy": counted(3, 2, 3, 4, dtype=dtype)},
        TIME,
        status,
        ORIGIN,
        points={"voltage": voltage, "anisotropy": anisotropy},
    )


def film(dtype: torch.dtype = torch.float32) -> xr.Dataset:
    return film_snapshots(counted(3, 2, 5, 3, 1, 2, 3, dtype=dtype), TIME, MESH, ORIGIN)


MADE = {"trajectories": series, "film": film}
DTYPES = [torch.float32, torch.float64]


def test_trajectories_have_time_point_replica():
    made = series()
    assert made["m_z"].dims == ("time", "point", "replica")
    assert made["m_z"].shape == (3, 6, 4)
    # Point (voltage 1, anisotropy 0) is number 3; the last axis of points is the fastest.
    assert made["m_z"].sel(point=3, replica=2).values[1] == 24 + 12 + 2
    assert made["voltage"].values.tolist() == pytest.approx([0.1] * 3 + [0.2] * 3)
    assert made["anisotropy"].values.tolist() == [1e5, 2e5, 3e5] * 2
    assert made["status"].dtype == np.int8
    assert np.argwhere(made["status"].values).tolist() == [[3, 2]]
    assert made["status"].attrs["flag_meanings"] == "ok not_finite"
    assert made["time"].values.tolist() == TIME.tolist()


def test_one_operating_point_is_an_axis_of_length_one():
    made = trajectories({"m_z": counted(3, 4)}, TIME, torch.zeros(4, dtype=torch.int8), ORIGIN)
    assert dict(made.sizes) == {"time": 3, "point": 1, "replica": 4}
    assert made["m_z"].values[2, 0].tolist() == [8, 9, 10, 11]


def test_snapshots_of_a_film_know_where_the_cells_are():
    made = film()
    assert made["m"].dims == ("time", "point", "replica", "component", "z", "y", "x")
    assert made["m"].dims == module.DIMENSIONS
    cell = made["m"].isel(time=2, point=1, replica=4).sel(component="y")
    found = cell.sel(x=3e-9, y=4.5e-9, z=0.5e-9, method="nearest")
    # Record 2 of 2 × 5 × 18 numbers, replica 9 of 18, component 1 of 6, row 1 of 3, column 1.
    assert found.item() == 2 * 180 + 9 * 18 + 6 + 3 + 1
    assert made["mask"].values.tolist() == MASK.int().tolist()
    assert made["z"].values.tolist() == [0.5e-9]
    assert made["m"].attrs["units"] == "1"


@pytest.mark.parametrize("kind", MADE)
def test_everything_has_a_unit_and_a_name_in_words(kind):
    made = MADE[kind]()
    check_conventions(made)
    for name, variable in made.variables.items():
        assert variable.attrs["units"] == QUANTITIES[name].units
        assert variable.attrs["long_name"] == QUANTITIES[name].long_name
    assert made.attrs == {
        "title": "two voltages",
        "source": "test",
        "seed": 7,
        "versions": "bayespin 0.1.0, torch 2.13.0",
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", MADE)
def test_a_file_gives_back_the_dataset(tmp_path, kind, dtype):
    made = MADE[kind](dtype)
    save_dataset(tmp_path / "a.nc", made)
    found = load_dataset(tmp_path / "a.nc")
    xr.testing.assert_identical(found, made)
    name = "m_z" if kind == "trajectories" else "m"
    assert found[name].dtype == (np.float32 if dtype == torch.float32 else np.float64)
    assert found["time"].dtype == np.float64
    assert found.attrs["seed"] == 7


NUMBERS = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -0.0])


@settings(max_examples=15)
@given(st.data(), st.sampled_from(DTYPES), st.integers(0, 2**63 - 1))
def test_any_numbers_come_back_bit_for_bit(data, dtype, seed):
    time, replicas = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    numbers = data.draw(st.lists(NUMBERS, min_size=time * replicas, max_size=time * replicas))
    values = torch.tensor(numbers, dtype=dtype).reshape(time, replicas)
    status = (~values.isfinite().all(0)).to(torch.int8)
    origin = Provenance(title="any", source="Größe", seed=seed, versions={"python": "3"})
    clock = counted(time, dtype=torch.float64)
    made = trajectories({"energy": values}, clock, status, origin)
    with TemporaryDirectory() as folder:
        save_dataset(Path(folder) / "a.nc", made)
        found = load_dataset(Path(folder) / "a.nc")
    assert found["energy"].values.tobytes() == values.numpy().tobytes()
    assert found["status"].values.tobytes() == status.numpy().tobytes()
    assert (found.attrs["seed"], found.attrs["source"]) == (seed, "Größe")


def test_xarray_alone_and_hdf5_alone_read_the_file(tmp_path):
    """Without our loader: seconds stay numbers, units are attributes, nothing warns."""
    save_dataset(tmp_path / "a.nc", series())
    with xr.open_dataset(tmp_path / "a.nc") as found:
        assert found["time"].values.tolist() == TIME.tolist()
        assert found["m_z"].attrs == {"units": "1", "long_name": QUANTITIES["m_z"].long_name}
    with h5py.File(tmp_path / "a.nc") as file:
        assert file["energy"].attrs["units"] == "J"
        assert file["energy"].compression == "gzip"
        assert file["energy"].fletcher32
        assert file["energy"][2, 5, 3] == 71


def test_a_name_that_is_not_known_brings_its_quantity():
    status = torch.zeros(4, dtype=torch.int8)
    given = {"resistance": counted(3, 4)}
    with pytest.raises(ValueError, match=r"`resistance` must be one of .* or be given in `quant"):
        trajectories(given, TIME, status, ORIGIN)
    known = {"resistance": Quantity("Ohm", "resistance of the junction")}
    made = trajectories(given, TIME, status, ORIGIN, quantities=known)
    assert made["resistance"].attrs["units"] == "Ohm"


def test_a_misspelt_name_is_told_the_nearest():
    with pytest.raises(ValueError, match="did you mean `wall_position`"):
        trajectories({"wall_postion": counted(3, 4)}, TIME, torch.zeros(4).to(torch.int8), ORIGIN)


@pytest.mark.parametrize(
    "axes, shape, words",
    [
        (("time", "point", "replica"), (2, 4), r"\(3, 4\) .* has shape \(2, 4\)"),
        (("time", "point", "replica"), (3, 5), r"\(3, 4\) .* has shape \(3, 5\)"),
        (("time", "point", "replica"), (3, 1, 4), r"\(3, 4\) .* has shape \(3, 1, 4\)"),
        (("point",), (2,), r"\(\) .* has shape \(2,\)"),
    ],
)
def test_a_shape_that_does_not_fit_is_one_sentence(axes, shape, words):
    """Asked where the shapes meet: under pytest the annotations would refuse them earlier."""
    build = module._Builder(TIME, (), 4, None)
    with pytest.raises(ValueError, match="`voltage` must have the shape " + words):
        build.variable("voltage", axes, counted(*shape))


@pytest.mark.parametrize("units", ["nm", "mT", "", "parsec", "kJ/m3", "2"])
def test_units_are_si_without_prefix(units):
    with pytest.raises(ValueError, match=f"without prefix, such as A/m2, .* but is '{units}'"):
        Quantity(units, "anything")


def test_every_quantity_has_words():
    with pytest.raises(ValueError, match="`long_name` must say"):
        Quantity("m", " ")


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"title": ""}, "`title` must hold words"),
        ({"source": " "}, "`source` must hold words"),
        ({"seed": -1}, "`seed` must be from 0"),
        ({"seed": 2**63}, "`seed` must be from 0"),
        ({"versions": {}}, "`versions` must name at least one"),
    ],
)
def test_provenance_refuses(changes, words):
    fields = {"title": "t", "source": "s", "seed": 1, "versions": {"a": "1"}}
    with pytest.raises(ValueError, match=words):
        Provenance(**fields | changes)


SPOILT = {
    "unit missing": (lambda d: d["m_z"].attrs.pop("units"), "Variable `m_z`: `units` must be"),
    "name missing": (lambda d: d["time"].attrs.pop("long_name"), "Variable `time`: `long_name`"),
    "prefix": (lambda d: d["energy"].attrs.update(units="aJ"), "Variable `energy`: .*'aJ'"),
    "wrong unit": (lambda d: d["energy"].attrs.update(units="T"), "must be in J, but is in T"),
    "seed missing": (lambda d: d.attrs.pop("seed"), "Attribute `seed` must be given"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_dataset_that_does_not_say_what_it_holds_is_not_written(tmp_path, case):
    spoil, words = SPOILT[case]
    made = series()
    spoil(made)
    with pytest.raises(ValueError, match=words):
        save_dataset(tmp_path / "a.nc", made)
    assert list(tmp_path.iterdir()) == []


def test_an_axis_of_another_name_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="Axis `trial` must be one of time, point, replica"):
        save_dataset(tmp_path / "a.nc", series().rename_dims(replica="trial"))


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_dataset(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"File `{path}` must be ")
    assert sentence.endswith(".")
    return sentence


def test_a_file_that_is_no_dataset_is_refused(tmp_path):
    path = tmp_path / "a.nc"
    assert "No such file" in refused(path)
    assert "Is a directory" in refused(tmp_path)
    for content in (b"", b"CDF\x01 of another age", b"\x89HDF\r\n\x1a\n" + bytes(100)):
        path.write_bytes(content)
        assert "whole NetCDF 4 file" in refused(path)
    with h5py.File(path, "w") as file:  # HDF5, but not ours
        file["a"] = 1.0
    assert "Attribute `title` must be given" in refused(path)


def test_a_cut_or_damaged_file_is_refused(tmp_path):
    path = tmp_path / "a.nc"
    save_dataset(path, film())
    content = path.read_bytes()
    for length in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        assert "whole NetCDF 4 file" in refused(path)
    path.write_bytes(content)
    with h5py.File(path, "r") as file:
        place, size = file["m"].id.get_chunk_info(0)[2:]
    spoilt = bytearray(content)
    spoilt[place + size // 2] ^= 1
    path.write_bytes(spoilt)
    assert "whole NetCDF 4 file" in refused(path)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "a.nc"
    save_dataset(path, series())
    (tmp_path / "a.nc.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        save_dataset(path, film())
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]
    xr.testing.assert_identical(load_dataset(path), series())


def test_importing_the_module_does_not_import_xarray():
    code = (
        f"import sys, {module.__name__}\n"
        "print(sorted({'xarray', 'pandas', 'h5py', 'h5netcdf'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
