"""An epoch's steps of LeNet-5 in bayesian-torch's Flipout layers, for `bench/train.py`.

    pip install --no-deps bayesian-torch==0.5.0

Without its requirements: it names torchvision, which its layers do not use and which breaks other
imports beside a torch for processors only. Nothing else of bayespin imports it.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


def steps(images: torch.Tensor, labels: torch.Tensor, batch: int) -> Callable[[], None]:
    """Return what trains on every batch once, as the package's README shows it.

    The loss is cross-entropy plus its divergence over the batch. The divergence comes with each
    layer's outputs and is a mean over weights; what it is divided by costs nothing.
    """
    from bayesian_torch.layers import (  # ty: ignore[import-not-found]
        Conv2dFlipout,
        LinearFlipout,
    )

    layers = nn.ModuleList(
        [
            Conv2dFlipout(1, 6, 5, padding=2),
            Conv2dFlipout(6, 16, 5),
            LinearFlipout(400, 120),
            LinearFlipout(120, 84),
            LinearFlipout(84, 10),
        ]
    )
    adam = torch.optim.Adam(layers.parameters(), lr=2e-3)

    def one(x: torch.Tensor, y: torch.Tensor) -> None:
        total = torch.zeros(())
        for number, layer in enumerate(layers):
            x, divergence = layer(x)
            total = total + divergence
            if number < 2:
                x = F.relu(F.max_pool2d(x, 2))
            elif number < 4:
                x = F.relu(x)
            x = x.flatten(1) if number == 1 else x
        loss = F.cross_entropy(x, y) + total / len(y)
        adam.zero_grad()
        loss.backward()
        adam.step()

    def task() -> None:
        for x, y in zip(images.split(batch), labels.split(batch), strict=True):
            one(x, y)

    return task
