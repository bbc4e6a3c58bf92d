"""OVF 2.0 against bytes worked by hand, against itself, and against Ubermag's reader."""

import contextlib
import json
import math
import os
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayespin.load import InputError
from bayespin.physics.files.ovf import read_ovf, write_ovf
from bayespin.physics.files.snapshot import Snapshot
from bayespin.physics.film.mesh import Mesh

UBERMAG = os.environ.get("BAYESPIN_DISCRETISEDFIELD_PYTHON")

# Two cells along x, one of them empty. Every number below follows from the format's definition.
HEADER = b"""\
# OOMMF OVF 2.0
# Segment count: 1
# Begin: Segment
# Begin: Header
# Title: two cells
# Desc: Total simulation time: 1.5e-09 s
# meshtype: rectangular
# meshunit: m
# xmin: 0.0
# xmax: 4e-09
# xbase: 1e-09
# xnodes: 2
# xstepsize: 2e-09
# ymin: 0.0
# ymax: 3e-09
# ybase: 1.5e-09
# ynodes: 1
# ystepsize: 3e-09
# zmin: 0.0
# zmax: 1e-09
# zbase: 5e-10
# znodes: 1
# zstepsize: 1e-09
# valuedim: 3
# valuelabels: m_x m_y m_z
# valueunits: 1 1 1
# End: Header
"""
VALUES = (0.0, 0.6, -0.8, 0.0, 0.0, 0.0)
TEXT = b"# Begin: Data Text\n0 0.59999999999999998 -0.80000000000000004\n0 0 0\n# End: Data Text\n"
EIGHT = (
    b"# Begin: Data Binary 8\n"
    + struct.pack("<7d", 123456789012345.0, *VALUES)
    + b"\n# End: Data Binary 8\n"
)
FOUR = (
    b"# Begin: Data Binary 4\n"
    + struct.pack("<7f", 1234567.0, *VALUES)
    + b"\n# End: Data Binary 4\n"
)
END = b"# End: Segment\n"
DATA = {"text": TEXT, "binary 8": EIGHT, "binary 4": FOUR}


def two_cells(dtype: torch.dtype = torch.float64) -> Snapshot:
    mesh = Mesh(cells=(2, 1, 1), cell=(2e-9, 3e-9, 1e-9), mask=torch.tensor([[[True, False]]]))
    # What stands in the empty cell must not reach the file.
    m = torch.tensor([[0.0, 7.0], [0.6, math.nan], [-0.8, 7.0]], dtype=dtype).reshape(3, 1, 1, 2)
    return Snapshot(m=m, mesh=mesh, time=1.5e-9, title="two cells")


def written(folder: Path, content: bytes) -> Path:
    path = folder / "given.ovf"
    path.write_bytes(content)
    return path


def refused(folder: Path, content: bytes) -> str:
    """Return the sentence by which a file is refused, without the file's name."""
    path = written(folder, content)
    with pytest.raises(InputError) as caught:
        read_ovf(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"File `{path}`")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("encoding", DATA)
def test_writes_the_bytes_of_the_definition(tmp_path, encoding):
    path = tmp_path / "two.ovf"
    write_ovf(path, two_cells(), encoding)
    assert path.read_bytes() == HEADER + DATA[encoding] + END


@pytest.mark.parametrize("encoding", DATA)
def test_reads_the_bytes_of_the_definition(tmp_path, encoding):
    found = read_ovf(written(tmp_path, HEADER + DATA[encoding] + END))
    dtype = torch.float32 if encoding == "binary 4" else torch.float64
    assert torch.equal(found.m.flatten(1).T, torch.tensor(VALUES, dtype=dtype).reshape(2, 3))
    assert found.mesh.cells == (2, 1, 1)
    assert found.mesh.cell == (2e-9, 3e-9, 1e-9)
    assert found.mesh.occupied.flatten().tolist() == [True, False]
    assert (found.time, found.title) == (1.5e-9, "two cells")


