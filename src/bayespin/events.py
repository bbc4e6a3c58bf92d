"""What the hardware did: counts and joules, made by cells and arrays, priced by `cost`."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Events:
    """Counts of hardware actions; averages over images are allowed, hence floats.

    `+` adds field by field and `scaled(k)` multiplies, so the events of a network are the sum of
    those of its layers.
    """

    tile_reads: float = 0.0
    """Analog products of one tile."""
    row_drives: float = 0.0
    """Rows driven by a DAC, summed over tile reads; a row of code zero is not driven."""
    integrations: float = 0.0
    """Column currents integrated (μ pair and σ pair together: one per output)."""
    conversions: float = 0.0
    """ADC conversions."""
    accumulations: float = 0.0
    """Digital additions of partial sums and biases."""
    activations: float = 0.0
    """Digital activations and poolings."""
    buffer_bits_read: float = 0.0
    buffer_bits_written: float = 0.0
    cell_reads: float = 0.0
    """Cells seen by the reads; each gives one Gaussian sample."""
    array_energy: float = 0.0
    """Joules dissipated in the cells."""
    hold_energy: float = 0.0
    """Joules to draw cells once and hold them."""
    write_pulses: float = 0.0
    verify_reads: float = 0.0
    write_energy: float = 0.0
    """Joules of the programming pulses."""

    def __add__(self, other: "Events") -> "Events":
        """Return the sum, field by field."""
        return Events(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    def scaled(self, factor: float) -> "Events":
        """Return `factor` times these events."""
        return Events(**{f.name: getattr(self, f.name) * factor for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class TileShape:
    """Rows and logical outputs of one tile; an output is four physical columns."""

    rows: int
    outputs: int


@dataclass(frozen=True, kw_only=True)
class LayerActivity:
    """One layer on the chip: its tiles, and what they do for one image in one Monte-Carlo pass."""

    name: str
    tiles: tuple[TileShape, ...]
    positions: int
    """Reads of each tile per pass: the pixels of a feature map, one for a dense layer."""
    events: Events
