"""Seconds per epoch of LeNet-5 (60,000 images, batch 128) by estimator, against a plain network.

One epoch is 469 steps; each turn times 20 of them. Images are noise: only their shape matters.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
from _measure import interleaved, report

from bayespin.network.architectures import lenet5
from bayespin.network.models import Network
from bayespin.network.training import Recipe, fit
from bayespin.nn.mean_field import SigmaWindow
from bayespin.nn.point import PointLayer
from bayespin.rng import Key

BATCH, STEPS, EPOCH = 128, 20, 469


def main() -> None:
    """Time the three ways of training in turns."""
    key = Key.root(0)
    generator = key.child("images").generator()
    images = torch.rand((BATCH * STEPS, 1, 28, 28), generator=generator)
    labels = torch.randint(10, (BATCH * STEPS,), generator=generator)
    window = SigmaWindow(floor=0.01, cap=0.08)

    recipe = Recipe(epochs=1, batch=BATCH, learning_rate=2e-3, window=window)
    per_read = replace(recipe, estimator="local_reparameterised")

    def task(network: Network, recipe: Recipe) -> Callable[[], object]:
        return lambda: fit(network, (images, labels), recipe, key)

    tasks = {
        "plain_epoch_s": task(lenet5(key, PointLayer), recipe),
        "flipout_epoch_s": task(lenet5(key), recipe),
        "per_read_epoch_s": task(lenet5(key), per_read),
    }
    found = interleaved(tasks, rounds=9)
    epochs = {name: seconds * EPOCH / STEPS for name, seconds in found.items()}
    report("train", epochs, "s", "plain_epoch_s")


if __name__ == "__main__":
    main()
