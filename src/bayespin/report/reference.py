"""The paper's numbers, in one place: what every report prints beside its own.

Liu et al., "Bayesian neural networks using magnetic tunnel junction-based probabilistic in-memory
computing", Front. Nanotechnol. 4:1021943 (2022): Fashion-MNIST, LeNet-5, 100 samples, expected
calibration error on the clean test set and on blends with 50 % of EMNIST letters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

DOI: Final = "10.3389/fnano.2022.1021943"
CITATION: Final = "Liu et al., Front. Nanotechnol. 4:1021943 (2022)"
OOD_SET: Final = "EMNIST letters"
HEADLINE_BLEND: Final = 0.5
"""Blend fraction of the paper's out-of-distribution number, and so of our headline."""


@dataclass(frozen=True, kw_only=True)
class PaperRow:
    """One row of the paper's table.

    `accuracy`, `ece` and `ood_ece` are fractions of one; `twin` names the row of ours that stands
    for the same thing, as `model/where/sampling`.
    """

    name: str
    short: str
    accuracy: float
    ece: float
    ood_ece: float
    twin: str


PAPER: Final = (
    PaperRow(
        name="Deterministic network, software",
        short="paper: DNN",
        accuracy=0.9009,
        ece=0.0328,
        ood_ece=0.3435,
        twin="dnn/software/none",
    ),
    PaperRow(
        name="Bayesian network, software",
        short="paper: BNN",
        accuracy=0.9015,
        ece=0.0156,
        ood_ece=0.0918,
        twin="bnn/software/frozen",
    ),
    PaperRow(
        name="Bayesian network, spintronic hardware",
        short="paper: spintronic",
        accuracy=0.8970,
        ece=0.0135,
        ood_ece=0.1066,
        twin="bnn/spintronic/per_read",
    ),
)


def comparable(results: Mapping[str, Any]) -> bool:
    """Return whether a study's numbers may stand beside the paper's: they are of the same images.

    Results that do not say what they are of come from early versions, which knew no others.
    """
    return (results.get("data") or {}).get("name") in (None, "fashion-mnist")


def paper_row(twin: str) -> PaperRow | None:
    """Return the paper's row for one of ours, or None where the paper has no such row."""
    return next((row for row in PAPER if row.twin == twin), None)
