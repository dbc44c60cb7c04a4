"""Properties of a component's material that the study gives by hand: numbers, or tables over temperature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hashigo.calculators.workers.component.material import Curve, constant
from hashigo.calculators.workers.component.properties import GIVEN, Property
from hashigo.calculators.workers.homogenization.materials import isotropic_stiffness
from hashigo.errors import InputError


def given_properties(given: Mapping[str, Any], where: str) -> dict[str, Property]:
    """Properties by hand: numbers, or tables over temperature.

    Args:
        given: as in the study, `None` for what is not.
        where: key path in the study, for messages.
    """
    found = {}
    for name in ("density", "heat_capacity"):
        if given.get(name) is not None:
            found[name] = Property(_curve(given[name], f"{where}.{name}"), GIVEN)
    if given.get("conductivity") is not None:
        curve = _curve(given["conductivity"], f"{where}.conductivity", lambda v: np.broadcast_to(v, 3))
        found["conductivity"] = Property(curve, GIVEN)
    if given.get("expansion") is not None:
        curve = _curve(given["expansion"], f"{where}.expansion", lambda v: np.array([v, v, v, 0, 0, 0]))
        found["expansion"] = Property(curve, GIVEN)
    if given.get("youngs_modulus") is not None:
        found["stiffness"] = Property(
            _isotropic(
                _curve(given["youngs_modulus"], f"{where}.youngs_modulus"),
                _curve(given["poisson_ratio"], f"{where}.poisson_ratio"),
            ),
            GIVEN,
        )
    return found


def _curve(value: Any, where: str, shaped: Any = lambda value: value) -> Curve:
    if not isinstance(value, Mapping):
        return constant(np.array(shaped(value), dtype=float))
    table = {float(kelvin): np.array(shaped(entry), dtype=float) for kelvin, entry in value.items()}
    temperatures = np.array(sorted(table))
    return Curve(
        temperatures,
        np.array([table[kelvin] for kelvin in temperatures]),
        False,
        f"add temperatures to {where}",
    )


def _isotropic(young: Curve, poisson: Curve) -> Curve:
    """Stiffness of an isotropic body, Voigt, by temperature."""
    tables: Sequence[Curve] = [one for one in (young, poisson) if not one.constant]
    temperatures = (
        np.unique(np.concatenate([one.temperatures for one in tables])) if tables else np.array([0.0])
    )
    inside = np.ones(len(temperatures), dtype=bool)
    for one in tables:
        inside &= (temperatures >= one.low) & (temperatures <= one.high)
    temperatures = temperatures[inside]
    if not len(temperatures):
        raise InputError(
            "youngs_modulus and poisson_ratio share no temperature", fix="give both over one range"
        )
    modulus, ratio = young(temperatures), poisson(temperatures)
    values = np.array([isotropic_stiffness(*pair) for pair in zip(modulus, ratio, strict=True)])
    return Curve(temperatures, values, not tables, (tables or [young])[0].remedy)
