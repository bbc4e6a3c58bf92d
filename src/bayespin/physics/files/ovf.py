"""OVF 2.0, the vector files of OOMMF, mumax3 and Ubermag: written, and read as initial states.

A header of `# key: value` lines, then the values, component fastest, then x, y, z. Text, or
little-endian binary of 4 or 8 bytes behind a control value that shows the byte order.

Source: OOMMF User's Guide, "The OVF 2.0 format" (NIST).
"""

import math
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from bayespin.load import InputError
from bayespin.physics.files._replacement import replacement
from bayespin.physics.files.snapshot import Snapshot
from bayespin.physics.film.mesh import Mesh
from bayespin.shapes import Float, Tensor
from bayespin.units import parse

Encoding = Literal["text", "binary 4", "binary 8"]

_CONTROL = {"binary 4": np.array(1234567.0, "<f4"), "binary 8": np.array(123456789012345.0, "<f8")}
_BEGIN = re.compile(rb"^#[ \t]*begin:[ \t]*data[ \t]+(.*?)[ \t\r]*\n", re.IGNORECASE | re.MULTILINE)
_END = re.compile(rb"^[ \t\r]*#[ \t]*end:[ \t]*data", re.IGNORECASE | re.MULTILINE)
_FIRST = re.compile(r"#\s*OOMMF:?\s+(?:OVF|rectangular mesh|irregular mesh)\s+v?([\d.]+)", re.I)
_TIME = re.compile(r"total simulation time:\s*(\S+)[ \t]*(\S*)", re.IGNORECASE)
_UNIT_LENGTH_TOLERANCE = 1e-5  # rounding of float32 and of six printed digits, no physics
_AGAIN = "write it again with the program that made it"


def write_ovf(path: Path, snapshot: Snapshot, encoding: Encoding | None = None) -> None:
    """Write a snapshot as OVF 2.0; other cells than magnetic ones become zero.

    Without an encoding, "binary 4" for float32 and "binary 8" for float64. Text holds enough digits
    to give the same numbers back. The time stands as `# Desc: Total simulation time: … s`, where
    mumax3 and OOMMF have it.

    Raises:
        OSError: the disk is full or cannot be written; an older file at `path` is left as it was.
    """
    values = snapshot.cells.numpy()
    chosen = encoding or ("binary 4" if values.dtype == np.float32 else "binary 8")
    name = chosen.capitalize()
    with replacement(path) as beside, beside.open("wb") as file:
        file.write(_header(snapshot).encode())
        file.write(f"# Begin: Data {name}\n".encode())
        if chosen == "text":
            digits = "%.9g" if values.dtype == np.float32 else "%.17g"
            np.savetxt(file, values.reshape(-1, 3), fmt=digits)
        else:
            control = _CONTROL[chosen]
            file.write(control.tobytes() + values.astype(control.dtype).tobytes() + b"\n")
        file.write(f"# End: Data {name}\n# End: Segment\n".encode())


def _header(snapshot: Snapshot) -> str:
    mesh = snapshot.mesh
    lines = [
        "# OOMMF OVF 2.0", "# Segment count: 1", "# Begin: Segment", "# Begin: Header",
        f"# Title: {snapshot.title}",
        f"# Desc: Total simulation time: {snapshot.time!r} s",
        "# meshtype: rectangular", "# meshunit: m",
    ]  # fmt: skip
    for axis, count, size, length in zip("xyz", mesh.cells, mesh.cell, mesh.extent, strict=True):
        lines += [
            f"# {axis}min: 0.0", f"# {axis}max: {length!r}", f"# {axis}base: {size / 2!r}",
            f"# {axis}nodes: {count}", f"# {axis}stepsize: {size!r}",
        ]  # fmt: skip
    lines += ["# valuedim: 3", "# valuelabels: m_x m_y m_z", "# valueunits: 1 1 1", "# End: Header"]
    return "\n".join(lines) + "\n"


