"""The façade: put a trained network on a chip, read it, and see the bill."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch

from bayespin.array.crossbar import ArrayLayout, code_noise
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import ideal_cells
from bayespin.cost.account import Bill, Hardware, Schedule, account
from bayespin.cost.components import load_components
from bayespin.events import Events, LayerActivity
from bayespin.load import build, fingerprint, read_resource
from bayespin.network.metrics import Predictive
from bayespin.network.models import Network
from bayespin.network.prediction import Execution, predict
from bayespin.nn.estimators import Sampling, local_reparameterised
from bayespin.nn.hardware import HardwareLayer, HardwareSpec
from bayespin.nn.mapping import LayerMapping, choose, input_statistics, wanted_cells
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor

Devices = Literal["ideal", "spintronic"]
"""`ideal`: cells hold the wanted Gaussians exactly and read without noise."""


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """A chip: bit cell, tile layout, and the preset they come from."""

    cell: BitCell
    layout: ArrayLayout
    preset: str = "custom"
    preset_hash: str = ""
    components: str = "28nm"

    @classmethod
    def from_preset(cls, name: str = "easyplane-50nm") -> "Accelerator":
        """Return the chip of a shipped preset; the hash covers every value in its file.

        Raises:
            InputError: no such preset; the sentence names the nearest one.
        """
        content = read_resource("presets", name)
        return cls(
            cell=BitCell.preset(name),
            layout=build(ArrayLayout, content["array"], f"preset {name}"),
            preset=name,
            preset_hash=fingerprint(content)[:12],
        )

    def deploy(
        self,
        network: Network,
        calibrate_on: Float[Tensor, " images *shape"],
        key: Key,
        devices: Devices = "spintronic",
    ) -> "Deployment":
        """Return the hardware twin: every mean-field layer mapped, programmed, calibrated.

        Layer by layer, calibration inputs pass through what is already converted, so that DAC and
        ADC ranges contain the noise of the layers before.

        Args:
            network: software network; it is left as it is.
            calibrate_on: images that set the converters' ranges; never test images.
            key: the chip's devices and the calibration's noise; the same key, the same chip.
            devices: `spintronic` with all errors of the preset, or `ideal` cells.

        Raises:
            ValueError: no mean-field layer, weights that are not finite or that do not fit, inputs
                of a layer that are negative, or no finite images.
        """
        if not any(isinstance(s, MeanFieldLayer) for s in network.stages.values()):
            raise ValueError(
                "Argument `network` must have a mean-field layer to deploy, but has none."
            )
        if len(calibrate_on) == 0 or not bool(torch.isfinite(calibrate_on).all()):
            raise ValueError(
                "Argument `calibrate_on` must hold at least one image and finite values, "
                "but does not."
            )
        converted, mappings, programming = {}, [], {}
        noise = KeyedNoise.from_key(key.child("calibrate"))
        x = calibrate_on
        with torch.no_grad():
            for name, stage in network.stages.items():
                if isinstance(stage, MeanFieldLayer):
                    stage, mapping, events = self._convert(name, stage, x, key, devices)
                    stage.calibrate(x, noise)
                    mappings.append(mapping)
                    programming[name] = events
                else:
                    stage = copy.deepcopy(stage)  # later changes of the network stay off the chip
                converted[name] = stage
                x = Network.run([stage], x, noise, local_reparameterised)
        return Deployment(
            chip=self,
            network=Network(converted).eval(),
            mappings=tuple(mappings),
            programming=programming,
        )

    def _convert(
        self, name: str, layer: MeanFieldLayer, x: Tensor, key: Key, devices: Devices
    ) -> tuple[HardwareLayer, LayerMapping, Events]:
        if float(x.min()) < 0:
            raise ValueError(
                f"Inputs of layer `{name}` must not be negative, because rows are driven with one "
                f"polarity, but reach {float(x.min()):.3g}; put a ReLU before it."
            )
        mean, sigma = layer.mean.detach(), layer.sigma().detach()
        heat = code_noise(self.cell.read, self.cell.environment.use_temperature)
        mapping = choose(name, mean, sigma, self.cell, input_statistics(x, heat))
        wanted = wanted_cells(mean, sigma, mapping)
        if devices == "ideal":
            cells, events = ideal_cells(wanted, self.cell), Events()
        else:
            done = self.cell.program(wanted, mapping.gain, key.child("program", name))
            cells, events = done.cells, done.events
        spec = HardwareSpec(
            cell=self.cell,
            layout=self.layout,
            weight_max=mapping.weight_max,
            input_scale=mapping.input_scale,
        )
        return HardwareLayer(layer.product, layer.bias, cells, spec), mapping, events


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A network on one programmed chip."""

    chip: Accelerator
    network: Network
    mappings: tuple[LayerMapping, ...]
    programming: Mapping[str, Events]
    """What programming each layer took, once."""

    def predict(
        self,
        images: Float[Tensor, " images *shape"],
        reads: int,
        key: Key,
        execution: Execution | None = None,
    ) -> Predictive:
        """Return the predictive distribution over `reads` reads, sampled `per_read`."""
        return predict(self.network, images, Sampling.PER_READ, reads, key, execution)

    def activity(self, images: Float[Tensor, " images *shape"], key: Key) -> list[LayerActivity]:
        """Return what every layer does per image and pass, averaged over `images`."""
        layers, x = [], images
        noise = KeyedNoise.from_key(key)
        with torch.no_grad():
            for name, stage in self.network.stages.items():
                y = Network.run([stage], x, noise, local_reparameterised)
                if isinstance(stage, HardwareLayer):
                    layers.append(stage.activity(name, x, y))
                x = y
        return layers

    def bill(self, images: Float[Tensor, " images *shape"], reads: int, key: Key) -> Bill:
        """Return energy, latency and area of one prediction with `reads` reads.

        Args:
            images: typical inputs; the energy is their average.
            reads: Monte-Carlo passes.
            key: noise of the pass that counts events.
        """
        layers = [
            replace(layer, events=layer.events + self.programming[layer.name])
            for layer in self.activity(images, key)
        ]
        read, environment = self.chip.cell.read, self.chip.cell.environment
        hardware = Hardware(
            output_conductance=self.chip.cell.output_conductance,
            adc_bits=read.adc_bits,
            input_bits=read.input_bits,
            columns_per_adc=self.chip.layout.outputs_per_adc,
            read_voltage=read.voltage,
            temperature=environment.use_temperature,
        )
        schedule = Schedule(
            read_window=read.window,
            sampling_period=self.chip.cell.sampling_period(),
            classes=int(self._outputs()),
        )
        return account(layers, reads, hardware, schedule, load_components(self.chip.components))

    def _outputs(self) -> int:
        return list(self.network.random_layers().values())[-1].product.outputs