def test_x_is_fastest_and_z_slowest(tmp_path):
    """Cell (x, y, z) of 2 × 3 × 4 cells is number x + 2y + 6z; its angle tells the number."""
    mesh = Mesh(cells=(2, 3, 4), cell=(1e-9, 1e-9, 1e-9))
    z, y, x = torch.meshgrid(*map(torch.arange, (4, 3, 2)), indexing="ij")
    angle = 0.01 * (x + 2 * y + 6 * z).double()
    m = torch.stack((angle.cos(), angle.sin(), torch.zeros_like(angle)))
    write_ovf(tmp_path / "a.ovf", Snapshot(m=m, mesh=mesh), "text")
    lines = (tmp_path / "a.ovf").read_text().splitlines()
    rows = np.array([line.split() for line in lines if not line.startswith("#")], dtype=float)
    assert np.arctan2(rows[:, 1], rows[:, 0]) == pytest.approx(0.01 * np.arange(24))


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    cells = draw(st.tuples(*[st.integers(1, 4)] * 3))
    size = st.floats(1e-11, 1e-6)
    shape = cells[::-1]
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    m = torch.randn(3, *shape, generator=generator, dtype=dtype)
    mask = torch.rand(shape, generator=generator) < draw(st.floats(0.2, 1))
    mask[0, 0, 0] = True
    words = st.text(st.characters(categories=("L", "N", "P")), max_size=8)
    title = " ".join(draw(st.lists(words, max_size=3)))
    return Snapshot(
        m=m / m.norm(dim=0),
        mesh=Mesh(cells=cells, cell=draw(st.tuples(size, size, size)), mask=mask),
        time=draw(st.floats(0, 1e-3)),
        title=" ".join(title.replace("#", "").split()),
    )


@given(snapshots(), st.sampled_from([None, "text", "binary 8"]))
def test_reads_back_what_it_wrote_to_the_last_bit(snapshot, encoding):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.ovf"
        write_ovf(path, snapshot, encoding)
        found = read_ovf(path)
    assert found.m.dtype == (snapshot.m.dtype if encoding is None else torch.float64)
    inside = torch.where(snapshot.mesh.occupied, snapshot.m, 0.0)
    # Nine digits name a float32 without doubt, though not all of them are its own.
    assert torch.equal(found.m.to(snapshot.m.dtype), inside)
    assert torch.equal(found.mesh.occupied, snapshot.mesh.occupied)
    assert (found.mesh.cells, found.mesh.cell) == (snapshot.mesh.cells, snapshot.mesh.cell)
    assert (found.time, found.title) == (snapshot.time, snapshot.title)


def test_four_bytes_keep_what_float32_keeps(tmp_path):
    write_ovf(tmp_path / "a.ovf", two_cells(), "binary 4")
    found = read_ovf(tmp_path / "a.ovf").m[:, 0, 0, 0]
    assert found.dtype == torch.float32
    assert found.tolist() == torch.tensor(VALUES[:3], dtype=torch.float32).tolist()


def test_without_an_empty_cell_there_is_no_mask(tmp_path):
    write_ovf(tmp_path / "a.ovf", Snapshot(m=torch.ones(3, 1, 1, 1), mesh=one_cell()))
    assert read_ovf(tmp_path / "a.ovf").mesh.mask is None


def one_cell() -> Mesh:
    return Mesh(cells=(1, 1, 1), cell=(1e-9, 1e-9, 1e-9))


