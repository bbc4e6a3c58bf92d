"""Cells of the presets beside the reference: built, programmed to what they say, deployed."""

from dataclasses import replace

import pytest
import torch

import bayespin as bs
from bayespin.cell.bit_cell import BitCell
from bayespin.cell.interface import WantedCells
from bayespin.device import presets
from bayespin.load import read_resource
from bayespin.network.models import Network
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key

OTHERS = ("perpendicular-50nm", "vcma-50nm")
GAIN = 4.0


def test_what_a_preset_does_not_say_is_that_of_the_one_it_is_like():
    own, other = read_resource("presets", "vcma-50nm"), read_resource("presets", "easyplane-50nm")
    assert own["track"] == other["track"]
    assert own["source"]["track"] == other["source"]["track"]
    assert own["source"]["pillar"] != other["source"]["pillar"]
    assert "like" not in own
    assert "table" not in own["pillar"]  # a section is taken whole


def test_the_presets_are_what_their_names_say():
    assert presets.junction("perpendicular-50nm").orientation == "perpendicular"
    assert presets.junction("vcma-50nm").gate.kind == "volatile"


@pytest.mark.parametrize("name", OTHERS)
def test_spreads_rise_with_the_level(name):
    cell = BitCell.preset(name)
    for kelvin in (300.0, 320.0):
        assert bool((cell.sigma_levels(GAIN, kelvin).diff() > 0).all())


@pytest.mark.parametrize("name", OTHERS)
def test_programmed_spreads_are_those_of_the_levels(name):
    """Median over 800 cells; levels up to a fifth apart and read at another window: 5 % allowed."""
    cell = BitCell.preset(name)
    cell = replace(cell, environment=replace(cell.environment, use_temperature=300.0))
    low, high = cell.sigma_window(GAIN, 1.0)
    sigma = torch.linspace(1.1 * low, 0.9 * high, 800, dtype=torch.float64).reshape(80, 10)
    noise = cell.read_noise(GAIN)
    wanted = WantedCells(mean=torch.zeros_like(sigma), sigma=sigma, read_noise=noise)
    cells = cell.program(wanted, GAIN, Key.root(0)).cells
    held = ((cells.deviation / cell.full_scale).square() + noise**2).sqrt()
    assert float((held / sigma).median()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("name", OTHERS)
def test_a_network_is_deployed_and_predicts(name):
    key = Key.root(1)
    network = Network({"classes": MeanFieldLayer(Dense(16, 3), key.child("classes"))})
    inputs = torch.rand(20, 16, generator=key.child("inputs").generator())
    twin = bs.Accelerator.from_preset(name).deploy(network, inputs, key.child("chip"))
    found = twin.predict(inputs, reads=50, key=key.child("read")).mean
    torch.testing.assert_close(found.sum(-1), torch.ones(20).to(found), rtol=1e-4, atol=0)
    ours = bs.Accelerator.from_preset().deploy(network, inputs, key.child("chip"))
    assert bs.Accelerator.from_preset(name).preset_hash != bs.Accelerator.from_preset().preset_hash
    same = ours.predict(inputs, reads=50, key=key.child("read")).mean
    assert float((found - same).abs().mean()) < 0.2  # the same weights on another device
