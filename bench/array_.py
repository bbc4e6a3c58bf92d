"""A dense layer on tiles, in units of a float32 matmul of its shape, and LeNet-5 on a chip.

The matmul is 256 images × 784 rows × 256 outputs on one thread; all turns alternate in one process.

| figure | what |
|---|---|
| `ideal` | products of 7 tiles of 112 rows, summed |
| `dac_adc` | the same between converters |
| `normals` | the normal numbers of one read: one for each output of each tile |
| `gaussian` | a read of one array of all rows: two products, normal numbers, converters |
| `gaussian_tiles` | the same of 7 tiles, each with its own noise and converters |
| `chip` | a read of the reference preset: wires and read noise too |
| `chip_held` | a read of the preset that draws the cells once for all images |
| `correlated` | a read of the preset without a pause, after others of the same images |
| `correlated_changing` | eight without a pause for each of 32 rows of eight images |
| `correlated_exact` | the same from a state for every cell: 8 images × 784 rows × 256 outputs |
| `brute_force` | every cell drawn for every image, over a plain form of the same: 8 images |
| `wires128` | 32 images × 128 rows × 128 pairs behind wires, over a matmul of that shape |
| `wires_build_s` | seconds to solve 128 × 128 cells; `..256` 256 physical columns |
| `lenet_per_read_s` | 10,000 images × 100 reads on all cores, scaled from 500 images |
| `lenet_frozen_s` | the same with draws that are held; both on tiles with converters |
| `lenet_chip_..._s` | the same of the preset: wires and read noise too |

Weights are untrained and inputs uniform: only shapes matter. Arithmetic sets `ideal`; passes over
memory, four for converters, lie on top of it. A read cannot take less than two of the products and
`normals`, which are bound by the generator's words and by a logarithm, a root, a sine and a cosine.
"""

import os
from collections.abc import Callable
from dataclasses import replace

import torch
from _array_wires import build_seconds, products
from _measure import interleaved, report

from bayespin.array import crossbar
from bayespin.array.hold import Hold
from bayespin.array.reads import ReadSchedule, exact_reads
from bayespin.cell.interface import ProgrammedCells
from bayespin.chip.accelerator import Accelerator
from bayespin.chip.placement import Devices
from bayespin.network.architectures import lenet5
from bayespin.network.models import Network
from bayespin.network.prediction import Execution, predict
from bayespin.nn.correlated import CorrelatedReads
from bayespin.nn.estimators import Sampling, local_reparameterised, reparameterised
from bayespin.nn.hardware import HardwareLayer
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Float, Tensor

IMAGES, ROWS, OUTPUTS = 256, 784, 256
BRUTE = 8
"""Images of which every cell is drawn."""
ROW = 8
"""Reads that remember each other."""
LENET_IMAGES, LENET_READS = 500, 100
LENET_SCALE = 10_000 * 100 / (LENET_IMAGES * LENET_READS)
KEY = Key.root(0)
CHIP = replace(Accelerator.from_preset(), hold=Hold(energy=0.0, time=0.0))
PLAIN = replace(CHIP, layout=replace(CHIP.layout, wires=None))
"""The same tiles and converters, without wires."""
ARRAY = replace(PLAIN, layout=replace(PLAIN.layout, rows=ROWS, outputs=OUTPUTS))
"""One tile for all."""

Tasks = dict[str, Callable[[], object]]


def dense(x: Float[Tensor, "images rows"], chip: Accelerator, *, ideal: bool) -> HardwareLayer:
    """Return a calibrated layer, of ideal cells or of those of the chip."""
    network = Network({"dense": MeanFieldLayer(Dense(ROWS, OUTPUTS), KEY.child("layer"))})
    twin = chip.deploy(network, x, KEY.child("chip"), "ideal" if ideal else "spintronic")
    layer = twin.network.stages["dense"]
    assert isinstance(layer, HardwareLayer)
    return layer


def reads(x: Float[Tensor, "images rows"]) -> Tasks:
    """Return a matmul and reads of layers of its shape."""
    weight = torch.rand((OUTPUTS, ROWS), generator=KEY.child("weight").generator())
    plain, chip = dense(x, PLAIN, ideal=True), dense(x, CHIP, ideal=False)
    array = dense(x, ARRAY, ideal=True)
    noise = KeyedNoise.from_key(KEY.child("noise"))
    ranges, each = plain.tiling.per_output(plain.adc_range), x.new_empty(plain.adc_range.shape)
    each = each[:, None].expand(-1, IMAGES, -1)

    schedule = ReadSchedule(window=CHIP.cell.read.window, gap=0.0)
    remembering, rows = CorrelatedReads(within=schedule), x.view(-1, ROW, ROWS)
    repeated = CorrelatedReads(within=schedule).reader(chip, x)

    def converted() -> Tensor:
        y = plain.tiling.apply(plain.dac.codes(x), plain.mean)
        return plain.adc.convert_(y, ranges).sum(0)

    return {
        "matmul": lambda: x @ weight.T,
        "ideal": lambda: plain.tiling.apply(x, plain.mean).sum(0),
        "dac_adc": converted,
        "normals": lambda: noise.normal(each),
        "gaussian": lambda: array(x, noise, local_reparameterised),
        "gaussian_tiles": lambda: plain(x, noise, local_reparameterised),
        "chip": lambda: chip(x, noise, local_reparameterised),
        "chip_held": lambda: chip(x, noise, reparameterised),
        "correlated": lambda: repeated(noise),
        "correlated_changing": lambda: chip(rows, noise, remembering),
    }


