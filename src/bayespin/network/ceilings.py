"""Activations that saturate: what drivers of a chip send at most, inside the network itself.

A chip's read noise hardly depends on its inputs, so inputs that are mostly far below the largest
drown in it. A ceiling gives up a few large activations for signal in all others; trained with it,
a network loses little (arXiv:1805.06085), and software and hardware stay one network.
"""

import torch
from torch import nn

from bayespin.network.models import INPUT, Network
from bayespin.nn.clipped_relu import ClippedReLU
from bayespin.nn.estimators import local_reparameterised
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor

_MOST = 200_000
"""Activations that a quantile is taken of."""


def clippable(network: Network) -> Network:
    """Return the network with `ClippedReLU` in place of every `ReLU`, still without a ceiling.

    Layers are those of the network given, not copies.

    Raises:
        ValueError: a network without either.
    """
    stages = {
        name: ClippedReLU() if isinstance(stage, nn.ReLU) else stage
        for name, stage in network.stages.items()
    }
    if not any(isinstance(stage, ClippedReLU) for stage in stages.values()):
        raise ValueError("Argument `network` must have a `ReLU` to clip, but has none.")
    return network.with_stages(stages)


@torch.no_grad()
def set_ceilings(
    network: Network, images: Float[Tensor, " images *shape"], share: float, key: Key
) -> Network:
    """Set every ceiling in place where a share of the positive inputs ends; return the network.

    c is the quantile `share` of x > 0 over the images, behind stages that are already clipped.

    Args:
        network: from `clippable`.
        images: typical inputs; never test images.
        share: between 0 and 1; 0.95 clips one in twenty.
        key: of the weights' noise.

    Raises:
        ValueError: a share that is none.
    """
    if not 0 < share < 1:
        raise ValueError(f"Argument `share` must be between 0 and 1, but is {share}.")
    one = network.passing(KeyedNoise.from_key(key), local_reparameterised)

    def limited(name: str, taken: list[Tensor]) -> Tensor:
        stage = network.stages[name]
        if isinstance(stage, ClippedReLU):
            positive = taken[0][taken[0] > 0]
            some = positive[:: max(1, len(positive) // _MOST)]
            if len(some):
                stage.ceiling.fill_(some.quantile(share))
        return one(name, taken)

    network.through({INPUT: images}, network.stages, limited)
    return network
