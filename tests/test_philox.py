"""The counter-based generator: published words, exact Box-Muller, an address for each number."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from bayespin import rng
from bayespin.rng import CounterNoise, Key, philox
from tests.statistical.check import ks_is, mean_is, required_samples

# kat_vectors of Random123 (Salmon et al. 2011, DOI 10.1145/2063384.2063405), philox4x32, 10 rounds:
# key, counter, words; the third takes its key and counter from the digits of pi.
KNOWN = [
    (0, (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    (2**64 - 1, (0xFFFFFFFF,) * 4, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        0x299F31D0A4093822,
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
WORDS = [0, 1, 2, 511, 2**30, 2**31 - 1, 2**31, 2**31 + 2**30, 2**32 - 257, 2**32 - 2, 2**32 - 1]


def like(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype)


@pytest.mark.parametrize("seed, counter, words", KNOWN)
def test_published_words(seed, counter, words):
    found = philox(seed, tuple(torch.tensor([c]) for c in counter))
    assert tuple(int(w) for w in found) == words


def test_counters_broadcast_and_words_stay_words():
    replica, step = torch.arange(5), torch.arange(3)[:, None]
    block = philox(7, (replica, step, torch.tensor(2), torch.tensor(0)))
    one = philox(7, tuple(torch.tensor(c) for c in (4, 1, 2, 0)))
    assert all(w.shape == (3, 5) and 0 <= int(w.min()) <= int(w.max()) < 2**32 for w in block)
    assert [int(w[1, 4]) for w in block] == [int(w) for w in one]


def test_normals_are_those_of_box_and_muller():
    """±√(−2 ln u)(cos πx, sin πx) in double precision, over corners and random words."""
    generator = np.random.default_rng(0)
    corners = np.array(list(itertools.product(WORDS, WORDS))).T
    first, second = np.concatenate((corners, generator.integers(2**32, size=(2, 20_000))), 1)
    uniform = np.float32(first) * 2.0**-32 + 2.0**-33  # what float32 keeps of the word
    angle = math.pi * ((second * 2 & 0xFFFFFFFF) / 2**32)
    sign = np.where(angle < math.pi / 2, 1, -1) * np.where(second >> 31, -1, 1)
    radius = np.sqrt(-2 * np.log(uniform.astype(np.float32).astype(float)))
    found = rng._normal_pair(torch.from_numpy(first), torch.from_numpy(second))
    for values, wave in zip(found, (sign * np.cos(angle), sign * np.sin(angle)), strict=True):
        assert values.dtype == torch.float32
        np.testing.assert_allclose(values.numpy(), radius * wave, atol=1e-6, rtol=0)


def test_largest_normal():
    found = rng._normal_pair(torch.tensor([0, 2**32 - 1]), torch.tensor([0, 0]))[0]
    assert found.tolist() == pytest.approx([math.sqrt(2 * 33 * math.log(2)), 0.0], abs=1e-6)


def pooled(noise):
    return torch.stack([noise(step) for step in range(3)])


def test_counter_noise_is_normal():
    """Kolmogorov-Smirnov sees √n D = 2.7: a quarter of a per cent of probability out of place."""
    noise = CounterNoise.from_key(Key.root(1).child("ks"), like(2, 3, 65_536))
    ks_is(pooled(noise).double(), stats.norm.cdf)


class StepForgotten:
    def __init__(self, noise):
        self.noise = noise

    def __call__(self, _step):
        return self.noise(0)


def neighbour_products(noise):
    """Products of numbers next to each other in step, point, component and replica."""
    x = pooled(noise)
    return torch.cat([(x.narrow(d, 0, 1) * x.narrow(d, 1, 1)).ravel() for d in range(x.dim())])


@pytest.mark.parametrize("planted", [lambda noise: noise, StepForgotten])
def test_neighbours_are_uncorrelated(planted):
    """Sees one of four kinds of neighbours that correlate by 0.2; a forgotten step by 1."""
    replicas = 2 * required_samples(1.0, 0.2 / 4) // 6
    noise = CounterNoise.from_key(Key.root(1).child("pairs"), like(2, 3, replicas))
    products = neighbour_products(planted(noise))
    if planted is StepForgotten:
        assert abs(float(products.mean())) * math.sqrt(products.numel()) > stats.norm.isf(5e-7)
    else:
        mean_is(products, 0.0)


def test_an_address_is_all_that_counts():
    key = Key.root(5)
    whole = CounterNoise.from_key(key, like(3, 3, 10))
    part = CounterNoise(key.seed(), like(2, 3, 4), first_replica=6, first_point=1)
    alone = CounterNoise(key.seed(), like(3, 1), first_replica=9, first_point=2)
    for step in (7, 0, 2**32 - 1):
        assert torch.equal(part(step), whole(step)[1:, :, 6:])
        assert torch.equal(alone(step), whole(step)[2, :, 9:])
    assert len({float(x) for x in pooled(whole).ravel()}) == 270
    assert not torch.equal(whole(0), CounterNoise.from_key(Key.root(6), whole.like)(0))


def test_both_dtypes_see_one_path():
    single, double = (CounterNoise(3, like(3, 4, dtype=d)) for d in (torch.float32, torch.float64))
    assert double(1).dtype == torch.float64
    assert torch.equal(single(1).double(), double(1))


def test_numbers_of_an_address_are_frozen():
    """A change here changes every result made with counters, and parts kernel and twin."""
    noise = CounterNoise.from_key(Key.root(0).child("counter"), like(3, 2))
    assert noise(4).ravel().tolist() == pytest.approx(
        [1.131767, -0.228261, -0.420029, 0.247532, 0.503654, -1.173701], abs=2e-6
    )


def test_addresses_out_of_range_are_refused():
    with pytest.raises(ValueError, match="`first_replica` must be from 0 to 4294967292"):
        CounterNoise(0, like(3, 4), first_replica=2**32 - 3)
    with pytest.raises(ValueError, match="`first_point` must be from 0 to 4294967294"):
        CounterNoise(0, like(2, 3, 4), first_point=-1)
    with pytest.raises(ValueError, match=r"`step` must be from 0 to 2\^32 - 1, but is 4294967296"):
        CounterNoise(0, like(3, 4))(2**32)
