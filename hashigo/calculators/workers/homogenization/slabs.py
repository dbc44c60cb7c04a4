"""Slab decomposition of a periodic grid: pieces for threads, halo planes, the transpose, and sums over all ranks.

One rank needs no MPI library. With more, each rank holds some planes along z, and some rows along y in Fourier space;
the transpose between the two is an `Alltoallv`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError

Array = NDArray[Any]
_Result = TypeVar("_Result")


def split(length: int, parts: int) -> list[slice]:
    """Cut a range into contiguous parts whose lengths differ by one at most.

    Args:
        length: number of items.
        parts: number of parts.
    """
    edges = [length * part // parts for part in range(parts + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


class Slabs:
    """The part of a periodic grid that this rank holds.

    Args:
        shape: number of voxels along z, y, x.
        comm: communicator of all ranks (mpi4py's, or one with `rank` 0 and `size` 1).
        threads: number of threads of this rank.
        precision: of fields on it, float64 or float32.

    Raises:
        InputError: when there are more ranks than planes.
    """

    def __init__(
        self, shape: tuple[int, int, int], comm: Any, threads: int = 1, precision: Any = np.float64
    ) -> None:
        self.shape = shape
        self.comm = comm
        self.threads = threads
        self.precision = np.dtype(precision)
        most = min(shape[0], shape[1])
        if comm.size > most:
            raise InputError(
                f"{comm.size} MPI ranks are more than the {most} planes of the grid",
                fix=f"start at most {most} ranks, or use more voxels",
            )
        self.all_planes = split(shape[0], comm.size)
        self.all_rows = split(shape[1], comm.size)
        self.planes = self.all_planes[comm.rank]
        self.rows = self.all_rows[comm.rank]
        self.local_shape = (self.planes.stop - self.planes.start, shape[1], shape[2])
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    @property
    def voxels(self) -> int:
        """Number of voxels of the whole grid."""
        return int(np.prod(self.shape))

    def each(self, function: Callable[[slice], _Result], pieces: Sequence[slice]) -> list[_Result]:
        """Call a function, which must release the interpreter's lock to gain by it, with each piece on some thread.

        Args:
            function: takes a slice of planes or rows.
            pieces: the slices.

        Returns:
            What the function returned, in the order of the pieces.
        """
        if self._pool is None or len(pieces) == 1:
            return [function(piece) for piece in pieces]
        return list(self._pool.map(function, pieces))

    def pieces(self, length: int, each: int) -> list[slice]:
        """Cut a range into pieces of about the same size, the same number for each thread.

        Args:
            length: number of planes or rows.
            each: most of them in a piece, number.
        """
        count = -(-length // max(1, each))
        count = min(length, -(-count // self.threads) * self.threads)
        return split(length, max(1, count))

    def fill_halo(self, field: Array) -> None:
        """Set the first and the last plane of a field to the ones of the neighbours.

        Args:
            field: this rank's planes between two others, shape (planes + 2, ...), any unit.
        """
        field[-1] = self._pass(field[1], towards=-1)
        field[0] = self._pass(field[-2], towards=1)

    def with_plane_before(self, field: Array) -> Array:
        """Put the last plane of the rank before in front of this rank's.

        Args:
            field: shape (planes, ...), any unit.

        Returns:
            Shape (planes + 1, ...), the unit of `field`.
        """
        return np.concatenate([self._pass(field[-1], towards=1)[None], field])

    def _pass(self, plane: Array, towards: int) -> Array:
        """Give a plane to the neighbour on one side and receive the one from the other side."""
        if self.comm.size == 1:
            return plane
        sent = np.ascontiguousarray(plane)
        received = np.empty_like(sent)
        size, rank = self.comm.size, self.comm.rank
        self.comm.Sendrecv(
            sent, dest=(rank + towards) % size, recvbuf=received, source=(rank - towards) % size
        )
        return received

    def to_rows(self, spectrum: Array, received: Array) -> None:
        """Give every other rank its rows of this rank's planes.

        Args:
            spectrum: contiguous, shape (ny, planes, ...), any unit.
            received: result, flat; what each other rank sent, one after the other, shape (size,), the unit of
                `spectrum`.
        """
        sent, came = self._counts(spectrum)
        self.comm.Alltoallv([spectrum, sent], [received, came])

    def to_planes(self, received: Array, spectrum: Array) -> None:
        """Give every other rank its planes back: the inverse of `to_rows`.

        Args:
            received: as `to_rows` left it, shape (size,), any unit.
            spectrum: contiguous, rows of the other ranks are set, shape (ny, planes, ...), the unit of `received`.
        """
        sent, came = self._counts(spectrum)
        self.comm.Alltoallv([received, came], [spectrum, sent])

    def _counts(self, spectrum: Array) -> tuple[Any, Any]:
        """Sizes and places of what goes to the other ranks, in the spectrum, and of what comes from them."""
        each, rank = spectrum[0, 0].size, self.comm.rank
        width = self.rows.stop - self.rows.start
        sent = [(rows.stop - rows.start) * self.local_shape[0] * each for rows in self.all_rows]
        places = _offsets(sent)
        came = [width * (planes.stop - planes.start) * each for planes in self.all_planes]
        sent[rank] = came[rank] = 0
        return (sent, places), (came, _offsets(came))

    def total(self, values: Floats) -> Floats:
        """Sum over all ranks, the same on each.

        Args:
            values: any shape, any unit.

        Returns:
            Shape and unit of `values`.
        """
        return np.asarray(self.comm.allreduce(np.asarray(values, dtype=float)))


def _offsets(counts: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(counts)[:-1].tolist()]
