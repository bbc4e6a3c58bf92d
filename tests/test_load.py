"""Files to dataclasses: round trips, and every refusal in one sentence."""

import json
import math
import re
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayespin.array.tiles import ArrayLayout
from bayespin.cell.bit_cell import BitCell
from bayespin.device import presets
from bayespin.load import (
    InputError,
    build,
    dump,
    fingerprint,
    nearest,
    read_resource,
    read_toml,
    resource_names,
)
from bayespin.units import Unit


@dataclass(frozen=True, kw_only=True)
class Part:
    length: Annotated[float, Unit("m")]
    voltages: Annotated[tuple[float, ...], Unit("V")]
    share: float
    count: int
    kind: Literal["hard", "soft"]
    flag: bool
    limit: Annotated[float, Unit("T")] | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"`count` must be at least 1, but is {self.count}.")


@dataclass(frozen=True, kw_only=True)
class Whole:
    name: str
    part: Part
    spares: tuple[Part, ...] = ()


PART = {
    "length": "50 nm", "voltages": ["0.1 V", "200 mV"], "share": 0.5, "count": 3, "kind": "hard",
    "flag": True,
}  # fmt: skip
numbers = st.floats(allow_nan=False, allow_infinity=False)
parts = st.builds(
    Part,
    length=numbers,
    voltages=st.lists(numbers, max_size=3).map(tuple),
    share=numbers,
    count=st.integers(1, 2**60),
    kind=st.sampled_from(["hard", "soft"]),
    flag=st.booleans(),
    limit=st.none() | numbers,
)
wholes = st.builds(
    Whole,
    name=st.text(max_size=10),
    part=parts,
    spares=st.lists(parts, max_size=2).map(tuple),
)


def test_quantities_become_si():
    found = build(Whole, {"name": "x", "part": PART}, "file")
    assert found.part.length == 50e-9
    assert found.part.voltages == (0.1, 0.2)
    assert found.part.limit is None
    assert build(Whole, {"name": "x", "part": PART, "spares": [PART]}, "file").spares == (
        found.part,
    )


@given(whole=wholes)
def test_what_is_dumped_is_built_again(whole):
    assert build(Whole, json.loads(json.dumps(dump(whole))), "file") == whole


def toml(content, path=()):
    """A few lines of TOML: JSON's strings, numbers, booleans and lists are TOML's."""
    lines = [f"[{'.'.join(path)}]"] if path else []
    lines += [f"{k} = {json.dumps(v)}" for k, v in content.items() if not isinstance(v, dict)]
    for name, value in content.items():
        if isinstance(value, dict):
            lines += toml(value, (*path, name))
    return lines


@pytest.mark.parametrize("name", resource_names("presets"))
def test_preset_survives_file_and_back(name, tmp_path):
    cell = BitCell.preset(name)
    parts = {one: getattr(cell, one) for one in cell.__dataclass_fields__ if one != "pillar"}
    for part in (presets.junction(name), *parts.values()):
        path = tmp_path / "part.toml"
        path.write_text("\n".join(toml(dump(part))), encoding="utf-8")
        assert build(type(part), read_toml(path), "file") == part
    layout = build(ArrayLayout, read_resource("presets", name)["array"], "file")
    assert build(ArrayLayout, dump(layout), "file") == layout


METRES = '`part.length` must be a number with a unit of m, such as "1 m", but'
FIELDS = "must be one of length, voltages, share, count, kind, flag, limit, but is not"
REFUSALS = {
    "wrong unit": ({"length": "5 mT"}, f"{METRES} is '5 mT'"),
    "unknown unit": ({"length": "5 nn"}, f"{METRES} has the unknown unit 'nn'"),
    "not a number": ({"length": "nan m"}, f"{METRES} is 'nan m'"),
    "no unit": (
        {"length": 5e-8},
        '`part.length` must be a string with a unit, such as "5e-08 m", but is 5e-08',
    ),
    "list for one": ({"length": ["1 m"]}, "`part.length` must be a number, but is [1.0]"),
    "bad item": (
        {"voltages": ["1 V", "1 A"]},
        "`part.voltages` must be a number with a unit of V, such as \"1 V\", but is '1 A'",
    ),
    "one for list": ({"voltages": "1 V"}, "`part.voltages` must be a list, but is 1.0"),
    "NaN": ({"share": math.nan}, "`part.share` must be a finite number, but is nan"),
    "infinity": ({"share": math.inf}, "`part.share` must be a finite number, but is inf"),
    "string for float": ({"share": "0.5"}, "`part.share` must be a number, but is '0.5'"),
    "bool for float": ({"share": True}, "`part.share` must be a number, but is True"),
    "bool for int": ({"count": True}, "`part.count` must be a whole number, but is True"),
    "float for int": ({"count": 3.0}, "`part.count` must be a whole number, but is 3.0"),
    "int for bool": ({"flag": 1}, "`part.flag` must be true or false, but is 1"),
    "word": (
        {"kind": "sofd"},
        "`part.kind` must be hard or soft, but is 'sofd' (did you mean `soft`?)",
    ),
    "own check": ({"count": 0}, "[part] `count` must be at least 1, but is 0"),
    "unknown": ({"lenght": "1 m"}, f"`part.lenght` {FIELDS} (did you mean `length`?)"),
    "unknown, unlike any": ({"zzz": 1}, f"`part.zzz` {FIELDS}"),
}


