"""Born charges and dielectric tensor of the reference's unit cell, put into the header of its frames."""

from __future__ import annotations

import numpy as np
import spglib
from aiida.engine import calcfunction
from aiida.orm import Dict, FolderData, StructureData
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.data import FramesData
from hashigo.calculators.engines.espresso_polar import read_response
from hashigo.calculators.formats.born import with_charges
from hashigo.errors import HashigoError
from hashigo.study.structures import structure_from_content
from hashigo.workflows.frame_nodes import frames_node

#: Distance within which two atoms are the same, Å.
TOLERANCE = 1e-3


@calcfunction
def primitive_cell(structure: StructureData) -> StructureData:
    """The primitive cell in the axes of the given one, undisplaced."""
    atoms = structure.get_ase()
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.standardize_cell(cell, to_primitive=True, no_idealize=True, symprec=TOLERANCE)
    if found is None:
        return StructureData(ase=atoms)
    lattice, positions, numbers = found
    return StructureData(ase=Atoms(numbers, cell=lattice, scaled_positions=positions, pbc=True))


def atoms_in_primitive(atoms: Atoms, primitive: Atoms) -> NDArray[np.int64]:
    """For each atom of a cell, the atom of its primitive cell that it is an image of.

    Args:
        atoms: the cell; lengths in Å.
        primitive: its primitive cell in the same axes; lengths in Å.

    Returns:
        Indices, shape (n_atoms,), dimensionless.

    Raises:
        HashigoError: when it is no primitive cell of it.
    """
    steps = atoms.positions[:, None] - primitive.positions[None]
    scaled = steps @ np.linalg.inv(primitive.cell.array)
    apart = np.linalg.norm((scaled - np.rint(scaled)) @ primitive.cell.array, axis=-1)
    apart[atoms.numbers[:, None] != primitive.numbers[None]] = np.inf
    if apart.min(axis=1).max() > 10 * TOLERANCE:
        raise HashigoError("the cell of the Born charges is no primitive cell of the reference's")
    return apart.argmin(axis=1)


@calcfunction
def add_polar(frames: FramesData, primitive: StructureData, retrieved: FolderData) -> FramesData:
    """The same frames with Born charges and dielectric tensor in their header, the acoustic sum rule applied."""
    cell = primitive.get_ase()
    text = retrieved.base.repository.get_object_content("aiida.out")
    charges, dielectric, version = read_response(text, len(cell))
    # A shift of all atoms makes no dipole; what an unconverged calculation leaves is shared out equally.
    left = charges.sum(axis=0)
    charges = charges - left / len(cell)
    header = frames.header()
    sites = atoms_in_primitive(structure_from_content(header["structure"]), cell)
    polar = {
        "born_charges": np.round(charges, 9)[sites].tolist(),
        "dielectric": dielectric.tolist(),
        "origin": f"ph.x of Quantum ESPRESSO {version}, {len(cell)} atoms; the charges added to at most "
        f"{np.abs(left).max():.5f} e before the acoustic sum rule was applied",
    }
    return frames_node(frames.iter_frames(), {**header, "polar": polar})


@calcfunction
def put_charges(frames: FramesData, charges: Dict) -> FramesData:
    """The same frames with Born charges that were given, in their header."""
    return frames_node(frames.iter_frames(), with_charges(frames.header(), charges.get_dict()))
