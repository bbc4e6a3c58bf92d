"""The façade: put a trained network on a chip, read it, and see the bill."""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from bayespin.array.coding import coding_of
from bayespin.array.hold import Hold
from bayespin.array.ranges import LayerRanges, RangeRule
from bayespin.array.tiles import ArrayLayout, RowTiles
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import (
    GaussianCell,
    ProgrammedCells,
    Use,
)
from bayespin.chip.dry_run import DryRun, dry_run
from bayespin.chip.placement import Devices, Placement, WrittenLayer
from bayespin.cost.account import Bill, Hardware, Schedule, account
from bayespin.cost.components import load_components
from bayespin.device.table import with_table
from bayespin.events import Events, LayerActivity
from bayespin.load import build, fingerprint, read_resource
from bayespin.network.convert import as_network
from bayespin.network.metrics import Predictive
from bayespin.network.models import INPUT, Network, applied
from bayespin.network.prediction import Execution, predict
from bayespin.network.slicing import Remainder
from bayespin.nn.correlated import CorrelatedSampling
from bayespin.nn.estimators import Sampling, local_reparameterised
from bayespin.nn.hardware import HardwareLayer
from bayespin.nn.mapping import LayerMapping
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.read_law import ReadLaw
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """A chip: cell, tile layout, and the preset they come from.

    Raises:
        ValueError: more input bits than the layout's coding takes.
    """

    cell: GaussianCell
    layout: ArrayLayout
    preset: str = "custom"
    preset_hash: str = ""
    components: str = "28nm"
    hold: Hold | None = None
    """What holds a draw of the cells over many reads; without it, `frozen` is refused."""

    def __post_init__(self) -> None:
        read = self.cell.read
        coding_of(self.layout.coding, read.input_bits, read.window)  # refuses what cannot be

    @classmethod
    def from_preset(cls, name: str = "easyplane-50nm") -> "Accelerator":
        """Return the chip of a shipped preset; the hash covers every value in its file and table.

        Raises:
            InputError: no such preset; the sentence names the nearest one.
        """
        content = read_resource("presets", name)
        return cls(
            cell=BitCell.preset(name),
            layout=build(ArrayLayout, content["array"], f"preset {name}"),
            preset=name,
            preset_hash=fingerprint(with_table(content))[:12],
        )

    def dry_run(self, network: nn.Module, images: Float[Tensor, " images *shape"]) -> DryRun:
        """Return what `deploy` would put on the chip and what not, stage by stage; print it.

        Args:
            network: as for `deploy`.
            images: one or a few, for the shapes.

        Raises:
            ValueError: from `network.convert.convert`.
        """
        return dry_run(copy.deepcopy(as_network(network)).eval(), self.layout, images)

    @torch.no_grad()
    def read_laws(
        self,
        network: Network,
        calibrate_on: Float[Tensor, " images *shape"],
        key: Key,
        slices: Collection[str] = (),
    ) -> dict[str, ReadLaw]:
        """Return how every mean-field layer will be read, for `Recipe.reads`.

        Layers are mapped as `deploy` maps them, and nothing is programmed: train, ask for the laws,
        train on with them, deploy.

        Args:
            network: software network, trained far enough to be mapped.
            calibrate_on: images that set the scales; never test images.
            key: of the weights' noise that calibration inputs have.
            slices: names of layers that will be sliced: what the first slice's means are off, the
                next makes good, and their laws know no error of programming.

        Raises:
            ValueError: what `deploy` refuses of mean-field layers, or slices of others.
        """
        _known(network, "slices", slices)
        laws, noise = dict[str, ReadLaw](), KeyedNoise.from_key(key)
        one = network.passing(noise, local_reparameterised)

        def mapped(name: str, taken: list[Tensor]) -> Tensor:
            stage = network.stages[name]
            if isinstance(stage, MeanFieldLayer):
                placed = Placement(cell=self.cell, layout=self.layout, name=name, layer=stage)
                law = placed.read_law(taken[0])
                laws[name] = replace(law, mean_error=0.0) if name in slices else law
            return one(name, taken)

        network.through({INPUT: calibrate_on}, network.stages, mapped)
        return laws

    def deploy(
        self,
        network: nn.Module,
        calibrate_on: Float[Tensor, " images *shape"],
        key: Key,
        devices: Devices = "spintronic",
        ranges: RangeRule | None = None,
        digital: Collection[str] = (),
    ) -> "Deployment":
        """Return the hardware twin: every mean-field layer mapped, programmed, calibrated.

        Layer by layer, calibration inputs pass through what is already converted, so that DAC and
        ADC ranges contain the noise of the layers before.

        Args:
            network: software network, or any torch module that `network.convert` can take apart;
                it is left as it is. Batch norms behind layers are folded into them.
            calibrate_on: images that set the converters' ranges; never test images.
            key: the chip's devices and the calibration's noise; the same key, the same chip.
            devices: `spintronic` with all errors of the preset, or `ideal` cells.
            ranges: how the ADC ranges are set; `Deployment.ranges` tells what they clip.
            digital: names of mean-field layers that are computed beside the chip, with their
                trained Gaussians; no part of the bill.

        Raises:
            ValueError: no mean-field layer for the chip, digital ones that the network lacks,
                weights that are not finite or that do not fit, or no finite images.
        """
        network = as_network(network)
        _check(network, calibrate_on, digital)
        stages, written = dict(network.stages.items()), {}
        noise = KeyedNoise.from_key(key.child("calibrate"))

        def convert(name: str, taken: list[Tensor]) -> Tensor:
            stage = _to_write(name, stages, key)
            if isinstance(stage, MeanFieldLayer) and name not in digital:
                placed = Placement(
                    cell=self.cell,
                    layout=self.layout,
                    name=name,
                    layer=stage,
                    trained=not isinstance(network.stages[name], Remainder),
                )
                layer, written[name] = placed.write(taken[0], key, devices, self.hold)
                layer.calibrate(taken[0], noise, name, ranges)
                stages[name] = layer
                return layer(taken[0], noise, local_reparameterised)
            # Later changes of the network stay off the chip, and calibration's off its norms.
            stages[name] = copy.deepcopy(stage).eval()
            return applied(stages[name], taken, noise, local_reparameterised)

        with torch.no_grad():
            network.through({INPUT: calibrate_on}, network.stages, convert)
        return Deployment(
            chip=self,
            network=network.with_stages(stages).eval(),
            layers=written,
            devices=devices,
            use=Use(temperature=self.cell.environment.use_temperature),
        )


