"""Seconds for 100 reads of 10,000 images with LeNet-5, against as many plain forward passes.

Each turn times 10 reads of 500 images and is scaled; one block per core at a time. Networks are
untrained and images are noise: only shapes matter.
"""

import os
from collections.abc import Callable

import torch
from _measure import interleaved, report

from bayespin.chip.accelerator import Accelerator
from bayespin.network.architectures import lenet5
from bayespin.network.models import Network
from bayespin.network.prediction import IMAGE_BLOCK, Execution, predict
from bayespin.nn.estimators import Sampling, reparameterised
from bayespin.nn.point import PointLayer
from bayespin.rng import Key, KeyedNoise

IMAGES, READS = 1000, 10
SCALE = 10_000 * 100 / (IMAGES * READS)


def main() -> None:
    """Time the four kinds of prediction in turns."""
    key = Key.root(0)
    images = torch.rand((IMAGES, 1, 28, 28), generator=key.child("images").generator())
    plain, bayesian = lenet5(key, PointLayer), lenet5(key)
    chip = Accelerator.from_preset().deploy(bayesian, images[:200], key).network
    execution = Execution(workers=os.cpu_count() or 1)

    def task(network: Network, sampling: Sampling) -> Callable[[], object]:
        return lambda: predict(network, images, sampling, READS, key, execution)

    def forward() -> None:
        noise = KeyedNoise.from_key(key)
        with torch.no_grad():
            for _ in range(READS):
                for block in images.split(IMAGE_BLOCK):
                    plain(block, noise, reparameterised).softmax(-1)

    tasks = {
        "plain_passes_s": forward,
        "frozen_s": task(bayesian, Sampling.FROZEN),
        "per_read_s": task(bayesian, Sampling.PER_READ),
        "chip_s": task(chip, Sampling.PER_READ),
    }
    found = interleaved(tasks, rounds=7)
    report("predict", {name: s * SCALE for name, s in found.items()}, "s", "per_read_s")


if __name__ == "__main__":
    main()
