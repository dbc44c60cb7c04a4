"""What is asked of each elastic solution of a mesoscale job besides the stiffness."""

from __future__ import annotations

import numpy as np

from hashigo.calculators.workers.homogenization.inputs import Cooling, Crystal
from hashigo.calculators.workers.homogenization.materials import Material, tensors_of
from hashigo.calculators.workers.homogenization.thermoelastic import ExpansionProbe, StressProbe
from hashigo.errors import InputError


def expansion_probe(
    shape: tuple[int, int, int], crystal: Crystal, materials: tuple[Material, ...]
) -> ExpansionProbe | None:
    """For the effective expansion; None where the crystal's, or that of a material, is not known.

    Args:
        shape: numbers of realisations, conditions and members.
        crystal: with its expansion.
        materials: those beside it.
    """
    if crystal.expansion is None or any(material.expansion is None for material in materials):
        return None
    return ExpansionProbe(shape, tensors_of(materials, "expansion"))


def stress_probe(
    shape: tuple[int, int, int], crystal: Crystal, cooling: Cooling | None, materials: tuple[Material, ...]
) -> StressProbe | None:
    """For the stress between grains, where it is asked for.

    Args:
        shape: numbers of realisations, conditions and members.
        crystal: whose stiffness it is.
        cooling: the change of temperature; None where it is not asked for.
        materials: those beside the crystal.

    Raises:
        InputError: when the stiffness is not known at the final temperature, or a material has no expansion.
    """
    if cooling is None:
        return None
    column = 0
    if not crystal.fixed:
        found = np.flatnonzero(np.isclose(crystal.temperatures, cooling.temperature))
        if not len(found):
            raise InputError(
                f"the stiffness was not computed at {cooling.temperature:g} K, to which thermal_stress brings it",
                fix="add it to mesoscale.temperatures",
            )
        column = int(found[0])
    # A number for all temperatures is all that is known of the other materials.
    others = cooling.change * tensors_of(materials, "expansion")
    members = cooling.members
    if members is not None and len(members) != shape[2]:
        members = None
    return StressProbe(shape, column, cooling.eigenstrain, members, others)
