"""The grid of models that `potential.search` tries, and what of it is left open."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from hashigo.study.fields import Count, Length, Section

CutOff = Annotated[Length, Field(gt=1, le=20)]
#: Models that are tried at most.
MAX_CANDIDATES = 200

#: What `search: true` tries.
DEFAULT_GRID: dict[str, list[Any]] = {
    "cutoff": [5.0, 6.0],
    "radial_functions": [5, 10],
    "invariant_max_l": [[4, 4], [8, 8]],
    "max_power": [1, 2],
}
#: Parameters of the model that a grid has values of, in the order of its candidates.
GRID = tuple(DEFAULT_GRID)
#: Highest order of invariants that the default grid's angular numbers are for.
_ORDER = 3


class Search(Section):
    """Models that are tried: of what has no list here, the value of `potential`; without any list, a small grid."""

    cutoff: tuple[CutOff, ...] | None = Field(
        None, min_length=1, description="Radii within which atoms interact, Å."
    )
    radial_functions: tuple[Count, ...] | None = Field(
        None, min_length=1, description="Numbers of radial basis functions."
    )
    invariant_max_l: tuple[tuple[int, ...], ...] | None = Field(
        None,
        min_length=1,
        description="Highest angular numbers of each order from 2 up, as in [[4, 4], [8, 8]].",
    )
    max_power: tuple[Literal[1, 2, 3], ...] | None = Field(
        None, min_length=1, description="Highest powers of the features in the polynomial."
    )


def _section(value: Any) -> Any:
    """`true` is a search without lists, `false` none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


def _schema(schema: dict[str, Any]) -> None:
    schema["anyOf"].append({"type": "boolean"})


SearchField = Annotated[Search | None, BeforeValidator(_section), Field(json_schema_extra=_schema)]


def check_search(search: Search | None, invariant_order: int) -> None:
    """Check a grid against the model's other parameters.

    Args:
        search: as in the study.
        invariant_order: highest order of rotational invariants, number.

    Raises:
        ValueError: names what is wrong; the study's reader makes a sentence of it.
    """
    if search is None:
        return
    values = [tuple(getattr(search, name) or ()) for name in GRID]
    count = prod(len(set(one)) for one in values if one)
    if count > MAX_CANDIDATES:
        raise ValueError(f"search has {count} models, more than {MAX_CANDIDATES}; give fewer values")
    for entry in search.invariant_max_l or ():
        if len(entry) != invariant_order - 1:
            raise ValueError(
                f"search.invariant_max_l has {list(entry)}, and invariants up to order {invariant_order} need "
                f"{invariant_order - 1} numbers"
            )


def search_grid(potential: Mapping[str, Any]) -> dict[str, list[Any]] | None:
    """The values that are tried of each parameter; None without a search.

    Args:
        potential: the study's section as plain values; lengths in Å.
    """
    search = potential.get("search")
    if search is None:
        return None
    given = {key: value for key, value in search.items() if value}
    if not given:
        given = dict(DEFAULT_GRID)
        if potential["invariant_order"] != _ORDER:
            del given["invariant_max_l"]
    return {name: _distinct(given.get(name) or [potential[name]]) for name in GRID}


def _distinct(values: list[Any]) -> list[Any]:
    return [value for index, value in enumerate(values) if value not in values[:index]]
