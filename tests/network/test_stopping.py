"""Stopping: evidence against its definition, errors against the stated, savings on a network."""

import math
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from torch import nn

from bayespin.network.models import Network
from bayespin.network.prediction import IMAGE_BLOCK, Execution, predict, predict_reads
from bayespin.network.stopping import (
    STAKES,
    Bets,
    Evidence,
    NormalMixture,
    StoppingRule,
    predict_until,
    stop_reads,
)
from bayespin.nn.estimators import Sampling
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key
from tests.statistical.check import bound_catches, proportion_at_most

KEY = Key.root(0).child("stopping")
ERROR = 0.05
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


def votes(probabilities: list[float], reads: int, images: int, word: str) -> torch.Tensor:
    """Reads that are sure of one class each: of all reads with these means, the widest."""
    law = torch.tensor(probabilities, dtype=torch.float64)
    drawn = torch.multinomial(
        law, reads * images, replacement=True, generator=KEY.child(word).generator()
    )
    return nn.functional.one_hot(drawn, len(law)).double().view(reads, images, -1)


def wrong_stops(reads: torch.Tensor, rule: StoppingRule) -> int:
    """Images decided for another class than 0."""
    found = stop_reads(reads, rule)
    return int((found.decided & (found.choice != 0)).sum())


def capital(evidence: Evidence, path: tuple[float, ...]) -> float:
    """exp(evidence) for class 0 over class 1, of reads that differ by `path`."""
    lead = torch.tensor(path, dtype=torch.float64)
    leads = torch.stack([lead, -lead]).T[:, None, None, :].expand(-1, 1, 2, 2)
    terms = evidence.terms(leads)
    return math.exp(float(evidence.total(terms, len(path))[0, 0, 0]))


@pytest.mark.parametrize("stakes", [STAKES, (0.5,), (1.0, 0.125)])
@pytest.mark.parametrize("law", [{1.0: 0.5, -1.0: 0.5}, {0.6: 0.25, 0.0: 0.25, -0.3: 0.5}])
def test_bets_on_fair_reads_have_a_mean_capital_of_one(stakes, law):
    """Summed over all paths of six reads whose mean is 0: no gambler gains."""
    mean = 0.0
    for path in product(law, repeat=6):
        mean += math.prod(law[d] for d in path) * capital(Bets(stakes), path)
    assert mean == pytest.approx(1, abs=1e-12)


def test_capital_is_that_of_the_bets_by_hand():
    """Stakes 1 and 1/2, weights 2/3 and 1/3; reads lead by 1/2, then by −1/4."""
    exact = 2 / 3 * 1.5 * 0.75 + 1 / 3 * 1.25 * 0.875
    assert capital(Bets((1.0, 0.5)), (0.5, -0.25)) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("scale", [0.25, 1.0])
@pytest.mark.parametrize("path", [(0.5, 0.1, 0.3), (-0.5, 0.1, -0.1, -0.3), (-0.1, 0.2, -0.1)])
def test_normal_mixture_is_its_integral(path, scale):
    """∫ 2 N(θ; 0, ρ²) e^(θ S − n θ²/2) dθ over θ > 0, with S = Σ d / s."""
    d = torch.tensor(path, dtype=torch.float64)
    total, n = float(d.sum() / d.std()), len(d)
    law = stats.halfnorm(scale=scale)
    exact, _ = quad(lambda t: law.pdf(t) * math.exp(total * t - n * t**2 / 2), 0, 12)
    assert capital(NormalMixture(scale), path) == pytest.approx(exact, rel=1e-7)


def test_certain_reads_stop_where_the_capital_says():
    """Ten classes, each read sure: Σ w (1 + λ)^n first reaches 9 / error at read n."""
    weights = [stake / sum(STAKES) for stake in STAKES]
    for error in (0.3, 0.05, 0.001):
        n = 1
        while sum(w * (1 + s) ** n for w, s in zip(weights, STAKES, strict=True)) < 9 / error:
            n += 1
        reads = torch.zeros(60, 1, 10)
        reads[..., 3] = 1
        found = stop_reads(reads, StoppingRule(error=error, first=1, step=1, most=60))
        assert (int(found.reads), int(found.choice), bool(found.decided)) == (n, 3, True)


