"""Where closed forms hold: simulated over predicted, with errors, at every operating point."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from scipy.special import ndtri

Row = Mapping[str, Any]
ALLOWANCES: Final = {"std": 0.005, "decay_time": 0.01, "frequency": 0.01, "mean": 0.02}
"""Relative error that the time step may make: 1 % of a variance and of a damping; a mean shift
inherits both."""
FALSE_ALARMS: Final = 0.01
"""Chance that any point of a law that is true is called wrong."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A closed form: what it predicts of which points."""

    law: str
    """What it says, as people write it."""
    statistic: str
    """Of a row."""
    predicted: str
    """Name in a row's `laws`."""
    varied: tuple[str, ...]
    """The sweeps whose points it is held against."""
    orientation: str | None = None
    """Where it applies to one only."""


_LEVELS: Final = ("setting", "stability")
CLAIMS: Final = (
    Claim(law="s of Boltzmann's law", statistic="std", predicted="std", varied=_LEVELS),
    Claim(law="s = 1/√(2Δ)", statistic="std", predicted="gaussian_std", varied=_LEVELS),
    Claim(law="τ = (1 + α²)/(αγB_k)", statistic="decay_time", predicted="linear_time",
          varied=_LEVELS),
    Claim(law="τ of the slowest Fokker-Planck mode", statistic="decay_time",
          predicted="slowest_time", varied=_LEVELS, orientation="easy-plane"),
    Claim(law="τ of a precession that dephases", statistic="decay_time",
          predicted="slowest_time", varied=_LEVELS, orientation="perpendicular"),
    Claim(law="f = γB_k/2π(1 + α²)", statistic="frequency", predicted="linear_frequency",
          varied=_LEVELS, orientation="perpendicular"),
    Claim(law="f of a precession that dephases", statistic="frequency", predicted="frequency",
          varied=_LEVELS, orientation="perpendicular"),
    Claim(law="s_T = s · window factor", statistic="read_std", predicted="read_std",
          varied=_LEVELS),
    Claim(law="s_T of an out-of-round pillar", statistic="read_std", predicted="read_std",
          varied=("in_plane_anisotropy",), orientation="easy-plane"),
    Claim(law="mean shift of Boltzmann's law", statistic="mean", predicted="mean",
          varied=("stray_field",)),
    Claim(law="mean shift B/B_k", statistic="mean", predicted="linear_mean",
          varied=("stray_field",)),
    Claim(law="s at K_i + ξV/t_MgO", statistic="std", predicted="std", varied=("read_voltage",)),
    Claim(law="s of an out-of-round pillar", statistic="std", predicted="std",
          varied=("in_plane_anisotropy",)),
    Claim(law="s_T of a round pillar", statistic="read_std", predicted="round_read_std",
          varied=("in_plane_anisotropy",)),
)  # fmt: skip


@dataclass(frozen=True)
class Ratio:
    """Simulated over predicted at one point (and window)."""

    value: float
    error: float
    stability: float
    window: float | None


def ratios(claim: Claim, rows: Sequence[Row], windows: Sequence[float]) -> Iterator[Ratio]:
    """Yield simulated over predicted for every point where both are known and not zero."""
    for row in rows:
        if row["varied"] not in claim.varied:
            continue
        measured, predicted = row[claim.statistic], row["laws"][claim.predicted]
        if claim.statistic != "read_std":
            measured, predicted = [measured], [predicted]
        over = windows if claim.statistic == "read_std" else [None]
        for found, law, window in zip(measured, predicted, over, strict=True):
            if law and found and found["value"] is not None and found["se"]:
                yield Ratio(found["value"] / law, found["se"] / abs(law), row["stability"], window)


def verdict(claim: Claim, found: Sequence[Ratio]) -> dict[str, Any]:
    """Return how one claim fares, as plain numbers.

    A point departs if |r − 1| > z e + a: r ratio, e its standard error, a what the time step may
    do, z such that a true law has a point that departs in one of a hundred characterisations. The
    weighted mean of r takes e² + a² as the variance of a point.
    """
    allowance = ALLOWANCES["std" if claim.statistic == "read_std" else claim.statistic]
    z = float(ndtri(1 - FALSE_ALARMS / (2 * len(found))))
    departs = [one for one in found if abs(one.value - 1) > z * one.error + allowance]
    weights = [1 / (one.error**2 + allowance**2) for one in found]
    mean = sum(w * one.value for w, one in zip(weights, found, strict=True)) / sum(weights)
    worst = max(found, key=lambda one: abs(one.value - 1) - z * one.error)
    lowest = [one.stability for one in departs]
    return {
        "law": claim.law,
        "points": len(found),
        "departing": len(departs),
        "ratio": {"value": mean, "se": sum(weights) ** -0.5},
        "worst": {"value": worst.value, "se": worst.error},
        "worst_stability": worst.stability,
        "worst_window": worst.window,
        "departs_from": [min(lowest), max(lowest)] if lowest else None,
        "allowance": allowance,
    }


def verdicts(
    rows: Sequence[Row], windows: Sequence[float], orientation: str
) -> list[dict[str, Any]]:
    """Return how every closed form fares that the sweep says something of."""
    chosen = [one for one in CLAIMS if one.orientation in (None, orientation)]
    found = ((one, list(ratios(one, rows, windows))) for one in chosen)
    return [verdict(claim, each) for claim, each in found if each]


def gaussian_reach(rows: Sequence[Row], kurtosis: float = 0.13) -> dict[str, Any]:
    """Return from which Δ on every simulated law is as good as Gaussian, |excess kurtosis| < 0.13.

    `from_stability` is the least simulated Δ from which on none departs by more than two standard
    errors beyond that; None where even the largest does.
    """
    main = [row for row in rows if row["varied"] in _LEVELS]
    main.sort(key=lambda row: -row["stability"])
    reached: float | None = None
    for row in main:
        found = row["excess_kurtosis"]
        if found["value"] is None or abs(found["value"]) > kurtosis + 2 * (found["se"] or 0.0):
            break
        reached = row["stability"]
    return {"from_stability": reached, "excess_kurtosis": kurtosis}
