"""Effective-medium theory of a few fcc metals, for tests and trials: not first-principles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.calculators.engines import Engine


def _calculator(settings: Mapping[str, Any]) -> Any:
    from ase.calculators.emt import EMT

    # Without a fixed cut-off the energy would depend on which elements are in the cell.
    return EMT(fixed_cutoff=True)


ENGINE = Engine(name="emt", title="EMT (Jacobsen, Stoltze, Nørskov)", first_principles=False, calculator=_calculator)