def one_sentence(text):
    return text.endswith(".") and not re.search(r"[.!?] |\n", text)


@pytest.mark.parametrize("change,reason", REFUSALS.values(), ids=REFUSALS)
def test_refusals_are_one_sentence(change, reason):
    with pytest.raises(InputError) as raised:
        build(Whole, {"name": "x", "part": {**PART, **change}}, "file")
    assert str(raised.value) == f"file: {reason}."
    assert one_sentence(str(raised.value).replace("?)", ")"))


@pytest.mark.parametrize("name", [n for n in PART if n != "limit"])
def test_missing_fields_are_named(name):
    given_part = {k: v for k, v in PART.items() if k != name}
    with pytest.raises(InputError, match=f"^file: `part.{name}` must be given, but is missing.$"):
        build(Whole, {"name": "x", "part": given_part}, "file")


@pytest.mark.parametrize(
    "content,reason",
    [
        ({"name": 3, "part": PART}, "`name` must be a string, but is 3"),
        ({"name": "x", "part": 3}, "`part` must be a table of fields, but is 3"),
        ({"name": "x"}, "`part` must be given, but is missing"),
        (
            {"name": "x", "part": PART, "prat": {}},
            "`prat` must be one of name, part, spares, but is not (did you mean `part`?)",
        ),
        ({"name": "x", "part": PART, "spares": 3}, "`spares` must be a list, but is 3"),
        (
            {"name": "x", "part": PART, "spares": [PART, {**PART, "length": 1}]},
            '`spares.length` must be a string with a unit, such as "1 m", but is 1',
        ),
        (
            {"name": "x", "part": PART, "spares": [{**PART, "kund": "hard"}]},
            "`spares.kund` must be one of length, voltages, share, count, kind, flag, limit, but "
            "is not (did you mean `kind`?)",
        ),
    ],
)
def test_refusals_at_the_top(content, reason):
    with pytest.raises(InputError) as raised:
        build(Whole, content, "file")
    assert str(raised.value) == f"file: {reason}."


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"none.toml` must be readable, but is not: No such file"):
        read_toml(tmp_path / "none.toml")
    for content in (b"a = ", b"a = '\xff'"):
        path = tmp_path / "bad.toml"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"bad.toml` must be valid TOML, but is not: .+\.$"):
            read_toml(path)


def test_shipped_names():
    assert "easyplane-50nm" in resource_names("presets")
    with pytest.raises(
        InputError, match=r"easyplane-50nm.* \(did you mean `easyplane-50nm`\?\)\.$"
    ):
        read_resource("presets", "easyplane-5nm")
    with pytest.raises(InputError, match=r"must be one of the shipped presets"):
        BitCell.preset("../presets/easyplane-50nm")


def test_nearest_names_something_close_or_nothing():
    assert nearest("tempreature", ["pressure", "temperature"]) == " (did you mean `temperature`?)"
    assert nearest("qqq", ["pressure", "temperature"]) == ""


@given(whole=wholes, share=numbers)
def test_fingerprint_follows_values_and_nothing_else(whole, share):
    content = dump(whole)
    other = dump(replace(whole, part=replace(whole.part, share=share)))
    assert (fingerprint(content) == fingerprint(other)) == (
        json.dumps(content) == json.dumps(other)
    )
    backwards = dict(reversed(content.items()))
    assert fingerprint(backwards) == fingerprint(content)
    assert re.fullmatch("[0-9a-f]{64}", fingerprint(content))
