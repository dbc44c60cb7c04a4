"""Effective-medium theory of a few fcc metals, for tests and trials: not first-principles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hashigo.calculators.engines import Engine, Workspace
from hashigo.errors import InputError

ELEMENTS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")


def _calculator(settings: Mapping[str, Any], workspace: Workspace) -> Any:
    from ase.calculators.emt import EMT

    # Without a fixed cut-off the energy would depend on which elements are in the cell.
    return EMT(fixed_cutoff=True)


def _check(settings: Mapping[str, Any], elements: Sequence[str]) -> None:
    unknown = sorted(set(elements) - set(ELEMENTS))
    if unknown:
        raise InputError(f"engine 'emt' knows {', '.join(ELEMENTS)} only, not {', '.join(unknown)}")


ENGINE = Engine(
    name="emt",
    title="EMT (Jacobsen, Stoltze, Nørskov)",
    first_principles=False,
    calculator=_calculator,
    check=_check,
    metal=True,
)
