"""The tables of fields in pages of the docs, written from the schemas.

`python -m tests.docs.fields` brings the pages up to date.
"""

import ast
import dataclasses
import inspect
import re
import typing
from pathlib import Path

from bayespin.study import schema
from bayespin.study.characterisation import schema as characterisations
from bayespin.study.regression import schema as regressions
from bayespin.study.simulation import schema as simulations
from bayespin.units import Unit, format_quantity

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES: dict[Path, tuple[type, ...]] = {
    DOCS / "studies.md": (schema.Study,),
    DOCS / "regression.md": (regressions.RegressionStudy,),
    DOCS / "simulate.md": (
        simulations.MacrospinSimulation, simulations.FilmSimulation, simulations.WallSimulation,
    ),
    DOCS / "characterize.md": (
        characterisations.PillarCharacterisation, characterisations.TrackCharacterisation,
    ),
}  # fmt: skip
"""The schemas of each page: the first part of a table's heading, where there are several."""
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
        said = f'as "1 {unit.symbol}"'
        many = typing.get_origin(inside[0]) is tuple
        return f"list of quantities, {said}" if many else f"quantity, {said}"
    if origin is typing.Literal:
        return ", ".join(f'"{x}"' for x in inside)
    if origin is tuple:
        return f"list of {words(inside[0])}s"
    if dataclasses.is_dataclass(hint):
        return "table"
    for inner in inside:
        if typing.get_origin(inner) is typing.Literal:  # or None
            return words(inner)
    named = {int: "whole number", float: "number", str: "string", bool: "true or false"}
    return next(named[x] for x in (hint, *inside) if x in named)


def default(field: dataclasses.Field, hint: object) -> str:
    """Return a field's default as the page writes it."""
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default is None:
        return "–"
    if typing.get_origin(hint) is typing.Annotated:
        symbol = hint.__metadata__[0].symbol
        if isinstance(field.default, tuple):
            listed = ", ".join(f'"{format_quantity(value, symbol)}"' for value in field.default)
            return f"`[{listed}]`"
        return f"`{format_quantity(field.default, symbol)}`"
    value = list(field.default) if isinstance(field.default, tuple) else field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def table(section: type) -> str:
    """Return the table of one section."""
    hints, notes = typing.get_type_hints(section, include_extras=True), remarks(section)
    lines = ["| field | what | default | |", "| --- | --- | --- | --- |"]
    for field in dataclasses.fields(section):
        hint = hints[field.name]
        if section_of(hint) is None:
            note = notes.get(field.name, "")
            lines.append(f"| `{field.name}` | {words(hint)} | {default(field, hint)} | {note} |")
    return "\n".join(lines)


def section_of(hint: object) -> tuple[str, type] | None:
    """Return the schema in a hint that is a section, and how its heading brackets the name."""
    for candidate in (hint, *typing.get_args(hint)):
        if isinstance(candidate, type) and dataclasses.is_dataclass(candidate):
            return ("[[{}]]" if typing.get_origin(hint) is tuple else "[{}]"), candidate
    return None


def described(section: type) -> str:
    return " ".join(inspect.getdoc(section).split("\n\nRaises")[0].split())


def nested(section: type, path: str, seen: set[type]) -> list[str]:
    """Return headings and tables of the sections inside one, each schema once."""
    parts = []
    for name, hint in typing.get_type_hints(section).items():
        found = section_of(hint)
        if found is None or found[1] in seen:
            continue
        heading, inner = found[0].format(f"{path}{name}"), found[1]
        seen.add(inner)
        parts.append(f"### {heading}\n\n{described(inner)}\n\n{table(inner)}\n")
        parts += nested(inner, f"{path}{name}.", seen)
    return parts


def sections(schemas: tuple[type, ...]) -> str:
    """Return headings and tables of the schemas; sections that they share stand once."""
    parts, seen = [], set()
    for one in schemas:
        if len(schemas) == 1:
            parts.append(f"\n### At the top\n\n{table(one)}\n")
        else:
            (kind,) = typing.get_args(typing.get_type_hints(one)["kind"])
            parts.append(f'\n### kind = "{kind}"\n\n{described(one)}\n\n{table(one)}\n')
        parts += nested(one, "", seen)
    return "\n".join(parts) + "\n"


def up_to_date(path: Path) -> str:
    """Return a page with its tables written anew."""
    text = path.read_text(encoding="utf-8")
    return PLACE.sub(lambda _: sections(PAGES[path]), text)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(up_to_date(path), encoding="utf-8")
