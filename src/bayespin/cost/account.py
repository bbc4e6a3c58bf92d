"""The bill: events of the hardware times the price of each action.

E = R Σ_l [E_array + E_supply + E_drive + E_line + E_integrate + E_ADC + E_digital + E_buffer
+ E_control] + E_statistics + E_leakage, for one image and R Monte-Carlo passes. Joules dissipated
in the cells come with the events; they are never computed again here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from bayespin.cost.components import ComponentTable
from bayespin.cost.limits import check_column, check_conversion
from bayespin.events import LayerActivity, TileShape
from bayespin.units import Unit

_COLUMNS = 4  # physical columns of one logical output: two of tracks, two of pillars


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When tiles are read and what is kept of each pass."""

    read_window: Annotated[float, Unit("s")]
    sampling_period: Annotated[float, Unit("s")]
    """Least time between two reads of a cell, so that its samples are independent."""
    classes: int
    """Network outputs whose probabilities, logarithms and squares are summed over passes."""
    replication: Mapping[str, int] = field(default_factory=dict)
    """Copies of a layer that share its positions; 1 where a layer is not named."""
    hold_time: Annotated[float, Unit("s")] = 0.0
    """Of one pass, to draw the cells and hold them; shared out evenly over the layers."""
    programming_times: Mapping[str, float] = field(default_factory=dict)
    """s to program a layer, its tiles and copies at once; 0 where a layer is not named."""

    def __post_init__(self) -> None:
        _positive(self, "read_window", "sampling_period")
        if not self.hold_time >= 0:
            raise ValueError(
                f"Argument `hold_time` must not be negative, but is {self.hold_time:g} s."
            )
        for name, seconds in self.programming_times.items():
            if not seconds >= 0:
                raise ValueError(
                    f"Argument `programming_times` must not be negative, but is {seconds:g} s for "
                    f"`{name}`."
                )
        if self.classes < 0:
            raise ValueError(f"Argument `classes` must not be negative, but is {self.classes}.")
        for name, copies in self.replication.items():
            if copies < 1:
                raise ValueError(
                    f"Argument `replication` must be at least 1, but is {copies} for `{name}`."
                )


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """The choices of the circuit architect that have a price."""

    output_conductance: Annotated[float, Unit("S")]
    """Mean conductance of the four junctions of one weight; enters the thermal limit only."""
    adc_bits: int = 8
    input_bits: int = 8
    columns_per_adc: int = 2
    """Logical outputs that share one converter."""
    conversions_per_output: int = 1
    read_voltage: Annotated[float, Unit("V")] = 0.1
    supply: Annotated[float, Unit("V")] = 0.9
    temperature: Annotated[float, Unit("K")] = 300.0

    def __post_init__(self) -> None:
        _positive(
            self, "output_conductance", "input_bits", "columns_per_adc", "conversions_per_output",
            "read_voltage", "supply", "temperature",
        )  # fmt: skip
        if not 1 <= self.adc_bits <= 11:
            raise ValueError(
                f"Argument `adc_bits` must lie between 1 and 11, where the converter models hold, "
                f"but is {self.adc_bits}."
            )

    def converters(self, tile: TileShape) -> int:
        """Return the number of converters of a tile."""
        return math.ceil(tile.outputs / self.columns_per_adc)


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What one image costs, all passes together."""

    energy_j: float
    energy_high_j: float
    """With the survey-median converter in place of the in-macro one."""
    latency_s: float
    area_m2: float
    energy_by_component: Mapping[str, float]
    energy_by_layer: Mapping[str, float]
    latency_by_layer: Mapping[str, float]
    area_by_component: Mapping[str, float]
    area_by_layer: Mapping[str, float]
    programming_energy_j: float
    """Once per deployment; in no other figure."""
    programming_energy_by_part: Mapping[str, float]
    """Joules in the devices, in the logic of pulses, and in the converters that verify."""
    programming_time_s: float
    """Layers one after another; once per deployment."""

    def amortised_energy(self, predictions: float) -> float:
        """Return J of one prediction with its share of programming, E + E_programming/predictions.

        Raises:
            ValueError: fewer than one prediction.
        """
        if not predictions >= 1:
            raise ValueError(f"Argument `predictions` must be at least 1, but is {predictions:g}.")
        return self.energy_j + self.programming_energy_j / predictions


@dataclass(frozen=True, kw_only=True)
class _Price:
    """The three arguments every formula needs."""

    hardware: Hardware
    schedule: Schedule
    table: ComponentTable

    def open_time(self, tiles: Sequence[TileShape]) -> float:
        """Return s that rows are driven and integrators biased: rise, settling, window."""
        settle = max(self._settling(tile) for tile in tiles)
        return self.table.driver.rise_time + settle + self.schedule.read_window

    def _settling(self, tile: TileShape) -> float:
        return self.table.line.settling_time(
            _COLUMNS * tile.outputs, self.hardware.input_bits, self.table.driver.output_resistance
        )

    def read_time(self, layer: LayerActivity) -> float:
        """Return s from one read of a layer to the next."""
        chain = max(self._conversion_time(tile) for tile in layer.tiles)
        chain += self.open_time(layer.tiles) + self.table.integrator.hold_time
        return max(self.schedule.sampling_period, chain + self.table.digital.delay)

    def pass_time(self, layer: LayerActivity) -> float:
        """Return s of one Monte-Carlo pass through a layer, its positions shared by its copies."""
        return math.ceil(layer.positions / self.copies(layer)) * self.read_time(layer)

    def _conversion_time(self, tile: TileShape) -> float:
        outputs = tile.outputs * self.hardware.conversions_per_output
        in_turn = math.ceil(outputs / self.hardware.converters(tile))
        return in_turn * self.table.adc.conversion_time(self.hardware.adc_bits, tile.rows)

    def copies(self, layer: LayerActivity) -> int:
        """Return how many times the layer stands on the chip."""
        return self.schedule.replication.get(layer.name, 1)


def account(
    layers: Sequence[LayerActivity],
    reads: int,
    hardware: Hardware,
    schedule: Schedule,
    table: ComponentTable,
) -> Bill:
    """Return the bill of one image with `reads` Monte-Carlo passes.

    Latency = R T_hold + R Σ_l ceil(P_l / copies) max(T_s, drive + settle + window + sample and
    hold + conversions + digital): layers and positions run one after another, a layer's tiles at
    once.

    Raises:
        ValueError: no layers, no reads, two layers of one name, an unknown replicated layer, or a
            configuration below a physical limit.
    """
    _check(layers, reads, hardware, schedule, table)
    price = _Price(hardware=hardware, schedule=schedule, table=table)
    areas = {layer.name: _layer_area(layer, price) for layer in layers}
    hold = schedule.hold_time / len(layers)
    latency = {layer.name: reads * (hold + price.pass_time(layer)) for layer in layers}
    energy = {
        layer.name: {part: reads * joules for part, joules in _layer_energy(layer, price).items()}
        for layer in layers
    }
    leakage = _leakage(areas, latency, table)
    for name, parts in energy.items():
        parts["leakage"] = leakage[name]
    energy[layers[-1].name]["statistics"] = reads * schedule.classes * table.digital.statistic
    by_component = _columns(energy)
    total = math.fsum(by_component.values())
    programming = _columns({layer.name: _programming(layer, price) for layer in layers})
    conversions = reads * math.fsum(layer.events.conversions for layer in layers)
    dearer = table.survey_median.energy(hardware.adc_bits) - _adc_energy(price)
    return Bill(
        energy_j=total,
        energy_high_j=total + conversions * max(dearer, 0.0),
        latency_s=math.fsum(latency.values()),
        area_m2=math.fsum(math.fsum(parts.values()) for parts in areas.values()),
        energy_by_component=by_component,
        energy_by_layer={name: math.fsum(parts.values()) for name, parts in energy.items()},
        latency_by_layer=latency,
        area_by_component=_columns(areas),
        area_by_layer={name: math.fsum(parts.values()) for name, parts in areas.items()},
        programming_energy_j=math.fsum(programming.values()),
        programming_energy_by_part=programming,
        programming_time_s=math.fsum(schedule.programming_times.values()),
    )


def _layer_energy(layer: LayerActivity, price: _Price) -> dict[str, float]:
    """Return J per pass of one layer by component; linear in the layer's events.

    Row lines: a driven row spans four columns per output of its tile; where tiles differ, the mean
    over rows is taken.
    """
    events, table, hardware = layer.events, price.table, price.hardware
    supply = hardware.supply
    open_time = price.open_time(layer.tiles)
    cells = _COLUMNS * sum(tile.rows * tile.outputs for tile in layer.tiles)
    columns_per_row = cells / sum(tile.rows for tile in layer.tiles)
    row_line = table.line.row_energy(columns_per_row, supply)
    column_line = table.line.column_energy(cells / len(layer.tiles), supply)
    digital, driver = table.digital, table.driver
    row = driver.dac_energy(hardware.input_bits, hardware.read_voltage, supply)
    return {
        "array": events.array_energy,
        **({"hold": events.hold_energy} if events.hold_energy else {}),
        "read supply": table.supply.loss(events.array_energy, hardware.read_voltage),
        "dac": events.row_drives * row,
        "row driver": events.row_drives
        * (driver.bias_current * supply * open_time + hardware.input_bits * digital.register_bit),
        "lines": events.row_drives * row_line + events.tile_reads * column_line,
        "integrator": events.integrations * table.integrator.output_energy(supply, open_time),
        "sample and hold": events.integrations
        * table.integrator.per_output
        * table.integrator.hold_energy,
        "adc": events.conversions * _adc_energy(price),
        "register": events.conversions * (digital.register + digital.shift_add),
        "accumulate": events.accumulations * digital.add,
        "activation": events.activations * (digital.activation + digital.requantise),
        "buffer": table.buffer.energy(events.buffer_bits_read, events.buffer_bits_written),
        "control": events.tile_reads * table.control.tile_read,
    }


def _adc_energy(price: _Price) -> float:
    return price.table.adc.energy(price.hardware.adc_bits, price.hardware.supply)


def _layer_area(layer: LayerActivity, price: _Price) -> dict[str, float]:
    """Return m^2 of all copies of a layer by component, white space included."""
    table, hardware = price.table, price.hardware
    rows = sum(tile.rows for tile in layer.tiles)
    outputs = sum(tile.outputs for tile in layer.tiles)
    weights = sum(tile.rows * tile.outputs for tile in layer.tiles)
    converters = sum(hardware.converters(tile) for tile in layer.tiles)
    register = hardware.input_bits * table.digital.register_bit_area
    parts = {
        "cells": weights * table.cell.weight_area,
        "row drivers": rows * (table.driver.row_area(hardware.input_bits) + register),
        "integrators": outputs * table.integrator.output_area(table.driver.capacitor_density),
        "adc": converters * table.adc.area(hardware.adc_bits),
        "digital": converters * table.digital.converter_area,
        "buffer": table.buffer.area,
    }
    factor = table.control.overhead * price.copies(layer)
    return {part: area * factor for part, area in parts.items()}


def _leakage(
    areas: Mapping[str, Mapping[str, float]], latency: Mapping[str, float], table: ComponentTable
) -> dict[str, float]:
    """Return J of leakage by layer.

    While a layer is read its CMOS and all buffers are on; the rest is gated to a residue. Cells are
    non-volatile and leak nothing.
    """
    control = table.control
    logic = {
        name: math.fsum(a for part, a in parts.items() if part not in ("cells", "buffer"))
        for name, parts in areas.items()
    }
    buffers = math.fsum(parts["buffer"] for parts in areas.values())
    everything = math.fsum(logic.values())
    return {
        name: control.leakage_density
        * time
        * (buffers + logic[name] + control.gated_fraction * (everything - logic[name]))
        for name, time in latency.items()
    }


def _programming(layer: LayerActivity, price: _Price) -> dict[str, float]:
    """Return J to write one layer once, by part; a verify read integrates and converts one output.

    Joules in the devices come with the events: pulses, and the cells' dissipation in verify reads.
    """
    events, table, hardware = layer.events, price.table, price.hardware
    verify = _adc_energy(price) + table.integrator.output_energy(
        hardware.supply, price.open_time(layer.tiles)
    )
    once = {
        "devices": events.write_energy,
        "pulse logic": events.write_pulses * table.control.write_pulse,
        "verifying converters": events.verify_reads * verify,
    }
    return {part: joules * price.copies(layer) for part, joules in once.items()}


def _columns(rows: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the sum over layers of each component, in order of first appearance."""
    names = dict.fromkeys(part for parts in rows.values() for part in parts)
    return {name: math.fsum(parts.get(name, 0.0) for parts in rows.values()) for name in names}


