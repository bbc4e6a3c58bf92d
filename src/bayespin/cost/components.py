"""The parts of the chip and what each costs; constants come from a component table with sources.

Energies are joules per action, areas square metres, times seconds. A table is a TOML file with one
entry per constant: value, node, source, licence, confidence, date read.
"""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from bayespin.load import InputError, build, nearest, read_resource
from bayespin.units import Unit

_SQUARE_MICROMETRE = 1e-12
_PICOJOULE = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where one constant comes from and how far it can be trusted."""

    value: str | float
    node: str
    source: str
    licence: str
    confidence: Literal["measured", "seen", "derived", "assumption"]
    read: str
    note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SarAdc:
    """Converter inside an in-memory macro, in ZigZag's closed form (28 nm).

    E = (c1 b + c2 4^b) V_DD^2 [J], A = 10^(k1 b + k2) 2^b [um^2], t = b (d1 rows + d2) [s],
    b nominal bits. Calibrated on published 28 nm analog macros; use for 4 to 10 bits.
    """

    linear_capacitance: Annotated[float, Unit("F")]
    exponential_capacitance: Annotated[float, Unit("F")]
    area_slope: float
    area_offset: float
    row_delay: Annotated[float, Unit("s")]
    bit_delay: Annotated[float, Unit("s")]

    def energy(self, bits: int, supply: float) -> float:
        """Return J per conversion at `bits` nominal bits and `supply` volts."""
        return (self.linear_capacitance * bits + self.exponential_capacitance * 4**bits) * supply**2

    def area(self, bits: int) -> float:
        """Return m^2 of one converter."""
        return 10 ** (self.area_slope * bits + self.area_offset) * 2**bits * _SQUARE_MICROMETRE

    def conversion_time(self, bits: int, rows: int) -> float:
        """Return s per conversion of a column with `rows` cells."""
        return bits * (self.row_delay * rows + self.bit_delay)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SurveyAdc:
    """Stand-alone SAR converters: a quantile of Murmann's survey at 28 nm, up to 1 GS/s.

    log10(E/pJ) = e0 + e1 (ENOB - 7), log10(A/um^2) = a0 + a1 (ENOB - 7), ENOB = bits - 1. Fitted on
    ENOB 5 to 10; below ENOB 5 the value at 5 is kept, so the band never falls too low.
    """

    energy_offset: float
    energy_slope: float
    area_offset: float
    area_slope: float

    def energy(self, bits: int) -> float:
        """Return J per conversion at `bits` nominal bits."""
        return 10 ** (self.energy_offset + self.energy_slope * _survey_bits(bits)) * _PICOJOULE

    def area(self, bits: int) -> float:
        """Return m^2 of one converter."""
        return 10 ** (self.area_offset + self.area_slope * _survey_bits(bits)) * _SQUARE_MICROMETRE


def _survey_bits(bits: int) -> int:
    """Return effective bits above 7."""
    return max(bits - 1, 5) - 7


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowDriver:
    """Capacitive DAC and the class-A stage that holds its row at the input voltage."""

    capacitance_per_bit: Annotated[float, Unit("F")]
    bias_current: Annotated[float, Unit("A")]
    output_resistance: Annotated[float, Unit("Ohm")]
    rise_time: Annotated[float, Unit("s")]
    capacitor_density: Annotated[float, Unit("F/m2")]
    area: Annotated[float, Unit("m2")]

    def dac_energy(self, bits: int, swing: float, supply: float) -> float:
        """Return J per conversion, E = c b V_swing V_DD; at swing = supply this is ZigZag's form.

        A one-bit row needs no DAC.
        """
        return self.capacitance_per_bit * bits * swing * supply if bits > 1 else 0.0

    def row_area(self, bits: int) -> float:
        """Return m^2 of one row: capacitors c b over their density, and the output stage."""
        return self.capacitance_per_bit * bits / self.capacitor_density + self.area


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadSupply:
    """The rail that delivers the array current, less what the cells dissipate."""

    rail: Annotated[float, Unit("V")]
    efficiency: float
    amplitude: float

    def loss(self, array_energy: float, read_voltage: float) -> float:
        """Return J lost outside the cells.

        The rail delivers V_rail sum(v G) t, the cells dissipate sum(v^2 G) t, hence
        E_loss = E_array [V_rail / (a V_read eta) - 1] with a = <v^2> / (<v> V_read).
        """
        drawn = self.rail / (self.amplitude * read_voltage * self.efficiency)
        return array_energy * max(drawn - 1.0, 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """Rows and columns as wires."""

    wire_capacitance: Annotated[float, Unit("F/m")]
    column_pitch: Annotated[float, Unit("m")]
    row_pitch: Annotated[float, Unit("m")]
    gate_capacitance: Annotated[float, Unit("F")]
    drain_capacitance: Annotated[float, Unit("F")]
    column_swing: Annotated[float, Unit("V")]
    wire_resistance: Annotated[float, Unit("Ohm")]

    @property
    def row_cell_capacitance(self) -> float:
        """Return F that one physical cell adds to its row."""
        return self.wire_capacitance * self.column_pitch + self.gate_capacitance

    @property
    def column_cell_capacitance(self) -> float:
        """Return F that one physical cell adds to its column."""
        return self.wire_capacitance * self.row_pitch + self.drain_capacitance

    def row_energy(self, columns: float, supply: float) -> float:
        """Return J to charge and discharge one row of `columns` cells, E = n C V_DD^2."""
        return columns * self.row_cell_capacitance * supply**2

    def column_energy(self, cells: float, supply: float) -> float:
        """Return J of the columns' small swing, E = n C dV V_DD over `cells` cells."""
        return cells * self.column_cell_capacitance * self.column_swing * supply

    def settling_time(self, columns: int, bits: int, output_resistance: float) -> float:
        """Return s until a row is within half a step of `bits`.

        t = ln(2^(b+1)) (R_drv C + 0.38 R_w C), C and R_w of the whole row (Elmore delay).
        """
        capacitance = columns * self.row_cell_capacitance
        resistance = output_resistance + 0.38 * columns * self.wire_resistance
        return (bits + 1) * 0.6931471805599453 * resistance * capacitance


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """Area of the two kinds of junction with their transistors."""

    track_area: Annotated[float, Unit("m2")]
    pillar_area: Annotated[float, Unit("m2")]

    @property
    def weight_area(self) -> float:
        """Return m^2 of one weight: two track junctions and two pillars."""
        return 2.0 * (self.track_area + self.pillar_area)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Integrator:
    """Virtual ground, gain capacitors, sample and hold of the column pairs of one output.

    The sigma pair is integrated on C/g for a gain g: less charge, so gain 1 is priced.
    """

    energy: Annotated[float, Unit("J")]
    area: Annotated[float, Unit("m2")]
    per_output: int
    bias_current: Annotated[float, Unit("A")]
    capacitance: Annotated[float, Unit("F")]
    swing: Annotated[float, Unit("V")]
    hold_energy: Annotated[float, Unit("J")]
    hold_area: Annotated[float, Unit("m2")]
    hold_time: Annotated[float, Unit("s")]

    def output_energy(self, supply: float, open_time: float) -> float:
        """Return J per integrated output, E = n (e + C V_swing V_DD + I V_DD t)."""
        charge = self.capacitance * self.swing + self.bias_current * open_time
        return self.per_output * (self.energy + charge * supply)

    def output_area(self, capacitor_density: float) -> float:
        """Return m^2 per output: amplifiers, capacitor banks, sample and hold."""
        each = self.area + self.capacitance / capacitor_density + self.hold_area
        return self.per_output * each


