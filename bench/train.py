"""Seconds per epoch of 60,000 images by method, against a plain network of the same shape.

LeNet-5 with batches of 128, and dense layers 784-256-10 with batches of 256. Each turn times some
steps of the 469 or 235 of an epoch. Images are noise: only their shape matters.

Where bayesian-torch is installed (see `_peer_bayesian_torch.py` for how), LeNet-5 in its Flipout
layers takes its turns too.
"""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from _measure import interleaved, report
from _peer_bayesian_torch import steps as peer_steps

from bayespin.network.architectures import LayerMaker, lenet5, mlp
from bayespin.network.ivon import Ivon
from bayespin.network.models import Network
from bayespin.network.training import Recipe, fit
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.point import PointLayer
from bayespin.rng import Key

IMAGES, STEPS, ROUNDS = 60_000, 20, 9
KEY = Key.root(0)
BASE = Recipe(epochs=1, batch=128, learning_rate=2e-3, window=SigmaWindow(floor=0.01, cap=0.08))
RECIPES = {
    "plain": BASE,
    "flipout": replace(BASE, estimator="flipout"),
    "per_read": replace(BASE, estimator="local_reparameterised"),
    "ivon": replace(BASE, method=Ivon(start=0.1)),
}
"""By the name of the figure; a plain network uses neither estimator nor σ."""


def noise(batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and labels of so many batches as one turn takes."""
    generator, count = KEY.child("images").generator(), batch * STEPS
    images = torch.rand((count, 1, 28, 28), generator=generator)
    return images, torch.randint(10, (count,), generator=generator)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and its batch; figures are called `{prefix}{recipe}_epoch_s`."""

    prefix: str
    batch: int
    made: Callable[[LayerMaker], Network]

    def tasks(self) -> dict[str, Callable[[], object]]:
        """Return what trains `STEPS` batches, by the name of its figure."""
        images, labels = noise(self.batch)

        def task(network: Network, recipe: Recipe) -> Callable[[], object]:
            return lambda: fit(network, (images, labels), recipe, KEY)

        return {
            f"{self.prefix}{name}_epoch_s": task(
                self.made(PointLayer if name == "plain" else MeanFieldLayer),
                replace(recipe, batch=self.batch),
            )
            for name, recipe in RECIPES.items()
        }


CASES = (
    Case(prefix="", batch=128, made=lambda layer: lenet5(KEY, layer)),
    Case(prefix="dense_", batch=256, made=lambda layer: mlp(KEY, (784, 256, 10), layer)),
)


def main() -> None:
    """Time the ways of training each network in turns."""
    epochs: dict[str, float] = {}
    references: dict[str, str] = {}
    for case in CASES:
        tasks = case.tasks()
        if not case.prefix and importlib.util.find_spec("bayesian_torch") is not None:
            tasks["bayesian_torch_flipout_epoch_s"] = peer_steps(*noise(case.batch), case.batch)
        found = interleaved(tasks, ROUNDS)
        steps = math.ceil(IMAGES / case.batch)
        epochs |= {name: seconds * steps / STEPS for name, seconds in found.items()}
        references |= dict.fromkeys(found, f"{case.prefix}plain_epoch_s")
    report("train", epochs, "s", references)


if __name__ == "__main__":
    main()
