"""Planted faults: wrong physics or arithmetic as small patches, for tests to catch.

A fault names one attribute of the package and what stands there when the program is wrong.
`test_power.py` asserts that the named checks pass without the fault and fail with it.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch

from bayespin.cell import programming, wall_loop
from bayespin.nn import estimators


@dataclass(frozen=True)
class Fault:
    """`target` is "module:attribute" or "module:Class.attribute"; `wrong` makes its replacement.

    `wrong` is given the right one, so that a fault says only what it changes.
    """

    name: str
    target: str
    wrong: Callable[[Any], Any]


@contextmanager
def planted(fault: Fault) -> Iterator[None]:
    """Run the body with the fault in place.

    What a module defines itself is replaced wherever it was imported to, tests included, as if it
    had been written that way; under the name of a module that imported it, there alone.

    Raises:
        AttributeError: the target is gone, so the fault would test nothing.
    """
    module_name, _, path = fault.target.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    right = getattr(owner, name)
    wrong = fault.wrong(right)
    with ExitStack() as stack:
        for place in _places(owner, name, right):
            stack.enter_context(patch.object(place, name, wrong))
        yield


def _places(owner: Any, name: str, right: Any) -> list[Any]:
    home = getattr(right, "__module__", None)
    if not isinstance(owner, ModuleType) or home not in (None, owner.__name__):
        return [owner]
    ours = [
        module for key, module in sys.modules.items() if key.startswith(("bayespin.", "tests."))
    ]
    return [module for module in ours if vars(module).get(name) is right]


def times(factor):
    """Return a fault that multiplies what a function returns."""
    return lambda right: lambda *arguments, **named: factor * right(*arguments, **named)


METRICS = "bayespin.network.metrics"


def _mean_of_logs(right):
    """Averages log-probabilities over reads, so that NLL becomes the mean of per-read NLLs."""

    def add(accumulator, probabilities):
        right(accumulator, probabilities)
        logs = getattr(accumulator, "_logs", 0.0) + probabilities.double().log()
        accumulator._logs = logs
        accumulator._probabilities = accumulator.reads * (logs / accumulator.reads).exp()

    return add


def _no_epistemic_part(right):
    """Takes the entropy of the mean as if it were the mean of the per-read entropies."""

    def result(accumulator):
        found = right(accumulator)
        zero = torch.zeros_like(found.total)
        return type(found)(**{**vars(found), "total": found.aleatoric, "epistemic": zero})

    return result


def _one_read_too_many(right):
    def add(accumulator, reads, probabilities, entropies):
        right(accumulator, reads + 1, probabilities, entropies)

    return add


def _strict_ties(_right):
    def auroc(inside, outside):
        return float((outside[:, None] > inside[None, :]).double().mean())

    return auroc


def _unpaired(right):
    def paired(correct, baseline):
        found = right(correct, baseline)
        error = (correct.double().var() + baseline.double().var()) / len(correct)
        return type(found)(difference=found.difference, standard_error=float(error.sqrt()))

    return paired


def _pillars_out_of_the_loop(right):
    """Writes the tracks as if the pillars' means were equal."""

    def block(mean, spread, bench, key):
        def blind(needed, blur):
            return wall_loop.InCircuit(needed=mean.float(), blur=blur)

        with patch.object(programming, "InCircuit", blind):
            return right(mean, spread, bench, key)

    return block


def _more_missed_steps(right):
    def of(most, missed, double):
        return right(most, 2 * missed, double)

    return of


def _edge_row_lost(right):
    def lay_out(tiles, matrix):
        last = tiles.masks.cumsum(1) == tiles.masks.sum(1, keepdim=True)
        return right(tiles, torch.where((last & tiles.masks).any(0)[:, None], 0.0, matrix))

    return lay_out


def _truncating(_right):
    def convert(adc, y, full_range):
        step = full_range / adc.half_steps
        return y.div_(step).floor_().clamp_(-adc.half_steps, adc.half_steps).mul_(step)

    return convert


def _noisy_zero(right):
    def code_noise(read, temperature):
        found = right(read, temperature).clone()
        found[0] = found[1]
        return found

    return code_noise


class _OnePerMap:
    """Noise that all positions of a feature map share."""

    def __init__(self, noise):
        self.noise = noise

    def normal(self, like):
        return self.noise.normal(like[..., :1, :1].contiguous()).expand_as(like)


def _sigma_for_variance(_right):
    def moments(layer, x):
        mean = layer.product.apply(x, layer.mean) + layer.product.per_output(layer.bias)
        return mean, layer.product.apply(x.square(), layer.sigma()).sqrt()

    return moments


def _added_before_conversion(_right):
    def draw(layer, moments, noise):
        y = moments[0] + moments[1] * noise.normal(moments[0])
        full = layer.adc_range.sum(0)
        y = layer.adc.convert_(y.sum(0), layer.product.per_output(full))
        return y + layer.product.per_output(layer.bias)

    return draw


def _dark_rows_driven(right):
    def activity(layer, name, x, y):
        found = right(layer, name, x, y)
        drives = found.positions * float(layer.product.rows)
        return replace(found, events=replace(found.events, row_drives=drives))

    return activity


def _keyed_by_block(right):
    def predict_reads(network, images, sampling, reads, key, block=0):
        return right(network, images, sampling, reads, key.child(block), block)

    return predict_reads


def _same_noise_everywhere(right):
    def predict_reads(network, images, sampling, reads, key, block=0):
        return right(network, images, sampling, reads, key, 0)

    return predict_reads


