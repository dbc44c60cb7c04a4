"""The reference's displaced frames as displacements and forces of an ideal supercell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.lattice.force_constants import Dataset, Fit, ForceConstants, ideal_supercell
from hashigo.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: An atom further than this from its site has left it, Å.
MAX_DISPLACEMENT = 0.5
#: Below this largest displacement a frame is the undisplaced supercell, Å.
UNDISPLACED = 1e-5
#: Lattice vectors of a frame and of the supercell may differ by this, Å.
CELL_TOLERANCE = 1e-3


def frames_supercell(atoms: Atoms, frames: Sequence[Frame]) -> Integers:
    """The supercell that most of the displaced frames have.

    Args:
        atoms: conventional cell at the reference's lattice constant; lengths in Å.
        frames: of the reference.

    Returns:
        Matrix M of (a' b' c') = (a b c) M, shape (3, 3), dimensionless.

    Raises:
        InputError: when no displaced frame is a supercell of the structure.
    """
    found: Counter[tuple[int, ...]] = Counter()
    inverse = np.linalg.inv(atoms.cell.array)
    for frame in frames:
        if frame.kind != "displaced":
            continue
        matrix = np.rint(frame.cell @ inverse)
        fits = np.abs(matrix @ atoms.cell.array - frame.cell).max() < CELL_TOLERANCE
        if fits and len(frame.symbols) == round(np.linalg.det(matrix)) * len(atoms):
            found[tuple(int(entry) for entry in matrix.T.ravel())] += 1
    if not found:
        displaced = [(i, frame) for i, frame in enumerate(frames) if frame.kind == "displaced"]
        first = f"; frame {displaced[0][0]} has {len(displaced[0][1].symbols)} atoms" if displaced else ""
        raise InputError(
            f"none of the {len(displaced)} displaced reference frames is a supercell of the structure "
            f"({len(atoms)} atoms, edges {', '.join(f'{x:.4f}' for x in atoms.cell.lengths())} Å){first}",
            fix="give the lattice constant the frames were computed at, or frames of this structure",
        )
    return np.array(found.most_common(1)[0][0], dtype=np.int64).reshape(3, 3)


def frames_dataset(lattice: Phonopy, frames: Sequence[Frame]) -> Dataset:
    """Displacements and forces of the frames that are this supercell, displaced; others are left out.

    Args:
        lattice: the supercell at the reference's lattice constant.
        frames: of the reference, in any order of atoms.

    Raises:
        InputError: when no frame fits; or names the frame that lacks forces, has other atoms, or whose atoms are
            further than `MAX_DISPLACEMENT` from their sites.
    """
    cell = ideal_supercell(lattice)
    displacements, forces, left_out = [], [], []
    residual: Floats | None = None
    for index, frame in enumerate(frames):
        same = len(frame.symbols) == len(cell) and np.abs(frame.cell - cell.cell.array).max() < CELL_TOLERANCE
        if frame.kind != "displaced" or not same:
            left_out.append(index)
            continue
        if frame.forces is None:
            raise InputError(
                f"reference frame {index} has no forces", fix="compute it again, or leave it out"
            )
        displacement, order = match_sites(cell, frame, index)
        if np.abs(displacement).max() < UNDISPLACED:
            residual = frame.forces[order]
            continue
        displacements.append(displacement)
        forces.append(frame.forces[order])
    if not displacements:
        raise InputError(
            f"none of the {len(frames)} reference frames is a displaced supercell of {len(cell)} atoms with edges "
            f"{', '.join(f'{x:.4f}' for x in cell.cell.lengths())} Å",
            fix="check the supercell and the lattice constant of the reference",
        )
    if residual is None:
        return Dataset(np.array(displacements), np.array(forces), left_out=tuple(left_out))
    return Dataset(
        np.array(displacements), np.array(forces) - residual, float(np.abs(residual).max()), tuple(left_out)
    )


def match_sites(cell: Atoms, frame: Frame, index: int) -> tuple[Floats, Integers]:
    """Find the site of each atom of a frame under periodic boundary conditions.

    Args:
        cell: the undisplaced supercell; lengths in Å.
        frame: the displaced one.
        index: its number, for messages.

    Returns:
        Displacements in the order of `cell`, shape (n_atoms, 3), Å, and for each of its sites the index of the
        frame's atom, shape (n_atoms,), dimensionless.

    Raises:
        InputError: names the frame and the atom.
    """
    inverse = np.linalg.inv(cell.cell.array)
    displacements = np.zeros((len(cell), 3))
    order = np.full(len(cell), -1, dtype=np.int64)
    symbols = cell.get_chemical_symbols()
    for atom, position in enumerate(frame.positions):
        fractions = (position - cell.positions) @ inverse
        vectors = (fractions - np.rint(fractions)) @ cell.cell.array
        lengths = np.linalg.norm(vectors, axis=1)
        site = int(np.argmin(lengths))
        if lengths[site] >= MAX_DISPLACEMENT:
            raise InputError(
                f"atom {atom} of reference frame {index} is {lengths[site]:.2f} Å from the nearest site of the "
                f"crystal, more than {MAX_DISPLACEMENT} Å",
                fix="leave the frame out, or check that it is of this structure",
            )
        if order[site] >= 0 or symbols[site] != frame.symbols[atom]:
            taken = f"atom {order[site]} has too" if order[site] >= 0 else f"belongs to {symbols[site]}"
            raise InputError(
                f"atom {atom} ({frame.symbols[atom]}) of reference frame {index} has a nearest site that {taken}",
                fix="leave the frame out, or check that it is of this structure",
            )
        order[site] = atom
        displacements[site] = vectors[site]
    return displacements, order


def fit_frames(lattice: Phonopy, dataset: Dataset) -> tuple[ForceConstants, Fit, int]:
    """Fit second and third order together where the frames are enough, second alone where they are not.

    Args:
        lattice: the frames' supercell, of `build_lattice`.
        dataset: of the frames.

    Returns:
        Force constants, the fit, and the highest order fitted.

    Raises:
        InputError: when there are too few even for second order.
    """
    fit = Fit(lattice, 3)
    if fit.snapshots_needed(dataset) <= len(dataset.displacements):
        return fit.solve(dataset), fit, 3
    fit = Fit(lattice, 2)
    return fit.solve(dataset), fit, 2
