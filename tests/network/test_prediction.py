"""Monte-Carlo prediction: what it may depend on, and what it must not."""

from functools import partial

import pytest
import torch
from torch import nn

from bayespin.network.metrics import entropy
from bayespin.network.models import Network
from bayespin.network.prediction import IMAGE_BLOCK, Execution, predict, predict_reads
from bayespin.nn.estimators import Sampling, local_reparameterised, reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.numerics.quadrature import gauss_legendre
from bayespin.rng import Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples, variance_is

KEY = Key.root(0).child("prediction")
FIELDS = ("mean", "total", "aleatoric", "epistemic")


def network_of(layer=MeanFieldLayer) -> Network:
    network = Network(
        {
            "flatten": nn.Flatten(),
            "dense1": layer(Dense(6, 5), KEY.child("dense1")),
            "relu": nn.ReLU(),
            "dense2": layer(Dense(5, 3), KEY.child("dense2")),
        }
    )
    with torch.no_grad():
        for stage in network.random_layers().values():
            stage.mean.mul_(10.0)
            stage.spread.fill_(-0.5)
    return network


def images(count: int) -> torch.Tensor:
    return torch.empty(count, 1, 2, 3).normal_(generator=KEY.child("images").generator())


def same(a, b) -> bool:
    return all(getattr(a, field).equal(getattr(b, field)) for field in FIELDS)


@pytest.mark.parametrize("sampling", [Sampling.FROZEN, Sampling.PER_READ])
def test_the_key_makes_the_result(sampling):
    predicted = partial(predict, network_of(), images(10), sampling, 4)
    assert same(predicted(KEY.child("a")), predicted(KEY.child("a")))
    assert not predicted(KEY.child("a")).mean.equal(predicted(KEY.child("b")).mean)


@pytest.mark.parametrize("sampling", [Sampling.FROZEN, Sampling.PER_READ])
@pytest.mark.parametrize("blocks", [1, 2])
def test_split_on_a_boundary_equals_the_whole(sampling, blocks):
    network, x = network_of(), images(2 * IMAGE_BLOCK + 30)
    whole = predict(network, x, sampling, 3, KEY)
    cut = blocks * IMAGE_BLOCK
    first = predict(network, x[:cut], sampling, 3, KEY)
    second = predict(network, x[cut:], sampling, 3, KEY, Execution(first_block=blocks))
    for field in FIELDS:
        joined = torch.cat([getattr(first, field), getattr(second, field)])
        assert joined.equal(getattr(whole, field))


def test_blocks_read_independently():
    """Twice the same images, in two blocks: the same images, other noise."""
    x = images(IMAGE_BLOCK).repeat(2, 1, 1, 1)
    found = predict(network_of(), x, Sampling.PER_READ, 2, KEY).mean
    apart = (found[:IMAGE_BLOCK] - found[IMAGE_BLOCK:]).abs().amax(1)
    assert float(apart.min()) > 1e-4  # rounding is 1e-7


