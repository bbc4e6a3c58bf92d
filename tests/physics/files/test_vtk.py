"""VTK image data, decoded here by the definition of the format and, where there is one, by VTK."""

import base64
import json
import math
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.physics.files.snapshot import Snapshot
from bayespin.physics.files.vtk import write_vti
from bayespin.physics.film.mesh import Mesh

PYVISTA = os.environ.get("BAYESPIN_PYVISTA_PYTHON")


def numbered(dtype: torch.dtype, cells: tuple[int, int, int] = (4, 3, 2)) -> Snapshot:
    """A snapshot whose angle in the plane tells the cell's number, x fastest; the last is empty."""
    shape = cells[::-1]
    angle = 0.01 * torch.arange(math.prod(shape), dtype=dtype).reshape(shape)
    mask = torch.ones(shape, dtype=torch.bool)
    mask[-1, -1, -1] = math.prod(cells) == 1
    m = torch.stack((angle.cos(), angle.sin(), torch.zeros_like(angle)))
    mesh = Mesh(cells=cells, cell=(2e-9, 3e-9, 1.5e-9), mask=mask)
    return Snapshot(m=m, mesh=mesh, time=2.5e-10)


def decoded(array: ElementTree.Element) -> np.ndarray:
    """Numbers of an inline binary array: eight bytes of length, then the content."""
    content = base64.b64decode(array.text, validate=True)
    assert int.from_bytes(content[:8], "little") == len(content) - 8
    kind = {"Float32": "<f4", "Float64": "<f8", "UInt8": "u1"}[array.attrib["type"]]
    return np.frombuffer(content[8:], kind).reshape(-1, int(array.attrib["NumberOfComponents"]))


def written(snapshot: Snapshot) -> ElementTree.Element:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.vti"
        write_vti(path, snapshot)
        return ElementTree.parse(path).getroot()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_structure_and_numbers(dtype):
    root = written(numbered(dtype))
    assert root.tag == "VTKFile"
    assert root.attrib == {
        "type": "ImageData",
        "version": "1.0",
        "byte_order": "LittleEndian",
        "header_type": "UInt64",
    }
    (image,) = root
    assert image.tag == "ImageData"
    assert image.attrib["WholeExtent"] == "0 4 0 3 0 2"
    assert image.attrib["Origin"] == "0 0 0"
    assert [float(x) for x in image.attrib["Spacing"].split()] == [2e-9, 3e-9, 1.5e-9]
    field, piece = image
    assert field[0].attrib["Name"] == "TimeValue"
    assert float(field[0].text) == 2.5e-10
    assert piece.attrib["Extent"] == image.attrib["WholeExtent"]
    (cells,) = piece
    assert (cells.tag, cells.attrib["Vectors"]) == ("CellData", "m")
    m, mask = cells
    assert m.attrib["type"] == ("Float32" if dtype == torch.float32 else "Float64")
    values = decoded(m)
    angle = 0.01 * np.arange(23)
    rounding = 1e-6 if dtype == torch.float32 else 1e-15
    assert np.arctan2(values[:-1, 1], values[:-1, 0]) == pytest.approx(angle, abs=rounding)
    assert values[-1].tolist() == [0, 0, 0]
    assert mask.attrib["type"] == "UInt8"
    assert decoded(mask).ravel().tolist() == [1] * 23 + [0]


@given(st.tuples(*[st.integers(1, 4)] * 3), st.sampled_from([torch.float32, torch.float64]))
def test_every_number_is_kept_to_the_last_bit(cells, dtype):
    snapshot = numbered(dtype, cells)
    m, mask = written(snapshot)[0][1][0]
    held = torch.from_numpy(decoded(m).copy()).reshape(*snapshot.mesh.shape, 3).movedim(-1, 0)
    assert torch.equal(held, torch.where(snapshot.mesh.occupied, snapshot.m, 0.0))
    assert decoded(mask).sum() == snapshot.mesh.count


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "a.vti"
    write_vti(path, numbered(torch.float32))
    old = path.read_bytes()
    (tmp_path / "a.vti.partial").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        write_vti(path, numbered(torch.float64))
    assert [p.name for p in tmp_path.iterdir()] == ["a.vti"]
    assert path.read_bytes() == old


SCRIPT = """
import json, sys
import pyvista
grid = pyvista.read(sys.argv[1])
print(json.dumps({"dimensions": list(grid.dimensions), "spacing": list(grid.spacing),
                  "m": grid.cell_data["m"].tolist(), "mask": grid.cell_data["mask"].tolist(),
                  "time": grid.field_data["TimeValue"].tolist(),
                  "centre": grid.cell_centers().points[5].tolist()}))
"""


@pytest.mark.skipif(not PYVISTA, reason="BAYESPIN_PYVISTA_PYTHON names no interpreter")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_vtk_reads_our_files(tmp_path, dtype):
    """PyVista in its own process, which has ParaView's reader."""
    snapshot = numbered(dtype)
    write_vti(tmp_path / "a.vti", snapshot)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    command = [str(PYVISTA), "-c", SCRIPT, str(tmp_path / "a.vti")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["dimensions"] == [5, 4, 3]
    assert found["spacing"] == [2e-9, 3e-9, 1.5e-9]
    assert found["time"] == [2.5e-10]
    assert torch.equal(torch.tensor(found["m"], dtype=dtype), snapshot.cells.reshape(-1, 3))
    assert found["mask"] == snapshot.mesh.occupied.flatten().int().tolist()
    assert found["centre"] == pytest.approx([3e-9, 4.5e-9, 0.75e-9])  # cell 5 is x 1, y 1, z 0
