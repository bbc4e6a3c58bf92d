"""Maps of a magnetisation and films of them: m_z or the in-plane angle as colour, arrows in-plane.

A map is drawn from an xarray.DataArray with dims component, y, x (one layer) and coordinates in
metres; vacuum, where m is zero, stays empty.
"""

import colorsys
import io
import itertools
import math
from collections.abc import Iterable
from typing import Final, Literal

import numpy as np
import xarray
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.image import AxesImage
from PIL import Image

from bayespin.report.formatting import prefixed
from bayespin.report.palette import colour

Colours = Literal["up_down", "angle"]
_GIF_COLOURS: Final = 255
UP_DOWN: Final = LinearSegmentedColormap.from_list(
    "up_down", [colour("perread"), "#8fb4d0", "#f4f1ea", "#e0a58e", colour("spintronic")]
)
"""Colours of m_z from −1 (blue) over 0 to 1 (orange)."""
_HUES: Final = np.array(
    [colorsys.hls_to_rgb(k / 360, 0.5, 0.75) for k in range(361)], dtype=np.float32
)
_ROUND_LENGTHS: Final = (1, 2, 5)


def angle_colours(m: np.ndarray) -> np.ndarray:
    """Return colours (y, x, 4) of m (3, y, x): hue the in-plane angle, white up and black down."""
    angle = np.degrees(np.arctan2(m[1], m[0])) % 360
    hue = _HUES[np.nan_to_num(angle).round().astype(int)]
    up = np.clip(np.nan_to_num(m[2]), -1, 1)[..., None]
    rgb = np.where(up > 0, hue + (1 - hue) * up, hue * (1 + up))
    return np.concatenate((rgb, (_length(m) > 0.5)[..., None]), -1)


def up_down_colours(m: np.ndarray) -> np.ndarray:
    """Return colours (y, x, 4) of m (3, y, x): blue down, orange up; vacuum transparent."""
    rgba = UP_DOWN((np.clip(np.nan_to_num(m[2]), -1, 1) + 1) / 2)
    rgba[..., 3] = _length(m) > 0.5
    return rgba


def paint(m: np.ndarray, colours: Colours) -> np.ndarray:
    """Return the colours (y, x, 4) of m (3, y, x)."""
    return angle_colours(m) if colours == "angle" else up_down_colours(m)


def _length(m: np.ndarray) -> np.ndarray:
    return np.sqrt((np.nan_to_num(m) ** 2).sum(0))


def magnetisation_map(
    axes: Axes,
    m: xarray.DataArray,
    colours: Colours = "up_down",
    arrows: int = 16,
) -> AxesImage:
    """Draw one layer of a magnetisation to scale, with a bar that says how long something is.

    Args:
        axes: where to draw; its frame and ticks are taken off.
        m: dims component, y, x; coordinates x and y in m, at the centres of the cells.
        colours: m_z from blue (down) to orange (up), or the in-plane angle as hue.
        arrows: arrows along the longer side, for the in-plane part; 0 draws none.

    Returns:
        The image, so that a film can replace its data.
    """
    values = m.transpose("component", "y", "x").values.astype(float)
    x, y = m["x"].values, m["y"].values
    extent = (*_ends(x), *_ends(y))
    image = axes.imshow(
        paint(values, colours), extent=extent, origin="lower", interpolation="nearest"
    )
    if arrows > 0:
        _draw_arrows(axes, values, (x, y), max(1, math.ceil(max(x.size, y.size) / arrows)))
    axes.grid(visible=False)
    axes.set_axis_off()
    axes.set_aspect("equal")
    _scale_bar(axes, extent)
    return image


def _ends(centres: np.ndarray) -> tuple[float, float]:
    half = (centres[1] - centres[0]) / 2 if centres.size > 1 else 0.5e-9
    return float(centres[0] - half), float(centres[-1] + half)


