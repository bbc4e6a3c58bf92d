"""Maps show directions by colour and arrow, to scale; animations hold every frame."""

import io

import numpy as np
import pytest
import xarray
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from bayespin.report.simulation.magnetisation import (
    add_colour_scale,
    animated_gif,
    magnetisation_map,
    paint,
    png,
    round_length,
)
from bayespin.report.svg import frames


def film(*directions: tuple[float, float, float]) -> xarray.DataArray:
    """A row of cells of 10 nm, twice."""
    m = np.array(directions).T[:, None, :].repeat(2, 1)
    x = (np.arange(len(directions)) + 0.5) * 10e-9
    return xarray.DataArray(m, dims=("component", "y", "x"), coords={"x": x, "y": x[:2]})


UP, DOWN, RIGHT, TOP, VACUUM = (0, 0, 1), (0, 0, -1), (1, 0, 0), (0, 1, 0), (0, 0, 0)


def test_up_is_orange_down_is_blue_and_vacuum_is_empty():
    up, down, flat, none = paint(film(UP, DOWN, RIGHT, VACUUM).values, "up_down")[0]
    assert up[0] > 2 * up[2]
    assert down[2] > 2 * down[0]
    assert flat[:3].min() > 0.9
    assert [c[3] for c in (up, down, flat, none)] == [1, 1, 1, 0]


def test_an_angle_is_a_hue_and_up_is_white():
    right, top, up, down, none = paint(film(RIGHT, TOP, UP, DOWN, VACUUM).values, "angle")[0]
    assert right[0] > 2 * right[1]  # red
    assert top[1] > 1.5 * top[2]  # green
    assert top[1] > top[0]
    assert up[:3].min() == pytest.approx(1)
    assert down[:3].max() == pytest.approx(0)
    assert none[3] == 0


def test_values_that_are_not_finite_are_drawn_as_vacuum():
    assert paint(film((np.nan, 0, 0), UP).values, "angle")[0, 0, 3] == 0


def test_a_map_is_to_scale_with_a_bar_and_arrows():
    axes = Figure().add_subplot()
    image = magnetisation_map(axes, film(RIGHT, TOP, UP, VACUUM))
    np.testing.assert_allclose(image.get_extent(), (0, 40e-9, 0, 20e-9), atol=1e-20)
    assert axes.get_aspect() == 1
    (bar,) = axes.lines
    assert np.ptp(bar.get_xdata()) == pytest.approx(10e-9)
    assert [text.get_text() for text in axes.texts] == ["10 nm"]
    (arrows,) = axes.collections
    assert arrows.N == 4  # of the cells along x and y, two rows; none in vacuum or upwards
    np.testing.assert_allclose(arrows.U, [1, 0, 1, 0])
    np.testing.assert_allclose(arrows.V, [0, 1, 0, 1])
    bare = Figure().add_subplot()
    magnetisation_map(bare, film(RIGHT, TOP), arrows=0)
    assert not bare.collections


@pytest.mark.parametrize("longest, length", [(1e-8, 1e-8), (4.9e-8, 2e-8), (9.99e-7, 5e-7)])
def test_bars_have_round_lengths(longest, length):
    assert round_length(longest) == pytest.approx(length)


@pytest.mark.parametrize("colours, seen", [("up_down", "m_z (1)"), ("angle", "x")])
def test_colours_are_explained_beside_the_map(colours, seen):
    def begin(figure: Figure):
        axes = figure.add_subplot()
        magnetisation_map(axes, film(RIGHT, UP), colours)
        add_colour_scale(axes, colours)
        return lambda _: figures.append(figure)

    figures = []
    (drawn,) = frames(begin, 1, (200, 90), 2.0)
    assert drawn.shape == (180, 400, 3)
    texts = [text.get_text() for text in figures[0].findobj(Text) if text.get_text()]
    assert seen in texts


def squares() -> list[np.ndarray]:
    """White frames with a square that moves and changes colour."""
    shown = np.full((3, 30, 40, 3), 255, np.uint8)
    for k in range(3):
        shown[k, 10:20, 10 * k : 10 * k + 10] = (198, 70, 28) if k % 2 else (10, 92, 153)
    return list(shown)


def test_an_animation_holds_every_frame():
    animation = Image.open(io.BytesIO(animated_gif(squares(), 0.12)))
    assert (animation.n_frames, animation.size) == (3, (40, 30))
    assert (animation.info["loop"], animation.info["duration"]) == (0, 120)
    for k, wanted in enumerate(squares()):
        animation.seek(k)
        found = np.asarray(animation.convert("RGB")).astype(int)
        assert np.abs(found - wanted).max() <= 8


def test_an_animation_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one frame"):
        animated_gif([], 0.1)


def test_frames_are_drawn_one_after_another():
    def begin(figure: Figure):
        axes = figure.add_subplot()
        (line,) = axes.plot([0, 1], [0, 0])
        axes.set_ylim(-1, 1)
        return lambda k: line.set_ydata([0, k])

    shown = list(frames(begin, 2, (80, 60), 1.0))
    assert [one.shape for one in shown] == [(60, 80, 3)] * 2
    assert (shown[0] != shown[1]).any()
    kept = np.asarray(Image.open(io.BytesIO(png(shown[1]))))
    np.testing.assert_array_equal(kept, shown[1])
