"""A trained posterior as numbers: μ, σ and bias of every linear layer, by the name of its stage.

| key | what | shape |
| --- | --- | --- |
| `dense1.mean` | μ of the weights | of the product's weight, outputs first |
| `dense1.sigma` | σ of the weights, not ρ and no logarithm | the same |
| `dense1.bias` | bias, of one value | (outputs) |
| `norm1.weight`, `norm1.running_mean`, … | what other stages hold, as in `state_dict` | its own |

In a dictionary `"dense1": (mean, sigma, bias)` may stand for the first three. Files are
safetensors with these keys, to be written by any program. Modules of other libraries need none of
this: `network.convert` reads them as they are.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bayespin.load import InputError, nearest
from bayespin.network.models import Network
from bayespin.nn.folding import hold_bias
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.random_layer import RandomLayer
from bayespin.numerics.tensor_file import read_tensors, write_tensors
from bayespin.shapes import Tensor

Posterior = Mapping[str, Any]
"""Tensors, or what `torch.as_tensor` takes, by flat keys; or three of them by a layer's name."""

_PARTS = ("mean", "sigma", "bias")
_REMEDY = "write it anew with `save_posterior`"


def with_posterior(network: Network, posterior: Posterior) -> Network:
    """Return a network of Gaussian weights w ~ N(μ, σ²) as a posterior gives them, in evaluation.

    Args:
        network: of the wanted architecture, with linear layers of either kind; it is left as it
            is. Priors, precision and device are its own.
        posterior: numbers for all its linear layers, and for all that other stages hold. How many
            batches a norm has seen is not asked for.

    Raises:
        InputError: a key that is missing, unknown or of another shape, numbers that are not
            finite, or a negative σ.
        ValueError: a network of hardware.
    """
    return _made("`posterior`", network, posterior)


def posterior_of(network: Network) -> dict[str, Tensor]:
    """Return the numbers of a network by flat keys, which `with_posterior` takes.

    σ comes back within rounding, since a layer holds ρ with σ = ln(1 + e^ρ); all else to the bit.

    Raises:
        ValueError: a layer without σ, or on hardware.
    """
    found: dict[str, Tensor] = {}
    for name, stage in network.stages.items():
        if isinstance(stage, MeanFieldLayer):
            parts = (stage.mean, stage.sigma(), stage.bias)
            found |= {f"{name}.{part}": t for part, t in zip(_PARTS, parts, strict=True)}
        elif isinstance(stage, RandomLayer | PointLayer):
            raise ValueError(
                f"Stage `{name}` must have Gaussian weights, but is a {type(stage).__name__}; "
                f"train it as a `MeanFieldLayer`, or give it a σ with `network.convert`."
            )
        else:
            found |= {f"{name}.{key}": value for key, value in _held(stage).items()}
    return {key: value.detach().clone() for key, value in found.items()}


def save_posterior(path: Path, network: Network) -> None:
    """Write the numbers of a network as a safetensors file; see `posterior_of`.

    Raises:
        ValueError: what `posterior_of` refuses.
        OSError: the disk is full or cannot be written.
    """
    write_tensors(path, posterior_of(network), {"content": "posterior"})


def load_posterior(path: Path, network: Network) -> Network:
    """Return a network of Gaussian weights as a safetensors file gives them.

    Args:
        path: written by `save_posterior` or by another program.
        network: of the wanted architecture; see `with_posterior`.

    Raises:
        InputError: a damaged file, or what `with_posterior` refuses.
        ValueError: a network of hardware.
    """
    return _made(f"Posterior `{path}`", network, read_tensors(path, _REMEDY)[0])


def _held(stage: nn.Module) -> dict[str, Tensor]:
    """Return the numbers of a stage that its output depends on."""
    return {key: value for key, value in stage.state_dict().items() if value.is_floating_point()}


