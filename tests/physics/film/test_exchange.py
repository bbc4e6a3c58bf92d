"""Exchange and interfacial DMI against formulas, energies and symmetries."""

import itertools
import math

import pytest
import torch

from bayespin.physics.film.exchange import exchange_field, exchange_stencil
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.texture import wall
from bayespin.rng import Key

A, MS, D = 1.3e-11, 8e5, 2e-3
CELL = (2e-9, 3e-9, 1.5e-9)


def random(*shape, name="m"):
    generator = Key.root(3).child(name).generator()
    return torch.empty(shape, dtype=torch.float64).normal_(generator=generator)


def along(values, axis):
    """A profile as a map z y x that varies along x (0), y (1) or z (2)."""
    return values.reshape(tuple(-1 if axis == 2 - i else 1 for i in range(3)))


def ragged(shape=(2, 4, 5)):
    """A mask with holes, notches and a lone cell."""
    mask = torch.ones(shape, dtype=torch.bool)
    mask[0, 1, 2] = mask[:, 0, 3] = mask[1, 2:, 0] = False
    mask[:, 3, 3] = mask[0, 2, 4] = mask[1, 3, 4] = mask[:, 2, 4] = False
    return mask


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_field_of_a_spiral(axis):
    """m = (cos kx, sin kx, 0) has B = −(2A/M_s)(2 − 2 cos kd)/d² m, exactly, inside."""
    cells = [1, 1, 1]
    cells[axis] = 20
    mesh = Mesh(cells=tuple(cells), cell=CELL)
    d, k = CELL[axis], 0.3 / CELL[axis]
    phase = k * mesh.centres(axis)
    m = torch.stack([along(f, axis) for f in (phase.cos(), phase.sin(), 0 * phase)])
    field = exchange_field(m, mesh, A, MS)
    expected = -2 * A / MS * (2 - 2 * math.cos(k * d)) / d**2 * m
    inner = [slice(None)] * 4
    inner[-1 - axis] = slice(1, -1)
    torch.testing.assert_close(field[tuple(inner)], expected[tuple(inner)], rtol=1e-12, atol=1e-12)


def test_field_of_a_standing_wave_up_to_the_edges():
    """With free ends cos(πn(i + ½)/N) is a mode: B = −(2A/M_s) ∑_a (2 − 2 cos(πn_a/N_a))/d_a² m."""
    cells, numbers = (7, 5, 3), (3, 2, 1)
    mesh = Mesh(cells=cells, cell=CELL)
    wave, stiffness = torch.ones(mesh.shape, dtype=torch.float64), 0.0
    for axis, (count, number) in enumerate(zip(cells, numbers, strict=True)):
        phase = math.pi * number / count
        index = torch.arange(count, dtype=torch.float64)
        wave = wave * along((phase * (index + 0.5)).cos(), axis)
        stiffness += (2 - 2 * math.cos(phase)) / CELL[axis] ** 2
    m = torch.tensor([1.0, 0.5, -2.0], dtype=torch.float64).reshape(3, 1, 1, 1) * wave
    field = exchange_field(m, mesh, A, MS)
    torch.testing.assert_close(field, -2 * A / MS * stiffness * m, rtol=1e-10, atol=1e-9)


def test_a_jump_couples_by_the_harmonic_mean():
    """B_i = (2/M_s,i) · 2A_iA_j/(A_i + A_j) · (m_j − m_i)/d²."""
    mesh = Mesh(cells=(2, 1, 1), cell=CELL)
    stiffness, density = along(torch.tensor([1e-11, 3e-11]), 0), along(torch.tensor([8e5, 4e5]), 0)
    m = random(3, 1, 1, 2)
    field = exchange_field(m, mesh, stiffness.double(), density.double())
    step = 2 * 1.5e-11 * (m[..., 1] - m[..., 0]) / CELL[0] ** 2
    torch.testing.assert_close(field[..., 0], step / 8e5)
    torch.testing.assert_close(field[..., 1], -step / 4e5)


def test_cells_without_exchange_are_free():
    mesh = Mesh(cells=(4, 1, 1), cell=CELL)
    stiffness = along(torch.tensor([1e-11, 0.0, 0.0, 1e-11], dtype=torch.float64), 0)
    assert torch.equal(
        exchange_field(random(3, 1, 1, 4), mesh, stiffness, MS),
        torch.zeros((3, 1, 1, 4), dtype=torch.float64),
    )


def neighbour(cell, axis, direction, mesh):
    """The magnetic cell beside one, or None at a free face."""
    other = list(cell)
    other[2 - axis] += direction
    inside = 0 <= other[2 - axis] < mesh.shape[2 - axis]
    return tuple(other) if inside and mesh.occupied[tuple(other)] else None


