"""Bayesian neural networks on spintronic in-memory hardware, from magnetisation to joules.

Names below are loaded when first used: `import bayespin` and `bayespin --help` stay instant.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Accelerator": "bayespin.chip.accelerator",
    "BitCell": "bayespin.cell.bit_cell",
    "DomainWallMtj": "bayespin.device.domain_wall_mtj",
    "FreeLayer": "bayespin.physics.free_layer",
    "Key": "bayespin.rng",
    "SpreadTable": "bayespin.device.table",
    "StochasticMtj": "bayespin.device.stochastic_mtj",
    "TabulatedDevice": "bayespin.device.tabulated",
    "characterize": "bayespin.study.characterisation.run",
    "fit": "bayespin.network.training",
    "measured_device": "bayespin.device.measured",
    "models": "bayespin.network.architectures",
    "predict": "bayespin.network.prediction",
    "run_study": "bayespin.study.run",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'bayespin' has no attribute {name!r}")
    module = importlib.import_module(_PUBLIC[name])
    return module if name == "models" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
