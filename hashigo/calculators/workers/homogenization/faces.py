"""Faces of voxels between cells: which cells are neighbours, and over how many faces normal to each axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization.microstructure import Indices


@dataclass(frozen=True)
class Faces:
    """Pairs of cells that touch; the same on all ranks.

    Attributes:
        first: index of one cell of each pair, shape (n_pairs,); less than that of the other.
        second: index of the other, shape (n_pairs,).
        number: of voxel faces between them normal to x, y, z, shape (n_pairs, 3), count.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    number: NDArray[np.int64]


_Part = tuple[NDArray[np.int64], NDArray[np.int64]]


def find_faces(cells: Indices, above: Indices, count: int, comm: Any) -> Faces:
    """Find the faces of a periodic grid.

    Args:
        cells: cell of each voxel of this rank's planes, shape (planes, ny, nx), indices.
        above: the same one plane further along z, shape of `cells`, indices.
        count: number of cells.
        comm: communicator over which the planes of all ranks make up the grid.
    """
    found = []
    for axis, other in ((2, np.roll(cells, -1, 2)), (1, np.roll(cells, -1, 1)), (0, above)):
        differ = cells != other
        a, b = cells[differ].astype(np.int64), other[differ].astype(np.int64)
        pairs, number = np.unique(np.minimum(a, b) * count + np.maximum(a, b), return_counts=True)
        faces = np.zeros((len(pairs), 3), dtype=np.int64)
        faces[:, 2 - axis] = number
        found.append((pairs, faces))
    pairs, faces = _merged(found)
    if comm.size > 1:
        pairs, faces = _merged(comm.allgather((pairs, faces)))
    return Faces(pairs // count, pairs % count, faces)


def plane_above(cells: Indices, comm: Any) -> Indices:
    """The voxels one plane further along z.

    Args:
        cells: cell of each voxel of this rank's planes, shape (planes, ny, nx), indices.
        comm: communicator over which the planes of all ranks make up the grid.

    Returns:
        Shape of `cells`, indices.
    """
    following = comm.allgather(cells[0])[(comm.rank + 1) % comm.size]
    return np.concatenate([cells[1:], following[None]])


def _merged(parts: Sequence[_Part]) -> _Part:
    pairs, where = np.unique(np.concatenate([pair for pair, _ in parts]), return_inverse=True)
    faces = np.zeros((len(pairs), 3), dtype=np.int64)
    np.add.at(faces, where.ravel(), np.concatenate([face for _, face in parts]))
    return pairs, faces
