"""CIFAR-100 in its binary version: found, checked and read; downloaded where it is nowhere.

A record is one byte of a coarse label (0 to 19), one of a fine label (0 to 99), and the red, the
green and the blue plane of 32 × 32 pixels: 3,074 bytes. `train.bin` has 50,000 records and
`test.bin` 10,000; both lie in `cifar-100-binary.tar.gz`.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, University of Toronto
(2009); https://www.cs.toronto.edu/~kriz/cifar.html, which states the archive's MD5.
"""

import hashlib
import http.client
import io
import logging
import tarfile
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bayespin.load import InputError
from bayespin.shapes import Tensor
from bayespin.study import data
from bayespin.study.data import Images

logger = logging.getLogger(__name__)

HOME = "https://www.cs.toronto.edu/~kriz/"
ARCHIVE = "cifar-100-binary.tar.gz"
MD5 = "03b5dce01913d631647c71ecec9e9cb8"
"""Of the archive, as published."""
COARSE = 20
SIDE = 32
CLASSES = (
    "apple", "aquarium fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle",
    "bottle", "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle",
    "caterpillar", "cattle", "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch",
    "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox",
    "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple tree", "motorcycle", "mountain", "mouse", "mushroom",
    "oak tree", "orange", "orchid", "otter", "palm tree", "pear", "pickup truck", "pine tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road",
    "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake",
    "spider", "squirrel", "streetcar", "sunflower", "sweet pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow tree", "wolf", "woman", "worm",
)  # fmt: skip
"""Fine labels 0 to 99."""
_PARTS = ("train.bin", "test.bin")
_INSIDE = "cifar-100-binary"
"""Folder of both files in the archive, which people keep when they unpack it."""
_RECORD = 2 + 3 * SIDE * SIDE
_AGAIN = "delete it and run the same command again"


@dataclass(frozen=True, kw_only=True)
class Records:
    """What the two files hold, checked but not yet turned into numbers."""

    train: np.ndarray
    """One row of 3,074 bytes per image."""
    test: np.ndarray
    digest: str
    """SHA-256 of both files, one after the other."""


def cifar100(place: Path) -> tuple[Images, Images]:
    """Return training and test images: colours from 0 to 1, and fine labels.

    Args:
        place: from `find_cifar100`.

    Raises:
        InputError: what `records` refuses.
    """
    found = records(place)
    return _images(found.train), _images(found.test)


def find_cifar100(path: str | None) -> Path:
    """Return the folder of `train.bin` and `test.bin`, or else the archive with both.

    Looked for in: `path`; the user's cache, the public home, from where it is put into the cache.

    Raises:
        InputError: found nowhere; the sentence lists the ways to get it.
    """
    if path is not None:
        found = _inside(Path(path).expanduser())
        if found is None:
            raise InputError(
                f"Folder `{path}` in `data.path` must hold CIFAR-100, but has neither "
                f"`{ARCHIVE}` nor both of {' and '.join(f'`{part}`' for part in _PARTS)}; get the "
                f"binary version from {HOME}cifar.html."
            )
        return found
    cache = data.cache_folder("cifar100")
    found = _inside(cache)
    if found is not None:
        return found
    try:
        return _download(cache / ARCHIVE)
    except (OSError, http.client.HTTPException) as error:
        raise InputError(
            f"CIFAR-100 must be on this machine, but is not in {cache}, and its home does not "
            f"answer ({error}): put `{ARCHIVE}` from {HOME} there, or name its folder with `--set "
            f"data.path=FOLDER`."
        ) from None


def inside_cache() -> Path | None:
    """Return where the user's cache holds CIFAR-100, unread, or None."""
    return _inside(data.cache_folder("cifar100"))


def records(place: Path) -> Records:
    """Return what the files hold.

    An archive must be the published one. Files of their own may hold fewer images, such as a
    selection; their digest tells them apart.

    Raises:
        InputError: a file is missing, unreadable, truncated, or not of this format.
    """
    train, test = _unpacked(place) if place.is_file() else (_content(place / p) for p in _PARTS)
    return Records(
        train=_rows(train, place, "train.bin"),
        test=_rows(test, place, "test.bin"),
        digest=hashlib.sha256(train + test).hexdigest(),
    )


def _inside(folder: Path) -> Path | None:
    for place in (folder, folder / _INSIDE):
        if all((place / part).is_file() for part in _PARTS):
            return place
    archive = folder / ARCHIVE
    return archive if archive.is_file() else None


def _download(target: Path) -> Path:
    """Fetch the archive into the cache, whole or not at all."""
    logger.warning("downloading CIFAR-100 (169 MB) into %s", target.parent)
    with urllib.request.urlopen(f"{HOME}{ARCHIVE}", timeout=30) as answer:
        content = answer.read()
    if _md5(content) != MD5:
        raise OSError(f"{HOME}{ARCHIVE} is not the published file")
    data.write_beside(target, content)
    return target


def _md5(content: bytes) -> str:
    """Return the digest that is published: it finds damage, and forgery is no concern here."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"Data file `{file}` must be readable, but is not ({error.strerror}); {_AGAIN}."
        ) from None


def _unpacked(archive: Path) -> tuple[bytes, bytes]:
    """Return both files of the published archive."""
    content = _content(archive)
    if (found := _md5(content)) != MD5:
        raise InputError(
            f"Data file `{archive}` must have the MD5 {MD5[:12]}…, but has {found[:12]}…; {_AGAIN}."
        )
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as files:
            train, test = (files.extractfile(f"{_INSIDE}/{part}") for part in _PARTS)
            assert train is not None
            assert test is not None
            return train.read(), test.read()
    except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise InputError(
            f"Data file `{archive}` must be an archive with {' and '.join(_PARTS)}, but is not "
            f"({error}); {_AGAIN}."
        ) from None


def _rows(content: bytes, place: Path, part: str) -> np.ndarray:
    """Return one row per record, of the right length and with labels in their ranges."""
    what = f"Data file `{place / part}`"
    if not content or len(content) % _RECORD:
        raise InputError(
            f"{what} must hold whole records of {_RECORD} bytes, but has {len(content)} bytes; "
            f"{_AGAIN}."
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    for byte, (kind, count) in enumerate((("coarse", COARSE), ("fine", len(CLASSES)))):
        if (most := int(rows[:, byte].max())) >= count:
            raise InputError(
                f"{what} must hold {kind} labels from 0 to {count - 1}, but has {most}: it is "
                f"not CIFAR-100's binary version; {_AGAIN}."
            )
    return rows


def _images(rows: np.ndarray) -> Images:
    colours = rows[:, 2:].reshape(-1, 3, SIDE, SIDE).astype(np.float32) / 255
    return Images(images=torch.from_numpy(colours), labels=_labels(rows))


def _labels(rows: np.ndarray) -> Tensor:
    return torch.from_numpy(rows[:, 1].astype(np.int64))
