"""A characterisation from its schema to a finished run folder."""

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import tomli_w

from bayespin import load
from bayespin.load import fingerprint
from bayespin.rng import Key
from bayespin.study import provenance
from bayespin.study.bench import Bench, completed, origin_of, refusals_of
from bayespin.study.characterisation import schema
from bayespin.study.characterisation.pillar import PillarModel
from bayespin.study.characterisation.schema import Characterisation, PillarCharacterisation
from bayespin.study.characterisation.track import TrackCharacterisation, TrackModel
from bayespin.study.store import RunFolder, write_json
from bayespin.study.watch import Watch

SCHEMA_VERSION = 1
"""Of results.json of a characterisation."""


@runtime_checkable
class Model(Protocol):
    """What a kind of characterisation does; made from its schema, it refuses the impossible."""

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the numbers beside the file, such as a preset's values."""
        ...

    def carry_out(self, bench: Bench) -> dict[str, Any]:
        """Simulate, write table.csv into the working folder, and return what results.json adds.

        Each ensemble has its own name in `bench.execution`, so that it can be resumed, and each
        part that took long is a `bench.folder.step`.
        """
        ...


_MODELS: dict[type, Callable[[Any], Model]] = {
    PillarCharacterisation: PillarModel, TrackCharacterisation: TrackModel,
}  # fmt: skip


def _ignore(*_: Any) -> None:
    return


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A characterisation that was found possible, and where it goes."""

    characterisation: Characterisation
    model: Model
    folder: RunFolder
    remarks: tuple[str, ...]
    """Warnings of the physics."""


def prepare(characterisation: Characterisation, out: Path) -> Prepared:
    """Check a characterisation before any work, and return its model and run folder.

    Raises:
        InputError: no such preset, or a value that is impossible.
    """
    where = f"characterisation {characterisation.name}"
    with refusals_of(where), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = _MODELS[type(characterisation)](characterisation)
    identity = {
        "characterisation": load.dump(characterisation),
        "schema": SCHEMA_VERSION,
        "model": model.identity,
    }
    return Prepared(
        characterisation=characterisation,
        model=model,
        folder=RunFolder(out, characterisation.name, fingerprint(identity)),
        remarks=tuple(str(one.message) for one in caught),
    )


def run_characterisation(
    prepared: Prepared,
    *,
    force: bool = False,
    watch: Watch | None = None,
    report: Callable[[Path], object] = _ignore,
) -> Path:
    """Run a characterisation and return its folder; a finished one is returned at once.

    Interrupted at any point, the same call resumes and ends in the same numbers.

    Args:
        prepared: from `prepare`.
        force: begin anew, and replace a finished run when the new one is whole.
        watch: callback for progress, and how many blocks of replicas are advanced at once.
        report: called with the folder before it is published, to add figures and a page.

    Raises:
        InputError: the output folder cannot be used, or the ensembles do not fit the memory.
    """
    chosen, folder = prepared.characterisation, prepared.folder
    bench = Bench(
        where=f"characterisation {chosen.name}",
        folder=folder,
        key=Key.root(chosen.run.seed).child("characterisation"),
        watch=watch if watch is not None else Watch(),
        provenance=origin_of(
            chosen.title, f"bayespin characterize, {chosen.name}", chosen.run.seed
        ),
    )

    def fill(started: str) -> None:
        numbers = folder.step("numbers", lambda: _timed(prepared, bench))
        write_json(folder.work / "results.json", _assembled(prepared, numbers, started))
        resolved = tomli_w.dumps(load.dump(chosen))
        (folder.work / "characterisation.toml").write_text(resolved, encoding="utf-8")
        report(folder.work)

    return completed(folder, fill, force=force)


def characterize(content: Mapping[str, Any] | str, out: Path | str = "runs") -> Path:
    """Run a characterisation, shipped or given as the content of a file, and return its folder.

    In it: table.csv, which `bayespin.device` reads as a device, and results.json. The page with
    figures is made by `bayespin report`, or by the command line's `characterize`.

    Raises:
        InputError: no such characterisation, a mistake in it, or a folder that cannot be used.
    """
    chosen = (
        schema.shipped(content) if isinstance(content, str) else schema.read(content, "content")
    )
    return run_characterisation(prepare(chosen, Path(out)))


def _timed(prepared: Prepared, bench: Bench) -> dict[str, Any]:
    begun = time.perf_counter()
    with refusals_of(bench.where):
        numbers = prepared.model.carry_out(bench)
    return {**numbers, "seconds": time.perf_counter() - begun}


def _assembled(prepared: Prepared, numbers: dict[str, Any], started: str) -> dict[str, Any]:
    chosen = prepared.characterisation
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": chosen.kind,
        "characterisation": chosen.name,
        "title": chosen.title,
        "study_hash": prepared.folder.final.name.rsplit("-", 1)[1],
        "remarks": list(prepared.remarks),
        **{name: value for name, value in numbers.items() if name != "seconds"},
        "provenance": {
            **provenance.software(),
            "threads": provenance.threads(),
            "seeds": [chosen.run.seed],
            "started": started,
            "wall_time_s": round(numbers["seconds"], 1),
        },
    }
