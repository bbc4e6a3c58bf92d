"""The results file: rows averaged over seeds, and what the report draws beside them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from scipy import stats

from bayespin.chip.accelerator import Accelerator, Deployment
from bayespin.cost.account import Bill
from bayespin.cost.baselines import LayerWork, digital_baselines
from bayespin.cost.components import load_components
from bayespin.network import metrics
from bayespin.network.models import Network
from bayespin.network.slicing import Remainder
from bayespin.nn.hardware import HardwareLayer
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.study import cells, evaluate
from bayespin.study.schema import Study

SCHEMA_VERSION = 2

NOT_SIMULATED = (
    "correlation between successive reads (they are taken three correlation times apart; "
    "`Deployment.predict` has it)",
    "change of TMR and of a pillar's spread with the input's amplitude (their values at full read "
    "voltage are used)",
    "offset, nonlinearity and thermal noise of the converters, thermal noise of wires and drivers",
    "ageing, and temperatures other than the preset's two (`Deployment.used_at` has both)",
    "wear of gates and tracks: pulses are counted against the endurance, and change nothing",
)
_SCALARS = (
    "accuracy", "nll", "brier", "ece", "ece_floor", "adaptive_ece", "classwise_ece",
    "auroc_epistemic", "auroc_total", "aupr_epistemic", "fpr95_epistemic", "aurc",
    "coverage_at_5", "risk_at_80",
)  # fmt: skip
_LADDERS = ("ood_ece", "ood_signed_error", "ood_accuracy")
_BILLS = (
    "energy_j", "energy_high_j", "latency_s", "area_m2", "programming_energy_j",
    "programming_time_s",
)  # fmt: skip


def assemble(study: Study, chip: Accelerator, per_seed: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the content of results.json without its provenance.

    Rows are means over seeds; `se` holds their standard errors, `seed_rows` the single seeds.
    Reliability, mapping, σ histograms, programming, the map of pairs (μ, σ) and examples are those
    of the first seed.
    """
    seed_rows = [row for found in per_seed for row in _rows(study, found)]
    keys = list(per_seed[0]["rows"])
    rows = [_mean([r for r in seed_rows if _key(r) == key], study) for key in keys]
    first = per_seed[0]
    return {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        "title": study.title,
        "quick": study.quick,
        "preset": {"name": chip.preset, "hash": chip.preset_hash},
        "rows": rows,
        "seed_rows": seed_rows,
        "reliability": {key: first["rows"][key]["reliability"] for key in keys},
        "mapping": first["mapping"],
        "sigma": first["sigma"],
        "weights": first["weights"],
        "programming": first["programming"],
        "device": cells.device(chip),
        "examples": first.get("examples", []),
        "baselines": baselines(study, first["mapping"]),
        "paired": (differences := paired(study, per_seed)),
        **_over_seeds(per_seed, "fidelity"),
        **_over_seeds(per_seed, "reads"),
        **_over_seeds(per_seed, "flaws"),
        "checks": checks(study, rows, differences),
        "not_simulated": list(NOT_SIMULATED),
    }


def _key(row: dict[str, Any]) -> str:
    return f"{row['model']}/{row['where']}/{row['sampling']}"


