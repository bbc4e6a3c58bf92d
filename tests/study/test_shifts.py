"""Shifts against exact turns, laws of the noise, and what a ladder must leave as it is."""

import math

import pytest
import torch
from scipy import stats

from bayespin.rng import Key
from bayespin.study import shifts
from tests.statistical.check import mean_is, proportion_is, variance_is

KEY = Key.root(0).child("shifts")


def pictures(count: int, size: int = 28, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    shape = torch.empty(count, 1, size, size, dtype=dtype)
    return shape.uniform_(generator=KEY.child("pictures").generator())


@pytest.mark.parametrize("size", [28, 9])
@pytest.mark.parametrize("turns", [1, 2, 3, -1, 5])
def test_quarter_turns_are_those_of_torch(turns, size):
    x = pictures(4, size)
    exact = torch.rot90(x, turns, (2, 3))
    torch.testing.assert_close(shifts.rotated(x, 90 * turns), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("degrees", [0, 360, -720])
def test_no_turn_is_the_identity(degrees):
    x = pictures(3)
    assert shifts.rotated(x, degrees).equal(x)


def test_a_turn_follows_a_smooth_picture():
    """A Gaussian spot of width w at r0 moves to R r0.

    Linear steps of 1 are wrong by max|f''|/8 per axis, and f'' is at most 1/w²: 1/(4 w²) in all.
    """
    width = 3.0
    bound = 1 / (4 * width**2)
    place = torch.arange(29, dtype=torch.float64) - 14

    def spot(x0: float, y0: float) -> torch.Tensor:
        square = (place[None, :] - x0) ** 2 + (place[:, None] - y0) ** 2
        return torch.exp(-square / (2 * width**2))[None, None]

    for degrees in (17.0, 45.0, -120.0):
        angle = math.radians(degrees)
        # Rows count downwards, so anticlockwise takes (5, 0) towards negative y.
        moved = spot(5 * math.cos(angle), -5 * math.sin(angle))
        found = shifts.rotated(spot(5.0, 0.0), degrees)
        inside = (place[None, :] ** 2 + place[:, None] ** 2 < 13**2)[None, None]
        assert float((found - moved)[inside].abs().max()) < bound
        back = shifts.rotated(found, -degrees)
        assert float((back - spot(5.0, 0.0))[inside].abs().max()) < 2 * bound


def test_corners_that_leave_the_picture_are_black():
    turned = shifts.rotated(torch.ones(1, 1, 28, 28), 45)
    assert float(turned[0, 0, 0, 0]) == 0
    assert float(turned[0, 0, 14, 14]) == pytest.approx(1, abs=1e-6)
    area = float(turned.mean())
    assert area == pytest.approx(2 * (math.sqrt(2) - 1), abs=0.01)  # of an octagon in its square


def test_noise_has_its_power_and_is_cut_off():
    x = torch.full((40, 1, 28, 28), 0.5)
    noise = shifts.noisy(x, 0.05, KEY) - 0.5  # ends lie ten deviations away
    mean_is(noise, 0.0)
    variance_is(noise, 0.05**2)
    strong = shifts.noisy(x, 0.5, KEY)
    assert (float(strong.min()), float(strong.max())) == (0.0, 1.0)
    proportion_is(int((strong == 0).sum()), strong.numel(), float(stats.norm.cdf(-1)))


def test_noise_of_an_image_is_its_own():
    x = pictures(6)
    few, all_of_them = shifts.noisy(x[:2], 0.1, KEY), shifts.noisy(x, 0.1, KEY)
    assert few.equal(all_of_them[:2])
    assert shifts.noisy(x, 0.0, KEY).equal(x)
    alike = shifts.noisy(x[:1].expand(2, -1, -1, -1), 0.1, KEY)
    assert not alike[0].equal(alike[1])
    assert not shifts.noisy(x, 0.1, KEY.child("other")).equal(all_of_them)


def test_rungs_keep_labels_and_scale_one_draw():
    x, labels = 0.3 + 0.4 * pictures(5), torch.arange(5)
    turned = list(shifts.rotations(x, labels, (0, 30, 90)))
    assert [(r.shift, r.level) for r in turned] == [("rotation", a) for a in (0.0, 30.0, 90.0)]
    assert all(r.labels.equal(labels) and r.images.shape == x.shape for r in turned)
    assert turned[0].images.equal(x)
    weak, twice = shifts.noises(x, labels, (0.02, 0.04), KEY)
    torch.testing.assert_close(2 * (weak.images - x), twice.images - x, rtol=0, atol=1e-6)
    foreign = pictures(3) / 2
    none, half, full = shifts.blends(x, labels, foreign, (0.0, 0.5, 1.0), KEY)
    partners = shifts.pair(foreign, 5, KEY)
    assert none.images.equal(x)
    assert full.images.equal(partners)
    torch.testing.assert_close(half.images, (x + partners) / 2)
    assert half.labels.equal(labels)


def test_foreign_sets_come_in_keyed_order_and_without_labels():
    sets = {"digits": pictures(7), "letters": pictures(3) / 2}
    digits, letters = shifts.foreign_sets(sets, 5, KEY)
    assert (digits.shift, letters.shift) == ("digits", "letters")
    assert (len(digits.images), len(letters.images)) == (5, 3)
    assert digits.labels is None
    rows = {tuple(image.flatten().tolist()) for image in digits.images}
    assert len(rows) == 5
    assert rows <= {tuple(image.flatten().tolist()) for image in sets["digits"]}


def test_partners_use_every_foreign_image_before_any_twice():
    foreign = torch.arange(7.0).view(7, 1, 1, 1).expand(7, 1, 28, 28)
    drawn = shifts.pair(foreign, 17, Key.root(2))[:, 0, 0, 0].int().tolist()
    assert sorted(drawn[:7]) == list(range(7))
    assert drawn[7:14] == drawn[:7]
    assert drawn[14:] == drawn[:3]
    assert shifts.pair(foreign, 3, Key.root(2))[:, 0, 0, 0].int().tolist() == drawn[:3]
    assert shifts.pair(foreign, 7, Key.root(3))[:, 0, 0, 0].int().tolist() != drawn[:7]


def test_wrong_arguments_are_one_sentence():
    x = pictures(2)
    with pytest.raises(ValueError, match=r"`images` must be square .* 28 x 20 pixels: pad"):
        shifts.rotated(x[..., :20], 10.0)
    with pytest.raises(ValueError, match="`degrees` must be finite, but is nan"):
        shifts.rotated(x, math.nan)
    with pytest.raises(ValueError, match=r"`deviation` must be 0 or more, but is -0\.1"):
        shifts.noisy(x, -0.1, KEY)
    with pytest.raises(ValueError, match="`images` must hold pixels from 0 to 1"):
        shifts.noisy(x - 1, 0.1, KEY)
    with pytest.raises(ValueError, match=r"`fraction` must lie in \[0, 1\], but is 1\.5"):
        shifts.blended(x, x, 1.5)
