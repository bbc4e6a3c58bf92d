"""Tables to regress on: the published files, the published splits, and the toy."""

import gzip

import pytest
import torch

from bayespin.load import InputError
from bayespin.rng import Key
from bayespin.study import regression_data as tables

ROWS = {"boston": 506, "concrete": 1030, "energy": 768, "kin8nm": 8192, "naval": 11934,
        "power": 9568, "protein": 45730, "wine": 1599, "yacht": 308}  # fmt: skip


@pytest.mark.parametrize("name", tables.SETS)
def test_published_tables_are_read_whole(shared_data, name):
    table = tables.uci(tables.find_uci(str(shared_data / "uci")), name)
    assert len(table) == ROWS[name]
    assert bool(torch.isfinite(table).all())


def test_the_first_row_of_boston_is_the_published_one(shared_data):
    table = tables.uci(shared_data / "uci", "boston")
    assert table[0, 0] == 0.00632
    assert table[0, -1] == 24.0
    assert table.shape[1] == 14


def test_splits_are_the_published_ones():
    """Seed 1 of NumPy's legacy generator: orders of ten rows, written down."""
    table = torch.arange(10, dtype=torch.float64)[:, None].expand(-1, 2).contiguous()
    first, second = (tables.split(table, number) for number in (0, 1))
    for found, left_out in ((first, 5), (second, 7)):
        others = torch.tensor([float(r) for r in range(10) if r != left_out])
        wanted = (left_out - others.mean()) / others.std(correction=0)
        assert float(found.test_targets) == pytest.approx(float(wanted), rel=1e-6)
    assert tables.splits("protein") == 5
    assert tables.splits("yacht") == 20


def test_a_split_is_standard_in_its_training_part_alone(shared_data):
    table = tables.uci(shared_data / "uci", "naval")  # two columns are constant
    found = tables.split(table, 3)
    assert len(found.inputs) == round(0.9 * len(table))
    assert len(found.inputs) + len(found.test_inputs) == len(table)
    mean, deviation = found.inputs.mean(0), found.inputs.std(0, correction=0)
    assert float(mean.abs().max()) < 1e-4
    assert sorted(deviation.round(decimals=3).tolist())[:3] == [0.0, 0.0, 1.0]
    assert float(found.targets.std(correction=0)) == pytest.approx(1, rel=1e-5)
    assert found.unit == pytest.approx(0.0147, rel=0.02)


def test_the_toy_has_a_gap_and_noise_that_grows():
    x, y = tables.toy(Key.root(0), 20_000)
    assert not bool(((x > -0.2) & (x < 0.3)).any())
    rest = y - (4 * x).sin()
    for low, high in ((-1.0, -0.8), (0.8, 1.0)):
        inside = (x >= low) & (x < high)
        wanted = 0.05 + 0.1 * ((low + high) / 2 + 1)
        assert float(rest[inside].std()) == pytest.approx(wanted, rel=0.05)


def test_what_is_missing_damaged_or_unknown_is_told(tmp_path, shared_data):
    with pytest.raises(InputError, match=r"`boston.csv.gz` is not there; put the nine files there"):
        tables.find_uci(str(tmp_path))
    with pytest.raises(InputError, match=r"`set` must be one of boston, .* but is 'iris'"):
        tables.uci(tmp_path, "iris")
    (tmp_path / "yacht.csv.gz").write_bytes(gzip.compress(b"x0,y\n1,2\n"))
    with pytest.raises(InputError, match="must have the SHA-256"):
        tables.uci(tmp_path, "yacht")
    table = tables.uci(shared_data / "uci", "yacht")
    table[3, 2] = float("nan")
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        tables.split(table, 0)
    with pytest.raises(ValueError, match="must have 10 rows or more, but has 9"):
        tables.split(torch.zeros(9, 2), 0)
