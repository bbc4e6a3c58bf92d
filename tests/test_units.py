"""Quantities as strings: what is read, what is written, what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayespin.units import format_quantity, parse, write_quantity

SYMBOLS = ("m", "s", "A", "K", "Hz", "J", "W", "V", "Ohm", "S", "F", "T", "C", "rad")
COMPOUND = ("J/m2", "J/m3", "A/m", "J/(V m)", "Ohm m2", "rad/(s T)", "m2 kg/s2")
EXPONENTS = {
    "a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "c": -2, "": 0,
    "k": 3, "M": 6, "G": 9, "T": 12,
}  # fmt: skip
finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("prefix", EXPONENTS)
@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_prefix_of_every_symbol_to_the_last_bit(prefix, symbol):
    assert parse(f"1.2 {prefix}{symbol}", symbol) == float(f"1.2e{EXPONENTS[prefix]}")


@pytest.mark.parametrize(
    "text,unit,value",
    [
        ("60 fJ/(V m)", "J/(V m)", 60e-15),
        ("500 Ohm um2", "Ohm m2", 5e-10),
        ("500 Ω·µm²", "Ohm m2", 5e-10),
        ("0.4894 mJ/m2", "J/m2", 0.4894e-3),
        ("1.0 MA/m", "A/m", 1e6),
        ("10 kA cm^-1", "A/m", 1e6),
        ("3 cm-2", "m-2", 3e4),
        ("2.5 g", "kg", 2.5e-3),
        ("1 m2 kg s-2", "J", 1.0),
        ("1 V A", "W", 1.0),
        ("1.2nm", "m", 1.2e-9),
        (" -.5 mT ", "T", -5e-4),
        ("1e-3 V", "V", 1e-3),
        ("2 T", "T", 2.0),
        ("3 1", "1", 3.0),
    ],
)
def test_units_of_physics(text, unit, value):
    assert parse(text.strip(), unit) == value


@given(value=finite, unit=st.sampled_from(SYMBOLS + COMPOUND))
def test_what_is_written_is_read_back_to_the_last_bit(value, unit):
    found = parse(write_quantity(value, unit), unit)
    assert (found, math.copysign(1, found)) == (value, math.copysign(1, value))


@pytest.mark.parametrize(
    "text,reason",
    [
        ("1.2", "must be a number with a unit of m, such as \"1 m\", but is '1.2'"),
        ("nm", "must be a number with a unit of m"),
        ("", "must be a number with a unit of m"),
        ("nan m", "but is 'nan m'"),
        ("inf m", "but is 'inf m'"),
        ("1e999 m", "but is '1e999 m'"),
        ("1 mT", "but is '1 mT'"),
        ("1 nm2", "but is '1 nm2'"),
        ("1 furlong", "has the unknown unit 'furlong'"),
        ("1 nm)", "has the unknown unit 'nm)'"),
        ("1 kkm", "has the unknown unit 'kkm'"),
        ("1 m/s/s", "has the unknown unit 's/s'"),
        ("1 Tm99", "but is '1 Tm99'"),
        ("1 m/am99", "but is '1 m/am99'"),
        ("1 Tm9 Tm9 Tm9/(m9 m9 m8)", "but is '1 Tm9 Tm9 Tm9/"),
    ],
)
def test_refusals_say_what_is_allowed_and_what_was_given(text, reason):
    with pytest.raises(ValueError, match="must be a number with a unit of m") as raised:
        parse(text, "m")
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)


@given(text=st.text(alphabet="0123456789.eE+-^/()·* ²⁻aµmTgKΩ1", max_size=24))
def test_any_text_is_a_finite_number_or_refused(text):
    try:
        found = parse(text, "m")
    except ValueError:
        return
    assert math.isfinite(found)


@pytest.mark.parametrize(
    "value,unit,text",
    [
        (1.2e-9, "m", "1.2 nm"),
        (-0.0015, "T", "-1.5 mT"),
        (999.6e-9, "m", "1 µm"),
        (0.0, "V", "0 V"),
        (1.0, "K", "1 K"),
        (1e-24, "J", "1e-06 aJ"),
        (2e15, "Hz", "2000 THz"),
        (6e-14, "J/(V m)", "6e-14 J/(V m)"),
    ],
)
def test_quantities_for_people(value, unit, text):
    assert format_quantity(value, unit) == text


@given(value=st.floats(1e-18, 1e14), sign=st.sampled_from((-1, 1)), digits=st.integers(1, 6))
def test_formatting_loses_no_more_than_its_digits(value, sign, digits):
    text = format_quantity(sign * value, "V", digits)
    assert parse(text, "V") == pytest.approx(sign * value, rel=0.5001 * 10.0 ** (1 - digits))
