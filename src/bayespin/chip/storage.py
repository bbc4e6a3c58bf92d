"""A programmed chip in a file: every device's own draws, what was written, and the converters.

The network's structure is not in the file, only its numbers: whoever loads gives a network of the
same stages, trained or not, and the same chip.
"""

import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bayespin.array.converter import Adc
from bayespin.array.converter_errors import MadeAdcs
from bayespin.array.ranges import LayerRanges, RangeReport, RangeRule
from bayespin.cell.interface import ProgrammingReport, Residual, Use
from bayespin.chip.accelerator import Accelerator, Deployment
from bayespin.chip.placement import WrittenLayer
from bayespin.events import Events
from bayespin.load import InputError, fingerprint
from bayespin.network.folding import fold_batch_norms
from bayespin.network.models import Network
from bayespin.nn.hardware import HardwareLayer, HardwareSpec
from bayespin.nn.mapping import LayerMapping
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.numerics.tensor_file import read_tensors, write_tensors
from bayespin.shapes import Tensor

_FORMAT = 3
_ADCS = ("offset", "thresholds", "converter")
_REMEDY = "deploy the network anew"
_PLAIN = ("pulses", "energy", "endurance_used", "cells")


def save_deployment(path: Path, deployment: Deployment) -> None:
    """Write a deployment as a safetensors file; half a file is never seen.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    layers = {}
    for name, stage in deployment.network.stages.items():
        written = deployment.layers.get(name)
        if written is None or not isinstance(stage, HardwareLayer):
            _put(tensors, f"digital/{name}", dict(stage.state_dict()))
            continue
        _put(tensors, f"state/{name}", dict(written.state))
        typical = stage.spec.typical
        assert typical is not None  # every deployed layer has one
        own = {"bias": stage.bias, "adc_range": stage.adc_range, "typical": typical}
        _put(tensors, f"layer/{name}", own)
        if stage.spec.adcs is not None:
            made = vars(stage.spec.adcs)
            _put(tensors, f"adcs/{name}", {k: made[k] for k in _ADCS if made[k] is not None})
        layers[name] = {
            "mapping": asdict(written.mapping),
            "events": asdict(written.events),
            "clipped_share": stage.clipped_share,
            "positions": stage.positions,
            "signed": stage.spec.signed,
            "ranges": _plain_ranges(stage.ranges),
            "report": _plain_report(name, written.report, tensors),
        }
    content = {
        "format": _FORMAT,
        "chip": _identity(deployment.chip),
        "devices": deployment.devices,
        "use": asdict(deployment.use),
        "layers": layers,
    }
    write_tensors(path, tensors, {"deployment": json.dumps(content)})


def load_deployment(path: Path, chip: Accelerator, network: Network) -> Deployment:
    """Return a deployment from its file: the same chip to the last bit, at its last use.

    Args:
        path: written by `save_deployment`.
        chip: equal to the one it was deployed on.
        network: with the same stages as the one that was deployed, batch norms folded or not; its
            numbers are not used.

    Raises:
        InputError: the file is missing, damaged or not a deployment, or chip or network are others.
    """
    tensors, metadata = read_tensors(path, _REMEDY)
    content = _content(path, metadata)
    if content["chip"] != _identity(chip):
        raise InputError(
            f"Argument `chip` must be the chip that `{path}` was deployed on, but its cells or "
            f"tiles differ; {_REMEDY}."
        )
    network = fold_batch_norms(network)
    names = {n for n, s in network.stages.items() if isinstance(s, MeanFieldLayer)}
    if names != set(content["layers"]):
        raise InputError(
            f"Argument `network` must have the mean-field layers of `{path}`, "
            f"{', '.join(content['layers'])}, but has {', '.join(sorted(names))}."
        )
    layers = {
        name: _written_layer(name, found, tensors) for name, found in content["layers"].items()
    }
    stages = {name: copy.deepcopy(stage) for name, stage in network.stages.items()}
    deployment = Deployment(
        chip=chip,
        network=network.with_stages(stages),
        layers=layers,
        devices=content["devices"],
        use=Use(**content["use"]),
    )
    with torch.no_grad():
        return _assembled(path, deployment, tensors, content["layers"])


def _assembled(
    path: Path, deployment: Deployment, tensors: dict[str, Tensor], found: dict[str, Any]
) -> Deployment:
    """Return the deployment with hardware layers in place of mean-field ones."""
    chip, use = deployment.chip, deployment.use
    stages: dict[str, torch.nn.Module] = {}
    for name, stage in deployment.network.stages.items():
        if not isinstance(stage, MeanFieldLayer):
            _restore(path, stage, _take(tensors, f"digital/{name}"))
            stages[name] = stage
            continue
        mapping, own = deployment.layers[name].mapping, _take(tensors, f"layer/{name}")
        spec = HardwareSpec(
            cell=chip.cell,
            layout=chip.layout,
            weight_max=mapping.weight_max,
            input_scale=mapping.input_scale,
            temperature=use.temperature,
            hold=chip.hold,
            signed=found[name]["signed"],
            typical=own["typical"],
            adcs=_made_adcs(chip, _take(tensors, f"adcs/{name}")),
        )
        cells = deployment.cells(name, use)
        if cells.mean.shape != (stage.product.rows, stage.product.outputs):
            raise _other_network(path, name)
        layer = HardwareLayer(stage.product, own["bias"], cells, spec)
        layer.adc_range.copy_(own["adc_range"])
        layer.clipped_share = found[name]["clipped_share"]
        layer.positions = found[name]["positions"]
        layer.ranges = _ranges(found[name]["ranges"])
        stages[name] = layer
    return Deployment(
        chip=chip,
        network=deployment.network.with_stages(stages).eval(),
        layers=deployment.layers,
        devices=deployment.devices,
        use=use,
    )


def _plain_ranges(ranges: LayerRanges | None) -> dict[str, Any] | None:
    if ranges is None:
        return None

    def plain(report: RangeReport) -> dict[str, Any]:
        numbers = vars(report).items()
        return {n: v.double().tolist() if isinstance(v, Tensor) else v for n, v in numbers}

    told = {"data": plain(ranges.data), "moments": plain(ranges.moments)}
    return told | {"rule": asdict(ranges.rule)}


def _ranges(found: dict[str, Any] | None) -> LayerRanges | None:
    if found is None:
        return None

    def report(numbers: dict[str, Any]) -> RangeReport:
        of_tiles = ("full_range", "steps_per_sigma")
        tensors: dict[str, Any] = {
            n: torch.tensor(numbers[n]) for n in of_tiles if numbers[n] is not None
        }
        return RangeReport(**numbers | tensors)

    return LayerRanges(
        rule=RangeRule(**found["rule"]),
        data=report(found["data"]),
        moments=report(found["moments"]),
    )


def _made_adcs(chip: Accelerator, own: dict[str, Tensor]) -> MadeAdcs | None:
    if chip.layout.adc_errors is None:
        return None
    return MadeAdcs(
        adc=Adc(bits=chip.cell.read.adc_bits),
        errors=chip.layout.adc_errors,
        offset=own["offset"],
        thresholds=own.get("thresholds"),
        converter=own["converter"],
    )


def _identity(chip: Accelerator) -> str:
    """Return what tells chips apart: all that their cells promise, and the tiles."""
    cell = chip.cell
    temperature = cell.environment.programming_temperature
    promise = {
        "full_scale": cell.full_scale,
        "output_conductance": cell.output_conductance,
        "levels": [cell.sigma_levels(g, temperature).tolist() for g in cell.column_gains],
        "read": asdict(cell.read),
        "layout": asdict(chip.layout),
        "preset": chip.preset_hash,
    }
    return fingerprint(promise)[:16]


def _put(tensors: dict[str, Tensor], where: str, named: dict[str, Tensor]) -> None:
    for name, tensor in named.items():
        # Own memory for each: a file holds no tensor twice, and none that is part of another.
        tensors[f"{where}/{name}"] = tensor.detach().clone().contiguous()


def _take(tensors: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    start = f"{where}/"
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def _plain_report(
    layer: str, report: ProgrammingReport | None, tensors: dict[str, Tensor]
) -> dict[str, Any] | None:
    """Return the numbers of a report, and put its tensors with the others."""
    if report is None:
        return None
    _put(tensors, f"levels/{layer}", dict(report.levels))
    _put(tensors, f"rows/{layer}", {"time": report.row_time})
    plain: dict[str, Any] = {name: getattr(report, name) for name in _PLAIN}
    return plain | {name: asdict(getattr(report, name)) for name in ("mean", "sigma")}


def _written_layer(name: str, found: dict[str, Any], tensors: dict[str, Tensor]) -> WrittenLayer:
    mapping = found["mapping"] | {"window": tuple(found["mapping"]["window"])}
    report = found["report"]
    if report is not None:
        worn = {device: tuple(pair) for device, pair in report["endurance_used"].items()}
        report = ProgrammingReport(
            **report
            | {
                "endurance_used": worn,
                "mean": Residual(**report["mean"]),
                "sigma": Residual(**report["sigma"]),
                "levels": _take(tensors, f"levels/{name}"),
                "row_time": _take(tensors, f"rows/{name}")["time"],
            }
        )
    return WrittenLayer(
        mapping=LayerMapping(**mapping),
        events=Events(**found["events"]),
        report=report,
        state=_take(tensors, f"state/{name}"),
    )


def _restore(path: Path, stage: torch.nn.Module, state: dict[str, Tensor]) -> None:
    own = stage.state_dict()
    if {n: t.shape for n, t in own.items()} != {n: t.shape for n, t in state.items()}:
        raise _other_network(path, type(stage).__name__)
    stage.load_state_dict(state)


def _other_network(path: Path, name: str) -> InputError:
    return InputError(
        f"Argument `network` must have the shapes of `{path}`, but differs in `{name}`; {_REMEDY}."
    )


def _content(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        content = json.loads(metadata["deployment"])
        version = content["format"]
    except (KeyError, ValueError, TypeError):
        version, content = None, {}
    if version != _FORMAT:
        raise InputError(
            f"File `{path}` must hold a deployment of format {_FORMAT}, but does not; {_REMEDY}."
        )
    return content