def _check(
    layers: Sequence[LayerActivity],
    reads: int,
    hardware: Hardware,
    schedule: Schedule,
    table: ComponentTable,
) -> None:
    names = [layer.name for layer in layers]
    if not layers or len(set(names)) != len(names):
        raise ValueError(
            f"Argument `layers` must hold layers of distinct names, but holds {names}."
        )
    if reads < 1:
        raise ValueError(f"Argument `reads` must be at least 1, but is {reads}.")
    for argument in ("replication", "programming_times"):
        for name in getattr(schedule, argument):
            if name not in names:
                raise ValueError(
                    f"Argument `{argument}` must name layers of {', '.join(names)}, "
                    f"but names `{name}`."
                )
    bits, temperature = hardware.adc_bits, hardware.temperature
    check_conversion(table.adc.energy(bits, hardware.supply), bits, temperature)
    per_row = hardware.output_conductance * hardware.read_voltage**2 * schedule.read_window
    for layer in layers:
        rows = max(tile.rows for tile in layer.tiles)
        check_column(layer.name, rows * per_row, bits, temperature)


def _positive(instance: object, *names: str) -> None:
    for name in names:
        value = getattr(instance, name)
        if not value > 0:
            raise ValueError(f"Argument `{name}` must be above zero, but is {value}.")
