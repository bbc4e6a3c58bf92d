"""The demagnetising field against direct sums, energies, closed forms and symmetries."""

import itertools
import math

import pytest
import torch

from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.physics import free_layer
from bayespin.physics.film.demagnetisation import DemagnetisingField, demagnetising_tensor
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.newell import AXES, newell_tensor
from bayespin.rng import Key

CELL = (2e-9, 3e-9, 1.5e-9)
MESHES = [(8, 6, 3), (8, 7, 1), (1, 1, 1), (5, 1, 1), (1, 6, 1), (1, 1, 4), (1, 3, 4), (4, 1, 3)]
DOUBLE = torch.float64


def mesh(*cells, cell=CELL):
    return Mesh(cells=cells, cell=cell)


def magnetisation(mesh, *batch, dtype=DOUBLE):
    generator = Key.root(1).child("magnetisation").generator()
    values = torch.empty((*batch, 3, *mesh.shape), dtype=DOUBLE).normal_(generator=generator)
    return (values * 8e5).to(dtype)


def direct_sum(mesh, m):
    """H_i(r) = −∑_r' ∑_j N_ij(r − r') M_j(r'), cell by cell."""
    half = newell_tensor(mesh.cells, mesh.cell)
    field = torch.zeros_like(m)
    cells = list(itertools.product(*map(range, mesh.shape)))
    for here, there in itertools.product(cells, cells):
        offset = [a - b for a, b in zip(here, there, strict=True)]
        z, y, x = map(abs, offset)
        for c, (i, j) in enumerate(AXES):
            sign = math.copysign(1, offset[2 - i]) * math.copysign(1, offset[2 - j])
            n = half[c, z, y, x] * (sign if i != j else 1)
            field[:, i, *here] -= n * m[:, j, *there]
            if i != j:
                field[:, j, *here] -= n * m[:, i, *there]
    return VACUUM_PERMEABILITY * field


def dense(field):
    """−µ0 N as a matrix over (component, z, y, x)."""
    size = 3 * math.prod(field.mesh.shape)
    unit = torch.eye(size, dtype=DOUBLE).reshape(-1, 3, *field.mesh.shape)
    return field(unit).reshape(size, size).T


