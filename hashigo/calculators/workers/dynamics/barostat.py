"""Constant pressure by stochastic rescaling of the cell, isotropic.

Source: Bernetti & Bussi, J. Chem. Phys. 153, 114107 (2020): the square root of the volume follows a Langevin equation
whose noise does not depend on it, positions are scaled with the cell and momenta against it. Volumes are distributed
as exp(-(F(V) + p V) / kT), and their mean square fluctuation is kT V / B_T.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms, units


@dataclass(frozen=True)
class Barostat:
    """Holds a pressure.

    Attributes:
        temperature: K.
        pressure: to be held, GPa.
        bulk_modulus: rough value that sets the pace, GPa.
        share: time between rescalings over the relaxation time, dimensionless; small against 1.
        every: number of steps between rescalings.
    """

    temperature: float
    pressure: float
    bulk_modulus: float
    share: float
    every: int

    def rescale(self, moving: Atoms, generator: np.random.Generator) -> float:
        """Scale cell, positions about the centre of mass, and momenta once.

        Args:
            moving: atoms with momenta and calculator; changed in place; lengths in Å.
            generator: of the noise.

        Returns:
            Factor of the volume, dimensionless.
        """
        thermal, volume = units.kB * self.temperature, moving.get_volume()
        kinetic = 2 * moving.get_kinetic_energy() / (3 * volume)
        inside = kinetic - float(moving.get_stress(apply_constraint=False)[:3].sum()) / 3
        pace = self.share / (self.bulk_modulus * units.GPa)
        root = np.sqrt(volume)
        drift = pace * root / 2 * (inside - self.pressure * units.GPa + thermal / (2 * volume))
        noise = np.sqrt(thermal * pace / 2) * generator.standard_normal()
        factor = float((1 + (drift + noise) / root) ** 2)
        self._scale(moving, factor ** (1 / 3))
        return factor

    def _scale(self, moving: Atoms, length: float) -> None:
        centre = moving.get_center_of_mass()
        positions = centre + length * (moving.get_positions() - centre)
        momenta = moving.get_momenta() / length
        moving.set_cell(moving.cell.array * length, scale_atoms=False)
        moving.set_positions(positions, apply_constraint=False)
        moving.set_momenta(momenta, apply_constraint=False)
