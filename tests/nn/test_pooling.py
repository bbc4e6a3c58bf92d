"""The fast pooling against torch's."""

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from bayespin.nn.pooling import MaxPool2
from bayespin.rng import Key


@given(
    lead=st.lists(st.integers(1, 3), min_size=2, max_size=2),
    half=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    seed=st.integers(0, 1000),
)
def test_equals_torch_to_the_bit_with_and_without_gradients(lead, half, seed):
    x = torch.empty(*lead, 2 * half[0], 2 * half[1]).normal_(generator=Key.root(seed).generator())
    expected = F.max_pool2d(x, 2)
    with torch.no_grad():
        assert MaxPool2()(x).equal(expected)
    assert MaxPool2()(x).equal(expected)


def test_without_gradients_infinities_and_ties_pool_alike():
    rows = [[-torch.inf, -torch.inf, 1.0, 1.0], [-torch.inf, 0.0, 1.0, torch.inf]]
    x = torch.tensor([[rows]])
    with torch.no_grad():
        assert MaxPool2()(x).tolist() == [[[[0.0, torch.inf]]]]


def test_gradient_goes_to_the_largest():
    x = torch.tensor([[[[1.0, 4.0], [3.0, 2.0]]]], requires_grad=True)
    MaxPool2()(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[[[0.0, 1.0], [0.0, 0.0]]]]
