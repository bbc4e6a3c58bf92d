"""Networks and optimisers to safetensors files and back: no pickle, never half-written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import nn

from bayespin.load import InputError
from bayespin.network.models import Network
from bayespin.numerics.tensor_file import read_tensors, write_tensors
from bayespin.shapes import Tensor

_REMEDY = "delete it to begin that step anew"
_ADAM = ("step", "exp_avg", "exp_avg_sq")
"""What Adam remembers of a parameter."""


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


@runtime_checkable
class Kept(Protocol):
    """What a training must remember beside the network's parameters."""

    def tensors(self) -> dict[str, Tensor]:
        """Return it by name."""
        ...

    def shapes(self) -> dict[str, torch.Size]:
        """Return the shapes that a file must hold, by name."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `tensors` returned."""
        ...


class AdamState:
    """Moments and step count of Adam, for the parameters that are trained."""

    def __init__(self, named: Mapping[str, nn.Parameter], optimiser: torch.optim.Adam) -> None:
        self._named = {name: p for name, p in named.items() if p.requires_grad}
        self._optimiser = optimiser

    def tensors(self) -> dict[str, Tensor]:
        """Return `adam.FIELD.PARAMETER`."""
        return {
            f"adam.{field}.{name}": value
            for name, parameter in self._named.items()
            for field, value in self._optimiser.state[parameter].items()
        }

    def shapes(self) -> dict[str, torch.Size]:
        """Return the shapes of two moments and a count for each parameter."""
        return {
            f"adam.{field}.{name}": torch.Size() if field == "step" else parameter.shape
            for name, parameter in self._named.items()
            for field in _ADAM
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up moments and counts."""
        for name, parameter in self._named.items():
            found = {field: tensors[f"adam.{field}.{name}"] for field in _ADAM}
            # Counts stay on the CPU, where Adam keeps them.
            moved = {f: v if f == "step" else v.to(parameter.device) for f, v in found.items()}
            self._optimiser.state[parameter] = moved


def save_state(path: Path, network: Network, kept: Kept, epochs: int) -> None:
    """Write network and what else training remembers after `epochs` whole epochs."""
    tensors = dict(network.state_dict()) | kept.tensors()
    write_tensors(path, tensors, {"content": "training", "epochs": str(epochs)})


def load_state(path: Path, network: Network, kept: Kept) -> int:
    """Restore network and training; return the number of whole epochs done, 0 without a file.

    Raises:
        InputError: a damaged file, another network's or another step's, or values that are not
            finite.
    """
    if not path.exists():
        return 0
    tensors, metadata = read_tensors(path, _REMEDY)
    network_state = _checked(path, tensors, _shapes(network))
    others = _checked(path, tensors, kept.shapes())
    # Only now, with everything known to be there, is anything changed.
    network.load_state_dict(network_state)
    kept.restore(others)
    return int(metadata["epochs"])
