"""Shapes by their areas and symmetries; grains by their definition."""

import dataclasses
import math

import pytest
import torch

from bayespin.physics.film import geometry
from bayespin.physics.film.geometry import Ellipse, Notch, Track
from bayespin.physics.film.mesh import Mesh
from bayespin.rng import InjectedNoise, Key

BOX = Mesh(cells=(40, 20, 2), cell=(1e-9, 2e-9, 1e-9))


def area(fraction, mesh):
    return float(fraction[0].sum()) * mesh.cell[0] * mesh.cell[1]


def test_an_inscribed_ellipse_fills_its_area():
    """π a b/4; sampled edges are ten times closer to it than a staircase may be."""
    ellipse = geometry.inscribed_ellipse(BOX)
    exact = math.pi / 4 * 40e-9 * 40e-9
    mask = geometry.cells_inside(ellipse, BOX)
    assert area(mask.double(), BOX) == pytest.approx(exact, rel=0.02)
    fraction = geometry.filled_fraction(ellipse, BOX, least=0.0)
    assert area(fraction, BOX) == pytest.approx(exact, rel=0.002)
    assert torch.equal(mask[0], mask[1])


@pytest.mark.parametrize("count", [5, 10, 13, 26, 50])
def test_a_disk_has_the_symmetry_of_the_square(count):
    """Among these are disks with centres of cells exactly on the circle, (3, 4, 5) and others."""
    box = Mesh(cells=(count, count, 1), cell=(1e-9, 1e-9, 1e-9))
    disk = Ellipse(centre=(count * 0.5e-9, count * 0.5e-9), axes=(10e-9, 10e-9))
    mask = geometry.cells_inside(disk, box)[0]
    for image in (mask.flip(0), mask.flip(1), mask.T):
        assert torch.equal(mask, image)


def test_a_mask_makes_a_mesh():
    disk = geometry.cells_inside(geometry.inscribed_ellipse(BOX), BOX)
    assert dataclasses.replace(BOX, mask=disk).count == int(disk.sum()) < 1600


@pytest.mark.parametrize(
    "profile, edges, removed",
    [("triangular", "both", 1.0), ("triangular", "upper", 0.5), ("round", "both", math.pi / 2),
     ("round", "lower", math.pi / 4)],
)  # fmt: skip
def test_a_notch_removes_its_area(profile, edges, removed):
    """d w/2 per triangular cut, π d w/4 per round one, and only at its place and edge."""
    notch = Notch(position=15e-9, depth=8e-9, width=12e-9, profile=profile, edges=edges)
    track = Track(length=40e-9, width=40e-9, notches=(notch,))
    fraction = geometry.filled_fraction(track, BOX, samples=16, least=0.0)
    assert 40e-9 * 40e-9 - area(fraction, BOX) == pytest.approx(removed * 96e-18, rel=0.01)
    assert bool((fraction[:, :, :9] == 1).all() and (fraction[:, :, 21:] == 1).all())
    if edges != "both":
        untouched = slice(0, 10) if edges == "upper" else slice(10, 20)
        assert bool((fraction[:, untouched] == 1).all())


def test_a_notched_track_keeps_its_mirror_symmetry():
    """Edges through the centres of cells: rounding must not decide."""
    notch = Notch(position=20e-9, depth=10e-9, width=20e-9)
    mask = geometry.cells_inside(Track(length=40e-9, width=40e-9, notches=(notch,)), BOX)
    assert torch.equal(mask, mask.flip(-1))
    assert torch.equal(mask, mask.flip(-2))
    assert int((~mask).sum()) == pytest.approx(2 * 100, abs=20)  # of 2 layers of 2 nm² cells


def test_the_neck_is_the_least_width():
    notches = (
        Notch(position=10.003e-9, depth=5e-9, width=6e-9),
        Notch(position=10.003e-9, depth=7e-9, width=4e-9, edges="lower"),
        Notch(position=30e-9, depth=9e-9, width=6e-9, edges="upper"),
    )
    track = Track(length=40e-9, width=20e-9, notches=notches)
    assert track.neck == pytest.approx(8e-9, rel=1e-12)
    assert Track(length=40e-9, width=20e-9).neck == 20e-9