def test_frozen_weights_are_shared_by_all_blocks():
    x = images(IMAGE_BLOCK).repeat(2, 1, 1, 1)
    found = predict(network_of(), x, Sampling.FROZEN, 2, KEY).mean
    torch.testing.assert_close(found[:IMAGE_BLOCK], found[IMAGE_BLOCK:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("sampling", [Sampling.FROZEN, Sampling.PER_READ])
@pytest.mark.parametrize("workers", [2, 3])
def test_workers_change_nothing(sampling, workers):
    network, x = network_of(), images(3 * IMAGE_BLOCK)
    threads = torch.get_num_threads()
    alone = predict(network, x, sampling, 3, KEY)
    assert same(predict(network, x, sampling, 3, KEY, Execution(workers=workers)), alone)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("sampling", [Sampling.FROZEN, Sampling.PER_READ])
def test_reads_equal_plain_forward_passes_with_the_same_noise(sampling):
    """The moments of the first layer are computed once; that must not show."""
    network, x = network_of(), images(7)
    found = predict_reads(network, x, sampling, 3, KEY, block=4)
    frozen = sampling is Sampling.FROZEN
    estimator = reparameterised if frozen else local_reparameterised
    with torch.no_grad():
        for sample in range(3):
            path = ("read", sample) if frozen else ("read", sample, 4)
            noise = KeyedNoise.from_key(KEY.child(*path))
            plain = network(x, noise, estimator).softmax(-1)
            torch.testing.assert_close(found[sample], plain, rtol=0, atol=0)


def test_entropies_are_those_of_the_reads():
    network, x = network_of(), images(9)
    reads = predict_reads(network, x, Sampling.PER_READ, 5, KEY).double()
    found = predict(network, x, Sampling.PER_READ, 5, KEY)
    torch.testing.assert_close(found.mean, reads.mean(0))
    torch.testing.assert_close(found.total, entropy(found.mean))
    aleatoric = torch.stack([entropy(read) for read in reads]).mean(0)
    torch.testing.assert_close(found.aleatoric, aleatoric)
    torch.testing.assert_close(found.epistemic, found.total - found.aleatoric)
    assert float(found.epistemic.min()) > 0
    assert found.reads == 5


def test_a_deterministic_network_is_read_once():
    network, x = network_of(PointLayer), images(4)
    found = predict(network, x, Sampling.FROZEN, 50, KEY)
    noise = KeyedNoise.from_key(KEY)
    with torch.no_grad():
        exact = network(x, noise, reparameterised).softmax(-1).double()
    assert found.reads == 1
    assert found.mean.equal(exact)
    assert not bool(found.epistemic.any())


def test_both_samplings_average_to_the_integral_over_the_logits():
    """Two classes: p = 1/(1 + e^−d) with d Gaussian, so its mean and variance are integrals.

    Frozen passes are independent; images of one fresh pass are. A shift of the mean by 20 % of
    the scatter of one read, or of its variance by 30 %, is seen.
    """
    network = Network({"dense": MeanFieldLayer(Dense(4, 2), KEY.child("single"))})
    with torch.no_grad():
        network.stages["dense"].spread.fill_(0.0)
        x = torch.tensor([[1.0, -0.5, 0.3, 2.0]])
        mean, deviation = (m[0].double() for m in network.stages["dense"].moments(x))
    centre, spread = (mean[0] - mean[1]), deviation.norm()
    law = gauss_legendre(
        lambda d: -(((d - centre) / spread) ** 2) / 2, centre - 9 * spread, centre + 9 * spread
    )
    exact = float(law.expectation(torch.sigmoid))
    scatter = float(law.expectation(lambda d: torch.sigmoid(d).square())) - exact**2
    count = required_samples(1.0, 0.2)
    frozen = predict_reads(network, x, Sampling.FROZEN, count, KEY)[:, 0, 0]
    fresh = predict_reads(network, x.expand(count, -1), Sampling.PER_READ, 1, KEY)[0, :, 0]
    for samples in (frozen, fresh):
        mean_is(samples.double(), exact)
        variance_is(samples.double(), scatter)


@pytest.mark.parametrize("reads", [0, -1])
def test_no_reads_are_refused(reads):
    with pytest.raises(ValueError, match="`reads` must be at least 1"):
        predict(network_of(), images(2), Sampling.PER_READ, reads, KEY)


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="`workers` must be at least 1"):
        predict(network_of(), images(2), Sampling.PER_READ, 1, KEY, Execution(workers=0))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_images_that_are_not_finite_are_refused(value):
    x = images(2)
    x[1, 0, 0, 0] = value
    with pytest.raises(ValueError, match="`images` must be finite"):
        predict(network_of(), x, Sampling.PER_READ, 1, KEY)


def test_progress_counts_blocks():
    seen = []
    execution = Execution(progress=lambda done, total: seen.append((done, total)))
    predict(network_of(), images(IMAGE_BLOCK + 1), Sampling.PER_READ, 1, KEY, execution)
    assert seen == [(1, 2), (2, 2)]


def test_interruption_ends_the_workers():
    """Ctrl-C in the middle of many blocks comes through at once."""

    def stop(done, total):
        raise KeyboardInterrupt

    execution = Execution(workers=2, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        predict(network_of(), images(5 * IMAGE_BLOCK), Sampling.PER_READ, 2, KEY, execution)
    assert len(predict(network_of(), images(2), Sampling.PER_READ, 1, KEY).mean) == 2


def test_prediction_leaves_no_gradients():
    network = network_of()
    assert not predict(network, images(2), Sampling.PER_READ, 2, KEY).mean.requires_grad
    assert all(p.grad is None for p in network.parameters())
