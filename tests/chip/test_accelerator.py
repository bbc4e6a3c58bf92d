"""A network on a chip: the software's twin when perfect, another thing when not, and its bill."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn

from bayespin.array.hold import Hold
from bayespin.chip.accelerator import Accelerator, Deployment
from bayespin.load import InputError
from bayespin.network.architectures import lenet5
from bayespin.network.models import Network
from bayespin.network.prediction import predict_reads
from bayespin.nn.correlated import CorrelatedSampling
from bayespin.nn.estimators import Sampling, local_reparameterised, reparameterised
from bayespin.nn.hardware import HardwareLayer
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.pooling import MaxPool2
from bayespin.nn.product import Convolution, Dense
from bayespin.rng import InjectedNoise, Key, KeyedNoise
from tests.statistical.check import mean_is, required_samples

KEY = Key.root(0).child("accelerator")
CHIP = Accelerator.from_preset()


def with_converters(input_bits: int, adc_bits: int) -> Accelerator:
    """The preset chip with other converters."""
    read = replace(CHIP.cell.read, input_bits=input_bits, adc_bits=adc_bits)
    return replace(CHIP, cell=replace(CHIP.cell, read=read))


def network_of(layer=MeanFieldLayer) -> Network:
    """A convolution and two dense layers for 6 × 6 images: means ~ N(0, 0.5²), σ = 0.12."""
    products = {
        "conv": Convolution(1, 3, 3),
        "dense1": Dense(12, 8),
        "dense2": Dense(8, 3),
    }
    made = {name: layer(product, KEY.child(name)) for name, product in products.items()}
    if layer is MeanFieldLayer:
        with torch.no_grad():
            for stage in made.values():
                stage.mean.mul_(5.0)
                stage.spread.fill_(-2.0)
    return Network(
        {
            "conv": made["conv"],
            "pool": MaxPool2(),
            "relu1": nn.ReLU(),
            "flatten": nn.Flatten(),
            "dense1": made["dense1"],
            "relu2": nn.ReLU(),
            "dense2": made["dense2"],
        }
    )


def images(count: int) -> torch.Tensor:
    return torch.empty(count, 1, 6, 6).uniform_(generator=KEY.child("images").generator())


@cache
def deployed(devices: str = "spintronic", chip: int = 0) -> Deployment:
    return CHIP.deploy(network_of(), images(64), KEY.child("chip", chip), devices)


@cache
def fine() -> Deployment:
    """No wires, perfect devices, 10-bit converters widened so that only rounding is left."""
    chip = with_converters(10, 10)
    chip = replace(chip, layout=replace(chip.layout, wires=None))
    deployment = chip.deploy(network_of(), images(64), KEY.child("fine"), "ideal")
    for layer in deployment.network.random_layers().values():
        layer.adc_range.mul_(1.5)
    return deployment


class Recorded:
    """Noise that remembers what it gave, so that another network can be given the same."""

    def __init__(self, key: Key):
        self.source, self.draws = KeyedNoise.from_key(key), []

    def normal(self, like):
        self.draws.append(self.source.normal(like))
        return self.draws[-1]


def clipped_twin(deployment: Deployment) -> Network:
    """The software network with the chip's limits: means and activations end at full scale."""
    network = network_of()
    stages = {}
    for name, stage in network.stages.items():
        if isinstance(stage, MeanFieldLayer):
            mapping = next(m for m in deployment.mappings if m.layer == name)
            with torch.no_grad():
                stage.mean.clamp_(-mapping.weight_max, mapping.weight_max)
            stages[f"limit {name}"] = nn.Hardtanh(0.0, mapping.input_scale)
        stages[name] = stage
    return Network(stages)


def test_perfect_devices_and_fine_converters_are_the_software_network():
    """Read by read, with the same noise: 10-bit converters leave 1 % of the logits' scatter."""
    x, noise = images(64), Recorded(KEY.child("reads"))
    with torch.no_grad():
        wanted = clipped_twin(fine())(x, noise, local_reparameterised)
        found = fine().network(
            x, InjectedNoise([d[None] for d in noise.draws]), local_reparameterised
        )
    assert float((found - wanted).square().mean().sqrt()) < 0.01 * float(wanted.std())


