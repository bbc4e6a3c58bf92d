"""Sources carried by the functions that use them."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Cited = TypeVar("Cited", bound=Callable[..., Any])


def cites(*sources: str) -> Callable[[Cited], Cited]:
    """Attach sources (a DOI such as "10.1103/PhysRev.130.1677" or "arXiv:1902.03312").

    Raises:
        ValueError: a source is neither a DOI nor an arXiv number.
    """
    for source in sources:
        if not source.startswith(("10.", "arXiv:")):
            raise ValueError(
                f"Argument `sources` must hold DOIs (10.…) or arXiv numbers (arXiv:…), "
                f"but holds {source!r}."
            )

    def attach(function: Cited) -> Cited:
        function.__cites__ = sources  # ty: ignore[missing-attribute]
        return function

    return attach


def bibliography(functions: Iterable[Callable[..., Any]]) -> list[str]:
    """Return the distinct sources of `functions`, sorted."""
    return sorted({source for f in functions for source in getattr(f, "__cites__", ())})
