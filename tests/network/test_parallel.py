"""Two processes train what one does: to the bit with two shares, to rounding with four."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bayespin.network.checkpoint import load_network
from bayespin.network.parallel import Processes
from bayespin.network.training import fit
from tests.network.test_training import states_equal
from tests.network.two_processes import KEY, TRAININGS, data, network_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes leave; started once, as they take their time to import torch."""
    found = tmp_path_factory.mktemp("parallel")
    command = [sys.executable, "-W", "ignore", "-m", "tests.network.two_processes"]
    started = [
        subprocess.Popen(
            [*command, str(rank), str(found)], cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    try:
        errors = [process.communicate(timeout=300)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], "\n".join(errors)
    return found


def of_process(folder: Path, name: str, rank: int, layer):
    return load_network(folder / f"{name}-{rank}.safetensors", network_of(layer, start=9))


@pytest.mark.parametrize("name", TRAININGS)
def test_two_processes_train_what_one_does(folder, name):
    layer, recipe = TRAININGS[name]
    alone = fit(network_of(layer), data(), recipe, KEY)
    first, second = (of_process(folder, name, rank, layer) for rank in (0, 1))
    assert states_equal(first, second)
    if recipe.shares == 2:
        assert states_equal(first, alone)
    for a, b in zip(first.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    moved = [float((a - b).detach().abs().max()) for a, b in
             zip(alone.parameters(), network_of(layer).parameters(), strict=True)]  # fmt: skip
    assert min(moved) > 1e-3


def test_resumed_together_ends_in_the_same_bits(folder):
    layer, recipe = TRAININGS["adam"]
    whole = fit(network_of(layer), data(), recipe, KEY)
    assert all(states_equal(of_process(folder, "resumed", r, layer), whole) for r in (0, 1))


@pytest.mark.parametrize(
    "name, words",
    [
        ("wild", "TrainingDiverged: Training diverged in epoch"),
        ("odd", "ValueError: `shares` must be a multiple of the 2 processes, but is 3."),
        ("unlike", "ValueError: All processes must train alike, but plan (0, 2, 8, 17"),
        ("norm", "ValueError: Argument `network` must hold no batch norm"),
    ],
)
def test_both_processes_stop_with_the_same_words(folder, name, words):
    """Were one to go on, it would wait for the other for ever."""
    said = [(folder / f"{name}-{rank}.txt").read_text() for rank in (0, 1)]
    assert said[0] == said[1]
    assert said[0].startswith(words)


def test_a_group_must_be_joined_first():
    with pytest.raises(ValueError, match="must be made after a group was joined"):
        Processes()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc, which Linux has")
@pytest.mark.parametrize("rank", [0, 1])
def test_no_thread_of_a_group_outlives_it(folder, rank):
    together, after = json.loads((folder / f"threads-{rank}.json").read_text())
    assert [name for name in together if "gloo" in name]
    assert not [name for name in after if "gloo" in name]
