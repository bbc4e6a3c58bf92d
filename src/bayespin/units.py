"""SI units: declared once on a field, parsed from strings, written for people.

    length: Annotated[float, Unit("m")]

A quantity in a file is a string, number and unit: "1.2 nm", "60 fJ/(V m)", "500 Ohm um2". Inside
the package every number is in SI base units.
"""

import math
import re
from dataclasses import dataclass

_PREFIXES = {
    "a": 1e-18, "f": 1e-15, "p": 1e-12, "n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3,
    "c": 1e-2, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
}  # fmt: skip

# Exponents of (metre, kilogram, second, ampere, kelvin).
_DIMENSIONS = {
    "m": (1, 0, 0, 0, 0), "g": (0, 1, 0, 0, 0), "s": (0, 0, 1, 0, 0), "A": (0, 0, 0, 1, 0),
    "K": (0, 0, 0, 0, 1), "Hz": (0, 0, -1, 0, 0), "J": (2, 1, -2, 0, 0), "W": (2, 1, -3, 0, 0),
    "V": (2, 1, -3, -1, 0), "Ohm": (2, 1, -3, -2, 0), "Ω": (2, 1, -3, -2, 0),
    "S": (-2, -1, 3, 2, 0), "F": (-2, -1, 4, 2, 0), "T": (0, 1, -2, -1, 0), "C": (0, 0, 1, 1, 0),
    "rad": (0, 0, 0, 0, 0), "1": (0, 0, 0, 0, 0),
}  # fmt: skip

_SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*)$", re.DOTALL)
_FACTOR = re.compile(r"([A-Za-zµμΩ1]+?)(?:\^?([-+]?\d{1,2}))?$")


@dataclass(frozen=True)
class Unit:
    """The SI unit of a field, for the parser, the documentation and plot axes."""

    symbol: str


def _factor(text: str) -> tuple[float, tuple[int, ...]]:
    """Return scale and dimension of one factor such as "um2"."""
    match = _FACTOR.fullmatch(text.translate(_SUPERSCRIPTS))
    if match is None:
        raise ValueError(text)
    name, exponent = match[1], int(match[2]) if match[2] is not None else 1
    for split in (0, 1):  # a bare symbol wins over a prefix: "m" is metre, "T" is tesla
        prefix, symbol = name[:split], name[split:]
        if symbol in _DIMENSIONS and prefix in _PREFIXES:
            scale = _PREFIXES[prefix] * (1e-3 if symbol == "g" else 1.0)
            return scale**exponent, tuple(exponent * d for d in _DIMENSIONS[symbol])
    raise ValueError(text)


def _expression(text: str) -> tuple[float, tuple[int, ...]]:
    """Return scale and dimension of a unit such as "fJ/(V m)"; at most one slash."""
    numerator, _, denominator = text.partition("/")
    scale, dimension = 1.0, (0, 0, 0, 0, 0)
    for part, sign in ((numerator, 1), (denominator.strip("() "), -1)):
        for word in re.split(r"[\s*·]+", part.strip()):
            if word:
                s, d = _factor(word)
                scale *= s**sign
                dimension = tuple(a + sign * b for a, b in zip(dimension, d, strict=True))
    return scale, dimension


def parse(text: str, unit: str) -> float:
    """Return the SI value of a quantity such as "1.2 nm", which must have the dimension of `unit`.

    Raises:
        ValueError: not a finite number with a unit, or a unit of another dimension.
    """
    wanted = f'a number with a unit of {unit}, such as "1 {unit}"'
    match = _NUMBER.match(text)
    if match is None or not match[2]:
        raise ValueError(f"must be {wanted}, but is {text!r}")
    try:
        scale, dimension = _expression(match[2])
    except ValueError as error:
        raise ValueError(f"must be {wanted}, but has the unknown unit {str(error)!r}") from None
    except ArithmeticError:  # "am99": no float holds its scale
        raise ValueError(f"must be {wanted}, but is {text!r}") from None
    if dimension != _expression(unit)[1] or not 0 < scale < math.inf:
        raise ValueError(f"must be {wanted}, but is {text!r}")
    # Through a decimal string, so that "1.2 nm" is 1.2e-9 to the last bit.
    exponent = math.log10(scale)
    if abs(exponent - round(exponent)) < 1e-9 and "e" not in match[1].lower():
        value = float(f"{match[1]}e{round(exponent)}")
    else:
        value = float(match[1]) * scale
    if not math.isfinite(value):
        raise ValueError(f"must be {wanted}, but is {text!r}")
    return value


def format_quantity(value: float, unit: str, digits: int = 3) -> str:
    """Return `value` for people, with an SI prefix where `unit` is a single symbol: "1.2 nm"."""
    if value == 0 or not math.isfinite(value) or unit not in _DIMENSIONS:
        return f"{value:.{digits}g} {unit}".strip()
    exponent = min(max(3 * math.floor(math.log10(abs(value)) / 3), -18), 12)
    mantissa = f"{value / 10.0**exponent:.{digits}g}"
    if float(mantissa) >= 1000 and exponent < 12:  # 999.6 rounds into the next prefix
        exponent += 3
        mantissa = f"{value / 10.0**exponent:.{digits}g}"
    prefix = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M",
              9: "G", 12: "T"}[exponent]  # fmt: skip
    return f"{float(mantissa):g} {prefix}{unit}"


def write_quantity(value: float, unit: str) -> str:
    """Return a string that `parse` reads back to exactly `value`."""
    return f"{value!r} {unit}"
