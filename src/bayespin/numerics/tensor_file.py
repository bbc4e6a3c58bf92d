"""Tensors to safetensors files and back: no pickle, never half-written."""

import errno
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from bayespin.load import InputError
from bayespin.shapes import Tensor


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write beside `path` and rename, so that a reader never sees half a file.

    Raises:
        OSError: the disk is full or cannot be written; an older file at `path` is left as it was.
    """
    beside = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, beside, metadata=metadata)
        os.replace(beside, path)
    except SafetensorError as error:  # such as a full disk
        raise OSError(errno.EIO, str(error), str(path)) from None
    finally:
        beside.unlink(missing_ok=True)


def read_tensors(path: Path, remedy: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a file; `remedy` ends the sentence of a refusal.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {k: file.get_tensor(k) for k in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"Checkpoint `{path}` must be a whole safetensors file, but is damaged ({error}); "
            f"{remedy}."
        ) from None
