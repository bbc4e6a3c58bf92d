"""A stochastic junction characterised: operating points from a file, numbers from ensembles."""

from typing import Any

from bayespin.study.bench import Bench
from bayespin.study.characterisation.schema import PillarCharacterisation


class PillarModel:
    """What a characterisation of a pillar simulates, and the laws it is held against.

    Raises:
        InputError: no such preset.
        ValueError: an impossible value.
    """

    def __init__(self, characterisation: PillarCharacterisation) -> None:
        self.characterisation = characterisation

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the numbers beside the file: the preset's values."""
        return {}

    def carry_out(self, bench: Bench) -> dict[str, Any]:
        """Simulate, write table.csv, and return what results.json adds."""
        return {"rows": []}
