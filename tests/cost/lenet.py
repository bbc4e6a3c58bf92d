"""LeNet-5 on tiles of at most 128 rows, its events counted by hand, for the tests of the bill."""

from bayespin.cost.account import Hardware, Schedule
from bayespin.cost.baselines import LayerWork
from bayespin.events import Events, LayerActivity, TileShape

READS = 100
HARDWARE = Hardware(output_conductance=56e-6)
SCHEDULE = Schedule(read_window=10e-9, sampling_period=42.6e-9, classes=10)

# name, positions, inputs, outputs, row tiles, values written to the next buffer (after pooling)
LAYERS = (
    ("conv1", 784, 25, 6, 1, 1176),
    ("conv2", 100, 150, 16, 2, 400),
    ("fc1", 1, 400, 120, 4, 120),
    ("fc2", 1, 120, 84, 1, 84),
    ("fc3", 1, 84, 10, 1, 10),
)
MACS = 416_520


def activity() -> list[LayerActivity]:
    """Return one image and pass: all rows driven, five new pixels of 25 per window, 0.3 nJ."""
    layers = []
    for name, positions, inputs, outputs, row_tiles, written in LAYERS:
        macs = positions * inputs * outputs
        converted = positions * outputs * row_tiles
        fetched = inputs * positions // (5 if positions > 1 else 1)
        events = Events(
            tile_reads=positions * row_tiles,
            row_drives=positions * inputs,
            integrations=converted,
            conversions=converted,
            accumulations=converted,
            activations=positions * outputs,
            buffer_bits_read=8 * fetched,
            buffer_bits_written=8 * written,
            cell_reads=macs,
            array_energy=0.3e-9 * macs / MACS,
        )
        tiles = (TileShape(rows=inputs // row_tiles, outputs=outputs),) * row_tiles
        layers.append(LayerActivity(name=name, tiles=tiles, positions=positions, events=events))
    return layers


def work() -> list[LayerWork]:
    """Return the same network as operations of a digital accelerator."""
    return [
        LayerWork(
            name=name, macs=positions * inputs * outputs, weights=inputs * outputs,
            outputs=positions * outputs,
        )
        for name, positions, inputs, outputs, _, _ in LAYERS
    ]  # fmt: skip
