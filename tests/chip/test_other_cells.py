"""A chip of other cells: whatever offers `GaussianCell` deploys, predicts, ages and is stored."""

from dataclasses import replace

import pytest
import torch

from bayespin.array.converter_errors import AdcErrors
from bayespin.cell.interface import GaussianCell
from bayespin.chip.accelerator import Accelerator, Deployment
from bayespin.chip.storage import load_deployment, save_deployment
from bayespin.load import InputError
from bayespin.network.models import Network
from bayespin.nn.estimators import local_reparameterised
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.point import PointLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key, KeyedNoise
from tests.chip.other_cells import DigitalSampler
from tests.statistical.check import mean_is, required_samples

KEY = Key.root(0).child("other cells")
PRESET = Accelerator.from_preset()
READ = replace(PRESET.cell.read, input_bits=10, adc_bits=11)
SAMPLER = DigitalSampler(
    read=READ, environment=replace(PRESET.cell.environment, use_temperature=300.0), bits=10
)
BARE = replace(PRESET.layout, wires=None)  # codes, read where they stand
MADE = replace(
    PRESET, layout=replace(BARE, adc_errors=AdcErrors(offset=2.0, thermal_noise=0.5, dnl=0.2))
)
CHIP = replace(PRESET, cell=SAMPLER, layout=BARE, preset="custom", preset_hash="")


def network_of(key: Key = KEY) -> Network:
    made = {"one": MeanFieldLayer(Dense(160, 5), key), "two": MeanFieldLayer(Dense(5, 3), key)}
    with torch.no_grad():
        made["one"].mean.mul_(5.0)
        made["one"].spread.fill_(-2.0)
    point = PointLayer(Dense(3, 2), key.child("point"))
    return Network({"one": made["one"], "relu": torch.nn.ReLU(), "two": made["two"], "out": point})


def images(count: int) -> torch.Tensor:
    return torch.empty(count, 160).uniform_(generator=KEY.child("images").generator())


@pytest.fixture(scope="module")
def deployed() -> Deployment:
    return CHIP.deploy(network_of(), images(64), KEY.child("chip"))


def test_the_toy_and_the_reference_speak_the_protocol():
    assert isinstance(SAMPLER, GaussianCell)
    assert isinstance(PRESET.cell, GaussianCell)


def test_fine_codes_and_converters_are_the_software_network(deployed):
    """One output, read anew: its mean to 2 %, its spread to 5 %, both of the spread.

    Bias: half a code of 1,023 in each of 160 means, 2e-3 of the spread.
    """
    count = required_samples(2**0.5, 0.05)
    x = images(1).expand(count, -1)
    layer, software = deployed.network.stages["one"], network_of().stages["one"]
    noises = (KeyedNoise.from_key(KEY.child(name)) for name in ("chip", "software"))
    with torch.no_grad():
        found, wanted = (
            stage(x, noise, local_reparameterised)[:, 2].double()
            for stage, noise in zip((layer, software), noises, strict=True)
        )
    centre, spread = float(wanted.mean()), float(wanted.std())
    mean_is((found - wanted) / spread, 0.0, bias=5e-3)
    mean_is(((found - centre) / spread) ** 2 - ((wanted - centre) / spread) ** 2, 0.0, bias=0.01)


def test_it_predicts_and_pays(deployed):
    x = images(6)
    assert deployed.predict(x, 20, KEY).mean.shape == (6, 2)
    bill = deployed.bill(x, 20, KEY)
    assert bill.programming_energy_by_part["devices"] == pytest.approx(2e-15 * (800 + 15))
    # 160 rows are two tiles of 80, written at once; the second layer has five.
    assert bill.programming_time_s == pytest.approx(85e-9)
    paid = bill.amortised_energy(1000)
    assert paid == pytest.approx(bill.energy_j + bill.programming_energy_j / 1000, rel=1e-12)
    with pytest.raises(ValueError, match=r"`predictions` must be at least 1, but is 0\."):
        bill.amortised_energy(0)


