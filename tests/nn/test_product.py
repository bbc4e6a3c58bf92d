"""Linear maps against explicit sums, and the matrix that a crossbar would hold."""

import pytest
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


sizes = st.fixed_dictionaries(
    {
        "channels": st.integers(1, 2),
        "outputs": st.integers(1, 3),
        "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "padding": st.tuples(st.integers(0, 2), st.integers(0, 2)),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
        "groups": st.integers(1, 3),
    }
)


def convolution(size: dict) -> Convolution:
    """Channels and outputs count those of a group."""
    groups = size["groups"]
    whole = {name: size[name] * groups for name in ("channels", "outputs")}
    return Convolution(**size | whole)


def test_dense_is_a_sum_over_inputs():
    product = Dense(3, 2)
    x, weight = normal("x", 4, 3), normal("w", *product.weight_shape)
    y = product.apply(x, weight)
    for image in range(4):
        for output in range(2):
            by_hand = sum(float(x[image, i] * weight[output, i]) for i in range(3))
            assert abs(float(y[image, output]) - by_hand) < 1e-12


@given(size=sizes)
def test_convolution_is_its_unrolled_matrix_on_every_window(size):
    """y at a position is the (outputs, rows) matrix of its group times the window."""
    product = convolution(size)
    x, weight = normal("x", 2, product.channels, 7, 6), normal("w", *product.weight_shape)
    y, groups = product.apply(x, weight), product.groups
    drives = product.unrolled(x).unflatten(2, (groups, product.rows))
    matrix = weight.flatten(1).unflatten(0, (groups, -1))
    found = torch.einsum("npgr,gor->ngop", drives, matrix).flatten(1, 2)
    torch.testing.assert_close(y.flatten(2), found, rtol=1e-12, atol=1e-12)
    assert product.positions(y) == drives.shape[1]
    windows = F.unfold(
        x[:, : product.channels // groups], product.kernel, padding=product.padding,
        stride=product.stride, dilation=product.dilation,
    )  # fmt: skip
    torch.testing.assert_close(drives[:, :, 0], windows.mT, rtol=0, atol=0)


@given(size=sizes)
def test_vector_per_output_lands_on_its_channel(size):
    product = convolution(size)
    x = torch.zeros(2, product.channels, 7, 6)
    vector = torch.arange(1.0, product.outputs + 1)
    y = product.apply(x, torch.zeros(product.weight_shape)) + product.per_output(vector)
    for channel in range(product.outputs):
        assert bool((y[:, channel] == channel + 1).all())


@pytest.mark.parametrize(
    "change, words",
    [
        ({"axes": 4}, "`axes` must be 1, 2 or 3, but is 4"),
        ({"kernel": (3,)}, "`kernel` must be one number or 2, at least 1, but is"),
        ({"stride": 0}, "`stride` must be one number or 2, at least 1, but is 0"),
        ({"groups": 3}, "`channels` must be a positive multiple of `groups`, but is 4"),
    ],
)
def test_convolutions_that_cannot_be_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Convolution(**{"channels": 4, "outputs": 6, "kernel": 3} | change)


def test_tokens_are_positions_of_a_dense_layer():
    product, x, weight = Dense(4, 3), normal("x", 2, 5, 4), normal("w", 3, 4)
    y = product.apply(x, weight)
    assert (product.positions(y), product.positions(y[:, 0])) == (5, 1)
    torch.testing.assert_close(product.unrolled(x) @ weight.T, y, rtol=1e-12, atol=1e-12)


def test_vector_per_output_of_a_dense_layer():
    y = torch.zeros(3, 2) + Dense(5, 2).per_output(torch.tensor([1.0, 2.0]))
    assert y.tolist() == [[1.0, 2.0]] * 3


def test_stacked_weights_are_stacked_maps():
    """A layer cut into tiles is one map with k times the outputs; tiles stand one after another."""
    for product, x in (
        (Dense(4, 3), normal("x", 2, 4)),
        (Convolution(2, 3, 2), normal("x", 2, 2, 5, 5)),
        (Convolution(4, 6, 2, groups=2), normal("x", 2, 4, 5, 5)),
        (Convolution(2, 3, 3, axes=1), normal("x", 2, 2, 9)),
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
