"""Ranges of a chip's converters: both are told, one is used, and what clips too much is refused."""

from dataclasses import replace

import pytest
import torch

from bayespin.array.ranges import RangeRule
from bayespin.chip.accelerator import Accelerator
from bayespin.chip.storage import load_deployment, save_deployment
from bayespin.network.models import Network
from bayespin.nn.mean_field import MeanFieldLayer
from bayespin.nn.product import Dense
from bayespin.report.tables import mapping_lines
from bayespin.rng import Key, KeyedNoise
from bayespin.study import results

KEY = Key.root(21)
PRESET = Accelerator.from_preset()
CHIP = replace(PRESET, layout=replace(PRESET.layout, rows=32, wires=None))
IMAGES = torch.rand(400, 60, generator=KEY.child("images").generator())


def deployed(rule=None, images=IMAGES):
    network = Network({"only": MeanFieldLayer(Dense(60, 8), KEY.child("layer"))})
    return CHIP.deploy(network, images, KEY, "ideal", rule)


def test_ranges_from_data_and_from_moments_are_told_and_data_is_used():
    twin = deployed()
    layer, ranges = twin.network.stages["only"], twin.ranges["only"]
    assert torch.equal(layer.adc_range, ranges.data.full_range[:, None].expand(2, 8))
    assert ranges.used is ranges.data
    assert layer.clipped_share == ranges.data.observed_share <= 1e-4
    # Sums of many rows are nearly normal: the two differ by what a sample of extremes may.
    torch.testing.assert_close(
        ranges.moments.full_range.float(), ranges.data.full_range, rtol=0.15, atol=0
    )
    assert ranges.moments.expected_share == pytest.approx(1e-4, rel=1e-3)


def test_the_share_that_moments_expect_is_the_one_that_is_clipped():
    twin = deployed(RangeRule(source="moments", clipped_share=0.02, limit=0.05))
    layer, ranges = twin.network.stages["only"], twin.ranges["only"]
    assert torch.equal(layer.adc_range[:, 0], ranges.moments.full_range.float())
    mean, deviation = layer.moments(IMAGES)
    y = torch.addcmul(mean, deviation, KeyedNoise.from_key(KEY.child("more")).normal(mean))
    clipped = float((y.abs() > layer.adc_range[:, None]).double().mean())
    assert clipped == pytest.approx(0.02, rel=0.25)
    assert layer.clipped_share == pytest.approx(clipped, rel=0.25)


def test_ranges_that_clip_too_much_are_refused_by_name():
    # A few bright images among dark ones: far from normal, and what matters is clipped.
    images = torch.cat([0.05 * IMAGES[:360], 20 * IMAGES[360:]])
    with pytest.raises(ValueError, match=r"layer `only` must clip at most 0.01 of its outputs"):
        deployed(RangeRule(source="moments", clipped_share=0.05, limit=0.01), images)


def test_a_file_keeps_what_ranges_are_and_results_tell_it(tmp_path):
    twin, path = deployed(), tmp_path / "chip.safetensors"
    save_deployment(path, twin)
    again = load_deployment(path, CHIP, twin.network.with_stages(
        {"only": MeanFieldLayer(Dense(60, 8), KEY.child("other"))}))  # fmt: skip
    for kept, made in zip(
        (again.ranges["only"].data, again.ranges["only"].moments),
        (twin.ranges["only"].data, twin.ranges["only"].moments),
        strict=True,
    ):
        torch.testing.assert_close(kept.full_range.double(), made.full_range.double())
        torch.testing.assert_close(kept.steps_per_sigma.double(), made.steps_per_sigma.double())
        assert (kept.expected_share, kept.observed_share) == (
            made.expected_share,
            made.observed_share,
        )
    assert again.ranges["only"].rule == RangeRule()
    (told,) = results.mapping(again)
    assert told["adc_range_from_moments"] == pytest.approx(
        float(twin.ranges["only"].moments.full_range.max()), rel=1e-6
    )
    assert told["adc_clipped_expected"] == twin.ranges["only"].data.expected_share
    assert 1 < told["adc_steps_per_sigma"] < 127
    (line,) = mapping_lines([told])
    assert any(text.startswith("moments: ") for cell in line.cells for text in cell.below)


def test_a_warmer_chip_keeps_what_its_ranges_are():
    twin = deployed()
    assert twin.used_at(temperature=330.0).ranges["only"] is twin.ranges["only"]


@pytest.mark.parametrize("field", ["clipped_share", "limit"])
def test_shares_lie_between_none_and_all(field):
    with pytest.raises(ValueError, match=f"`{field}` must be between 0 and 1, but is 1.5"):
        RangeRule(**{field: 1.5})
