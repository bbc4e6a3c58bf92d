"""One layer of a network, put on the cells of a chip."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch

from bayespin.array.coding import Amplitude, Coding, coding_of
from bayespin.array.converter import Adc
from bayespin.array.converter_errors import MadeAdcs, shared_converters
from bayespin.array.crossbar import ReadPoint, code_noise
from bayespin.array.hold import Hold
from bayespin.array.tiles import ArrayLayout, TileGrid
from bayespin.cell.interface import (
    GaussianCell,
    ProgrammedCells,
    ProgrammingReport,
    WantedCells,
    ideal_cells,
)
from bayespin.events import Events
from bayespin.nn.compensation import Plan, corrected, expected_reach
from bayespin.nn.hardware import HardwareLayer, HardwareSpec
from bayespin.nn.mapping import LayerMapping, choose, input_statistics, require_fit, wanted_cells
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.read_law import ReadLaw
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor

Devices = Literal["ideal", "spintronic"]
"""`ideal`: cells hold the wanted Gaussians exactly and read without noise."""

_EVEN = 0.1
"""Share of an even drive in the typical one: rows that calibration leaves dark may be driven."""


@dataclass(frozen=True, kw_only=True)
class WrittenLayer:
    """How one layer was put on the chip, once."""

    mapping: LayerMapping
    events: Events
    """What programming took."""
    report: ProgrammingReport | None
    """The same in detail, and what it left; None for ideal devices."""
    state: Mapping[str, Tensor]
    """The devices with their own draws and what was written to them; the cells, for ideal ones."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A layer and the cells and tiles that are to hold it."""

    cell: GaussianCell
    layout: ArrayLayout
    name: str
    layer: MeanFieldLayer
    trained: bool = True
    """Whether σ were trained; a later slice takes whatever spread its cells have."""

    @property
    def grid(self) -> TileGrid:
        """Its tiles."""
        product = self.layer.product
        return self.layout.grid(product.rows, product.outputs, product.groups)

    def write(
        self, x: Tensor, key: Key, devices: Devices, hold: Hold | None
    ) -> tuple[HardwareLayer, WrittenLayer]:
        """Return the layer on programmed cells, and what it took.

        With wires cells hold what makes them act as trained behind them (`nn.compensation`).

        Args:
            x: calibration inputs of the layer.
            key: the chip's devices.
            devices: with all errors of the cell, or ideal.
            hold: of the chip.

        Raises:
            ValueError: from `nn.mapping`.
        """
        share, mapping, (mean, sigma) = self._planned(x, devices)
        if self.trained:
            require_fit(mapping, sigma)
        drives = self._drives(x)
        point = self._point((drives / mapping.input_scale).clamp_max(1))
        power = (drives / mapping.input_scale).clamp_max(1).square().mean(0).double()
        wanted = wanted_cells(mean, sigma, mapping)

        def plan(cells: ProgrammedCells) -> WantedCells:
            full = self.cell.full_scale
            made = Plan(wanted=wanted, share=share, cells=cells, full_scale=full, power=power)
            return corrected(made, self.grid, point)

        if devices == "ideal":
            cells = ideal_cells(plan(ideal_cells(wanted, self.cell)), self.cell)
            written = WrittenLayer(mapping=mapping, events=Events(), report=None, state=vars(cells))
        else:
            if self.layout.wires is not None:
                other = self.cell.program(wanted, mapping.gain, key.child("plan", self.name))
                wanted = plan(other.cells)
            found = self.cell.program(wanted, mapping.gain, key.child("program", self.name))
            cells = found.cells
            written = WrittenLayer(
                mapping=mapping, events=found.events, report=found.report, state=found.state
            )
        spec = replace(
            self._spec(mapping, point, hold, signed=float(x.min()) < 0),
            adcs=self._adcs(key.child("converters", self.name)),
        )
        return HardwareLayer(self.layer.product, self.layer.bias, cells, spec), written

    def read_law(self, x: Tensor) -> ReadLaw:
        """Return how the layer will be read, as training should know it.

        Args:
            x: calibration inputs of the layer.

        Raises:
            ValueError: from `nn.mapping.choose`, or a coding other than of amplitudes.
        """
        if self.layout.coding != "amplitude":
            raise ValueError(
                f"`coding` must be amplitude where reads are learnt, but is {self.layout.coding}: "
                f"train for amplitudes, and deploy with either."
            )
        share, mapping, _ = self._planned(x, "spintronic")
        heat, reach = self._heat(self._point(self._drives(x))), float(share.mean())
        levels = self.cell.sigma_levels(mapping.gain, self.cell.environment.programming_temperature)
        output = mapping.weight_max * mapping.input_scale
        return ReadLaw(
            input_scale=mapping.input_scale,
            code_noise=heat / heat[-1],
            read_noise=self.cell.read_noise(mapping.gain) * output,
            mean_limit=mapping.weight_max * reach,
            mean_error=float(self.cell.mean_error(mapping.gain).mean())
            * mapping.weight_max
            * reach,
            sigma_levels=levels * mapping.weight_max * reach,
            noise_floor=mapping.read_noise * mapping.weight_max * reach,
        )

    def _drives(self, x: Tensor) -> Float[Tensor, "reads rows"]:
        return self.layer.product.unrolled(x.abs()).flatten(0, 1).view(-1, self.grid.rows.rows)

    def _heat(self, point: ReadPoint) -> Float[Tensor, " codes"]:
        wired = point.wires is not None
        return code_noise(self.cell.read, point.temperature, grounded=wired)

    def _planned(
        self, x: Tensor, devices: Devices
    ) -> tuple[Tensor, LayerMapping, tuple[Tensor, Tensor]]:
        """Return the reach of every cell, the mapping, and mean and σ that cells are asked for."""
        share = expected_reach(self.cell, self.grid, self.layout.wires)
        over = 1 / share.T.reshape(self.layer.product.weight_shape)
        mean, sigma = (w.detach().double() * over for w in (self.layer.mean, self.layer.sigma()))
        heat = self._heat(self._point(self._drives(x)))
        mapping, wider = self._mapping(mean, sigma, x.abs(), heat, devices)
        return share, mapping, (mean, sigma * wider)

    def _mapping(
        self, mean: Tensor, sigma: Tensor, x: Tensor, heat: Tensor, devices: Devices
    ) -> tuple[LayerMapping, float]:
        """Return the mapping, and by how much σ of the cells must be wider for their coding.

        √(Σ x² / Σ F(x)) over the inputs: then a layer's outputs have the variance that was trained
        with amplitudes, on average.
        """
        read = self.cell.read
        coding = coding_of(self.layout.coding, read.input_bits, read.window)
        inputs = input_statistics(x, coding.read_noise(heat), heat[-1])
        mapping = choose(self.name, mean, sigma, self.cell, inputs)
        if isinstance(coding, Amplitude):
            return mapping, 1.0
        quiet = devices == "ideal"  # cells without memory
        time = 0.0 if quiet else self.cell.sampling_period() / read.sampling_period_factor
        for _ in range(2):  # the scale of the inputs depends on the spread, and the reverse
            wider = _widening(coding, time, x / mapping.input_scale)
            mapping = choose(self.name, mean, sigma * wider, self.cell, inputs)
        return mapping, wider

    def _adcs(self, key: Key) -> MadeAdcs | None:
        """Return this chip's converters; outputs of the same converter share its curve."""
        if self.layout.adc_errors is None:
            return None
        tiles, outputs = self.grid.rows.tiles, self.layer.product.outputs
        return MadeAdcs.draw(
            Adc(bits=self.cell.read.adc_bits),
            self.layout.adc_errors,
            shared_converters(tiles, outputs, self.layout.outputs_per_adc),
            KeyedNoise.from_key(key),
        )

    def _point(self, drives: Float[Tensor, "reads rows"]) -> ReadPoint:
        typical = drives.mean(0).double()
        return ReadPoint(
            read=self.cell.read,
            temperature=self.cell.environment.use_temperature,
            scale=1.0,
            wires=self.layout.wires,
            typical=typical + _EVEN * typical.mean().clamp_min(1e-9),
        )

    def _spec(
        self, mapping: LayerMapping, point: ReadPoint, hold: Hold | None, *, signed: bool
    ) -> HardwareSpec:
        return HardwareSpec(
            cell=self.cell,
            layout=self.layout,
            weight_max=mapping.weight_max,
            input_scale=mapping.input_scale,
            temperature=point.temperature,
            signed=signed,
            hold=hold,
            typical=point.typical,
        )


def _widening(coding: Coding, time: float, drive: Tensor) -> float:
    fluctuation = coding.fluctuation(torch.tensor(time, dtype=torch.float64))
    codes = (drive.clamp_max(1) * (len(fluctuation) - 1)).round().long().flatten()
    power = (codes.double() / (len(fluctuation) - 1)).square().mean()
    return float((power / fluctuation[codes].mean().clamp_min(1e-30)).sqrt())
