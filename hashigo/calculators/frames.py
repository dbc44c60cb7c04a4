"""Atomic configurations with energy, forces and stress, in one HDF5 file.

Layout: `/frames` holds one row for each frame (cell, energy, stress, …), `/atoms` one row for each atom of all frames
(positions, forces, atomic numbers); a frame owns the rows start … start + count. Every dataset has `units`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from hashigo.errors import InputError

FORMAT = "hashigo-frames"
SCHEMA_VERSION = 1
Floats = NDArray[np.float64]

_UNITS = {
    "frames/cell": "Å",
    "frames/energy": "eV",
    "frames/stress": "eV/Å^3",
    "frames/weight": "dimensionless",
    "frames/start": "dimensionless",
    "frames/count": "dimensionless",
    "frames/kind": "dimensionless",
    "frames/origin": "dimensionless",
    "frames/identity": "dimensionless",
    "atoms/number": "dimensionless",
    "atoms/position": "Å",
    "atoms/force": "eV/Å",
}


@dataclass(frozen=True)
class Frame:
    """One configuration; values that were not computed are None.

    Attributes:
        cell: lattice vectors as rows, shape (3, 3), Å.
        positions: Cartesian, shape (n_atoms, 3), Å.
        symbols: chemical symbol of each atom.
        energy: of the whole cell, eV.
        forces: shape (n_atoms, 3), eV/Å.
        stress: shape (6,), eV/Å^3, Voigt xx, yy, zz, yz, xz, xy; positive under tension.
        kind: "displaced" (supercell at the reference's cell), "strained" (deformed cell) or "atom" (a free atom).
        weight: relative weight in a fit, dimensionless.
        origin: what computed it.
        settings: the engine's settings as a canonical string; part of the identity.
    """

    cell: Floats
    positions: Floats
    symbols: tuple[str, ...]
    energy: float | None = None
    forces: Floats | None = None
    stress: Floats | None = None
    kind: str = "displaced"
    weight: float = 1.0
    origin: str = ""
    settings: str = ""
    stored_identity: str = ""

    @cached_property
    def identity(self) -> str:
        """Hash of the structure (to 1e-8 Å) and the engine's settings; the same work has the same identity."""
        return self.stored_identity or frame_identity(self.cell, self.positions, self.symbols, self.settings)

    def atoms(self) -> Atoms:
        """The structure as periodic ASE atoms."""
        return Atoms(self.symbols, cell=self.cell, positions=self.positions, pbc=True)


def frame_identity(cell: Floats, positions: Floats, symbols: Sequence[str], settings: str) -> str:
    """Name a piece of work: this structure by an engine with these settings.

    Args:
        cell: lattice vectors as rows, shape (3, 3), Å.
        positions: Cartesian, shape (n_atoms, 3), Å.
        symbols: chemical symbol of each atom.
        settings: the engine's settings as a canonical string.
    """
    digest = hashlib.sha256()
    for array in (cell, positions):
        # Adding zero turns -0.0 into 0.0.
        digest.update((np.round(np.asarray(array, dtype="<f8"), 8) + 0.0).tobytes())
    digest.update("\0".join([*symbols, settings]).encode())
    return digest.hexdigest()[:32]


def write_frames(path: Path, frames: Sequence[Frame], header: Mapping[str, Any] | None = None) -> None:
    """Write frames; the file appears under its name only when it is complete. Equal content gives equal files.

    Args:
        path: file to write.
        frames: at least one.
        header: what holds for all of them, e.g. "structure", "supercell", "engine", "atomic_energies" (eV).

    Raises:
        InputError: when there is no frame, or one is not finite or ill-shaped.
    """
    if not frames:
        raise InputError(f"no frames to write to {Path(path).name}")
    for index, frame in enumerate(frames):
        check_frame(frame, index, Path(path).name)
    counts = np.array([len(f.symbols) for f in frames])
    nan3 = [np.full((n, 3), np.nan) for n in counts]
    content: dict[str, Any] = {
        "frames/cell": np.array([f.cell for f in frames]),
        "frames/energy": np.array([np.nan if f.energy is None else f.energy for f in frames]),
        "frames/stress": np.array([np.full(6, np.nan) if f.stress is None else f.stress for f in frames]),
        "frames/weight": np.array([f.weight for f in frames]),
        "frames/start": np.concatenate([[0], np.cumsum(counts)[:-1]]),
        "frames/count": counts,
        "frames/kind": [f.kind for f in frames],
        "frames/origin": [f.origin for f in frames],
        "frames/identity": [f.identity for f in frames],
        "atoms/number": np.array([atomic_numbers[s] for f in frames for s in f.symbols], dtype=np.int32),
        "atoms/position": np.concatenate([f.positions for f in frames]),
        "atoms/force": np.concatenate(
            [nan3[i] if f.forces is None else f.forces for i, f in enumerate(frames)]
        ),
    }
    part = Path(path).with_name(Path(path).name + ".part")
    with h5py.File(part, "w") as file:
        file.attrs.update({"format": FORMAT, "schema_version": SCHEMA_VERSION})
        file.attrs["header"] = json.dumps(dict(header or {}), sort_keys=True)
        for name, data in content.items():
            if isinstance(data, list):
                data = np.array([text.encode() for text in data])
            packed = {"compression": "gzip", "shuffle": True} if data.size > 100 else {}
            file.create_dataset(name, data=data, **packed).attrs["units"] = _UNITS[name]
    part.replace(path)


def check_frame(frame: Frame, index: int, where: str) -> None:
    """Check shapes and that every number is finite.

    Args:
        frame: the frame.
        index: its number in the file.
        where: the file's name, for the message.

    Raises:
        InputError: names the frame and what is wrong with it.
    """
    n = len(frame.symbols)
    shapes = {"cell": (3, 3), "positions": (n, 3), "forces": (n, 3), "stress": (6,), "energy": ()}
    for name, shape in shapes.items():
        value = getattr(frame, name)
        if value is None:
            continue
        if np.shape(value) != shape:
            raise InputError(
                f"{name} of frame {index} of {where} has shape {np.shape(value)}, expected {shape}"
            )
        if not np.all(np.isfinite(value)):
            raise InputError(
                f"{name} of frame {index} of {where} is not finite (NaN or infinite)",
                fix="leave the frame out, or compute it again",
            )
    if n == 0:
        raise InputError(f"frame {index} of {where} has no atoms")
    unknown = sorted(set(frame.symbols) - set(chemical_symbols))
    if unknown:
        raise InputError(f"frame {index} of {where} names an unknown element '{unknown[0]}'")


def _open(path: Path) -> h5py.File:
    name = Path(path).name
    if Path(path).is_dir():
        raise InputError(f"{path} is a folder, and a frames file was expected", fix="check reference.data")
    if not Path(path).is_file():
        raise InputError(f"frames file {path} does not exist", fix="check the path in reference.data")
    try:
        file = h5py.File(path, "r")
    except OSError:
        raise InputError(
            f"{name} cannot be read as HDF5: it is truncated or of another format",
            fix="copy it again, or check that it is a frames file",
        ) from None
    if file.attrs.get("format") != FORMAT:
        file.close()
        raise InputError(f"{name} is HDF5 but not a frames file of this project")
    if int(file.attrs["schema_version"]) > SCHEMA_VERSION:
        raise InputError(f"{name} has a newer schema than this version knows", fix="update aiida-hashigo")
    missing = [key for key in _UNITS if key not in file]
    if missing:
        file.close()
        raise InputError(f"{name} lacks the dataset '{missing[0]}'")
    return file


def read_header(path: Path) -> dict[str, Any]:
    """What holds for all frames of a file.

    Raises:
        InputError: when it is no readable frames file.
    """
    with _open(path) as file:
        return dict(json.loads(file.attrs["header"]))


def iter_frames(path: Path) -> Iterator[Frame]:
    """Read frames one by one.

    Raises:
        InputError: when the file or a frame is unreadable or not finite.
    """
    try:
        yield from _iter_frames(path)
    except (OSError, KeyError) as error:  # HDF5 finds a damaged chunk only when it is read
        raise InputError(f"{Path(path).name} is damaged: {error}", fix="copy it again") from None


def _iter_frames(path: Path) -> Iterator[Frame]:
    name = Path(path).name
    with _open(path) as file:
        columns = {
            key: file[f"frames/{key}"][()] for key in ("cell", "energy", "stress", "weight", "start", "count")
        }
        texts = {
            key: [t.decode() for t in file[f"frames/{key}"][()]] for key in ("kind", "origin", "identity")
        }
        for index in range(len(columns["count"])):
            rows = slice(int(columns["start"][index]), int(columns["start"][index] + columns["count"][index]))
            forces = file["atoms/force"][rows]
            stress = columns["stress"][index]
            energy = float(columns["energy"][index])
            frame = Frame(
                cell=columns["cell"][index],
                positions=file["atoms/position"][rows],
                symbols=tuple(chemical_symbols[z] for z in file["atoms/number"][rows]),
                energy=None if np.isnan(energy) else energy,
                # All NaN means "not computed"; a single NaN is an error that check_frame names.
                forces=None if np.isnan(forces).all() else forces,
                stress=None if np.isnan(stress).all() else stress,
                kind=texts["kind"][index],
                weight=float(columns["weight"][index]),
                origin=texts["origin"][index],
                stored_identity=texts["identity"][index],
            )
            check_frame(frame, index, name)
            yield frame


def read_frames(path: Path) -> list[Frame]:
    """Read all frames of a file.

    Raises:
        InputError: when the file or a frame is unreadable or not finite.
    """
    return list(iter_frames(path))
