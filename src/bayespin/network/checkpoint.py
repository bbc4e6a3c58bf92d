"""Networks and optimisers to safetensors files and back: no pickle, never half-written."""

from pathlib import Path

import torch

from bayespin.load import InputError
from bayespin.network.models import Network
from bayespin.numerics.tensor_file import read_tensors, write_tensors
from bayespin.shapes import Tensor

_REMEDY = "delete it to begin that step anew"


def _checked(
    path: Path, tensors: dict[str, Tensor], wanted: dict[str, torch.Size]
) -> dict[str, Tensor]:
    """Return the wanted tensors, all there, of the wanted shapes, and finite."""
    for name, shape in wanted.items():
        if name not in tensors or tensors[name].shape != shape:
            raise InputError(
                f"Checkpoint `{path}` must hold `{name}` of shape {tuple(shape)}, "
                f"but does not; it is of another network or another step; delete it to begin "
                f"that step anew."
            )
        if not bool(torch.isfinite(tensors[name]).all()):
            raise InputError(
                f"Checkpoint `{path}` must hold finite numbers, but `{name}` holds NaN or "
                f"infinity; delete it to train the network anew."
            )
    return {name: tensors[name] for name in wanted}


def _shapes(network: Network) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()}


def save_network(path: Path, network: Network) -> None:
    """Write the network's parameters."""
    write_tensors(path, dict(network.state_dict()), {"content": "network"})


def load_network(path: Path, network: Network) -> Network:
    """Fill `network` with the parameters in `path` and return it.

    Raises:
        InputError: a damaged file, another network's file, or values that are not finite.
    """
    tensors, _ = read_tensors(path, _REMEDY)
    network.load_state_dict(_checked(path, tensors, _shapes(network)))
    return network


def save_state(path: Path, network: Network, optimiser: torch.optim.Adam, epochs: int) -> None:
    """Write network and optimiser after `epochs` whole epochs."""
    tensors = dict(network.state_dict())
    for name, parameter in network.named_parameters():
        for field, value in optimiser.state[parameter].items():
            tensors[f"adam.{field}.{name}"] = value
    write_tensors(path, tensors, {"content": "training", "epochs": str(epochs)})


def load_state(path: Path, network: Network, optimiser: torch.optim.Adam) -> int:
    """Restore network and optimiser; return the number of whole epochs done, 0 without a file.

    Raises:
        InputError: a damaged file, another network's or another step's, or values that are not
            finite.
    """
    if not path.exists():
        return 0
    tensors, metadata = read_tensors(path, _REMEDY)
    network_state = _checked(path, tensors, _shapes(network))
    moments = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:  # held while others are trained
            continue
        shapes = {"step": torch.Size(), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
        wanted = {f"adam.{field}.{name}": shape for field, shape in shapes.items()}
        found = _checked(path, tensors, wanted)
        moments[parameter] = {key.split(".")[1]: value for key, value in found.items()}
    # Only now, with everything known to be there, is anything changed.
    network.load_state_dict(network_state)
    for parameter, found in moments.items():
        optimiser.state[parameter] = found
    return int(metadata["epochs"])
