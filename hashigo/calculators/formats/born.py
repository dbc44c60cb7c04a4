"""Born charges and dielectric tensor from a file of their own: phonopy's BORN, a phonopy YAML, or plain YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms
from numpy.typing import NDArray

from hashigo.calculators.formats.displacements import polar_of
from hashigo.calculators.workers.lattice.crystal import primitive
from hashigo.calculators.workers.lattice.force_constants import phonopy_cell
from hashigo.calculators.workers.lattice.polar import read_polar
from hashigo.errors import InputError
from hashigo.study.compressed import read_text
from hashigo.study.phonopy_yaml import read_phonopy_file
from hashigo.study.structures import structure_content, structure_from_content

Floats = NDArray[np.float64]

_FIX = (
    "give phonopy's BORN, a phonopy_params.yaml with them, or YAML with 'born_charges' (3x3, e, for each atom of the "
    "structure file) and 'dielectric' (3x3)"
)


def read_born(path: Path, structure: Atoms) -> dict[str, Any]:
    """Read Born charges.

    Args:
        path: the file.
        structure: the crystal as its file gives it, in whose axes the tensors are; lengths in Å.

    Returns:
        "structure", "born_charges" for each of its atoms in e, "dielectric", "origin".

    Raises:
        InputError: names the file, what is wrong with it and what it should hold.
    """
    if path.suffix.lower() not in (".yaml", ".yml", ".xz", ".gz"):
        return _checked(path, structure, _of_born(path, structure))
    content = None if path.suffix.lower() in (".xz", ".gz") else _yaml(path)
    if isinstance(content, Mapping) and "born_charges" in content:
        return _checked(path, structure, _plain(path, content, structure))
    file = read_phonopy_file(path)
    cell, own = file.cell("unitcell"), file.cell("primitive")
    if file.data.nac_params is None or cell is None:
        raise InputError(f"{path.name} holds no Born charges", fix=_FIX)
    return _checked(path, cell, polar_of(file.data.nac_params, cell, cell if own is None else own, path.name))


def _checked(path: Path, cell: Atoms, polar: dict[str, Any]) -> dict[str, Any]:
    found = {"structure": structure_content(cell), **polar, "origin": path.name}
    try:
        read_polar({"structure": found["structure"], "polar": found})
    except InputError as error:
        raise InputError(f"{path.name}: {error.message}", fix=error.fix) from None
    return found


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(read_text(path, "a file of Born charges"))
    except yaml.YAMLError as error:
        raise InputError(f"{path.name} is no YAML: {getattr(error, 'problem', error)}", fix=_FIX) from None


def _plain(path: Path, content: Mapping[str, Any], structure: Atoms) -> dict[str, Any]:
    charges = _tensors(path, content.get("born_charges"), "born_charges")
    dielectric = _tensors(path, [content.get("dielectric")], "dielectric")[0]
    if len(charges) != len(structure):
        raise InputError(
            f"{path.name} holds {_count(len(charges))}, and the structure has {len(structure)} atoms",
            fix="give one tensor for each atom of the structure file, in its order",
        )
    return {"born_charges": charges.tolist(), "dielectric": dielectric.tolist()}


def _tensors(path: Path, given: Any, key: str) -> Floats:
    try:
        array = np.array(given, dtype=float)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if array.ndim != 3 or array.shape[1:] != (3, 3):
        raise InputError(f"'{key}' in {path.name} is no list of 3x3 tensors of numbers", fix=_FIX)
    return array


def _of_born(path: Path, structure: Atoms) -> dict[str, Any]:
    """phonopy's BORN: a line with its factor, the dielectric tensor, and a line for each independent atom."""
    from phonopy.file_IO import BORNFileParseError, parse_BORN_from_strings  # loads slowly
    from phonopy.structure.symmetry import Symmetry

    text = read_text(path, "a file of Born charges")
    cell = primitive(structure)
    independent = Symmetry(phonopy_cell(cell)).get_independent_atoms()
    lines = [line.split() for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    rows = [line for line in lines[1:] if line]
    if any(len(row) != 9 for row in rows) or len(rows) < 2:
        raise InputError(
            f"{path.name} is no BORN of phonopy: below its first line each has nine numbers", fix=_FIX
        )
    if len(rows) - 1 != len(independent):
        names = ", ".join(cell.get_chemical_symbols()[atom] for atom in independent)
        raise InputError(
            f"{path.name} holds {_count(len(rows) - 1)}, and the crystal has {len(independent)} atoms that symmetry "
            f"does not make equal ({names})",
            fix="give the dielectric tensor and then one line for each of these, as phonopy's BORN has them",
        )
    try:
        polar = parse_BORN_from_strings(text, phonopy_cell(cell))
    except (BORNFileParseError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read as phonopy's BORN: {error}", fix=_FIX) from None
    return polar_of(polar, structure, cell, path.name)


def _count(number: int) -> str:
    return "one Born tensor" if number == 1 else f"{number} Born tensors"


def with_charges(header: Mapping[str, Any], charges: Mapping[str, Any]) -> dict[str, Any]:
    """A header of frames with Born charges for the atoms of its structure.

    Args:
        header: of the frames; cell in Å.
        charges: of `read_born`; in place of what the header has.

    Raises:
        InputError: when they are of another crystal.
    """
    polar = read_polar({"structure": charges["structure"], "polar": charges})
    assert polar is not None
    structure = header.get("structure")
    if structure is None:
        kept = {key: charges[key] for key in ("born_charges", "dielectric", "origin")}
        return {**header, "structure": charges["structure"], "polar": kept}
    born, dielectric = polar.onto(structure_from_content(structure))
    return {
        **header,
        "polar": {
            "born_charges": born.tolist(),
            "dielectric": dielectric.tolist(),
            "origin": charges["origin"],
        },
    }
