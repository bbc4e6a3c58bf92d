"""Studies: shipped ones are whole, files read back, changes reach the chip, nonsense is refused."""

import tomllib
from dataclasses import replace
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from bayespin import load
from bayespin.chip.accelerator import Accelerator
from bayespin.device import presets
from bayespin.load import InputError
from bayespin.study.regression.schema import is_regression
from bayespin.study.schema import Evaluation, Hardware, Study, Targets, Training, shipped
from tests.study.tiny import study

RECIPE = Training(epochs=1, batch=10, learning_rate=1e-3)


def test_every_shipped_study_can_be_run_on_its_chip():
    for name in load.resource_names("studies"):
        if is_regression(load.read_resource("studies", name)):  # tests/study/regression has these
            continue
        found = shipped(name)
        assert found.name == name
        window = found.training.window(found.hardware.accelerator().cell)
        # Before epochs that know the chip's reads, only the cap is held.
        assert 0 < window.floor < window.cap or found.training.aware_epochs
        held = found.data.held_out
        assert held == 0 or found.hardware.calibration_images <= held


def test_shipped_studies_are_those_that_were_promised():
    house, quick, paper = (shipped(f"fashion-mnist{end}") for end in ("", "-quick", "-paper"))
    recipe = house.training
    assert (recipe.epochs, recipe.batch, recipe.learning_rate) == (20, 128, 2e-3)
    assert (recipe.schedule, recipe.kl_weight, recipe.sigma_cap) == ("cosine", 0.2, None)
    assert (house.data.held_out, house.evaluation.reads, len(house.seeds)) == (5000, 100, 3)
    assert (quick.quick, house.quick, paper.quick) == (True, False, False)
    assert (quick.training.epochs, quick.data.test_images, quick.evaluation.reads) == (3, 2000, 20)
    assert quick.evaluation.blends == (0.0, 0.5, 0.9)
    assert (paper.training.batch, paper.training.learning_rate) == (32, 1e-3)


def test_an_unknown_study_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"mean `fashion-mnist-quick`\?"):
        shipped("fashion-mnist-quik")


lengths = st.floats(1e-9, 1e-3)


@given(
    window=st.none() | st.floats(1e-10, 1e-6),
    diameter=st.none() | lengths,
    seeds=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4, unique=True),
    blends=st.lists(st.floats(0, 1, exclude_max=True), max_size=4),
    rate=st.floats(1e-9, 1.0),
)
def test_a_study_reads_back_from_its_toml(window, diameter, seeds, blends, rate):
    made = Study(
        name="x",
        title="σ “x” \\ \n",
        seeds=tuple(seeds),
        training=replace(RECIPE, learning_rate=rate),
        hardware=Hardware(read_window=window, pillar_diameter=diameter),
        evaluation=Evaluation(reads=2, blends=tuple(blends)),
    )
    text = tomli_w.dumps(load.dump(made))
    assert load.build(Study, tomllib.loads(text), "x") == made


def test_without_changes_the_chip_is_the_preset():
    assert Hardware().accelerator() == Accelerator.from_preset("easyplane-50nm")


def test_changes_reach_the_chip_and_nothing_else_moves():
    made = Hardware(
        rows=64, outputs_per_adc=4, input_bits=6, adc_bits=7, read_voltage=0.2, read_window=5e-9,
        use_temperature=310.0, pillar_diameter=60e-9,
    ).accelerator()  # fmt: skip
    plain = Hardware().accelerator()
    assert (made.layout.rows, made.layout.outputs_per_adc) == (64, 4)
    assert (made.cell.read.input_bits, made.cell.read.adc_bits) == (6, 7)
    assert (made.cell.read.voltage, made.cell.read.window) == (0.2, 5e-9)
    assert made.cell.environment.use_temperature == 310
    law = presets.junction()  # the table holds for the diameter that it was made with
    assert made.cell.pillar == replace(law, layer=replace(law.layer, diameter=60e-9))
    back = replace(
        made,
        layout=plain.layout,
        cell=replace(
            made.cell,
            read=plain.cell.read,
            environment=plain.cell.environment,
            pillar=plain.cell.pillar,
        ),
    )
    assert back == plain


def test_the_window_of_training_is_that_of_the_cell():
    cell = Hardware().accelerator().cell
    found = RECIPE.window(cell)
    assert (found.floor, found.cap) == cell.sigma_window(4.0, 0.7)
    doubled = replace(RECIPE, weight_range=1.4).window(cell)
    assert doubled.floor == pytest.approx(2 * found.floor)
    assert doubled.cap == pytest.approx(2 * found.cap)
    # A cap between the windows of two gains is held by the larger gain.
    assert replace(RECIPE, sigma_cap=1.5 * found.cap).window(cell).cap == 1.5 * found.cap
    largest = cell.sigma_window(8.0, 0.7)[1]
    with pytest.raises(ValueError, match=r"`training\.sigma_cap` must be within"):
        replace(RECIPE, sigma_cap=1.01 * largest).window(cell)
    assert RECIPE.recipe(found).window == found


