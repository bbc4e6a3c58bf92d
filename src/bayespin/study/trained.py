"""Training both networks of a seed: each ends in a checkpoint, and resumes from an earlier one."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bayespin.load import InputError
from bayespin.network.ceilings import clippable, set_ceilings
from bayespin.network.checkpoint import load_network, save_network
from bayespin.network.models import Network
from bayespin.network.temperature import tempered
from bayespin.network.training import Recipe, TrainingDiverged, fit
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.standardisation import Standardise
from bayespin.rng import Key
from bayespin.study import networks
from bayespin.study.setting import Setting

_UNFINISHED = "training.safetensors"


def trained(setting: Setting, seed: int, model: str, key: Key) -> Network:
    """Return the trained network on the CPU, from its checkpoint where there is one.

    Args:
        setting: of the run.
        seed: names the checkpoint.
        model: `dnn` or `bnn`.
        key: of the seed.

    Raises:
        InputError: training that diverges, or a network that the chip cannot read.
    """
    path = setting.folder.work / "checkpoints" / f"{model}-seed{seed}.safetensors"
    training, inputs = setting.study.training, None
    if setting.study.data.inputs == "standardised":
        inputs = Standardise.like(setting.train.images)
    layer = MeanFieldLayer if model == "bnn" else PointLayer
    network = networks.initial(setting.study, key.child("initial", model), layer, inputs)
    if model == "bnn" and training.ceiling is not None:
        network = clippable(network)
    recipe = training.recipe(setting.window)
    phase = _Phase(setting=setting, key=key, path=path, name=f"seed {seed}: training {model}")

    def train() -> dict[str, Any]:
        started = time.perf_counter()
        network.to(setting.device)
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
        setting.folder.forget(name)
    setting.folder.step(name, train)
    return load_network(path, network.cpu())


@dataclass(frozen=True, kw_only=True)
class _Phase:
    """What every phase of one training shares."""

    setting: Setting
    key: Key
    path: Path
    """Of the checkpoint of the trained network."""
    name: str

    def fit(self, network: Network, recipe: Recipe, *part: str) -> None:
        """Train in place, or go on from where an interrupted training stood."""
        images, model = self.setting.train, self.path.name.split("-")[0]
        device = self.setting.device
        try:
            fit(
                network,
                (images.images.to(device), images.labels.to(device)),
                recipe,
                self.key.child("training", model, *part),
                checkpoint=self.path.with_suffix("".join(f".{w}" for w in (*part, _UNFINISHED))),
                progress=self.setting.watch.of(" ".join((self.name, *part))),
            )
        except TrainingDiverged as error:
            raise InputError(f"study {self.setting.study.name}: {error}") from None

    def fit_aware(self, network: Network, recipe: Recipe) -> None:
        """Train, learn from the chip how it would read what was trained, and train on with that."""
        training, images = self.setting.study.training, self.setting.calibration
        self.fit(network, replace(recipe, schedule="constant"))
        if training.ceiling is not None:
            set_ceilings(network, images, training.ceiling, self.key.child("ceilings"))
        try:
            slices = self.setting.study.hardware.sliced
            laws = self.setting.chip.read_laws(network, images, self.key.child("laws"), slices)
        except ValueError as error:
            raise InputError(f"study {self.setting.study.name}: {error}") from None
        self.fit(network, replace(recipe, epochs=training.aware_epochs, reads=laws), "aware")