def _shapes(network: Network) -> dict[str, torch.Size]:
    """Return the keys of a posterior of a network, and their shapes."""
    found: dict[str, torch.Size] = {}
    for name, stage in network.stages.items():
        if isinstance(stage, MeanFieldLayer | PointLayer):
            weight, bias = torch.Size(stage.product.weight_shape), stage.bias.shape
            found |= dict(zip((f"{name}.{p}" for p in _PARTS), (weight, weight, bias), strict=True))
        elif isinstance(stage, RandomLayer):
            raise ValueError(
                f"Stage `{name}` must be a layer of software, but is a {type(stage).__name__}; "
                f"give the network from before `deploy`."
            )
        else:
            found |= {f"{name}.{key}": value.shape for key, value in _held(stage).items()}
    return found


def _made(subject: str, network: Network, posterior: Posterior) -> Network:
    shapes = _shapes(network)
    given = _checked(subject, _flat(subject, posterior), shapes)
    stages: dict[str, nn.Module] = {}
    for name, stage in network.stages.items():
        if isinstance(stage, MeanFieldLayer | PointLayer):
            stages[name] = _layer(stage, *(given[f"{name}.{part}"] for part in _PARTS))
        else:
            stages[name] = copy.deepcopy(stage)
            found = {key: given[f"{name}.{key}"] for key in _held(stage)}
            stages[name].load_state_dict(found, strict=False)
    return network.with_stages(stages).eval()


def _layer(
    like: MeanFieldLayer | PointLayer, mean: Tensor, sigma: Tensor, bias: Tensor
) -> MeanFieldLayer:
    own = like.bias
    prior = like.prior_sigma if isinstance(like, MeanFieldLayer) else 1.0
    made = MeanFieldLayer.holding(like.product, mean.to(own), sigma.to(own), bias.to(own), prior)
    if not isinstance(own, nn.Parameter):
        hold_bias(made)
    return made


def _flat(subject: str, posterior: Posterior) -> dict[str, Tensor]:
    """Return one tensor for each key."""
    flat: dict[str, Tensor] = {}
    for key, value in posterior.items():
        if not isinstance(value, tuple | list):
            flat[key] = torch.as_tensor(value)
        elif len(value) == len(_PARTS):
            flat |= {f"{key}.{p}": torch.as_tensor(v) for p, v in zip(_PARTS, value, strict=True)}
        else:
            raise InputError(
                f"{subject} must give `{key}` as (mean, sigma, bias), but gives {len(value)} "
                f"values; a layer without a bias has one of zeros."
            )
    return flat


def _checked(
    subject: str, given: dict[str, Tensor], shapes: dict[str, torch.Size]
) -> dict[str, Tensor]:
    """Return what is given, if it is what is wanted."""
    for key in given:
        if key not in shapes:
            hint = nearest(key, [name for name in shapes if name not in given])
            raise InputError(
                f"{subject} must hold keys of the network alone, but holds `{key}`{hint}; rename "
                f"it or leave it out."
            )
    for key, shape in shapes.items():
        if key not in given:
            remedy = (
                "zeros if the layer has none" if key.endswith(".bias") else "or another network"
            )
            raise InputError(
                f"{subject} must hold `{key}` of shape {tuple(shape)}, but does not; give it, "
                f"{remedy}."
            )
        found = given[key]
        if found.shape != shape:
            turned = tuple(found.shape) == tuple(reversed(shape))
            remedy = "transpose it: outputs come first" if turned else "take a network of its sizes"
            raise InputError(
                f"{subject} must hold `{key}` of shape {tuple(shape)}, but its shape is "
                f"{tuple(found.shape)}; {remedy}."
            )
        least = 0.0 if key.endswith(".sigma") else -float("inf")
        if not bool((torch.isfinite(found) & (found >= least)).all()):
            wanted = "finite and not negative" if least == 0 else "finite"
            raise InputError(
                f"{subject} must hold `{key}` with numbers that are {wanted}, but its smallest is "
                f"{float(found.min())} and its largest {float(found.max())}; "
                + ("give σ itself, not ρ or ln σ." if least == 0 else "train the network anew.")
            )
    return given
