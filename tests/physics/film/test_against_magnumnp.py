"""Fields of a film against magnum.np 2.2, where it is installed elsewhere.

magnum.np is GPLv3, and its import sets torch's default dtype, device and seed: it runs in an
interpreter of its own, named by BAYESPIN_MAGNUMNP_PYTHON, and only numbers pass between the two.
"""

import os
import subprocess

import numpy as np
import pytest
import torch

from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.rng import Key

PYTHON = os.environ.get("BAYESPIN_MAGNUMNP_PYTHON")
pytestmark = pytest.mark.skipif(not PYTHON, reason="BAYESPIN_MAGNUMNP_PYTHON names no interpreter")

CELL = (2e-9, 3e-9, 1.5e-9)
CELLS = {"film": (16, 16, 1), "layers": (8, 6, 3), "disk": (16, 16, 1), "single": (1, 1, 1)}
MS, A, K, D, AXIS = 8e5, 1.3e-11, 4e5, 1.5e-3, (0.48, 0.6, 0.64)

SCRIPT = """
import sys
import numpy
import torch
from magnumnp import *

found = {"permeability": constants.mu_0}
given = numpy.load(sys.argv[1])
for case in sys.argv[3:]:
    read = lambda name: torch.from_numpy(given[case + "." + name])
    m = read("m")
    state = State(Mesh(tuple(m.shape[:3]), tuple(given["cell"].tolist())))
    state.material = {name: read(name) for name in ("Ms", "A", "Ku", "Di")}
    state.material["Ku_axis"] = given["axis"].tolist()
    state.m = m
    terms = {"exchange": ExchangeField(), "demagnetisation": DemagField(),
             "anisotropy": UniaxialAnisotropyField(), "dmi": InterfaceDMIField()}
    for name, term in terms.items():
        found[case + "." + name] = term.h(state).numpy()
numpy.savez(sys.argv[2], **found)
"""


def mask(case):
    nx, ny, nz = CELLS[case]
    inside = torch.ones((nz, ny, nx), dtype=torch.bool)
    if case == "disk":
        place = (torch.arange(16) + 0.5) / 16 - 0.5
        inside &= place**2 + place[:, None] ** 2 < 0.25
    return inside


def maps(case):
    """M_s, A and K cell by cell: smooth random maps, zero outside the disk."""
    generator = Key.root(2).child(case).generator()
    nx, ny, nz = CELLS[case]

    def varied():
        noise = torch.empty((nz, ny, nx), dtype=torch.float64).uniform_(generator=generator)
        return torch.where(mask(case), 0.5 + noise, 0.0)

    return MS * varied(), A * varied(), K * varied()


def magnetisation(case):
    nx, ny, nz = CELLS[case]
    generator = Key.root(2).child(case).child("m").generator()
    m = torch.empty((3, nz, ny, nx), dtype=torch.float64).normal_(generator=generator)
    return m / m.norm(dim=0) * mask(case)


def theirs(values):
    """From (… z y x) to their (x y z …)."""
    return values.movedim(0, -1).transpose(0, 2).contiguous().numpy()


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Their fields (A/m) by case and term in their layout, and the µ0 that they divided by."""
    folder = tmp_path_factory.mktemp("magnumnp")
    given = {"cell": np.array(CELL), "axis": np.array(AXIS)}
    for case in CELLS:
        density, exchange, anisotropy = maps(case)
        given[f"{case}.m"] = theirs(magnetisation(case))
        quantities = {"Ms": density, "A": exchange, "Ku": anisotropy, "Di": D * mask(case).double()}
        for name, values in quantities.items():
            given[f"{case}.{name}"] = theirs(values[None])
    np.savez(folder / "given.npz", **given)
    command = [PYTHON, "-c", SCRIPT, folder / "given.npz", folder / "found.npz", *CELLS]
    unset = ("PYTHONPATH", "PYTHONHOME")
    environment = {k: v for k, v in os.environ.items() if k not in unset}
    # Without the compiler that torch.compile would start: their functions run as they are written.
    environment |= {"TORCH_COMPILE_DISABLE": "1", "CUDA_DEVICE": "-1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    with np.load(folder / "found.npz") as file:
        return dict(file)


def ours(case, **terms):
    density, exchange, anisotropy = maps(case)
    film = Film(
        mesh=Mesh(cells=CELLS[case], cell=CELL, mask=mask(case)),
        saturation_magnetisation=density,
        exchange=exchange,
        damping=0.1,
        easy_axis=AXIS,
        uniaxial_anisotropy=anisotropy if "uniaxial" in terms else 0.0,
        interfacial_dmi=terms.get("dmi", 0.0),
        demagnetisation=terms.get("demagnetisation", "none"),
    )
    m = magnetisation(case)
    return film.linear_field(m)(m)


def agree(found, case, name, field, permeability):
    other = torch.from_numpy(found[f"{case}.{name}"]).transpose(0, 2).movedim(-1, 0) * float(
        permeability
    )
    inside = mask(case).expand(3, -1, -1, -1)
    size = other[inside].abs().max()
    assert size > 1e-3
    error = float((field - other)[inside].abs().max() / size)
    assert error < 1e-10, f"{case}, {name}: {error:.1e}"


@pytest.mark.parametrize("case", ["film", "layers", "disk"])
def test_exchange(found, case):
    agree(found, case, "exchange", ours(case), found["permeability"])


@pytest.mark.parametrize("case", ["film", "layers", "disk"])
def test_demagnetisation(found, case):
    field = ours(case, demagnetisation="newell") - ours(case)
    agree(found, case, "demagnetisation", field, VACUUM_PERMEABILITY)


@pytest.mark.parametrize("case", list(CELLS))
def test_anisotropy(found, case):
    agree(found, case, "anisotropy", ours(case, uniaxial=True) - ours(case), found["permeability"])


@pytest.mark.parametrize("case", ["film", "layers", "disk"])
def test_interfacial_dmi(found, case):
    """The same bonds; ours has in addition D²/(4A M_s) (n n·m + z m_z) at each free face."""
    inside, m = mask(case), magnetisation(case)
    density, exchange, _ = maps(case)
    strength = torch.where(inside, D**2 / (4 * exchange * density), 0.0)
    surface = torch.zeros_like(m)
    for component, dim in ((0, -1), (1, -2)):
        edge = torch.zeros_like(inside).narrow(dim, 0, 1)
        count = inside.shape[dim]
        padded = torch.cat((edge, inside, edge), dim)
        free = 2 - padded.narrow(dim, 0, count).double() - padded.narrow(dim, 2, count).double()
        surface[component] += strength * free * m[component]
        surface[2] += strength * free * m[2]
    field = ours(case, dmi=D) - ours(case) - surface
    agree(found, case, "dmi", field, found["permeability"])


def test_one_cell_is_wrong_there_and_right_here(found):
    """Version 2.2.0 leaves M_s out for a mesh of one cell: −N m instead of −N M_s m."""
    density, _, _ = maps("single")
    field = ours("single", demagnetisation="newell") - ours("single")
    agree(found, "single", "demagnetisation", field, VACUUM_PERMEABILITY * float(density))
