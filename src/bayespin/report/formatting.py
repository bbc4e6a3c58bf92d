"""Numbers as people read them; a missing one is a dash."""

import math
from collections.abc import Mapping
from typing import Final

from bayespin.report.naming import known
from bayespin.units import format_quantity, parse

MISSING: Final = "–"


def decimals(value: object, digits: int) -> str:
    """Return a fixed number of decimals: 0.0128."""
    number = known(value)
    return MISSING if number is None else f"{number:.{digits}f}"


def signed(value: object, digits: int) -> str:
    """Return a fixed number of decimals with a true minus sign: +0.012, −0.004."""
    number = known(value)
    return MISSING if number is None else f"{number:+.{digits}f}".replace("-", "−")


def percent(value: object, digits: int = 2) -> str:
    """Return a fraction of one as per cent: 0.8991 is "89.91 %" (with a no-break space)."""
    number = known(value)
    return MISSING if number is None else f"{100 * number:.{digits}f}\u00a0%"


def count(value: object) -> str:
    """Return a whole number with separators: 10,000."""
    number = known(value)
    return MISSING if number is None else f"{round(number):,}"


def figures(value: object, digits: int = 3) -> str:
    """Return significant figures: 0.0123."""
    number = known(value)
    return MISSING if number is None else f"{number:.{digits}g}".replace("-", "−")


def quantity(value: object, unit: str) -> str:
    """Return a quantity with an SI prefix: "1.31 µJ" (with a no-break space)."""
    number = known(value)
    return MISSING if number is None else format_quantity(number, unit).replace(" ", "\u00a0")


def with_error(estimate: object, unit: str = "1") -> str:
    """Return a value with its standard error in the same unit: "15.1 ± 0.6 ns", "0.217 ± 0.002".

    `estimate` maps `value` and `se` to SI numbers. Errors that begin with 1 or 2 have two digits,
    others one.
    """
    found = estimate if isinstance(estimate, Mapping) else {}
    value, error = known(found.get("value")), known(found.get("se"))
    if value is None:
        return MISSING
    scale, symbol = (1.0, "") if unit == "1" else prefixed(value, unit)
    tail = f"\u00a0{symbol}" if symbol else ""
    if error is None or error <= 0:
        return f"{figures(value / scale)}{tail}"
    digits = max(0, min(6, 1 - math.floor(math.log10(error / scale / 3))))
    digits -= digits > 0 and round(error / scale * 10**digits) >= 30
    text = f"{value / scale:.{digits}f} ± {error / scale:.{digits}f}"
    return f"{text.replace('-', '−')}{tail}"


def area(square_metres: object) -> str:
    """Return an area in mm², or in µm² below a hundredth of one."""
    number = known(square_metres)
    if number is None:
        return MISSING
    if abs(number) >= 1e-8:
        return f"{number * 1e6:.3g}\u00a0mm²"
    return f"{number * 1e12:.4g}\u00a0µm²"


def prefixed(largest: float, unit: str) -> tuple[float, str]:
    """Return (scale, symbol) of the prefixed unit that suits an axis up to `largest`: 1e-6, "µJ".

    Divide SI values by the scale to plot them.
    """
    symbol = format_quantity(largest, unit).partition(" ")[2]
    return parse(f"1 {symbol}", unit), symbol
