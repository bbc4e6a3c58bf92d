"""A study from its schema to a finished run folder."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w
import torch

from bayespin import load
from bayespin.chip.accelerator import Deployment, Devices
from bayespin.load import InputError, fingerprint
from bayespin.network.folding import fold_batch_norms
from bayespin.network.models import Network
from bayespin.network.slicing import sliced
from bayespin.rng import Key
from bayespin.study import cells, data, evaluate, image_sets, networks, provenance, results
from bayespin.study.checks import check_chip
from bayespin.study.decomposition import decomposition
from bayespin.study.evaluate import Row
from bayespin.study.schema import Study
from bayespin.study.setting import Setting, reserved, setting_of
from bayespin.study.shifts import Rung, noises, rotations
from bayespin.study.store import RunFolder, write_json
from bayespin.study.trained import trained
from bayespin.study.watch import Watch, ignored

HEADLINE_BLEND = 0.5


def prepare(study: Study, out: Path) -> tuple[RunFolder, data.Foreign]:
    """Check a study before any work; return its run folder and the foreign images in its name.

    Raises:
        InputError: a missing or damaged data file, a preset or window that is impossible, a device
            that is not there.
    """
    networks.device_of(study)
    try:
        chip = study.hardware.accelerator()
        study.training.window(chip.cell)
        check_chip(study, chip)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"study {study.name}: {error}") from None
    held, wanted = reserved(study), study.hardware.calibration_images
    if wanted > held:
        raise InputError(
            f"study {study.name}: `hardware.calibration_images` must be at most {held}, the images "
            f"held out for it, but is {wanted}."
        )
    foreign = data.foreign_digits(study.data.foreign_path)
    # Where files lie is not part of the identity of a run; what they hold is.
    bare = replace(study, data=replace(study.data, path=None, foreign_path=None))
    if study.device == "cpu":  # as if it were left out
        bare = replace(bare, device=None)
    digests = {**image_sets.digests(study.data), "foreign": foreign.digest}
    identity = {"study": load.dump(bare), "preset": chip.preset_hash, "data": digests,
                "schema": results.SCHEMA_VERSION,
                "components": load.read_resource("components", chip.components)}  # fmt: skip
    return RunFolder(out, study.name, fingerprint(identity)), foreign


def run_study(
    study: Study,
    out: Path = Path("runs"),
    *,
    force: bool = False,
    watch: Watch | None = None,
    report: Callable[[Path], object] = ignored,
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
    setting = setting_of(study, folder, foreign, watch if watch is not None else Watch())
    if force:
        folder.discard()
    folder.open()
    started = folder.step("started", lambda: {"utc": provenance.now()})["utc"]
    per_seed = [_one_seed(setting, seed) for seed in study.seeds]
    final = results.assemble(study, setting.chip, per_seed)
    final["study_hash"] = folder.final.name.rsplit("-", 1)[1]
    final["data"] = _describe(study, setting)
    final["provenance"] = provenance.sections(
        [found["seconds"] for found in per_seed], study.seeds, started
    )
    final["provenance"]["data_sha256"] = {
        **image_sets.digests(study.data), "foreign": foreign.digest
    }  # fmt: skip
    write_json(folder.work / "results.json", final)
    resolved = tomli_w.dumps(load.dump(study))
    (folder.work / "study.toml").write_text(resolved, encoding="utf-8")
    report(folder.work)
    return folder.publish()


def _describe(study: Study, setting: Setting) -> dict[str, Any]:
    return {
        "name": study.data.set,
        "train": len(setting.train.images),
        "validation": study.data.held_out,
        "test": len(setting.test.images),
        "ood": setting.foreign.description,
        "ladder_images": min(study.evaluation.ladder_images, len(setting.test.images)),
        "classes": list(image_sets.classes(study.data.set)),
    }


def _one_seed(setting: Setting, seed: int) -> dict[str, Any]:
    """Return everything one seed gives: rows, mapping, σ histograms, examples, bill."""
    key = Key.root(seed)
    plain = trained(setting, seed, "dnn", key)
    bayesian = trained(setting, seed, "bnn", key)
    parts = _parts(setting, bayesian)
    ideal, chip = (_deployed(setting, parts, key, d) for d in ("ideal", "spintronic"))
    rows = [
        Row(model=model, where=where, sampling=sampling,
            network=networks.copied_to(network, setting.device))
        for model, where, sampling, network in (
            ("dnn", "software", "none", plain),
            ("bnn", "software", "frozen", bayesian),
            ("bnn", "software", "per_read", bayesian),
            ("bnn", "ideal", "per_read", ideal.network),
            ("bnn", "spintronic", "per_read", chip.network),
        )
    ]  # fmt: skip
    found: dict[str, Any] = {
        "seed": seed,
        "bills": {"ideal": _bill(setting, ideal, key), "spintronic": _bill(setting, chip, key)},
        "mapping": results.mapping(chip),
        "sigma": results.sigma_histograms(parts, chip),
        "weights": cells.weight_maps(parts, chip),
        "programming": cells.programming(chip),
        "rows": {row.key: _clean(setting, row, key, seed) for row in rows},
    }
    if seed == setting.study.seeds[0]:
        early = results.assemble(setting.study, setting.chip, [found])
        setting.watch.table({**early, "data": _describe(setting.study, setting)})
    for row in rows:
        found["rows"][row.key]["ladder"] = _ladder(setting, row, key, seed)
        found["rows"][row.key]["shifts"] = _shifts(setting, row, key, seed)
    found |= _beside(setting, rows, key, seed)
    found["seconds"] = _seconds(setting, seed, found["rows"])
    return found


def _parts(setting: Setting, network: Network) -> Network:
    """Return what is put on chips: norms folded into layers, and some of these sliced."""
    return sliced(fold_batch_norms(network), dict.fromkeys(setting.study.hardware.sliced, 2))


def _beside(setting: Setting, rows: list[Row], key: Key, seed: int) -> dict[str, Any]:
    """Return what few images tell: the number of reads, examples, fidelity to the software."""
    reads, shown = setting.study.evaluation.reads, [rows[0], rows[-1]]
    few = min(setting.study.evaluation.ladder_images, len(setting.test.images))
    watching = setting.watch.execution(f"seed {seed}: number of reads")

    def examples() -> dict[str, Any]:
        return {"examples": evaluate.examples(shown, setting.test, reads, key.child("examples"))}

    def spent() -> dict[str, Any]:
        return evaluate.spent(rows[-1], setting.test, few, reads, key.child("reads"), watching)

    step = setting.folder.step
    flaws = setting.study.evaluation.flaw_images
    return {
        **(
            step(f"seed{seed}-flaws", lambda: _flaws(setting, rows[2].network, key))
            if flaws
            else {}
        ),
        "reads": step(f"seed{seed}-reads", spent),
        **step(f"seed{seed}-examples", examples),
        "fidelity": step(f"seed{seed}-fidelity", lambda: _fidelity(setting, rows[2], rows, key)),
    }


def _flaws(setting: Setting, network: Network, key: Key) -> dict[str, Any]:
    """Return what each flaw of the chip costs, and all together."""
    test, evaluation = setting.test, setting.study.evaluation
    count = min(evaluation.flaw_images, len(test.images))
    parts = (test.images[:count], test.labels[:count], test.partners[:count])
    execution = setting.watch.execution("what the hardware costs")
    reads = (evaluation.reads, key.child("flaws"))
    whole = _parts(setting, networks.copied_to(network, torch.device("cpu")))
    found = decomposition(setting.chip, whole, (setting.calibration, *parts), reads, execution)
    return {"flaws": found}


def _fidelity(setting: Setting, reference: Row, rows: list[Row], key: Key) -> dict[str, Any]:
    """Return how far other rows' predictions are from those of the software read as the chip."""
    images = setting.test.images[: setting.study.evaluation.ladder_images]
    others = [row for row in rows if row is not reference and row.network.random_stages()]
    execution = setting.watch.execution("fidelity")
    reads = setting.study.evaluation.reads
    return evaluate.fidelity([reference, *others], images, reads, key.child("fidelity"), execution)


