"""Elastic constants of a crystal at temperature: derivatives of its free energy by the strain of its cell.

Strain is Lagrange's, η, from the cell itself; tension and stiffness are the first and second derivative of the free
energy by it, over the volume (Wallace's definitions). The static part comes from stresses, the vibrations' part from
energies, both by the same strain: alone neither is a stress-strain coefficient, as the static stress of a hot cell is
not zero; their sum is, where the total stress is zero (Barron & Klein, Proc. Phys. Soc. 85, 523 (1965)). Atoms in a
strained cell stand where the static energy is least, which is right to first order in the vibrations' energy (Allan,
Barron & Bruno, J. Chem. Phys. 105, 8300 (1996)).

Source: Wallace, Thermodynamics of Crystals (1972), chapters 1 and 2; Barron & Klein (1965).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.workers.lattice.crystal import PrimitiveCell
from hashigo.calculators.workers.lattice.elastic import (
    VOIGT,
    relax_positions,
    stiffness_basis,
    strain_patterns,
    strain_tensor,
)
from hashigo.calculators.workers.lattice.free_energy import Vibrations
from hashigo.calculators.workers.lattice.strain_directions import (
    StrainDirection,
    energy_directions,
    fit_curvature,
    fit_slope,
    invariant_stresses,
)
from hashigo.calculators.workers.potential import Model

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Symmetry:
    """What a point group makes of strains.

    Attributes:
        basis: of the stiffness, shape (n_constants, 6, 6), dimensionless.
        invariants: tensions that the group allows, shape (n_invariants, 6), dimensionless.
        directions: strains whose energies tell all constants.
    """

    basis: Floats
    invariants: Floats
    directions: tuple[StrainDirection, ...]

    @classmethod
    def of(cls, rotations: Floats) -> Symmetry:
        """What a point group makes of strains.

        Args:
            rotations: shape (n_operations, 3, 3), dimensionless.
        """
        basis = stiffness_basis(rotations)
        directions = tuple(energy_directions(basis, rotations))
        return cls(basis, invariant_stresses(rotations), directions)

    @property
    def strains(self) -> list[tuple[int, int]]:
        """Index of the direction and sign of each strained cell that is needed."""
        return [(index, sign) for index, direction in enumerate(self.directions) for sign in direction.signs]


def deformation(voigt: Floats) -> Floats:
    """The deformation without rotation that has a Lagrangian strain.

    Args:
        voigt: η with engineering shears, shape (6,), dimensionless.

    Returns:
        Symmetric, √(1 + 2η), shape (3, 3), dimensionless.
    """
    values, vectors = np.linalg.eigh(np.eye(3) + 2 * strain_tensor(voigt))
    return np.asarray(vectors * np.sqrt(values) @ vectors.T)


def strained_crystal(model: Model, crystal: PrimitiveCell, cell: Floats, force_tolerance: float) -> Atoms:
    """The conventional cell with other lattice vectors and relaxed atoms, without calculator; lengths in Å.

    Args:
        model: the potential.
        crystal: where to start.
        cell: lattice vectors of the conventional cell as rows, shape (3, 3), Å.
        force_tolerance: largest force left on an atom, eV/Å.
    """
    return crystal.expand(_relaxed(model, crystal, cell, force_tolerance)[0])


def _relaxed(
    model: Model, crystal: PrimitiveCell, cell: Floats, force_tolerance: float
) -> tuple[Atoms, Floats]:
    """The primitive cell with relaxed atoms, and its stress, shape (6,), eV/Å^3."""
    strained = crystal.atoms.copy()
    change = np.linalg.solve(crystal.conventional.cell.array, cell)
    strained.set_cell(strained.cell.array @ change, scale_atoms=True)
    stress = relax_positions(model, strained, force_tolerance)
    return strained, stress


@dataclass(frozen=True)
class StaticDerivatives:
    """First and second derivative of the static energy by Lagrangian strain, over the volume.

    Attributes:
        tension: shape (6,), eV/Å^3.
        stiffness: shape (6, 6), eV/Å^3.
    """

    tension: Floats
    stiffness: Floats

    def shifted(self, one: StaticDerivatives, other: StaticDerivatives, share: float) -> StaticDerivatives:
        """With a share of the difference of two others added.

        Args:
            one: from which it is counted.
            other: to which it is counted.
            share: dimensionless.
        """
        return StaticDerivatives(
            self.tension + share * (other.tension - one.tension),
            self.stiffness + share * (other.stiffness - one.stiffness),
        )


def static_derivatives(
    model: Model,
    crystal: PrimitiveCell,
    cell: Floats,
    symmetry: Symmetry,
    strain: float,
    force_tolerance: float,
) -> StaticDerivatives:
    """Derivatives of the static energy of a cell, stressed or not, from stresses of strained cells.

    Args:
        model: the potential.
        crystal: where atoms start.
        cell: lattice vectors of the conventional cell as rows, shape (3, 3), Å.
        symmetry: of the crystal.
        strain: of each Voigt component, dimensionless.
        force_tolerance: largest force left on an atom, eV/Å.
    """
    rows, slopes = [], []
    for component in strain_patterns(symmetry.basis):
        tensions = []
        for sign in (1, -1):
            stretch = deformation(sign * strain * np.eye(6)[component])
            stress = _relaxed(model, crystal, cell @ stretch, force_tolerance)[1]
            tensions.append(second_piola_kirchhoff(stress, stretch))
        rows.append(symmetry.basis[:, :, component].T)
        slopes.append((tensions[0] - tensions[1]) / (2 * strain))
    constants = np.linalg.lstsq(np.vstack(rows), np.concatenate(slopes), rcond=None)[0]
    stress = _relaxed(model, crystal, cell, force_tolerance)[1]
    invariant = symmetry.invariants.T @ (symmetry.invariants @ stress)
    return StaticDerivatives(invariant, np.asarray(np.tensordot(constants, symmetry.basis, axes=1)))


def second_piola_kirchhoff(stress: Floats, stretch: Floats) -> Floats:
    """Derivative of the energy by Lagrangian strain over the volume before the deformation.

    Args:
        stress: Cauchy's, Voigt, shape (6,), any unit.
        stretch: symmetric deformation, shape (3, 3), dimensionless.

    Returns:
        Voigt, shape (6,), unit of `stress`.
    """
    tensor = np.zeros((3, 3))
    for value, (i, j) in zip(stress, VOIGT, strict=True):
        tensor[i, j] = tensor[j, i] = value
    inverse = np.linalg.inv(stretch)
    pulled = np.linalg.det(stretch) * inverse @ tensor @ inverse
    return np.array([pulled[i, j] for i, j in VOIGT])


@dataclass(frozen=True)
class ThermalDerivatives:
    """Derivatives of the vibrations' free energy by Lagrangian strain over the volume, at each temperature.

    Attributes:
        tension: first one, shape (n_temperatures, 6), eV/Å^3.
        stiffness: second one, shape (n_temperatures, 6, 6), eV/Å^3.
        heating: first one of the entropy, shape (n_temperatures, 6), eV/Å^3/K; the tension lost by heating.
        heat_capacity: at constant cell, shape (n_temperatures,), eV/Å^3/K.
    """

    tension: Floats
    stiffness: Floats
    heating: Floats
    heat_capacity: Floats

    def shifted(self, one: ThermalDerivatives, other: ThermalDerivatives, share: float) -> ThermalDerivatives:
        """With a share of the difference of two others added.

        Args:
            one: from which it is counted.
            other: to which it is counted.
            share: dimensionless.
        """
        return ThermalDerivatives(
            *(
                getattr(self, name) + share * (getattr(other, name) - getattr(one, name))
                for name in ("tension", "stiffness", "heating", "heat_capacity")
            )
        )


def thermal_derivatives(
    unstrained: Vibrations,
    strained: Mapping[tuple[int, int], Vibrations],
    symmetry: Symmetry,
    strain: float,
    volume: float,
    row: int = 0,
) -> ThermalDerivatives:
    """Derivatives from the free energies of strained cells.

    Args:
        unstrained: of the cell itself.
        strained: by index of the direction and sign, those of `Symmetry.strains`.
        symmetry: of the crystal.
        strain: size of each strain, whose tensor has this norm, dimensionless.
        volume: of the cell that `unstrained` is of, Å^3.
        row: index of the mesh.
    """
    curvatures, slopes, heating, odd = [], [], [], []
    for index, direction in enumerate(symmetry.directions):
        plus = strained[index, 1]
        minus = plus if direction.even else strained[index, -1]
        sides = plus.helmholtz[row] + minus.helmholtz[row]
        curvatures.append((sides - 2 * unstrained.helmholtz[row]) / (strain**2 * volume))
        if not direction.even:
            odd.append(direction)
            slopes.append((plus.helmholtz[row] - minus.helmholtz[row]) / (2 * strain * volume))
            heating.append((plus.entropy[row] - minus.entropy[row]) / (2 * strain * volume))
    return ThermalDerivatives(
        fit_slope(symmetry.invariants, odd, np.array(slopes)),
        fit_curvature(symmetry.basis, symmetry.directions, np.array(curvatures)),
        fit_slope(symmetry.invariants, odd, np.array(heating)),
        unstrained.heat_capacity[row] / volume,
    )


def node_cells(lattice: Floats, least: float = 1e-3) -> Floats:
    """Cells along a thermal path at which derivatives are computed: its smallest, its largest, and between them.

    Args:
        lattice: of the path, vectors as rows, shape (n_temperatures, 3, 3), Å.
        least: volumes nearer to each other than this share are served by one cell, dimensionless.

    Returns:
        Shape (3, 3, 3), or (1, 3, 3) of a path that is short, Å.
    """
    volumes = np.linalg.det(lattice)
    low, high = lattice[np.argmin(volumes)], lattice[np.argmax(volumes)]
    middle = (low + high) / 2
    if volumes.max() < (1 + least) * volumes.min():
        return np.asarray(middle[None])
    return np.array([low, middle, high])


def interpolation_weights(points: Sequence[float] | Floats, where: float) -> Floats:
    """Lagrange's weights of values at some points for the polynomial through all of them.

    Args:
        points: different from each other, shape (n,), any unit.
        where: at which the polynomial is wanted; same unit.

    Returns:
        Shape (n,), dimensionless.
    """
    array = np.asarray(points, dtype=float)
    return np.array(
        [
            np.prod([(where - other) / (point - other) for other in np.delete(array, index)])
            for index, point in enumerate(array)
        ]
    )
