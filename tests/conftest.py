"""What every test stands on: seeds, data, hypothesis profile, and the guard of global state."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

from tasks import IMAGES_PACKAGE, IMAGES_SYSTEM, cache_folder, has_images

ROOT = Path(__file__).resolve().parent.parent

settings.register_profile("ci", derandomize=True, max_examples=50, deadline=None)
settings.register_profile("long", max_examples=1000, deadline=None)
settings.load_profile("ci")

# In SI units 1e-12 is a lot: energies, volumes and moments would equal anything. What is compared
# with zero states its `abs`.
type(pytest.approx(0.0)).DEFAULT_ABSOLUTE_TOLERANCE = 0.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the tests marked slow")
    parser.addoption("--fresh-seed", action="store_true", help="draw a new seed and print it")
    parser.addoption("--seed", type=int, default=0, help="the seed of a run to reproduce")


def pytest_configure(config: pytest.Config) -> None:
    worker = hasattr(config, "workerinput")  # its options, the drawn seed too, are the run's
    if config.getoption("--fresh-seed") and not worker:
        config.option.seed = secrets.randbelow(2**31)


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.getoption('--seed')} (reproduce with --seed N)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def global_state() -> dict[str, object]:
    """Everything that a call may change behind the back of its caller.

    Python's own `random` is left out: beartype draws from it at every check of a list or tuple.
    `test_house` forbids its import in the package instead.
    """
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - looked at, not used
    return {
        "torch default dtype": torch.get_default_dtype(),
        "torch default device": torch.get_default_device(),
        "torch grad mode": torch.is_grad_enabled(),
        "torch inference mode": torch.is_inference_mode_enabled(),
        "torch deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "torch thread count": torch.get_num_threads(),
        "torch random state": torch.get_rng_state().numpy().tobytes(),
        "NumPy random state": (name, keys.tobytes(), *rest),
        "NumPy error mode": tuple(np.geterr().items()),
    }


def changes(before: dict[str, object], after: dict[str, object]) -> list[str]:
    return [name for name, value in before.items() if after[name] != value]


@pytest.fixture(autouse=True)
def untouched_globals() -> Iterator[None]:
    """Fail a test, and so the library call inside it, that changes global state."""
    before = global_state()
    yield
    changed = changes(before, global_state())
    assert not changed, f"global state must stay untouched, but changed: {', '.join(changed)}"


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run: 0, or that of `--seed N`, or a new one with `--fresh-seed`."""
    return request.config.getoption("--seed")


@pytest.fixture(scope="session")
def fashion_mnist_dir() -> Path:
    """The folder with the four files of Fashion-MNIST."""
    for folder in (IMAGES_SYSTEM, cache_folder()):
        if has_images(folder):
            return folder
    pytest.skip(f"Fashion-MNIST is not here; `sudo apt install {IMAGES_PACKAGE}` brings it")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of small real data sets that some checkouts have beside them."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of shared data sets is not beside this checkout")
    return folder
