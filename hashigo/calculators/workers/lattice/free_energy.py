"""Harmonic free energy of one cell, strained or not: what the quasi-harmonic stages ask of a potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from hashigo.calculators.workers.lattice.force_constants import (
    ForceConstants,
    build_lattice,
    finite_displacements,
)
from hashigo.calculators.workers.lattice.harmonic import commensurate_qpoints, frequencies, thermal_properties
from hashigo.calculators.workers.lattice.polar import Polar
from hashigo.calculators.workers.potential import Model

Floats = NDArray[np.float64]

#: One kJ/mol, and one J/(K mol), of cells in eV, and eV/K, a cell: 1000 / (N_A e), CODATA 2018.
KJ_PER_MOL = 1.0 / 96.48533212331001


@dataclass(frozen=True)
class Vibrations:
    """Thermal functions of the vibrations of one conventional cell at constant volume.

    Attributes:
        temperatures: shape (n_temperatures,), K.
        helmholtz: with the zero-point energy, shape (n_meshes, n_temperatures), eV.
        entropy: shape (n_meshes, n_temperatures), eV/K.
        heat_capacity: shape (n_meshes, n_temperatures), eV/K.
        minimum: lowest frequency at a commensurate wave vector, THz; imaginary ones negative.
    """

    temperatures: Floats
    helmholtz: Floats
    entropy: Floats
    heat_capacity: Floats
    minimum: float


def vibrations(
    model: Model,
    atoms: Atoms,
    supercell: Sequence[int],
    displacement: float,
    meshes: Sequence[int],
    temperatures: Sequence[float],
    polar: Polar | None = None,
) -> Vibrations:
    """Thermal functions of a cell by a potential, from phonopy's symmetry-reduced finite displacements.

    Args:
        model: the potential.
        atoms: conventional cell without forces on its atoms, strained or not; lengths in Å.
        supercell: repeats along its edges, shape (3,), count.
        displacement: of the one atom, Å.
        meshes: each the count of wave vectors along each reciprocal vector; the functions are given for all.
        temperatures: K.
        polar: Born charges of the crystal; None where they are not known.
    """
    lattice = build_lattice(atoms, supercell, polar)
    constants = finite_displacements(model, lattice, displacement)
    return vibrations_of(lattice, constants, len(atoms), meshes, temperatures)


def vibrations_of(
    lattice: Phonopy,
    constants: ForceConstants,
    n_atoms: int,
    meshes: Sequence[int],
    temperatures: Sequence[float],
) -> Vibrations:
    """Thermal functions of a lattice with its force constants.

    Args:
        lattice: supercell and primitive cell.
        constants: of this supercell.
        n_atoms: count of atoms in the conventional cell, for which the functions are given.
        meshes: each the count of wave vectors along each reciprocal vector.
        temperatures: K.
    """
    minimum = float(frequencies(lattice, constants, commensurate_qpoints(lattice)).min())
    cells = n_atoms / len(lattice.primitive)
    rows = np.array(
        [thermal_properties(lattice, constants, mesh, temperatures).rows for mesh in meshes], dtype=float
    )
    rows *= cells * KJ_PER_MOL
    return Vibrations(
        np.asarray(temperatures, dtype=float), rows[:, 0], rows[:, 1] / 1000, rows[:, 2] / 1000, minimum
    )
