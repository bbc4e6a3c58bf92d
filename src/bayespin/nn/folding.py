"""Batch norm, folded into the layer before it: nothing of it is left to compute at each read.

With running mean m and variance v a batch norm in evaluation is y = γ (x − m)/√(v + ε) + β: one
scale s = γ/√(v + ε) per output. Behind a linear layer with Gaussian weights N(μ, σ²) and bias b,

    μ' = s μ,    σ' = |s| σ,    b' = s (b − m) + β,

the same law of outputs, exactly: scaling a Gaussian scales its spread too. Biases are digital.

| symbol | name |
| --- | --- |
| γ, β | `weight`, `bias` of the norm |
| m, v, ε | `running_mean`, `running_var`, `eps` |

`network.folding` does it to a whole network.

Source: Ioffe & Szegedy, arXiv:1502.03167.
"""

from torch import nn

from bayespin.cite import cites
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.shapes import Float, Tensor

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def scale_and_shift(
    norm: BatchNorm, name: str = "norm"
) -> tuple[Float[Tensor, " outputs"], Float[Tensor, " outputs"]]:
    """Return s and t of y = s x + t, what a batch norm does in evaluation, in double precision.

    Args:
        norm: with running statistics.
        name: of the norm, for messages.

    Raises:
        ValueError: a norm without running statistics.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError(
            f"Batch norm `{name}` must have running statistics to be folded, but has none: make it "
            f"with `track_running_stats=True` and train it."
        )
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -scale * norm.running_mean.double()
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    return scale, shift


@cites("arXiv:1502.03167")
def folded(
    layer: MeanFieldLayer | PointLayer, norm: BatchNorm, name: str = "norm"
) -> MeanFieldLayer | PointLayer:
    """Return one layer that does what `layer` and the batch norm behind it do; both are left.

    Args:
        layer: Gaussian or deterministic weights.
        norm: behind it, of as many features as the layer has outputs.
        name: of the norm, for messages.

    Raises:
        ValueError: no running statistics, another number of features, or scales of zero, whose
            outputs are constant and hold no Gaussian.
    """
    scale, shift = scale_and_shift(norm, name)
    if norm.num_features != layer.product.outputs:
        raise ValueError(
            f"Batch norm `{name}` must have as many features as the layer before it has outputs, "
            f"{layer.product.outputs}, but has {norm.num_features}."
        )
    if not bool((scale != 0).all()):
        raise ValueError(
            f"Batch norm `{name}` must have scales other than zero to be folded, but "
            f"{int((scale == 0).sum())} of {len(scale)} are zero: remove these outputs."
        )
    bias = (scale * layer.bias.detach().double() + shift).to(layer.bias.dtype)
    each = scale.view(-1, *[1] * (len(layer.product.weight_shape) - 1))
    if isinstance(layer, PointLayer):
        weight = (layer.weight.detach().double() * each).to(layer.weight.dtype)
        return PointLayer.holding(layer.product, weight, bias)
    mean = (layer.mean.detach().double() * each).to(layer.mean.dtype)
    sigma = nn.functional.softplus(layer.spread.detach().double()) * each.abs()
    return MeanFieldLayer.holding(layer.product, mean, sigma, bias, layer.prior_sigma)


def hold_bias(layer: nn.Module) -> None:
    """Make a layer's bias a buffer: kept and applied, but neither trained nor counted as a weight.

    For a layer before a batch norm, whose shift is the bias of both.
    """
    value = layer.bias
    assert isinstance(value, Tensor)
    del layer.bias
    layer.register_buffer("bias", value.detach().clone())