@pytest.mark.parametrize(
    "make, sentence",
    [
        (lambda: Notch(position=0.0, depth=-1e-9, width=1e-9), "`depth` must be positive"),
        (lambda: Notch(position=0.0, depth=1e-9, width=0.0), "`width` must be positive"),
        (lambda: Track(length=math.inf, width=1e-9), "`length` must be positive"),
        (lambda: Ellipse(centre=(0.0, 0.0), axes=(1e-9, 0.0)), "`axes` must be positive"),
        (
            lambda: Track(
                length=40e-9, width=20e-9, notches=(Notch(position=5e-9, depth=1e-8, width=1e-8),)
            ),
            "`notches` must leave a neck, but cut 20 nm of track through",
        ),
        (lambda: geometry.filled_fraction(Track(length=1e-9, width=1e-9), BOX, 0), "`samples`"),
        (lambda: geometry.filled_fraction(Track(length=1e-9, width=1e-9), BOX, 2, 1.5), "`least`"),
        (
            lambda: geometry.grains(BOX, 1e-9, Key.root(1).generator()),
            "`size` must be at least a cell, 2 nm, but is 1 nm",
        ),
    ],
)
def test_bad_shapes_are_refused_in_one_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


def test_cells_that_are_hardly_filled_are_emptied():
    track = Track(length=40e-9, width=40e-9 * 0.5 + 0.25e-9)
    fraction = geometry.filled_fraction(track, BOX, least=0.1)
    assert fraction[0, :, 0].tolist() == [1.0] * 10 + [0.125] + [0.0] * 9
    emptied = geometry.filled_fraction(track, BOX, least=0.2)
    assert emptied[0, :, 0].tolist() == [1.0] * 10 + [0.0] * 10


def test_a_grain_holds_the_cells_nearest_to_its_point():
    size, key = 6e-9, Key.root(2).child("grains")
    found = geometry.grains(BOX, size, key.generator())
    box = torch.tensor([40e-9 + 2 * size, 40e-9 + 2 * size], dtype=torch.float64)
    count = round(float(box.prod()) / size**2)
    points = torch.rand((count, 2), dtype=torch.float64, generator=key.generator()) * box - size
    cells = torch.cartesian_prod(BOX.centres(1), BOX.centres(0)).flip(-1)
    nearest = torch.cdist(cells, points).argmin(1).reshape(20, 40)
    assert torch.equal(found[0], found[1])
    assert found.unique().tolist() == list(range(int(found.max()) + 1))
    pairs = torch.stack((found[0].flatten(), nearest.flatten()), 1).unique(dim=0)
    assert len(pairs) == len(pairs[:, 0].unique()) == len(pairs[:, 1].unique())


def test_grains_have_the_mean_area_asked_for():
    """One point per size²: 400 nm² per grain on 1 µm². Grains cut by the edge count one half.

    A Poisson number of 2500 grains has 2 % of scatter, allowed for threefold.
    """
    mesh = Mesh(cells=(250, 250, 1), cell=(4e-9, 4e-9, 1e-9))
    found = geometry.grains(mesh, 20e-9, Key.root(4).generator())[0]
    edge = torch.cat((found[0], found[-1], found[:, 0], found[:, -1])).unique()
    number = len(found.unique()) - len(edge) / 2
    assert number == pytest.approx(2500, rel=0.06)


def test_every_grain_has_one_value_of_its_own():
    """K = mean (1 + spread ξ), ξ in the order of the grains."""
    grains = torch.tensor([[[0, 2], [1, 2]]])
    noise = InjectedNoise([torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)])
    values = geometry.spread_over_grains(grains, 1e6, 0.1, noise)
    assert values.flatten().tolist() == pytest.approx([1.1e6, 1.05e6, 0.8e6, 1.05e6])