NETWORK = (
    Fault(
        "KL averaged over weights",
        "bayespin.nn.mean_field:MeanFieldLayer.kl",
        lambda right: lambda layer: right(layer) / layer.mean.numel(),
    ),
    Fault(
        "KL counted once per batch",
        "bayespin.network.training:elbo_loss",
        lambda right: (
            lambda network, outputs, targets, recipe, images: right(
                network, outputs, targets, recipe, len(targets)
            )
        ),
    ),
    Fault(
        "σ added up in place of σ²",
        "bayespin.nn.mean_field:MeanFieldLayer.moments",
        _sigma_for_variance,
    ),
    Fault(
        "one draw for a whole feature map",
        "bayespin.nn.estimators:local_reparameterised",
        lambda right: lambda layer, x, noise: right(layer, x, _OnePerMap(noise)),
    ),
    Fault(
        "Flipout without signs",
        "bayespin.nn.estimators:flipout",
        lambda _right: estimators.reparameterised,
    ),
    Fault(
        "tiles added before conversion",
        "bayespin.nn.hardware:HardwareLayer.draw",
        _added_before_conversion,
    ),
    Fault("dark rows driven", "bayespin.nn.hardware:HardwareLayer.activity", _dark_rows_driven),
    Fault(
        "rounding left out of the mapping",
        "bayespin.nn.mapping:_Posterior.loss_in_cells",
        lambda right: (
            lambda posterior, offer, *rest: right(
                posterior, replace(offer, mean_error=0 * offer.mean_error), *rest
            )
        ),
    ),
    Fault(
        "σ left outside the window",
        "bayespin.network.training:_project",
        lambda _right: lambda network, window: None,
    ),
    Fault(
        "resumed one epoch too early",
        "bayespin.network.training:load_state",
        lambda right: lambda *arguments: max(0, right(*arguments) - 1),
    ),
    Fault(
        "frozen weights drawn anew for each block",
        "bayespin.network.prediction:predict_reads",
        _keyed_by_block,
    ),
    Fault(
        "every block reads the same noise",
        "bayespin.network.prediction:predict_reads",
        _same_noise_everywhere,
    ),
)

FAULTS = {
    fault.name: fault
    for fault in (
        *NETWORK,
        Fault(
            "pillars out of the programming loop",
            "bayespin.cell.programming:_block",
            _pillars_out_of_the_loop,
        ),
        Fault(
            "missed steps twice as often", "bayespin.cell.wall_loop:Trains.of", _more_missed_steps
        ),
        Fault(
            "last row of every tile lost",
            "bayespin.array.tiles:RowTiles.lay_out",
            _edge_row_lost,
        ),
        Fault(
            "read noise of the moments x1.1",
            "bayespin.array.crossbar:moments",
            lambda right: (
                lambda codes, cells, apply, coding: right(
                    codes, replace(cells, noise_rows=1.1 * cells.noise_rows), apply, coding
                )
            ),
        ),
        Fault("code zero conducts noise", "bayespin.array.crossbar:code_noise", _noisy_zero),
        Fault(
            "ADC off by one",
            "bayespin.array.converter:Adc.half_steps",
            lambda _right: property(lambda adc: 2 ** (adc.bits - 1)),
        ),
        Fault("ADC truncates", "bayespin.array.converter:Adc.convert_", _truncating),
        Fault(
            "noise power x1.04",
            "bayespin.rng:KeyedNoise.normal",
            lambda right: lambda noise, like: 1.04**0.5 * right(noise, like),
        ),
        Fault(
            "noise with a mean of 0.02",
            "bayespin.rng:KeyedNoise.normal",
            lambda right: lambda noise, like: 0.02 + right(noise, like),
        ),
        Fault(
            "uniform noise of the right variance",
            "bayespin.rng:KeyedNoise.normal",
            lambda _right: (
                lambda noise, like: torch.empty_like(like).uniform_(
                    -(3**0.5), 3**0.5, generator=noise.generator
                )
            ),
        ),
        Fault(
            "child keys ignore their last part",
            "bayespin.rng:Key.child",
            lambda right: lambda key, *parts: right(key, *parts[:-1]),
        ),
        Fault(
            "calibration bins off by one",
            f"{METRICS}.calibration:_equal_width",
            lambda right: lambda confidence, bins: right(confidence, bins - 1),
        ),
        Fault(
            "calibration bins closed above",
            f"{METRICS}.calibration:_equal_width",
            lambda _right: (
                lambda confidence, bins: (
                    torch.bucketize(confidence, torch.linspace(0, 1, bins + 1).to(confidence)) - 1
                )
            ),
        ),
        Fault(
            "labels of the floor drawn too often right",
            f"{METRICS}.calibration:_gap",
            lambda right: lambda index, excess, bins: right(index, excess - 0.01, bins),
        ),
        Fault(
            "Brier score averaged over classes",
            f"{METRICS}:brier",
            lambda right: lambda p, labels: right(p, labels) / p.shape[1],
        ),
        Fault(
            "log-likelihood in bits",
            f"{METRICS}:nll",
            lambda right: lambda p, labels: right(p, labels) / 0.6931471805599453,
        ),
        Fault(
            "mean of logs for the log of the mean",
            f"{METRICS}:PredictiveAccumulator.add",
            _mean_of_logs,
        ),
        Fault(
            "mean of entropies for the entropy of the mean",
            f"{METRICS}:PredictiveAccumulator.result",
            _no_epistemic_part,
        ),
        Fault(
            "reads counted off by one",
            f"{METRICS}:PredictiveAccumulator._add",
            _one_read_too_many,
        ),
        Fault("ties count as misses in AUROC", f"{METRICS}:auroc", _strict_ties),
        Fault("standard error of unpaired samples", f"{METRICS}:paired_difference", _unpaired),
    )
}