def test_reads_a_header_in_the_manner_of_oommf(tmp_path):
    """Magnetisation in A/m, several `Desc`, remarks, other capitals, an origin, no time yet."""
    header = (
        HEADER.replace(b"# Title: two cells", b"#\n# Title: Oxs_MinDriver::Magnetization ## state")
        .replace(
            b"Total simulation time: 1.5e-09", b"Iteration: 3\n# Desc:  Total simulation time: -2"
        )
        .replace(b"xmin: 0.0", b"xmin: -2e-09")
        .replace(b"valueunits: 1 1 1", b"valueunits: A/m A/m A/m")
    )
    values = [8e5 * v for v in VALUES]
    data = b"# begin: DATA binary 8\n" + struct.pack("<7d", 123456789012345.0, *values)
    found = read_ovf(written(tmp_path, header + data + b"\n# end: data BINARY 8\n" + END))
    assert found.m[:, 0, 0, 0].tolist() == pytest.approx([0.0, 0.6, -0.8], abs=1e-15)
    assert found.m[:, 0, 0, 1].tolist() == [0.0, 0.0, 0.0]
    assert (found.time, found.title) == (0.0, "Oxs_MinDriver::Magnetization")


def test_reads_line_ends_of_windows_lengths_in_nanometres_and_a_bare_header(tmp_path):
    header = HEADER.replace(b"e-09", b"").replace(b"meshunit: m", b"meshunit: nm")
    kept = [line for line in header.splitlines() if b"min" not in line and b"max" not in line]
    data = b"# Begin: Data Text\n0 0.6 -0.8 \n0 0 0 \n# End: Data Text\n"
    found = read_ovf(written(tmp_path, (b"\n".join(kept) + b"\n" + data).replace(b"\n", b"\r\n")))
    assert found.mesh.cell[:2] == pytest.approx((2e-9, 3e-9), rel=1e-15)
    assert found.m[1, 0, 0, 0] == 0.6


