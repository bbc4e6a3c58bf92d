"""Inline drawings: same bytes, theme colours only, no inner reference left dangling."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

from bayespin.report.svg import inline_svg


def drawing(name: str = "a", text: str = "accuracy (%)") -> str:
    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        axes.bar([1, 2], [3, 4], facecolor="none", hatch="//", label="x")
        axes.plot([1, 2.123456], [1, 2], marker="o")
        axes.set_title(text)

    return inline_svg(draw, size=(300, 200), name=name, alt=f"shows {text}")


def test_equal_drawings_are_equal_bytes():
    assert drawing() == drawing()
    assert drawing() != drawing(text="accuracy")


def test_it_is_well_formed_and_says_what_it_shows():
    root = ET.fromstring(drawing())
    assert root.get("role") == "img"
    assert root.get("aria-label") == "shows accuracy (%)"
    assert root.get("viewBox") == "0 0 300 200"


def test_every_reference_points_into_its_own_drawing():
    first, second = drawing("a"), drawing("b")
    for svg in (first, second):
        defined = set(re.findall(r' id="([^"]+)"', svg))
        used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
        assert used
        assert used <= defined
    assert not set(re.findall(r' id="([^"]+)"', first)) & set(re.findall(r' id="([^"]+)"', second))


def test_names_are_text_not_formulas_or_markup():
    text = r"$\frac{</text><script>alert(1)</script>"
    titles = [node.text for node in ET.fromstring(drawing(text=text)).iter() if node.text]
    assert text in titles


def test_names_in_any_script_are_drawn_without_a_warning():
    assert "手袋 ✨" in drawing(text="手袋 ✨")


def test_settings_hold_inside_the_call_only():
    before = dict(mpl.rcParams)
    drawing()
    assert dict(mpl.rcParams) == before


def test_pyplot_stays_out():
    code = "import sys, bayespin.report.page; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