@dataclasses.dataclass(frozen=True, kw_only=True)
class Digital:
    """Arithmetic behind the converters."""

    register_bit: Annotated[float, Unit("J")]
    register_bit_area: Annotated[float, Unit("m2")]
    word_bits: int
    shift_add: Annotated[float, Unit("J")]
    shift_add_area: Annotated[float, Unit("m2")]
    add: Annotated[float, Unit("J")]
    requantise: Annotated[float, Unit("J")]
    requantise_area: Annotated[float, Unit("m2")]
    activation: Annotated[float, Unit("J")]
    activation_area: Annotated[float, Unit("m2")]
    delay: Annotated[float, Unit("s")]
    statistic: Annotated[float, Unit("J")]

    @property
    def register(self) -> float:
        """Return J to write one word."""
        return self.word_bits * self.register_bit

    @property
    def converter_area(self) -> float:
        """Return m^2 of the logic that follows one converter."""
        word = self.word_bits * self.register_bit_area
        return self.shift_add_area + self.requantise_area + self.activation_area + word


@dataclasses.dataclass(frozen=True, kw_only=True)
class Buffer:
    """SRAM for the activations: one 8 KB bank per layer."""

    read_per_byte: Annotated[float, Unit("J")]
    write_per_byte: Annotated[float, Unit("J")]
    area: Annotated[float, Unit("m2")]

    def energy(self, bits_read: float, bits_written: float) -> float:
        """Return J for that traffic."""
        return (bits_read * self.read_per_byte + bits_written * self.write_per_byte) / 8.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Control:
    """Sequencing, leakage, white space, programming logic."""

    tile_read: Annotated[float, Unit("J")]
    leakage_density: Annotated[float, Unit("W/m2")]
    gated_fraction: float
    overhead: float
    write_pulse: Annotated[float, Unit("J")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """A digital accelerator's operations at 45 nm, and the factor to this table's node."""

    node_energy: float
    gaussian: Annotated[float, Unit("J")]
    scale: Annotated[float, Unit("J")]
    mac: Annotated[float, Unit("J")]
    weight_byte: Annotated[float, Unit("J")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComponentTable:
    """All parts of one technology; `provenance` is keyed by "component.constant"."""

    name: str
    adc: SarAdc
    survey_median: SurveyAdc
    survey_best: SurveyAdc
    driver: RowDriver
    supply: ReadSupply
    line: Line
    cell: Cell
    integrator: Integrator
    digital: Digital
    buffer: Buffer
    control: Control
    baseline: Baseline
    provenance: Mapping[str, Provenance]


_SIGNED = {"adc.area_slope"}  # every other constant is a cost and cannot be negative


def load_components(name: str = "28nm") -> ComponentTable:
    """Return a shipped component table.

    Raises:
        InputError: no such table, or a constant that is wrong or has no source.
    """
    return read_components(read_resource("components", name), name)


def read_components(content: Mapping[str, Any], name: str) -> ComponentTable:
    """Return the table that a parsed TOML file describes; `name` stands in error messages.

    Raises:
        InputError: a constant is missing, unknown, ill-typed, negative, or has no source.
    """
    where = f"Component table {name}"
    sections = {
        field: schema
        for field, schema in typing.get_type_hints(ComponentTable).items()
        if field not in ("name", "provenance")
    }
    for given in content:
        if given not in sections:
            raise InputError(
                f"{where}: `{given}` must be one of {', '.join(sections)}, but is not"
                f"{nearest(given, list(sections))}."
            )
    provenance: dict[str, Provenance] = {}
    parts: dict[str, Any] = {}
    for section, schema in sections.items():
        if section not in content:
            raise InputError(f"{where}: `{section}` must be given, but is missing.")
        values: dict[str, str | float] = {}
        for constant, entry in content[section].items():
            key = f"{section}.{constant}"
            origin = build(Provenance, entry, f"{where}, {key}")
            if not origin.source.strip():
                raise InputError(f"{where}: `{key}.source` must name a source, but is empty.")
            provenance[key], values[constant] = origin, entry["value"]
        parts[section] = build(schema, values, f"{where}, {section}")
        _refuse_negative(parts[section], section, where)
    return ComponentTable(name=name, provenance=provenance, **parts)


def _refuse_negative(part: Any, section: str, where: str) -> None:
    for field in dataclasses.fields(part):
        key, value = f"{section}.{field.name}", getattr(part, field.name)
        if value < 0 and key not in _SIGNED:
            raise InputError(f"{where}: `{key}` must not be negative, but is {value}.")
