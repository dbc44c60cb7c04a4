"""Relaxation and elastic stiffness of a crystal by strain and stress, with its symmetry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.units import GPa
from numpy.typing import NDArray

from hashigo.calculators.workers.lattice.crystal import SYMMETRY_TOLERANCE, point_group
from hashigo.calculators.workers.potential import Model, ModelCalculator
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]

#: Cartesian indices of the Voigt order xx, yy, zz, yz, xz, xy.
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))

MAX_STEPS = 300
#: A volume further than this factor from the start's is no relaxation but a potential outside its data.
MAX_VOLUME_RATIO = 1.3


def relax(
    model: Model,
    atoms: Atoms,
    force_tolerance: float = 1e-5,
    stress_tolerance: float = 1e-6,
    *,
    cell: bool = True,
) -> Atoms:
    """Relax cell and positions, keeping the crystal's symmetry and its orientation.

    Args:
        model: the potential.
        atoms: where to start; lengths in Å.
        force_tolerance: largest force left on an atom, eV/Å.
        stress_tolerance: largest stress component left, eV/Å^3.
        cell: whether the cell is relaxed too, or the positions alone.

    Returns:
        The relaxed atoms without calculator; lengths in Å.

    Raises:
        WorkerError: when it does not converge or runs away.
    """
    relaxed = atoms.copy()
    relaxed.calc = ModelCalculator(model)
    relaxed.set_constraint(FixSymmetry(relaxed, symprec=SYMMETRY_TOLERANCE))
    # The filter's cell gradient is the virial over the number of atoms.
    cell_tolerance = stress_tolerance * atoms.get_volume() / len(atoms)
    optimiser = BFGS(FrechetCellFilter(relaxed) if cell else relaxed, logfile=None)
    tolerance = min(force_tolerance, cell_tolerance) if cell else force_tolerance
    converged = False
    for state in optimiser.irun(fmax=tolerance, steps=MAX_STEPS):
        converged = bool(state)
        ratio = relaxed.get_volume() / atoms.get_volume()
        if not 1 / MAX_VOLUME_RATIO < ratio < MAX_VOLUME_RATIO:
            raise WorkerError(
                f"the cell of {atoms.get_chemical_formula()} ran away: {ratio:.2f} times its first volume",
                fix="add strained cells to the reference frames",
            )
    if not converged:
        raise WorkerError(
            f"the relaxation of {atoms.get_chemical_formula()} did not converge in {MAX_STEPS} steps",
            fix="start nearer to equilibrium, or raise elasticity.force_tolerance",
        )
    relaxed.set_constraint()
    relaxed.calc = None
    return relaxed


def relax_positions(model: Model, atoms: Atoms, force_tolerance: float = 1e-5) -> Floats:
    """Relax positions in a fixed cell and return its stress.

    Args:
        model: the potential.
        atoms: the cell; its positions are changed in place; lengths in Å.
        force_tolerance: largest force left on an atom, eV/Å.

    Returns:
        Stress, shape (6,), eV/Å^3, Voigt; positive under tension.

    Raises:
        WorkerError: when it does not converge.
    """
    atoms.calc = ModelCalculator(model)
    if not BFGS(atoms, logfile=None).run(fmax=force_tolerance, steps=MAX_STEPS):
        raise WorkerError(
            f"a strained cell of {atoms.get_chemical_formula()} did not relax in {MAX_STEPS} steps",
            fix="make elasticity.strain smaller, or raise elasticity.force_tolerance",
        )
    stress = np.asarray(atoms.get_stress())
    atoms.calc = None
    return stress


def strain_tensor(voigt: Sequence[float] | Floats) -> Floats:
    """Symmetric strain tensor of a Voigt vector.

    Args:
        voigt: xx, yy, zz and engineering shears yz, xz, xy, shape (6,), dimensionless.

    Returns:
        Shape (3, 3), dimensionless.
    """
    tensor = np.zeros((3, 3))
    for value, (i, j) in zip(voigt, VOIGT, strict=True):
        tensor[i, j] += value / 2
        tensor[j, i] += value / 2
    return tensor


def stress_rotation(rotation: Floats) -> Floats:
    """Matrix that turns a Voigt stress as a rotation turns its tensor (Bond's matrix).

    Args:
        rotation: orthogonal, shape (3, 3), dimensionless.

    Returns:
        Shape (6, 6), dimensionless; a stiffness turns as M C Mᵀ.

    Source: Auld, Acoustic Fields and Waves in Solids (1973), chapter 3.
    """
    matrix = np.empty((6, 6))
    for column, (k, m) in enumerate(VOIGT):
        unit = np.zeros((3, 3))
        unit[k, m] = unit[m, k] = 1.0
        turned = rotation @ unit @ rotation.T
        matrix[:, column] = [turned[i, j] for i, j in VOIGT]
    return matrix


def symmetrise(stiffness: Floats, rotations: Floats) -> Floats:
    """Average a stiffness over the operations of a point group.

    Args:
        stiffness: shape (6, 6), any unit.
        rotations: shape (n_operations, 3, 3), dimensionless.

    Returns:
        Symmetric, shape (6, 6), unit of `stiffness`.
    """
    bonds = [stress_rotation(rotation) for rotation in rotations]
    mean = np.mean([bond @ stiffness @ bond.T for bond in bonds], axis=0)
    return np.asarray((mean + mean.T) / 2)


def stiffness_basis(rotations: Floats) -> Floats:
    """An orthonormal basis of the stiffness matrices that a point group allows.

    Args:
        rotations: shape (n_operations, 3, 3), dimensionless.

    Returns:
        Shape (n_constants, 6, 6), dimensionless; n_constants is 3 for cubic crystals, 21 for triclinic ones.
    """
    upper = np.triu_indices(6)
    allowed = []
    for i, j in zip(*upper, strict=True):
        unit = np.zeros((6, 6))
        unit[i, j] = unit[j, i] = 1.0
        allowed.append(symmetrise(unit, rotations).ravel())
    _, sizes, directions = np.linalg.svd(np.array(allowed))
    return np.asarray(directions[: int(np.sum(sizes > 1e-6))].reshape(-1, 6, 6))


def strain_patterns(basis: Floats) -> list[int]:
    """Voigt components of strain whose stresses determine every constant of a basis.

    Args:
        basis: shape (n_constants, 6, 6), dimensionless.

    Returns:
        Indices of Voigt components, as few as are found by taking them in order.
    """
    chosen: list[int] = []
    rows = np.zeros((0, len(basis)))
    for component in range(6):
        trial = np.vstack([rows, basis[:, :, component].T])
        if np.linalg.matrix_rank(trial, tol=1e-6) > np.linalg.matrix_rank(rows, tol=1e-6):
            chosen.append(component)
            rows = trial
    return chosen


def stiffness(
    model: Model,
    atoms: Atoms,
    strain: float = 0.005,
    *,
    relax_internal: bool = True,
    force_tolerance: float = 1e-5,
) -> Floats:
    """Elastic stiffness from the stresses of cells strained by ± each pattern the symmetry needs.

    Args:
        model: the potential.
        atoms: relaxed cell, best a primitive one; lengths in Å.
        strain: size of each Voigt component of strain, dimensionless.
        relax_internal: whether atoms relax in each strained cell.
        force_tolerance: largest force left on an atom, eV/Å.

    Returns:
        Shape (6, 6), GPa, Voigt, in the Cartesian axes of `atoms`; it has the symmetry of the crystal.

    Raises:
        WorkerError: when positions do not relax.
    """
    basis = stiffness_basis(point_group(atoms))
    rows, slopes = [], []
    for component in strain_patterns(basis):
        stresses = []
        for sign in (1, -1):
            gradient = np.eye(3) + strain_tensor(sign * strain * np.eye(6)[component])
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ gradient, scale_atoms=True)
            if relax_internal:
                stresses.append(relax_positions(model, strained, force_tolerance))
            else:
                stresses.append(model.evaluate([strained])[0].stress)
        rows.append(basis[:, :, component].T)
        slopes.append((stresses[0] - stresses[1]) / (2 * strain * GPa))
    constants = np.linalg.lstsq(np.vstack(rows), np.concatenate(slopes), rcond=None)[0]
    return np.asarray(np.tensordot(constants, basis, axes=1))


@dataclass(frozen=True)
class Stability:
    """Whether a crystal resists every small strain.

    Attributes:
        stable: whether all eigenvalues are positive.
        eigenvalues: of the stiffness, ascending, shape (6,), GPa.
    """

    stable: bool
    eigenvalues: Floats


def born_stability(stiffness: Floats) -> Stability:
    """Born's criterion for a crystal free of stress: the stiffness is positive definite.

    Args:
        stiffness: shape (6, 6), GPa, Voigt.

    Source: Mouhat & Coudert, Phys. Rev. B 90, 224104 (2014).
    """
    # Mandel's scaling, so that eigenvalues do not depend on the axes.
    scale = np.sqrt([1, 1, 1, 2, 2, 2])
    eigenvalues = np.linalg.eigvalsh(stiffness * np.outer(scale, scale))
    return Stability(bool(eigenvalues[0] > 0), eigenvalues)
