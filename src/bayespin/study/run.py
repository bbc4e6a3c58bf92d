"""A study from its schema to a finished run folder."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomli_w
import torch

from bayespin import load
from bayespin.chip.accelerator import Accelerator, Deployment, Devices
from bayespin.load import InputError, fingerprint
from bayespin.network.architectures import lenet5
from bayespin.network.checkpoint import load_network, save_network
from bayespin.network.models import Network
from bayespin.network.prediction import Execution
from bayespin.network.training import TrainingDiverged, fit
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.point import PointLayer
from bayespin.nn.standardisation import Standardise
from bayespin.rng import Key
from bayespin.study import cells, data, evaluate, provenance, results
from bayespin.study.evaluate import Row, TestSet
from bayespin.study.schema import Study
from bayespin.study.store import RunFolder, write_json

HEADLINE_BLEND = 0.5


def _ignore(*_: Any) -> None:
    return


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a run is carried out and who is told: every field may be left out."""

    progress: Callable[[str, int, int], None] = _ignore
    """(what, steps done, steps in all)."""
    table: Callable[[dict[str, Any]], None] = _ignore
    """Results so far, once all rows have their clean numbers."""

    workers: int = 1
    """Blocks of images predicted at once; no number depends on it."""

    def of(self, what: str) -> Callable[[int, int], None]:
        """Return the progress callback of one task."""
        return lambda done, total: self.progress(what, done, total)

    def execution(self, what: str) -> Execution:
        """Return how one prediction is carried out."""
        return Execution(workers=self.workers, progress=self.of(what))


@dataclass(frozen=True, kw_only=True)
class _Bench:
    """What all seeds of a run share."""

    study: Study
    chip: Accelerator
    window: SigmaWindow
    folder: RunFolder
    train: data.Images
    calibration: torch.Tensor
    test: TestSet
    foreign: data.Foreign
    watch: Watch


def prepare(study: Study, out: Path) -> tuple[RunFolder, data.Foreign]:
    """Check a study before any work; return its run folder and the foreign images in its name.

    Raises:
        InputError: a missing or damaged data file, a preset or window that is impossible.
    """
    try:
        chip = study.hardware.accelerator()
        study.training.window(chip.cell)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"study {study.name}: {error}") from None
    held, wanted = _held(study), study.hardware.calibration_images
    if wanted > held:
        raise InputError(
            f"study {study.name}: `hardware.calibration_images` must be at most {held}, the images "
            f"held out for it, but is {wanted}."
        )
    foreign = data.foreign_digits(study.data.foreign_path)
    # Where files lie is not part of the identity of a run; what they hold is.
    bare = replace(study, data=replace(study.data, path=None, foreign_path=None))
    identity = {"study": load.dump(bare), "preset": chip.preset_hash, "data": _digests(foreign),
                "schema": results.SCHEMA_VERSION,
                "components": load.read_resource("components", chip.components)}  # fmt: skip
    return RunFolder(out, study.name, fingerprint(identity)), foreign


def run_study(
    study: Study,
    out: Path = Path("runs"),
    *,
    force: bool = False,
    watch: Watch | None = None,
    report: Callable[[Path], object] = _ignore,
) -> Path:
    """Run a study and return its folder; a finished one is returned at once.

    Interrupted at any point, the same call resumes and ends in the same numbers.

    Args:
        study: from `schema.shipped` or `load.build`.
        out: folder of run folders.
        force: begin anew, and replace a finished run when the new one is whole.
        watch: callbacks for progress and the first table.
        report: called with the folder before it is published, to add pages to it.

    Raises:
        InputError: the study, its data or the output folder cannot be used; nothing was done.
    """
    folder, foreign = prepare(study, out)
    if folder.finished and not force:
        return folder.final
    folder.require_writable()  # before a download, and before data is read
    bench = _bench(study, folder, foreign, watch if watch is not None else Watch())
    if force:
        folder.discard()
    folder.open()
    started = folder.step("started", lambda: {"utc": provenance.now()})["utc"]
    per_seed = [_one_seed(bench, seed) for seed in study.seeds]
    final = results.assemble(study, bench.chip, per_seed)
    final["study_hash"] = folder.final.name.rsplit("-", 1)[1]
    final["data"] = _describe(study, bench)
    final["provenance"] = provenance.sections(
        [found["seconds"] for found in per_seed], study.seeds, started
    )
    final["provenance"]["data_sha256"] = _digests(foreign)
    write_json(folder.work / "results.json", final)
    resolved = tomli_w.dumps(load.dump(study))
    (folder.work / "study.toml").write_text(resolved, encoding="utf-8")
    report(folder.work)
    return folder.publish()


