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

    return pint.UnitRegistry(cache_folder=None)


def in_unit(value: Any, unit: str, where: str) -> float:
    """Convert a number or a text such as "0.5 nm" to a unit.

    Args:
        value: a number, already in `unit`, or a text of number and unit.
        unit: the unit wanted.
        where: key path in the study, for messages.

    Returns:
        The number in `unit`.

    Raises:
        InputError: when it is no number, or its unit is of another dimension.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _WRITTEN.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InputError(f"{where} is {value!r}, which is no number", fix=f'write it like 1.5 or "1.5 {unit}"')
    number, written = float(match[1]), match[2]
    if written is None or written == unit:
        return number
    import pint

    try:
        return float(_registry().Quantity(number, written).to(unit).magnitude)
    except (pint.UndefinedUnitError, pint.errors.DefinitionSyntaxError):
        raise InputError(f"{where} is {value!r}, whose unit is not known", fix=f"give it in {unit}") from None
    except pint.DimensionalityError:
        raise InputError(
            f"{where} is {value!r}, but must be convertible to {unit}", fix=f"give it in {unit}"
        ) from None
