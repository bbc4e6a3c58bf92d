"""Moved and mirrored images: every pixel from where it is said to come, by the key alone."""

from dataclasses import replace

import pytest
import torch

from bayespin.network.architectures import mlp
from bayespin.network.augmentation import shifted_and_mirrored
from bayespin.network.training import Recipe, fit
from bayespin.nn.point import PointLayer
from bayespin.rng import Key

KEY = Key.root(5).child("augmentation")
RECIPE = Recipe(epochs=1, batch=8, learning_rate=1e-3)


def numbered(count: int, side: int = 9) -> torch.Tensor:
    """Return images whose pixels are all different, and none of them zero."""
    return torch.arange(1.0, count * 2 * side * side + 1).reshape(count, 2, side, side)


def moved(image: torch.Tensor, down: int, right: int, mirrored: int) -> torch.Tensor:
    """Return one image moved pixel by pixel."""
    found = torch.zeros_like(image)
    height, width = image.shape[-2:]
    for row in range(height):
        for column in range(width):
            r, c = row + down, (width - 1 - column if mirrored else column) + right
            if 0 <= r < height and 0 <= c < width:
                found[:, row, column] = image[:, r, c]
    return found


def test_every_image_is_one_of_the_moves_and_all_moves_occur():
    images, reach, seen = numbered(200, 4), 1, set()
    every = [(a, b, m) for a in (-1, 0, 1) for b in (-1, 0, 1) for m in (0, 1)]
    for image, found in zip(images, shifted_and_mirrored(images, KEY, reach), strict=True):
        fitting = [move for move in every if torch.equal(moved(image, *move), found)]
        assert len(fitting) == 1
        seen.add(fitting[0])
    assert seen == set(every)  # 18 moves; one is missing with a probability of 2e-4


def test_without_reach_images_are_mirrored_or_left():
    images = numbered(60)
    found = shifted_and_mirrored(images, KEY, 0)
    left = [torch.equal(a, b) for a, b in zip(images, found, strict=True)]
    turned = [torch.equal(a.flip(-1), b) for a, b in zip(images, found, strict=True)]
    assert all(a != b for a, b in zip(left, turned, strict=True))
    assert 15 < sum(turned) < 45
    with pytest.raises(ValueError, match="`reach` must not be negative"):
        shifted_and_mirrored(images, KEY, -1)


def test_a_key_names_its_draws():
    images = numbered(20)
    once = shifted_and_mirrored(images, KEY)
    assert torch.equal(shifted_and_mirrored(images, KEY), once)
    assert not torch.equal(shifted_and_mirrored(images, KEY.child("other")), once)


def trained(recipe: Recipe) -> torch.Tensor:
    images = numbered(16) / 3000
    network = mlp(KEY, (162, 3), PointLayer)
    fit(network, (images, torch.arange(16) % 3), recipe, KEY.child("fit"))
    return network.state_dict()["stages.dense1.weight"]


def test_training_sees_other_images_with_it_and_the_same_without():
    plain, again = trained(RECIPE), trained(replace(RECIPE, augmentation=None))
    assert torch.equal(plain, again)
    shifted = replace(RECIPE, augmentation="shift-mirror")
    assert not torch.equal(trained(shifted), plain)
    assert torch.equal(trained(shifted), trained(shifted))


def test_what_are_no_images_is_refused():
    recipe = replace(RECIPE, augmentation="shift-mirror")
    with pytest.raises(ValueError, match=r"must be images .* `augmentation`, but has the shape"):
        fit(mlp(KEY, (5, 3), PointLayer), (torch.zeros(4, 5), torch.zeros(4).long()), recipe, KEY)