def _digests(foreign: data.Foreign) -> dict[str, str]:
    return {"fashion-mnist": data.digest("fashion-mnist"), "foreign": foreign.digest}


def _bench(study: Study, folder: RunFolder, foreign: data.Foreign, watch: Watch) -> _Bench:
    train, test = data.fashion_mnist(data.find_fashion_mnist(study.data.path))
    used, kept = study.data.training_images, study.data.training_images - study.data.held_out
    chip = study.hardware.accelerator()
    held = train.images[used - _held(study) : used]
    key = Key.root(0).child("foreign")
    count = study.data.test_images
    return _Bench(
        study=study,
        chip=chip,
        window=study.training.window(chip.cell),
        folder=folder,
        train=data.Images(images=train.images[:kept], labels=train.labels[:kept]),
        calibration=held[: study.hardware.calibration_images],
        test=TestSet(
            images=test.images[:count],
            labels=test.labels[:count],
            partners=evaluate.pair(foreign.images, count, key.child("pairs")),
            foreign=evaluate.pair(
                foreign.images,
                min(count, study.evaluation.ladder_images, len(foreign.images)),
                key.child("strangers"),
            ),
        ),
        foreign=foreign,
        watch=watch,
    )


def _held(study: Study) -> int:
    """Return the number of images to calibrate on: those held out, or else the training images."""
    return study.data.held_out if study.data.held_out else study.data.training_images


def _describe(study: Study, bench: _Bench) -> dict[str, Any]:
    return {
        "name": study.data.set,
        "train": len(bench.train.images),
        "validation": study.data.held_out,
        "test": len(bench.test.images),
        "ood": bench.foreign.description,
        "ladder_images": min(study.evaluation.ladder_images, len(bench.test.images)),
        "classes": list(data.CLASSES),
    }


def _one_seed(bench: _Bench, seed: int) -> dict[str, Any]:
    """Return everything one seed gives: rows, mapping, σ histograms, examples, bill."""
    key = Key.root(seed)
    plain = _trained(bench, seed, "dnn", key)
    bayesian = _trained(bench, seed, "bnn", key)
    ideal, chip = (_deployed(bench, bayesian, key, d) for d in ("ideal", "spintronic"))
    rows = [
        Row(model="dnn", where="software", sampling="none", network=plain),
        Row(model="bnn", where="software", sampling="frozen", network=bayesian),
        Row(model="bnn", where="software", sampling="per_read", network=bayesian),
        Row(model="bnn", where="ideal", sampling="per_read", network=ideal.network),
        Row(model="bnn", where="spintronic", sampling="per_read", network=chip.network),
    ]
    found: dict[str, Any] = {
        "seed": seed,
        "bills": {"ideal": _bill(bench, ideal, key), "spintronic": _bill(bench, chip, key)},
        "mapping": results.mapping(chip),
        "sigma": results.sigma_histograms(bayesian, chip),
        "weights": cells.weight_maps(bayesian, chip),
        "programming": cells.programming(chip),
        "rows": {row.key: _clean(bench, row, key, seed) for row in rows},
    }
    if seed == bench.study.seeds[0]:
        bench.watch.table(results.assemble(bench.study, bench.chip, [found]))
    for row in rows:
        found["rows"][row.key]["ladder"] = _ladder(bench, row, key, seed)
    reads, shown = bench.study.evaluation.reads, [rows[0], rows[-1]]
    found["examples"] = bench.folder.step(
        f"seed{seed}-examples",
        lambda: {"examples": evaluate.examples(shown, bench.test, reads, key.child("examples"))},
    )["examples"]
    found["seconds"] = _seconds(bench, seed, found["rows"])
    return found