def _rows(study: Study, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one seed's rows in the shape of the results file."""
    rows = []
    for key, values in found["rows"].items():
        model, where, sampling = key.split("/")
        ladder = {"0.0": values, **values.get("ladder", {})}
        bill = found["bills"].get(where)
        rows.append(
            {
                "model": model,
                "where": where,
                "sampling": sampling,
                "seed": found["seed"],
                "reads": study.evaluation.reads if model == "bnn" else 1,
                "images": study.data.test_images,
                **{name: values[name] for name in _SCALARS},
                "ece_floor_range": values["ece_floor_range"],
                **{
                    n: {f: rung[n] for f, rung in ladder.items()}
                    for n in (*_LADDERS, "ood_entropy")
                },
                "shifts": values.get("shifts", {}),
                **{name: bill[name] if bill is not None else None for name in _BILLS},
                "breakdown": bill["breakdown"] if bill is not None else None,
            }
        )
    return rows


def _average(values: Sequence[Any]) -> Any:
    """Return the mean of numbers, or of mappings and lists element by element; None stays None."""
    head = values[0]
    if head is None or isinstance(head, str):
        return head
    if isinstance(head, dict):
        return {name: _average([v[name] for v in values]) for name in head}
    if isinstance(head, list):
        return [_average(list(parts)) for parts in zip(*values, strict=True)]
    return math.fsum(values) / len(values)


def _errors(values: Sequence[Any]) -> Any:
    """Return the standard error of numbers, or of mappings and lists element by element."""
    head = values[0]
    if head is None or isinstance(head, str):
        return None
    if isinstance(head, dict):
        return {name: _errors([v[name] for v in values]) for name in head}
    if isinstance(head, list):
        return [_errors(list(parts)) for parts in zip(*values, strict=True)]
    return _standard_error(values)


def _over_seeds(per_seed: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return a part of the results as mean and error; nothing before all seeds have it."""
    found = [one[name] for one in per_seed if name in one]
    if len(found) < len(per_seed):
        return {}
    mean = {name: _average(found)}
    return mean if len(found) == 1 else {**mean, f"{name}_se": _errors(found)}


def _mean(rows: Sequence[dict[str, Any]], study: Study) -> dict[str, Any]:
    """Return the mean row over seeds, with standard errors."""
    fixed = ("model", "where", "sampling", "reads", "images")
    mean = {name: rows[0][name] for name in fixed}
    rest = {n: [r[n] for r in rows] for n in rows[0] if n not in (*fixed, "seed")}
    mean |= {name: _average(values) for name, values in rest.items()}
    mean["seeds"] = list(study.seeds[: len(rows)])
    mean["se"] = {}
    if len(rows) > 1:
        for name in (*_SCALARS, *_BILLS):
            if rows[0][name] is not None:
                mean["se"][name] = _standard_error([r[name] for r in rows])
        mean["se"]["shifts"] = _errors([r["shifts"] for r in rows])
        for name in _LADDERS:
            mean["se"][name] = {
                f: _standard_error([r[name][f] for r in rows]) for f in rows[0][name]
            }
    return mean


def _standard_error(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    variance = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
    return (variance / len(values)) ** 0.5


def bill(found: Bill) -> dict[str, Any]:
    """Return a bill as plain values."""
    return {
        "energy_j": found.energy_j,
        "energy_high_j": found.energy_high_j,
        "latency_s": found.latency_s,
        "area_m2": found.area_m2,
        "programming_energy_j": found.programming_energy_j,
        "programming_time_s": found.programming_time_s,
        "breakdown": {
            "energy_j": dict(found.energy_by_component),
            "energy_by_layer_j": dict(found.energy_by_layer),
            "latency_by_layer_s": dict(found.latency_by_layer),
            "area_m2": dict(found.area_by_component),
            "programming_energy_j": dict(found.programming_energy_by_part),
        },
    }


def _ranges(layer: HardwareLayer) -> dict[str, float | None]:
    """Return what a closed form says about a layer's ranges, where it was asked."""
    if layer.ranges is None:
        return {}
    used, moments = layer.ranges.used, layer.ranges.moments
    steps = used.steps_per_sigma
    return {
        "adc_range_from_moments": float(moments.full_range.max()),
        "adc_clipped_expected": used.expected_share,
        "adc_steps_per_sigma": None if steps is None else float(steps.mean()),
    }


def mapping(deployment: Deployment) -> list[dict[str, Any]]:
    """Return how each layer is mapped, as plain values."""
    rows = []
    for found in deployment.mappings:
        layer = deployment.network.stages[found.layer]
        assert isinstance(layer, HardwareLayer)
        rows.append(
            {
                "layer": found.layer,
                "inputs": layer.product.rows,
                "outputs": layer.product.outputs,
                "positions": layer.positions,
                "weights": found.weights,
                "tiles": len(layer.tiles),
                "weight_max": found.weight_max,
                "gain": found.gain,
                "input_scale": found.input_scale,
                "read_noise": found.read_noise * found.weight_max,
                "window": list(found.window),
                "clipped": found.clipped,
                "below_floor": found.below_floor,
                "above_cap": found.above_cap,
                "outside_window": found.outside_window,
                "adc_range": float(layer.adc_range.max()),
                "adc_clipped": layer.clipped_share,
                **_ranges(layer),
            }
        )
    return rows


def sigma_histograms(network: Network, deployment: Deployment) -> dict[str, Any]:
    """Return histograms of trained and programmed σ per layer, on common logarithmic edges."""
    histograms = {}
    for found in deployment.mappings:
        software, chip = network.stages[found.layer], deployment.network.stages[found.layer]
        if isinstance(software, Remainder):  # holds nothing that was trained
            continue
        assert isinstance(software, MeanFieldLayer)
        assert isinstance(chip, HardwareLayer)
        target = software.sigma().detach().flatten().double()
        held = chip.programmed_sigma(found.read_noise).flatten().double()
        both = torch.cat([target, held, torch.tensor(found.window).double()]).log10()
        edges = torch.linspace(float(both.min()) - 0.02, float(both.max()) + 0.02, 41).double()
        histograms[found.layer] = {
            "edges": (10**edges).tolist(),
            "target": torch.histogram(target.log10(), edges).hist.int().tolist(),
            "programmed": torch.histogram(held.log10(), edges).hist.int().tolist(),
            "window": list(found.window),
        }
    return histograms


def baselines(study: Study, layers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the energy of the same network on digital hardware of the same node."""
    work = [
        LayerWork(
            name=layer["layer"],
            macs=layer["positions"] * layer["weights"],
            weights=layer["weights"],
            outputs=layer["positions"] * layer["outputs"],
        )
        for layer in layers
    ]
    table = load_components("28nm")
    return [
        {"name": found.name, "energy_j": found.energy_j}
        for found in digital_baselines(work, study.evaluation.reads, table)
    ]


def paired(study: Study, per_seed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return accuracy of the chip less that of each software twin, image by image.

    Over the choice of images the mean of the seeds' standard errors; over seeds, of which each has
    its own training and chip, an interval of Student's t, where there are two or more.
    """
    found, images = [], study.data.test_images
    for twin in ("bnn/software/frozen", "bnn/software/per_read"):
        gaps = [
            metrics.paired_difference(
                *(
                    evaluate.unpacked(one["rows"][key]["correct"], images)
                    for key in ("bnn/spintronic/per_read", twin)
                )
            )
            for one in per_seed
        ]
        values, interval = [gap.difference for gap in gaps], None
        mean = math.fsum(values) / len(values)
        if len(values) > 1:
            reach = float(stats.t.ppf(0.975, len(values) - 1)) * _standard_error(values)
            interval = [mean - reach, mean + reach]
        errors = math.fsum(gap.standard_error for gap in gaps) / len(gaps)
        found.append({"twin": twin, "difference": mean, "se_images": errors, "interval": interval})
    return found


def checks(
    study: Study, rows: Sequence[dict[str, Any]], differences: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what the study promised beside what was found."""
    by_key = {_key(row): row for row in rows}
    plain, frozen = by_key["dnn/software/none"], by_key["bnn/software/frozen"]
    per_read, chip = by_key["bnn/software/per_read"], by_key["bnn/spintronic/per_read"]
    targets, half = study.targets, str(0.5)
    gap = max(abs(chip["accuracy"] - twin["accuracy"]) for twin in (frozen, per_read))
    reach = [max(map(abs, d["interval"])) for d in differences if d["interval"] is not None]
    foreign = chip["ood_ece"].get(half)
    ratio = None if foreign is None else plain["ood_ece"][half] / max(foreign, 1e-9)
    wanted = (
        ("software BNN accuracy, frozen", frozen["accuracy"], ">=", targets.software_accuracy),
        ("software BNN accuracy, per read", per_read["accuracy"], ">=", targets.software_accuracy),
        ("spintronic BNN accuracy", chip["accuracy"], ">=", targets.spintronic_accuracy),
        ("spintronic BNN NLL", chip["nll"], "<=", targets.spintronic_nll),
        ("spintronic BNN ECE", chip["ece"], "<=", targets.spintronic_ece),
        ("spintronic BNN ECE above floor", chip["ece"] - chip["ece_floor"], "<=",
         targets.spintronic_ece_excess),
        ("spintronic BNN OOD ECE", foreign, "<=", targets.spintronic_ood_ece),
        ("OOD ECE, deterministic over spintronic", ratio, ">=", targets.ood_ece_ratio),
        ("spintronic BNN epistemic AUROC", chip["auroc_epistemic"], ">=",
         targets.spintronic_auroc),
        ("distance to the software twins", gap, "<=", targets.accuracy_gap),
        ("paired 95 % interval, far end", max(reach, default=None), "<=",
         targets.paired_interval),
    )  # fmt: skip
    return [
        {
            "name": name,
            "value": value,
            "target": f"{sign} {target:g}",
            "met": _met(value, sign, target),
        }
        for name, value, sign, target in wanted
        if target is not None
    ]


def _met(value: float | None, sign: str, target: float) -> bool | None:
    """Return whether a value is what was wanted; nothing where it was not measured."""
    if value is None:
        return None
    return value >= target if sign == ">=" else value <= target
