"""Events: sums and multiples, field by field."""

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from bayespin.events import Events

NAMES = [field.name for field in fields(Events)]
# Whole numbers below 2^20, so that every sum and product is exact.
counts = st.builds(
    lambda numbers: Events(**dict(zip(NAMES, numbers, strict=True))),
    st.lists(st.integers(0, 2**20).map(float), min_size=len(NAMES), max_size=len(NAMES)),
)


@given(first=counts, second=counts)
def test_sum_adds_every_field(first, second):
    total = first + second
    for name in NAMES:
        assert getattr(total, name) == getattr(first, name) + getattr(second, name)


@given(first=counts, second=counts, factor=st.integers(0, 1000))
def test_multiples_are_repeated_sums(first, second, factor):
    assert (first + second).scaled(factor) == first.scaled(factor) + second.scaled(factor)
    assert first.scaled(3) == first + first + first


@given(events=counts)
def test_nothing_adds_nothing(events):
    assert events + Events() == events == events.scaled(1)
    assert events.scaled(0) == Events()
