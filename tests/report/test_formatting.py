"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayespin.report.formatting import (
    area,
    count,
    decimals,
    figures,
    percent,
    prefixed,
    quantity,
    signed,
)
from bayespin.units import parse


def test_examples():
    assert percent(0.89905) == "89.91\u00a0%"
    assert decimals(0.01284, 4) == "0.0128"
    assert signed(-0.004, 3) == "−0.004"
    assert figures(-0.0022, 4) == "−0.0022"
    assert count(10000) == "10,000"
    assert quantity(1.312e-6, "J") == "1.31\u00a0µJ"
    assert area(3.42e-7) == "0.342\u00a0mm²"
    assert area(2.5e-9) == "2500\u00a0µm²"


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), "12", True, [1]])
def test_what_is_no_number_is_a_dash(value):
    assert percent(value) == decimals(value, 2) == count(value) == area(value) == "–"


@given(st.floats(1e-14, 1e3))
def test_prefixed_axis_reads_between_one_and_a_thousand(joules):
    scale, symbol = prefixed(joules, "J")
    assert 0.99 <= joules / scale <= 1000
    assert parse(f"1 {symbol}", "J") == scale
