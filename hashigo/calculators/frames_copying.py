"""Frames of a file in another order: copied column by column, without an object for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.frames_reading import BLOCK, BLOCK_FRAMES, COLUMNS, open_frames, parts_of
from hashigo.calculators.frames_writing import new_file

Indices = NDArray[np.int64]

#: Rows that nobody wants are read with their neighbours when they are no more than this.
_GAP = 256


def copy_frames(path: Path, source: Path, identities: Sequence[str], header: Mapping[str, Any]) -> None:
    """Write frames of a file, the same file as `write_frames` writes of them; it may still grow.

    Args:
        path: file to write.
        source: file of frames that were checked when they were written to it.
        identities: of the frames, in the order wanted; each is in the source.
        header: of the new file.

    Raises:
        InputError: when the source is no frames file.
        WorkerError: when the file cannot be written, as on a full disk.
    """
    with open_frames(source) as file, new_file(path, header) as table:
        parts = [_Part(group, n_frames) for group, n_frames in parts_of(file)]
        places = {
            name: (number, row)
            for number, part in enumerate(parts)
            for row, name in enumerate(part.identities)
        }
        wanted = np.array([places[identity] for identity in identities], dtype=np.int64).reshape(-1, 2)
        counts = np.array([parts[number].counts[row] for number, row in wanted], dtype=np.int64)
        for block in _blocks(counts):
            columns = _empty(len(wanted[block]), int(counts[block].sum()))
            for number, part in enumerate(parts):
                at = np.flatnonzero(wanted[block, 0] == number)
                part.read_into(columns, at, wanted[block][at, 1], _starts(counts[block])[at])
            columns["frames/start"] = table.n_atoms + _starts(counts[block])
            table.append_columns(columns)


class _Part:
    """The frames below one group of a file."""

    def __init__(self, group: h5py.Group, n_frames: int) -> None:
        self._group = group
        self.identities = [name.decode() for name in group["frames/identity"][:n_frames]]
        self.counts: Indices = group["frames/count"][:n_frames]
        self._starts: Indices = group["frames/start"][:n_frames]

    def read_into(self, columns: dict[str, Any], at: Indices, rows: Indices, atoms: Indices) -> None:
        """Read rows to their places: `at` among the frames, `atoms` their first among the atoms."""
        order = np.argsort(rows)
        for run in np.split(order, np.flatnonzero(np.diff(rows[order]) > _GAP) + 1):
            if not len(run):
                continue
            low, high = int(rows[run[0]]), int(rows[run[-1]])
            first, last = int(self._starts[low]), int(self._starts[high] + self.counts[high])
            own = _ranges(self._starts[rows[run]] - first, self.counts[rows[run]])
            there = _ranges(atoms[run], self.counts[rows[run]])
            for name, column in columns.items():
                if name.startswith("frames/"):
                    column[at[run]] = self._group[name][low : high + 1][rows[run] - low]
                else:
                    column[there] = self._group[name][first:last][own]


def _blocks(counts: Indices) -> Iterator[slice]:
    """Blocks of frames as `write_frames` makes them."""
    begin = n_atoms = 0
    for index, count in enumerate(counts, 1):
        n_atoms += int(count)
        if n_atoms >= BLOCK or index - begin >= BLOCK_FRAMES or index == len(counts):
            yield slice(begin, index)
            begin, n_atoms = index, 0


def _empty(n_frames: int, n_atoms: int) -> dict[str, Any]:
    rows = {"frames": n_frames, "atoms": n_atoms}
    return {
        name: np.empty((rows[name.split("/")[0]], *shape), kind) for name, (kind, shape, _) in COLUMNS.items()
    }


def _starts(counts: Indices) -> Indices:
    return np.asarray(np.cumsum(counts) - counts)


def _ranges(starts: Indices, counts: Indices) -> Indices:
    """All numbers from each start on, as many as its count."""
    return np.asarray(np.repeat(starts - _starts(counts), counts) + np.arange(counts.sum()))
