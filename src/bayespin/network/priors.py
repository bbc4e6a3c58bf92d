"""Priors layer by layer, and networks that start from trained ones."""

import copy
import math
from collections.abc import Mapping
from typing import Literal

from bayespin.cite import cites
from bayespin.network.models import Network
from bayespin.nn.mean_field import MeanFieldLayer, SigmaWindow
from bayespin.nn.point import PointLayer


def with_priors(network: Network, sigmas: Mapping[str, float]) -> Network:
    """Return a copy of the network with other priors N(m₀, s²) of some layers.

    Args:
        network: it is left as it is.
        sigmas: s by name of a mean-field layer; means m₀ stay.

    Raises:
        ValueError: a name that is no mean-field layer, or an s that is not positive.
    """
    made = copy.deepcopy(network)
    for name, sigma in sigmas.items():
        layer = dict(made.stages.items()).get(name)
        if not isinstance(layer, MeanFieldLayer):
            raise ValueError(
                f"Argument `sigmas` must name mean-field layers of the network, but names `{name}`."
            )
        layer.assume(sigma, layer.prior_mean)
    return made


@cites("10.1007/978-1-4612-0745-0")
def fan_in_priors(network: Network, gain: float = math.sqrt(2)) -> dict[str, float]:
    """Return s = gain/√rows of every mean-field layer, for `with_priors`.

    Sums of `rows` inputs then have a prior variance that depends on no width; gain √2 keeps the
    mean square of activations through ReLU.

    Source: Neal, Bayesian Learning for Neural Networks (1996), doi:10.1007/978-1-4612-0745-0; He
    et al., arXiv:1502.01852, for the gain.

    Raises:
        ValueError: a gain that is not positive.
    """
    if not gain > 0:
        raise ValueError(f"Argument `gain` must be positive, but is {gain}.")
    layers = {n: s for n, s in network.stages.items() if isinstance(s, MeanFieldLayer)}
    return {name: gain / math.sqrt(layer.product.rows) for name, layer in layers.items()}


@cites("arXiv:1906.05323")
def moped(
    network: Network,
    delta: float = 0.1,
    window: SigmaWindow | None = None,
    centre: Literal["trained", "zero"] = "trained",
    prior_sigma: float = 1.0,
) -> Network:
    """Return a mean-field network that starts from a trained one: μ = w, σ = δ |w|.

    The prior of each weight is N(w, s²) or N(0, s²). All else is copied.

    Args:
        network: trained; deterministic, or from `convert`, whose σ is not used. It is left as it
            is.
        delta: δ.
        window: holds σ from below, as zero weights would have none and an infinite divergence;
            from 1e-3 up if not given. Give the device's for a chip.
        centre: of the prior: the trained weights, or zero.
        prior_sigma: s.

    Source: Krishnan et al., arXiv:1906.05323.

    Raises:
        ValueError: no linear layer, a δ or s that is not positive, or a window without a floor.
    """
    window = window if window is not None else SigmaWindow(floor=1e-3)
    for name, value in (("delta", delta), ("window.floor", window.floor)):
        if not value > 0:
            raise ValueError(f"Argument `{name}` must be positive, but is {value}.")
    stages, begun = copy.deepcopy(dict(network.stages.items())), dict[int, MeanFieldLayer]()
    for name, stage in stages.items():
        if not isinstance(stage, PointLayer | MeanFieldLayer):
            continue
        if id(stage) not in begun:  # a layer may stand in two places
            weight = (stage.weight if isinstance(stage, PointLayer) else stage.mean).detach()
            sigma = (delta * weight.abs()).clamp(window.floor, window.cap)
            layer = MeanFieldLayer.holding(stage.product, weight, sigma, stage.bias, prior_sigma)
            layer.assume(prior_sigma, weight if centre == "trained" else None)
            begun[id(stage)] = layer
        stages[name] = begun[id(stage)]
    if not begun:
        raise ValueError(
            "Argument `network` must have point or mean-field layers, but has none; `convert` "
            "makes them of torch's."
        )
    return network.with_stages(stages)
