"""Sound in a crystal and in an untextured polycrystal of it, and the Debye temperature of its long waves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.constants import atomic_mass, hbar, k

from hashigo.calculators.workers.lattice.elastic import VOIGT
from hashigo.calculators.workers.lattice.moduli import Moduli

Floats = NDArray[np.float64]

_ANGSTROM = 1e-10
_GPA = 1e9
#: Nodes in the cosine of the polar angle and in half a turn around it; the integrand is smooth, and the error of its
#: integral is below 1e-10 for a Zener ratio of 4.5, and 1e-4 for one of 90.
_POLAR_NODES = 48


def mass_density(atoms: Atoms) -> float:
    """Mass density, kg/m^3.

    Args:
        atoms: any periodic cell of the crystal; lengths in Å.
    """
    return float(atoms.get_masses().sum() * atomic_mass / (atoms.get_volume() * _ANGSTROM**3))


def christoffel(stiffness: Floats, directions: Floats) -> Floats:
    """Christoffel's matrices Γ_ik = C_ijkl n_j n_l, whose eigenvalues are the density times velocities squared.

    Args:
        stiffness: shape (6, 6), GPa, Voigt.
        directions: unit vectors of propagation, shape (n, 3), dimensionless.

    Returns:
        Shape (n, 3, 3), GPa.

    Source: Auld, Acoustic Fields and Waves in Solids (1973), chapter 7.
    """
    place = np.empty((3, 3), dtype=np.int64)
    for index, (i, j) in enumerate(VOIGT):
        place[i, j] = place[j, i] = index
    tensor = stiffness[place[:, :, None, None], place[None, None]]
    return np.asarray(np.einsum("ijkl,nj,nl->nik", tensor, directions, directions))


def sound_velocities(stiffness: Floats, density: float, directions: Floats) -> Floats:
    """Phase velocities of the three plane waves along each direction.

    Args:
        stiffness: shape (6, 6), GPa, Voigt.
        density: of mass, kg/m^3.
        directions: unit vectors of propagation, shape (n, 3), dimensionless.

    Returns:
        Ascending, shape (n, 3), m/s; not a number where the crystal yields to the wave.
    """
    squares = np.linalg.eigvalsh(christoffel(stiffness, directions)) * _GPA / density
    return np.sqrt(np.where(squares > 0, squares, np.nan))


def debye_temperature(stiffness: Floats, atoms: Atoms) -> float:
    """Debye temperature of the long acoustic waves, K: what the heat capacity tends to at lowest temperatures.

    The mean of 1/v^3 over the three waves and all directions is integrated, not estimated from an isotropic average;
    there are three modes for each atom.

    Args:
        stiffness: shape (6, 6), GPa, Voigt.
        atoms: any periodic cell of the crystal; lengths in Å.

    Returns:
        In K; not a number for a crystal that yields to some wave.

    Source: Anderson, J. Phys. Chem. Solids 24, 909 (1963); the integral as in Robie & Edwards, J. Appl. Phys. 37,
    2659 (1966).
    """
    cosines, weights = np.polynomial.legendre.leggauss(_POLAR_NODES)
    # Half a turn will do, as Γ(-n) = Γ(n).
    azimuths = np.pi * np.arange(_POLAR_NODES) / _POLAR_NODES
    velocities = sound_velocities(stiffness, mass_density(atoms), _unit_vectors(cosines, azimuths))
    slownesses = (velocities**-3).mean(axis=1).reshape(len(cosines), len(azimuths)).mean(axis=1)
    mean = (float(weights @ slownesses) / 2) ** (-1 / 3)
    atoms_per_volume = len(atoms) / (atoms.get_volume() * _ANGSTROM**3)
    return float(hbar / k * (6 * np.pi**2 * atoms_per_volume) ** (1 / 3) * mean)


def _unit_vectors(cosines: Floats, azimuths: Floats) -> Floats:
    """Directions for each cosine of the polar angle and azimuth, the latter fastest; shape (n, 3), dimensionless."""
    z, phi = (grid.ravel() for grid in np.meshgrid(cosines, azimuths, indexing="ij"))
    sine = np.sqrt(1 - z**2)
    return np.stack([sine * np.cos(phi), sine * np.sin(phi), z], axis=1)


@dataclass(frozen=True)
class PolycrystalSound:
    """Velocities of sound in an untextured polycrystal, m/s."""

    longitudinal: float
    transverse: float


def polycrystal_sound(moduli: Moduli, density: float) -> PolycrystalSound:
    """Velocities of sound by Hill's moduli, for waves longer than the grains.

    Args:
        moduli: of the polycrystal.
        density: of mass, kg/m^3.

    Returns:
        Velocities; not a number where a modulus is negative.

    Source: Anderson, J. Phys. Chem. Solids 24, 909 (1963).
    """
    squares = np.array([moduli.bulk + 4 / 3 * moduli.shear, moduli.shear]) * _GPA / density
    longitudinal, transverse = np.sqrt(np.where(squares > 0, squares, np.nan))
    return PolycrystalSound(float(longitudinal), float(transverse))


@dataclass(frozen=True)
class Directions:
    """Directions over half the sphere; a wave runs the same way back.

    Attributes:
        polar: angles from z, shape (n_polar,), °.
        azimuth: angles from x around z, shape (n_azimuth,), °.
    """

    polar: Floats
    azimuth: Floats

    @property
    def vectors(self) -> Floats:
        """Unit vectors, the azimuth changing fastest, shape (n_polar * n_azimuth, 3), dimensionless."""
        return _unit_vectors(np.cos(np.radians(self.polar)), np.radians(self.azimuth))


#: Directions for which results keep velocities.
KEPT = Directions(np.linspace(0, 90, 19), np.arange(0.0, 360.0, 5.0))
