"""Colours of figures and page: one role, one light and one dark value.

Figures are drawn with the light values, which also suit a notebook. On the page each becomes a CSS
variable of the role's name, so that a figure follows the theme. Hues after Okabe and Ito's
colour-blind-safe set, moved in lightness for a contrast of at least 3:1 with either background.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Tone:
    """One role's colour on the light and on the dark page."""

    light: str
    dark: str


TONES: Final = {
    "ink": Tone("#1d2127", "#e8e6e1"),
    "muted": Tone("#5a626d", "#a3abb6"),
    "line": Tone("#d9dbdf", "#353b44"),
    "grid": Tone("#e8e9ec", "#2a2f37"),
    "deterministic": Tone("#6f7680", "#98a1ad"),
    "frozen": Tone("#3a94cf", "#7cc4f2"),
    "perread": Tone("#0a5c99", "#4d94dd"),
    "ideal": Tone("#b57a00", "#e8b23c"),
    "spintronic": Tone("#c6461c", "#ff8257"),
    "aleatoric": Tone("#0b8068", "#3fbf9c"),
    "epistemic": Tone("#9c3f78", "#d983b4"),
    "other": Tone("#7a5c3e", "#c0a080"),
}


def colour(role: str) -> str:
    """Return the light value of a role, the one figures are drawn with."""
    return TONES[role].light


PARTS: Final = tuple(
    colour(role)
    for role in (
        "spintronic", "perread", "ideal", "aleatoric", "epistemic", "frozen", "other",
        "deterministic",
    )
)  # fmt: skip
"""Colours of the parts of a whole, largest part first."""