def test_perfect_devices_have_the_predictive_of_the_software_network():
    """Independent noise: a shift by 7 % of one read's scatter is seen, in mean and in mean square.

    Bias: what 10-bit converters leave, from the test above.
    """
    count = required_samples(2**0.5, 0.07)
    pair = images(1).expand(count, -1, -1, -1)
    hardware = predict_reads(fine().network, pair, Sampling.PER_READ, 1, KEY.child("a"))
    software = predict_reads(clipped_twin(fine()), pair, Sampling.PER_READ, 1, KEY.child("b"))
    a, b = hardware[0, :, 0].double(), software[0, :, 0].double()
    centre, spread = float(b.mean()), float(b.std())
    mean_is(a - b, 0.0, bias=5e-4)
    mean_is(((a - centre) / spread) ** 2 - ((b - centre) / spread) ** 2, 0.0, bias=0.02)


def test_real_devices_miss_by_what_the_preset_states():
    """Means by a fraction of a level step; σ by mismatch, level rounding and 20 K of drift."""
    perfect, real = (deployed(d).network.stages["dense1"] for d in ("ideal", "spintronic"))
    scale = perfect.spec.weight_max * perfect.spec.input_scale
    step = 1 / (CHIP.cell.track.levels - 1)
    missed = (real.mean - perfect.mean) / scale / step
    assert 0.03 < float(missed.abs().median()) < 0.3
    ratio = (real.variance / perfect.variance).sqrt()
    assert 0.01 < float((ratio.log()).std()) < 0.3
    assert 0.7 < float(ratio.median()) < 1.3
    x = images(20)
    shift = (deployed(d).predict(x, 5, KEY).mean for d in ("ideal", "spintronic"))
    assert not torch.allclose(*shift, rtol=0, atol=1e-3)


def test_the_key_makes_the_chip():
    x = images(5)
    first = deployed().network.state_dict()
    again = CHIP.deploy(network_of(), images(64), KEY.child("chip", 0)).network.state_dict()
    other = deployed(chip=1).network.state_dict()
    assert all(first[name].equal(again[name]) for name in first)
    assert not first["stages.dense1.mean"].equal(other["stages.dense1.mean"])
    reads = [deployed(chip=c).predict(x, 3, KEY).mean for c in (0, 0, 1)]
    assert reads[0].equal(reads[1])
    assert not reads[0].equal(reads[2])


def test_the_software_network_is_left_as_it_is():
    network = network_of().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    deployment = CHIP.deploy(network, images(16), KEY.child("chip"))
    assert all(network.state_dict()[name].equal(value) for name, value in before.items())
    assert all(module.training for module in network.modules())
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    assert not any(module.training for module in deployment.network.modules())


def test_later_training_does_not_reach_the_chip():
    """Also where a layer stays digital."""
    network = Network(
        {
            "point": PointLayer(Dense(4, 4), KEY.child("point")),
            "relu": nn.ReLU(),
            "random": MeanFieldLayer(Dense(4, 2), KEY.child("random")),
        }
    )
    x = torch.rand(8, 4, generator=KEY.child("x").generator())
    deployment = CHIP.deploy(network, x, KEY.child("chip"))
    before = deployment.predict(x, 2, KEY).mean
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert deployment.predict(x, 2, KEY).mean.equal(before)


def test_noise_is_on_every_read_of_every_image():
    """No read equals another, nor the network of means."""
    x = images(10)
    network = deployed("ideal").network
    reads = predict_reads(network, x, Sampling.PER_READ, 5, KEY.child("on"))
    software = network_of()
    with torch.no_grad():
        layers = software.random_layers().values()
        zeros = InjectedNoise([torch.zeros(s.mean.shape) for s in layers])
        means = software(x, zeros, reparameterised).softmax(-1)
    apart = [(a - b).abs().amax(1).min() for i, a in enumerate([*reads, means]) for b in reads[:i]]
    assert float(torch.stack(apart).min()) > 0


def test_every_layer_is_mapped_and_in_place():
    deployment = deployed()
    assert [m.layer for m in deployment.mappings] == ["conv", "dense1", "dense2"]
    assert [m.weights for m in deployment.mappings] == [27, 96, 24]
    layers = deployment.network.random_layers()
    assert all(isinstance(layer, HardwareLayer) for layer in layers.values())
    biases = network_of().random_layers()
    assert all(layers[name].bias.equal(biases[name].bias.detach()) for name in layers)


