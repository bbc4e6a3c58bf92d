"""What shows that a check has power: it fails under the faults that it names."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import pytest

from tests.statistical.check import LEDGER
from tests.statistical.faults import Fault, planted

Check = Callable[[], None]


def case(test: Callable[..., None], **chosen: Any) -> Check:
    """Return one of the cases that a test is run with where it stands.

    Raises:
        ValueError: it is not run with these values.
    """
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names, sets = [name.strip() for name in mark.args[0].split(",")], mark.args[1]
            given = [chosen[name] for name in names]
            if given not in ([one] if len(names) == 1 else list(one) for one in sets):
                raise ValueError(f"`{test.__name__}` is not run with {given}.")
    return partial(test, **chosen)


def title(check: Any) -> str:
    """Return the name of a check, with the values of a case."""
    if not isinstance(check, partial):
        return check.__name__
    values = (_plainly(value) for value in check.keywords.values())
    return "-".join([title(check.func), *values])


def _plainly(value: Any) -> str:
    """Return a value's name, or what it prints without addresses: alike in every process."""
    return getattr(value, "__name__", re.sub(r" at 0x[0-9a-f]+", "", str(value)))


def pairs(caught_by: Mapping[str, Iterable[Check]]) -> list[Any]:
    """Return every fault with every check that must catch it, as parameters of a test."""
    return [
        pytest.param(name, check, id=f"{name}-{title(check)}")
        for name, checks in caught_by.items()
        for check in checks
    ]


def own(caught_by: Mapping[str, Iterable[Check]]) -> list[Any]:
    """Return the checks that are no tests themselves: nobody else runs them without a fault."""
    checks = dict.fromkeys(check for checks in caught_by.values() for check in checks)
    return [
        pytest.param(check, id=title(check))
        for check in checks
        if not title(check).startswith("test_")
    ]


def check_fails(check: Check, fault: Fault) -> None:
    """Assert that a check fails under a fault, by an assertion and nothing else."""
    spent = LEDGER.spent
    with planted(fault), pytest.raises(AssertionError):
        check()
    LEDGER.spent = spent  # a check that must fail cannot raise a false alarm
