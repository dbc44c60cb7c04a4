"""Structures that a study starts from: read, standardised, compared."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray

from hashigo.errors import InputError
from hashigo.study.phonopy_yaml import is_phonopy_name, unit_cell

Floats = NDArray[np.float64]


def read_structure_file(path: Path) -> Atoms:
    """Read a CIF, POSCAR or extended XYZ file, or the unit cell of a YAML file of phonopy or phono3py.

    Raises:
        InputError: when the file is missing, unreadable, empty or not periodic in three directions.
    """
    from ase.io import read  # ase.io loads slowly
    from ase.io.formats import UnknownFileTypeError

    if path.is_dir():
        raise InputError(f"{path} is a folder, and a structure file was expected", fix="check the path")
    if not path.is_file():
        raise InputError(f"structure file {path} does not exist", fix="check the path")
    if is_phonopy_name(path):
        return unit_cell(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = read(path)
    except UnknownFileTypeError:
        raise InputError(
            f"{path.name} is of no known structure format",
            fix="use a CIF, a POSCAR, an extended XYZ or a phonopy YAML file",
        ) from None
    except Exception as error:  # ASE's readers raise whatever their parsing meets
        reason = str(error) or type(error).__name__
        raise InputError(
            f"{path.name} cannot be read as a structure: {reason}",
            fix="use a CIF, a POSCAR, an extended XYZ or a phonopy YAML file",
        ) from None
    if isinstance(atoms, list) or len(atoms) == 0:
        raise InputError(f"{path.name} holds no structure")
    if atoms.cell.rank < 3 or not all(atoms.pbc):
        raise InputError(
            f"{path.name} is not periodic in three directions", fix="give all three lattice vectors"
        )
    return Atoms(
        atoms.get_chemical_symbols(),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
        pbc=True,
    )


#: What spglib raises when it finds no symmetry; releases before that return None.
_NO_SYMMETRY: type[Exception] = getattr(spglib, "SpglibError", ValueError)


def standardise(atoms: Atoms, tolerance: float = 1e-3) -> Atoms:
    """Conventional standardised cell, Cartesian axes as spglib sets them.

    Args:
        atoms: any cell of the crystal.
        tolerance: distance within which symmetry is looked for, Å.

    Raises:
        InputError: when spglib finds no symmetry, as for atoms on top of each other.
    """
    numbers = atoms.get_atomic_numbers()
    try:
        found = spglib.standardize_cell(
            (atoms.cell.array, atoms.get_scaled_positions(), numbers), to_primitive=False, symprec=tolerance
        )
    except _NO_SYMMETRY as error:
        found, reason = None, f" ({error})"
    else:
        reason = ""
    if found is None:
        raise InputError(
            f"no crystal symmetry is found in the structure of {len(atoms)} atoms{reason}",
            fix="check for atoms on top of each other, or raise structure.tolerance",
        )
    cell, positions, types = found
    return Atoms(numbers=types, cell=cell, scaled_positions=positions, pbc=True)


def structure_content(atoms: Atoms) -> dict[str, Any]:
    """A structure as plain values: cell rows [Å], scaled positions, symbols."""
    return {
        "cell": atoms.cell.array.tolist(),
        "positions": atoms.get_scaled_positions().tolist(),
        "symbols": atoms.get_chemical_symbols(),
    }


def structure_from_content(content: Mapping[str, Any]) -> Atoms:
    """The inverse of `structure_content`."""
    return Atoms(content["symbols"], cell=content["cell"], scaled_positions=content["positions"], pbc=True)


def difference(first: Atoms, second: Atoms, strain: float = 0.05, distance: float = 0.2) -> str:
    """Why two standardised cells are not the same crystal; empty when they are.

    The standard cell leaves free which site is at the origin and, where the crystal has a lower symmetry than its
    lattice, how it is turned: rock salt has either ion there, zinc blende the other one at ¼¼¼ or ¾¾¾.

    Args:
        first: one conventional standardised cell.
        second: another.
        strain: relative difference of lattice vectors that is still the same crystal, dimensionless; a
            study may start from a measured cell and a reference from a computed one.
        distance: difference of atomic positions that is still the same crystal, Å.
    """
    if first.get_chemical_formula() != second.get_chemical_formula():
        return f"{first.get_chemical_formula()} against {second.get_chemical_formula()}"
    scale = np.abs(first.cell.array).max()
    if np.abs(first.cell.array - second.cell.array).max() > strain * scale:
        edges = " against ".join(
            "(" + ", ".join(f"{x:.3f}" for x in atoms.cell.lengths()) + ") Å" for atoms in (first, second)
        )
        return f"cell edges {edges}"
    best: Floats | None = None
    for positions in _settings(first, second):
        apart = _matched_distances(first, second.numbers, positions)
        # Settings that are alike but for rounding leave the first, which names the atom as the user counts it.
        if best is None or apart.max() < best.max() - 1e-6:
            best = apart
        if best.max() <= distance:
            return ""
    assert best is not None
    return f"atom {int(best.argmax())} is {best.max():.2f} Å from its counterpart"


def _settings(first: Atoms, second: Atoms) -> Iterator[Floats]:
    """Scaled positions of the second cell, as they are and in every setting that puts an atom onto one of the first.

    One atom of the first cell's rarest element is tried with each of the second, in every orientation that leaves
    the lattice as it is; mirror images are another crystal.
    """
    own, other = first.get_scaled_positions(), second.get_scaled_positions()
    yield other
    kinds, counts = np.unique(first.numbers, return_counts=True)
    rarest = kinds[counts.argmin()]
    anchor = own[np.flatnonzero(first.numbers == rarest)[0]]
    for rotation in _lattice_rotations(first):
        turned = other @ rotation.T
        for atom in np.flatnonzero(second.numbers == rarest):
            yield turned + (anchor - turned[atom])


def _lattice_rotations(atoms: Atoms) -> NDArray[np.int64]:
    """Proper rotations of the lattice, on scaled positions, shape (n, 3, 3), dimensionless; none first."""
    found = spglib.get_symmetry((atoms.cell.array, [[0.0, 0.0, 0.0]], [1]))
    rotations = np.asarray(found["rotations"], dtype=np.int64)
    proper = rotations[np.linalg.det(rotations) > 0]
    return np.asarray(sorted(proper, key=lambda matrix: not np.array_equal(matrix, np.eye(3))))


def _matched_distances(atoms: Atoms, numbers: NDArray[np.int64], positions: Floats) -> Floats:
    """Distance of each atom from its counterpart among others, each taken once, shape (n_atoms,), Å."""
    from scipy.optimize import linear_sum_assignment  # loads slowly, and only comparisons need it

    apart = np.empty(len(atoms))
    own = atoms.get_scaled_positions()
    for number in np.unique(numbers):
        rows, columns = np.flatnonzero(atoms.numbers == number), np.flatnonzero(numbers == number)
        steps = own[rows, None] - positions[None, columns]
        # Rounding finds the nearest image of every pair that is closer than half the cell's heights.
        lengths = np.linalg.norm((steps - np.rint(steps)) @ atoms.cell.array, axis=-1)
        chosen = linear_sum_assignment(lengths**2)
        apart[rows[chosen[0]]] = lengths[chosen]
    return apart
