"""Frames as ASE's atoms with results, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from hashigo.calculators.configuration import Frame
from hashigo.errors import InputError

#: What training codes call results that ASE would otherwise not recognise.
_ENERGIES = ("energy", "free_energy", "REF_energy", "dft_energy", "DFT_energy")
_FORCES = ("forces", "force", "REF_forces", "dft_forces", "DFT_forces")


def frame_from_atoms(atoms: Atoms, name: str, index: int) -> Frame:
    """A frame of atoms with results.

    Args:
        atoms: with what was computed; lengths in Å.
        name: of the file, for messages and the frame's origin.
        index: of the frame in it.

    Raises:
        InputError: when the cell is missing though the atoms are many.
    """
    results = dict(atoms.calc.results) if atoms.calc is not None else {}
    info = atoms.info
    free = len(atoms) == 1 and not atoms.pbc.any()
    if atoms.cell.rank < 3 and not free:
        raise InputError(
            f"frame {index} of {name} has no cell in three directions",
            fix='write it as Lattice="…" in extended XYZ',
        )
    cell = atoms.cell.array if atoms.cell.rank == 3 else np.eye(3) * 20.0
    energy = _first(_ENERGIES, results, info)
    stress = results.get("stress")
    if stress is None and "virial" in info and not free:
        stress = -np.reshape(info["virial"], (3, 3)) / abs(np.linalg.det(cell))
    if stress is not None and np.shape(stress) == (3, 3):
        stress = np.asarray(stress).ravel()[[0, 4, 8, 5, 2, 1]]
    return Frame(
        cell=np.array(cell),
        positions=atoms.positions.copy(),
        symbols=tuple(atoms.get_chemical_symbols()),
        energy=None if energy is None else float(energy),
        forces=_array(_first(_FORCES, results, atoms.arrays)),
        stress=_array(stress),
        kind=str(info.get("hashigo_kind", "atom" if free else "displaced")),
        weight=float(info.get("hashigo_weight", 1.0)),
        origin=str(info.get("hashigo_origin", name)),
        magnetic_moments=_array(results.get("magmoms")),
        charges=_array(results.get("charges")),
    )


def _first(names: tuple[str, ...], *places: Mapping[str, Any]) -> Any:
    return next((place[name] for name in names for place in places if name in place), None)


def _array(values: Any) -> Any:
    return None if values is None else np.array(values, dtype=float)


def frame_results(atoms: Atoms, frame: Frame) -> SinglePointCalculator:
    """What was computed of a frame, as ASE keeps it: eV, eV/Å, eV/Å^3, μ_B, e."""
    values = {
        "energy": frame.energy,
        "forces": frame.forces,
        "stress": frame.stress,
        "magmoms": frame.magnetic_moments,
        "charges": frame.charges,
    }
    return SinglePointCalculator(atoms, **{key: value for key, value in values.items() if value is not None})


def lost_header(header: Mapping[str, Any], target: str) -> list[str]:
    """A sentence on what holds for all frames and a format of single frames does not keep."""
    names = {
        "structure": "unit cell",
        "settings": "engine's settings",
        "atomic_energies": "energies of free atoms",
        "polar": "Born charges",
    }
    lost = [text for key, text in names.items() if header.get(key)]
    return [f"{', '.join(lost)}: not kept by {target}"] if lost else []
