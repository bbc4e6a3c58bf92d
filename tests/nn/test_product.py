"""Linear maps against explicit sums, and the matrix that a crossbar would hold."""

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from bayespin.nn.product import Convolution, Dense
from bayespin.rng import Key

KEY = Key.root(0).child("product")


def normal(name: str, *shape: int) -> torch.Tensor:
    start = torch.empty(shape, dtype=torch.float64)
    return start.normal_(generator=KEY.child(name).generator())


convolutions = st.builds(
    Convolution,
    channels=st.integers(1, 3),
    outputs=st.integers(1, 4),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
)


def test_dense_is_a_sum_over_inputs():
    product = Dense(3, 2)
    x, weight = normal("x", 4, 3), normal("w", *product.weight_shape)
    y = product.apply(x, weight)
    for image in range(4):
        for output in range(2):
            by_hand = sum(float(x[image, i] * weight[output, i]) for i in range(3))
            assert abs(float(y[image, output]) - by_hand) < 1e-12


@given(product=convolutions)
def test_convolution_is_its_unrolled_matrix_on_every_window(product):
    """y at a position is the (outputs, rows) matrix times the window, rows in weight order."""
    x, weight = normal("x", 2, product.channels, 7, 6), normal("w", *product.weight_shape)
    y = product.apply(x, weight)
    windows = F.unfold(x, product.kernel, padding=product.padding, stride=product.stride)
    matrix = weight.flatten(1)
    assert matrix.shape == (product.outputs, product.rows)
    torch.testing.assert_close(y.flatten(2), matrix @ windows, rtol=1e-12, atol=1e-12)
    assert product.positions(y) == windows.shape[-1]


@given(product=convolutions)
def test_vector_per_output_lands_on_its_channel(product):
    x = torch.zeros(2, product.channels, 7, 6)
    vector = torch.arange(1.0, product.outputs + 1)
    y = product.apply(x, torch.zeros(product.weight_shape)) + product.per_output(vector)
    for channel in range(product.outputs):
        assert bool((y[:, channel] == channel + 1).all())


def test_vector_per_output_of_a_dense_layer():
    y = torch.zeros(3, 2) + Dense(5, 2).per_output(torch.tensor([1.0, 2.0]))
    assert y.tolist() == [[1.0, 2.0]] * 3


def test_stacked_weights_are_stacked_maps():
    """A layer cut into tiles is one map with k times the outputs; tiles stand one after another."""
    for product, x in (
        (Dense(4, 3), normal("x", 2, 4)),
        (Convolution(2, 3, 2), normal("x", 2, 2, 5, 5)),
    ):
        first, second = normal("a", *product.weight_shape), normal("b", *product.weight_shape)
        both = product.apply(x, torch.cat([first, second]))
        apart = torch.cat([product.apply(x, first), product.apply(x, second)], dim=1)
        torch.testing.assert_close(both, apart, rtol=1e-12, atol=1e-12)


def test_counts_of_lenet():
    conv1, conv2, dense = Convolution(1, 6, 5), Convolution(6, 16, 5), Dense(400, 120)
    assert [p.rows for p in (conv1, conv2, dense)] == [25, 150, 400]
    assert conv1.positions(conv1.apply(torch.zeros(1, 1, 32, 32), torch.zeros(6, 1, 5, 5))) == 784
    assert dense.positions(torch.zeros(7, 120)) == 1


@given(kernel=st.integers(1, 4), stride=st.integers(1, 5), channels=st.integers(1, 3))
def test_fresh_inputs_are_the_pixels_a_step_uncovers(kernel, stride, channels):
    product = Convolution(channels, 2, kernel, stride=stride)
    seen = {(row, column) for row in range(kernel) for column in range(kernel)}
    after = {(row, column + stride) for row, column in seen}
    assert product.fresh_inputs == channels * len(after - seen)
    assert Dense(9, 2).fresh_inputs == 9


def test_signs_have_one_entry_per_image_and_channel():
    x = normal("x", 3, 4, 5, 5)
    signs = Convolution(4, 2, 3).signs_like(x)
    assert (x * signs.fill_(-1)).equal(-x)
    assert signs.numel() == 3 * 4
    assert Dense(4, 2).signs_like(x[:, :, 0, 0]).shape == (3, 4)
