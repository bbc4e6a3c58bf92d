"""What a characterisation is: a kind, and the sections that it has.

A file says `kind`; each kind has its own schema. All have a name, a title and a section [run] with
a seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bayespin.load import InputError, build, nearest, read_resource
from bayespin.study.characterisation.sections import FilmTwin, PillarRun, Stack, Sweep
from bayespin.study.characterisation.track import TrackCharacterisation
from bayespin.study.simulation.sections import require_name


@dataclass(frozen=True, kw_only=True)
class PillarCharacterisation:
    """A stochastic junction swept through its settings and what acts on it."""

    name: str
    """Names the run folder."""
    title: str
    """Heads the table and the report."""
    kind: Literal["pillar"]
    """Chooses this schema."""
    stack: Stack = field(default_factory=Stack)
    sweep: Sweep = field(default_factory=Sweep)
    run: PillarRun = field(default_factory=PillarRun)
    film: FilmTwin | None = None

    def __post_init__(self) -> None:
        require_name(self.name)


Characterisation = PillarCharacterisation | TrackCharacterisation
_KINDS: dict[str, type[Characterisation]] = {
    "pillar": PillarCharacterisation, "track": TrackCharacterisation,
}  # fmt: skip


def read(content: Mapping[str, Any], where: str) -> Characterisation:
    """Return the characterisation that a file's content describes; `where` names it in messages.

    Raises:
        InputError: no such kind, or an unknown, missing, ill-typed or impossible field.
    """
    kind = content.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        given = "is missing" if kind is None else f"is {kind!r}{nearest(str(kind), list(_KINDS))}"
        raise InputError(f"{where}: `kind` must be one of {', '.join(_KINDS)}, but {given}.")
    return build(_KINDS[kind], content, where)


def shipped(name: str) -> Characterisation:
    """Return a characterisation of the package by name.

    Raises:
        InputError: no such characterisation; the sentence names the nearest one.
    """
    return read(read_resource("characterisations", name), f"characterisation {name}")