def _known(network: Network, argument: str, names: Collection[str]) -> set[str]:
    """Return the names of the mean-field layers, if an argument's are among them."""
    layers = {n for n, s in network.stages.items() if isinstance(s, MeanFieldLayer)}
    if unknown := set(names) - layers:
        raise ValueError(
            f"Argument `{argument}` must name mean-field layers of the network, "
            f"{', '.join(sorted(layers))}, but has {', '.join(sorted(unknown))}."
        )
    return layers


def _check(network: Network, calibrate_on: Tensor, digital: Collection[str]) -> None:
    """Refuse what no chip can take, in a sentence."""
    layers = _known(network, "digital", digital)
    if not layers - set(digital):
        raise ValueError("Argument `network` must have a mean-field layer to deploy, but has none.")
    if len(calibrate_on) == 0 or not bool(torch.isfinite(calibrate_on).all()):
        raise ValueError(
            "Argument `calibrate_on` must hold at least one image and finite values, but does not."
        )


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A network on one programmed chip."""

    chip: Accelerator
    network: Network
    layers: Mapping[str, WrittenLayer]
    """What was written, by name of the layer."""
    devices: Devices
    use: Use
    """At which temperature it is read, and how long after programming."""

    @property
    def mappings(self) -> tuple[LayerMapping, ...]:
        """How each layer sits on the chip, in the order of the network."""
        return tuple(layer.mapping for layer in self.layers.values())

    @property
    def ranges(self) -> dict[str, LayerRanges]:
        """Ranges of each layer's converters, from data and from moments."""
        stages = self.network.stages
        found = {name: getattr(stages[name], "ranges", None) for name in self.layers}
        return {name: ranges for name, ranges in found.items() if ranges is not None}

    def used_at(self, temperature: float | None = None, age: float = 0.0) -> "Deployment":
        """Return the same chip read at another temperature or later, as it was programmed.

        Converters keep the ranges of the first calibration. Ideal cells neither drift nor age.

        Args:
            temperature: K; the present one if not given.
            age: seconds since programming, spent at that temperature.

        Raises:
            ValueError: a temperature outside 0 to 600 K, or a negative age.
        """
        now = self.use.temperature if temperature is None else temperature
        use = Use(temperature=now, age=age)
        stages = dict(self.network.stages.items())
        for name in self.layers:
            layer = stages[name]
            assert isinstance(layer, HardwareLayer)
            stages[name] = layer.with_cells(self.cells(name, use), use.temperature)
        return replace(self, network=self.network.with_stages(stages).eval(), use=use)

    def cells(self, layer: str, use: Use) -> ProgrammedCells:
        """Return what one layer's cells have become at a temperature and an age."""
        written = self.layers[layer]
        if self.devices == "ideal":
            return ProgrammedCells(**written.state)
        return self.chip.cell.in_use(written.state, written.mapping.gain, use)

    def predict(
        self,
        images: Float[Tensor, " images *shape"],
        reads: int,
        key: Key,
        execution: Execution | None = None,
        sampling: Sampling | CorrelatedSampling = Sampling.PER_READ,
    ) -> Predictive:
        """Return the predictive distribution over `reads` reads.

        Args:
            images: inputs.
            reads: Monte-Carlo passes.
            key: of all draws.
            execution: workers and progress.
            sampling: `correlated` alone takes the preset's period between reads; give
                `CorrelatedSampling` for another.

        Raises:
            ValueError: `frozen` on a chip without `hold`, or what `network.prediction` refuses.
        """
        self._check(sampling)
        if sampling is Sampling.CORRELATED:
            window, period = self.chip.cell.read.window, self.chip.cell.sampling_period()
            sampling = CorrelatedSampling(window=window, period=max(window, period))
        return predict(self.network, images, sampling, reads, key, execution)

    def _check(self, sampling: Sampling | CorrelatedSampling) -> None:
        if sampling is Sampling.FROZEN and self.chip.hold is None:
            raise ValueError(
                "Argument `sampling` must be `per_read` on a chip whose cells draw anew at every "
                "read, but is `frozen`: give `Accelerator` a `hold`, the mechanism that holds a "
                "draw, with its energy and time."
            )

    def activity(self, images: Float[Tensor, " images *shape"], key: Key) -> list[LayerActivity]:
        """Return what every layer does per image and pass, averaged over `images`."""
        layers, network = list[LayerActivity](), self.network
        one = network.passing(KeyedNoise.from_key(key), local_reparameterised)

        def counted(name: str, taken: list[Tensor]) -> Tensor:
            y, stage = one(name, taken), network.stages[name]
            if isinstance(stage, HardwareLayer):
                layers.append(stage.activity(name, taken[0], y))
            return y

        with torch.no_grad():
            network.through({INPUT: images}, network.stages, counted)
        return layers

    def bill(
        self,
        images: Float[Tensor, " images *shape"],
        reads: int,
        key: Key,
        sampling: Sampling = Sampling.PER_READ,
    ) -> Bill:
        """Return energy, latency and area of one prediction with `reads` reads.

        Args:
            images: typical inputs; the energy is their average.
            reads: Monte-Carlo passes.
            key: noise of the pass that counts events.
            sampling: `frozen` adds what holding costs, and reads without waiting for new draws.

        Raises:
            ValueError: `frozen` on a chip without `hold`, or what `cost.account` refuses.
        """
        self._check(sampling)
        hold = self.chip.hold if sampling is Sampling.FROZEN else None
        layers = []
        for layer in self.activity(images, key):
            weights = sum(tile.rows * tile.outputs for tile in layer.tiles)
            held = Events(hold_energy=hold.energy_per_pass(weights) if hold is not None else 0.0)
            events = layer.events + self.layers[layer.name].events + held
            layers.append(replace(layer, events=events))
        hardware, schedule = self._hardware(), self._schedule(hold)
        return account(layers, reads, hardware, schedule, load_components(self.chip.components))

    def _hardware(self) -> Hardware:
        read = self.chip.cell.read
        return Hardware(
            output_conductance=self.chip.cell.output_conductance,
            adc_bits=read.adc_bits,
            input_bits=read.input_bits,
            columns_per_adc=self.chip.layout.outputs_per_adc,
            read_voltage=read.voltage,
            temperature=self.use.temperature,
        )

    def _schedule(self, hold: Hold | None) -> Schedule:
        read, coding = self.chip.cell.read, self.chip.layout.coding
        window = coding_of(coding, read.input_bits, read.window).duration
        return Schedule(
            read_window=window,
            # A held draw needs no wait: the chain of the read alone sets the pace.
            sampling_period=window if hold is not None else self.chip.cell.sampling_period(),
            hold_time=hold.time_per_pass(len(self.layers)) if hold is not None else 0.0,
            classes=int(self._outputs()),
            programming_times={name: self.programming_time(name) for name in self.layers},
        )

    def programming_time(self, layer: str) -> float:
        """Return the seconds that programming one layer took: rows in turn, its tiles at once."""
        report = self.layers[layer].report
        if report is None:
            return 0.0
        height = RowTiles(len(report.row_time), self.chip.layout.rows).height
        return max(float(tile.sum()) for tile in report.row_time.split(height))

    def _outputs(self) -> int:
        return list(self.network.random_layers().values())[-1].product.outputs


def _to_write(name: str, stages: Mapping[str, nn.Module], key: Key) -> nn.Module:
    """Return a stage; of a later slice what the slices before it, already written, miss."""
    stage = stages[name]
    if not isinstance(stage, Remainder):
        return stage
    earlier = [stages[each] for each in stage.earlier]
    looks = KeyedNoise.from_key(key.child("slices", name))
    return stage.missing([s for s in earlier if isinstance(s, HardwareLayer)], looks)
