"""Tables to regress on: the nine UCI sets with their standard splits, and a toy with a gap."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bayespin.load import InputError
from bayespin.rng import Key, hernandez_lobato_orders
from bayespin.shapes import Float, Tensor
from bayespin.study.data import cache_folder, checked, digests

SETS = ("boston", "concrete", "energy", "kin8nm", "naval", "power", "protein", "wine", "yacht")
SPLITS = {"protein": 5}
"""Published splits of a set; 20 of all others."""
TRAIN_SHARE = 0.9


@dataclass(frozen=True, kw_only=True)
class Split:
    """Training and test examples, standardised by the training examples.

    `unit` is the deviation of the training targets: what one means in the table's own unit.
    """

    inputs: Float[Tensor, "train columns"]
    targets: Float[Tensor, "train 1"]
    test_inputs: Float[Tensor, "test columns"]
    test_targets: Float[Tensor, "test 1"]
    unit: float


def splits(name: str) -> int:
    """Return how many splits of a set are published."""
    return SPLITS.get(name, 20)


def find_uci(path: str | None) -> Path:
    """Return the folder with the nine files NAME.csv.gz.

    Looked for in: `path`, the user's cache.

    Raises:
        InputError: a file is missing; the sentence says where they should be.
    """
    folder = cache_folder("uci") if path is None else Path(path).expanduser()
    missing = [name for name in SETS if not (folder / f"{name}.csv.gz").is_file()]
    if missing:
        raise InputError(
            f"The UCI sets must be in `{folder}`, but `{missing[0]}.csv.gz` is not there; put the "
            f"nine files there, each a header and rows of inputs and last the target."
        )
    return folder


def uci(folder: Path, name: str) -> Float[Tensor, "examples columns"]:
    """Return a set as its publication has it, the target in the last column.

    Raises:
        InputError: no such set, or a file that is missing, damaged or not the published one.
    """
    if name not in SETS:
        raise InputError(f"`set` must be one of {', '.join(SETS)}, but is {name!r}.")
    text = checked(folder / f"{name}.csv.gz", digests("uci")[f"{name}.csv"]).decode()
    return torch.from_numpy(np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1))


def split(table: Float[Tensor, "examples columns"], number: int) -> Split:
    """Return one of the standard splits of a table: nine tenths train, the others test.

    Source: Hernandez-Lobato and Adams, arXiv:1502.05336.

    Raises:
        ValueError: a table with numbers that are not finite, or too few rows.
    """
    if not bool(torch.isfinite(table).all()):
        raise ValueError("Argument `table` must hold finite numbers, but holds NaN or infinity.")
    if len(table) < 10:
        raise ValueError(f"Argument `table` must have 10 rows or more, but has {len(table)}.")
    order = hernandez_lobato_orders(len(table), number + 1)[number]
    count = round(TRAIN_SHARE * len(table))
    train, test = table[order[:count]], table[order[count:]]
    mean, deviation = train.mean(0), train.std(0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)  # some columns of `naval` are constant
    train, test = ((part - mean) / deviation for part in (train, test))
    return Split(
        inputs=train[:, :-1].float(),
        targets=train[:, -1:].float(),
        test_inputs=test[:, :-1].float(),
        test_targets=test[:, -1:].float(),
        unit=float(deviation[-1]),
    )


def toy(key: Key, examples: int = 200) -> tuple[Tensor, Tensor]:
    """Return x in [−1, −0.2] and [0.3, 1], and y = sin 4x + s ε with s = 0.05 + 0.2 (x + 1)/2.

    Noise grows to the right, and nothing is known in the gap.
    """
    draw = key.generator()
    place = torch.rand(examples, generator=draw) * 1.5
    x = torch.where(place < 0.8, place - 1, place - 0.5)[:, None]
    noise = torch.randn(examples, 1, generator=draw)
    return x, (4 * x).sin() + (0.05 + 0.1 * (x + 1)) * noise
