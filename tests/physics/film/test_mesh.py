"""The grid, its refusals, and the warning for cells that are too coarse."""

import math
import warnings

import pytest
import torch

from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.physics.film.mesh import Mesh, check_cell, exchange_length, links

CELLS, CELL = (4, 3, 2), (2e-9, 3e-9, 1.5e-9)


def test_sizes_of_a_mesh_with_unequal_cells():
    mesh = Mesh(cells=CELLS, cell=CELL)
    assert mesh.shape == (2, 3, 4)
    assert mesh.extent == pytest.approx((8e-9, 9e-9, 3e-9))
    assert mesh.cell_volume == pytest.approx(9e-27)
    assert mesh.count == 24
    assert mesh.centres(0).tolist() == pytest.approx([1e-9, 3e-9, 5e-9, 7e-9])
    assert mesh.centres(2).tolist() == pytest.approx([0.75e-9, 2.25e-9])


def test_a_mask_tells_which_cells_are_magnetic():
    mask = torch.zeros((2, 3, 4), dtype=torch.bool)
    mask[1, 2, 1:3] = True
    mesh = Mesh(cells=CELLS, cell=CELL, mask=mask)
    assert mesh.count == 2
    assert torch.equal(mesh.occupied, mask)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"cells": (4, 0, 2)}, r"`cells` must be at least 1 .* but is \(4, 0, 2\)"),
        ({"cell": (2e-9, -3e-9, 1e-9)}, r"`cell` must be positive .* but is"),
        ({"cell": (2e-9, math.inf, 1e-9)}, r"`cell` must be positive"),
        ({"cell": (2e-9, math.nan, 1e-9)}, r"`cell` must be positive"),
        ({"mask": torch.ones((4, 3, 2), dtype=torch.bool)}, r"\(2, 3, 4\) .* shape \(4, 3, 2\)"),
        ({"mask": torch.zeros((2, 3, 4), dtype=torch.bool)}, "at least one magnetic cell"),
    ],
)
def test_a_bad_mesh_is_refused_in_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Mesh(**({"cells": CELLS, "cell": CELL} | changes))


def test_links_join_magnetic_neighbours():
    occupied = torch.tensor([[[True, True, False, True]], [[True, True, True, True]]])
    assert links(occupied, 0).tolist() == [[[True, False, False]], [[True, True, True]]]
    assert links(occupied, 1).numel() == 0
    assert links(occupied, 2).tolist() == [[[True, True, False, True]]]


def test_exchange_length_of_permalloy():
    """l_ex = √(2A/(µ0 M_s²)): 5.69 nm; it turns a stray-field energy into an exchange energy."""
    length = exchange_length(13e-12, 8e5)
    assert length == pytest.approx(5.69e-9, abs=5e-12)
    assert 13e-12 / length**2 == pytest.approx(VACUUM_PERMEABILITY * 8e5**2 / 2, rel=1e-12)


@pytest.mark.parametrize(
    "cell, anisotropy, sentence",
    [
        (6e-9, 0.0, "exchange length, 5.69 nm, but is 6 nm"),
        (5e-9, 7e5, r"wall width √\(A/K\), 4.31 nm, but is 5 nm"),
        (5e-9, -7e5, "4.31 nm"),
    ],
)
def test_a_coarse_cell_is_named_with_the_length_that_it_exceeds(cell, anisotropy, sentence):
    mesh = Mesh(cells=(4, 4, 1), cell=(2e-9, cell, 20e-9))
    with pytest.warns(UserWarning, match=sentence):
        check_cell(mesh, 13e-12, 8e5, anisotropy)


def test_cells_that_resolve_the_film_pass_in_silence():
    """Axes of one cell do not count, nor do cells without magnet or without exchange."""
    mask = torch.tensor([[[True, True, False]]])
    mesh = Mesh(cells=(3, 1, 1), cell=(4e-9, 50e-9, 20e-9), mask=mask)
    stiffness = torch.tensor([[[13e-12, 0.0, 1e-15]]], dtype=torch.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_cell(mesh, stiffness, 8e5, 7e5)
        check_cell(Mesh(cells=(1, 1, 1), cell=(50e-9, 50e-9, 50e-9)), 13e-12, 8e5)


def test_the_finest_region_of_a_map_decides():
    density = torch.tensor([[[4e5, 16e5]]], dtype=torch.float64)
    mesh = Mesh(cells=(2, 1, 1), cell=(4e-9, 4e-9, 4e-9))
    with pytest.warns(UserWarning, match="exchange length, 2.84 nm, but is 4 nm"):
        check_cell(mesh, 13e-12, density)
