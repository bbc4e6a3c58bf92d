"""A preset whose pillar names a table: its spread is the table's, and the hash covers its rows."""

import copy
from dataclasses import replace

import pytest
import torch

from bayespin.cell import bit_cell
from bayespin.cell.bit_cell import BitCell
from bayespin.device import presets, table
from bayespin.device.stochastic import ReadPoint
from bayespin.device.table import SpreadTable, with_table
from bayespin.load import InputError, fingerprint, read_resource

LAW = presets.junction()


def rows(factor: float) -> SpreadTable:
    settings, point = LAW.level_settings(), ReadPoint(temperature=300.0, window=0.0)
    found = LAW.fluctuation(settings, point)
    columns = {
        "setting": settings,
        "mean": found.mean,
        "sigma": factor * found.deviation,
        "tau": found.correlation_time,
        "temperature": torch.full_like(settings, 300.0),
    }
    return SpreadTable(columns=columns, metadata={"setting_unit": "J/m2"})


@pytest.fixture
def preset(monkeypatch):
    content = copy.deepcopy(read_resource("presets", "easyplane-50nm"))
    content["pillar"]["table"] = "mine"
    monkeypatch.setattr(bit_cell, "read_resource", lambda *_: copy.deepcopy(content))
    return content


def test_the_spread_is_the_tables(preset, monkeypatch):
    monkeypatch.setattr(bit_cell, "shipped_table", lambda _: rows(1.1))
    cell = BitCell.preset()
    plain = replace(cell, pillar=cell.pillar.law)
    ratio = cell.sigma_levels(4, 300.0) / plain.sigma_levels(4, 300.0)
    torch.testing.assert_close(ratio, torch.full_like(ratio, 1.1), rtol=5e-3, atol=0)


def test_the_hash_covers_the_tables_rows(preset, monkeypatch):
    seen = set()
    for factor in (1.0, 1.0 + 1e-15, 1.1):
        monkeypatch.setattr(table, "shipped_table", lambda _, f=factor: rows(f))
        seen.add(fingerprint(with_table(preset)))
    assert len(seen) == 3
    del preset["pillar"]["table"]
    assert fingerprint(with_table(preset)) == fingerprint(preset)


def test_a_table_that_is_not_there_is_refused(preset):
    with pytest.raises(InputError, match="`mine` must be one of the shipped tables"):
        BitCell.preset()
