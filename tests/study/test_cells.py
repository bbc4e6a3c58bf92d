"""Results of the cells: histograms that count every weight, reports as they were, the device."""

import json
from dataclasses import replace

import pytest
import torch

from bayespin.chip.accelerator import Accelerator, Deployment
from bayespin.device.stochastic import ReadPoint
from bayespin.device.table import parse_table
from bayespin.device.tabulated import TabulatedDevice
from bayespin.network.models import Network
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.rng import Key
from bayespin.study import cells
from tests.chip.other_cells import DigitalSampler

KEY = Key.root(0).child("study cells")
WIRED = Accelerator.from_preset()
PRESET = replace(WIRED, layout=replace(WIRED.layout, wires=None))  # weights are held as they are
SAMPLER = DigitalSampler(read=PRESET.cell.read, environment=PRESET.cell.environment)


@pytest.fixture(scope="module")
def network() -> Network:
    layer = MeanFieldLayer(Dense(30, 40), KEY.child("layer"))
    with torch.no_grad():
        layer.mean.normal_(0.0, 0.2, generator=KEY.child("mean").generator())
        layer.spread.normal_(-3.0, 0.5, generator=KEY.child("spread").generator())
    return Network({"only": layer})


@pytest.fixture(scope="module")
def deployed(network) -> Deployment:
    x = torch.empty(50, 30).uniform_(generator=KEY.child("images").generator())
    return replace(PRESET, cell=SAMPLER).deploy(network, x, KEY.child("chip"))


def test_every_weight_is_in_the_map_and_where_it_belongs(network, deployed):
    found = cells.weight_maps(network, deployed)["only"]
    layer = network.stages["only"]
    mean, sigma = (t.detach().flatten().double() for t in (layer.mean, layer.sigma()))
    counts = torch.tensor(found["counts"])
    edges = [torch.tensor(found[name]).double() for name in ("sigma_edges", "mean_edges")]
    assert int(counts.sum()) == 1200
    wanted, _ = torch.histogramdd(
        torch.stack([sigma.log10(), mean], dim=1), [edges[0].log10(), edges[1]]
    )
    assert counts.double().equal(wanted)
    for values, bounds in ((sigma, edges[0]), (mean, edges[1])):
        assert float(bounds[0]) < float(values.min())
        assert float(values.max()) < float(bounds[-1])


def test_the_map_says_what_the_cell_holds(network, deployed):
    """Codes of σ are 2e-3·1.1^k of the full scale; a mean errs by 1/√12 of a step of 2/63."""
    found, (mapping,) = cells.weight_maps(network, deployed)["only"], deployed.mappings
    scale = mapping.weight_max
    assert found["weight_max"] == scale
    assert found["held"] == pytest.approx([2e-3 * 1.1**k * scale for k in range(64)])
    assert found["mean_error"] == pytest.approx([2 / 63 / 12**0.5 * scale] * 64)
    layer = network.stages["only"]
    mean, sigma = layer.mean.detach(), layer.sigma().detach()
    outside = (mean.abs() > scale) | (sigma < found["held"][0]) | (sigma > found["held"][-1])
    assert found["held_share"] == pytest.approx(1 - float(outside.double().mean()))
    assert found["held_share"] < 1  # so that the test can tell


def test_reports_are_told_as_they_are_and_fit_into_json(deployed):
    (told,) = json.loads(json.dumps(cells.programming(deployed)))
    report = deployed.layers["only"].report
    assert (told["layer"], told["cells"]) == ("only", 1200)
    assert told["pulses"] == {"codes": 2400.0}
    assert told["energy_j"] == {"codes": 1e-15 * 2400}
    assert told["mean"]["rms"] == report.mean.rms
    assert told["levels"]["codes"] == report.levels["codes"].tolist()
    assert sum(told["levels"]["codes"]) == 1200
    assert told["time_s"] == pytest.approx(30e-9)


def test_ideal_devices_have_no_programming_to_tell(network, deployed):
    x = torch.rand(8, 30, generator=KEY.child("x").generator())
    assert cells.programming(deployed.chip.deploy(network, x, KEY, "ideal")) == []


def test_the_device_is_the_pillar_at_its_levels_and_between():
    told, cell = cells.device(PRESET), PRESET.cell
    settings = torch.tensor(told["levels"]["setting"], dtype=torch.float64)
    assert settings.equal(cell.pillar.level_settings())
    assert len(told["curve"]["setting"]) == 81
    at = ReadPoint(temperature=300.0, window=0.0)
    for part in ("levels", "curve"):
        wanted = cell.pillar.fluctuation(
            torch.tensor(told[part]["setting"], dtype=torch.float64), at
        )
        assert told[part]["sigma"] == wanted.deviation.tolist()
        assert told[part]["tau"] == wanted.correlation_time.tolist()
    assert told["temperature"] == 300.0
    assert told["study"] == "easyplane-50nm"
    assert cells.device(replace(PRESET, preset="mine"))["study"] is None
    assert cells.device(replace(PRESET, cell=SAMPLER)) is None


def test_a_tabulated_pillar_shows_its_rows_with_errors_beside_the_closed_form():
    """Rows at 310 K are nearest to 300 K; τ has no errors."""
    pillar = PRESET.cell.pillar
    law = pillar.law if isinstance(pillar, TabulatedDevice) else pillar
    lines = ["# setting_unit: J/m2", "# source: made up",
             "setting, mean, sigma, tau, temperature, sigma_error"]  # fmt: skip
    for temperature in (260.0, 310.0):
        for place, setting in enumerate((4.8e-4, 7e-4, 9e-4, 1.13e-3)):
            sigma = (1 + place) * temperature * 1e-9
            lines.append(f"{setting}, 1e-5, {sigma}, 1e-9, {temperature}, {sigma / 50}")
    table = parse_table("\n".join(lines) + "\n", "rows.csv")
    pillar = TabulatedDevice(table=table, gate=law.gate, law=law)
    told = cells.device(replace(PRESET, cell=replace(PRESET.cell, pillar=pillar)))
    assert told["setting_unit"] == "J/m2"
    assert told["source"] == "made up (rows at 310 K)"
    assert told["points"]["sigma"] == pytest.approx([310e-9, 620e-9, 930e-9, 1240e-9])
    assert told["points"]["sigma_error"] == pytest.approx([6.2e-9, 12.4e-9, 18.6e-9, 24.8e-9])
    assert told["points"]["tau_error"] == [None] * 4
    settings = torch.tensor(told["law"]["setting"], dtype=torch.float64)
    at = ReadPoint(temperature=300.0, window=0.0)
    assert told["law"]["sigma"] == law.fluctuation(settings, at).deviation.tolist()


def test_behind_wires_the_map_is_of_what_acts():
    """The same weights ask for more of the cells there: what they hold, less what wires take."""
    images = torch.rand(60, 48, generator=Key.root(3).generator())
    network = Network({"only": MeanFieldLayer(Dense(48, 6), Key.root(4))})
    chip = Accelerator.from_preset()
    twin = chip.deploy(network, images, Key.root(5))
    found, (mapping,) = cells.weight_maps(network, twin)["only"], twin.mappings
    share = found["weight_max"] / mapping.weight_max
    assert 0.4 < share < 0.95  # `attenuation`: drivers of 500 Ω take a third
    acting = twin.network.stages["only"].acting_mean().abs().max()
    assert float(acting) == pytest.approx(found["weight_max"], rel=0.25)
