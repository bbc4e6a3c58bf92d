"""A study of seconds: ten patterns with grain, in files like the published ones."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from bayespin import load
from bayespin.study.schema import Study

TRAIN, TEST, FOREIGN = 420, 250, 60
CONTENT: dict[str, Any] = {
    "name": "tiny",
    "title": "A tiny study",
    "quick": True,
    "seeds": [0],
    "data": {"training_images": TRAIN, "held_out": 120, "test_images": TEST},
    "training": {"epochs": 2, "batch": 100, "learning_rate": 2e-3},
    # Wires take seconds to solve; tests of the chip have them.
    "hardware": {"calibration_images": 40, "input_bits": 5, "wires": False},
    "evaluation": {"reads": 3, "blends": [0.0, 0.5]},
}


def _compressed(kind: int, shape: tuple[int, ...], values: np.ndarray) -> tuple[bytes, str]:
    """Return one IDX file, compressed, and the SHA-256 of its bytes before that."""
    head = bytes([0, 0, 8, kind]) + b"".join(n.to_bytes(4, "big") for n in shape)
    raw = head + values.astype(np.uint8).tobytes()
    return gzip.compress(raw, 1, mtime=0), hashlib.sha256(raw).hexdigest()


def grey(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return images whose label is the place of a bright block, under grain."""
    images = generator.integers(0, 60, (len(labels), 28, 28))
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 5)
        image[4 + 12 * row : 12 + 12 * row, 2 + 5 * column : 7 + 5 * column] += 180
    return images


def write_pictures(folder: Path) -> dict[str, dict[str, Any]]:
    """Write the stand-ins and return what stands for the list of published digests."""
    generator = np.random.default_rng(0)
    published: dict[str, dict[str, Any]] = {
        "fashion-mnist": {"sha256": {}}, "mnist": {"sha256": {}}, "mnist-5k": {"sha256": {}},
    }  # fmt: skip
    parts = (("fashion-mnist", "train", TRAIN), ("fashion-mnist", "t10k", TEST),
             ("mnist", "t10k", FOREIGN))  # fmt: skip
    for name, part, count in parts:
        labels = np.arange(count) % 10
        images = grey(labels, generator)
        if name == "mnist":  # nothing but grain, at another brightness
            images = generator.integers(0, 255, images.shape)
        place = folder / name
        place.mkdir(exist_ok=True)
        files = {
            f"{part}-images-idx3-ubyte": _compressed(3, images.shape, images),
            f"{part}-labels-idx1-ubyte": _compressed(1, labels.shape, labels),
        }
        for file, (content, digest) in files.items():
            if name == "mnist" and "labels" in file:
                continue
            (place / f"{file}.gz").write_bytes(content)
            published[name]["sha256"][file] = digest
    return published


def content(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return the study as plain values, with dotted changes such as training__epochs=3."""
    tables = json.loads(json.dumps(CONTENT))
    tables["data"]["path"] = str(folder / "fashion-mnist")
    tables["data"]["foreign_path"] = str(folder / "mnist")
    for name, value in changes.items():
        table = tables
        *sections, field = name.split("__")
        for section in sections:
            table = table.setdefault(section, {})
        table[field] = value
    return tables


def study(folder: Path, **changes: Any) -> Study:
    """Return the study itself."""
    return load.build(Study, content(folder, **changes), "tiny.toml")


def comparable(results: dict[str, Any]) -> dict[str, Any]:
    """Return results without what tells one session from another: time, and the checkout it saw."""
    plain = json.loads(json.dumps(results))
    for name in ("commit", "started", "wall_time_s", "stages_s"):
        plain["provenance"].pop(name)
    return plain


def write_colours(folder: Path, train: int = 120, test: int = 40) -> Path:
    """Write what stands for CIFAR-100's two files, and return their folder.

    Image i is of class i % 100, whose digits are the bright rows of red and columns of green; blue
    is grain.
    """
    generator = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train.bin", train), ("test.bin", test)):
        labels = np.arange(count) % 100
        planes = generator.integers(0, 60, (count, 3, 32, 32))
        for image, label in zip(planes, labels, strict=True):
            tens, ones = divmod(int(label), 10)
            image[0, 3 * tens : 3 * tens + 3] += 150
            image[1, :, 3 * ones : 3 * ones + 3] += 150
        head = np.stack([labels // 5, labels], 1)
        rows = np.concatenate([head, planes.reshape(count, -1)], 1).astype(np.uint8)
        (folder / part).write_bytes(rows.tobytes())
    return folder