def brute(x: Float[Tensor, "images rows"]) -> Tasks:
    """Return reads that draw every cell of every image: the twin of the tests, and a plain form."""
    generator = KEY.child("cells").generator()
    mean = torch.randn((ROWS, OUTPUTS), generator=generator) * CHIP.cell.full_scale / 3
    cells = ProgrammedCells.differential(mean, 0.1 * mean.abs(), CHIP.cell.output_conductance)
    point = crossbar.ReadPoint(read=CHIP.cell.read, temperature=300.0, scale=1.0)
    tiled = crossbar.tile_cells(cells, PLAIN.layout.grid(ROWS, OUTPUTS), point)
    steps = len(tiled.code_noise) - 1
    codes, drive, sigma = (x * steps).round(), x[:, None], tiled.variance.sqrt()
    tiled = replace(tiled, code_noise=tiled.code_noise.float())
    noise = KeyedNoise.from_key(KEY.child("brute"))
    weight = mean.expand(BRUTE, -1, -1)
    return {
        "plain_cells": lambda: torch.bmm(
            drive, torch.addcmul(mean, sigma, torch.randn(weight.shape, generator=generator))
        ),
        "brute_force": lambda: crossbar.brute_force(codes, tiled, noise),
    }


def remembered(x: Float[Tensor, "images rows"]) -> Tasks:
    """Return successive reads in which every cell of every image has a state of its own."""
    noise = KeyedNoise.from_key(KEY.child("remembered"))
    time = torch.logspace(-9.3, -7.9, ROWS * OUTPUTS).view(ROWS, OUTPUTS)
    schedule = ReadSchedule(window=CHIP.cell.read.window, gap=0.0)
    drives, spread = x.view(ROW, -1, ROWS), torch.ones(ROWS, OUTPUTS)
    weight = torch.rand((OUTPUTS, ROWS), generator=KEY.child("weight").generator())
    return {
        "one_matmul": lambda: x @ weight.T,
        "correlated_exact": lambda: exact_reads(drives, spread, time, schedule, noise),
    }


def lenet() -> Tasks:
    """Return predictions of a chip."""
    images = torch.rand((LENET_IMAGES, 1, 28, 28), generator=KEY.child("images").generator())
    execution = Execution(workers=os.cpu_count() or 1)

    def task(chip: Accelerator, devices: Devices, sampling: Sampling) -> Callable[[], object]:
        network = chip.deploy(lenet5(KEY), images[:200], KEY, devices).network
        return lambda: predict(network, images, sampling, LENET_READS, KEY, execution)

    return {
        "lenet_per_read_s": task(PLAIN, "ideal", Sampling.PER_READ),
        "lenet_frozen_s": task(PLAIN, "ideal", Sampling.FROZEN),
        "lenet_chip_per_read_s": task(CHIP, "spintronic", Sampling.PER_READ),
        "lenet_chip_frozen_s": task(CHIP, "spintronic", Sampling.FROZEN),
    }


def ratios(tasks: Tasks, to: str, rounds: int) -> dict[str, float]:
    """Return the time of each task over that of the one named, which is left out."""
    found = interleaved(tasks, rounds)
    return {name: seconds / found[to] for name, seconds in found.items() if name != to}


def main() -> None:
    """Time layers on one thread, LeNet on one per core."""
    torch.set_num_threads(1)
    x = torch.rand((IMAGES, ROWS), generator=KEY.child("x").generator())
    with torch.no_grad():
        values = {"matmul": 1.0, **ratios(reads(x), "matmul", 101)}
        values |= ratios(products(), "matmul", 1001)
        values |= ratios(remembered(x[: ROW * BRUTE]), "one_matmul", 3)
        values |= ratios(brute(x[:BRUTE]), "plain_cells", 11)
    seconds = {"wires_build_s": build_seconds(128), "wires_build_256_s": build_seconds(256)}
    seconds |= {name: s * LENET_SCALE for name, s in interleaved(lenet(), 3).items()}
    units = dict.fromkeys(values, "matmuls") | dict.fromkeys(seconds, "s")
    report("array", values | seconds, units | {"brute_force": "plain forms"}, "matmul")


if __name__ == "__main__":
    main()
