"""The crystal as the lattice workers see it: conventional cell, primitive cell in the same axes, symmetry."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import spglib
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from hashigo.errors import InputError, WorkerError

#: Distance within which positions are taken as equivalent, Å.
SYMMETRY_TOLERANCE = 1e-4

Floats = NDArray[np.float64]


def read_structure(path: Path) -> Atoms:
    """Read the conventional standardised cell handed to a worker.

    Args:
        path: JSON with "cell" (lattice vectors as rows, Å), "positions" (fractions of the lattice vectors)
            and "symbols".

    Returns:
        Periodic atoms; lengths in Å.

    Raises:
        InputError: when it is no such file or its numbers do not make a crystal.
    """
    name = Path(path).name
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        cell = np.asarray(content["cell"], dtype=float)
        positions = np.asarray(content["positions"], dtype=float)
        symbols = [str(symbol) for symbol in content["symbols"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{name} is not a structure file: {error!r}", fix='it needs "cell", "positions" and "symbols"'
        ) from None
    if cell.shape != (3, 3) or positions.shape != (len(symbols), 3) or not symbols:
        raise InputError(
            f"{name} has a cell of shape {cell.shape}, positions of shape {positions.shape} "
            f"and {len(symbols)} symbols; expected (3, 3) and (n, 3)"
        )
    if not (np.isfinite(cell).all() and np.isfinite(positions).all()):
        raise InputError(f"{name} has a cell or positions that are not finite")
    if np.linalg.det(cell) <= 0:
        raise InputError(f"the lattice vectors of {name} are not right-handed or span no volume")
    unknown = sorted(set(symbols) - set(chemical_symbols[1:]))
    if unknown:
        raise InputError(f"{name} names an unknown element '{unknown[0]}'")
    return Atoms(symbols, cell=cell, scaled_positions=positions, pbc=True)


def write_structure(path: Path, atoms: Atoms) -> None:
    """Write a structure as `read_structure` reads it.

    Args:
        path: file to write.
        atoms: periodic atoms; lengths in Å.
    """
    content = {
        "cell": atoms.cell.array.tolist(),
        "positions": atoms.get_scaled_positions(wrap=False).tolist(),
        "symbols": atoms.get_chemical_symbols(),
    }
    Path(path).write_text(json.dumps(content), encoding="utf-8")


def _dataset(atoms: Atoms) -> spglib.SpglibDataset:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    dataset = spglib.get_symmetry_dataset(cell, symprec=SYMMETRY_TOLERANCE)
    if dataset is None:
        raise WorkerError(
            f"spglib finds no symmetry of {atoms.get_chemical_formula()}",
            fix="check that no two atoms of the structure overlap",
        )
    return dataset


@dataclass(frozen=True)
class PrimitiveCell:
    """A primitive cell in the Cartesian axes of a conventional one.

    Attributes:
        conventional: the cell it was made from.
        atoms: the primitive cell; its atoms stand where those of the conventional cell stand.
        mapping: index in the primitive cell of each conventional atom's translational equal,
            shape (n_conventional,), dimensionless.
    """

    conventional: Atoms
    atoms: Atoms
    mapping: NDArray[np.int64]

    @classmethod
    def of(cls, conventional: Atoms) -> PrimitiveCell:
        """Find the primitive cell.

        Args:
            conventional: any periodic cell of the crystal; lengths in Å.
        """
        dataset = _dataset(conventional)
        labels = np.asarray(dataset.mapping_to_primitive)
        _, first, mapping = np.unique(labels, return_index=True, return_inverse=True)
        # The dataset's primitive lattice, unlike that of spglib's standardisation, is not rotated.
        atoms = Atoms(
            conventional.numbers[first],
            cell=np.asarray(dataset.primitive_lattice),
            positions=conventional.positions[first],
            pbc=True,
        )
        return cls(conventional, atoms, np.asarray(mapping, dtype=np.int64))

    def expand(self, relaxed: Atoms) -> Atoms:
        """The conventional cell that belongs to a relaxed primitive cell.

        Args:
            relaxed: the primitive cell with other lattice vectors or positions, same order; lengths in Å.
        """
        gradient = np.linalg.solve(self.atoms.cell.array, relaxed.cell.array)
        offsets = self.conventional.positions - self.atoms.positions[self.mapping]
        expanded = self.conventional.copy()
        expanded.set_cell(self.conventional.cell.array @ gradient)
        expanded.positions = offsets @ gradient + relaxed.positions[self.mapping]
        return expanded


def primitive(atoms: Atoms) -> Atoms:
    """The primitive cell in the same Cartesian axes.

    Args:
        atoms: any periodic cell of the crystal; lengths in Å.
    """
    return PrimitiveCell.of(atoms).atoms


def point_group(atoms: Atoms) -> Floats:
    """Rotations of the crystal's point group in Cartesian axes.

    Args:
        atoms: any periodic cell of the crystal; lengths in Å.

    Returns:
        Orthogonal matrices acting on column vectors, shape (n_operations, 3, 3), dimensionless.
    """
    fractional = np.unique(np.asarray(_dataset(atoms).rotations), axis=0)
    columns = atoms.cell.array.T
    return np.asarray(columns @ fractional @ np.linalg.inv(columns))
