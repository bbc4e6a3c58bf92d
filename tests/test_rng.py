"""Keyed randomness: one path one stream, and nobody else's state touched."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayespin.rng import LARGE, InjectedNoise, Key, KeyedNoise, fill_normal_
from tests.conftest import changes, global_state
from tests.statistical.check import ks_is, mean_is, proportion_is, required_samples, variance_is

parts = st.one_of(st.integers(0, 2**32 - 1), st.text(max_size=8))
steps = st.lists(st.lists(parts, min_size=1, max_size=3), max_size=3)


def follow(seed, path):
    key = Key.root(seed)
    for step in path:
        key = key.child(*step)
    return key


def draw(key, count):
    return KeyedNoise.from_key(key).normal(torch.empty(count))


@given(seed=st.integers(0, 2**32 - 1), path=steps)
def test_same_path_same_numbers(seed, path):
    assert torch.equal(draw(follow(seed, path), 8), draw(follow(seed, path), 8))


@given(seeds=st.tuples(*[st.integers(0, 2**32 - 1)] * 2), paths=st.tuples(steps, steps))
def test_different_paths_have_different_seeds(seeds, paths):
    one, other = (follow(seed, path) for seed, path in zip(seeds, paths, strict=True))
    assert (one.seed() == other.seed()) == (one.path == other.path)


def test_paths_that_are_easily_confused():
    root = Key.root(5)
    keys = [
        root, Key.root(6), root.child(0), root.child(1), root.child("ab"), root.child("a", "b"),
        root.child("a").child("b"), root.child("a", "b", 0), root.child("ba"), root.child("1"),
        root.child(1, 2), root.child(12), root.child(""),
    ]  # fmt: skip
    assert len({key.seed() for key in keys}) == len(keys)


def test_streams_of_a_path_are_frozen():
    """A change here changes every result of every study: it must be deliberate."""
    key = Key.root(0).child("train", 3)
    assert key.seed() == 6079250809283673546
    assert draw(key, 3).tolist() == pytest.approx([0.093859, -1.189324, -0.876663], abs=1e-6)


def test_streams_are_normal():
    pooled = torch.cat(
        [draw(Key.root(seed).child("ks", i), 2000) for seed in (0, 1) for i in (0, 1)]
    )
    ks_is(pooled, stats.norm.cdf)


def test_streams_are_independent():
    """Mean product over all pairs of 8 streams; sees one pair of 28 that correlates by 0.5."""
    root = Key.root(3)
    keys = [
        root, Key.root(4), root.child(0), root.child(1), root.child("a"), root.child("b"),
        root.child("a").child(0), root.child(0, 0),
    ]  # fmt: skip
    pairs = len(keys) * (len(keys) - 1) // 2
    count = -(-required_samples(1.0, 0.5 / pairs) // pairs)
    streams = [draw(key, count) for key in keys]
    products = [one * other for one, other in itertools.combinations(streams, 2)]
    # Products of pairs that share a stream are uncorrelated, which is all the mean's error needs.
    mean_is(torch.stack(products), 0.0)


@pytest.mark.parametrize("seed", [-1, 2**32, 2**63])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ValueError, match=f"from 0 to 2\\^32 - 1, but holds {seed}"):
        Key.root(seed)
    with pytest.raises(ValueError, match=f"but holds {seed}"):
        Key.root(0).child("layer", seed)


def test_why_large_parts_are_refused():
    """The hash sees 32-bit words: a large part would name another path's stream."""
    assert Key((5 + 2**32,)).seed() == Key((5, 1)).seed() == Key.root(5).child(0).seed()


def test_nothing_global_is_touched():
    before = global_state()
    noise = KeyedNoise.from_key(Key.root(0).child("layer", 3))
    noise.normal(torch.empty(10))
    torch.randperm(10, generator=Key.root(1).generator())
    assert changes(before, global_state()) == []
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    try:
        torch.rand(1)
        assert changes(before, global_state()) == ["torch random state"]
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_takes_shape_and_type_and_goes_on(dtype):
    like = torch.empty((3, 4), dtype=dtype)
    noise = KeyedNoise.from_key(Key.root(2))
    first, second = noise.normal(like), noise.normal(like)
    assert first.dtype == dtype
    assert first.shape == like.shape
    assert not torch.equal(first, second)


