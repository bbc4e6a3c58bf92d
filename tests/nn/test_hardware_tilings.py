"""Any cut of a layer into tiles, under any coding of its inputs, is the untiled product.

Within what its converters round.
"""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bayespin.array.tiles import ArrayLayout
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import ProgrammedCells, WantedCells, ideal_cells
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.hardware import HardwareLayer, HardwareSpec
from bayespin.nn.product import Convolution, Dense, Product
from bayespin.rng import InjectedNoise, Key

KEY = Key.root(11)
CELL = BitCell.preset()
WEIGHT_MAX, INPUT_SCALE = 0.5, 1.3


DENSE = st.tuples(st.integers(1, 40), st.integers(1, 9))
MAPS = st.fixed_dictionaries(
    {
        "groups": st.integers(1, 3),
        "channels": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "size": st.integers(1, 3),
        "padding": st.integers(0, 1),
        "dilation": st.integers(1, 2),
    }
)


def product_of(shape) -> Product:
    if isinstance(shape, tuple):
        return Dense(*shape)
    inputs, outputs = (shape["groups"] * n for n in shape["channels"])
    rest = {name: shape[name] for name in ("padding", "groups", "dilation")}
    return Convolution(inputs, outputs, shape["size"], **rest)


def layer_of(product: Product, rows: int, outputs: int, weights, coding) -> HardwareLayer:
    wanted = WantedCells(mean=weights, sigma=torch.zeros_like(weights), read_noise=0.0)
    cells: ProgrammedCells = ideal_cells(wanted, CELL)
    layout = ArrayLayout(rows=rows, outputs=outputs, outputs_per_adc=2, coding=coding)
    spec = HardwareSpec(
        cell=CELL, layout=layout, weight_max=WEIGHT_MAX, input_scale=INPUT_SCALE,
        temperature=CELL.environment.use_temperature,
    )  # fmt: skip
    return HardwareLayer(product, torch.linspace(-1, 1, product.outputs), cells, spec)


def gap(
    product: Product, rows: int, outputs: int, coding="amplitude", shift: float = 0.0
) -> tuple[float, float]:
    """Largest distance of a read from the untiled product, and what rounding allows.

    `shift`, in steps, moves what the converters see: a planted fault.
    """
    draw = KEY.child(product.rows, product.outputs, rows, outputs).generator()
    weights = torch.rand((product.rows, product.outputs), generator=draw).double() * 2 - 1
    shape = (3, product.rows) if isinstance(product, Dense) else (3, product.channels, 6, 5)
    x = torch.rand(shape, generator=draw) * INPUT_SCALE
    layer = layer_of(product, rows, outputs, weights, coding)
    codes = layer.dac.codes(x).double() * (INPUT_SCALE / layer.dac.steps)
    matrix = (weights * WEIGHT_MAX).T.reshape(product.weight_shape)
    whole = product.apply(codes, matrix) + product.per_output(layer.bias.double())
    mean, deviation = layer.moments(x)
    layer.adc_range.fill_(1.001 * float(mean.abs().max()) + 1e-6)
    step = float(layer.adc_range[0, 0]) / layer.adc.half_steps
    silent = InjectedNoise([torch.zeros_like(mean)])
    if shift:
        found = layer.draw((mean + shift * step, deviation), silent)
    else:
        found = layer(x, silent, local_reparameterised)
    allowed = len(mean) * step / 2 + 1e-5 * (1 + float(whole.abs().max()))
    return float((found.double() - whole).abs().max()), allowed


@settings(max_examples=40)
@given(
    shape=DENSE | MAPS,
    rows=st.integers(1, 45),
    outputs=st.integers(1, 10),
    coding=st.sampled_from(["amplitude", "pulse-width", "bit-serial"]),
)
def test_any_tiling_is_the_untiled_product_within_half_a_step_of_each_converter(
    shape, rows, outputs, coding
):
    found, allowed = gap(product_of(shape), rows, outputs, coding)
    assert found <= allowed


def test_a_shift_of_every_converter_by_a_step_is_seen():
    found, allowed = gap(Convolution(4, 6, 3, groups=2), 7, 2, shift=1.0)
    assert found > allowed
