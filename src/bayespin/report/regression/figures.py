"""Figures of a regression study, drawn from results.json on axes of the caller.

results = json.loads(Path("results.json").read_text())
bands(matplotlib.figure.Figure().add_subplot(), results["toy"], "spintronic/per_read")
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bayespin.report.palette import colour

Row = Mapping[str, Any]
DEVIATIONS: Final = 2
"""Half width of a band in standard deviations."""
MARGINS: Final = {"nll": "NLL, chip − software (nats)", "log_rmse": "ln RMSE, chip − software (1)"}
"""What `differences` draws, with its axis label."""


def bands(axes: Axes, toy: Row, row: str) -> Axes:
    """Draw a prediction of the toy: mean, the data's noise around it, and both together.

    The inner band is ± 2 aleatoric deviations; the outer adds the epistemic ones in squares.

    Args:
        axes: where to draw.
        toy: `toy` of results.json.
        row: such as "software/per_read".
    """
    found = {name: np.array(values) for name, values in toy["bands"][row].items()}
    both = np.hypot(found["aleatoric"], found["epistemic"])
    layers = ((both, "epistemic", 0.30), (found["aleatoric"], "aleatoric", 0.45))
    for deviation, role, alpha in layers:
        reach = DEVIATIONS * deviation
        axes.fill_between(
            found["x"], found["mean"] - reach, found["mean"] + reach, color=colour(role),
            alpha=alpha, linewidth=0,
        )  # fmt: skip
    axes.plot(
        toy["examples"]["x"], toy["examples"]["y"], linestyle="none", marker=".", markersize=3,
        color=colour("muted"), zorder=3,
    )  # fmt: skip
    axes.plot(found["x"], found["mean"], color=colour("ink"), linewidth=1.4, zorder=4)
    axes.plot(
        found["x"], np.sin(4 * found["x"]), color=colour("ink"), linewidth=1, linestyle=":",
        zorder=4,
    )  # fmt: skip
    axes.set(xlim=(found["x"][0], found["x"][-1]), ylim=(-3, 3))
    axes.set(xlabel="input x (1)", ylabel="target y (1)")
    axes.set_yticks([-3, -2, -1, 0, 1, 2, 3])
    return axes


def differences(axes: Axes, against: Row, quantity: str) -> Axes:
    """Draw what the chip changes on every set, with 95 % intervals and the margin of equivalence.

    Args:
        axes: where to draw.
        against: `against_software` of results.json.
        quantity: a key of `MARGINS`.

    Raises:
        ValueError: another quantity.
    """
    if quantity not in MARGINS:
        raise ValueError(
            f"Argument `quantity` must be one of {', '.join(MARGINS)}, but is {quantity!r}."
        )
    names = [name for name, found in against.items() if found["per_read"][quantity] is not None]
    for place, name in enumerate(names):
        found = against[name]["per_read"][quantity]
        reach = [[found["difference"] - found["low"]], [found["high"] - found["difference"]]]
        axes.errorbar(
            [found["difference"]], [place], xerr=reach, marker="o", markersize=4, elinewidth=1.4,
            color=colour("aleatoric" if found["met"] else "spintronic"),
        )  # fmt: skip
        margin = found["margin"]
        axes.axvspan(-margin, margin, color=colour("grid"), linewidth=0, zorder=0)
    axes.axvline(0, color=colour("muted"), linewidth=1, zorder=1)
    axes.set_yticks(range(len(names)), labels=names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(MARGINS[quantity])
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return axes
