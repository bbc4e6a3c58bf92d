"""A study of colour images, from files to the page: norms, many classes, another device."""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from bayespin import load
from bayespin.chip.accelerator import Accelerator
from bayespin.load import InputError
from bayespin.network.convert import Call, Place
from bayespin.network.models import INPUT, Network
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.folding import hold_bias
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Convolution, Dense
from bayespin.nn.standardisation import Standardise
from bayespin.report import page, table
from bayespin.rng import Key
from bayespin.study import data, networks
from bayespin.study.run import prepare, run_study
from bayespin.study.schema import Study
from tests.study.tiny import write_colours


def residual(key: Key, layer: Any, inputs: Standardise | None) -> Network:
    """Return what `resnet13` is in small: two normed convolutions, a shortcut, many classes."""
    stages: dict[str, nn.Module] = {
        "standardise": inputs if inputs is not None else nn.Identity(),
        "stem": layer(Convolution(3, 8, 8, stride=8), key.child("stem")),
        "stem_norm": nn.BatchNorm2d(8),
        "relu": nn.ReLU(),
        "again": layer(Convolution(8, 8, 3, padding=1), key.child("again")),
        "again_norm": nn.BatchNorm2d(8),
        "add": Call(torch.add, (Place(0), Place(1)), {}),
        "flatten": nn.Flatten(),
        "dense": layer(Dense(128, 100), key.child("dense")),
    }
    for name in ("stem", "again"):
        hold_bias(stages[name])
    chain = itertools.pairwise([INPUT, *stages])
    feeds: dict[str, tuple[str, ...]] = {name: (source,) for source, name in chain}
    feeds["add"] = ("again_norm", "relu")
    return Network(stages, feeds)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, digests: dict[str, Any]) -> Iterator[Path]:
    """A folder that holds what stands for CIFAR-100; MNIST has its stand-in as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "read_resource", lambda kind, name: digests)
        yield write_colours(tmp_path_factory.mktemp("colours"), 500, 100)


def smoke(files: Path, pictures: Path, **changes: Any) -> Study:
    """Return the shipped study on these files, with dotted changes such as training__epochs=3."""
    content = load.read_resource("studies", "resnet13-smoke")
    content["data"] |= {"path": str(files), "foreign_path": str(pictures / "mnist")}
    for name, value in changes.items():
        *section, field = name.split("__")
        (content[section[0]] if section else content)[field] = value
    return load.build(Study, content, "smoke.toml")


@pytest.fixture(scope="module")
def ran(files: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the small network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "resnet13", residual)
        chosen = smoke(files, pictures, hardware__sliced=["stem"])
        return run_study(chosen, tmp_path_factory.mktemp("runs"), report=page.write)


@pytest.fixture
def found(ran: Path) -> dict[str, Any]:
    return json.loads((ran / "results.json").read_text(encoding="utf-8"))


def test_a_run_knows_what_it_was_made_of(found, files, pictures):
    assert found["data"]["name"] == "cifar100"
    assert (found["data"]["train"], found["data"]["test"]) == (300, 60)
    assert found["data"]["classes"][99] == "worm"
    assert set(found["provenance"]["data_sha256"]) == {"cifar100", "foreign"}
    assert {layer["layer"] for layer in found["mapping"]} == {
        "stem_slice1", "stem_slice2", "again", "dense",
    }  # fmt: skip
    assert len(found["rows"]) == 5
    assert all(0 < row["nll"] < 50 for row in found["rows"])


def test_spreads_are_compared_with_norms_folded_in(found):
    """Trained and programmed σ of one layer are in the same units, or their means part."""
    drawn = found["sigma"]["again"]
    centres = [math.sqrt(a * b) for a, b in itertools.pairwise(drawn["edges"])]
    means = [
        sum(c * n for c, n in zip(centres, drawn[kind], strict=True)) / sum(drawn[kind])
        for kind in ("target", "programmed")
    ]
    assert means[1] == pytest.approx(means[0], rel=0.5)


def test_examples_are_in_colour_and_name_few_classes(found, ran):
    first = found["examples"][0]
    assert torch.tensor(first["image"]).shape == (32, 32, 3)
    assert len(first["rows"]["bnn/spintronic/per_read"]["mean"]) == 100
    html = (ran / "report.html").read_text(encoding="utf-8")
    assert "apple" in html
    assert html.count(">whale<") <= len(found["examples"])


def test_no_number_of_another_data_set_stands_beside(found, ran):
    assert "paper" not in (ran / "report.html").read_text(encoding="utf-8").lower()
    assert len(table.table(found).rows) == 5
    assert not any("paper" in note for note in table.table(found).notes)


def test_data_and_device_are_part_of_a_run(files, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    plain = prepare(smoke(files, pictures), tmp_path)[0].final
    assert prepare(smoke(files, pictures, device="cpu"), tmp_path)[0].final == plain
    assert prepare(smoke(files, pictures, device="cuda"), tmp_path)[0].final != plain
    other = write_colours(tmp_path / "other", 501, 100)
    assert prepare(smoke(other, pictures), tmp_path)[0].final != plain


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"device": "cuda"}, r"`device` must be cpu on a machine without .* `--set device=cpu`"),
        (
            {"training__aware_epochs": 1},
            r"`training.aware_epochs` must be 0 for resnet13, whose batch norms",
        ),
        (
            {"hardware__sliced": ["conv1"]},
            r"`hardware.sliced` must name layers of the network, stem, block1_conv1, .*names conv1",
        ),
        ({"data__test_images": 101}, r"`data.test_images` must be at most 100"),
    ],
)
def test_what_cannot_be_is_refused_before_work(
    files, pictures, tmp_path, monkeypatch, changes, words
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=words):
        prepare(smoke(files, pictures, **changes), tmp_path)
    assert not list(tmp_path.iterdir())


def test_reads_in_the_loss_need_the_processor(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    content = load.read_resource("studies", "fashion-mnist-aware")
    chosen = load.build(Study, {**content, "device": "cuda"}, "x")
    with pytest.raises(InputError, match=r"`device` must be cpu where `training.aware_epochs`"):
        prepare(chosen, tmp_path)


def test_inputs_of_the_real_network_are_standardised(files, pictures):
    inputs = Standardise(0.5, 0.25)
    key, chosen = Key.root(0), smoke(files, pictures)
    network = networks.initial(chosen, key, MeanFieldLayer, inputs)
    bare = networks.initial(chosen, key, MeanFieldLayer, None)
    assert network.feeds["stem"] == ("standardise",)
    assert list(network.random_layers()) == list(bare.random_layers())
    for name, value in bare.state_dict().items():
        assert torch.equal(network.state_dict()[name], value)


class Nothing:
    """Stands for noise where no numbers are."""

    def normal(self, like: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(like)


def test_a_chip_made_on_the_processor_computes_elsewhere(monkeypatch):
    """On a device without numbers, which refuses to mix with the CPU's as CUDA does."""
    key, preset = Key.root(3), Accelerator.from_preset()
    chip = replace(preset, layout=replace(preset.layout, wires=None))
    network = residual(key, MeanFieldLayer, Standardise(0.5, 0.25)).eval()
    images = torch.rand(5, 3, 32, 32, generator=key.child("images").generator())
    made = chip.deploy(network, images, key.child("chip")).network
    moved = networks.copied_to(made, torch.device("meta"))
    assert networks.on(made).type == "cpu"
    asked, yes = torch.Tensor.any, torch.tensor(True)
    # Whether there is any noise is the one value that a pass looks at.
    monkeypatch.setattr(torch.Tensor, "any", lambda t: yes if t.is_meta else asked(t))
    outputs = moved(images.to("meta"), Nothing(), local_reparameterised)
    assert outputs.is_meta
    assert outputs.shape == (5, 100)
    with pytest.raises(RuntimeError, match="meta"):
        moved(images, Nothing(), local_reparameterised)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_another_device_gives_the_same_up_to_chance(found, files, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "resnet13", residual)
    folder = run_study(smoke(files, pictures, device="cuda"), tmp_path, report=page.write)
    there = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    for one, other in zip(found["rows"], there["rows"], strict=True):
        # Other draws of the weights' noise, on 60 images: a few standard errors of the mean loss.
        assert other["nll"] == pytest.approx(one["nll"], rel=0.2)


@pytest.mark.slow
def test_the_shipped_study_runs(files, pictures, tmp_path):
    chosen = smoke(files, pictures, evaluation__flaw_images=5)
    folder = run_study(chosen, tmp_path, report=page.write)
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert len(found["mapping"]) == 13
    assert sum(layer["weights"] for layer in found["mapping"]) == 1_249_120
