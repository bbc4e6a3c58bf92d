"""The compact model of a characterised pillar: fitted to its table, in plain numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayespin.device.fit import NAMES, CompactFit, Junction, fit_compact
from bayespin.device.stochastic_mtj import StochasticMtj
from bayespin.device.table import SpreadTable
from bayespin.load import InputError
from bayespin.study.characterisation.table import of_projection
from bayespin.study.simulation.statistics import number

Row = Mapping[str, Any]


def compact_model(
    table: SpreadTable, rows: Sequence[Row], pillar: StochasticMtj
) -> dict[str, Any] | None:
    """Return the compact model of a table, None where no such law allows its spreads.

    It is fitted to the projection u and not to the conductance, since a held gate voltage changes
    what a row makes of u. Damping and the law of temperature are the pillar's.
    """
    known = Junction(
        amplitude=1.0,
        orientation=pillar.orientation,
        damping=pillar.layer.damping,
        thermal=pillar.thermal,
    )
    try:
        found = fit_compact(of_projection(table, rows), known)
    except (InputError, np.linalg.LinAlgError):
        return None
    return _plain(found, table)


def _plain(found: CompactFit, table: SpreadTable) -> dict[str, Any]:
    parameters = {name: getattr(found, name) for name in NAMES}
    each = zip(
        found.stability.tolist(),
        table.columns["temperature"].tolist(),
        found.sigma_residual.tolist(),
        found.tau_residual.tolist(),
        strict=True,
    )
    return {
        **{n: {"value": one.value, "se": one.standard_error} for n, one in parameters.items()},
        "chi_squared": number(found.chi_squared),
        "degrees": found.degrees,
        "probability": number(found.probability),
        "rows": len(found.holds),
        "departing": int((~found.holds).sum()),
        "residuals": [
            {
                "stability": delta,
                "temperature": kelvin,
                "sigma": number(sigma),
                "tau": number(tau),
            }
            for delta, kelvin, sigma, tau in each
        ],
    }
