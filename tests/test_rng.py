"""Keyed randomness: one path one stream, and nobody else's state touched."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bayespin.rng import InjectedNoise, Key, KeyedNoise
from tests.conftest import changes, global_state
from tests.statistical.check import ks_is, mean_is, required_samples

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
