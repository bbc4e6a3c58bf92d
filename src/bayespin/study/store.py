"""A run's folder: filled beside its place, step by step, and renamed when it is whole.

`runs/.<study>-<hash8>.partial/` holds what is done so far; the same command resumes from it.
`runs/<study>-<hash8>/` exists only when it is complete.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bayespin.load import InputError


class RunFolder:
    """The folder of one run, in the making or finished."""

    def __init__(self, out: Path, name: str, digest: str) -> None:
        self.final = out / f"{name}-{digest[:8]}"
        self.work = out / f".{name}-{digest[:8]}.partial"

    @property
    def finished(self) -> bool:
        """Whether the run is complete."""
        return (self.final / "results.json").is_file()

    def require_writable(self) -> None:
        """Refuse a place where no run folder can be made, without making anything.

        Raises:
            InputError: a file stands there, or its folder cannot be written.
        """
        place = self.work.absolute()
        while not os.path.lexists(place):
            place = place.parent
        if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            reason = "it cannot be written" if place.is_dir() else "it is a file"
            raise self._unusable(f"`{place}`: {reason}")

    def _unusable(self, reason: str) -> InputError:
        return InputError(
            f"Run folder `{self.work.parent}` must be writable, but is not ({reason}); name "
            f"another with `--out FOLDER`."
        )

    def open(self) -> None:
        """Make the working folder, and be sure that it can be written before work starts.

        Raises:
            InputError: it cannot be written.
        """
        try:
            (self.work / "steps").mkdir(parents=True, exist_ok=True)
            (self.work / "checkpoints").mkdir(exist_ok=True)
            probe = self.work / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise self._unusable(str(error.strerror)) from None

    def discard(self) -> None:
        """Forget what was done; a finished folder stays until `publish` replaces it."""
        shutil.rmtree(self.work, ignore_errors=True)

    def step(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the stored result of a step, or compute and store it.

        Raises:
            InputError: the stored result is damaged.
        """
        path = self.work / "steps" / f"{name}.json"
        if path.exists():
            try:
                return json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise InputError(
                    f"Step file `{path}` must be valid JSON, but is damaged ({error}); delete it "
                    f"and run the same command again."
                ) from None
        result = compute()
        write_json(path, result)
        # Read back, so that a resumed run continues from the same values to the last bit.
        return json.loads(path.read_text(encoding="utf-8"))

    def forget(self, name: str) -> None:
        """Forget a step, so that it is computed again."""
        (self.work / "steps" / f"{name}.json").unlink(missing_ok=True)

    def publish(self) -> Path:
        """Put the finished folder in its place, replacing an older one, and return it."""
        shutil.rmtree(self.work / "steps", ignore_errors=True)
        for state in (self.work / "checkpoints").glob("*.training.safetensors"):
            state.unlink()
        if self.final.exists():
            retired = self.final.with_name(f".{self.final.name}.retired")
            shutil.rmtree(retired, ignore_errors=True)
            os.replace(self.final, retired)
            os.replace(self.work, self.final)
            shutil.rmtree(retired)
        else:
            os.replace(self.work, self.final)
        return self.final


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON beside `path` and rename it, so that a reader never sees half a file."""
    beside = path.with_name(f"{path.name}.partial")
    try:
        beside.write_text(
            json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False), encoding="utf-8"
        )
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def read_results(folder: Path) -> dict[str, Any]:
    """Return a finished run's results.

    Raises:
        InputError: no such file, or damaged.
    """
    path = folder / "results.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(
            f"Folder `{folder}` must be a finished run, but has no results.json."
        ) from None
    except ValueError as error:
        raise InputError(
            f"File `{path}` must be valid JSON, but is damaged ({error}); run its study again with "
            f"`--force`."
        ) from None
