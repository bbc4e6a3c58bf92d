"""What a run keeps on disk: one file per block and stretch of steps, each whole or absent."""

import dataclasses
import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from bayespin.load import InputError
from bayespin.numerics.tensor_file import read_tensors, write_tensors
from bayespin.shapes import Tensor

_REMEDY = "delete it to compute that stretch anew"


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """What one block recorded between two step counts, and its state at the later one."""

    stop: int
    state: Tensor
    series: dict[str, Tensor]


@dataclass(frozen=True)
class Storage:
    """A folder of stretches that belong to one run.

    `fingerprint` tells runs apart. It does not change with the number of steps, so that a run can
    be extended in its folder.
    """

    folder: Path
    fingerprint: str

    def open(self) -> None:
        """Make the folder.

        Raises:
            InputError: it cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"Checkpoint folder `{self.folder}` must be writable, but is not "
                f"({error.strerror}); name another."
            ) from None

    def save(self, block: int, start: int, stretch: Stretch) -> None:
        """Write the stretch of a block that begins after `start` steps."""
        tensors = {f"series.{name}": value for name, value in stretch.series.items()}
        tensors["state"] = stretch.state
        tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
        metadata = {"fingerprint": self.fingerprint, "stop": str(stretch.stop)}
        write_tensors(self._path(block, start), tensors, metadata)

    def load(self, block: int, start: int, steps: int) -> Stretch | None:
        """Return the stretch of a block that begins after `start` steps, or None without a file.

        Raises:
            InputError: the file is damaged, of another run, or runs past `steps`.
        """
        path = self._path(block, start)
        if not path.exists():
            return None
        tensors, metadata = read_tensors(path, _REMEDY)
        if metadata.get("fingerprint") != self.fingerprint:
            raise InputError(
                f"Checkpoint `{path}` must be of this run, but is of one with another system, "
                f"schedule or seed; delete its folder or name another."
            )
        stop = int(metadata["stop"])
        if stop > steps:
            raise InputError(
                f"Checkpoint `{path}` must end by step {steps}, the last of this run, but ends at "
                f"step {stop}; ask for at least as many, or {_REMEDY}."
            )
        series = {name.removeprefix("series."): t for name, t in tensors.items() if name != "state"}
        return Stretch(stop=stop, state=tensors["state"], series=series)

    def _path(self, block: int, start: int) -> Path:
        return self.folder / f"block-{block:06d}-from-{start:012d}.safetensors"


def digest(value: Any) -> str:
    """Return 64 hexadecimal digits that change with any number in nested plain values.

    Dataclasses, mappings, sequences, tensors, numbers, words, and functions with what they enclose:
    name, instructions, constants and defaults, so that two lambdas differ. Functions that a
    function calls count by name only.
    """
    total = hashlib.sha256()
    for piece in _pieces(value, ()):
        total.update(len(piece).to_bytes(8, "little"))
        total.update(piece)
    return total.hexdigest()


def _pieces(value: Any, above: tuple[int, ...]) -> Iterator[bytes]:
    """Yield the bytes of a value and of everything in it; `above` breaks circles."""
    yield type(value).__qualname__.encode()
    if isinstance(value, Tensor | np.ndarray):
        data = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        yield f"{data.dtype} {data.shape}".encode()
        yield data.tobytes()
    elif id(value) not in above:
        inside = _inside(value)
        if inside is None:
            yield repr(value).encode()
        else:
            for part in inside:
                yield from _pieces(part, (*above, id(value)))


def _inside(value: Any) -> list[Any] | None:
    """Return what a value is made of, or None when its text says it all."""
    if value is None or isinstance(value, str | bytes | int | float | complex | Enum | type):
        return None
    if isinstance(value, Mapping):
        return [part for key in sorted(value, key=str) for part in (str(key), value[key])]
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, functools.partial):
        return [value.func, list(value.args), dict(value.keywords)]
    if isinstance(value, types.MethodType):
        return [value.__func__.__qualname__, value.__self__]
    if isinstance(value, types.FunctionType):
        enclosed = [cell.cell_contents for cell in value.__closure__ or ()]
        defaults = [value.__defaults__, value.__kwdefaults__]
        return [value.__module__, value.__qualname__, value.__code__, *defaults, *enclosed]
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name) for field in dataclasses.fields(value)]
    return [vars(value)] if hasattr(value, "__dict__") else None
