"""Files that come back whole or are refused in one sentence."""

import errno

import pytest
import torch
from safetensors.torch import load_file, save_file

from bayespin.load import InputError
from bayespin.network.checkpoint import (
    AdamState,
    load_network,
    load_state,
    save_network,
    save_state,
)
from bayespin.network.models import Network
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.numerics import tensor_file
from bayespin.rng import Key

KEY = Key.root(0).child("checkpoint")


def network_of(seed: int = 0, outputs: int = 2, layer=MeanFieldLayer) -> Network:
    return Network({"dense": layer(Dense(3, outputs), KEY.child(seed))})


def kept(network: Network, optimiser: torch.optim.Adam) -> AdamState:
    return AdamState(dict(network.named_parameters()), optimiser)


def trained(steps: int = 3) -> tuple[Network, torch.optim.Adam]:
    network = network_of()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        sum(p.square().sum() for p in network.parameters()).backward()
        optimiser.step()
    return network, optimiser


def same(a: Network, b: Network) -> bool:
    return all(b.state_dict()[name].equal(value) for name, value in a.state_dict().items())


def test_networks_come_back_to_the_bit(tmp_path):
    path, network = tmp_path / "network.safetensors", network_of(1)
    save_network(path, network)
    assert same(load_network(path, network_of(2)), network)
    assert not same(network_of(2), network)


def test_optimisers_come_back_to_the_bit(tmp_path):
    path, (network, optimiser) = tmp_path / "state.safetensors", trained()
    save_state(path, network, kept(network, optimiser), 7)
    other = network_of(5)
    restored = torch.optim.Adam(other.parameters(), lr=0.1)
    assert load_state(path, other, kept(other, restored)) == 7
    assert same(other, network)
    for old, new in zip(network.parameters(), other.parameters(), strict=True):
        for field in ("step", "exp_avg", "exp_avg_sq"):
            assert restored.state[new][field].equal(optimiser.state[old][field])


def test_without_a_file_training_begins_at_zero(tmp_path):
    network, optimiser = trained()
    before = network_of()
    before.load_state_dict(network.state_dict())
    assert load_state(tmp_path / "none", network, kept(network, optimiser)) == 0
    assert same(network, before)


def refused(call, *arguments) -> str:
    """Return the one sentence of a refusal."""
    with pytest.raises(InputError) as refusal:
        call(*arguments)
    text = str(refusal.value)
    assert "\n" not in text
    assert text.startswith("Checkpoint `")
    assert text.endswith(".")
    return text


@pytest.mark.parametrize("length", [0, 3, 8, 100, -1])
def test_a_truncated_file_is_refused(tmp_path, length):
    path, network = tmp_path / "cut", network_of(1)
    save_network(path, network)
    path.write_bytes(path.read_bytes()[:length])
    assert "is damaged" in refused(load_network, path, network)


def test_bytes_of_something_else_are_refused(tmp_path):
    path = tmp_path / "picture"
    path.write_bytes(b"\x89PNG\r\n" * 100)
    assert "must be a whole safetensors file" in refused(load_network, path, network_of())


def test_a_missing_network_is_refused(tmp_path):
    assert "none.safetensors" in refused(load_network, tmp_path / "none.safetensors", network_of())


@pytest.mark.parametrize("other", ["more outputs", "deterministic"])
def test_the_file_of_another_network_is_refused_and_changes_nothing(tmp_path, other):
    path, network = tmp_path / "network", network_of(1)
    kind = PointLayer if other == "deterministic" else MeanFieldLayer
    save_network(path, network_of(2, outputs=2 if other == "deterministic" else 3, layer=kind))
    text = refused(load_network, path, network)
    assert "must hold `stages.dense" in text
    assert "another network" in text
    assert same(network, network_of(1))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_refused_and_change_nothing(tmp_path, value):
    path, network = tmp_path / "network", network_of(1)
    broken = network_of(2)
    with torch.no_grad():
        broken.stages["dense"].spread[1, 2] = value
    save_network(path, broken)
    assert "`stages.dense.spread` holds NaN or infinity" in refused(load_network, path, network)
    assert same(network, network_of(1))


def test_training_does_not_resume_from_a_finished_network(tmp_path):
    path, (network, optimiser) = tmp_path / "network", trained()
    save_network(path, network)
    assert "another step" in refused(load_state, path, network, kept(network, optimiser))


def test_training_does_not_resume_from_half_an_optimiser(tmp_path):
    path, (network, optimiser) = tmp_path / "state", trained()
    save_state(path, network, kept(network, optimiser), 2)
    tensors = load_file(path)
    del tensors["adam.exp_avg.stages.dense.mean"]
    save_file(tensors, path, metadata={"content": "training", "epochs": "2"})
    assert "adam.exp_avg.stages.dense.mean" in refused(
        load_state, path, network, kept(network, optimiser)
    )


def test_a_failing_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path, old = tmp_path / "network", network_of(1)
    save_network(path, old)

    def full(tensors, target, metadata):
        target.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tensor_file, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        save_network(path, network_of(2))
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["network"]
    assert same(load_network(path, network_of(3)), old)


def test_interruption_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path, old = tmp_path / "network", network_of(1)
    save_network(path, old)

    def interrupted(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(tensor_file.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_network(path, network_of(2))
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == ["network"]
    assert same(load_network(path, network_of(3)), old)
