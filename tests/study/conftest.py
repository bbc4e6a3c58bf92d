"""Stand-ins for the data sets, so that a study takes seconds and needs no download."""

import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bayespin.study import data
from tests.study.tiny import write_pictures


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the stand-ins."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="session")
def digests(pictures: Path) -> dict[str, Any]:
    """What stands for the list of published digests."""
    return write_pictures(pictures)


@pytest.fixture(scope="module")
def stand_ins(pictures: Path, digests: dict[str, Any]):
    """The folder of the stand-ins; while a module's tests run, they pass for the published."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "read_resource", lambda kind, name: digests)
        patch.setattr(urllib.request, "urlopen", _no_network)
        yield pictures


def _no_network(*args: Any, **kwargs: Any):
    raise AssertionError("nothing may be downloaded here")
