"""VTK image data (.vti), which ParaView and PyVista open.

XML with one uniform grid in metres. Cell data: `m`, three numbers per cell, and `mask`, 1 in
magnetic cells (in ParaView: Threshold by `mask`). Field data: `TimeValue`, s, by which ParaView
orders a numbered series of files.

Source: VTK file formats, "XML file formats" (Kitware).
"""

import base64
from pathlib import Path

import numpy as np

from bayespin.physics.files._replacement import replacement
from bayespin.physics.files.snapshot import Snapshot

_TYPES = {"float32": "Float32", "float64": "Float64", "uint8": "UInt8"}


def write_vti(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot as VTK image data; m keeps its precision, and is zero outside the magnet.

    Raises:
        OSError: the disk is full or cannot be written; an older file at `path` is left as it was.
    """
    mesh = snapshot.mesh
    whole = " ".join(f"0 {count}" for count in mesh.cells)
    spacing = " ".join(repr(size) for size in mesh.cell)
    mask = mesh.occupied.cpu().numpy().astype(np.uint8)
    text = f"""<?xml version="1.0"?>
<VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">
<ImageData WholeExtent="{whole}" Origin="0 0 0" Spacing="{spacing}">
<FieldData>
<DataArray Name="TimeValue" type="Float64" NumberOfTuples="1" format="ascii">{snapshot.time!r}\
</DataArray>
</FieldData>
<Piece Extent="{whole}">
<CellData Vectors="m" Scalars="mask">
{_array("m", snapshot.cells.numpy(), ("x", "y", "z"))}
{_array("mask", mask, ("mask",))}
</CellData>
</Piece>
</ImageData>
</VTKFile>
"""
    with replacement(path) as beside:
        beside.write_text(text, encoding="ascii")


def _array(name: str, values: np.ndarray, components: tuple[str, ...]) -> str:
    """Return one array as base64 of its byte count and its little-endian numbers."""
    content = values.astype(values.dtype.newbyteorder("<")).tobytes()
    encoded = base64.b64encode(len(content).to_bytes(8, "little") + content).decode()
    names = " ".join(f'ComponentName{i}="{label}"' for i, label in enumerate(components))
    kind = _TYPES[values.dtype.name]
    return (
        f'<DataArray Name="{name}" type="{kind}" NumberOfComponents="{len(components)}" {names} '
        f'format="binary">{encoded}</DataArray>'
    )
