"""Any module on a chip, and the table that says beforehand what of it will be there."""

import torch
from torch import nn

from bayespin.chip.accelerator import Accelerator
from bayespin.chip.storage import load_deployment, save_deployment
from bayespin.network.convert import convert
from bayespin.network.prediction import predict
from bayespin.nn.estimators import Sampling
from bayespin.rng import Key
from tests.network.test_convert import Vision, seeded, uniform  # noqa: F401 - a fixture

KEY = Key.root(3)
CHIP = Accelerator.from_preset()


def test_the_table_says_what_is_analog_on_how_many_tiles_and_why_not():
    module, x = Vision().eval(), uniform(30, 7, 12)
    plan = CHIP.dry_run(module, x[:2])
    stages = {stage.name: stage for stage in plan.stages}
    embed, wide = stages["embed"], stages["encoder_linear1"]
    # Tokens are reads of the same tiles, and inputs below zero take a second one.
    assert (embed.rows, embed.outputs, embed.weights, embed.tiles, embed.reads) == (
        12,
        16,
        192,
        1,
        14,
    )
    assert (wide.rows, wide.outputs, wide.tiles) == (16, 32, 1)
    assert stages["encoder_linear2"].reads == 7
    digital = {stage.name: stage.why for stage in plan.stages if not stage.analog}
    assert digital["attention_attention"] == "mixes activations"
    assert digital["encoder_norm1"] == "norm of each input"
    assert digital["place"] == "a constant"
    twin = CHIP.deploy(module, x, KEY, "ideal")
    assert {s.name for s in plan.stages if s.analog} == set(twin.layers)
    for layer in twin.activity(x[:2], KEY):
        assert (len(layer.tiles), layer.positions) == (
            stages[layer.name].tiles,
            stages[layer.name].reads,
        )
    assert plan.tiles == sum(len(layer.tiles) for layer in twin.activity(x[:2], KEY))


def test_the_table_fits_a_terminal_and_ends_with_the_sum():
    lines = str(CHIP.dry_run(Vision(), uniform(1, 7, 12))).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["stage", "where", "matrix", "tiles", "reads", "why"]
    row = next(line for line in lines if line.startswith("encoder_linear1"))
    assert row == "encoder_linear1         analog        16 × 32      1     14  signed: two reads"
    assert lines[-1] == "3,312 weights on 12 tiles"
    long = nn.Sequential()
    long.add_module("a_name_that_no_table_has_room_for", nn.Linear(4096, 4096))
    assert max(map(len, str(CHIP.dry_run(long, uniform(1, 4096))).splitlines())) <= 80


def test_a_transformer_on_a_chip_is_its_software_twin_with_more_noise(tmp_path):
    module, x = Vision().eval(), 4 * uniform(60, 7, 12)
    twin = CHIP.deploy(module, x, KEY)
    chip = twin.predict(x, 16, KEY).mean
    with torch.no_grad():
        digital = module(x).double().softmax(-1)
    software = predict(convert(module), x, Sampling.PER_READ, 16, KEY).mean
    shift = float((chip - software).abs().mean())
    # The images' own differences are the scale: a wrong wire or weight moves as much as these.
    assert shift < 0.6 * float((digital - digital.mean(0)).abs().mean())
    assert not bool((chip == digital).any())
    path = tmp_path / "twin.safetensors"
    save_deployment(path, twin)
    again = load_deployment(path, CHIP, convert(module))
    assert torch.equal(again.predict(x, 16, KEY).mean, chip)
