"""Extended XYZ, the text format of most potentials' training sets."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase import Atoms

from hashigo.calculators.configuration import Frame
from hashigo.calculators.formats import FrameFormat, Source
from hashigo.calculators.formats.ase_frames import frame_from_atoms, frame_results, lost_header
from hashigo.errors import InputError
from hashigo.study.compressed import open_text, plain_name


def read(path: Path) -> Source:
    """Open a file.

    Raises:
        InputError: when a frame is damaged, once it is read; or when it is no extended XYZ.
    """
    with open_text(path, "an extended XYZ file") as file:
        first = file.readline()
    if not first.strip().isdigit():
        raise InputError(f"{path.name} is not extended XYZ: it does not begin with a number of atoms")
    return Source({}, _frames(path), labelled=_says_kinds(path))


def _says_kinds(path: Path) -> bool:
    with open_text(path, "an extended XYZ file") as file:
        file.readline()
        return "hashigo_kind=" in file.readline()


def _frames(path: Path) -> Iterator[Frame]:
    with open_text(path, "an extended XYZ file") as file:
        index = 0
        while line := file.readline():
            if line.strip():
                yield _frame(line, file, path.name, index)
                index += 1


def _frame(line: str, file: IO[str], name: str, index: int) -> Frame:
    from ase.io.extxyz import read_xyz  # ase.io loads slowly

    try:
        lines = [line, *islice(file, int(line) + 1)]
        if len(lines) < 3 or len(lines) < int(line) + 2:
            raise ValueError("the file ends within it")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            atoms = next(iter(read_xyz(StringIO("".join(lines)), 0)))
        return frame_from_atoms(atoms, name, index)
    except InputError:
        raise
    except Exception as error:  # ASE's reader raises whatever its parsing meets
        raise InputError(
            f"frame {index} of {name} cannot be read: {error or type(error).__name__}",
            fix="the file may be cut or of another kind: copy it again",
        ) from None


def write(path: Path, frames: Iterable[Frame], header: Mapping[str, Any]) -> list[str]:
    """Write a file; what holds for all frames is lost."""
    from ase.io.extxyz import write_xyz  # ase.io loads slowly

    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for frame in frames:
                write_xyz(file, [_atoms(frame)], write_results=True)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return lost_header(header, plain_name(path))


def _atoms(frame: Frame) -> Atoms:
    atoms = frame.atoms()
    atoms.info = {"hashigo_kind": frame.kind, "hashigo_weight": frame.weight}
    if frame.origin:
        atoms.info["hashigo_origin"] = frame.origin
    if frame.kind == "atom":
        atoms.pbc = np.zeros(3, dtype=bool)
    atoms.calc = frame_results(atoms, frame)
    return atoms


FORMAT = FrameFormat(
    name="extxyz",
    title="extended XYZ",
    patterns=("*.xyz", "*.extxyz"),
    read=read,
    write=write,
)