def explicit_energy(m, mesh, stiffness, dmi):
    """E bond by bond and face by face, in plain loops.

    V [A_ij |m_j − m_i|² + D d (m_z,i m_a,j − m_a,i m_z,j)]/d² for a bond along a, and
    −(D²V/8A_i)(m_a² + m_z²) for a free face.
    """
    energy = 0.0
    axes = [axis for axis in range(3) if mesh.cells[axis] > 1]
    faces = itertools.product(mesh.occupied.nonzero().tolist(), axes, (1, -1))
    for cell, axis, direction in faces:
        other = neighbour(cell, axis, direction, mesh)
        stiff, one, size = stiffness[tuple(cell)], m[(slice(None), *cell)], mesh.cell[axis]
        if other is None:
            if axis < 2:
                energy = energy - dmi**2 / (8 * stiff) * (one[axis] ** 2 + one[2] ** 2)
        elif direction == 1:
            two = m[(slice(None), *other)]
            pair = 2 / (1 / stiff + 1 / stiffness[other])
            energy = energy + pair * (two - one).square().sum() / size**2
            if axis < 2:
                energy = energy + dmi / size * (one[2] * two[axis] - one[axis] * two[2])
    return energy * mesh.cell_volume


@pytest.mark.parametrize("dmi", [0.0, D])
def test_the_field_is_the_slope_of_the_energy(dmi):
    """B = −(1/(M_s V)) ∂E/∂m, and E = −½ ∑ M_s V m·B; zero in vacuum, whatever m is there."""
    mesh = Mesh(cells=(5, 4, 2), cell=CELL, mask=ragged())
    stiffness = A * (1 + random(*mesh.shape, name="A").square())
    density = MS * (1 + random(*mesh.shape, name="Ms").square())
    m = random(3, *mesh.shape).requires_grad_()
    energy = explicit_energy(m, mesh, stiffness, dmi)
    (slope,) = torch.autograd.grad(energy, m)
    field = exchange_field(m.detach(), mesh, stiffness, density, dmi)
    expected = torch.where(mesh.occupied, -slope / (density * mesh.cell_volume), 0.0)
    torch.testing.assert_close(field, expected, rtol=1e-10, atol=1e-10)
    total = -mesh.cell_volume / 2 * (density * (m.detach() * field).sum(0)).sum()
    assert float(total) == pytest.approx(float(energy.detach()), rel=1e-10)


def wall_energy(d, dmi, angle, polarity=1):
    """Exchange and DMI energy of a wall of width Δ, per area."""
    width = 5e-9
    mesh = Mesh(cells=(round(30 * width / d), 1, 1), cell=(d, 1e-9, 1e-9))
    m = wall(mesh, 15 * width, width, angle, polarity)
    return float(-MS / 2 * d * (m * exchange_field(m, mesh, A, MS, dmi)).sum()), 2 * A / width


def test_energy_of_a_wall_profile():
    """∫ A m'² = 2A/Δ, half of 4√(AK) for Δ = √(A/K); of second order in d."""
    (coarse, exact), (fine, _) = wall_energy(1e-9, 0.0, 0.0), wall_energy(0.5e-9, 0.0, 0.0)
    assert fine == pytest.approx(exact, rel=1e-3)
    assert (coarse - exact) / (fine - exact) == pytest.approx(4, rel=0.02)


@pytest.mark.parametrize(
    "angle, polarity, sign",
    [(0.0, 1, 1), (math.pi, 1, -1), (0.0, -1, -1), (math.pi / 2, 1, 0), (-math.pi / 2, -1, 0)],
)
def test_dmi_of_a_wall(angle, polarity, sign):
    """∫ D (m_z m_x' − m_x m_z') = πD cos φ for |up|down>: D > 0 favours −x there, +x in |down|up>.

    The ends of the track add the energy of their surfaces, −D²d/(8A) each, where m = ±z.
    """
    energy, exchange = wall_energy(0.25e-9, D, angle, polarity)
    surfaces = -2 * D**2 * 0.25e-9 / (8 * A)
    assert energy - exchange - surfaces == pytest.approx(sign * math.pi * D, abs=2e-3 * D)


def test_surfaces_with_dmi_are_of_second_order():
    """The spiral m' = −(D/2A) ŷ × m meets ∂m/∂n = −(D/2A)(z×n)×m at both ends.

    Its energy density is −(D²/4A)(m_x² + m_z²). Without the surface term, or with twice of it, the
    error would halve with d instead of falling to a quarter.
    """
    length, part = 60e-9, 0.6
    exact = -(D**2) / (4 * A) * part**2

    def error(count):
        mesh = Mesh(cells=(count, 1, 1), cell=(length / count, 1e-9, 1e-9))
        phase = -D / (2 * A) * mesh.centres(0).reshape(1, 1, -1)
        still = torch.full_like(phase, math.sqrt(1 - part**2))
        m = torch.stack((part * phase.sin(), still, part * phase.cos()))
        return float(-MS / 2 * (m * exchange_field(m, mesh, A, MS, D)).sum() / count) - exact

    assert abs(error(60)) < 2e-3 * abs(exact)
    assert error(30) / error(60) == pytest.approx(4, rel=0.02)