def _deployed(setting: Setting, network: Network, key: Key, devices: Devices) -> Deployment:
    """Return the network on the chip; one that no chip of this kind holds is the user's matter."""
    try:
        return setting.chip.deploy(network, setting.calibration, key.child("chip"), devices)
    except ValueError as error:
        raise InputError(f"study {setting.study.name}: {error}") from None


def _bill(setting: Setting, deployment: Deployment, key: Key) -> dict[str, Any]:
    images = setting.test.images[: setting.study.hardware.calibration_images]
    bill = deployment.bill(images, setting.study.evaluation.reads, key.child("bill"))
    return results.bill(bill)


def _clean(setting: Setting, row: Row, key: Key, seed: int) -> dict[str, Any]:
    def compute() -> dict[str, Any]:
        started = time.perf_counter()
        execution = setting.watch.execution(f"seed {seed}: clean images, {row.key}")
        found = evaluate.clean(
            row,
            setting.test,
            setting.study.evaluation.reads,
            key.child("predict", row.key),
            execution,
        )
        return {**found, "seconds": time.perf_counter() - started}

    return setting.folder.step(f"seed{seed}-clean-{row.key.replace('/', '-')}", compute)


def _ladder(setting: Setting, row: Row, key: Key, seed: int) -> dict[str, Any]:
    ladder: dict[str, Any] = {}
    for fraction in sorted({*setting.study.evaluation.blends} - {0.0}):
        count = len(setting.test.images)
        if fraction != HEADLINE_BLEND:
            count = min(count, setting.study.evaluation.ladder_images)

        def compute(fraction: float = fraction, count: int = count) -> dict[str, Any]:
            started = time.perf_counter()
            execution = setting.watch.execution(f"seed {seed}: blend {fraction:g}, {row.key}")
            own = key.child("blend", row.key, f"{fraction:g}")
            images, labels = setting.test.blended(fraction, count), setting.test.labels[:count]
            found = evaluate.blend(
                row, images, labels, setting.study.evaluation.reads, own, execution
            )
            return {**found, "seconds": time.perf_counter() - started}

        name = f"seed{seed}-blend{fraction:g}-{row.key.replace('/', '-')}"
        ladder[str(fraction)] = setting.folder.step(name, compute)
    return ladder


