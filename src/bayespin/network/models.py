"""Networks: named stages in a row, some of them random."""

from collections.abc import Callable

import torch
from torch import nn

from bayespin.nn.estimators import Estimator
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.pooling import MaxPool2
from bayespin.nn.product import Convolution, Dense, Product
from bayespin.nn.random_layer import RandomLayer
from bayespin.rng import Key, Noise
from bayespin.shapes import Tensor


class Network(nn.Module):
    """Named stages applied in order; random stages take noise and an estimator."""

    def __init__(self, stages: dict[str, nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)

    def random_layers(self) -> dict[str, RandomLayer]:
        """Return the random stages by name; empty for a deterministic network."""
        return {n: s for n, s in self.stages.items() if isinstance(s, RandomLayer)}

    def forward(self, x: Tensor, noise: Noise, estimator: Estimator) -> Tensor:
        """Return logits of one pass."""
        return self.run(list(self.stages.values()), x, noise, estimator)

    @staticmethod
    def run(stages: list[nn.Module], x: Tensor, noise: Noise, estimator: Estimator) -> Tensor:
        """Return the output of some consecutive stages."""
        for stage in stages:
            x = stage(x, noise, estimator) if isinstance(stage, RandomLayer) else stage(x)
        return x


def lenet5(key: Key, layer: Callable[[Product, Key], nn.Module] = MeanFieldLayer) -> Network:
    """Return LeNet-5 for 28 × 28 grey images in [0, 1], padded to 32 × 32; logits of 10 classes.

    Convolutions 6@5×5 and 16@5×5, each with 2 × 2 maximum pooling, then 400-120-84-10 with ReLU:
    61,470 weights and 236 biases. Pooling stands before ReLU; both are monotone, so the order
    changes nothing but the work.

    Args:
        key: randomness of the initial weights.
        layer: makes each linear layer from its product: `MeanFieldLayer` or `PointLayer`.
    """
    products = {
        "conv1": Convolution(1, 6, 5),
        "conv2": Convolution(6, 16, 5),
        "dense1": Dense(400, 120),
        "dense2": Dense(120, 84),
        "dense3": Dense(84, 10),
    }
    made = {name: layer(product, key.child(name)) for name, product in products.items()}
    return Network(
        {
            "pad": nn.ZeroPad2d(2),
            "conv1": made["conv1"],
            "pool1": MaxPool2(),
            "relu1": nn.ReLU(),
            "conv2": made["conv2"],
            "pool2": MaxPool2(),
            "relu2": nn.ReLU(),
            "flatten": nn.Flatten(),
            "dense1": made["dense1"],
            "relu3": nn.ReLU(),
            "dense2": made["dense2"],
            "relu4": nn.ReLU(),
            "dense3": made["dense3"],
        }
    )


def summed_kl(network: Network) -> Tensor:
    """Return the summed divergence of all mean-field layers to their priors, in nats."""
    terms = [s.kl() for s in network.stages.values() if isinstance(s, MeanFieldLayer)]
    return torch.stack(terms).sum() if terms else torch.zeros(())
