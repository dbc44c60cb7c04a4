"""Displaced supercells as phonopy and phono3py keep them: a supercell, displacements and forces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.configuration import Frame
from hashigo.errors import InputError
from hashigo.study.compressed import SUFFIXES
from hashigo.study.phonopy_yaml import PhonopyFile, Units, read_phonopy_file
from hashigo.study.structures import structure_content

Floats = NDArray[np.float64]

#: An atom of the unit cell and its counterpart in the primitive cell are this close, Å.
_SAME_SITE = 1e-2

#: Phonopy's names of first-principles programs.
_FIRST_PRINCIPLES = {
    "abacus", "abinit", "aims", "castep", "cp2k", "crystal", "elk", "exciting", "fleur", "octopus", "pwmat", "qe",
    "qlm", "siesta", "turbomole", "vasp", "wien2k",
}  # fmt: skip


@dataclass(frozen=True)
class Displaced:
    """One displaced supercell.

    Attributes:
        displacements: of each atom, shape (n_atoms, 3), in the calculator's unit of length.
        forces: shape (n_atoms, 3), in the calculator's unit of force; None where the file has none.
        energy: in the calculator's unit of energy; None where the file has none.
    """

    displacements: Floats
    forces: Floats | None = None
    energy: float | None = None


def displaced_supercells(dataset: Mapping[str, Any], n_atoms: int, name: str) -> list[Displaced]:
    """Each displaced supercell of a dataset of phonopy or phono3py.

    Pairs of displacements that were left out of the calculation, and pairs that cancel each other, which are not
    calculated either, are not among them.

    Args:
        dataset: displacements of single atoms or pairs (type I), or of all atoms (type II).
        n_atoms: number of atoms of the supercell.
        name: of the file, for messages.

    Raises:
        InputError: when the dataset is of another number of atoms.
    """
    if "first_atoms" not in dataset:
        return _of_all_atoms(dataset, n_atoms, name)
    found = []
    pairs = []
    for first in dataset["first_atoms"]:
        moved = _moved(n_atoms, first, name)
        found.append(_displaced(moved, first))
        for second in first.get("second_atoms", ()):
            both = moved + _moved(n_atoms, second, name)
            if second.get("included", True) and np.abs(both).max() > 1e-10:
                pairs.append(_displaced(both, second))
    return found + pairs


def _moved(n_atoms: int, one: Mapping[str, Any], name: str) -> Floats:
    if not 0 <= one["number"] < n_atoms:
        raise InputError(f"{name} displaces atom {one['number'] + 1} of a supercell of {n_atoms} atoms")
    moved = np.zeros((n_atoms, 3))
    moved[one["number"]] = one["displacement"]
    return moved


def _displaced(moved: Floats, one: Mapping[str, Any]) -> Displaced:
    return Displaced(moved, one.get("forces"), one.get("supercell_energy"))


def _of_all_atoms(dataset: Mapping[str, Any], n_atoms: int, name: str) -> list[Displaced]:
    moved = np.asarray(dataset.get("displacements", np.zeros((0, n_atoms, 3))), dtype=float)
    if moved.ndim != 3 or moved.shape[1:] != (n_atoms, 3):
        raise InputError(
            f"the displacements in {name} have shape {moved.shape}, and its supercell has {n_atoms} atoms"
        )
    forces, energies = dataset.get("forces"), dataset.get("supercell_energies")
    for what, values in (("sets of forces", forces), ("energies", energies)):
        if values is not None and len(values) != len(moved):
            raise InputError(f"{name} has {len(moved)} displaced supercells and {len(values)} {what}")
    return [
        Displaced(
            moved[i],
            None if forces is None else np.asarray(forces[i]),
            None if energies is None else float(energies[i]),
        )
        for i in range(len(moved))
    ]


def frames_of(supercells: list[Displaced], cell: Atoms, units: Units, origin: str) -> Iterator[Frame]:
    """Frames of displaced supercells.

    Args:
        supercells: as in the file.
        cell: the supercell without displacements; lengths in Å.
        units: of the displaced supercells.
        origin: what to note as the frames' origin.
    """
    blank = Frame(cell=cell.cell.array, positions=cell.positions, symbols=tuple(cell.get_chemical_symbols()))
    for one in supercells:
        yield replace(
            blank,
            positions=cell.positions + one.displacements * units.length,
            energy=None if one.energy is None else float(one.energy) * units.energy,
            forces=None if one.forces is None else np.asarray(one.forces) * units.force,
            origin=origin,
        )


def supercell_of(file: PhonopyFile, phonon: bool = False) -> Atoms:
    """The undisplaced supercell of a file, atoms in its order; lengths in Å.

    Args:
        file: of phonopy or phono3py.
        phonon: the supercell of the harmonic force constants, where it is another one.

    Raises:
        InputError: when the file has neither the supercell nor its matrix.
    """
    from phonopy.structure.cells import get_supercell  # loads slowly

    cell = file.cell("phonon_supercell" if phonon else "supercell")
    if cell is not None:
        return cell
    matrix = file.data.phonon_supercell_matrix if phonon else file.data.supercell_matrix
    if matrix is None:
        raise InputError(f"{file.name} has no supercell_matrix", fix="write it again with phonopy")
    made = get_supercell(file.data.unitcell, matrix)
    return Atoms(
        made.symbols, cell=made.cell * file.units.length, scaled_positions=made.scaled_positions, pbc=True
    )


def header_of(file: PhonopyFile) -> dict[str, Any]:
    """What holds for all frames of a file: unit cell, who computed them, Born charges."""
    cell = file.cell("unitcell")
    assert cell is not None
    header: dict[str, Any] = {"structure": structure_content(cell)}
    if file.calculator:
        header["engine"] = file.calculator
    if file.calculator in _FIRST_PRINCIPLES:
        header["first_principles"] = True
    polar = file.data.nac_params
    if polar is not None:
        primitive = file.cell("primitive")
        header["polar"] = polar_of(polar, cell, cell if primitive is None else primitive, file.name)
    return header


def polar_of(polar: Mapping[str, Any], cell: Atoms, primitive: Atoms, origin: str) -> dict[str, Any]:
    """Born charges and dielectric tensor, for each atom of the unit cell.

    Args:
        polar: phonopy's nac_params, charges of the primitive cell's atoms.
        cell: unit cell; lengths in Å.
        primitive: its primitive cell in the same axes; lengths in Å.
        origin: where they are from.

    Raises:
        InputError: when the charges are of another number of atoms, not finite, or the primitive cell is of another
            crystal.
    """
    born, dielectric = np.asarray(polar["born"], dtype=float), np.asarray(polar["dielectric"], dtype=float)
    if born.shape != (len(primitive), 3, 3) or dielectric.shape != (3, 3):
        raise InputError(
            f"{origin} has Born charges of shape {born.shape} and a dielectric tensor of shape {dielectric.shape} "
            f"for a primitive cell of {len(primitive)} atoms",
            fix="give one 3x3 tensor for each atom of the primitive cell, and a 3x3 dielectric tensor",
        )
    if not (np.isfinite(born).all() and np.isfinite(dielectric).all()):
        raise InputError(f"the Born charges in {origin} are not finite (NaN or infinite)")
    inverse = np.linalg.inv(primitive.cell.array)
    charges = []
    for symbol, position in zip(cell.get_chemical_symbols(), cell.positions, strict=True):
        steps = (position - primitive.positions) @ inverse
        apart = np.linalg.norm((steps - np.rint(steps)) @ primitive.cell.array, axis=1)
        apart[np.array(primitive.get_chemical_symbols()) != symbol] = np.inf
        if apart.min() > _SAME_SITE:
            raise InputError(f"the primitive cell in {origin} is not one of its unit cell")
        charges.append(born[int(apart.argmin())].tolist())
    return {"born_charges": charges, "dielectric": dielectric.tolist(), "origin": origin}


def with_born_file(header: dict[str, Any], path: Path, file: PhonopyFile) -> dict[str, Any]:
    """Add what phonopy's file BORN says, if one lies beside the forces and the header has no charges yet.

    Args:
        header: of the frames.
        path: of the forces.
        file: their displacements.

    Raises:
        InputError: when BORN cannot be read.
    """
    born = path.with_name("BORN")
    cell, primitive = file.cell("unitcell"), file.cell("primitive")
    if "polar" in header or not born.is_file() or primitive is None:
        return header
    from phonopy.file_IO import parse_BORN  # loads slowly

    try:
        polar = parse_BORN(file.data.primitive, filename=born)
    except Exception as error:  # phonopy's reader raises whatever its parsing meets
        raise InputError(
            f"{born} cannot be read as phonopy's Born charges: {error or type(error).__name__}",
            fix="mend it, or move it away from the forces",
        ) from None
    assert cell is not None
    return {**header, "polar": polar_of(polar, cell, primitive, born.name)}


def beside(path: Path, names: tuple[str, ...], program: str) -> PhonopyFile:
    """Read the file with the displacements that belongs to a file of forces.

    Args:
        path: of the forces.
        names: of the displacement file, the likeliest first.
        program: "phonopy" or "phono3py".

    Raises:
        InputError: when none lies beside it, or it is unreadable.
    """
    for name in names:
        for ending in ("", *SUFFIXES):
            candidate = path.with_name(name + ending)
            if candidate.is_file():
                return read_phonopy_file(candidate)
    raise InputError(
        f"{path.name} does not say which supercells it is of, and no {' or '.join(names)} lies beside it",
        fix=f"put the {names[0]} that {program} wrote with the displacements into the same folder",
    )