def _draw_arrows(
    axes: Axes, values: np.ndarray, places: tuple[np.ndarray, np.ndarray], every: int
) -> None:
    x, y = (place[every // 2 :: every] for place in places)
    mx, my = (part[every // 2 :: every, every // 2 :: every] for part in values[:2])
    shown = np.hypot(mx, my) > 0.2
    pitch = every * (places[0][1] - places[0][0]) if places[0].size > 1 else 1e-9
    grid_x, grid_y = np.meshgrid(x, y)
    axes.quiver(
        grid_x[shown], grid_y[shown], mx[shown], my[shown], pivot="mid", angles="xy",
        scale_units="xy", scale=1.1 / pitch, color=colour("ink"), width=0.1 * pitch, units="xy",
    )  # fmt: skip


def round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5 times a power of ten that is not above `longest`."""
    decade = 10.0 ** math.floor(math.log10(longest))
    return max(k * decade for k in _ROUND_LENGTHS if k * decade <= longest * (1 + 1e-9))


def _scale_bar(axes: Axes, extent: tuple[float, float, float, float]) -> None:
    """Draw a bar of a round length below the map, with its length."""
    left, right, bottom, top = extent
    length = round_length((right - left) / 4)
    scale, unit = prefixed(length, "m")
    gap = 0.04 * max(right - left, top - bottom)
    axes.plot(
        [left, left + length], [bottom - gap] * 2, color=colour("ink"), linewidth=2.5,
        solid_capstyle="butt", clip_on=False,
    )  # fmt: skip
    axes.text(
        left + length + gap / 2, bottom - gap, f"{length / scale:g} {unit}", va="center",
        fontsize=9.5, color=colour("muted"),
    )  # fmt: skip
    axes.set(xlim=(left, right), ylim=(bottom - 1.8 * gap, top))


def add_colour_scale(axes: Axes, colours: Colours = "up_down") -> None:
    """Draw beside a map what its colours mean: a bar from −1 to 1, or a wheel of directions."""
    figure = axes.get_figure()
    if colours == "up_down" and figure is not None:
        scale = ScalarMappable(Normalize(-1, 1), UP_DOWN)
        bar = figure.colorbar(scale, ax=axes, ticks=[-1, 0, 1], aspect=12, shrink=0.9, pad=0.015)
        bar.set_label("m_z (1)")
        bar.outline.set_visible(False)
        return
    wheel = axes.inset_axes((1.03, 0.62, 0.3, 0.3))
    y, x = np.mgrid[-1:1:101j, -1:1:101j]
    r = np.hypot(x, y)
    m = np.stack((x, y, np.zeros_like(x))) / np.maximum(r, 1e-9) * ((r < 1) & (r > 0.45))
    wheel.imshow(angle_colours(m), extent=(-1, 1, -1, 1), origin="lower")
    for text, place in (("x", (1.1, 0)), ("y", (0, 1.1))):
        wheel.text(*place, text, color=colour("muted"), fontsize=9.5,
                   ha="left" if text == "x" else "center",
                   va="center" if text == "x" else "bottom")  # fmt: skip
    wheel.set_axis_off()
    wheel.grid(visible=False)


def animated_gif(frames: Iterable[np.ndarray], seconds_per_frame: float) -> bytes:
    """Return a GIF that repeats for ever, from frames of rows of red, green, blue (0 to 255).

    All frames share one palette, that of the first, middle and last, so that nothing flickers.

    Raises:
        ValueError: there is no frame.
    """
    images = [Image.fromarray(frame) for frame in frames]
    if not images:
        raise ValueError("Argument `frames` must hold at least one frame, but is empty.")
    chosen = [np.asarray(images[k]) for k in (0, len(images) // 2, -1)]
    drawn = [to_rgb(colour(role)) for role in ("ink", "muted", "spintronic", "perread")]
    drawn.append((1.0, 1.0, 1.0))
    # Thin lines and letters have few pixels; without a block of each, others take their places.
    blocks = np.repeat(np.uint8(255 * np.array(drawn)), chosen[0].shape[1] * 8, 0)
    sample = Image.fromarray(np.concatenate([*chosen, blocks.reshape(-1, *chosen[0].shape[1:])]))
    palette = sample.quantize(_GIF_COLOURS, method=Image.Quantize.MEDIANCUT)
    plain = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    shown = [plain[0]]
    for before, after in itertools.pairwise(plain):
        values = np.array(after)
        values[values == np.asarray(before)] = _GIF_COLOURS  # what stays is left out: transparent
        kept = Image.fromarray(values, mode="P")
        kept.putpalette(palette.getpalette() or [])
        shown.append(kept)
    file = io.BytesIO()
    shown[0].save(
        file, format="GIF", save_all=True, append_images=shown[1:], loop=0,
        duration=round(1000 * seconds_per_frame), optimize=False, disposal=1,
        transparency=_GIF_COLOURS,
    )  # fmt: skip
    return file.getvalue()


def png(pixels: np.ndarray) -> bytes:
    """Return a PNG of rows of red, green, blue (0 to 255)."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    return file.getvalue()