def test_injected_noise_is_given_back_in_order():
    draws = [torch.arange(3.0), torch.ones(2, 2)]
    noise = InjectedNoise(draws)
    assert torch.equal(noise.normal(torch.empty(3)), draws[0])
    with pytest.raises(ValueError, match=r"must have shape \(4,\), but is \(2, 2\)"):
        noise.normal(torch.empty(4))


class GivenWords:
    """Words from a list, in order."""

    def __init__(self, words):
        self.words = np.asarray(words, dtype=np.uint64)

    def random_raw(self, size):
        taken, self.words = self.words[:size], self.words[size:]
        return taken


@pytest.mark.parametrize(
    "dtype, integer, error",
    [(torch.float32, np.int32, 2e-6), (torch.float64, np.int64, 1e-15)],
)
def test_normal_numbers_of_given_words(dtype, integer, error):
    """Box and Muller's formula, extreme words included: no infinity, no NaN."""
    bits = np.iinfo(integer).bits
    ends = [0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), 2 ** (bits - 2), 12345, -(2**20)]
    pairs = np.array(list(itertools.product(ends, ends)), dtype=integer).T.copy()
    out = torch.full((pairs.size - 1,), torch.nan, dtype=dtype)  # odd: the last number is dropped
    source = GivenWords(pairs.ravel().view(np.uint64))
    fill_normal_(out, source)
    assert len(source.words) == 0
    u, angle = torch.from_numpy(pairs).to(dtype).double().numpy() / 2.0 ** (bits - 1)
    radius = np.sqrt(-np.log(u**2 + 2.0 ** (-2 * bits - 2)))
    expected = [radius * np.sin(np.pi * angle), radius * np.cos(np.pi * angle)]
    np.testing.assert_allclose(out, np.concatenate(expected)[:-1], rtol=error, atol=error)


LARGE_CALL = torch.empty(2, LARGE)


def test_large_calls_are_of_a_stream_of_their_own():
    """The same bits for the same key; neither stream is moved by calls of the other."""
    key = Key.root(9).child("large")
    noise, again = KeyedNoise.from_key(key), KeyedNoise.from_key(key)
    small, first, second = noise.normal(torch.empty(5)), *(noise.normal(LARGE_CALL) for _ in "ab")
    assert torch.equal(again.normal(LARGE_CALL), first)
    assert torch.equal(again.normal(torch.empty(5)), small)
    assert torch.equal(again.normal(LARGE_CALL), second)
    other = KeyedNoise.from_key(Key.root(9).child("other")).normal(LARGE_CALL)
    assert not torch.isin(other[0, :99], first).all()
    # One bit generator seeded alike gives these words, whatever this module does.
    words = np.random.SFC64(np.random.SeedSequence(list(key.child("words").path)))
    expected = torch.empty(LARGE_CALL.numel())
    fill_normal_(expected, words)
    assert torch.equal(first.flatten(), expected)


def test_memory_is_filled_in_its_own_order():
    """Permuted axes take the same numbers, and more threads too."""
    like = torch.empty(3, LARGE, dtype=torch.float64)
    straight = KeyedNoise.from_key(Key.root(4)).normal(like)
    turned = KeyedNoise.from_key(Key.root(4)).normal(like.reshape(LARGE, 3).T)
    assert turned.stride() == (1, 3)
    assert torch.equal(turned.T.reshape(3, LARGE), straight)
    assert KeyedNoise.from_key(Key.root(4)).normal(like.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_calls_are_normal(dtype):
    """Moments, tails and pairs of a million numbers.

    With power 0.999 they see a mean of 0.0081, a variance 1.2 % off, within pairs and between
    neighbours a correlation of 0.012 of the numbers and a covariance of 0.024 of their squares,
    and beyond 4 σ, where 66 are expected, 2.3 times as many or a quarter.
    """
    numbers = KeyedNoise.from_key(Key.root(7)).normal(torch.empty(4, 2**18, dtype=dtype))
    assert required_samples(1.0, 0.0081) <= numbers.numel()
    mean_is(numbers, 0.0)
    variance_is(numbers, 1.0)
    for one, other in (
        (numbers[:, : 2**17], numbers[:, 2**17 :]),
        (numbers[:, 1:], numbers[:, :-1]),
    ):
        mean_is(one * other, 0.0)
        mean_is((one.square() - 1) * (other.square() - 1), 0.0)
    ks_is(numbers[:, ::32], stats.norm.cdf)
    for edge in (2.0, 4.0):
        beyond = int((numbers.abs() > edge).sum())
        proportion_is(beyond, numbers.numel(), 2 * stats.norm.sf(edge))
