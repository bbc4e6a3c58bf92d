"""Means on several cells: the same network in software, a smaller error on a chip, more reads."""

from dataclasses import replace

import pytest
import torch

from bayespin.chip.accelerator import Accelerator
from bayespin.network.models import Network
from bayespin.network.slicing import sliced
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.mean_field import MeanFieldLayer, inverse_softplus
from bayespin.nn.product import Convolution, Dense
from bayespin.rng import InjectedNoise, Key

KEY = Key.root(41)
PRESET = Accelerator.from_preset()
IMAGES = torch.rand(60, 2, 6, 6, generator=KEY.child("images").generator())


def network_of():
    layers = {
        "conv": MeanFieldLayer(Convolution(2, 3, 3, groups=1), KEY.child("conv")),
        "relu": torch.nn.ReLU(),
        "flat": torch.nn.Flatten(),
        "dense": MeanFieldLayer(Dense(48, 7), KEY.child("dense")),
    }
    with torch.no_grad():
        for name in ("conv", "dense"):
            layers[name].spread.fill_(float(inverse_softplus(torch.tensor(0.01))))
    return Network(layers)


def chip_of(wires):
    layout = replace(PRESET.layout, rows=32, outputs=32)
    return replace(PRESET, layout=layout if wires else replace(layout, wires=None))


def acting(twin, name, count):
    names = [name] if count == 1 else [f"{name}_slice{s + 1}" for s in range(count)]
    return sum(twin.network.stages[n].acting_mean() for n in names)


@pytest.mark.parametrize("wires", [False, True], ids=["bare", "wired"])
@pytest.mark.parametrize("name", ["conv", "dense"])
def test_a_second_slice_makes_good_what_the_first_is_off(name, wires):
    network, chip = network_of(), chip_of(wires)
    once = chip.deploy(network, IMAGES, KEY)
    twice = chip.deploy(sliced(network, {name: 2}, reads=10**8), IMAGES, KEY)
    wanted = network.stages[name].mean.detach().double()
    first = float((acting(once, name, 1) - wanted).square().mean().sqrt())
    both = float((acting(twice, name, 2) - wanted).square().mean().sqrt())
    assert both < first / 3  # the few cells with a stuck wall are what is left
    assert first > 1e-3 * float(wanted.abs().max())


def test_the_look_at_the_first_slice_limits_the_second():
    network, chip = network_of(), chip_of(wires=False)
    wanted = network.stages["dense"].mean.detach().double()
    twin = chip.deploy(sliced(network, {"dense": 2}, reads=16), IMAGES, KEY)
    spread = twin.network.stages["dense_slice1"].programmed_sigma(0.0).square().mean().sqrt()
    error = float((acting(twin, "dense", 2) - wanted).square().mean().sqrt())
    exact = chip.deploy(sliced(network, {"dense": 2}, reads=10**10), IMAGES, KEY)
    rest = float((acting(exact, "dense", 2) - wanted).square().mean().sqrt())
    assert error == pytest.approx((float(spread) ** 2 / 16 + rest**2) ** 0.5, rel=0.1)


def test_three_slices_are_better_than_two_and_carry_hardly_more_spread():
    network, chip = network_of(), chip_of(wires=False)
    wanted = network.stages["dense"].mean.detach().double()
    errors, powers = [], []
    for count in (2, 3):
        twin = chip.deploy(sliced(network, {"dense": count}, reads=10**10), IMAGES, KEY)
        errors.append(float((acting(twin, "dense", count) - wanted).square().mean().sqrt()))
        layers = [twin.network.stages[f"dense_slice{s + 1}"] for s in range(count)]
        powers.append([float(layer.programmed_sigma(0.0).square().mean()) for layer in layers])
    assert errors[1] < errors[0] / 2.5
    assert all(sum(later) < 0.02 * first for first, *later in powers)


def test_in_software_a_sliced_network_is_the_network():
    network = network_of()
    cut = sliced(network, {"dense": 3, "conv": 2})
    silent = [torch.zeros(60, 3, 4, 4)] * 2 + [torch.zeros(60, 7)] * 3
    plain = network(IMAGES, InjectedNoise([silent[0], silent[2]]), local_reparameterised)
    torch.testing.assert_close(cut(IMAGES, InjectedNoise(silent), local_reparameterised), plain)
    assert cut.stages["dense_slice1"] is network.stages["dense"]


def test_slices_cost_their_reads_and_predict():
    network, chip = network_of(), chip_of(wires=True)
    once = chip.deploy(network, IMAGES, KEY)
    twice = chip.deploy(sliced(network, {"dense": 2, "conv": 2}), IMAGES, KEY)
    assert twice.predict(IMAGES[:4], 3, KEY).mean.shape == (4, 7)

    def conversions(twin):
        return sum(layer.events.conversions for layer in twin.activity(IMAGES[:4], KEY))

    assert conversions(twice) == 2 * conversions(once)
    assert twice.bill(IMAGES[:4], 10, KEY).energy_j > 1.8 * once.bill(IMAGES[:4], 10, KEY).energy_j
    text = str(chip.dry_run(sliced(network, {"dense": 2}), IMAGES[:1]))
    assert "dense_slice2" in text


@pytest.mark.parametrize(
    "slices, reads, words",
    [
        ({"relu": 2}, 10, "must name mean-field layers of the network, but names `relu`"),
        ({"dense": 1}, 10, "must hold numbers of at least 2, but is 1 for `dense`"),
        ({"dense": 2}, 0, "`reads` must be at least 1, but is 0"),
    ],
)
def test_what_cannot_be_sliced_is_refused(slices, reads, words):
    with pytest.raises(ValueError, match=words):
        sliced(network_of(), slices, reads)


def test_a_second_slice_takes_whatever_spread_cells_have_behind_weak_drives():
    """One row in 120 is driven, the others add their noise: no σ of a remainder would do."""
    layer = MeanFieldLayer(Dense(120, 2), KEY.child("dark"))
    with torch.no_grad():
        layer.spread.fill_(float(inverse_softplus(torch.tensor(0.3))))
    x = torch.full((240, 120), 0.01)
    x[torch.arange(240), torch.arange(240) % 120] = 1.0
    twin = PRESET.deploy(sliced(Network({"dense": layer}), {"dense": 2}), x, KEY)
    assert sorted(twin.layers) == ["dense_slice1", "dense_slice2"]
