"""Reading of frames files, block by block, also of one that still grows or whose writer was killed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase.data import chemical_symbols

from hashigo.calculators.configuration import Floats, Frame, check_frame
from hashigo.errors import InputError

FORMAT = "hashigo-frames"
SCHEMA_VERSION = 2

#: Type, shape of a row and unit of each dataset. Texts have a fixed width, as a file that is read while it grows needs.
COLUMNS: dict[str, tuple[str, tuple[int, ...], str]] = {
    "frames/cell": ("<f8", (3, 3), "Å"),
    "frames/energy": ("<f8", (), "eV"),
    "frames/stress": ("<f8", (6,), "eV/Å^3"),
    "frames/weight": ("<f8", (), "dimensionless"),
    "frames/start": ("<i8", (), "dimensionless"),
    "frames/count": ("<i8", (), "dimensionless"),
    "frames/kind": ("S16", (), "dimensionless"),
    "frames/origin": ("S256", (), "dimensionless"),
    "frames/identity": ("S32", (), "dimensionless"),
    "atoms/number": ("<i4", (), "dimensionless"),
    "atoms/position": ("<f8", (3,), "Å"),
    "atoms/force": ("<f8", (3,), "eV/Å"),
    "atoms/magnetic_moment": ("<f8", (), "μ_B"),
    "atoms/charge": ("<f8", (), "e"),
}
_SINCE_2 = {"atoms/magnetic_moment", "atoms/charge"}

#: Atoms, or frames, that are written and read in one piece.
BLOCK = 16384
BLOCK_FRAMES = 1024

#: What reading raises of a file that is cut, or that says of itself more than is true.
_DAMAGE = (OSError, KeyError, ValueError, IndexError, MemoryError)

#: Memory for chunks of each dataset, bytes; HDF5's own 8 MB for each of 28 would grow with the file for long.
CACHE = 1 << 18


def read_header(path: Path) -> dict[str, Any]:
    """What holds for all frames of a file.

    Raises:
        InputError: when it is no readable frames file.
    """
    with open_frames(path) as file:
        try:
            text = file.attrs["header"] if file.attrs["schema_version"] == 1 else file["header"][()]
            return dict(json.loads(text))
        except (OSError, KeyError, ValueError, TypeError):
            raise InputError(
                f"{Path(path).name} is damaged: its header is not JSON", fix="copy it again"
            ) from None


def iter_frames(path: Path) -> Iterator[Frame]:
    """Read frames one by one; few are in memory at a time. A file that is still written gives its flushed frames.

    Raises:
        InputError: when the file or a frame is unreadable or not finite.
    """
    index, name = 0, Path(path).name
    try:
        with open_frames(path) as file:
            for group, n_frames in parts_of(file):
                for frame in _read_part(group, n_frames):
                    check_frame(frame, index, name)
                    index += 1
                    yield frame
    except _DAMAGE as error:  # HDF5 finds a damaged chunk only when it is read
        raise InputError(f"{Path(path).name} is damaged: {error}", fix="copy it again") from None


def read_sizes(path: Path) -> dict[str, int]:
    """Identity and number of atoms of each frame of a file, in order; much faster than reading the frames.

    Raises:
        InputError: when it is no readable frames file.
    """
    try:
        with open_frames(path) as file:
            return {
                identity.decode(): int(count)
                for group, n_frames in parts_of(file)
                for identity, count in zip(
                    group["frames/identity"][:n_frames], group["frames/count"][:n_frames], strict=True
                )
            }
    except _DAMAGE as error:
        raise InputError(f"{Path(path).name} is damaged: {error}", fix="copy it again") from None


def read_frames(path: Path) -> list[Frame]:
    """Read all frames of a file.

    Raises:
        InputError: when the file or a frame is unreadable or not finite.
    """
    return list(iter_frames(path))


def open_frames(path: Path) -> h5py.File:
    """Open a file of frames to read it; it may still be written.

    Raises:
        InputError: when it is none.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder, and a frames file was expected", fix="check reference.data")
    if not path.is_file():
        raise InputError(f"frames file {path} does not exist", fix="check the path in reference.data")
    try:
        file = _open_hdf5(path)
    except OSError:
        raise InputError(
            f"{path.name} cannot be read as HDF5: it is truncated or of another format",
            fix="copy it again, or check that it is a frames file",
        ) from None
    try:
        _check_layout(file, path.name)
    except BaseException:
        file.close()
        raise
    return file


