"""ASE databases in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from hashigo.calculators.configuration import Frame
from hashigo.calculators.formats import FrameFormat, Source
from hashigo.calculators.formats.ase_frames import frame_from_atoms, frame_results
from hashigo.errors import InputError

#: Where the header of the frames is kept in the database's metadata.
_HEADER = "hashigo_header"


def read(path: Path) -> Source:
    """Open a database; its rows are read one by one, in the order of their ids.

    Raises:
        InputError: when it is no database of ASE.
    """
    with path.open("rb") as file:
        if not file.read(16).startswith(b"SQLite format 3"):
            raise InputError(f"{path.name} is no SQLite database, and an ASE database was expected")
    try:
        # ASE would put its tables into a database that has none.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.execute("SELECT id FROM systems LIMIT 1")
        database = _connect(path)
        header = dict(database.metadata.get(_HEADER, {}))
        labelled = all("hashigo_kind" in row.key_value_pairs for row in database.select(limit=1))
    except Exception as error:  # ASE and SQLite raise whatever they meet in a foreign database
        raise InputError(f"{path.name} cannot be read as an ASE database: {error}") from None
    return Source(header, _frames(path), labelled=labelled)


def _connect(path: Path) -> Any:
    from ase.db import connect  # loads slowly

    return connect(path, type="db", use_lock_file=False)


def _frames(path: Path) -> Iterator[Frame]:
    try:
        for index, row in enumerate(_connect(path).select()):
            yield frame_from_atoms(_atoms(row), path.name, index)
    except (sqlite3.Error, ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{path.name} is damaged: {error}", fix="copy it again") from None


def _atoms(row: Any) -> Atoms:
    # Not row.toatoms(): constraints and the like are nothing to a frame.
    atoms = Atoms(row.numbers, positions=row.positions, cell=row.cell, pbc=row.pbc)
    names = ("energy", "forces", "stress", "magmoms", "charges", "free_energy")
    values = {name: row[name] for name in names if name in row}
    from ase.calculators.singlepoint import SinglePointCalculator  # as row.toatoms() would

    atoms.calc = SinglePointCalculator(atoms, **values)
    atoms.info = dict(row.key_value_pairs)
    return atoms


def write(path: Path, frames: Iterable[Frame], header: Mapping[str, Any]) -> list[str]:
    """Write a database; nothing is lost."""
    part = path.with_name(path.name + ".part.db")
    part.unlink(missing_ok=True)
    try:
        with _connect(part) as database:
            database.metadata = {_HEADER: dict(header)}
            for frame in frames:
                database.write(_with_results(frame), key_value_pairs=_keys(frame))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return []


def _with_results(frame: Frame) -> Atoms:
    atoms = frame.atoms()
    if frame.kind == "atom":
        atoms.pbc = np.zeros(3, dtype=bool)
    atoms.calc = frame_results(atoms, frame)
    return atoms


def _keys(frame: Frame) -> dict[str, Any]:
    origin = {"hashigo_origin": frame.origin} if frame.origin else {}
    return {"hashigo_weight": frame.weight, "hashigo_kind": frame.kind, **origin}


FORMAT = FrameFormat(
    name="ase_database",
    title="ASE database (SQLite)",
    patterns=("*.db",),
    read=read,
    write=write,
)
