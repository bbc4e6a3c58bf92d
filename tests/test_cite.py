"""Sources on functions."""

import pytest

from bayespin.cite import bibliography, cites


def test_bibliography_holds_every_source_once():
    @cites("arXiv:1902.03312", "10.1103/PhysRev.130.1677")
    def first() -> int:
        return 1

    @cites("10.1103/PhysRev.130.1677")
    def second() -> int:
        return 2

    assert bibliography([first, second, len]) == ["10.1103/PhysRev.130.1677", "arXiv:1902.03312"]
    assert (first(), second()) == (1, 2)


def test_what_is_no_source_is_refused():
    with pytest.raises(ValueError, match=r"must hold DOIs .* but holds 'Brown, 1963'"):
        cites("10.1103/PhysRev.130.1677", "Brown, 1963")