def _shifts(setting: Setting, row: Row, key: Key, seed: int) -> dict[str, Any]:
    """Return calibration on turned and on noisy images, by degrees and by deviation."""
    evaluation, test = setting.study.evaluation, setting.test
    count = min(evaluation.ladder_images, len(test.images))
    images, labels = test.images[:count], test.labels[:count]
    noise = Key.root(0).child("shifts")  # the same images for every row and seed
    found: dict[str, Any] = {}
    for rung in (
        *rotations(images, labels, evaluation.rotations),
        *noises(images, labels, evaluation.noises, noise),
    ):

        def compute(rung: Rung = rung) -> dict[str, Any]:
            what = f"{rung.shift} {rung.level:g}"
            execution = setting.watch.execution(f"seed {seed}: {what}, {row.key}")
            own = key.child("shift", row.key, what)
            return evaluate.blend(row, rung.images, labels, evaluation.reads, own, execution)

        name = f"seed{seed}-{rung.shift}{rung.level:g}-{row.key.replace('/', '-')}"
        levels = found.setdefault(rung.shift, {})
        levels[str(rung.level)] = setting.folder.step(name, compute)
    return found


def _seconds(setting: Setting, seed: int, rows: dict[str, Any]) -> dict[str, float]:
    """Return seconds by stage; of an interrupted training, only those of its last session."""
    seconds = {
        f"train {model}": setting.folder.step(f"seed{seed}-train-{model}", dict)["seconds"]
        for model in ("dnn", "bnn")
    }
    for name, row in rows.items():
        ladder = sum(rung["seconds"] for rung in row["ladder"].values())
        seconds[f"evaluate {name}"] = row["seconds"] + ladder
    return seconds
