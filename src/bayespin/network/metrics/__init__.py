"""How good, how honest and how certain a predictive distribution is.

Pure functions of probabilities (images x classes) and labels; every one computes in float64.
"""

from bayespin.network.metrics.calibration import (
    EceFloor,
    Reliability,
    adaptive_ece,
    classwise_ece,
    ece,
    ece_floor,
    reliability,
    signed_calibration_error,
)
from bayespin.network.metrics.comparison import (
    Fidelity,
    PairedDifference,
    fidelity,
    paired_difference,
)
from bayespin.network.metrics.detection import (
    RiskCoverage,
    augrc,
    aupr,
    aurc,
    auroc,
    coverage_at_risk,
    fpr95,
    risk_at_coverage,
    risk_coverage,
)
from bayespin.network.metrics.probabilities import SMALLEST_PROBABILITY, top_label
from bayespin.network.metrics.reads import ReadsCurve, reads_curve
from bayespin.network.metrics.scores import accuracy, brier, nll
from bayespin.network.metrics.uncertainty import (
    Predictive,
    PredictiveAccumulator,
    entropy,
    predictive_of,
)

__all__ = [
    "SMALLEST_PROBABILITY",
    "EceFloor",
    "Fidelity",
    "PairedDifference",
    "Predictive",
    "PredictiveAccumulator",
    "ReadsCurve",
    "Reliability",
    "RiskCoverage",
    "accuracy",
    "adaptive_ece",
    "augrc",
    "aupr",
    "aurc",
    "auroc",
    "brier",
    "classwise_ece",
    "coverage_at_risk",
    "ece",
    "ece_floor",
    "entropy",
    "fidelity",
    "fpr95",
    "nll",
    "paired_difference",
    "predictive_of",
    "reads_curve",
    "reliability",
    "risk_at_coverage",
    "risk_coverage",
    "signed_calibration_error",
    "top_label",
]
