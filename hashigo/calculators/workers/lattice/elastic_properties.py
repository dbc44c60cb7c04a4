"""What follows from a stiffness and a density: moduli, anisotropy, velocities of sound, Debye temperature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.lattice.elastic import born_stability
from hashigo.calculators.workers.lattice.moduli import hill_moduli, zener_ratio
from hashigo.calculators.workers.lattice.waves import (
    KEPT,
    debye_temperature,
    mass_density,
    polycrystal_sound,
    sound_velocities,
)

Floats = NDArray[np.float64]


def elastic_quantities(stiffness: Floats, atoms: Atoms) -> dict[str, float]:
    """Quantities by name, each in the vocabulary's unit.

    All but Hill's bulk and shear modulus are not numbers where the crystal is unstable.

    Args:
        stiffness: shape (6, 6), GPa, Voigt, in the axes of `atoms`.
        atoms: the conventional cell; lengths in Å.
    """
    moduli, density = hill_moduli(stiffness), mass_density(atoms)
    sound, zener = polycrystal_sound(moduli, density), zener_ratio(stiffness)
    derived = {
        "young_modulus": moduli.young,
        "poisson_ratio": moduli.poisson,
        "universal_anisotropy": moduli.universal_anisotropy,
        "sound_velocity_longitudinal": sound.longitudinal,
        "sound_velocity_transverse": sound.transverse,
        "debye_temperature": debye_temperature(stiffness, atoms),
        **({} if zener is None else {"zener_ratio": zener}),
    }
    if not born_stability(stiffness).stable:
        derived = dict.fromkeys(derived, np.nan)
    return {"bulk_modulus": moduli.bulk, "shear_modulus": moduli.shear, **derived}


def write_velocities(
    writer: ResultWriter, mean: tuple[Floats, Atoms], members: Sequence[tuple[Floats, Atoms]]
) -> None:
    """Write velocities of sound over direction: "sound/velocity" on the grid of "sound/polar" and "sound/azimuth".

    Args:
        writer: of the result.
        mean: stiffness, shape (6, 6), GPa, and cell of the mean potential.
        members: stiffness, shape (6, 6), GPa, and cell of each member; two or more give "sound/spread".
    """
    shape = (len(KEPT.polar), len(KEPT.azimuth), 3)

    def velocities(stiffness: Floats, atoms: Atoms) -> Floats:
        return sound_velocities(stiffness, mass_density(atoms), KEPT.vectors).reshape(shape)

    writer.array("sound/polar", KEPT.polar, units="°")
    writer.array("sound/azimuth", KEPT.azimuth, units="°")
    writer.array("sound/velocity", velocities(*mean), units="m/s")
    if len(members) > 1:
        spread = np.std([velocities(*member) for member in members], axis=0, ddof=1)
        writer.array("sound/spread", spread, units="m/s")