def test_an_image_stops_with_its_reads_and_not_with_those_of_others():
    reads = torch.zeros(40, 3, 2)
    reads[:, 0, 0] = reads[:, 2, 1] = 1
    reads[0::2, 1, 0] = reads[1::2, 1, 1] = 1
    rule = StoppingRule(first=1, step=3, most=40)
    found = stop_reads(reads, rule)
    alone = [stop_reads(reads[:, [i]], rule) for i in range(3)]
    assert found.reads.tolist() == [int(a.reads) for a in alone]
    assert found.decided.tolist() == [True, False, True]
    assert int(found.reads[1]) == 40
    for i, n in enumerate(found.reads.tolist()):
        torch.testing.assert_close(found.predictive.mean[i], reads[:n, i].double().mean(0))
    assert found.predictive.reads == 40


def bets_err_as_stated():
    """Two classes at 50.1 % and 49.9 %, looked at after every read: where errors are most.

    Against an error of 5 %, 8 % would be refused with a probability above 99.9 %.
    """
    count = 5000
    assert bound_catches(0.08, count, ERROR) > 0.999
    reads = votes([0.501, 0.499], 300, count, "two")
    rule = StoppingRule(error=ERROR, first=1, step=1, most=300)
    proportion_at_most(wrong_stops(reads, rule), count, ERROR)


def normal_mixtures_err_as_stated():
    """As for bets, from 30 reads on; three classes of which two lead."""
    count = 5000
    reads = votes([0.451, 0.449, 0.1], 300, count, "three")
    rule = StoppingRule(error=ERROR, evidence=NormalMixture(), first=30, step=1, most=300)
    proportion_at_most(wrong_stops(reads, rule), count, ERROR)


def test_rare_reads_that_carry_the_mean_fool_the_normal_mixture_and_not_the_bets():
    """Class 0 leads by 0.001 on average and trails in nine of ten reads, as the page warns."""
    count = 1000
    rare = torch.rand(300, count, generator=KEY.child("rare").generator()) < 0.101
    first = torch.where(rare, 0.95, 0.45).double()
    reads = torch.stack([first, 1 - first], -1)
    rule = StoppingRule(error=ERROR, first=10, step=1, most=300)
    proportion_at_most(wrong_stops(reads, rule), count, ERROR)
    assert wrong_stops(reads, replace(rule, evidence=NormalMixture())) > 0.3 * count


def test_the_union_is_over_the_classes_that_could_beat_the_right_one():
    rule = StoppingRule(error=0.01)
    assert rule.threshold(10) == pytest.approx(math.log(900))
    evidence = torch.full((1, 3, 3), math.log(2 / 0.01) + 1e-9).double()
    mean = torch.tensor([[0.2, 0.5, 0.3]]).double()
    assert bool(rule.decided(mean, evidence))
    evidence[0, 1, 2] -= 1e-6
    assert not bool(rule.decided(mean, evidence))
    evidence[0, 1, 2] += 1e-6
    evidence[0, 0], evidence[0, 2], evidence[0, 1, 1] = -9.0, -9.0, -9.0
    assert bool(rule.decided(mean, evidence))  # what others have against each other is no matter


RULES = [
    StoppingRule(error=0.1, first=5, step=5, most=300),
    StoppingRule(error=0.1, evidence=NormalMixture(), first=10, step=5, most=300),
]


@pytest.fixture(scope="module")
def long_run() -> torch.Tensor:
    """Means of 2,000 reads of 250 images."""
    x = images(2 * IMAGE_BLOCK)
    return predict(network_of(), x, Sampling.PER_READ, 2000, KEY.child("truth")).mean


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: type(rule.evidence).__name__)
def test_choices_of_a_network_are_those_of_two_thousand_reads(long_run, rule):
    """Few stop for another class, and reads are spent where two classes are close."""
    x = images(len(long_run))
    found = predict_until(network_of(), x, Sampling.PER_READ, rule, KEY.child("found"))
    wrong = found.decided & (found.choice != long_run.argmax(1))
    proportion_at_most(int(wrong.sum()), len(x), rule.error)
    assert float(found.decided.double().mean()) > 0.8
    top = long_run.topk(2).values
    close, reads = top[:, 0] - top[:, 1] < 0.1, found.reads.double()
    assert float(reads[close].mean()) > 4 * float(reads[~close].mean())


def same(a, b) -> bool:
    return (
        a.reads.equal(b.reads)
        and a.decided.equal(b.decided)
        and all(getattr(a.predictive, f).equal(getattr(b.predictive, f)) for f in FIELDS)
    )


QUICK = StoppingRule(first=3, step=4, most=23)