def test_conversions_of_lenet_by_hand():
    """784·6 + 100·16·2 + 120·4 + 84 + 10 = 8,478: one per output, position and tile."""
    x = torch.rand(4, 1, 28, 28, generator=KEY.child("grey").generator())
    deployment = CHIP.deploy(lenet5(KEY.child("lenet")), x, KEY.child("chip"), "ideal")
    layers = {a.name: a for a in deployment.activity(x, KEY)}
    assert {name: a.events.conversions for name, a in layers.items()} == {
        "conv1": 4704, "conv2": 3200, "dense1": 480, "dense2": 84, "dense3": 10,
    }  # fmt: skip
    assert sum(a.events.cell_reads for a in layers.values()) == 416_520
    assert {(t.rows, t.outputs) for t in layers["dense1"].tiles} == {(100, 30)}
    assert len(layers["dense1"].tiles) == 4 * 4
    assert [a.positions for a in layers.values()] == [784, 100, 1, 1, 1]


def test_the_bill_adds_up_and_grows_with_reads():
    x = images(8)
    bill, double = (deployed().bill(x, reads, KEY) for reads in (10, 20))
    for total, parts in (
        (bill.energy_j, bill.energy_by_component),
        (bill.energy_j, bill.energy_by_layer),
        (bill.latency_s, bill.latency_by_layer),
        (bill.area_m2, bill.area_by_component),
        (bill.area_m2, bill.area_by_layer),
    ):
        assert sum(parts.values()) == pytest.approx(total, rel=1e-9)
        assert min(parts.values()) >= 0 < total
    assert list(bill.energy_by_layer) == ["conv", "dense1", "dense2"]
    assert double.energy_j == pytest.approx(2 * bill.energy_j)
    assert double.latency_s == pytest.approx(2 * bill.latency_s)
    assert double.area_m2 == bill.area_m2
    assert double.programming_energy_j == bill.programming_energy_j


def test_dark_images_dissipate_less_and_convert_as_much():
    x = images(8)
    bright, dark = (
        {a.name: a.events for a in deployed().activity(y, KEY)} for y in (x, torch.zeros_like(x))
    )
    assert dark["conv"].array_energy == dark["conv"].row_drives == 0
    assert bright["conv"].array_energy > 0
    assert dark["conv"].conversions == bright["conv"].conversions


def test_programming_is_priced_once_per_chip_and_only_where_cells_are_written():
    x = images(4)
    real, perfect = deployed("spintronic"), deployed("ideal")
    assert set(real.layers) == {"conv", "dense1", "dense2"}
    assert real.layers["dense1"].events.write_pulses >= 4 * 96
    bill, free = real.bill(x, 1, KEY), perfect.bill(x, 1, KEY)
    assert bill.programming_energy_j > 0
    assert bill.programming_time_s > 0
    assert free.programming_energy_j == free.programming_time_s == 0


def refusal(network: Network, calibrate_on: torch.Tensor) -> str:
    with pytest.raises(ValueError, match="must") as error:
        CHIP.deploy(network, calibrate_on, KEY.child("chip"))
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_a_deterministic_network_is_refused():
    assert "must have a mean-field layer" in refusal(network_of(PointLayer), images(2))


def test_negative_inputs_are_read_in_a_second_read():
    """Without a ReLU before it the last layer sees both signs, and still is the software layer."""
    network = Network({k: s for k, s in network_of().stages.items() if k != "relu2"})
    chip = with_converters(10, 10)
    plain = replace(chip, layout=replace(chip.layout, wires=None))
    deployment = plain.deploy(network, images(64), KEY.child("signed"), "ideal")
    layers = deployment.network.stages
    assert [layers[name].spec.signed for name in deployment.layers] == [False, False, True]
    x = 4 * torch.rand(200, 8, generator=KEY.child("both").generator()) - 2
    with torch.no_grad():
        (mean,), (deviation,) = layers["dense2"].moments(x)
        wanted, spread = network.stages["dense2"].moments(x)
    limit = float(deployment.mappings[-1].input_scale)
    inside = (x.abs() < limit).all(1)
    assert int(inside.sum()) > 20
    torch.testing.assert_close(deviation[inside], spread[inside], rtol=0.02, atol=0)
    assert float((mean[inside] - wanted[inside]).abs().max()) < 0.2 * float(wanted.std())


@pytest.mark.parametrize("field", ["mean", "spread"])
def test_weights_that_are_not_finite_are_refused(field):
    network = network_of()
    with torch.no_grad():
        getattr(network.stages["dense1"], field)[2, 3] = torch.nan
    assert "Layer `dense1` must have finite" in refusal(network, images(16))


def test_calibration_images_that_are_none_are_refused():
    broken = images(4)
    broken[0, 0, 0, 0] = torch.nan
    for x in (broken, images(4)[:0]):
        assert "`calibrate_on` must hold at least one image" in refusal(network_of(), x)


