"""Networks to begin with: their stages, with initial weights from a key.

Every constructor takes the kind of its linear layers as `layer`: `MeanFieldLayer` for Gaussian
weights, `PointLayer` for single values, or any function of a product and a key. Biases and norms
are single values in both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import torch
from torch import nn

from bayespin.cite import cites
from bayespin.network.convert import Call, Place
from bayespin.network.models import INPUT, Network
from bayespin.nn.attention import Attention
from bayespin.nn.folding import hold_bias
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.pooling import MaxPool2
from bayespin.nn.product import Convolution, Dense, Product
from bayespin.nn.standardisation import Standardise
from bayespin.nn.tokens import Tokens
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


class _Stages:
    """Stages made so far, and what feeds each."""

    def __init__(self, key: Key, layer: LayerMaker) -> None:
        self.key, self.layer = key, layer
        self.made: dict[str, nn.Module] = {}
        self.feeds: dict[str, tuple[str, ...]] = {}

    def put(self, name: str, stage: nn.Module, *sources: str) -> str:
        """Return the name of a stage that is added."""
        self.made[name], self.feeds[name] = stage, sources
        return name

    def linear(self, name: str, product: Product, source: str) -> str:
        """Return the name of a linear layer that is added."""
        return self.put(name, self.layer(product, self.key.child(name)), source)

    def normed(self, name: str, product: Convolution, source: str) -> str:
        """Return the name of the batch norm behind a convolution, whose bias it replaces."""
        layer = self.layer(product, self.key.child(name))
        hold_bias(layer)
        convolution = self.put(name, layer, source)
        return self.put(f"{name}_norm", nn.BatchNorm2d(product.outputs), convolution)

    def sum(self, name: str, one: str, other: str) -> str:
        """Return the name of the sum of two stages."""
        return self.put(name, Call(torch.add, (Place(0), Place(1)), {}), one, other)

    def network(self) -> Network:
        """Return all of them."""
        return Network(self.made, self.feeds)


@cites("arXiv:1512.03385")
def resnet13(
    key: Key,
    layer: LayerMaker = MeanFieldLayer,
    inputs: Standardise | None = None,
    *,
    classes: int = 100,
) -> Network:
    """Return a residual network of 13 linear layers for 3 × 32 × 32 images; logits of classes.

    A convolution 32@3×3, four blocks of two 3×3 convolutions with 32, 64, 128 and 256 channels,
    the last three with stride 2, the mean over positions, and a dense layer. A block is

        y = ReLU( norm(W_2 * ReLU(norm(W_1 * x))) + S x ),

    S the identity in the first block, and else a 1×1 convolution of stride 2. That one and the
    dense layer have biases and no norm; behind all others stands a batch norm, whose shift is
    their bias. For 100 classes 1,249,120 weights, 548 biases and 1,984 numbers of norms: 1,251,652
    parameters with `PointLayer`, and 2,500,772 with `MeanFieldLayer`, where a weight has two.

    Norms learn in `fit`, predict with their running statistics, and are folded on a chip.

    Args:
        key: randomness of the initial weights.
        layer: makes each linear layer.
        inputs: standardises images, if given; the padding is then the images' mean.
        classes: number of outputs.

    Source: He et al., arXiv:1512.03385, for the blocks.
    """
    stages = _Stages(key, layer)
    first = INPUT if inputs is None else stages.put("standardise", inputs, INPUT)
    stem = stages.normed("stem", Convolution(3, 32, 3, padding=1), first)
    x, channels = stages.put("stem_relu", nn.ReLU(), stem), 32
    for number, outputs in enumerate((32, 64, 128, 256), start=1):
        block, stride = f"block{number}", 1 if outputs == channels else 2
        one = Convolution(channels, outputs, 3, stride=stride, padding=1)
        inside = stages.normed(f"{block}_conv1", one, x)
        inside = stages.put(f"{block}_relu1", nn.ReLU(), inside)
        other = Convolution(outputs, outputs, 3, padding=1)
        inside = stages.normed(f"{block}_conv2", other, inside)
        if outputs != channels:
            projection = Convolution(channels, outputs, 1, stride=stride)
            x = stages.linear(f"{block}_short", projection, x)
        x = stages.sum(f"{block}_add", inside, x)
        x, channels = stages.put(f"{block}_relu2", nn.ReLU(), x), outputs
    mean = stages.put("pool", nn.AdaptiveAvgPool2d(1), x)
    stages.linear("dense", Dense(channels, classes), stages.put("flatten", nn.Flatten(), mean))
    return stages.network()


@dataclass(frozen=True, kw_only=True)
class EncoderSizes:
    """Sizes of a transformer of images.

    Raises:
        ValueError: a size that is not positive, a side that patches do not divide, or a width
            that heads do not.
    """

    channels: int = 1
    side: int = 28
    """Height and width of an image."""
    patch: int = 7
    """Height and width of a patch; a token each."""
    width: int = 64
    """Features of a token."""
    heads: int = 4
    hidden: int = 128
    """Units of the hidden layer behind each attention."""
    depth: int = 2
    """Number of encoder layers."""
    classes: int = 10

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(
                    f"`{field.name}` must be at least 1, but is {getattr(self, field.name)}."
                )
        for whole, part in (("side", "patch"), ("width", "heads")):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(
                    f"`{whole}` must be a multiple of `{part}`, but is {getattr(self, whole)} "
                    f"with {getattr(self, part)}."
                )


@cites("arXiv:1706.03762", "arXiv:2010.11929")
def transformer(
    key: Key, layer: LayerMaker = MeanFieldLayer, sizes: EncoderSizes | None = None
) -> Network:
    """Return a transformer encoder of image patches; logits of classes.

    Patches are embedded by one convolution and told apart by a learned vector each (`Tokens`).
    Each encoder layer has its norms first, x' = x + A(norm x), x'' = x' + W_2 ReLU(W_1 norm x'),
    with A the attention of several heads and its four projections; then a last norm, the mean over
    tokens, and a dense layer. Layer norms, attention and the vectors are digital. Projections read
    normed inputs, of both signs, in two reads on a chip; ReLU spares W_2 the second.

    Args:
        key: randomness of the initial weights.
        layer: makes each linear layer.
        sizes: of image, tokens and layers; those of 28 × 28 grey images by default.

    Source: Vaswani et al., arXiv:1706.03762; Dosovitskiy et al., arXiv:2010.11929.
    """
    sizes = sizes if sizes is not None else EncoderSizes()
    width, stages = sizes.width, _Stages(key, layer)
    patches = Convolution(sizes.channels, width, sizes.patch, stride=sizes.patch)
    x = stages.linear("patches", patches, INPUT)
    tokens = Tokens((sizes.side // sizes.patch) ** 2, width, key.child("tokens"))
    x = stages.put("tokens", tokens, x)
    for number in range(1, sizes.depth + 1):
        block = f"block{number}"
        normed = stages.put(f"{block}_norm1", nn.LayerNorm(width), x)
        projections = [
            stages.linear(f"{block}_{part}", Dense(width, width), normed)
            for part in ("query", "key", "value")
        ]
        mixed = stages.put(f"{block}_attention", Attention(sizes.heads), *projections)
        mixed = stages.linear(f"{block}_out", Dense(width, width), mixed)
        x = stages.sum(f"{block}_add1", x, mixed)
        normed = stages.put(f"{block}_norm2", nn.LayerNorm(width), x)
        wide = stages.linear(f"{block}_wide", Dense(width, sizes.hidden), normed)
        bent = stages.put(f"{block}_relu", nn.ReLU(), wide)
        narrow = stages.linear(f"{block}_narrow", Dense(sizes.hidden, width), bent)
        x = stages.sum(f"{block}_add2", x, narrow)
    x = stages.put("norm", nn.LayerNorm(width), x)
    x = stages.put("mean", Call("mean", (Place(0), 1), {}), x)
    stages.linear("dense", Dense(width, sizes.classes), x)
    return stages.network()
