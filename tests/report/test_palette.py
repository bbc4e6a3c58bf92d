"""Colours that everyone can tell from the page, and from each other."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from bayespin.report.palette import PARTS, TONES

PAGES = {"light": "#ffffff", "dark": "#1b1f24"}
# Full dichromacy, linear RGB (Machado, Oliveira and Fernandes 2009, doi:10.1109/TVCG.2009.113).
SIGHT = {
    "all": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
}  # fmt: skip
ROWS = ("deterministic", "frozen", "perread", "ideal", "spintronic")


def linear(code: str) -> np.ndarray:
    value = np.array(to_rgb(code))
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Return the WCAG contrast ratio."""
    low, high = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(code: str, sight: str) -> np.ndarray:
    """Return CIE L*a*b* (D65) as seen by that sight."""
    rgb = np.clip(np.asarray(SIGHT[sight]) @ linear(code), 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    x, y, z = np.cbrt(to_xyz @ rgb / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_contrast_knows_black_on_white():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_marks_stand_out_from_the_page_and_text_is_readable(theme):
    for role, tone in TONES.items():
        if role in {"line", "grid"}:
            continue
        least = 4.5 if role in {"ink", "muted"} else 3.0
        assert contrast(getattr(tone, theme), PAGES[theme]) >= least, role


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("sight", list(SIGHT))
def test_rows_differ_to_every_sight(theme, sight):
    # 10 is about four just noticeable differences; red and green of equal lightness are at 3.
    for one, other in itertools.combinations(ROWS, 2):
        pair = [lab(getattr(TONES[role], theme), sight) for role in (one, other)]
        assert np.linalg.norm(pair[0] - pair[1]) > 10, (one, other)


def test_the_check_sees_a_red_and_a_green_that_merge():
    assert np.linalg.norm(lab("#c04a4a", "deuteranopia") - lab("#7a7a3c", "deuteranopia")) < 10


def test_light_values_are_distinct_so_that_each_maps_to_one_role():
    assert len({tone.light for tone in TONES.values()}) == len(TONES)
    assert len(set(PARTS)) == len(PARTS)
