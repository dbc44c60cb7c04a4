"""Writing of frames files: whole ones that appear at once, and ones that grow and survive a kill."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from ase.data import atomic_numbers

from hashigo.calculators.configuration import Floats, Frame, check_frame
from hashigo.calculators.frames_reading import (
    BLOCK,
    BLOCK_FRAMES,
    CACHE,
    COLUMNS,
    FORMAT,
    SCHEMA_VERSION,
    iter_frames,
    read_header,
)
from hashigo.errors import InputError, WorkerError

#: Rows of a chunk.
_CHUNK = {"frames": 256, "atoms": 2048}


def write_frames(path: Path, frames: Iterable[Frame], header: Mapping[str, Any] | None = None) -> None:
    """Write frames; the file appears under its name only when it is complete. Equal content gives equal files.

    Args:
        path: file to write.
        frames: at least one; they may come from a generator, and few are in memory at a time.
        header: what holds for all of them, e.g. "structure", "supercell", "engine", "atomic_energies" (eV).

    Raises:
        InputError: when there is no frame, or one is not finite or ill-shaped.
        WorkerError: when the file cannot be written, as on a full disk.
    """
    path = Path(path)
    with new_file(path, header) as table:
        for block in _blocks(_checked(frames, path.name)):
            table.append(block)


@contextmanager
def new_file(path: Path, header: Mapping[str, Any] | None) -> Iterator[Table]:
    """The table of a frames file, which appears under its name when the context ends and frames are in it.

    Args:
        path: file to write.
        header: what holds for all frames.

    Raises:
        InputError: when there is no frame.
        WorkerError: when the file cannot be written, as on a full disk.
    """
    part = path.with_name(path.name + ".part")
    try:
        with h5py.File(part, "w", rdcc_nbytes=CACHE) as file:
            table = _create(file, header)
            yield table
            if not table.n_frames:
                raise InputError(f"no frames to write to {path.name}")
        part.replace(path)
    except OSError as error:
        raise _not_written(path, error) from error
    finally:
        part.unlink(missing_ok=True)


class FrameWriter:
    """Appends frames to a file that can be read at any time, also after its writer was killed.

    What was there before is kept. A frame is safe from a kill once it was flushed. For a finished file of least size,
    pass `iter_frames` of this one to `write_frames`.

    Args:
        path: file to write; if it exists, frames are added to it.
        header: what holds for all frames; that of an existing file by default.

    Raises:
        InputError: when the file exists and is not one of frames.
        WorkerError: when the file cannot be written, as on a full disk.
    """

    def __init__(self, path: Path, header: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self._pending: list[Frame] = []
        self._n_atoms = 0
        self._index = 0
        earlier: Iterator[Frame] = iter(())
        if self.path.exists():
            header = read_header(self.path) if header is None else header
            earlier = iter_frames(self.path)
        # A file whose writer was killed cannot be opened for writing again. It is copied, and replaced once the copy
        # is complete.
        part = self.path.with_name(self.path.name + ".part")
        try:
            # SWMR (single writer, multiple readers) orders writes so that the file is whole at any time; it needs
            # the format of HDF5 1.10.
            self._file = h5py.File(part, "w", libver=("v110", "v110"), rdcc_nbytes=CACHE)
        except OSError as error:
            raise _not_written(self.path, error) from error
        try:
            self._main = _create(self._file, header)
            self._tail = Table(self._file.create_group("tail"), packed=False)
            self._committed = self._file.create_dataset("committed", data=np.zeros(2, dtype="<i8"))
            self._committed.attrs["units"] = "dimensionless"
            self._file.swmr_mode = True
            for frame in earlier:
                self.append(frame)
            self.flush()
            part.replace(self.path)
        except BaseException as error:
            self._file.close()
            part.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _not_written(self.path, error) from error
            raise

    def __len__(self) -> int:
        """Number of frames in the file and waiting to be flushed."""
        return self._index

    def append(self, frame: Frame) -> None:
        """Add a frame; it is in the file after the next flush, at the latest when some hundred wait.

        Raises:
            InputError: when the frame is not finite or ill-shaped; the file goes on without it.
            WorkerError: when the file cannot be written, as on a full disk.
        """
        check_frame(frame, self._index, self.path.name)
        self._pending.append(frame)
        self._index += 1
        self._n_atoms += len(frame.symbols)
        if self._is_block():
            self.flush()

    def _is_block(self) -> bool:
        return self._n_atoms >= BLOCK or len(self._pending) >= BLOCK_FRAMES

    def flush(self) -> None:
        """Write what is pending, so that a kill loses nothing of it.

        Raises:
            WorkerError: when the file cannot be written, as on a full disk.
        """
        try:
            if self._is_block():
                self._store_block()
            elif len(self._pending) > self._tail.n_frames:
                self._tail.append(self._pending[self._tail.n_frames :])
                self._commit()
        except OSError as error:
            raise _not_written(self.path, error) from error

    def _store_block(self) -> None:
        self._main.append(self._pending)
        self._pending, self._n_atoms = [], 0
        # The tail is written over only after the commit says that it no longer counts.
        self._tail.n_frames = self._tail.n_atoms = 0
        self._commit()

    def _commit(self) -> None:
        self._file.flush()
        self._committed[...] = (self._main.n_frames, self._tail.n_frames)
        self._committed.flush()

    def close(self) -> None:
        """Flush and close.

        Raises:
            WorkerError: when the file cannot be written, as on a full disk.
        """
        if not self._file:
            return
        try:
            self.flush()
        finally:
            try:
                self._file.close()
            except (OSError, RuntimeError) as error:  # h5py has both for a failed write
                raise _not_written(self.path, error) from error

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Table:
    """The datasets of frames below one group, with the number of rows that count.

    Args:
        group: to make them in.
        packed: whether they are compressed.
    """

    def __init__(self, group: h5py.Group, packed: bool) -> None:
        self.n_frames = self.n_atoms = 0
        options = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if packed else {}
        self._datasets = {}
        for name, (kind, shape, unit) in COLUMNS.items():
            rows = _CHUNK[name.split("/")[0]]
            data = group.create_dataset(
                name, (0, *shape), kind, maxshape=(None, *shape), chunks=(rows, *shape), **options
            )
            data.attrs["units"] = unit
            self._datasets[name] = data

    def append(self, frames: list[Frame]) -> None:
        """Add frames."""
        self.append_columns(_columns(frames, self.n_atoms))

    def append_columns(self, columns: Mapping[str, Any]) -> None:
        """Add rows to all datasets.

        Args:
            columns: rows by the name of the dataset, in its unit.
        """
        for name, values in columns.items():
            start = self.n_frames if name.startswith("frames/") else self.n_atoms
            data = self._datasets[name]
            if len(data) < start + len(values):
                data.resize(start + len(values), axis=0)
            data[start : start + len(values)] = values
        self.n_frames += len(columns["frames/count"])
        self.n_atoms += len(columns["atoms/number"])


def _create(file: h5py.File, header: Mapping[str, Any] | None) -> Table:
    file.attrs.update({"format": FORMAT, "schema_version": SCHEMA_VERSION})
    # A dataset, for an attribute ends at 64 kB.
    text = np.bytes_(json.dumps(dict(header or {}), sort_keys=True).encode())
    file.create_dataset("header", data=text).attrs["units"] = "dimensionless"
    return Table(file, packed=True)


def _columns(frames: list[Frame], first_atom: int) -> dict[str, Any]:
    counts = np.array([len(f.symbols) for f in frames])

    def rows(name: str, *shape: int) -> Floats:
        values = (getattr(f, name) for f in frames)
        return np.concatenate(
            [np.full((n, *shape), np.nan) if v is None else v for n, v in zip(counts, values, strict=True)]
        )

    return {
        "frames/cell": np.array([f.cell for f in frames]),
        "frames/energy": np.array([np.nan if f.energy is None else f.energy for f in frames]),
        "frames/stress": np.array([np.full(6, np.nan) if f.stress is None else f.stress for f in frames]),
        "frames/weight": np.array([f.weight for f in frames]),
        "frames/start": first_atom + np.cumsum(counts) - counts,
        "frames/count": counts,
        "frames/kind": np.array([_text(f.kind, 16) for f in frames]),
        "frames/origin": np.array([_text(f.origin, 256) for f in frames]),
        "frames/identity": np.array([_text(f.identity, 32) for f in frames]),
        "atoms/number": np.array([atomic_numbers[s] for f in frames for s in f.symbols], dtype=np.int32),
        "atoms/position": np.concatenate([f.positions for f in frames]),
        "atoms/force": rows("forces", 3),
        "atoms/magnetic_moment": rows("magnetic_moments"),
        "atoms/charge": rows("charges"),
    }


def _text(text: str, width: int) -> bytes:
    raw = text.encode()
    return raw if len(raw) <= width else raw[: width - 3].decode(errors="ignore").encode() + "…".encode()


def _checked(frames: Iterable[Frame], where: str) -> Iterator[Frame]:
    for index, frame in enumerate(frames):
        check_frame(frame, index, where)
        yield frame


def _blocks(frames: Iterable[Frame]) -> Iterator[list[Frame]]:
    block: list[Frame] = []
    n_atoms = 0
    for frame in frames:
        block.append(frame)
        n_atoms += len(frame.symbols)
        if n_atoms >= BLOCK or len(block) >= BLOCK_FRAMES:
            yield block
            block, n_atoms = [], 0
    if block:
        yield block


def _not_written(path: Path, error: Exception) -> WorkerError:
    told = re.search(r"\berrno = (\d+)", str(error))  # HDF5 has the number in its text
    number = getattr(error, "errno", None) or (int(told[1]) if told else 0)
    return WorkerError(
        f"{path} cannot be written: {os.strerror(number) if number else error}",
        fix="see that the disk has space left and that you may write there",
    )
