"""phonopy_params.yaml and phono3py_params.yaml: cells, displacements, forces and Born charges in one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashigo.calculators.configuration import Frame
from hashigo.calculators.formats import FrameFormat, Source
from hashigo.calculators.formats.displacements import (
    displaced_supercells,
    frames_of,
    header_of,
    supercell_of,
)
from hashigo.calculators.formats.phonopy_write import write_params
from hashigo.errors import InputError
from hashigo.study.phonopy_yaml import PhonopyFile, read_phonopy_file


def read(path: Path) -> Source:
    """Open a file; the supercells of the harmonic force constants follow those of the anharmonic ones.

    Raises:
        InputError: when it is unreadable or holds no forces.
    """
    file = read_phonopy_file(path)
    parts = _parts(file)
    with_forces = [[one for one in part if one.forces is not None] for _, part in parts]
    if not any(with_forces):
        forces = "FORCES_FC3" if file.program == "phono3py" else "FORCE_SETS"
        raise InputError(
            f"{path.name} holds no forces",
            fix=f"give {file.program}_params.yaml, or {forces} with this file beside it",
        )
    total = sum(len(part) for _, part in parts)
    left = total - sum(map(len, with_forces))
    notes = [f"{left} of {total} displaced supercells have no forces and are left out"] if left else []
    origin = f"{path.name}{f', {file.calculator}' if file.calculator else ''}"

    def frames() -> Iterator[Frame]:
        for (phonon, _), part in zip(parts, with_forces, strict=True):
            yield from frames_of(part, supercell_of(file, phonon), file.units, origin)

    return Source(header_of(file), frames(), notes=notes)


def _parts(file: PhonopyFile) -> list[tuple[bool, list]]:
    parts = []
    for phonon in (False, True):
        dataset = getattr(file.data, "phonon_dataset" if phonon else "dataset", None)
        if dataset:
            n_atoms = len(supercell_of(file, phonon))
            parts.append((phonon, displaced_supercells(dataset, n_atoms, file.name)))
    return parts


FORMAT = FrameFormat(
    name="phonopy",
    title="phonopy_params.yaml or phono3py_params.yaml",
    patterns=("*.yaml", "*.yml"),
    read=read,
    write=write_params,
)