@pytest.mark.parametrize("sampling", [Sampling.FROZEN, Sampling.PER_READ])
def test_workers_and_splits_change_nothing_and_keys_do(sampling):
    network, x = network_of(), images(2 * IMAGE_BLOCK + 30)
    read = partial(predict_until, network, sampling=sampling, rule=QUICK)
    whole = read(x, key=KEY)
    assert same(read(x, key=KEY, execution=Execution(workers=2)), whole)
    assert not same(read(x, key=KEY.child("other")), whole)
    first, rest = x[:IMAGE_BLOCK], x[IMAGE_BLOCK:]
    parts = [read(first, key=KEY), read(rest, key=KEY, execution=Execution(first_block=1))]
    for field in ("reads", "decided"):
        assert torch.cat([getattr(p, field) for p in parts]).equal(getattr(whole, field))
    joined = torch.cat([p.predictive.mean for p in parts])
    assert joined.equal(whole.predictive.mean)
    assert whole.reads.unique().tolist()[-1] == 23


def test_one_round_is_a_prediction():
    network, x = network_of(), images(IMAGE_BLOCK + 7)
    rule = StoppingRule(first=6, most=6)
    found = predict_until(network, x, Sampling.PER_READ, rule, KEY)
    plain = predict(network, x, Sampling.PER_READ, 6, KEY.child("round", 0))
    for field in FIELDS:
        torch.testing.assert_close(getattr(found.predictive, field), getattr(plain, field))
    assert found.reads.tolist() == [6] * len(x)


def test_rounds_draw_for_the_images_still_read():
    network, x = network_of(), images(30)
    found = predict_until(network, x, Sampling.PER_READ, QUICK, KEY)
    sizes = list(QUICK.rounds())
    assert (sum(sizes), sizes[:2]) == (23, [3, 4])
    again = torch.zeros(30, 3).double()
    for number, size in enumerate(sizes):
        active = found.reads > sum(sizes[:number])
        own = KEY.child("round", number)
        reads = predict_reads(network, x[active], Sampling.PER_READ, size, own)
        again[active] += reads.double().sum(0)
    torch.testing.assert_close(found.predictive.mean, again / found.reads[:, None])
    assert 0 < int(found.decided.sum()) < 30


def test_images_that_stopped_are_not_computed(monkeypatch):
    from bayespin.network import stopping

    seen = []

    def counted(network, x, sampling, reads, key, block=0):
        seen.append(reads * len(x))
        return predict_reads(network, x, sampling, reads, key, block)

    monkeypatch.setattr(stopping, "predict_reads", counted)
    found = predict_until(network_of(), images(100), Sampling.PER_READ, QUICK, KEY)
    assert sum(seen) == int(found.reads.sum()) < 100 * QUICK.most


def test_a_deterministic_network_is_read_once_and_decided():
    network, x = network_of(PointLayer), images(4)
    found = predict_until(network, x, Sampling.PER_READ, RULES[0], KEY)
    assert found.reads.tolist() == [1] * 4
    assert bool(found.decided.all())
    assert found.predictive.mean.equal(predict(network, x, Sampling.FROZEN, 1, KEY).mean)


def test_reads_that_are_all_alike_are_no_puzzle():
    """A spread of 0: two equal classes stay undecided, a constant lead is decided at once."""
    reads = torch.tensor([[0.5, 0.5, 0.0], [0.6, 0.4, 0.0]]).expand(20, 2, 3)
    rule = replace(RULES[1], most=20)
    found = stop_reads(reads, rule)
    assert found.decided.tolist() == [False, True]
    assert found.reads.tolist() == [20, 10]


def test_wrong_arguments_are_one_sentence():
    for wrong, message in (
        ({"error": 0.0}, r"`error` must lie in \(0, 1\), but is 0"),
        ({"first": 0}, "`first` and `step` must be 1 or more"),
        ({"most": 5}, "`most` no less than `first`, but they are 10, 5 and 5"),
    ):
        with pytest.raises(ValueError, match=message):
            StoppingRule(**wrong)
    with pytest.raises(ValueError, match=r"`stakes` must hold .* in \(0, 1\], but is \(2"):
        Bets((2.0,))
    with pytest.raises(ValueError, match="`scale` must be positive, but is 0"):
        NormalMixture(0.0)
    with pytest.raises(ValueError, match=r"`reads` must hold the 300 reads .* but holds 3: take"):
        stop_reads(torch.full((3, 1, 2), 0.5), RULES[0])
    with pytest.raises(ValueError, match="`sampling` must be `frozen` or `per_read`"):
        predict_until(network_of(), images(2), Sampling.CORRELATED, RULES[0], KEY)
    with pytest.raises(ValueError, match="`images` must be finite"):
        predict_until(network_of(), images(2) / 0, Sampling.PER_READ, RULES[0], KEY)
