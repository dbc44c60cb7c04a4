"""Born charges and dielectric tensor of a polar crystal, brought to the lattice at hand.

They belong to the reference's cell. At the relaxed cell of a potential, which differs by little, the same are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import spglib
from ase import Atoms
from numpy.typing import NDArray
from phonopy.physical_units import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import symmetrize_borns_and_epsilon

from hashigo.calculators.workers.lattice.crystal import SYMMETRY_TOLERANCE
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Farther apart, in Å, two atoms do not stand for each other.
SAME_SITE = 0.2
#: Relative difference of lattice vectors up to which the charges of one cell serve another.
SAME_CELL = 0.05
#: Conversion of e²/(4π ε0) as phonopy wants it, eV·Å.
COULOMB = float(get_calculator_physical_units("vasp").nac_factor)

MISSING = (
    "no Born charges and dielectric tensor are given (reference.born, or header 'polar' of the frames): where the "
    "crystal is an insulator, the splitting of its longitudinal from its transverse optical modes is missing"
)


@dataclass(frozen=True)
class Polar:
    """Charges and screening that split longitudinal from transverse optical modes.

    Attributes:
        cell: the unit cell that the charges belong to; lengths in Å.
        charges: Born charges of its atoms, first index of the field, second of the displacement, shape
            (n_atoms, 3, 3), e.
        dielectric: electronic dielectric tensor, shape (3, 3), dimensionless.
        origin: where they are from.
    """

    cell: Atoms
    charges: Floats
    dielectric: Floats
    origin: str = ""

    def parameters(self, atoms: Atoms, primitive: PhonopyAtoms) -> dict[str, Any]:
        """What phonopy and phono3py need: symmetrised, for the atoms of a primitive cell.

        Args:
            atoms: conventional cell of the same crystal in any standard setting, or the very cell of the charges,
                strained a little or not; lengths in Å.
            primitive: its primitive cell in the same axes; lengths in Å.

        Raises:
            InputError: when it is another crystal.
        """
        charges, screening = self.onto(atoms)
        cell = PhonopyAtoms(
            symbols=atoms.get_chemical_symbols(),
            cell=atoms.cell.array,
            scaled_positions=atoms.get_scaled_positions(wrap=False),
        )
        born, dielectric = symmetrize_borns_and_epsilon(
            charges, screening, cell, primitive=primitive, symprec=SYMMETRY_TOLERANCE
        )
        # The charges of a crystal add to zero; what is left of an unconverged calculation is shared out.
        return {"born": born - born.mean(axis=0), "dielectric": dielectric, "factor": COULOMB}

    def onto(self, atoms: Atoms) -> tuple[Floats, Floats]:
        """The charges of each atom of a cell, and the dielectric tensor, in its axes.

        Args:
            atoms: as for `parameters`; lengths in Å.

        Returns:
            Shape (n_atoms, 3, 3), e, and shape (3, 3), dimensionless.

        Raises:
            InputError: when it is another crystal.
        """
        turn, sites = self._place(atoms)
        return turn @ self.charges[sites] @ turn.T, turn @ self.dielectric @ turn.T

    def _place(self, atoms: Atoms) -> tuple[Floats, NDArray[np.int64]]:
        """The rotation of the charges' axes onto a cell's, and for each of its atoms the one it has the charge of."""
        best, place = np.inf, None
        for turn, cell, sites in self._settings(atoms):
            if len(cell) != len(atoms) or _strain(cell, atoms) > SAME_CELL:
                continue
            distance, order = _match(cell, atoms)
            if distance < best - 1e-6:
                best, place = distance, (turn, sites[order])
        if place is None or best > SAME_SITE:
            raise InputError(
                f"the Born charges{f' of {self.origin}' if self.origin else ''} belong to another crystal than "
                f"{atoms.get_chemical_formula()}",
                fix="give them for the structure of the reference frames",
            )
        return place

    def _settings(self, atoms: Atoms) -> Iterator[tuple[Floats, Atoms, NDArray[np.int64]]]:
        """The cell of the charges as it is, then its standard cell in every orientation and from every origin."""
        yield np.eye(3), self.cell, np.arange(len(self.cell))
        found = spglib.get_symmetry_dataset(
            (self.cell.cell.array, self.cell.get_scaled_positions(), self.cell.numbers), symprec=1e-3
        )
        if found is None:
            return
        own = list(found.mapping_to_primitive)
        sites = np.array([own.index(label) for label in found.std_mapping_to_primitive])
        base = np.asarray(found.std_rotation_matrix)
        lattice = np.asarray(found.std_lattice)
        numbers = np.asarray(found.std_types)
        kinds, counts = np.unique(atoms.numbers, return_counts=True)
        rarest = kinds[counts.argmin()]
        anchor = atoms.get_scaled_positions()[np.flatnonzero(atoms.numbers == rarest)[0]]
        rotations = spglib.get_symmetry((lattice, [[0.0, 0.0, 0.0]], [1]))["rotations"]
        for rotation in (r for r in rotations if np.linalg.det(r) > 0):
            turned = np.asarray(found.std_positions) @ rotation.T
            turn = lattice.T @ rotation @ np.linalg.inv(lattice.T) @ base
            for site in np.flatnonzero(numbers == rarest):
                positions = turned + (anchor - turned[site])
                yield turn, Atoms(numbers, cell=lattice, scaled_positions=positions, pbc=True), sites


def _strain(first: Atoms, second: Atoms) -> float:
    return float(np.abs(first.cell.array - second.cell.array).max() / np.abs(second.cell.array).max())


def _match(first: Atoms, second: Atoms) -> tuple[float, NDArray[np.int64]]:
    """For each atom of the second cell the nearest of the first and of its element; and the largest distance, Å."""
    steps = second.get_scaled_positions()[:, None] - first.get_scaled_positions()[None]
    apart = np.linalg.norm((steps - np.rint(steps)) @ second.cell.array, axis=-1)
    apart[second.numbers[:, None] != first.numbers[None]] = np.inf
    order = apart.argmin(axis=1)
    if len(set(order)) < len(order):
        return np.inf, order
    return float(apart.min(axis=1).max()), order


def read_polar(header: Mapping[str, Any]) -> Polar | None:
    """What the header of a frames file says.

    Args:
        header: with "polar" and "structure"; cell in Å, charges in e.

    Returns:
        None where it has no Born charges.

    Raises:
        InputError: when they are of another shape than the structure, not finite, or do not screen.
    """
    given = header.get("polar")
    if not given:
        return None
    try:
        content = header["structure"]
        cell = Atoms(
            content["symbols"], cell=content["cell"], scaled_positions=content["positions"], pbc=True
        )
        charges = np.asarray(given["born_charges"], dtype=float)
        dielectric = np.asarray(given["dielectric"], dtype=float)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the reference frames' header 'polar' cannot be read: {error!r}",
            fix='it needs "born_charges" for each atom of "structure", and "dielectric"',
        ) from None
    if charges.shape != (len(cell), 3, 3) or dielectric.shape != (3, 3):
        raise InputError(
            f"the reference frames have Born charges of shape {charges.shape} and a dielectric tensor of shape "
            f"{dielectric.shape}; expected ({len(cell)}, 3, 3) and (3, 3)",
            fix="give one tensor for each atom of the header's structure",
        )
    symmetric = (dielectric + dielectric.T) / 2
    if not (
        np.isfinite(charges).all() and np.isfinite(dielectric).all() and np.linalg.eigvalsh(symmetric)[0] > 0
    ):
        raise InputError(
            "the reference frames' Born charges are not finite, or their dielectric tensor is not positive",
            fix="compute them again",
        )
    return Polar(cell, charges, dielectric, str(given.get("origin", "")))


def polar_note(polar: Polar | None, symbols: Sequence[str], formula: str = "") -> dict[str, Any]:
    """What results say of the splitting.

    Args:
        polar: of the crystal; None where it is not known.
        symbols: chemical symbols of the crystal's atoms.
        formula: of the crystal, for the sentence.
    """
    if polar is not None:
        return {
            "applied": True,
            "missing": False,
            "origin": polar.origin,
            "what": "Born charges and dielectric tensor of the reference's cell, also at the relaxed cell of each "
            "potential; sum rule and symmetry imposed",
        }
    missing = len(set(symbols)) > 1
    return {"applied": False, "missing": missing, "what": MISSING if missing else "one element: no splitting"}


#: Mark on every number that lacks the splitting.
MARK = "without LO–TO splitting"


def marks(polar: Polar | None, symbols: Sequence[str]) -> tuple[str, ...]:
    """Marks of numbers of a crystal: of several elements without Born charges, that the splitting is missing."""
    return (MARK,) if polar is None and len(set(symbols)) > 1 else ()
