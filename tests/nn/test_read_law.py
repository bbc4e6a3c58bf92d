"""How a chip reads a layer, as training sees it: each part against its definition, and the chip."""

from dataclasses import replace

import pytest
import torch

from bayespin.chip.accelerator import Accelerator
from bayespin.network.models import Network
from bayespin.network.training import Recipe, fit
from bayespin.nn.estimators import local_reparameterised, reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Convolution, Dense
from bayespin.nn.read_law import ReadLaw, as_read
from bayespin.rng import Key, KeyedNoise

KEY = Key.root(0).child("read law")
CODES = torch.linspace(0.5, 1.0, 16).double()
LEVELS = torch.tensor([0.02, 0.04, 0.08, 0.16])
LAW = ReadLaw(input_scale=2.0, code_noise=CODES, read_noise=0.1, mean_limit=0.3, mean_error=0.01,
              sigma_levels=LEVELS)  # fmt: skip


DENSE = Dense(6, 4)


def layer_of(product=DENSE, sigma: float = 0.05) -> MeanFieldLayer:
    draw = KEY.child("layer").generator()
    mean = torch.empty(product.weight_shape).normal_(0, 0.3, generator=draw)
    return MeanFieldLayer.holding(
        product, mean, torch.full_like(mean, sigma), torch.arange(product.outputs) / 10
    )


def inputs(*shape: int) -> torch.Tensor:
    return torch.empty(shape).uniform_(-3, 3, generator=KEY.child("inputs").generator())


def test_inputs_are_steps_within_the_scale():
    x = torch.tensor([-5.0, -0.1, 0.0, 0.07, 1.0, 2.0, 9.0])
    step = 2.0 / 15
    wanted = torch.tensor([-2.0, -step, 0.0, step, 8 * step, 2.0, 2.0])
    torch.testing.assert_close(LAW.driven(x), wanted)


def test_spreads_are_the_level_nearest_in_ratio():
    sigma = torch.tensor([0.001, 0.028, 0.029, 0.05, 0.057, 1.0])
    wanted = torch.tensor([0.02, 0.02, 0.04, 0.04, 0.08, 0.16])
    torch.testing.assert_close(LAW.variance(sigma), wanted.square() + 0.01**2)
    assert (LAW.window.floor, LAW.window.cap) == pytest.approx((0.02, 0.16))


def test_what_read_noise_supplies_cells_need_not():
    """With a floor of 0.03 the levels stand for 0.036, 0.05, 0.085 and 0.163."""
    law = replace(LAW, noise_floor=0.03, mean_error=0.0)
    sigma = torch.tensor([0.01, 0.042, 0.044, 0.2])
    torch.testing.assert_close(law.variance(sigma), torch.tensor([0.02, 0.02, 0.04, 0.16]).square())
    assert (law.window.floor, law.window.cap) == pytest.approx((0.0013**0.5, 0.0265**0.5))
    free = replace(law, sigma_levels=None)
    torch.testing.assert_close(free.variance(sigma), sigma.square())


@pytest.mark.parametrize("product", [Dense(6, 4), Convolution(2, 3, 3)])
def test_moments_are_those_of_the_definition(product):
    """Weight by weight: many reads have the mean and the variance of the module's equation."""
    layer = layer_of(product)
    x = inputs(3, 6) if isinstance(product, Dense) else inputs(2, 2, 5, 5)
    sent = LAW.driven(x)
    mean = layer.mean.detach().clamp(-0.3, 0.3)
    variance = torch.full_like(mean, 0.04**2 + 0.01**2)
    codes = (sent.abs() * (15 / 2.0)).round().long()
    ones = torch.ones_like(mean)
    wanted = product.apply(sent, mean) + product.per_output(layer.bias.detach())
    power = product.apply(sent.square(), variance)
    power = power + product.apply(0.1**2 * CODES.float()[codes], ones)
    reads = as_read({layer: LAW}, local_reparameterised)
    noise = KeyedNoise.from_key(KEY.child("reads"))
    with torch.no_grad():
        found = torch.stack([reads(layer, x, noise) for _ in range(4000)])
    z = (found.mean(0) - wanted) / (power / 4000).sqrt()
    assert float(z.abs().max()) < 5.5
    ratio = found.var(0) / power  # its standard deviation is √(2/4000) = 0.022
    assert float((ratio - 1).abs().max()) < 0.13


def test_held_weights_have_the_same_variance_read_by_read():
    """With one draw of the weights for all images, fresh read noise is added all the same."""
    layer, x = layer_of(), inputs(1, 6).expand(2, 6)
    noise = KeyedNoise.from_key(KEY.child("held"))
    fresh = as_read({layer: LAW}, local_reparameterised)
    held = as_read({layer: LAW}, reparameterised)
    with torch.no_grad():
        a, b = (torch.stack([r(layer, x, noise) for _ in range(4000)]) for r in (fresh, held))
    assert float((a.var(0) / b.var(0) - 1).abs().max()) < 0.18
    heat = float(LAW.heat(LAW.driven(x), layer.product)[0, 0])
    gap = (b[:, 0] - b[:, 1]).var(0)  # the weights are the same: what differs is read noise
    assert float((gap / (2 * heat) - 1).abs().max()) < 0.13


