"""Forces of phonopy (FORCE_SETS) and phono3py (FORCES_FC2, FORCES_FC3), with their displacement files beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.configuration import Frame
from hashigo.calculators.formats import FrameFormat, Source
from hashigo.calculators.formats.displacements import (
    Displaced,
    beside,
    displaced_supercells,
    frames_of,
    header_of,
    supercell_of,
    with_born_file,
)
from hashigo.calculators.formats.phonopy_write import write_forces
from hashigo.errors import InputError
from hashigo.study.compressed import SUFFIXES, open_text
from hashigo.study.phonopy_yaml import PhonopyFile, read_phonopy_file

Floats = NDArray[np.float64]

_PHONOPY = ("phonopy_disp.yaml", "phonopy.yaml", "phonopy_params.yaml")
_PHONO3PY = ("phono3py_disp.yaml", "phono3py.yaml", "phono3py_params.yaml")

#: Displacements in the two files are printed with so many digits, in the calculator's unit of length.
_PRINTED = 1e-6


def read_force_sets(path: Path, displacements: Path | None = None) -> Source:
    """Open FORCE_SETS.

    Args:
        path: the file.
        displacements: phonopy's file of its supercell; by default the one beside it.

    Raises:
        InputError: when it is unreadable, or no phonopy_disp.yaml or phonopy.yaml of its supercell lies beside it.
    """
    rows, _ = _numbers(path)
    file = read_phonopy_file(displacements) if displacements else beside(path, _PHONOPY, "phonopy")
    n_atoms = len(supercell_of(file))
    found = _type_two(path, rows, n_atoms) if len(rows[0]) == 6 else _type_one(path, rows, n_atoms, file.name)
    return _source(path, file, [(False, found)])


def read_forces(path: Path, displacements: Path | None = None) -> Source:
    """Open FORCES_FC3, with FORCES_FC2 beside it where there is one, or FORCES_FC2 alone.

    Args:
        path: the file.
        displacements: phono3py's file of its supercells; by default the one beside it.

    Raises:
        InputError: when it is unreadable, or no phono3py_disp.yaml of its supercells lies beside it.
    """
    file = read_phonopy_file(displacements) if displacements else beside(path, _PHONO3PY, "phono3py")
    harmonic = "FC2" in path.name.upper()
    parts = [(harmonic, _of_file(path, file, harmonic))]
    other = None if harmonic else _companion(path, "FORCES_FC2")
    if other is not None and file.data.phonon_dataset:
        parts.append((True, _of_file(other, file, True)))
    return _source(path, file, parts)


def _companion(path: Path, name: str) -> Path | None:
    found = (path.with_name(name + ending) for ending in ("", *SUFFIXES))
    return next((candidate for candidate in found if candidate.is_file()), None)


def _source(path: Path, file: PhonopyFile, parts: list[tuple[bool, list[Displaced]]]) -> Source:
    origin = f"{path.name}{f', {file.calculator}' if file.calculator else ''}"

    def frames() -> Iterator[Frame]:
        for harmonic, found in parts:
            yield from frames_of(found, supercell_of(file, harmonic), file.units, origin)

    return Source(with_born_file(header_of(file), path, file), frames())


def _numbers(path: Path) -> tuple[list[list[float]], list[list[float]]]:
    """The numbers of each line, and those of each line that is a comment."""
    rows: list[list[float]] = []
    comments: list[list[float]] = []
    with open_text(path, "a file of forces") as file:
        for number, line in enumerate(file, start=1):
            words = line.split()
            if not words:
                continue
            target, values = (comments, words[1:]) if words[0].startswith("#") else (rows, words)
            try:
                target.append([float(word) for word in values])
            except ValueError:
                if target is comments:
                    continue  # as "# File: 1"
                raise InputError(
                    f"line {number} of {path.name} is no line of forces: '{line.strip()[:60]}'",
                    fix="check that it is the forces file of phonopy or phono3py",
                ) from None
    if not rows:
        raise InputError(f"{path.name} holds no forces")
    return rows, comments


def _type_one(path: Path, rows: list[list[float]], n_atoms: int, companion: str) -> list[Displaced]:
    if len(rows) < 2 or len(rows[0]) != 1 or len(rows[1]) != 1 or not np.isfinite([*rows[0], *rows[1]]).all():
        raise InputError(
            f"{path.name} does not begin with numbers of atoms and displacements, as phonopy's does"
        )
    n_rows, n_sets = int(rows[0][0]), int(rows[1][0])
    if n_rows != n_atoms:
        raise InputError(
            f"{path.name} is of a supercell of {n_rows} atoms, and that in {companion} has {n_atoms}: "
            "they are of different calculations",
            fix=f"put the {companion} of the same calculation beside {path.name}",
        )
    if len(rows) != 2 + n_sets * (2 + n_atoms):
        raise InputError(
            f"{path.name} should have {n_sets} sets of {n_atoms} forces, and is cut or mixed up after line {len(rows)}",
            fix="copy it again",
        )
    found: list[Displaced] = []
    for start in range(2, len(rows), 2 + n_atoms):
        number = rows[start][0]
        if len(rows[start]) != 1 or not 1 <= number <= n_atoms or len(rows[start + 1]) != 3:
            raise InputError(
                f"set {len(found) + 1} of {path.name} does not begin with an atom and its displacement"
            )
        displacements = np.zeros((n_atoms, 3))
        displacements[int(number) - 1] = rows[start + 1]
        found.append(Displaced(displacements, _table(path, rows[start + 2 : start + 2 + n_atoms], 3)))
    return found


def _type_two(path: Path, rows: list[list[float]], n_atoms: int) -> list[Displaced]:
    table = _table(path, rows, 6)
    if len(table) % n_atoms:
        raise InputError(
            f"{path.name} has {len(table)} lines, no multiple of the {n_atoms} atoms of the supercell beside it: "
            "it is cut, or they are of different calculations",
            fix="put the displacement file of the same calculation beside it",
        )
    sets = table.reshape(-1, n_atoms, 6)
    return [Displaced(one[:, :3], one[:, 3:]) for one in sets]


def _table(path: Path, rows: list[list[float]], width: int) -> Floats:
    if any(len(row) != width for row in rows):
        raise InputError(f"a line of forces in {path.name} has not {width} numbers", fix="copy it again")
    return np.array(rows)


def _of_file(path: Path, file: PhonopyFile, harmonic: bool) -> list[Displaced]:
    rows, comments = _numbers(path)
    phonon = harmonic and file.data.phonon_dataset is not None
    dataset: Any = file.data.phonon_dataset if phonon else file.data.dataset
    if not dataset or (harmonic and not phonon):
        raise InputError(
            f"{file.name} has no displacements for {path.name}",
            fix="give the phono3py_disp.yaml that was written with them",
        )
    n_atoms = len(supercell_of(file, phonon))
    if len(rows[0]) == 6:
        return _type_two(path, rows, n_atoms)
    if "first_atoms" not in dataset:
        sets = _sets(path, rows, n_atoms, len(dataset["displacements"]), file.name)
        return displaced_supercells({**dataset, "forces": sets}, n_atoms, file.name)
    singles = dataset["first_atoms"]
    pairs = [second for first in singles for second in first.get("second_atoms", ())]
    sets = _sets(path, rows, n_atoms, len(singles) + len(pairs), file.name)
    _check_displacements(path, file.name, singles, pairs, comments)
    for one, forces in zip([*singles, *pairs], sets, strict=True):
        one["forces"] = forces
    return displaced_supercells(dataset, n_atoms, file.name)


def _sets(path: Path, rows: list[list[float]], n_atoms: int, n_sets: int, companion: str) -> Floats:
    if len(rows) != n_sets * n_atoms:
        raise InputError(
            f"{path.name} holds {len(rows)} forces, and {companion} asks for {n_sets} supercells of {n_atoms} atoms, "
            f"{n_sets * n_atoms} forces: it is cut, or they are of different calculations",
            fix=f"put the {companion} of the same calculation beside {path.name}",
        )
    return _table(path, rows, 3).reshape(n_sets, n_atoms, 3)


def _check_displacements(
    path: Path, companion: str, singles: list[Any], pairs: list[Any], comments: list[list[float]]
) -> None:
    """The comments of the forces file repeat the displacements, those of a pair in two lines."""
    said = [line for line in comments if len(line) == 4]
    if len(said) != len(singles) + 2 * len(pairs):
        return  # written without them
    compared = [*said[: len(singles)], *said[len(singles) + 1 :: 2]]
    for line, one in zip(compared, [*singles, *pairs], strict=True):
        if int(line[0]) != one["number"] + 1 or np.abs(line[1:] - one["displacement"]).max() > _PRINTED:
            raise InputError(
                f"{path.name} has forces of a displacement of atom {int(line[0])} that {companion} does not have "
                "there: they are of different calculations",
                fix=f"put the {companion} of the same calculation beside {path.name}",
            )


FORCE_SETS = FrameFormat(
    name="force_sets",
    title="FORCE_SETS with phonopy_disp.yaml or phonopy.yaml beside it",
    patterns=("force_sets*",),
    read=read_force_sets,
    read_with=read_force_sets,
    write=write_forces,
)

FORCES = FrameFormat(
    name="forces_fc",
    title="FORCES_FC3 or FORCES_FC2 with phono3py_disp.yaml beside it",
    patterns=("forces_fc2*", "forces_fc3*"),
    read=read_forces,
    read_with=read_forces,
    write=write_forces,
)
