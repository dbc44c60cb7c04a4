"""The reference's displaced frames as displacements and forces of an ideal supercell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from hashigo.calculators.frames import Frame
from hashigo.calculators.workers.lattice.fit_quality import check_untold, untold_share
from hashigo.calculators.workers.lattice.force_constants import (
    Dataset,
    Fit,
    ForceConstants,
    build_lattice,
    ideal_supercell,
    model_dataset,
)
from hashigo.calculators.workers.lattice.polar import Polar
from hashigo.calculators.workers.potential import Model
from hashigo.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: An atom further than this from its site has left it, Å.
MAX_DISPLACEMENT = 0.5
#: Below this largest displacement a frame is the undisplaced supercell, Å.
UNDISPLACED = 1e-5
#: Lattice vectors of a frame and of the supercell may differ by this, Å.
CELL_TOLERANCE = 1e-3


def frames_supercells(atoms: Atoms, frames: Sequence[Frame]) -> list[Integers]:
    """The supercells that the displaced frames have; a file may hold several sizes.

    Args:
        atoms: conventional cell at the reference's lattice constant; lengths in Å.
        frames: of the reference.

    Returns:
        Matrices M of (a' b' c') = (a b c) M, each of shape (3, 3), dimensionless; the largest supercell first.

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
        first = f"; {_no_multiple(atoms, *displaced[0])}" if displaced else ""
        raise InputError(
            f"none of the {len(displaced)} displaced reference frames is a supercell of the structure "
            f"({len(atoms)} atoms, edges {', '.join(f'{x:.4f}' for x in atoms.cell.lengths())} Å){first}",
            fix="give the lattice constant the frames were computed at, or frames of this structure",
        )
    matrices = [np.array(entries, dtype=np.int64).reshape(3, 3) for entries, _ in found.most_common()]
    # Of supercells of one size, that of more frames comes first.
    return sorted(matrices, key=lambda matrix: -round(np.linalg.det(matrix)))


def _no_multiple(atoms: Atoms, index: int, frame: Frame) -> str:
    """Why a frame is no supercell of the structure."""
    times = frame.cell @ np.linalg.inv(atoms.cell.array)
    count = len(frame.symbols)
    if np.abs(np.rint(times) @ atoms.cell.array - frame.cell).max() < CELL_TOLERANCE:
        expected = round(np.linalg.det(times)) * len(atoms)
        return f"frame {index} has {count} atoms, and as many repeats of the structure hold {expected}"
    lengths = np.linalg.norm(frame.cell, axis=1) / atoms.cell.lengths()
    edges = ", ".join(f"{length:.3f}" for length in lengths)
    return (
        f"frame {index} has {count} atoms, and its edges are {edges} times the structure's, no whole multiple"
    )


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


@dataclass(frozen=True)
class Part:
    """Frames of one supercell and the fit that they determine.

    Attributes:
        matrix: of the supercell, shape (3, 3), dimensionless.
        lattice: supercell and its symmetry.
        dataset: displacements and forces.
        fit: of the orders that they determine.
        order: highest of these; 3 keeps the anharmonic part of the forces out of the second, number.
    """

    matrix: Integers
    lattice: Phonopy
    dataset: Dataset
    fit: Fit
    order: int

    def judge(self, constants: ForceConstants) -> float:
        """Share of the frames' forces that their force constants do not tell, dimensionless.

        Args:
            constants: fitted to them.

        Raises:
            InputError: when it is so large that the displacements are too large for a fit.
        """
        if self.order == 2:
            constants = ForceConstants(constants.second)
        share = untold_share(self.lattice, constants, self.dataset)
        largest = float(np.linalg.norm(self.dataset.displacements, axis=-1).max())
        fix = "give frames of smaller displacements (0.01 to 0.05 Å), or more of them so that third order is fitted"
        check_untold(share, self.order, largest, fix)
        return share


@dataclass(frozen=True)
class ReferenceFit:
    """Which frames give the force constants of second order, and which those of third.

    Attributes:
        second: the largest supercell whose frames determine the second order.
        third: the largest whose frames determine the third, fitted with the second; it may be the same. None where no
            frames do.
        lacking: a sentence why there is no third order; empty where there is.
    """

    second: Part
    third: Part | None
    lacking: str = ""

    @property
    def frames(self) -> int:
        """Count of frames used."""
        used = len(self.second.dataset.displacements)
        apart = self.third is not None and self.third is not self.second
        return used + (len(self.third.dataset.displacements) if apart and self.third is not None else 0)

    @property
    def supercells(self) -> str:
        """What was used, in words."""

        def words(part: Part) -> str:
            count = len(part.dataset.displacements)
            return f"{count} {'frame' if count == 1 else 'frames'} of {len(part.lattice.supercell)} atoms"

        if self.third is None or self.third is self.second:
            return words(self.second)
        return f"second order from {words(self.second)}, third from {words(self.third)}"

    def solve(self, second: Dataset | None = None, third: Dataset | None = None) -> ForceConstants:
        """Fit the force constants; with two supercells as phono3py does, each from its own.

        Args:
            second: instead of the frames of second order.
            third: instead of those of third; without effect where they are the same frames.
        """
        found = self.second.fit.solve(second or self.second.dataset)
        if second is None:
            self.second.judge(found)
        if self.third is None or self.third is self.second:
            return found
        apart = self.third.fit.solve(third or self.third.dataset)
        if third is None:
            self.third.judge(apart)
        return ForceConstants(found.second, apart.third)

    def model(self, model: Model) -> ForceConstants:
        """The same fit to the forces of a model on the same displacements."""
        again = model_dataset(model, self.second.lattice, self.second.dataset.displacements)
        if self.third is None or self.third is self.second:
            return self.solve(again)
        other = model_dataset(model, self.third.lattice, self.third.dataset.displacements)
        return self.solve(again, other)


def reference_fit(
    atoms: Atoms, frames: Sequence[Frame], polar: Polar | None = None, *, order: int = 3
) -> ReferenceFit:
    """Sort the frames by supercell and choose those that determine each order.

    Args:
        atoms: conventional cell at the reference's lattice constant; lengths in Å.
        frames: of the reference.
        polar: Born charges of the crystal, where known.
        order: highest order looked for, 2 or 3, number.

    Raises:
        InputError: when there are too few frames even for second order, or a frame does not fit.
    """
    second: Part | None = None
    third: Part | None = None
    refused = ""
    lacking = ""
    sets = []
    for matrix in frames_supercells(atoms, frames):
        lattice = build_lattice(atoms, matrix, polar)
        sets.append((matrix, lattice, frames_dataset(lattice, frames)))
    for matrix, lattice, dataset in sets:
        about = _third_order_frames(lattice)
        if third is None and order > 2:
            lacking = (
                f"third-order force constants need about {np.ceil(about):.0f} frames; "
                f"there are {len(dataset.displacements)}"
            )
        if third is None and order > 2 and len(dataset.displacements) >= 0.3 * about:
            third, lacking = _third_order(matrix, lattice, dataset)
        if second is None:
            second = third
        if second is None:
            fit = Fit(lattice, 2)
            needed = fit.snapshots_needed(dataset)
            if needed <= len(dataset.displacements):
                second = Part(matrix, lattice, dataset, fit, 2)
            refused = refused or (
                f"second-order force constants need {needed} frames of {len(lattice.supercell)} atoms; "
                f"there are {len(dataset.displacements)}"
            )
        if second is not None and (third is not None or order < 3):
            break
    if second is None:
        raise InputError(refused, fix="give more frames of one supercell")
    return ReferenceFit(second, third, "" if third is not None else lacking)


def _third_order(matrix: Integers, lattice: Phonopy, dataset: Dataset) -> tuple[Part | None, str]:
    """The fit of third order, or a sentence why these frames do not give it."""
    try:
        fit = Fit(lattice, 3)
    except InputError as error:
        return None, error.message
    needed, there = fit.snapshots_needed(dataset), len(dataset.displacements)
    if needed <= there:
        return Part(matrix, lattice, dataset, fit, 3), ""
    return None, f"third-order force constants need {needed} frames; there are {there}"


def _third_order_frames(lattice: Phonopy) -> float:
    """About how many frames third order takes: its exact basis costs minutes for hundreds of atoms.

    There are about 27 n_primitive n_supercell² / (6 n_operations) unknowns, with n_operations of the point group.
    """
    sites, atoms = len(lattice.primitive), len(lattice.supercell)
    operations = len(lattice.primitive_symmetry.pointgroup_operations)
    return 27 * sites * atoms**2 / (6 * operations) / (3 * atoms)
