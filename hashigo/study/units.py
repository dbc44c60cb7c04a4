"""Numbers with units, as people write them: "0.03 Å", "100 nm", "24 Ry"."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from hashigo.errors import InputError

_WRITTEN = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S.*?)?\s*")


@cache
def _registry() -> Any:
    import pint  # half of the start-up time of a command that needs no units

    return pint.UnitRegistry()


def convert(value: Any, unit: str) -> float:
    """Convert a number or a text such as "0.5 nm" to a unit.

    Args:
        value: a number, already in `unit`, or a text of number and unit.
        unit: the unit wanted; "" for a pure number.

    Returns:
        The number in `unit`.

    Raises:
        ValueError: says why it is no such number.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no number; write it like 1.5" + (f" or '1.5 {unit}'" if unit else ""))
    number, written = float(match[1]), match[2]
    if written is None or written == unit:
        return number
    import pint

    try:
        # Rounded where binary fractions differ: 1 µm is 1000 nm.
        return float(f"{_registry().Quantity(number, written).to(unit or 'dimensionless').magnitude:.13g}")
    except pint.DimensionalityError:
        raise ValueError(f"{value!r} cannot be converted to {unit or 'a pure number'}") from None
    except (pint.UndefinedUnitError, pint.errors.DefinitionSyntaxError, AttributeError):
        raise ValueError(f"the unit of {value!r} is not known; give it in {unit}") from None


def in_unit(value: Any, unit: str, where: str) -> float:
    """As `convert`, for a value outside the study's typed fields.

    Args:
        value: a number in `unit`, or a text of number and unit.
        unit: the unit wanted.
        where: key path in the study, for the message.

    Returns:
        The number in `unit`.

    Raises:
        InputError: names the key path and what is wrong.
    """
    try:
        return convert(value, unit)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
