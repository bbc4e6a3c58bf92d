"""What a hold promises and refuses."""

import pytest

from bayespin.array.hold import Hold


def test_scopes_say_how_many_images_share_a_draw():
    assert Hold(energy=0.0, time=0.0, batch=7).images == 7
    for scope in ("image", "tile"):
        assert Hold(energy=1e-15, time=1e-8, scope=scope).images == 1


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
