"""Networks to begin with: their stages, with initial weights from a key.

Every constructor takes the kind of its linear layers as `layer`: `MeanFieldLayer` for Gaussian
weights, `PointLayer` for single values, or any function of a product and a key. Biases and norms
are single values in both.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from bayespin.network.models import Network
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.pooling import MaxPool2
from bayespin.nn.product import Convolution, Dense, Product
from bayespin.nn.standardisation import Standardise
from bayespin.rng import Key

LayerMaker = Callable[[Product, Key], nn.Module]
"""What makes a linear layer of its product and a key."""


def mlp(key: Key, widths: Sequence[int], layer: LayerMaker = MeanFieldLayer) -> Network:
    """Return dense layers with ReLU between them: y = W_n ReLU(… ReLU(W_1 x + b_1) …) + b_n.

    Inputs of any shape are flattened to (images, widths[0]); outputs are (images, widths[-1]).
    Stages are called `dense1`, `relu1`, `dense2` and so on.

    Args:
        key: randomness of the initial weights.
        widths: of the input, the hidden layers and the output: (784, 256, 10).
        layer: makes each linear layer.

    Raises:
        ValueError: fewer than two widths, or one that is not positive.
    """
    if len(widths) < 2 or min(widths) < 1:
        raise ValueError(
            f"`widths` must be those of input and output at least, all positive, but is "
            f"{tuple(widths)}; give such as (784, 256, 10)."
        )
    stages: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        if number > 1:
            stages[f"relu{number - 1}"] = nn.ReLU()
        name = f"dense{number}"
        stages[name] = layer(Dense(inputs, outputs), key.child(name))
    return Network(stages)


def regression_net(
    key: Key, inputs: int, hidden: int, layer: LayerMaker = MeanFieldLayer
) -> Network:
    """Return one hidden layer with ReLU and two outputs, the mean and the raw scale of a target.

    What `likelihoods.Gaussian` reads as m and s = floor + ln(1 + e^r). The usual network of the
    UCI tables has 50 hidden units (arXiv:1502.05336).

    Args:
        key: randomness of the initial weights.
        inputs: features of an example.
        hidden: units of the hidden layer.
        layer: makes each linear layer.

    Raises:
        ValueError: a width that is not positive.
    """
    return mlp(key, (inputs, hidden, 2), layer)


def lenet5(
    key: Key,
    layer: LayerMaker = MeanFieldLayer,
    inputs: Standardise | None = None,
) -> Network:
    """Return LeNet-5 for 28 × 28 grey images in [0, 1], padded to 32 × 32; logits of 10 classes.

    Convolutions 6@5×5 and 16@5×5, each with 2 × 2 maximum pooling, then 400-120-84-10 with ReLU:
    61,470 weights and 236 biases. Pooling stands before ReLU; both are monotone, so the order
    changes nothing but the work.

    Args:
        key: randomness of the initial weights.
        layer: makes each linear layer from its product: `MeanFieldLayer` or `PointLayer`.
        inputs: standardises images, if given; the padding is then the images' mean.
    """
    products = {
        "conv1": Convolution(1, 6, 5),
        "conv2": Convolution(6, 16, 5),
        "dense1": Dense(400, 120),
        "dense2": Dense(120, 84),
        "dense3": Dense(84, 10),
    }
    made = {name: layer(product, key.child(name)) for name, product in products.items()}
    first = {} if inputs is None else {"standardise": inputs}
    return Network(
        {
            **first,
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
