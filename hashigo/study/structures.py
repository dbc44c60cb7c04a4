"""Structures that a study starts from: read, standardised, compared."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from ase.geometry import get_distances

from hashigo.errors import InputError


def read_structure_file(path: Path) -> Atoms:
    """Read a CIF, POSCAR or extended XYZ file.

    Raises:
        InputError: when the file is missing, unreadable, empty or not periodic in three directions.
    """
    from ase.io import read  # ase.io loads slowly
    from ase.io.formats import UnknownFileTypeError

    if not path.is_file():
        raise InputError(f"structure file {path} does not exist", fix="check structure.file in the study")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = read(path)
    except UnknownFileTypeError:
        raise InputError(
            f"{path.name} is of no known structure format", fix="use a CIF, a POSCAR or an extended XYZ file"
        ) from None
    except Exception as error:  # ASE's readers raise whatever their parsing meets
        raise InputError(f"{path.name} cannot be read as a structure: {error!r}") from None
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
    moved = Atoms(second.symbols, cell=first.cell, scaled_positions=second.get_scaled_positions(), pbc=True)
    distances = get_distances(first.positions, moved.positions, cell=first.cell, pbc=True)[1]
    same = first.numbers[:, None] == moved.numbers[None, :]
    nearest = np.where(same, distances, np.inf).min(axis=1)
    if nearest.max() > distance:
        return f"atom {int(nearest.argmax())} is {nearest.max():.2f} Å from its counterpart"
    return ""
