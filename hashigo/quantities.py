"""The vocabulary: name, symbol, unit and shape of every quantity handed from scale to scale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hashigo.errors import InputError

#: Parts that a standard uncertainty may be split into.
COMPONENTS = (
    "model",
    "mesh",
    "supercell",
    "sampling",
    "resolution",
    "fit",
    "strain",
    "electronic",
    "cutoff",
    "form",
    "boundary",
    "time",
)


@dataclass(frozen=True)
class Quantity:
    """One entry of quantities.yaml.

    Attributes:
        name: key used in files and results.
        symbol: the field's symbol.
        unit: the only unit used for it inside this project.
        shape: shape of one value; () is a scalar.
    """

    name: str
    symbol: str
    unit: str
    shape: tuple[int, ...]
    description: str
    convention: str = ""
    source: str = ""


@cache
def vocabulary() -> dict[str, Quantity]:
    """All quantities by name, in the order of the file."""
    import yaml

    text = Path(__file__).with_name("quantities.yaml").read_text(encoding="utf-8")
    entries = yaml.safe_load(text)["quantities"]
    return {
        name: Quantity(name=name, **{**entry, "shape": tuple(entry["shape"])})
        for name, entry in entries.items()
    }


def quantity(name: str) -> Quantity:
    """Look one quantity up.

    Args:
        name: key in quantities.yaml.

    Raises:
        InputError: when there is no such quantity.
    """
    try:
        return vocabulary()[name]
    except KeyError:
        raise InputError(
            f"there is no quantity '{name}' in the vocabulary", fix="add it to hashigo/quantities.yaml"
        ) from None
