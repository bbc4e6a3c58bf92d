"""The networks of studies of images, and the devices that they are trained and predict on."""

import copy

import torch

from bayespin.load import InputError
from bayespin.network.architectures import LayerMaker, lenet5, resnet13
from bayespin.network.models import Network
from bayespin.nn.standardisation import Standardise
from bayespin.rng import Key
from bayespin.study.schema import Study


def initial(study: Study, key: Key, layer: LayerMaker, inputs: Standardise | None) -> Network:
    """Return the network that a study trains, with initial weights from a key.

    Args:
        study: of images.
        key: randomness of the weights.
        layer: makes each linear layer.
        inputs: standardises images, if given.
    """
    make = {"lenet5": lenet5, "resnet13": resnet13}[study.architecture]
    return make(key, layer, inputs)


def device_of(study: Study) -> torch.device:
    """Return the device that a study computes on.

    Raises:
        InputError: a CUDA device on a machine without one.
    """
    if study.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"study {study.name}: `device` must be cpu on a machine without a CUDA device, but is "
            f"cuda; add `--set device=cpu`."
        )
    return torch.device(study.device if study.device is not None else "cpu")


def copied_to(network: Network, device: torch.device) -> Network:
    """Return the network itself where it is on a device already, and else a copy that is."""
    return network if on(network).type == device.type else copy.deepcopy(network).to(device)


def on(network: Network) -> torch.device:
    """Return the device of a network's numbers; the CPU where it has none."""
    held = [*network.parameters(), *network.buffers()]
    return held[0].device if held else torch.device("cpu")
