"""A regression study from its schema to a finished run folder."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w
import torch
from torch import nn

from bayespin import load
from bayespin.chip.accelerator import Accelerator, Devices
from bayespin.load import InputError, fingerprint
from bayespin.network.ceilings import clippable, set_ceilings
from bayespin.network.checkpoint import load_network, save_network
from bayespin.network.metrics.regression import Mixture
from bayespin.network.models import Network
from bayespin.network.regression import predict_mixture
from bayespin.network.slicing import sliced
from bayespin.network.training import TrainingDiverged, fit
from bayespin.nn.bumps import Bumps
from bayespin.nn.estimators import Sampling
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor
from bayespin.study import provenance, regression_data
from bayespin.study.bench import completed
from bayespin.study.regression.schema import TOY, RegressionStudy, RegressionTraining
from bayespin.study.regression.scores import compared, scores
from bayespin.study.regression_data import Split
from bayespin.study.store import RunFolder, write_json
from bayespin.study.watch import Watch

SCHEMA_VERSION = 2
ROWS = (
    ("software", "frozen"),
    ("software", "per_read"),
    ("ideal", "per_read"),
    ("spintronic", "per_read"),
)
"""Where a network is computed, and how it is sampled."""
_TOY_EXAMPLES, _TOY_TEST = 200, 1000
_REACH, _CURVE = 1.6, 161
"""Places at which the toy's bands are drawn."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A study that was found possible, and where it goes."""

    study: RegressionStudy
    chip: Accelerator
    tables: dict[str, Tensor]
    """Content of every UCI set."""
    folder: RunFolder


def prepare(study: RegressionStudy, out: Path) -> Prepared:
    """Check a study before any work, read its tables, and return its run folder.

    Raises:
        InputError: a missing or damaged table, or a chip that is impossible.
    """
    try:
        chip = study.hardware.accelerator()
        if study.training.aware_steps and chip.layout.coding != "amplitude":
            raise ValueError(
                f"`hardware.coding` must be amplitude where `training.aware_steps` is not 0, but "
                f"is {chip.layout.coding}."
            )
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"study {study.name}: {error}") from None
    names = [name for name in study.data.sets if name != TOY]
    found = regression_data.find_uci(study.data.path) if names else Path()
    tables = {name: regression_data.uci(found, name) for name in names}
    identity = {
        "study": load.dump(replace(study, data=replace(study.data, path=None))),
        "preset": chip.preset_hash,
        "schema": SCHEMA_VERSION,
    }
    return Prepared(
        study=study,
        chip=chip,
        tables=tables,
        folder=RunFolder(out, study.name, fingerprint(identity)),
    )


def run_regression(
    prepared: Prepared,
    *,
    force: bool = False,
    watch: Watch | None = None,
    report: Callable[[Path], object] = lambda folder: None,
) -> Path:
    """Run a study and return its folder; a finished one is returned at once.

    Interrupted at any point, the same call resumes and ends in the same numbers.

    Args:
        prepared: from `prepare`.
        force: begin anew, and replace a finished run when the new one is whole.
        watch: callback for progress.
        report: called with the folder before it is published, to add figures and a page.

    Raises:
        InputError: the output folder cannot be used, a training diverged, or a network does not
            fit the chip.
    """
    watching = watch if watch is not None else Watch()
    folder, study = prepared.folder, prepared.study

    def fill(started: str) -> None:
        found = {
            name: [_step(prepared, watching, name, each) for each in range(study.data.count(name))]
            for name in study.data.sets
        }
        write_json(folder.work / "results.json", _assembled(prepared, found, started))
        resolved = tomli_w.dumps(load.dump(study))
        (folder.work / "study.toml").write_text(resolved, encoding="utf-8")
        report(folder.work)

    return completed(folder, fill, force=force)


def _step(prepared: Prepared, watch: Watch, name: str, split: int) -> dict[str, Any]:
    def compute() -> dict[str, Any]:
        try:
            return _one_split(prepared, watch, name, split)
        except InputError:
            raise
        except (ValueError, TrainingDiverged) as error:
            raise InputError(f"study {prepared.study.name}, {name}: {error}") from None

    return prepared.folder.step(f"{name}-{split}", compute)


def _one_split(prepared: Prepared, watch: Watch, name: str, number: int) -> dict[str, Any]:
    """Return the scores of every row on one split, and of the toy also its bands."""
    study, started = prepared.study, time.perf_counter()
    key = Key.root(number).child(name)
    data = _split(prepared, name, number)
    network = _trained(prepared, watch, key, (f"{name}-split{number}", data))
    digital = ("output",) if study.output_layer == "digital" else ()
    networks, twin = {"software": network}, None
    devices: tuple[Devices, ...] = ("ideal", "spintronic")
    for kind in devices:
        calibration = data.inputs[: study.hardware.calibration_images]
        whole = sliced(network, dict.fromkeys(study.hardware.sliced, 2))
        twin = prepared.chip.deploy(whole, calibration, key.child("chip"), kind, digital=digital)
        networks[kind] = twin.network
    assert twin is not None
    found: dict[str, Any] = {"rows": {}, "mapping": [vars(m) for m in twin.mappings]}
    for where, sampling in ROWS:
        named = f"{where}/{sampling}"

        def mixture(inputs: Tensor, word: str, where: str = where, by: str = sampling) -> Mixture:
            return predict_mixture(
                networks[where],
                inputs,
                study.training.likelihood,
                Sampling(by),
                (study.evaluation.reads, key.child(word, where, by)),
                watch.execution(f"{name}, split {number}: {where}/{by}"),
            )

        found["rows"][named] = scores(
            mixture(data.test_inputs, "test"), data.test_targets, data.unit
        )
        if name == TOY and number == 0:
            found.setdefault("bands", {})[named] = _bands(mixture(_places(), "curve"))
    if name == TOY and number == 0:
        found["examples"] = {"x": data.inputs[:, 0].tolist(), "y": data.targets[:, 0].tolist()}
    bill = twin.bill(data.test_inputs[:50], study.evaluation.reads, key.child("bill"))
    found |= {"energy_j": bill.energy_j, "latency_s": bill.latency_s, "area_m2": bill.area_m2}
    return {**found, "seconds": time.perf_counter() - started, "test": len(data.test_inputs)}