def read_ovf(path: Path) -> Snapshot:
    """Return the snapshot in an OVF 2.0 file, float32 from "binary 4" and float64 otherwise.

    Cells of zero are not magnetic. Vectors that are not of unit length, such as M in A/m, are
    divided by their length; others stay as they are to the last bit. A mesh has no origin: where
    the box lay is not kept.

    Raises:
        InputError: the file is missing, of another format, damaged, or holds no magnetisation on a
            uniform mesh.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"File `{path}` must be readable, but is not: {error.strerror}.") from None
    try:
        return _snapshot(content)
    except ValueError as error:
        raise InputError(f"File `{path}`: {error}") from None


def _snapshot(content: bytes) -> Snapshot:
    _check_format(content)
    begin = _BEGIN.search(content)
    if begin is None:
        raise ValueError(f"the line `# Begin: Data` must be there, but is missing; {_AGAIN}.")
    header = _fields(content[: begin.start()].decode(errors="replace"))
    cells, cell = _grid(header)
    encoding = b" ".join(begin[1].lower().split()).decode(errors="replace")
    shape = (*reversed(cells), 3)
    if encoding == "text":
        values = _text(content[begin.end() :], math.prod(shape))
    elif encoding in _CONTROL:
        values = _binary(content, begin.end(), math.prod(shape), _CONTROL[encoding])
    else:
        raise ValueError(
            f"`Data` must be Text, Binary 4 or Binary 8, but is {encoding!r}; {_AGAIN}."
        )
    lost = int((~np.isfinite(values)).sum())
    if lost:
        raise ValueError(
            f"`Data` must be finite, but {lost} of {values.size} values are not; "
            f"take an earlier snapshot."
        )
    m = torch.from_numpy(values.reshape(shape)).movedim(-1, 0).contiguous()
    occupied = m.ne(0).any(0)
    if not bool(occupied.any()):
        raise ValueError("`Data` must hold a magnetic cell, but is zero everywhere; "
                         "save the magnetisation.")  # fmt: skip
    mesh = Mesh(cells=cells, cell=cell, mask=None if bool(occupied.all()) else occupied)
    return Snapshot(m=_directions(m), mesh=mesh, time=_time(header), title=_title(header))


def _check_format(content: bytes) -> None:
    first = content[:200].partition(b"\n")[0].decode(errors="replace").strip()
    found = _FIRST.match(first)
    if found is None:
        raise ValueError(f"the first line must be `# OOMMF OVF 2.0`, but is {first[:40]!r}; "
                         f"give an OVF file.")  # fmt: skip
    if found[1] != "2.0":
        raise ValueError(f"the format must be OVF 2.0, but is OVF {found[1]}; "
                         f"save it again as OVF 2.0.")  # fmt: skip


def _fields(text: str) -> dict[str, str]:
    """Return the header's values by key in lower case; a key given twice has both as lines."""
    header: dict[str, str] = {}
    for line in text.splitlines():
        key, colon, value = line.partition("##")[0].lstrip("# \t").partition(":")
        if colon:
            name = " ".join(key.lower().split())
            header[name] = f"{header[name]}\n{value.strip()}" if name in header else value.strip()
    return header


def _field(header: dict[str, str], key: str) -> str:
    if key not in header:
        raise ValueError(f"`{key}` must be given in the header, but is missing; {_AGAIN}.")
    return header[key]


def _number(header: dict[str, str], key: str, kind: type[int] | type[float]) -> Any:
    """Return a positive finite number of the header."""
    text = _field(header, key)
    try:
        value = kind(text)
    except ValueError:
        value = kind(0)
    if not 0 < value < math.inf:
        words = "a positive whole number" if kind is int else "a positive length"
        raise ValueError(f"`{key}` must be {words}, but is {text!r}; {_AGAIN}.")
    return value