def relative(found, expected):
    return float((found.double() - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("cells", [(4, 3, 2), (5, 3, 1), (1, 1, 1), (1, 4, 1), (1, 3, 2)])
def test_direct_sum(cells):
    grid = mesh(*cells)
    m = magnetisation(grid, 2)
    assert relative(DemagnetisingField(grid)(m), direct_sum(grid, m)) < 1e-14


@pytest.mark.parametrize("cells", MESHES)
def test_the_convolution_of_the_tensor(cells):
    """The same sum, vectorised, on larger meshes: −µ0 ∑_r' N(r − r') M(r')."""
    grid = mesh(*cells)
    m = magnetisation(grid, 2)
    tensor = demagnetising_tensor(grid)
    full = torch.zeros_like(m)
    for z, y, x in itertools.product(*map(range, grid.shape)):
        window = tensor
        for dim, k, n in zip((1, 2, 3), (z, y, x), grid.shape, strict=True):
            window = window.narrow(dim, n - 1 - k, n)
        for c, (i, j) in enumerate(AXES):
            full[:, i] -= window[c] * m[:, j, z, y, x].reshape(-1, 1, 1, 1)
            if i != j:
                full[:, j] -= window[c] * m[:, i, z, y, x].reshape(-1, 1, 1, 1)
    found = DemagnetisingField(grid)(m)
    assert found.shape == m.shape
    assert relative(found, VACUUM_PERMEABILITY * full) < 1e-14


def test_reciprocity_bounds_and_trace_of_the_dense_operator():
    """N is symmetric, its energy lies between 0 and µ0 M²/2, and each cell has trace 1."""
    grid = mesh(5, 4, 2)
    n = dense(DemagnetisingField(grid)) / -VACUUM_PERMEABILITY
    torch.testing.assert_close(n, n.T, atol=1e-15, rtol=0)
    eigenvalues = torch.linalg.eigvalsh(n)
    assert eigenvalues.min() > 0
    assert eigenvalues.max() < 1
    # The local field of the cell itself, summed over the three axes.
    diagonal = n.diagonal().reshape(3, -1)
    torch.testing.assert_close(diagonal.sum(0), torch.ones(40, dtype=DOUBLE), atol=1e-14, rtol=0)


def test_one_cell_takes_the_field_of_its_shape():
    """B = −µ0 N M with N = 1/3 for a cube: a third of M, not of m."""
    cube = mesh(1, 1, 1, cell=(3e-9, 3e-9, 3e-9))
    m = torch.tensor([1e6, 0.0, -5e5], dtype=DOUBLE).reshape(3, 1, 1, 1)
    torch.testing.assert_close(DemagnetisingField(cube)(m), -VACUUM_PERMEABILITY * m / 3)


@pytest.mark.parametrize("thickness", [1e-9, 8e-9])
def test_the_middle_of_a_square_plate(thickness):
    """N_zz at the centre is (2/π) asin(1/(1 + t²/L²)), from the solid angle of both faces."""
    n, edge = 63, 63e-9
    plate = mesh(n, n, 1, cell=(edge / n, edge / n, thickness))
    m = torch.zeros((3, 1, n, n), dtype=DOUBLE)
    m[2] = 1e6
    field = DemagnetisingField(plate)(m)[..., n // 2, n // 2].flatten()
    factor = 2 / math.pi * math.asin(1 / (1 + (thickness / edge) ** 2))
    # A cell of finite size takes its mean over (d² + t²)/L² of the plate.
    width = ((edge / n) ** 2 + thickness**2) / edge**2
    assert -field[2] / (VACUUM_PERMEABILITY * 1e6) == pytest.approx(
        factor, abs=width * thickness / edge
    )
    assert field[:2].abs().max() < 1e-14


def test_an_endless_film_has_a_factor_of_one():
    """1 − N_zz tends to (2√2/π) t/L: it halves when the plate is twice as wide."""
    missing = []
    for n in (64, 128):
        m = torch.zeros((3, 1, n, n), dtype=DOUBLE)
        m[2] = 1
        field = DemagnetisingField(mesh(n, n, 1, cell=(4e-9, 4e-9, 1e-9)))(m)
        missing.append(1 + float(field[2, 0, n // 2, n // 2]) / VACUUM_PERMEABILITY)
    limit = 2 * math.sqrt(2) / math.pi / (4 * 128)
    assert missing[1] == pytest.approx(limit, rel=0.01)
    assert missing[0] / missing[1] == pytest.approx(2, rel=0.01)


def test_a_staircase_disk_tends_to_the_cylinder():
    """⟨N_zz⟩ and ⟨N_xx⟩ of a disk of cells against the closed form of Joseph (1966)."""
    diameter, thickness = 40e-9, 4e-9
    expected = torch.tensor(free_layer.demagnetising_factors(diameter, thickness), dtype=DOUBLE)
    errors = []
    for n in (10, 20, 40, 80):
        place = (torch.arange(n, dtype=DOUBLE) + 0.5) / n - 0.5
        inside = ((place**2 + place[:, None] ** 2) <= 0.25).double()
        field = DemagnetisingField(mesh(n, n, 1, cell=(diameter / n, diameter / n, thickness)))
        m = torch.zeros((2, 3, 1, n, n), dtype=DOUBLE)
        m[0, 0] = m[1, 2] = inside
        factors = -(field(m) * m).sum((1, 2, 3, 4)) / inside.sum() / VACUUM_PERMEABILITY
        errors.append(float((factors - expected).abs().max()))
    assert errors[0] < 0.02
    assert errors[-1] < 0.002
    assert errors[-1] < errors[0] / 5


def test_layers_add_up_to_a_thick_cell():
    """A column magnetised alike throughout has the mean field of one cell as high as itself."""
    thick, layered = mesh(8, 6, 1, cell=(2e-9, 3e-9, 3e-9)), mesh(8, 6, 3, cell=(2e-9, 3e-9, 1e-9))
    m = magnetisation(thick)
    field = DemagnetisingField(layered)(m.expand(-1, 3, -1, -1)).mean(1, keepdim=True)
    torch.testing.assert_close(field, DemagnetisingField(thick)(m), atol=1e-14, rtol=0)


def test_a_far_layer_feels_a_dipole():
    """B = µ0/(4π) (3(µ·r̂)r̂ − µ)/r³ for the moment µ = M V of one cell, 40 cells away."""
    grid = mesh(1, 31, 26, cell=(2e-9, 2e-9, 2e-9))
    m = torch.zeros((3, *grid.shape), dtype=DOUBLE)
    m[:, 0, 0, 0] = torch.tensor([3e5, -7e5, 5e5])
    r = torch.tensor([0, 30 * 2e-9, 25 * 2e-9], dtype=DOUBLE)
    moment = m[:, 0, 0, 0] * grid.cell_volume
    towards = r / r.norm()
    dipole = 3 * moment.dot(towards) * towards - moment
    expected = VACUUM_PERMEABILITY / (4 * math.pi) * dipole / r.norm() ** 3
    found = DemagnetisingField(grid)(m)[:, -1, -1, -1]
    torch.testing.assert_close(found, expected, atol=0, rtol=1e-5)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_turning_the_mesh_turns_the_field(order):
    grid = mesh(6, 4, 3)
    turned = mesh(*(grid.cells[a] for a in order), cell=tuple(CELL[a] for a in order))
    m = magnetisation(grid)
    dims = (0, *(3 - order[2 - d] for d in range(3)))

    def turn(values):
        return values[list(order)].permute(dims)

    assert relative(DemagnetisingField(turned)(turn(m)), turn(DemagnetisingField(grid)(m))) < 1e-14


@pytest.mark.parametrize("cells", MESHES)
def test_single_precision(cells):
    grid = mesh(*cells)
    m = magnetisation(grid, 4)
    found = DemagnetisingField(grid, torch.float32)(m.float())
    assert found.dtype == torch.float32
    # The worst cell, against µ0 M_s: about as much as the magnetisation itself is rounded.
    assert 1e-9 < relative(found, DemagnetisingField(grid)(m)) < 5e-7


def test_any_batch_linear_and_each_film_by_itself():
    grid = mesh(8, 6, 1)
    field = DemagnetisingField(grid)
    m = magnetisation(grid, 4, 5)
    together = field(m)
    for k, j in ((0, 0), (1, 2), (3, 4)):
        assert torch.equal(together[k, j], field(m[k, j]))
    assert torch.equal(field(m[:, :1]).squeeze(1), together[:, 0])
    sum_of_two = field(2 * m[0] - 3 * m[1])
    assert relative(sum_of_two, 2 * together[0] - 3 * together[1]) < 1e-14


def test_not_a_number_stays_in_its_film():
    grid = mesh(4, 3, 1)
    m = magnetisation(grid, 2)
    m[0, 1, 0, 1, 1] = torch.nan
    finite = DemagnetisingField(grid)(m).isfinite().flatten(1).all(1)
    assert finite.tolist() == [False, True]


def test_gradient():
    grid = mesh(3, 2, 2)
    field = DemagnetisingField(grid)
    m = (magnetisation(grid) / 8e5).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: field(m) / VACUUM_PERMEABILITY, (m,))


@pytest.mark.parametrize("cells, dtype", [((16, 16, 1), torch.float32), ((8, 6, 3), torch.float64)])
def test_memory_estimate(cells, dtype):
    """What torch's profiler counts at the worst moment of a call is what the estimate says."""
    field = DemagnetisingField(mesh(*cells), dtype)
    m = magnetisation(field.mesh, 20, dtype=dtype)
    field(m)
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profile:
        field(m)
    events = profile.profiler.kineto_results.events()
    peak = max(itertools.accumulate(e.nbytes() for e in events if e.name() == "[memory]"))
    assert 0.9 < peak / (field.memory_bytes(20) - field.memory_bytes(0)) < 1.1