def _split(prepared: Prepared, name: str, number: int) -> Split:
    if name != TOY:
        return regression_data.split(prepared.tables[name], number)
    key = Key.root(number).child("toy")
    x, y = regression_data.toy(key.child("train"), _TOY_EXAMPLES)
    test_x, test_y = regression_data.toy(key.child("test"), _TOY_TEST)
    return Split(inputs=x, targets=y, test_inputs=test_x, test_targets=test_y, unit=1.0)


def _trained(prepared: Prepared, watch: Watch, key: Key, of: tuple[str, Split]) -> Network:
    """Return the trained network, from its checkpoint where there is one."""
    name, data = of
    training, images = prepared.study.training, (data.inputs, data.targets)
    network = _start(training, data.inputs.shape[1], key)
    path = prepared.folder.work / "checkpoints" / f"{name}.safetensors"
    if path.exists():
        return load_network(path, network).eval()
    progress, recipe = watch.of(f"{name}: training"), training.recipe(len(data.inputs))
    fit(network, images, recipe, key.child("training"), progress=progress)
    if training.aware_steps:
        calibration = data.inputs[: prepared.study.hardware.calibration_images]
        if training.ceiling is not None:
            set_ceilings(network, calibration, training.ceiling, key.child("ceilings"))
        laws = prepared.chip.read_laws(
            network, calibration, key.child("laws"), prepared.study.hardware.sliced
        )
        if prepared.study.output_layer == "digital":
            laws.pop("output")
        recipe = replace(training.recipe(len(data.inputs), aware=True), reads=laws)
        fit(network, images, recipe, key.child("training", "aware"), progress=progress)
    save_network(path, network)
    return network.eval()


def _start(training: RegressionTraining, columns: int, key: Key) -> Network:
    """Return a network whose hidden units bend at different places of the inputs."""
    first: dict[str, nn.Module] = {}
    if training.bumps:
        first["bumps"] = Bumps(-_REACH, _REACH, training.bumps)
        columns = training.bumps
    hidden = MeanFieldLayer(Dense(columns, training.hidden), key.child("hidden"))
    with torch.no_grad():
        reach = columns**-0.5
        hidden.bias.uniform_(-reach, reach, generator=key.child("bias").generator())
    output = MeanFieldLayer(Dense(training.hidden, 2), key.child("output"))
    network = Network({**first, "hidden": hidden, "relu": nn.ReLU(), "output": output})
    return network if training.ceiling is None else clippable(network)


def _places() -> Float[Tensor, "places 1"]:
    return torch.linspace(-_REACH, _REACH, _CURVE)[:, None]


def _bands(found: Mixture) -> dict[str, list[float]]:
    """Return mean and both parts of the deviation at every place of the toy."""
    return {
        "x": _places()[:, 0].tolist(),
        "mean": found.centre.tolist(),
        "aleatoric": found.aleatoric.sqrt().tolist(),
        "epistemic": found.epistemic.sqrt().tolist(),
    }


def _assembled(
    prepared: Prepared, found: dict[str, list[dict[str, Any]]], started: str
) -> dict[str, Any]:
    """Return results.json: means and standard errors over splits, and what the chip changes."""
    study, rows, verdicts = prepared.study, [], {}
    for name, splits in found.items():
        for where, sampling in ROWS:
            own = [one["rows"][f"{where}/{sampling}"] for one in splits]
            mean, se = _over(own)
            rows.append(
                {"set": name, "where": where, "sampling": sampling, "splits": len(splits),
                 "mean": mean, "se": se}
            )  # fmt: skip
        ours = [one["rows"]["spintronic/per_read"] for one in splits]
        verdicts[name] = {
            by: compared(ours, [one["rows"][f"software/{by}"] for one in splits])
            for by in ("frozen", "per_read")
        }
    seconds = [{name: sum(one["seconds"] for one in splits) for name, splits in found.items()}]
    first = {name: splits[0] for name, splits in found.items()}
    kept = ("mapping", "energy_j", "latency_s", "area_m2", "test")
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": study.kind,
        "study": study.name,
        "title": study.title,
        "quick": study.quick,
        "study_hash": prepared.folder.final.name.rsplit("-", 1)[1],
        "preset": {"name": prepared.chip.preset, "hash": prepared.chip.preset_hash},
        "output_layer": study.output_layer,
        "reads": study.evaluation.reads,
        "rows": rows,
        "split_rows": {n: [one["rows"] for one in splits] for n, splits in found.items()},
        "against_software": verdicts,
        "first": {name: {k: one[k] for k in kept} for name, one in first.items()},
        "toy": {k: first[TOY][k] for k in ("bands", "examples")} if TOY in first else None,
        "provenance": provenance.sections(seconds, tuple(range(study.data.splits)), started),
    }


def _over(rows: list[dict[str, float]]) -> tuple[dict[str, float], dict[str, float | None]]:
    table = {
        name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]
    }
    count = len(rows)
    return (
        {name: float(values.mean()) for name, values in table.items()},
        {n: float(v.std() / count**0.5) if count > 1 else None for n, v in table.items()},
    )
