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
from bayespin.network.ceilings import clippable, set_ceilings
from bayespin.network.checkpoint import load_network, save_network
from bayespin.network.folding import fold_batch_norms
from bayespin.network.models import Network
from bayespin.network.prediction import Execution
from bayespin.network.slicing import sliced
from bayespin.network.temperature import tempered
from bayespin.network.training import Recipe, TrainingDiverged, fit
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.point import PointLayer
from bayespin.nn.standardisation import Standardise
from bayespin.rng import Key
from bayespin.study import cells, data, evaluate, image_sets, networks, provenance, results
from bayespin.study.checks import check_chip
from bayespin.study.decomposition import decomposition
from bayespin.study.evaluate import Row, TestSet
from bayespin.study.schema import Study
from bayespin.study.shifts import Rung, noises, rotations
from bayespin.study.store import RunFolder, write_json

HEADLINE_BLEND = 0.5
_UNFINISHED = "training.safetensors"


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
    device: torch.device
    watch: Watch


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
    held, wanted = _held(study), study.hardware.calibration_images
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
    final["provenance"]["data_sha256"] = {
        **image_sets.digests(study.data), "foreign": foreign.digest
    }  # fmt: skip
    write_json(folder.work / "results.json", final)
    resolved = tomli_w.dumps(load.dump(study))
    (folder.work / "study.toml").write_text(resolved, encoding="utf-8")
    report(folder.work)
    return folder.publish()


def _bench(study: Study, folder: RunFolder, foreign: data.Foreign, watch: Watch) -> _Bench:
    train, test = image_sets.read(study.data)
    device = networks.device_of(study)
    used, kept = study.data.training_images, study.data.training_images - study.data.held_out
    chip = study.hardware.accelerator()
    held = train.images[used - _held(study) : used]
    return _Bench(
        study=study,
        chip=chip,
        window=study.training.window(chip.cell),
        folder=folder,
        train=data.Images(images=train.images[:kept], labels=train.labels[:kept]),
        calibration=held[: study.hardware.calibration_images],
        test=image_sets.judged(study, test, foreign.images),
        foreign=foreign,
        device=device,
        watch=watch if device.type == "cpu" else replace(watch, workers=1),
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
        "classes": list(image_sets.classes(study.data.set)),
    }


def _one_seed(bench: _Bench, seed: int) -> dict[str, Any]:
    """Return everything one seed gives: rows, mapping, σ histograms, examples, bill."""
    key = Key.root(seed)
    plain = _trained(bench, seed, "dnn", key)
    bayesian = _trained(bench, seed, "bnn", key)
    parts = _parts(bench, bayesian)
    ideal, chip = (_deployed(bench, parts, key, d) for d in ("ideal", "spintronic"))
    rows = [
        Row(model=model, where=where, sampling=sampling,
            network=networks.copied_to(network, bench.device))
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
        "bills": {"ideal": _bill(bench, ideal, key), "spintronic": _bill(bench, chip, key)},
        "mapping": results.mapping(chip),
        "sigma": results.sigma_histograms(parts, chip),
        "weights": cells.weight_maps(parts, chip),
        "programming": cells.programming(chip),
        "rows": {row.key: _clean(bench, row, key, seed) for row in rows},
    }
    if seed == bench.study.seeds[0]:
        early = results.assemble(bench.study, bench.chip, [found])
        bench.watch.table({**early, "data": _describe(bench.study, bench)})
    for row in rows:
        found["rows"][row.key]["ladder"] = _ladder(bench, row, key, seed)
        found["rows"][row.key]["shifts"] = _shifts(bench, row, key, seed)
    found |= _beside(bench, rows, key, seed)
    found["seconds"] = _seconds(bench, seed, found["rows"])
    return found


def _parts(bench: _Bench, network: Network) -> Network:
    """Return what is put on chips: norms folded into layers, and some of these sliced."""
    return sliced(fold_batch_norms(network), dict.fromkeys(bench.study.hardware.sliced, 2))


def _beside(bench: _Bench, rows: list[Row], key: Key, seed: int) -> dict[str, Any]:
    """Return what few images tell: the number of reads, examples, fidelity to the software."""
    reads, shown = bench.study.evaluation.reads, [rows[0], rows[-1]]
    few = min(bench.study.evaluation.ladder_images, len(bench.test.images))
    watching = bench.watch.execution(f"seed {seed}: number of reads")

    def examples() -> dict[str, Any]:
        return {"examples": evaluate.examples(shown, bench.test, reads, key.child("examples"))}

    def spent() -> dict[str, Any]:
        return evaluate.spent(rows[-1], bench.test, few, reads, key.child("reads"), watching)

    step = bench.folder.step
    flaws = bench.study.evaluation.flaw_images
    return {
        **(step(f"seed{seed}-flaws", lambda: _flaws(bench, rows[2].network, key)) if flaws else {}),
        "reads": step(f"seed{seed}-reads", spent),
        **step(f"seed{seed}-examples", examples),
        "fidelity": step(f"seed{seed}-fidelity", lambda: _fidelity(bench, rows[2], rows, key)),
    }