def test_an_unknown_preset_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean `easyplane-50nm`"):
        Accelerator.from_preset("easyplane-50")


def test_converters_are_exchanged_and_nothing_else():
    chip = with_converters(4, 6)
    read = chip.cell.read
    assert (read.input_bits, read.adc_bits) == (4, 6)
    back = replace(chip, cell=replace(chip.cell, read=replace(read, input_bits=8, adc_bits=8)))
    assert back == CHIP


def test_frozen_needs_a_hold_and_pays_for_it():
    x = images(10)
    free = deployed("spintronic")
    for ask in (free.predict, free.bill):
        with pytest.raises(ValueError, match="must be `per_read` on a chip whose cells draw anew"):
            ask(x, 2, KEY, sampling=Sampling.FROZEN)
    hold = Hold(energy=2e-15, time=60e-9, scope="image")
    chip = replace(free.chip, hold=hold)
    holding = chip.deploy(network_of(), x, KEY.child("holding"))
    one = holding.predict(x, 3, KEY, sampling=Sampling.FROZEN)
    assert bool(torch.isfinite(one.mean).all())
    per_read, frozen = (holding.bill(x, 10, KEY, s) for s in (Sampling.PER_READ, Sampling.FROZEN))
    weights = sum(m.weights for m in holding.mappings)
    assert frozen.energy_by_component["hold"] == pytest.approx(10 * weights * 2e-15)
    assert "hold" not in per_read.energy_by_component
    assert frozen.latency_s < per_read.latency_s  # no wait for new draws


def test_frozen_reads_of_a_chip_are_draws_of_its_weights():
    """Spread over passes and over positions: equal patches differ only by read noise."""
    holding = replace(CHIP, hold=Hold(energy=0.0, time=0.0)).deploy(
        network_of(), images(20), KEY.child("frozen"), "ideal"
    )
    x = images(6)
    reads = predict_reads(holding.network, x.repeat(2, 1, 1, 1), Sampling.FROZEN, 4, KEY)
    assert reads[:, :6].equal(reads[:, 6:])  # a batch shares the draw, and ideal cells are quiet
    assert float(reads.std(0).max()) > 1e-3


def test_correlated_reads_of_a_chip():
    """At the preset's period reads are nearly independent; within a picosecond nearly frozen."""
    deployment, x = deployed(), images(6)
    apart = deployment.predict(x, 20, KEY, sampling=Sampling.CORRELATED)
    fresh = deployment.predict(x, 20, KEY)
    assert float((apart.mean - fresh.mean).abs().max()) < 0.2
    assert apart.mean.equal(deployment.predict(x, 20, KEY, sampling=Sampling.CORRELATED).mean)
    hasty = CorrelatedSampling(window=1e-13, period=1e-13)
    found = predict_reads(deployment.network, images(125), hasty, 30, KEY).double()
    calm = predict_reads(deployment.network, images(125), Sampling.PER_READ, 30, KEY).double()
    assert neighbours(found) > 0.25
    assert abs(neighbours(calm)) < 0.05
    with pytest.raises(ValueError, match="must say when cells are read"):
        predict_reads(deployment.network, x, Sampling.CORRELATED, 2, KEY)


def neighbours(reads: torch.Tensor) -> float:
    """Mean correlation of neighbouring passes of the first class's probability."""
    p = reads[:, :, 0] - reads[:, :, 0].mean(0)
    return float((p[1:] * p[:-1]).sum() / p.square().sum()) + 1 / len(p)


def test_digital_layers_stay_beside_the_chip():
    network = network_of()
    images = torch.empty(20, 1, 6, 6).uniform_(generator=KEY.child("digital").generator())
    twin = CHIP.deploy(network, images, KEY, digital=("dense2",))
    assert sorted(twin.layers) == ["conv", "dense1"]
    kept = twin.network.stages["dense2"]
    assert torch.equal(kept.mean, network.stages["dense2"].mean)
    assert kept is not network.stages["dense2"]
    assert twin.bill(images, 5, KEY).energy_j > 0
    with pytest.raises(ValueError, match=r"`digital` must name mean-field layers .* has other"):
        CHIP.deploy(network, images, KEY, digital=("other",))
    with pytest.raises(ValueError, match="must have a mean-field layer to deploy"):
        CHIP.deploy(network, images, KEY, digital=("conv", "dense1", "dense2"))
