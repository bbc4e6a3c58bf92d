"""Disks of cells at operating points of a junction: geometry, and how ratios are told apart."""

import dataclasses
import math

import pytest
import torch

from bayespin.physics.film.film import Film
from bayespin.physics.film_characterisation import (
    Ratio,
    disk_layer,
    disk_mesh,
    mesh_shape_anisotropy,
    ratio,
)
from bayespin.physics.free_layer import FreeLayer, shape_anisotropy
from bayespin.physics.sampling import Estimate

LAYER = FreeLayer(saturation_magnetisation=1e6, diameter=50e-9, thickness=2.2e-9, damping=0.1)


def test_a_disk_of_cells_has_the_shape_anisotropy_of_a_cylinder_but_for_its_staircase():
    """Finer cells come closer: 1.1 % at 4.2 nm, under 0.5 % at 1.25 nm; K_u is no part of it."""
    found = []
    for cell in (4.2e-9, 1.25e-9):
        mesh = disk_mesh(LAYER, cell)
        film = Film(
            mesh=mesh,
            saturation_magnetisation=1e6,
            exchange=1.2e-11,
            damping=0.1,
            uniaxial_anisotropy=5e5,
        )
        found.append(mesh_shape_anisotropy(film) / shape_anisotropy(disk_layer(LAYER, cell)) - 1)
    assert abs(found[0]) < 0.02
    assert abs(found[1]) < 0.005


def test_the_layer_of_a_disk_has_the_volume_of_its_cells():
    mesh, layer = disk_mesh(LAYER, 4.2e-9), disk_layer(LAYER, 4.2e-9)
    assert layer.volume == pytest.approx(mesh.count * mesh.cell_volume, rel=1e-12)
    assert dataclasses.replace(layer, diameter=LAYER.diameter) == LAYER


def test_ratios_add_errors_and_tell_what_they_show():
    one = torch.ones(3, dtype=torch.float64)
    over = Estimate(value=one * 0.9, standard_error=one * 0.009, effective_samples=one)
    under = Estimate(value=one, standard_error=one * 0.02, effective_samples=one)
    found = ratio(over, under)
    assert found.standard_error.tolist() == pytest.approx([0.9 * math.hypot(0.01, 0.02)] * 3)
    # 10 % at 2.2 % of error; 4 % is too little to matter; 10 % at 5 % is not shown.
    told = Ratio(
        value=torch.tensor([0.9, 0.96, 0.9]), standard_error=torch.tensor([2, 0.1, 5]) / 100
    )
    assert told.parted == [True, False, False]