def test_axes_may_be_exchanged():
    """Exchange does not know the axes' names: permuted cells give the permuted field."""
    mesh = Mesh(cells=(5, 4, 2), cell=CELL, mask=ragged())
    m = random(3, *mesh.shape)
    field = exchange_field(m, mesh, A, MS)
    for order in itertools.permutations(range(3)):  # new axis a is old axis order[a]
        spatial = [2 - order[2 - i] for i in range(3)]
        turned = Mesh(
            cells=tuple(mesh.cells[a] for a in order),
            cell=tuple(mesh.cell[a] for a in order),
            mask=mesh.occupied.permute(spatial),
        )
        dims = [0, *(1 + i for i in spatial)]
        found = exchange_field(m.permute(dims), turned, A, MS)
        torch.testing.assert_close(found, field.permute(dims), rtol=1e-13, atol=0)


def test_dmi_turns_with_the_film():
    """A quarter turn about z of cells and vectors turns the field: x, y → y, −x."""
    mesh = Mesh(cells=(5, 4, 2), cell=CELL, mask=ragged())
    (nx, ny, nz), (dx, dy, dz) = mesh.cells, mesh.cell

    def turned(vectors):
        rotated = vectors.rot90(-1, (-2, -1))
        return torch.stack((-rotated[1], rotated[0], rotated[2]))

    # Rows count upwards, so that rot90 by −1 in (y, x) is a turn by +90° about z.
    mask = mesh.occupied.rot90(-1, (-2, -1))
    other = Mesh(cells=(ny, nx, nz), cell=(dy, dx, dz), mask=mask)
    m = random(3, *mesh.shape)
    found = exchange_field(turned(m), other, A, MS, D)
    torch.testing.assert_close(
        found, turned(exchange_field(m, mesh, A, MS, D)), rtol=1e-12, atol=1e-12
    )


def test_a_mask_is_the_smaller_mesh():
    """Vacuum around a film changes nothing, nor does zero M_s in place of a mask."""
    small = Mesh(cells=(4, 3, 1), cell=CELL)
    mask = torch.zeros((1, 5, 7), dtype=torch.bool)
    mask[:, 1:4, 2:6] = True
    large = Mesh(cells=(7, 5, 1), cell=CELL, mask=mask)
    m = random(3, 1, 5, 7)
    expected = exchange_field(m[:, :, 1:4, 2:6], small, A, MS, D)
    found = exchange_field(m, large, A, MS, D)
    assert torch.equal(found[:, :, 1:4, 2:6], expected)
    assert not found[:, ~mask].any()
    bare = Mesh(cells=(7, 5, 1), cell=CELL)
    assert torch.equal(exchange_field(m, bare, A, MS * mask.double(), D), found)


def test_the_field_is_linear_and_its_operator_symmetric():
    mesh = Mesh(cells=(5, 4, 2), cell=CELL, mask=ragged())
    density = MS * (1 + random(*mesh.shape, name="Ms").square())
    field = exchange_stencil(mesh, A, density, D, density)
    m, n = random(3, *mesh.shape), random(3, *mesh.shape, name="n")
    combined = 0.3 * field(m) - 2 * field(n)
    torch.testing.assert_close(field(0.3 * m - 2 * n), combined, rtol=1e-10, atol=1e-10)
    there, back = (float((a * field(b) * density).sum()) for a, b in ((n, m), (m, n)))
    assert there == pytest.approx(back, rel=1e-10)


def test_a_replica_alone_is_that_of_the_batch():
    mesh = Mesh(cells=(5, 4, 2), cell=CELL, mask=ragged())
    m = random(2, 3, 3, *mesh.shape)
    batch = exchange_field(m, mesh, A, MS, D)
    assert torch.equal(batch[1, 2], exchange_field(m[1, 2], mesh, A, MS, D))


def test_single_precision_follows_double():
    mesh = Mesh(cells=(5, 4, 2), cell=CELL, mask=ragged())
    m = random(3, *mesh.shape)
    exact = exchange_field(m, mesh, A, MS, D)
    found = exchange_field(m.float(), mesh, A, MS, D)
    assert found.dtype == torch.float32
    assert 1e-9 < float((found - exact).abs().max() / exact.abs().max()) < 1e-6


def test_dmi_without_exchange_is_refused():
    mesh = Mesh(cells=(2, 1, 1), cell=CELL)
    stiffness = along(torch.tensor([1e-11, 0.0], dtype=torch.float64), 0)
    m = random(3, 1, 1, 2)
    with pytest.raises(ValueError, match="`exchange` must be positive in every magnetic cell"):
        exchange_field(m, mesh, stiffness, MS, D)
    bounded = Mesh(cells=(2, 1, 1), cell=CELL, mask=stiffness > 0)
    assert exchange_field(m, bounded, stiffness, MS, D).isfinite().all()
