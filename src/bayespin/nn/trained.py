"""Linear layers as they were trained elsewhere, and the Gaussian layers that hold the same weights.

| trained with | recognised by | σ of a weight |
| --- | --- | --- |
| torch: `Linear`, `Conv1d` to `Conv3d` | type | argument `spread` |
| bayesian-torch | `mu_weight`, `rho_weight`, or `..._kernel` | ln(1 + e^ρ) |
| torchbnn | `weight_mu`, `weight_log_sigma` | e^(log σ) |
| torch-uncertainty | `weight_mu`, `weight_sigma` | ln(1 + e^ρ), ρ by the name of sigma |

None of these libraries is imported: a layer is known by its parameters. Biases are digital on a
chip and have no σ; of Gaussian ones the mean is kept.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Convolution, Dense, Extents, Product
from bayespin.shapes import Tensor

_PLAIN = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, PointLayer)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_GAUSSIAN = (
    ("mu_weight", "rho_weight", F.softplus, "mu_bias"),
    ("mu_kernel", "rho_kernel", F.softplus, "mu_bias"),
    ("weight_mu", "weight_log_sigma", torch.exp, "bias_mu"),
    ("weight_mu", "weight_sigma", F.softplus, "bias_mu"),
)
"""Names of means and of what gives σ, how, and the name of the biases' means."""


def is_gaussian(module: nn.Module) -> bool:
    """Return whether a module has Gaussian weights by names that are known."""
    return _names(module) is not None


def is_linear(module: nn.Module) -> bool:
    """Return whether `gaussian_layer` knows a module."""
    return isinstance(module, _PLAIN) or is_gaussian(module)


def _names(module: nn.Module) -> tuple[str, str, Any, str] | None:
    held = {name for name, _ in module.named_parameters(recurse=False)}  # getattr is traced
    return next((names for names in _GAUSSIAN if held.issuperset(names[:2])), None)


def gaussian_layer(module: nn.Module, name: str, spread: float) -> MeanFieldLayer:
    """Return a layer that holds a trained module's weights.

    Args:
        module: one that `is_linear`.
        name: of the module, for messages.
        spread: σ of deterministic weights as a share of their largest magnitude.

    Raises:
        ValueError: weights that are not finite or all zero, or a form that no product has.
    """
    names, held = _names(module), dict[str, Any](module.named_parameters())
    if names is None:
        mean, bias = held["weight"].detach(), held.get("bias")
        sigma = torch.full_like(mean, spread * float(mean.abs().max()))
    else:
        mean, bias = held[names[0]].detach(), held.get(names[3])
        sigma = names[2](held[names[1]])
    return holding(_product(module, mean, name), mean, bias, sigma, name)


def holding(
    product: Product, mean: Tensor, bias: Tensor | None, sigma: Tensor, name: str
) -> MeanFieldLayer:
    """Return a layer with these weights; no bias is one of zero.

    Raises:
        ValueError: weights that are not finite or all zero.
    """
    if not (bool(torch.isfinite(mean).all()) and bool((mean != 0).any())):
        raise ValueError(
            f"Layer `{name}` must have weights that are finite and not all zero, but has not; "
            f"train it first."
        )
    zero = mean.new_zeros(product.outputs)
    return MeanFieldLayer.holding(product, mean, sigma.detach(), zero if bias is None else bias)


def _product(module: nn.Module, weight: Tensor, name: str) -> Product:
    if isinstance(module, PointLayer):
        return module.product
    if weight.ndim == 2:
        return Dense(weight.shape[1], weight.shape[0])
    if isinstance(module, _TRANSPOSED) or getattr(module, "transposed", False):
        raise ValueError(
            f"Layer `{name}` is a {type(module).__name__}, which has no analog form: a crossbar "
            f"sums inputs, it does not spread them; use upsampling and a convolution."
        )
    mode = getattr(module, "padding_mode", "zeros")
    if mode != "zeros":
        raise ValueError(
            f"Layer `{name}` must have `padding_mode` zeros, but has {mode}: put a padding layer "
            f"before it."
        )
    kernel, dilation = tuple(weight.shape[2:]), _extents(module, "dilation", 1)
    groups = int(getattr(module, "groups", 1))
    return Convolution(
        channels=weight.shape[1] * groups,
        outputs=weight.shape[0],
        kernel=kernel,
        stride=_extents(module, "stride", 1),
        padding=_padding(module, kernel, dilation, name),
        dilation=dilation,
        groups=groups,
        axes=len(kernel),
    )


def _extents(module: nn.Module, name: str, otherwise: int) -> Extents:
    found = getattr(module, name, otherwise)
    return tuple(found) if isinstance(found, list | tuple) else int(found)


def _padding(module: nn.Module, kernel: tuple[int, ...], dilation: Extents, name: str) -> Extents:
    found = getattr(module, "padding", 0)
    if found == "valid":
        return 0
    if found != "same":
        return _extents(module, "padding", 0)
    each = dilation if isinstance(dilation, tuple) else (dilation,) * len(kernel)
    total = [d * (k - 1) for d, k in zip(each, kernel, strict=True)]
    if any(t % 2 for t in total):
        raise ValueError(
            f"Layer `{name}` must have an odd kernel for `padding` same, but has {kernel}: put a "
            f"padding layer before it."
        )
    return tuple(t // 2 for t in total)
