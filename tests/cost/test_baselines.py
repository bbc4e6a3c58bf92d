"""Digital baselines against totals worked by hand at 28 nm."""

import pytest

from bayespin.cost.baselines import (
    LayerWork,
    deterministic_network,
    digital_baselines,
    moment_path,
    naive_sampling,
)
from bayespin.cost.components import load_components
from tests.cost.lenet import MACS, READS, work

# pJ per operation at 28 nm: 45 nm figures times 0.513
GAUSSIAN, SCALE, MAC, BYTE = (0.513 * pj for pj in (1.34, 0.23, 0.30, 1.25))


def test_lenet_work_counts() -> None:
    layers = work()
    assert sum(layer.macs for layer in layers) == MACS
    assert sum(layer.weights for layer in layers) == 61_470
    assert sum(layer.outputs for layer in layers) == 6_518


def test_lenet_totals() -> None:
    naive, reuse, moment, cached, plain = digital_baselines(work(), READS, load_components())
    hand = {
        "naive": READS * MACS * (GAUSSIAN + SCALE + 2 * BYTE + MAC),
        "reuse": READS * (61_470 * (GAUSSIAN + SCALE + 2 * BYTE) + MACS * MAC),
        "moment": READS * (2 * MACS * MAC + 6_518 * (GAUSSIAN + SCALE)) + 2 * 61_470 * BYTE,
        "cached": 2 * (117_600 + READS * 298_920) * MAC
        + READS * 6_518 * (GAUSSIAN + SCALE)
        + 2 * 61_470 * BYTE,
        "plain": MACS * MAC + 61_470 * BYTE,
    }
    for bill, joules in zip((naive, reuse, moment, cached, plain), hand.values(), strict=True):
        assert bill.energy_j == pytest.approx(joules * 1e-12, rel=1e-12)
        assert sum(bill.breakdown.values()) == pytest.approx(bill.energy_j, rel=1e-12)
    # The figures of the project's targets: about 92, 19 and 13 µJ.
    assert naive.energy_j * 1e6 == pytest.approx(92, rel=0.02)
    assert reuse.energy_j * 1e6 == pytest.approx(19, rel=0.02)
    assert moment.energy_j * 1e6 == pytest.approx(13, rel=0.04)


def test_one_pass_leaves_nothing_to_cache() -> None:
    _, _, moment, cached, _ = digital_baselines(work(), 1, load_components())
    assert cached.energy_j == pytest.approx(moment.energy_j, rel=1e-12)


def test_a_gaussian_per_product_where_one_per_output_is_due_is_caught() -> None:
    """The planted fault: outputs counted as products makes the moment path 4 times too dear."""
    right = moment_path(work(), READS, load_components())
    faulty = [
        LayerWork(name=w.name, macs=w.macs, weights=w.weights, outputs=w.macs) for w in work()
    ]
    wrong = moment_path(faulty, READS, load_components())
    assert wrong.energy_j > 3 * right.energy_j


def test_naive_energy_is_linear_in_reads_and_the_plain_network_draws_nothing() -> None:
    table = load_components()
    once, many = naive_sampling(work(), 1, table), naive_sampling(work(), 7, table)
    assert many.energy_j == pytest.approx(7 * once.energy_j, rel=1e-12)
    assert deterministic_network(work(), table).breakdown["gaussian"] == 0.0


def test_no_layers_or_no_reads_are_refused() -> None:
    with pytest.raises(ValueError, match="`layers`"):
        digital_baselines([], READS, load_components())
    with pytest.raises(ValueError, match="`reads`"):
        digital_baselines(work(), 0, load_components())