def test_a_chip_that_holds_no_small_spread_is_refused():
    cell = Hardware(read_window=1e-15).accelerator().cell  # nothing but noise
    with pytest.raises(ValueError, match=r"`hardware` must hold σ below `training\.weight_range`"):
        RECIPE.window(cell)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"pillar_diameter": -1e-9}, r"^`hardware\.pillar_diameter` must be positive"),
        ({"read_voltage": 0.0}, r"^`hardware\.read_voltage` must be positive"),
        ({"read_window": 0.0}, r"^`hardware\.read_window` must be positive"),
        ({"input_bits": 13, "coding": "bit-serial"}, r"^`hardware\.input_bits` must be at most 12"),
        ({"input_bits": 17}, r"^`hardware\.input_bits` must be 1 to 16, but is 17"),
        ({"outputs_per_adc": 0}, r"^`hardware\.outputs_per_adc` must be at least 1"),
        ({"use_temperature": 601.0}, r"^`hardware\.use_temperature` must be .*601"),
        ({"pillar_diameter": 1e-9}, r"^`hardware` must leave preset .*`anisotropy_high` must"),
        ({"preset": "easyplane-50mn"}, r"mean `easyplane-50nm`\?"),
    ],
)
def test_impossible_chips_are_refused_in_the_words_of_a_study(changes, words):
    with pytest.raises(ValueError, match=words):
        Hardware(**changes).accelerator()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"name": ""}, "`name` must be letters"),
        ({"name": ".hidden"}, "`name` must be letters"),
        ({"name": "a" * 101}, "`name` must be letters"),
        ({"seeds": [1, 2, 1]}, "`seeds` must be distinct"),
        ({"seeds": [2**32]}, r"`seeds` .* 2\^32"),
        ({"data__held_out": 420}, "`held_out` must be less than `training_images`"),
        ({"data__training_images": 60_001}, "at most 60000"),
        ({"data__test_images": 10_001}, "`test_images` must be 1 to 10000"),
        ({"training__batch": 0}, "`batch` must be positive"),
        ({"training__kl_weight": -0.1}, "`kl_weight` must not be negative"),
        ({"training__weight_range": 0.0}, "`weight_range` must be positive"),
        ({"evaluation__ladder_images": 0}, "`ladder_images` must be at least 1"),
        ({"evaluation__blends": [1.0]}, "`blends` must lie in"),
        ({"evaluation__blends": [-0.1]}, "`blends` must lie in"),
        ({"targets__spintronic_ece": -0.1}, "`spintronic_ece` must be a share"),
    ],
)
def test_impossible_studies_are_refused(pictures, changes: dict[str, Any], words):
    with pytest.raises(InputError, match=rf"^tiny\.toml: .*{words}"):
        study(pictures, **changes)


def test_edges_are_allowed(pictures):
    made = study(
        pictures, seeds=[0, 2**32 - 1], data__held_out=0, data__test_images=1, evaluation__reads=2,
        evaluation__blends=[], targets__accuracy_gap=0.0, name="a-1_b.c", hardware__adc_bits=2,
    )  # fmt: skip
    assert made.hardware.accelerator().cell.read.adc_bits == 2
    assert Targets(software_accuracy=1.0).software_accuracy == 1


@pytest.mark.parametrize(
    "change, words",
    [
        ({"ceiling": 0.9}, "`ceiling` must be between 0 and 1 and `aware_epochs` positive"),
        ({"ceiling": 1.0, "aware_epochs": 2}, "but they are 1.0 and 2"),
        ({"aware_epochs": -1}, "`aware_epochs` must not be negative, but is -1"),
    ],
)
def test_epochs_with_the_chips_reads_are_whole(change, words):
    with pytest.raises(ValueError, match=words):
        replace(RECIPE, **change)


def test_before_aware_epochs_only_the_cap_is_held():
    aware = replace(RECIPE, aware_epochs=2, sigma_cap=0.3)
    cell = Hardware().accelerator().cell
    assert (aware.window(cell).floor, aware.window(cell).cap) == (0.0, 0.3)
    assert RECIPE.window(cell).floor > 0


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Evaluation(reads=2, blends=(), rotations=(0.0,)), "`rotations` must be positive"),
        (lambda: Evaluation(reads=2, blends=(), noises=(-1.0,)), "`noises` must be positive"),
        (lambda: Evaluation(reads=2, blends=(), flaw_images=-1), "`flaw_images` must not be"),
        (lambda: Hardware(sliced=("conv1", "conv1")), "`sliced` must name each layer once"),
        (lambda: Targets(spintronic_nll=-1.0), "`spintronic_nll` must not be negative"),
        (lambda: Targets(spintronic_auroc=1.5), "`spintronic_auroc` must be a share"),
    ],
)
def test_what_a_final_study_cannot_ask_for(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_networks_and_images_must_fit():
    content = load.read_resource("studies", "resnet13-smoke")
    assert load.build(Study, content, "x").architecture == "resnet13"
    assert load.build(Study, {**content, "network": "resnet13"}, "x").device is None
    with pytest.raises(
        InputError, match=r"`network` must be resnet13 where `data.set` is cifar100"
    ):
        load.build(Study, {**content, "network": "lenet5"}, "x")
    grey = load.read_resource("studies", "fashion-mnist-quick")
    assert load.build(Study, grey, "x").architecture == "lenet5"
    with pytest.raises(
        InputError, match=r"`network` must be lenet5 where .* is fashion-mnist, but"
    ):
        load.build(Study, {**grey, "network": "resnet13"}, "x")
    for count, most, name in ((50_001, 50_000, "cifar100"), (60_001, 60_000, "fashion-mnist")):
        wrong = {"set": name, "training_images": count}
        with pytest.raises(InputError, match=rf"at most {most} of {name}, but .* {count}"):
            load.build(Study, {**grey, "data": wrong}, "x")


def test_new_fields_left_out_change_no_run_that_was_begun_without_them():
    for name in ("fashion-mnist", "fashion-mnist-paper"):
        plain = load.dump(shipped(name))
        assert not {"network", "device"} & set(plain)
        assert not {"augmentation", "ceiling", "temperature"} & set(plain["training"])