def test_gradients_pass_straight_through_what_rounds():
    layer, x = layer_of(), inputs(3, 6)
    x.requires_grad_()
    y = as_read({layer: LAW}, local_reparameterised)(layer, x, KeyedNoise.from_key(KEY))
    y.square().sum().backward()
    assert bool((layer.mean.grad != 0).all())  # also of means beyond the limit
    assert bool((layer.spread.grad != 0).all())
    assert torch.equal(x.grad[0] == 0, x[0].abs() > 2.0)


def test_a_layer_without_a_law_is_read_as_it_is():
    layer, x = layer_of(), inputs(3, 6)
    a = as_read({}, local_reparameterised)(layer, x, KeyedNoise.from_key(KEY))
    assert torch.equal(a, local_reparameterised(layer, x, KeyedNoise.from_key(KEY)))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"input_scale": 0.0}, "`input_scale` must be positive, but is 0.0"),
        ({"read_noise": -1.0}, "`read_noise` must not be negative, but is -1.0"),
        ({"sigma_levels": torch.tensor([0.1, 0.1])}, "`sigma_levels` must rise"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        replace(LAW, **change)


def small() -> tuple[Network, torch.Tensor, torch.Tensor]:
    hidden = MeanFieldLayer(Dense(20, 30), KEY.child("hidden"))
    output = MeanFieldLayer(Dense(30, 3), KEY.child("output"))
    network = Network({"hidden": hidden, "relu": torch.nn.ReLU(), "output": output})
    draw = KEY.child("data").generator()
    x = torch.empty(300, 20).uniform_(generator=draw)
    return network, x, (3 * x[:, :3]).argmax(1)


def test_laws_are_those_of_the_mapping_and_of_the_chip():
    """The variance that a law promises is that of a programmed chip, within its cells' spread."""
    network, x, y = small()
    recipe = Recipe(epochs=10, batch=50, learning_rate=0.01, estimator="local_reparameterised",
                    kl_weight=0.1)  # fmt: skip
    fit(network, (x, y), recipe, KEY.child("fit"))
    chip = Accelerator.from_preset()
    laws = chip.read_laws(network, x, KEY.child("laws"))
    fit(network, (x, y), replace(recipe, reads=laws), KEY.child("aware"))
    twin = chip.deploy(network, x, KEY.child("chip"))
    scale = max(1.0, float(x.max()))
    assert {m.layer: m.gain for m in twin.mappings}.keys() == laws.keys()
    law, stage = replace(laws["hidden"], mean_error=0.0), network.stages["hidden"]
    assert law.input_scale <= scale
    assert float(stage.sigma().detach().max()) <= law.window.cap * 1.0001
    assert float(stage.mean.detach().abs().max()) <= law.mean_limit * 1.0001
    with torch.no_grad():
        noise = KeyedNoise.from_key(KEY.child("noise"))
        seen = as_read({stage: law}, local_reparameterised)
        promised = torch.stack([seen(stage, x[:40], noise) for _ in range(600)]).var(0)
        reads = torch.stack(
            [twin.network.stages["hidden"](x[:40], noise, local_reparameterised)
             for _ in range(600)]
        ).var(0)  # fmt: skip
    assert float((reads / promised).log().mean().exp()) == pytest.approx(1.0, abs=0.2)


def test_sliced_layers_have_no_error_of_programming_in_their_laws():
    network, x, _ = small()
    chip = Accelerator.from_preset()
    plain = chip.read_laws(network, x, KEY.child("laws"))
    laws = chip.read_laws(network, x, KEY.child("laws"), slices=("hidden",))
    assert laws["hidden"].mean_error == 0 < plain["hidden"].mean_error
    assert laws["output"].mean_error == plain["output"].mean_error
    with pytest.raises(ValueError, match=r"`slices` must name mean-field .* but has relu"):
        chip.read_laws(network, x, KEY.child("laws"), slices=("relu",))


def test_laws_of_layers_that_are_not_there_are_refused():
    network, x, y = small()
    with pytest.raises(ValueError, match=r"`reads` must be for mean-field layers .* has other"):
        fit(network, (x, y), Recipe(epochs=1, batch=9, learning_rate=0.1, reads={"other": LAW}),
            KEY)  # fmt: skip


def test_other_codings_are_refused_by_name():
    chip = Accelerator.from_preset()
    chip = replace(chip, layout=replace(chip.layout, coding="bit-serial"))
    network, x, _ = small()
    with pytest.raises(ValueError, match="`coding` must be amplitude where reads are learnt"):
        chip.read_laws(network, x, KEY)
