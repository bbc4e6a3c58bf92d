"""Networks and optimisers to safetensors files and back: no pickle, never half-written."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bayespin.load import InputError
from bayespin.network.models import Network
from bayespin.shapes import Tensor


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    beside = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, beside, metadata=metadata)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"Checkpoint `{path}` must be a whole safetensors file, but is damaged ({error}); "
            f"delete it to begin that step anew."
        ) from None


def _fill(path: Path, network: Network, tensors: dict[str, Tensor]) -> None:
    wanted = network.state_dict()
    missing = sorted(set(wanted) - set(tensors))
    wrong = [k for k in wanted if k in tensors and tensors[k].shape != wanted[k].shape]
    if missing or wrong:
        name = (missing + wrong)[0]
        raise InputError(
            f"Checkpoint `{path}` must hold `{name}` of shape {tuple(wanted[name].shape)}, "
            f"but does not; it is of another network."
        )
    values = {k: tensors[k] for k in wanted}
    damaged = [k for k, v in values.items() if not bool(torch.isfinite(v).all())]
    if damaged:
        raise InputError(
            f"Checkpoint `{path}` must hold finite numbers, but `{damaged[0]}` holds NaN or "
            f"infinity; train the network anew."
        )
    network.load_state_dict(values)


def save_network(path: Path, network: Network) -> None:
    """Write the network's parameters."""
    _write(path, dict(network.state_dict()), {"content": "network"})


def load_network(path: Path, network: Network) -> Network:
    """Fill `network` with the parameters in `path` and return it.

    Raises:
        InputError: a damaged file, another network's file, or values that are not finite.
    """
    tensors, _ = _read(path)
    _fill(path, network, tensors)
    return network


def save_state(path: Path, network: Network, optimiser: torch.optim.Adam, epochs: int) -> None:
    """Write network and optimiser after `epochs` whole epochs."""
    tensors = dict(network.state_dict())
    for name, parameter in network.named_parameters():
        for field, value in optimiser.state[parameter].items():
            tensors[f"adam.{field}.{name}"] = value
    _write(path, tensors, {"content": "training", "epochs": str(epochs)})


def load_state(path: Path, network: Network, optimiser: torch.optim.Adam) -> int:
    """Restore network and optimiser; return the number of whole epochs done, 0 without a file.

    Raises:
        InputError: a damaged file, or another network's.
    """
    if not path.exists():
        return 0
    tensors, metadata = _read(path)
    _fill(path, network, tensors)
    for name, parameter in network.named_parameters():
        optimiser.state[parameter] = {
            field: tensors[f"adam.{field}.{name}"] for field in ("step", "exp_avg", "exp_avg_sq")
        }
    return int(metadata["epochs"])
