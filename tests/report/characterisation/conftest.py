"""Results of a characterisation made by hand: laws known, every departure planted."""

import math

import numpy as np
import pytest
from scipy import stats

FIELDS = (0.02, 0.06, 0.2, 0.6)
"""B_k of four settings, T."""
PROBABILITIES = np.linspace(0.001, 0.999, 41).tolist()
WINDOWS = (1e-9, 10e-9)


def estimate(value, se):
    return {"value": value, "se": se}


def row(field, *, kelvin=300.0, varied="setting", **changed):
    """One operating point that lies on its laws but for what is changed."""
    stability = 521.0 * field * 300.0 / kelvin
    std, time = 1 / math.sqrt(2 * stability), 2.84e-10 / field
    edges = np.linspace(-4 * std, 4 * std, 41)
    lags = np.linspace(0, 4 * time, 9)
    laws = {
        "mean": 0.0, "std": std, "excess_kurtosis": 0.0, "normality": 1e-4, "gaussian_std": std,
        "linear_time": time, "slowest_time": time, "frequency": 0.0, "linear_frequency": 0.0,
        "read_std": [0.9 * std, 0.5 * std], "round_read_std": [0.9 * std, 0.5 * std],
        "linear_mean": 0.0,
    }  # fmt: skip
    found = {
        "setting": 1.154e-3 - 1.1e-3 * field, "temperature": kelvin, "varied": varied,
        "stray_field": 0.0, "read_voltage": 0.0, "gate_voltage": 0.0, "in_plane_anisotropy": 0.0,
        "mean_conductance": 2.75e-6, "amplitude": 1.18e-6, "stability": stability,
        "anisotropy_field": field, "mean": estimate(0.0, 1e-3 * std),
        "std": estimate(std, 0.004 * std), "decay_time": estimate(time, 0.01 * time),
        "frequency": estimate(0.0, 0.0), "skewness": estimate(0.0, 0.01),
        "excess_kurtosis": estimate(0.01, 0.02), "normality": {"value": 1e-3, "resolution": 9e-3},
        "read_std": [estimate(0.9 * std, 0.004 * std), estimate(0.5 * std, 0.004 * std)],
        "failed": 0, "laws": laws, "lags": lags.tolist(),
        "autocorrelation": np.exp(-lags / time).tolist(), "autocorrelation_error": [0.01] * 9,
        "quantiles": (std * stats.norm.ppf(PROBABILITIES)).tolist(), "edges": edges.tolist(),
        "counts": (1e5 * np.diff(stats.norm.cdf(edges, scale=std))).round().tolist(),
    }  # fmt: skip
    return found | changed


def results_of(rows, **changed):
    device = {
        "preset": "easyplane-50nm", "orientation": "easy-plane", "diameter": 50e-9,
        "amplitude": 1.18e-6, "mean_conductance": 2.75e-6,
    }  # fmt: skip
    return {
        "kind": "pillar", "characterisation": "by-hand", "title": "By hand", "device": device,
        "rows": rows, "windows": list(WINDOWS), "probabilities": PROBABILITIES,
        "run": {"replicas": 64, "decay_times": 8.0, "seed": 0}, "verdicts": [], "fit": None,
        "gaussian": {"from_stability": rows[0]["stability"], "excess_kurtosis": 0.13},
        "film": None,
    } | changed  # fmt: skip


@pytest.fixture
def rows():
    return [row(field) for field in FIELDS]