REFUSALS = {
    "other file": (HEADER, b"P6 640 480", "first line must be `# OOMMF OVF 2.0`.*give an OVF file"),
    "old format": (b"OVF 2.0", b"OVF 1.0", "must be OVF 2.0, but is OVF 1.0; save it again"),
    "old mesh": (b"OOMMF OVF 2.0", b"OOMMF: rectangular mesh v1.0", "is OVF 1.0; save it again"),
    "segments": (b"count: 1", b"count: 2", "`Segment count` must be 1, but is 2; save one"),
    "irregular": (b"rectangular", b"irregular", "`meshtype` must be rectangular.*uniform mesh"),
    "scalar": (b"valuedim: 3", b"valuedim: 1", "`valuedim` must be 3, but is 1; save the magn"),
    "no nodes": (b"# ynodes: 1\n", b"", "`ynodes` must be given in the header, but is missing"),
    "no unit": (b"# meshunit: m\n", b"", "`meshunit` must be given"),
    "no dimension": (b"# valuedim: 3\n", b"", "`valuedim` must be given"),
    "odd unit": (b"meshunit: m", b"meshunit: furlong", "`meshunit` must be a length.*'furlong'"),
    "no cells": (b"xnodes: 2", b"xnodes: 0", "`xnodes` must be a positive whole number, .*'0'"),
    "half a cell": (b"xnodes: 2", b"xnodes: 1.5", "`xnodes` must be a positive whole .* '1.5'"),
    "negative": (b"zstepsize: 1e", b"zstepsize: -1e", "`zstepsize` must be a positive length"),
    "endless": (b"zstepsize: 1e-09", b"zstepsize: inf", "`zstepsize` must be a positive length"),
    "no number": (b"zstepsize: 1e-09", b"zstepsize: thin", "`zstepsize` must be .* is 'thin'"),
    "time": (b"1.5e-09 s", b"1.5e-09 m", "`Total simulation time` must be a time .*'1.5e-09 m'"),
    "more cells": (b"xnodes: 2", b"xnodes: 3", "must hold 9 values, but ends after 6; copy it"),
    "fewer cells": (b"xnodes: 2", b"xnodes: 1", "must hold 3 values, but holds 6; its header"),
    "vast": (b"xnodes: 2", b"xnodes: 99999999999999", "must hold 299999999999997 values, but"),
    "encoding": (b"Begin: Data Binary 8", b"Begin: Data Binary 2", "must be Text.*'binary 2'"),
    "no data": (b"# Begin: Data Binary 8", b"# Data", "`# Begin: Data` must be there"),
    "byte order": (
        struct.pack("<d", 123456789012345.0),
        struct.pack(">d", 123456789012345.0),
        "control value must be 123456789012345.0 in little-endian order",
    ),
    "not finite": (struct.pack("<d", 0.6), struct.pack("<d", math.inf), "finite, but 1 of 6"),
    "vacuum": (struct.pack("<2d", 0.6, -0.8), struct.pack("<2d", 0, 0), "hold a magnetic cell"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refuses_in_one_sentence(tmp_path, case):
    old, new, words = REFUSALS[case]
    good = HEADER + EIGHT + END
    assert old in good
    sentence = refused(tmp_path, good.replace(old, new))
    with pytest.raises(InputError, match=words):
        raise InputError(sentence)


def test_refuses_words_among_the_numbers(tmp_path):
    sentence = refused(tmp_path, HEADER + TEXT.replace(b"0 0 0", b"0 0 none") + END)
    assert "`Data` must be numbers" in sentence
    assert "none" in sentence


@pytest.mark.parametrize("encoding", DATA)
def test_no_cut_of_a_file_is_taken_for_the_whole(tmp_path, encoding):
    """A file that ends anywhere before its end mark is refused; so is an empty one."""
    content = HEADER + DATA[encoding]
    mark = content.index(b"# End: Data") + len(b"# End: Data")
    for length in (*range(0, len(HEADER), 11), *range(len(HEADER), mark)):
        refused(tmp_path, content[:length])
    assert read_ovf(written(tmp_path, content[:mark])).mesh.count == 1


@pytest.mark.parametrize("encoding, size", [("binary 4", 4), ("binary 8", 8)])
def test_says_how_many_values_a_cut_file_has(tmp_path, encoding, size):
    start = HEADER + DATA[encoding].partition(b"\n")[0] + b"\n"
    whole = HEADER + DATA[encoding]
    sentence = refused(tmp_path, whole[: len(start) + size * 5])
    assert "must hold 6 values, but ends after 4; copy it again" in sentence
    assert "ends after 0" in refused(tmp_path, start)


def test_text_says_how_many_values_a_cut_file_has(tmp_path):
    cut = HEADER + TEXT.partition(b"\n0 0 0")[0]
    assert "must hold 6 values, but ends after 3" in refused(tmp_path, cut)


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path):
    for path, words in ((tmp_path / "none.ovf", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError, match=f"File `{path}` must be readable, .*{words}"):
            read_ovf(path)


@given(st.data())
@settings(max_examples=200)
def test_a_damaged_file_is_read_or_refused(data):
    """Whatever three bytes become, the answer is a snapshot or one sentence, no other error."""
    content = bytearray(HEADER + data.draw(st.sampled_from(list(DATA.values()))) + END)
    for _ in range(3):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with TemporaryDirectory() as folder:
        path = written(Path(folder), bytes(content))
        with contextlib.suppress(InputError):
            lengths = read_ovf(path).m.norm(dim=0)
            assert bool(((lengths - 1).abs() < 1e-4).logical_or(lengths == 0).all())


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A path at which a write meets a full disk, by the file that is always full."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "a.ovf"
    write_ovf(path, two_cells())
    path.with_name("a.ovf.partial").symlink_to("/dev/full")
    return path


def test_a_full_disk_leaves_the_old_file_and_nothing_else(full_disk):
    old = full_disk.read_bytes()
    with pytest.raises(OSError, match="No space left"):
        write_ovf(full_disk, two_cells(torch.float32))
    assert [p.name for p in full_disk.parent.iterdir()] == ["a.ovf"]
    assert full_disk.read_bytes() == old


@pytest.mark.parametrize(
    "changes, words",
    [
        (
            {"m": torch.ones(3, 1, 2, 1)},
            r"\(3, 1, 1, 2\) of the mesh, but has shape \(3, 1, 2, 1\)",
        ),
        ({"m": torch.zeros(3, 1, 1, 2)}, "finite and not zero in every magnetic cell, .* 1 of 1"),
        ({"m": torch.full((3, 1, 1, 2), math.nan)}, "but is not in 1 of 1"),
        ({"time": math.inf}, "`time` must be finite, but is inf s"),
        ({"title": "two\nlines"}, "`title` must be one line"),
        ({"title": "a ## remark"}, "without `##`"),
    ],
)
def test_a_snapshot_refuses(changes, words):
    given = two_cells()
    fields = {"m": given.m, "mesh": given.mesh, "time": 0.0, "title": "m"}
    with pytest.raises(ValueError, match=words):
        Snapshot(**fields | changes)


SCRIPT = """
import json, pathlib, sys
import discretisedfield as df
folder = pathlib.Path(sys.argv[1])
found = {}
for path in sorted(folder.glob("*.ovf")):
    field = df.Field.from_file(path)
    found[path.stem] = [list(map(float, field.mesh.cell)), field.array.tolist()]
mesh = df.Mesh(p1=(-2e-9, 0, 0), p2=(2e-9, 9e-9, 4e-9), cell=(2e-9, 3e-9, 1e-9))
field = df.Field(mesh, nvdim=3, norm=8e5, value=lambda p: (p[0] + 3e-9, 2 * p[1], 3 * p[2]),
                 valid="norm", unit="A/m")
for name in ("txt", "bin4", "bin8"):
    field.to_file(folder / f"theirs_{name}.omf", representation=name)
found["theirs"] = [list(map(float, mesh.cell)), (field.array / 8e5).tolist()]
samples = pathlib.Path(df.__file__).parent / "tests" / "test_sample"
found["samples"] = {str(p): df.Field.from_file(p).orientation.array.tolist()
                    for name in ("mumax-bin4-linux.ovf", "mumax-txt-linux.ovf",
                                 "mumax-bin4-windows.ovf", "oommf-ovf2-txt.omf",
                                 "oommf-ovf2-bin4.omf", "oommf-ovf2-bin8.omf", "skyrmion-disk.omf")
                    if (p := samples / name).is_file()}
print(json.dumps(found))
"""


def by_cells(array: list) -> torch.Tensor:
    """Return Ubermag's x y z component in our order."""
    return torch.tensor(array, dtype=torch.float64).permute(3, 2, 1, 0)


@pytest.mark.skipif(not UBERMAG, reason="BAYESPIN_DISCRETISEDFIELD_PYTHON names no interpreter")
def test_ubermag_reads_our_files_and_we_read_ubermag_s(tmp_path):
    """discretisedfield in its own process; also files of OOMMF and mumax3 that it brings."""
    generator = torch.Generator().manual_seed(1)
    m = torch.randn(3, 4, 3, 5, generator=generator, dtype=torch.float64)
    mesh = Mesh(cells=(5, 3, 4), cell=(1.1e-9, 2e-9, 0.7e-9))
    ours = Snapshot(m=m / m.norm(dim=0), mesh=mesh, time=1e-9)
    for encoding in DATA:
        write_ovf(tmp_path / f"{encoding}.ovf", ours, encoding)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    command = [str(UBERMAG), "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for encoding in DATA:
        cell, array = found[encoding]
        assert cell == pytest.approx(mesh.cell, rel=1e-9)
        rounding = 1e-7 if encoding == "binary 4" else 0.0
        assert torch.allclose(by_cells(array), ours.m, rtol=0, atol=rounding)
    cell, array = found["theirs"]
    for name, rounding in (("txt", 1e-12), ("bin4", 1e-6), ("bin8", 1e-12)):
        read = read_ovf(tmp_path / f"theirs_{name}.omf")
        assert read.mesh.cell == pytest.approx(cell, rel=1e-9)
        assert torch.allclose(read.m.double(), by_cells(array), rtol=0, atol=rounding)
    for path, array in found["samples"].items():
        read = read_ovf(Path(path)).m.double()
        assert torch.allclose(read, by_cells(array), rtol=0, atol=2e-5), path
