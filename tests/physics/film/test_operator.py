"""One linear field in three forms: each must be the map it was made from."""

import pytest
import torch

from bayespin.physics.film.film import Film
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.operator import (
    DENSE_CELLS,
    Dense,
    Direct,
    Mirrored,
    linear_field,
    mirrored_blocks,
)
from bayespin.rng import Key

DOUBLE = torch.zeros((), dtype=torch.float64)


def film(cells=(8, 6, 1), mask=None, **changes):
    parameters = {
        "mesh": Mesh(cells=cells, cell=(2e-9, 3e-9, 1.5e-9), mask=mask),
        "saturation_magnetisation": 1e6,
        "exchange": 1.3e-11,
        "damping": 0.02,
        "uniaxial_anisotropy": 7e5,
        "interfacial_dmi": 1e-3,
    }
    return Film(**(parameters | changes))


def random(film, batch=3, dtype=torch.float64):
    generator = Key.root(1).child("m").generator()
    m = torch.empty((batch, 3, *film.mesh.shape), dtype=dtype).normal_(generator=generator)
    return m / m.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("evaluation", ["direct", "dense", "mirrored"])
@pytest.mark.parametrize("cells", [(8, 6, 1), (4, 6, 2)])
def test_every_form_is_the_same_map(evaluation, cells):
    wall = film(cells)
    m = random(wall)
    expected = wall.linear_field(m)(m)
    found = linear_field(wall.linear_field, wall.mesh, DOUBLE, evaluation)
    size = float(expected.abs().max())
    torch.testing.assert_close(found(m, None), expected, atol=1e-13 * size, rtol=0)
    torch.testing.assert_close(found(m, m), expected + m, atol=1e-13 * size, rtol=0)
    uniform = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64).reshape(3, 1, 1, 1)
    torch.testing.assert_close(found(m, uniform), expected + uniform, atol=1e-13 * size, rtol=0)


@pytest.mark.parametrize("evaluation", ["dense", "mirrored"])
def test_single_precision(evaluation):
    wall = film()
    m = random(wall)
    found = linear_field(wall.linear_field, wall.mesh, DOUBLE.float(), evaluation)(m.float(), None)
    expected = wall.linear_field(m)(m)
    error = (found - expected).abs().max() / expected.abs().max()
    assert 1e-9 < float(error) < 1e-6


def test_a_symmetric_mask_keeps_the_mirrors_and_a_lopsided_one_breaks_them():
    mask = torch.ones((1, 6, 8), dtype=torch.bool)
    mask[:, (0, -1), 2:6] = False
    assert mirrored_blocks(film(mask=mask).linear_field(DOUBLE), film().mesh, "cpu") is not None
    mask[0, 0, 0] = False
    assert mirrored_blocks(film(mask=mask).linear_field(DOUBLE), film().mesh, "cpu") is None


def test_a_tilted_easy_axis_breaks_the_mirrors():
    tilted = film(easy_axis=(0.6, 0.0, 0.8))
    assert mirrored_blocks(tilted.linear_field(DOUBLE), tilted.mesh, "cpu") is None


def test_the_choice_follows_size_and_symmetry():
    small, large = film(), film((24, 18, 1))
    assert DENSE_CELLS < 24 * 18
    odd, huge = film((21, 20, 1)), Mesh(cells=(64, 64, 1), cell=(1e-9, 1e-9, 1e-9))

    def chosen(film):
        return type(linear_field(film.linear_field, film.mesh, DOUBLE))

    assert (chosen(small), chosen(large), chosen(odd)) == (Dense, Mirrored, Direct)
    assert type(linear_field(small.linear_field, huge, DOUBLE)) is Direct


def test_mirrored_by_name_needs_the_symmetry():
    odd = film((7, 6, 1))
    with pytest.raises(ValueError, match="mirror"):
        linear_field(odd.linear_field, odd.mesh, DOUBLE, "mirrored")


def test_a_film_alone_is_multiplied_like_one_of_several():
    """One row would be a matrix times a vector, whose bits change with the number of threads."""
    one = film()
    dense = linear_field(one.linear_field, one.mesh, DOUBLE.float(), "dense")
    m = random(one, 2, torch.float32)
    both = dense(m[:1].expand(2, -1, -1, -1, -1), m[:1])
    assert torch.equal(dense(m[:1], m[:1])[0], both[0])
    assert torch.equal(dense(m[0], m[0]), both[0])