def _flaws(bench: _Bench, network: Network, key: Key) -> dict[str, Any]:
    """Return what each flaw of the chip costs, and all together."""
    test, evaluation = bench.test, bench.study.evaluation
    count = min(evaluation.flaw_images, len(test.images))
    parts = (test.images[:count], test.labels[:count], test.partners[:count])
    execution = bench.watch.execution("what the hardware costs")
    reads = (evaluation.reads, key.child("flaws"))
    whole = _parts(bench, networks.copied_to(network, torch.device("cpu")))
    found = decomposition(bench.chip, whole, (bench.calibration, *parts), reads, execution)
    return {"flaws": found}


def _fidelity(bench: _Bench, reference: Row, rows: list[Row], key: Key) -> dict[str, Any]:
    """Return how far other rows' predictions are from those of the software read as the chip."""
    images = bench.test.images[: bench.study.evaluation.ladder_images]
    others = [row for row in rows if row is not reference and row.network.random_stages()]
    execution = bench.watch.execution("fidelity")
    reads = bench.study.evaluation.reads
    return evaluate.fidelity([reference, *others], images, reads, key.child("fidelity"), execution)


def _trained(bench: _Bench, seed: int, model: str, key: Key) -> Network:
    """Return the trained network on the CPU, from its checkpoint where there is one."""
    path = bench.folder.work / "checkpoints" / f"{model}-seed{seed}.safetensors"
    training, inputs = bench.study.training, None
    if bench.study.data.inputs == "standardised":
        inputs = Standardise.like(bench.train.images)
    layer = MeanFieldLayer if model == "bnn" else PointLayer
    network = networks.initial(bench.study, key.child("initial", model), layer, inputs)
    if model == "bnn" and training.ceiling is not None:
        network = clippable(network)
    recipe = training.recipe(bench.window)
    phase = _Phase(bench=bench, key=key, path=path, name=f"seed {seed}: training {model}")

    def train() -> dict[str, Any]:
        started = time.perf_counter()
        network.to(bench.device)
        if model == "bnn" and training.aware_epochs:
            phase.fit_aware(network, recipe)
        else:
            phase.fit(network, recipe)
        found = network
        if model == "bnn" and training.temperature is not None:
            found = tempered(network, training.temperature)
        save_network(path, found)
        return {"seconds": time.perf_counter() - started}

    name = f"seed{seed}-train-{model}"
    if not path.exists():  # deleted because it was damaged
        bench.folder.forget(name)
    bench.folder.step(name, train)
    return load_network(path, network.cpu())


@dataclass(frozen=True, kw_only=True)
class _Phase:
    """What every phase of one training shares."""

    bench: _Bench
    key: Key
    path: Path
    """Of the checkpoint of the trained network."""
    name: str

    def fit(self, network: Network, recipe: Recipe, *part: str) -> None:
        """Train in place, or go on from where an interrupted training stood."""
        images, model = self.bench.train, self.path.name.split("-")[0]
        device = self.bench.device
        try:
            fit(
                network,
                (images.images.to(device), images.labels.to(device)),
                recipe,
                self.key.child("training", model, *part),
                checkpoint=self.path.with_suffix("".join(f".{w}" for w in (*part, _UNFINISHED))),
                progress=self.bench.watch.of(" ".join((self.name, *part))),
            )
        except TrainingDiverged as error:
            raise InputError(f"study {self.bench.study.name}: {error}") from None

    def fit_aware(self, network: Network, recipe: Recipe) -> None:
        """Train, learn from the chip how it would read what was trained, and train on with that."""
        training, images = self.bench.study.training, self.bench.calibration
        self.fit(network, replace(recipe, schedule="constant"))
        if training.ceiling is not None:
            set_ceilings(network, images, training.ceiling, self.key.child("ceilings"))
        try:
            slices = self.bench.study.hardware.sliced
            laws = self.bench.chip.read_laws(network, images, self.key.child("laws"), slices)
        except ValueError as error:
            raise InputError(f"study {self.bench.study.name}: {error}") from None
        self.fit(network, replace(recipe, epochs=training.aware_epochs, reads=laws), "aware")


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


def _shifts(bench: _Bench, row: Row, key: Key, seed: int) -> dict[str, Any]:
    """Return calibration on turned and on noisy images, by degrees and by deviation."""
    evaluation, test = bench.study.evaluation, bench.test
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
            execution = bench.watch.execution(f"seed {seed}: {what}, {row.key}")
            own = key.child("shift", row.key, what)
            return evaluate.blend(row, rung.images, labels, evaluation.reads, own, execution)

        name = f"seed{seed}-{rung.shift}{rung.level:g}-{row.key.replace('/', '-')}"
        levels = found.setdefault(rung.shift, {})
        levels[str(rung.level)] = bench.folder.step(name, compute)
    return found


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