def _trained(bench: _Bench, seed: int, model: str, key: Key) -> Network:
    """Return the trained network, from its checkpoint where there is one."""
    path = bench.folder.work / "checkpoints" / f"{model}-seed{seed}.safetensors"
    layer = MeanFieldLayer if model == "bnn" else PointLayer
    grey = bench.study.data.inputs == "grey"
    inputs = None if grey else Standardise.like(bench.train.images)
    network = lenet5(key.child("initial", model), layer, inputs)

    def train() -> dict[str, Any]:
        started = time.perf_counter()
        try:
            fit(
                network,
                (bench.train.images, bench.train.labels),
                bench.study.training.recipe(bench.window),
                key.child("training", model),
                checkpoint=path.with_suffix(".training.safetensors"),
                progress=bench.watch.of(f"seed {seed}: training {model}"),
            )
        except TrainingDiverged as error:
            raise InputError(f"study {bench.study.name}: {error}") from None
        save_network(path, network)
        return {"seconds": time.perf_counter() - started}

    name = f"seed{seed}-train-{model}"
    if not path.exists():  # deleted because it was damaged
        bench.folder.forget(name)
    bench.folder.step(name, train)
    return load_network(path, network)


def _deployed(bench: _Bench, network: Network, key: Key, devices: Devices) -> Deployment:
    """Return the network on the chip; one that no chip of this kind holds is the user's matter."""
    try:
        return bench.chip.deploy(network, bench.calibration, key.child("chip"), devices)
    except ValueError as error:
        raise InputError(f"study {bench.study.name}: {error}") from None


def _bill(bench: _Bench, deployment: Deployment, key: Key) -> dict[str, Any]:
    images = bench.test.images[: bench.study.hardware.calibration_images]
    bill = deployment.bill(images, bench.study.evaluation.reads, key.child("bill"))
    return results.bill(bill)


def _clean(bench: _Bench, row: Row, key: Key, seed: int) -> dict[str, Any]:
    def compute() -> dict[str, Any]:
        started = time.perf_counter()
        execution = bench.watch.execution(f"seed {seed}: clean images, {row.key}")
        found = evaluate.clean(
            row, bench.test, bench.study.evaluation.reads, key.child("predict", row.key), execution
        )
        return {**found, "seconds": time.perf_counter() - started}

    return bench.folder.step(f"seed{seed}-clean-{row.key.replace('/', '-')}", compute)


def _ladder(bench: _Bench, row: Row, key: Key, seed: int) -> dict[str, Any]:
    ladder: dict[str, Any] = {}
    for fraction in sorted({*bench.study.evaluation.blends} - {0.0}):
        count = len(bench.test.images)
        if fraction != HEADLINE_BLEND:
            count = min(count, bench.study.evaluation.ladder_images)

        def compute(fraction: float = fraction, count: int = count) -> dict[str, Any]:
            started = time.perf_counter()
            execution = bench.watch.execution(f"seed {seed}: blend {fraction:g}, {row.key}")
            own = key.child("blend", row.key, f"{fraction:g}")
            images, labels = bench.test.blended(fraction, count), bench.test.labels[:count]
            found = evaluate.blend(
                row, images, labels, bench.study.evaluation.reads, own, execution
            )
            return {**found, "seconds": time.perf_counter() - started}

        name = f"seed{seed}-blend{fraction:g}-{row.key.replace('/', '-')}"
        ladder[str(fraction)] = bench.folder.step(name, compute)
    return ladder


def _seconds(bench: _Bench, seed: int, rows: dict[str, Any]) -> dict[str, float]:
    """Return seconds by stage; of an interrupted training, only those of its last session."""
    seconds = {
        f"train {model}": bench.folder.step(f"seed{seed}-train-{model}", dict)["seconds"]
        for model in ("dnn", "bnn")
    }
    for name, row in rows.items():
        ladder = sum(rung["seconds"] for rung in row["ladder"].values())
        seconds[f"evaluate {name}"] = row["seconds"] + ladder
    return seconds
