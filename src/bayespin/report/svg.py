"""Drawings as SVG or pixels: equal bytes for equal drawings; on the page in the theme's colours."""

import io
import re
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from bayespin.report.palette import TONES, colour

# Text stays text (selectable, small, in the page's own font): "path" would be five times the bytes.
_SETTINGS: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "bayespin",
    "text.parse_math": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.size": 11,
    "axes.labelsize": 11,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "text.color": colour("ink"),
    "axes.labelcolor": colour("muted"),
    "axes.edgecolor": colour("line"),
    "xtick.color": colour("line"),
    "ytick.color": colour("line"),
    "xtick.labelcolor": colour("muted"),
    "ytick.labelcolor": colour("muted"),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": colour("grid"),
    "grid.linewidth": 1.0,
    "lines.linewidth": 2.0,
    "hatch.linewidth": 1.0,
}
_PREAMBLE: Final = re.compile(
    r"\A.*?(?=<svg)|<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", re.DOTALL
)
_LONG_NUMBER: Final = re.compile(r"(\d+\.\d\d)\d+")
_GEOMETRY: Final = re.compile(r' (d|x|y|width|height|points|transform)="([^"]*)"')
_REFERENCE: Final = re.compile(r'(id="|#)([a-z]+[0-9a-f]{10})(?=["\)])')
_PLAIN_ID: Final = re.compile(r' id="(?![a-z]+[0-9a-f]{10}")[^"]*"')


Draw = Callable[[Figure], object]
"""Puts axes and what is on them onto an empty figure."""


@contextmanager
def drawing(size: tuple[float, float]) -> Generator[Figure]:
    """Yield an empty figure of so many CSS pixels, under the settings of every figure here.

    The settings hold only inside the block (matplotlib's `rc_context`), so two threads must not
    draw at once.
    """
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # A browser has fonts for names that the layout font lacks a glyph for.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield Figure(figsize=(size[0] / 72, size[1] / 72), dpi=72, layout="constrained")


def standalone_svg(draw: Draw, size: tuple[float, float]) -> str:
    """Return an SVG file of what `draw` puts on an empty figure, in the colours of the light page.

    Args:
        draw: receives the figure; makes its axes and draws on them.
        size: width and height in CSS pixels at which text has its natural size.
    """
    text = io.StringIO()
    with drawing(size) as figure:
        draw(figure)
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    return text.getvalue()


def frames(
    begin: Callable[[Figure], Callable[[int], object]],
    count: int,
    size: tuple[float, float],
    scale: float = 1.5,
) -> Iterator[np.ndarray]:
    """Yield each frame of an animation as rows of red, green, blue (0 to 255), on white.

    Args:
        begin: draws the first frame on an empty figure; what it returns changes that into frame k.
        count: number of frames.
        size: width and height in CSS pixels at which text has its natural size.
        scale: pixels of the picture per CSS pixel.
    """
    with drawing(size) as figure:
        figure.set_dpi(72 * scale)
        figure.set_facecolor("white")
        canvas = FigureCanvasAgg(figure)
        change = begin(figure)
        figure.draw_without_rendering()  # lays out once, so that nothing moves between frames
        figure.set_layout_engine("none")
        for number in range(count):
            change(number)
            canvas.draw()
            yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def inline_svg(draw: Draw, *, size: tuple[float, float], name: str, alt: str) -> Markup:
    """Return the SVG element of what `draw` puts on an empty figure.

    Args:
        draw: receives the figure; makes its axes and draws on them.
        size: width and height in CSS pixels at which text has its natural size.
        name: unique on the page; keeps the element's inner references apart from other drawings'.
        alt: what the drawing shows, for those who do not see it.
    """
    return Markup(_themed(standalone_svg(draw, size), name, alt))


def _rounded(attribute: re.Match[str]) -> str:
    """Return a geometry attribute with two decimals and single blanks."""
    value = " ".join(_LONG_NUMBER.sub(r"\1", attribute[2]).split())
    return f' {attribute[1]}="{value}"'


def _themed(svg: str, name: str, alt: str) -> str:
    """Return matplotlib's SVG as an element for this page."""
    svg = _PREAMBLE.sub("", svg)
    svg = _PLAIN_ID.sub("", svg)
    svg = _REFERENCE.sub(rf"\1{name}-\2", svg)
    svg = _GEOMETRY.sub(_rounded, svg)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    svg = re.sub(r' transform="rotate\(-?0 [^"]*"', "", svg)
    for role, tone in TONES.items():
        svg = svg.replace(tone.light, f"var(--{role})")
    svg = re.sub(r">\s+<", "><", svg)
    box = re.search(r'viewBox="([^"]*)"', svg)
    inner = svg[svg.index(">") + 1 :].strip()
    view = box[1] if box is not None else "0 0 1 1"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{view}" role="img" aria-label="{escape(alt)}">{inner}'
    )