def _open_hdf5(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r", rdcc_nbytes=CACHE)
    except OSError:
        # A file that is being written, or whose writer was killed, opens in this mode only.
        return h5py.File(path, "r", swmr=True, rdcc_nbytes=CACHE)


def _check_layout(file: h5py.File, name: str) -> None:
    if file.attrs.get("format") != FORMAT:
        raise InputError(f"{name} is HDF5 but not a frames file of this project")
    version = file.attrs.get("schema_version")
    if not isinstance(version, np.integer):
        raise InputError(f"{name} is damaged: it does not say its schema", fix="copy it again")
    if version > SCHEMA_VERSION:
        raise InputError(f"{name} has a newer schema than this version knows", fix="update aiida-hashigo")
    for part in ("", "tail/") if "committed" in file else ("",):
        for key in COLUMNS:
            if version > 1 or key not in _SINCE_2:
                _check_dataset(file, part, key, name)


def _check_dataset(file: h5py.File, part: str, key: str, name: str) -> None:
    data = file.get(part + key)
    if data is None:
        raise InputError(f"{name} lacks the dataset '{part}{key}'")
    kind, shape, _ = COLUMNS[key]
    fits = isinstance(data, h5py.Dataset) and data.ndim == 1 + len(shape) and data.shape[1:] == shape
    if not fits or data.dtype.kind != np.dtype(kind).kind:
        raise InputError(f"{name} is damaged: its dataset '{part}{key}' is of another type or shape")
    # HDF5 would show any file of the reader's as numbers.
    if data.external or data.is_virtual or data.file != file:
        raise InputError(
            f"{name} takes its dataset '{part}{key}' from another file", fix="write it as one file"
        )


def parts_of(file: h5py.File) -> list[tuple[h5py.Group, int]]:
    """Groups of an open file that hold frames, each with its number of them."""
    if "committed" not in file:
        return [(file, len(file["frames/count"]))]
    n_main, n_tail = (int(n) for n in file["committed"][()])
    return [(file, n_main), (file["tail"], n_tail)]


def _read_part(group: h5py.Group, n_frames: int) -> Iterator[Frame]:
    for first in range(0, n_frames, BLOCK_FRAMES):
        rows = slice(first, min(first + BLOCK_FRAMES, n_frames))
        columns = {
            key.removeprefix("frames/"): group[key][rows] for key in COLUMNS if key.startswith("frames/")
        }
        counts = columns["count"]
        if len(counts) < rows.stop - rows.start or counts.min() < 0:
            raise ValueError("the numbers of atoms are not those of its frames")
        # Rows of frames that follow each other are read at once, up to a block.
        start = 0
        while start < len(counts):
            fitting = int(np.searchsorted(np.cumsum(counts[start:]), BLOCK, side="right"))
            stop = start + max(1, fitting)
            yield from _read_block(group, {key: values[start:stop] for key, values in columns.items()})
            start = stop


def _read_block(group: h5py.Group, columns: Mapping[str, Any]) -> Iterator[Frame]:
    starts, counts = columns["start"], columns["count"]
    first = int(starts[0])
    total = int(counts.sum())
    atoms = {
        key.removeprefix("atoms/"): group[key][first : first + total]
        for key in COLUMNS
        if key.startswith("atoms/") and key in group
    }
    offsets = np.cumsum(counts) - counts
    if (
        first < 0
        or not np.array_equal(starts - first, offsets)
        or any(len(a) < total for a in atoms.values())
    ):
        raise ValueError("the rows of its frames do not follow each other")
    for index in range(len(counts)):
        row = {key: values[index] for key, values in columns.items()}
        own = slice(int(offsets[index]), int(offsets[index] + counts[index]))
        yield _frame(row, {key: values[own] for key, values in atoms.items()})


def _frame(row: Mapping[str, Any], atoms: Mapping[str, Any]) -> Frame:
    energy = float(row["energy"])
    return Frame(
        cell=row["cell"],
        positions=atoms["position"],
        symbols=_symbols(atoms["number"].tobytes(), atoms["number"].dtype.str),
        energy=None if np.isnan(energy) else energy,
        forces=_computed(atoms["force"]),
        stress=_computed(row["stress"]),
        kind=row["kind"].decode(),
        weight=float(row["weight"]),
        origin=row["origin"].decode(),
        stored_identity=row["identity"].decode(),
        magnetic_moments=_computed(atoms.get("magnetic_moment")),
        charges=_computed(atoms.get("charge")),
    )


# Most frames of a file are of one composition.
@lru_cache(maxsize=64)
def _symbols(numbers: bytes, kind: str) -> tuple[str, ...]:
    found = np.frombuffer(numbers, dtype=kind)
    if len(found) and not 0 < found.min() <= found.max() < len(chemical_symbols):
        raise ValueError("an atomic number is not that of an element")
    return tuple(chemical_symbols[z] for z in found)


def _computed(values: Floats | None) -> Floats | None:
    # All NaN means "not computed"; a single NaN is an error that check_frame names. The first number decides of most.
    if values is None or (values.size and not math.isnan(values.flat[0])):
        return values
    return None if np.isnan(values).all() else values
