"""Files to frozen dataclasses, strictly: studies, presets and component tables share this loader.

A schema is a plain dataclass. Fields annotated with a `Unit` are strings with a unit in the file
("50 nm") and SI floats in Python. Unknown names, wrong types and wrong units are refused with one
sentence that names the field, the value, what is allowed, and the nearest valid name.
"""

import dataclasses
import difflib
import hashlib
import json
import tomllib
import typing
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from bayespin.units import Unit, parse, write_quantity

Schema = TypeVar("Schema")

_WORDS = {
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
    "dataclass_type": "must be a table of fields",
    "finite_number": "must be a finite number",
}


class InputError(ValueError):
    """A mistake in what the user gave; its text is one sentence for the user."""


def nearest(word: str, allowed: Sequence[str]) -> str:
    """Return " (did you mean `x`?)" for the closest allowed name, or an empty string."""
    close = difflib.get_close_matches(word, list(allowed), n=1, cutoff=0.5)
    return f" (did you mean `{close[0]}`?)" if close else ""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        InputError: the file is missing, unreadable or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"File `{path}` must be readable, but is not: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"File `{path}` must be valid TOML, but is not: {error}.") from None


def resource_names(kind: str) -> list[str]:
    """Return the names of the shipped files of a kind: "studies", "presets" or "components"."""
    folder = resources.files("bayespin") / "resources" / kind
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name[-5:] == ".toml")


def read_resource(kind: str, name: str) -> dict[str, Any]:
    """Return a shipped file's content.

    A file that says `like = "another"` has the sections of that one which it does not give itself,
    and their texts in `[source]`.

    Raises:
        InputError: no such file; the sentence lists the nearest and all names.
    """
    names = resource_names(kind)
    if name not in names:
        raise InputError(
            f"Name `{name}` must be one of the shipped {kind} {', '.join(names)}"
            f"{nearest(name, names)}."
        )
    path = resources.files("bayespin") / "resources" / kind / f"{name}.toml"
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    if "like" not in content:
        return content
    other = read_resource(kind, content.pop("like"))
    return {**other, **content, "source": {**other["source"], **content["source"]}}


def build(schema: type[Schema], content: Mapping[str, Any], where: str) -> Schema:
    """Return the dataclass that `content` describes; `where` names the file in error messages.

    Raises:
        InputError: an unknown, missing, ill-typed or impossible field.
    """
    import pydantic  # the one importer of pydantic; 0.1 s that `--help` does not pay

    strict = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
    # Nested plain dataclasses inherit the configuration of the model around them.
    model = pydantic.create_model("Content", value=(schema, ...), __config__=strict)
    try:
        text = json.dumps({"value": _si(schema, content, where, ())}, default=str)
        return dict(model.model_validate_json(text))["value"]
    except pydantic.ValidationError as error:
        raise InputError(_sentence(schema, error.errors()[0], where)) from None


def dump(instance: Any) -> dict[str, Any]:
    """Return nested plain values for a TOML or JSON file; `build` reads them back unchanged."""
    content: dict[str, Any] = {}
    hints = typing.get_type_hints(type(instance), include_extras=True)
    for field in dataclasses.fields(instance):
        value, unit = getattr(instance, field.name), unit_of(hints[field.name])
        if value is not None:  # TOML has no null: an absent optional field is left out
            content[field.name] = _plain(value, unit)
    return content


def _plain(value: Any, unit: Unit | None) -> Any:
    if dataclasses.is_dataclass(value):
        return dump(value)
    if isinstance(value, tuple):
        return [_plain(item, unit) for item in value]
    return write_quantity(value, unit.symbol) if unit is not None else value


def unit_of(hint: Any) -> Unit | None:
    """Return the `Unit` in a type hint, if any, also inside `tuple[...]` or `... | None`."""
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, Unit):
            return extra
    for argument in typing.get_args(hint):
        found = unit_of(argument)
        if found is not None:
            return found
    return None


def _schema_of(hint: Any) -> Any:
    """Return the dataclass in a type hint, or None."""
    candidates = (hint, *typing.get_args(hint))
    return next(
        (c for c in candidates if isinstance(c, type) and dataclasses.is_dataclass(c)), None
    )


def _si(schema: Any, content: Any, where: str, path: tuple[str, ...]) -> Any:
    """Return `content` with quantities as SI floats, walking the dataclass beside it."""
    if isinstance(content, list):
        return [_si(schema, item, where, path) for item in content]
    if not isinstance(content, Mapping):
        return content
    hints = typing.get_type_hints(schema, include_extras=True)
    converted = dict(content)
    for name, value in content.items():
        if name not in hints:
            continue
        unit, nested = unit_of(hints[name]), _schema_of(hints[name])
        if nested is not None:
            converted[name] = _si(nested, value, where, (*path, name))
        elif unit is not None:
            converted[name] = _quantity(value, unit, where, (*path, name))
    return converted


def _quantity(value: Any, unit: Unit, where: str, path: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_quantity(item, unit, where, path) for item in value]
    field = ".".join(path)
    if not isinstance(value, str):
        raise InputError(
            f"{where}: `{field}` must be a string with a unit, such as "
            f'"{value} {unit.symbol}", but is {value!r}.'
        )
    try:
        return parse(value, unit.symbol)
    except ValueError as error:
        raise InputError(f"{where}: `{field}` {error}.") from None


def _sentence(schema: Any, error: Mapping[str, Any], where: str) -> str:
    """Return one sentence for pydantic's first error."""
    location = [part for part in error["loc"][1:] if isinstance(part, str)]
    kind, field, given = error["type"], ".".join(location), error["input"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        owner = schema
        for part in location[:-1]:
            owner = _schema_of(typing.get_type_hints(owner, include_extras=True)[part])
        names = [f.name for f in dataclasses.fields(owner)]
        return (
            f"{where}: `{field}` must be one of {', '.join(names)}, but is not"
            f"{nearest(location[-1], names)}."
        )
    if kind in ("missing", "missing_argument"):
        return f"{where}: `{field}` must be given, but is missing."
    if kind == "value_error":
        return f"{where}: {'' if not field else f'[{field}] '}{error['ctx']['error']}"
    if kind == "literal_error":
        expected = error["ctx"]["expected"].replace("'", "")
        allowed = expected.replace(" or ", ", ").split(", ")
        hint = nearest(str(given), allowed)
        return f"{where}: `{field}` must be {expected}, but is {given!r}{hint}."
    words = _WORDS.get(kind, f"is not valid ({error['msg']})")
    return f"{where}: `{field}` {words}, but is {given!r}."


def fingerprint(content: Mapping[str, Any]) -> str:
    """Return 64 hexadecimal digits (SHA-256) that change with any value in `content`."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
