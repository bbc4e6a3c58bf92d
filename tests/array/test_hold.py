"""What a hold promises and refuses."""

import pytest

from bayespin.array.hold import Hold


def test_scopes_say_how_many_images_share_a_draw():
    assert Hold(energy=0.0, time=0.0, batch=7).images == 7
    for scope in ("image", "tile"):
        assert Hold(energy=1e-15, time=1e-8, scope=scope).images == 1


def test_joules_and_seconds_of_a_pass_by_hand():
    each = {"energy": 2e-15, "time": 50e-9}
    batch = Hold(**each, scope="batch", batch=10)
    assert batch.energy_per_pass(100) == pytest.approx(2e-14)
    assert batch.time_per_pass(5) == pytest.approx(5e-9)
    image, tile = Hold(**each, scope="image"), Hold(**each, scope="tile")
    assert image.energy_per_pass(100) == tile.energy_per_pass(100) == pytest.approx(2e-13)
    assert (image.time_per_pass(5), tile.time_per_pass(5)) == pytest.approx((50e-9, 250e-9))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"energy": -1e-15}, "`energy` must not be negative, but is -1e-15"),
        ({"time": float("nan")}, "`time` must not be negative, but is nan"),
        ({"scope": "layer"}, "`scope` must be image, tile, batch, but is 'layer'"),
        ({"batch": 0}, "`batch` must be at least 1, but is 0"),
    ],
)
def test_a_hold_that_cannot_be_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Hold(**{"energy": 1e-15, "time": 1e-8} | change)