def _grid(header: dict[str, str]) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Return the number of cells and the size of a cell in metres, along x, y and z."""
    if header.get("segment count", "1") != "1":
        raise ValueError(f"`Segment count` must be 1, but is {header['segment count']}; "
                         f"save one snapshot per file.")  # fmt: skip
    for key, wanted, remedy in (
        ("meshtype", "rectangular", "save it on a uniform mesh"),
        ("valuedim", "3", "save the magnetisation"),
    ):
        if _field(header, key).lower() != wanted:
            raise ValueError(f"`{key}` must be {wanted}, but is {header[key]}; {remedy}.")
    unit = _field(header, "meshunit")
    try:
        metres = parse(f"1 {unit}", "m")
    except ValueError:
        raise ValueError(f"`meshunit` must be a length such as m or nm, "
                         f"but is {unit!r}; {_AGAIN}.") from None  # fmt: skip
    sizes = [(_number(header, f"{a}nodes", int), _number(header, f"{a}stepsize", float))
             for a in "xyz"]  # fmt: skip
    (nx, dx), (ny, dy), (nz, dz) = sizes
    return (nx, ny, nz), (dx * metres, dy * metres, dz * metres)


def _cut_off(count: int, found: int) -> ValueError:
    remedy = "copy it again" if found <= count else "its header is of another file"
    held = f"ends after {found}" if found < count else f"holds {found}"
    if found == count:
        return ValueError(
            f"`# End: Data` must follow the {count} values, but is missing; {remedy}."
        )
    return ValueError(f"`Data` must hold {count} values, but {held}; {remedy}.")


def _text(data: bytes, count: int) -> np.ndarray:
    end = _END.search(data)
    words = re.sub(rb"#[^\n]*", b"", data[: end.start() if end else len(data)]).split()
    if end is None or len(words) != count:
        raise _cut_off(count, len(words))
    try:
        return np.array(words).astype(np.float64)
    except ValueError as error:
        raise ValueError(f"`Data` must be numbers, but are not ({error}); {_AGAIN}.") from None


def _binary(content: bytes, start: int, count: int, control: np.ndarray) -> np.ndarray:
    size = control.itemsize
    stop = start + size * (1 + count)
    if _END.match(content[stop : stop + 200].lstrip()) is None:
        # Where the values end is not known: behind them stands the end mark, or nothing at all.
        last = max(0, len(content) - 4096, start)
        mark = _END.search(content, last)
        length = (mark.start() - 1 if mark else len(content)) - start
        raise _cut_off(count, max(0, length // size - 1))
    found = np.frombuffer(content, control.dtype, 1, start)[0]
    if found != control:
        raise ValueError(
            f"the control value must be {control:.1f} in little-endian order, but is {found:g}; "
            f"{_AGAIN}."
        )
    values = np.frombuffer(content, control.dtype, count, start + size)
    return values.astype(control.dtype.newbyteorder("="))  # a copy, which torch may write to


def _directions(m: Float[Tensor, "3 z y x"]) -> Float[Tensor, "3 z y x"]:
    """Return unit vectors; those that are so already are not touched."""
    largest = m.abs().amax(0)
    scaled = m / largest.where(largest > 0, 1.0)  # no square of it can overflow
    length = scaled.norm(dim=0)
    off = (length * largest - 1).abs() > _UNIT_LENGTH_TOLERANCE
    unit = torch.where(off, scaled / length.where(length > 0, 1.0), m)
    return unit.where(largest > 0, 0.0)  # not −0


def _time(header: dict[str, str]) -> float:
    found = _TIME.search(header.get("desc", ""))
    if found is None:
        return 0.0
    text = f"{found[1]} {found[2] or 's'}"
    try:
        return max(0.0, parse(text, "s"))  # OOMMF writes -1 s or -2 s after a minimisation
    except ValueError:
        raise ValueError(f"`Total simulation time` must be a time such as 1e-9 s, "
                         f"but is {text!r}; {_AGAIN}.") from None  # fmt: skip


def _title(header: dict[str, str]) -> str:
    return " ".join(header.get("title", "").split())
