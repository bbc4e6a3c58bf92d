"""Component prices against the published table, provenance of every constant, planted faults."""

import copy
import dataclasses

import pytest

from bayespin.cost import components
from bayespin.cost.components import ComponentTable, load_components, read_components
from bayespin.load import InputError, read_resource

# bits: energy pJ, area um^2, time ns at 128 rows; survey median energy pJ and area um^2 at
# ENOB = bits - 1. Recorded for the project from the published forms, 28 nm, 0.9 V.
GOLDEN = {
    6: (0.489, 618, 8.86, 0.73, 958),
    7: (0.580, 1135, 10.3, 1.33, 2033),
    8: (0.701, 2085, 11.8, 2.44, 4313),
    9: (0.941, 3830, 13.3, 4.45, 9150),
    10: (1.659, 7036, 14.8, 8.11, 19414),
}
SURVEY_BEST = {6: (0.56, 218), 7: (0.86, 485), 8: (1.32, 1077), 9: (2.04, 2391), 10: (3.14, 5311)}


def check_adc(table: ComponentTable) -> None:
    for bits, (energy, area, time, _, _) in GOLDEN.items():
        assert table.adc.energy(bits, 0.9) * 1e12 == pytest.approx(energy, rel=5e-3)
        assert table.adc.area(bits) * 1e12 == pytest.approx(area, rel=5e-3)
        assert table.adc.conversion_time(bits, 128) * 1e9 == pytest.approx(time, rel=5e-3)


def check_survey(table: ComponentTable) -> None:
    for bits, (_, _, _, energy, area) in GOLDEN.items():
        assert table.survey_median.energy(bits) * 1e12 == pytest.approx(energy, rel=1e-2)
        assert table.survey_median.area(bits) * 1e12 == pytest.approx(area, rel=1e-2)
        best_energy, best_area = SURVEY_BEST[bits]
        assert table.survey_best.energy(bits) * 1e12 == pytest.approx(best_energy, rel=1e-2)
        assert table.survey_best.area(bits) * 1e12 == pytest.approx(best_area, rel=1e-2)


def test_in_macro_converter_reproduces_the_published_table() -> None:
    check_adc(load_components())


def test_survey_quantiles_reproduce_the_published_table() -> None:
    check_survey(load_components())


def test_survey_band_does_not_fall_below_its_fit() -> None:
    median = load_components().survey_median
    assert median.energy(2) == median.energy(6)


@pytest.mark.parametrize(
    "field, value",
    [
        ("linear_capacitance", 100e-12),  # picofarad for femtofarad
        ("exponential_capacitance", 1e-15),
        ("row_delay", 6.53e-9),
        ("area_offset", 1.206 - 12),  # square metres for square micrometres
    ],
)
def test_a_wrong_unit_is_caught(field: str, value: float) -> None:
    table = load_components()
    fault = dataclasses.replace(table, adc=dataclasses.replace(table.adc, **{field: value}))
    with pytest.raises(AssertionError):
        check_adc(fault)


def test_nominal_bits_in_an_effective_bit_model_are_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(components, "_survey_bits", lambda bits: bits - 7)
    with pytest.raises(AssertionError):
        check_survey(load_components())


def test_dac_is_the_published_form_at_full_swing() -> None:
    driver = load_components().driver
    assert driver.dac_energy(8, 0.9, 0.9) == pytest.approx(0.324e-12, rel=1e-9)
    assert driver.dac_energy(8, 0.1, 0.9) == pytest.approx(36e-15, rel=1e-9)
    assert driver.dac_energy(1, 0.9, 0.9) == 0.0


def test_read_supply_closes_the_energy_balance() -> None:
    """Cells at v = 0.1 and 0.05 V: rail charge times rail voltage = dissipated + lost."""
    voltages, conductance, window, rail = (0.1, 0.05), 25e-6, 10e-9, 0.2
    array = sum(v**2 * conductance * window for v in voltages)
    drawn = rail * sum(v * conductance * window for v in voltages)
    amplitude = sum(v**2 for v in voltages) / (sum(voltages) * 0.1)
    supply = components.ReadSupply(rail=rail, efficiency=1.0, amplitude=amplitude)
    assert array + supply.loss(array, 0.1) == pytest.approx(drawn, rel=1e-12)


def test_settling_is_the_elmore_delay_of_the_row() -> None:
    line = load_components().line
    capacitance = 256 * 0.2e-15
    half_step = 2.0**-9
    tau = (500 + 0.38 * 256 * 4.0) * capacitance
    time = line.settling_time(256, 8, 500.0)
    assert 2.718281828459045 ** (-time / tau) == pytest.approx(half_step, rel=1e-9)


def test_every_constant_has_a_source() -> None:
    table = load_components()
    expected = {
        f"{part.name}.{constant.name}"
        for part in dataclasses.fields(table)
        if dataclasses.is_dataclass(getattr(table, part.name))
        for constant in dataclasses.fields(getattr(table, part.name))
    }
    assert set(table.provenance) == expected
    for key, origin in table.provenance.items():
        assert origin.source.strip(), key
        assert origin.licence.strip(), key
        assert origin.node in ("28 nm", "45 nm"), key
        assert origin.read.startswith("20"), key
        if origin.confidence == "assumption":
            assert origin.source.startswith("own assumption"), key


def edit(key: str, field: str, value: object) -> dict[str, object]:
    content = copy.deepcopy(read_resource("components", "28nm"))
    section, constant = key.split(".")
    content[section][constant][field] = value
    return content


@pytest.mark.parametrize(
    "field, value, told",
    [
        ("source", " ", "adc.linear_capacitance.source"),
        ("confidence", "guess", "confidence"),
        ("value", "100 fJ", "linear_capacitance"),
        ("value", 100.0, "linear_capacitance"),
        ("value", "-100 fF", "must not be negative"),
    ],
)
def test_a_bad_constant_is_refused_in_one_sentence(field: str, value: object, told: str) -> None:
    with pytest.raises(InputError) as error:
        read_components(edit("adc.linear_capacitance", field, value), "mine")
    sentence = str(error.value)
    assert sentence.startswith("Component table mine")
    assert told in sentence
    assert "\n" not in sentence


def test_unknown_and_missing_sections_are_refused() -> None:
    content = read_resource("components", "28nm")
    with pytest.raises(InputError, match="did you mean `adc`"):
        read_components({**content, "adcs": {}}, "mine")
    content.pop("line")
    with pytest.raises(InputError, match="`line` must be given"):
        read_components(content, "mine")
    with pytest.raises(InputError, match="28nm"):
        load_components("28mm")