def test_use_changes_cells_and_nothing_else(deployed):
    """3 K warmer its spread is 30 % larger; after a year its means are 1/e."""
    before, warm = deployed.network.stages["one"], deployed.used_at(temperature=303.0)
    later = warm.used_at(age=3.156e7).network.stages["one"]
    hot = warm.network.stages["one"]
    torch.testing.assert_close(hot.variance, 1.69 * before.variance)
    assert hot.mean.equal(before.mean)
    torch.testing.assert_close(later.mean, before.mean * torch.exp(torch.tensor(-1.0)))
    assert later.variance.equal(hot.variance)  # the temperature of before is kept
    assert later.adc_range.equal(before.adc_range)
    assert later.code_noise.equal(hot.code_noise)
    assert not hot.code_noise.equal(before.code_noise)
    assert (warm.use.temperature, warm.use.age) == (303.0, 0.0)
    fresh = warm.used_at(temperature=300.0).network.state_dict()
    assert all(fresh[name].equal(t) for name, t in deployed.network.state_dict().items())
    with pytest.raises(ValueError, match="`age` must be finite and not negative"):
        deployed.used_at(age=-1.0)


@pytest.mark.parametrize("devices", ["spintronic", "ideal"])
@pytest.mark.parametrize("chip", [CHIP, PRESET, MADE], ids=["toy", "preset", "converters"])
def test_a_stored_chip_is_the_same_chip(tmp_path, chip, devices):
    """Bits of the network, of its ageing and of its bill; the loader's network is untrained."""
    first = chip.deploy(network_of(), images(32), KEY.child("chip"), devices).used_at(310.0)
    save_deployment(tmp_path / "chip.safetensors", first)
    again = load_deployment(tmp_path / "chip.safetensors", chip, network_of(KEY.child("untrained")))
    pairs = [(first, again), (first.used_at(age=1e7), again.used_at(age=1e7))]
    for one, other in pairs:
        stored = other.network.state_dict()
        assert all(stored[name].equal(t) for name, t in one.network.state_dict().items())
        assert one.use == other.use
    x = images(3)
    assert first.predict(x, 2, KEY).mean.equal(again.predict(x, 2, KEY).mean)
    assert first.bill(x, 5, KEY) == again.bill(x, 5, KEY)
    assert first.mappings == again.mappings
    for name, written in first.layers.items():
        report, stored = written.report, again.layers[name].report
        assert (report is None) == (stored is None) == (devices == "ideal")
        if report is not None:
            assert (stored.mean, stored.sigma, stored.pulses, stored.energy) == (
                report.mean, report.sigma, report.pulses, report.energy,
            )  # fmt: skip
            assert stored.row_time.equal(report.row_time)
            assert stored.levels.keys() == report.levels.keys()
            assert all(stored.levels[name].equal(n) for name, n in report.levels.items())


def refusal(path, chip: Accelerator, network: Network) -> str:
    with pytest.raises(InputError, match="must") as error:
        load_deployment(path, chip, network)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_another_chip_or_network_or_file_is_refused(tmp_path, deployed):
    path, network = tmp_path / "chip.safetensors", network_of()
    save_deployment(path, deployed)
    finer = replace(CHIP, cell=replace(SAMPLER, bits=9))
    assert "`chip` must be the chip" in refusal(path, finer, network)
    stages = dict(network.stages.items())
    fewer = Network({name: stage for name, stage in stages.items() if name != "two"})
    assert "must have the mean-field layers" in refusal(path, CHIP, fewer)
    for name, other in (("one", MeanFieldLayer(Dense(150, 5), KEY)),
                        ("out", PointLayer(Dense(3, 4), KEY))):  # fmt: skip
        assert "must have the shapes" in refusal(path, CHIP, Network({**stages, name: other}))
    assert "safetensors" in refusal(tmp_path / "none", CHIP, network)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "other")
    assert "must hold a deployment of format 3" in refusal(tmp_path / "other", CHIP, network)
