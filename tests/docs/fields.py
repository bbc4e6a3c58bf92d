"""The tables of study fields in docs/studies.md, written from the schema.

`python -m tests.docs.fields` brings the page up to date.
"""

import ast
import dataclasses
import inspect
import re
import typing
from pathlib import Path

from bayespin.study import schema
from bayespin.units import Unit, format_quantity

PAGE = Path(__file__).resolve().parents[2] / "docs" / "studies.md"
PLACE = re.compile(r"(?<=<!-- fields -->\n).*?(?=<!-- /fields -->)", re.DOTALL)


def remarks(section: type) -> dict[str, str]:
    """Return the string below each field of a dataclass."""
    (tree,) = ast.parse(inspect.getsource(section)).body
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            found[field.target.id] = " ".join(ast.literal_eval(below.value).split())
    return found


def words(hint: object) -> str:
    """Return a type in words that fit a TOML file."""
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        unit = next(x for x in inside[1:] if isinstance(x, Unit))
        return f'quantity, as "1 {unit.symbol}"'
    if origin is typing.Literal:
        return ", ".join(f'"{x}"' for x in inside)
    if origin is tuple:
        return f"list of {words(inside[0])}s"
    named = {int: "whole number", float: "number", str: "string", bool: "true or false"}
    return next(named[x] for x in (hint, *inside) if x in named)


def default(field: dataclasses.Field, hint: object) -> str:
    """Return a field's default as the page writes it."""
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default is None:
        return "–"
    if typing.get_origin(hint) is typing.Annotated:
        return f"`{format_quantity(field.default, hint.__metadata__[0].symbol)}`"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def table(section: type) -> str:
    """Return the table of one section."""
    hints, notes = typing.get_type_hints(section, include_extras=True), remarks(section)
    lines = ["| field | what | default | |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(section):
        hint = hints[field.name]
        if not dataclasses.is_dataclass(hint):
            note = notes.get(field.name, "")
            lines.append(f"| `{field.name}` | {words(hint)} | {default(field, hint)} | {note} |")
    return "\n".join(lines)


def sections() -> str:
    """Return headings and tables of the whole study."""
    parts = [f"\n### At the top\n\n{table(schema.Study)}\n"]
    hints = typing.get_type_hints(schema.Study)
    for field in dataclasses.fields(schema.Study):
        section = hints[field.name]
        if dataclasses.is_dataclass(section):
            summary = " ".join(inspect.getdoc(section).split("\n\nRaises")[0].split())
            parts.append(f"### [{field.name}]\n\n{summary}\n\n{table(section)}\n")
    return "\n".join(parts) + "\n"


def up_to_date(page: str) -> str:
    """Return the page with its tables written anew."""
    return PLACE.sub(lambda _: sections(), page)


if __name__ == "__main__":
    PAGE.write_text(up_to_date(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
