"""CIFAR-100: read to the bit, refused when damaged, found in the order that is promised."""

import io
import sys
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

from bayespin.load import InputError
from bayespin.study import cifar, image_sets
from bayespin.study.schema import Data
from tests.study.tiny import write_colours

RECORD = 3074


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_colours(tmp_path / "given")


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """A machine without data and without network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    return tmp_path / "cache" / "bayespin" / "cifar100"


def offline(address: str, timeout: float):
    raise urllib.error.URLError("no route to host")


def packed(folder: Path, parts: tuple[str, ...] = ("train.bin", "test.bin")) -> bytes:
    """Return an archive of the files, laid out as the published one."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for part in parts:
            archive.add(folder / part, f"cifar-100-binary/{part}")
    return content.getvalue()


def test_pixels_and_labels_are_those_of_the_file(folder):
    train, test = cifar.cifar100(folder)
    assert (len(train.images), len(test.labels)) == (120, 40)
    record = np.frombuffer((folder / "test.bin").read_bytes(), np.uint8)[7 * RECORD : 8 * RECORD]
    assert test.labels[7] == record[1] == 7
    for channel in range(3):
        for row, column in ((0, 0), (3, 31), (31, 5)):
            value = int(record[2 + 1024 * channel + 32 * row + column])
            assert float(test.images[7, channel, row, column]) == pytest.approx(value / 255)
    # Label 7: rows 0 to 2 of red and columns 21 to 23 of green are bright.
    assert float(test.images[7, 0, :3].min()) > 0.5 > float(test.images[7, 0, 3:].max())
    assert float(test.images[7, 1, :, 21:24].min()) > 0.5 > float(test.images[7, 2].max())


def test_classes_are_a_hundred_in_the_order_of_the_alphabet():
    assert len(set(cifar.CLASSES)) == 100
    assert list(cifar.CLASSES) == sorted(cifar.CLASSES, key=lambda name: name.replace(" ", "_"))


def test_the_digest_is_that_of_every_byte(folder, tmp_path):
    wanted = Data(set="cifar100", path=str(folder), training_images=100, held_out=10, test_images=9)
    ((name, once),) = image_sets.digests(wanted).items()
    assert name == "cifar100"
    content = bytearray((folder / "test.bin").read_bytes())
    content[-1] ^= 1
    (folder / "test.bin").write_bytes(content)
    assert image_sets.digests(wanted)["cifar100"] != once
    content[-1] ^= 1
    (folder / "test.bin").write_bytes(content)
    assert image_sets.digests(wanted)["cifar100"] == once


@pytest.mark.parametrize(
    "damage, said",
    [
        ("half", r"must hold whole records of 3074 bytes, but has \d+ bytes; delete it"),
        ("empty", r"must hold whole records of 3074 bytes, but has 0 bytes; delete it"),
        ("coarse", "must hold coarse labels from 0 to 19, but has 20: it is not CIFAR-100's"),
        ("fine", "must hold fine labels from 0 to 99, but has 100: it is not CIFAR-100's"),
    ],
)
def test_damaged_files_are_refused(folder, damage, said):
    content = bytearray((folder / "train.bin").read_bytes())
    if damage in ("coarse", "fine"):
        content[RECORD * 5 + (damage == "fine")] = 20 if damage == "coarse" else 100
    else:
        del content[{"half": len(content) // 2 + 1, "empty": 0}[damage] :]
    (folder / "train.bin").write_bytes(content)
    with pytest.raises(InputError, match=rf"^Data file `{folder / 'train.bin'}` {said}"):
        cifar.records(folder)


def test_fewer_images_than_asked_for_are_refused(folder):
    few = {"training_images": 100, "held_out": 10, "test_images": 40}
    for name, asked, most in (("training_images", 121, 120), ("test_images", 41, 40)):
        wanted = Data(set="cifar100", path=str(folder), **{**few, name: asked})
        with pytest.raises(InputError, match=rf"^`data\.{name}` must be at most {most}, .*{asked}"):
            image_sets.digests(wanted)


def test_an_archive_is_the_published_one_or_refused(folder, monkeypatch):
    bare = cifar.records(folder)
    archive = folder / cifar.ARCHIVE
    archive.write_bytes(content := packed(folder))
    (folder / "test.bin").unlink()
    assert cifar.find_cifar100(str(folder)) == archive
    with pytest.raises(InputError, match=r"must have the MD5 03b5dce01913…, but has .*; delete it"):
        cifar.records(archive)
    monkeypatch.setattr(cifar, "MD5", cifar._md5(content))
    found = cifar.records(archive)
    assert found.digest == bare.digest
    assert np.array_equal(found.train, bare.train)
    archive.write_bytes(part := packed(folder, ("train.bin",)))
    monkeypatch.setattr(cifar, "MD5", cifar._md5(part))
    with pytest.raises(InputError, match=r"must be an archive with train\.bin and test\.bin"):
        cifar.records(archive)


def test_the_files_are_looked_for_in_order(nowhere, folder, monkeypatch):
    with pytest.raises(InputError, match=r"no route to host.*cifar-100-binary.*data\.path=FOLDER"):
        cifar.find_cifar100(None)
    with pytest.raises(InputError, match=r"^Folder `elsewhere` in `data\.path` must hold CIFAR"):
        cifar.find_cifar100("elsewhere")
    content, asked = packed(folder), []

    def home(address: str, timeout: float) -> io.BytesIO:
        asked.append(address)
        return io.BytesIO(content)

    monkeypatch.setattr(urllib.request, "urlopen", home)
    with pytest.raises(InputError, match="is not the published file"):
        cifar.find_cifar100(None)
    assert not nowhere.exists()
    monkeypatch.setattr(cifar, "MD5", cifar._md5(content))
    assert cifar.find_cifar100(None) == nowhere / cifar.ARCHIVE
    assert asked[-1] == "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
    assert [p.name for p in nowhere.iterdir()] == [cifar.ARCHIVE]
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    assert cifar.find_cifar100(None) == nowhere / cifar.ARCHIVE
    assert cifar.find_cifar100(str(folder)) == folder
    unpacked = write_colours(nowhere / "cifar-100-binary")
    (nowhere / cifar.ARCHIVE).unlink()
    assert cifar.find_cifar100(None) == cifar.inside_cache() == unpacked


def test_grey_images_are_placed_in_the_middle_of_every_channel():
    digit = torch.arange(2 * 28 * 28.0).reshape(2, 1, 28, 28) / 2000
    colour = torch.zeros(3, 3, 32, 32)
    found = image_sets.like(digit, colour)
    assert found.shape == (2, 3, 32, 32)
    for channel in range(3):
        assert torch.equal(found[:, channel, 2:30, 2:30], digit[:, 0])
    assert float(found.sum()) == pytest.approx(3 * float(digit.sum()), rel=1e-5)
    assert torch.equal(image_sets.like(digit, digit), digit)
