"""Slab decomposition of a periodic grid: halo planes, real Fourier transforms and sums over all ranks.

One rank needs no MPI library. With more, each rank holds some planes along z, and some rows along y in
Fourier space; the transpose between the two is an `Alltoallv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError

Complexes = NDArray[np.complex128]


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
        threads: number of threads of the Fourier transforms.

    Raises:
        InputError: when there are more ranks than planes.
    """

    def __init__(self, shape: tuple[int, int, int], comm: Any, threads: int = 1) -> None:
        self.shape = shape
        self.comm = comm
        self.threads = threads
        most = min(shape[0], shape[1])
        if comm.size > most:
            raise InputError(
                f"{comm.size} MPI ranks are more than the {most} planes of the grid",
                fix=f"start at most {most} ranks, or use more voxels",
            )
        self._all_planes = split(shape[0], comm.size)
        self._all_rows = split(shape[1], comm.size)
        self.planes = self._all_planes[comm.rank]
        self.rows = self._all_rows[comm.rank]
        self.local_shape = (self.planes.stop - self.planes.start, shape[1], shape[2])

    @property
    def voxels(self) -> int:
        """Number of voxels of the whole grid."""
        return int(np.prod(self.shape))

    def half_angles(self) -> tuple[tuple[Floats, Floats, Floats], tuple[Floats, Floats, Floats]]:
        """Sines and cosines of half the phase per voxel of this rank's frequencies.

        Returns:
            Sines along z, y, x and cosines along z, y, x, each of shape (n,), dimensionless.
        """
        nz, ny, nx = self.shape
        angles = [
            np.pi * np.fft.fftfreq(nz),
            np.pi * np.fft.fftfreq(ny)[self.rows],
            np.pi * np.fft.rfftfreq(nx),
        ]
        cosines = [np.where(np.isclose(np.abs(angle), np.pi / 2), 0.0, np.cos(angle)) for angle in angles]
        sine_z, sine_y, sine_x = (np.sin(angle) for angle in angles)
        return (sine_z, sine_y, sine_x), (cosines[0], cosines[1], cosines[2])

    def padded(self, field: Floats) -> Floats:
        """Add the first plane of the next rank.

        Args:
            field: shape (components, planes, ny, nx), any unit.

        Returns:
            Shape (components, planes + 1, ny, nx), the unit of `field`.
        """
        out = np.empty((field.shape[0], field.shape[1] + 1, *field.shape[2:]))
        out[:, :-1] = field
        out[:, -1] = self._pass(field[:, 0], towards=-1)
        return out

    def folded(self, field: Floats) -> Floats:
        """Adjoint of `padded`: add the last plane to the first of the next rank.

        Args:
            field: shape (components, planes + 1, ny, nx), any unit.

        Returns:
            Shape (components, planes, ny, nx), the unit of `field`.
        """
        out = np.ascontiguousarray(field[:, :-1])
        out[:, 0] += self._pass(field[:, -1], towards=1)
        return out

    def _pass(self, plane: Floats, towards: int) -> Floats:
        """Send a plane to the neighbour on one side and receive the one from the other side."""
        if self.comm.size == 1:
            return plane
        sent = np.ascontiguousarray(plane)
        received = np.empty_like(sent)
        size, rank = self.comm.size, self.comm.rank
        self.comm.Sendrecv(
            sent, dest=(rank + towards) % size, recvbuf=received, source=(rank - towards) % size
        )
        return received

    def forward(self, field: Floats) -> Complexes:
        """Real Fourier transform.

        Args:
            field: shape (components, planes, ny, nx), any unit.

        Returns:
            Half spectrum with this rank's rows, shape (components, nz, rows, nx // 2 + 1), the unit of
            `field`.
        """
        if self.comm.size == 1:
            return np.asarray(scipy.fft.rfftn(field, axes=(1, 2, 3), workers=self.threads))
        part = scipy.fft.rfftn(field, axes=(2, 3), workers=self.threads)
        blocks = [part[:, :, rows] for rows in self._all_rows]
        shape = (part.shape[0], self.rows.stop - self.rows.start, part.shape[3])
        received = self._exchange(
            blocks, [(shape[0], p.stop - p.start, *shape[1:]) for p in self._all_planes]
        )
        whole = np.concatenate(received, axis=1)
        return np.asarray(scipy.fft.fft(whole, axis=1, workers=self.threads, overwrite_x=True))

    def backward(self, spectrum: Complexes) -> Floats:
        """Inverse of `forward`.

        Args:
            spectrum: shape (components, nz, rows, nx // 2 + 1), any unit.

        Returns:
            Shape (components, planes, ny, nx), the unit of `spectrum`.
        """
        if self.comm.size == 1:
            return np.asarray(
                scipy.fft.irfftn(
                    spectrum, s=self.shape, axes=(1, 2, 3), workers=self.threads, overwrite_x=True
                )
            )
        whole = scipy.fft.ifft(spectrum, axis=1, workers=self.threads, overwrite_x=True)
        blocks = [whole[:, planes] for planes in self._all_planes]
        planes = self.local_shape[0]
        received = self._exchange(
            blocks, [(whole.shape[0], planes, r.stop - r.start, whole.shape[3]) for r in self._all_rows]
        )
        part = np.concatenate(received, axis=2)
        return np.asarray(
            scipy.fft.irfftn(part, s=self.shape[1:], axes=(2, 3), workers=self.threads, overwrite_x=True)
        )

    def _exchange(self, blocks: Sequence[Complexes], shapes: Sequence[tuple[int, ...]]) -> list[Complexes]:
        """Send a block to each rank; returns what the ranks sent, in the shapes given."""
        sizes = [int(np.prod(shape)) for shape in shapes]
        received = np.empty(sum(sizes), dtype=np.complex128)
        sent = np.concatenate([block.ravel() for block in blocks])
        counts = [block.size for block in blocks]
        self.comm.Alltoallv([sent, (counts, _offsets(counts))], [received, (sizes, _offsets(sizes))])
        return [
            received[start : start + size].reshape(shape)
            for start, size, shape in zip(_offsets(sizes), sizes, shapes, strict=True)
        ]

    def total(self, values: Floats) -> Floats:
        """Sum over all ranks, the same on each.

        Args:
            values: any shape, any unit.

        Returns:
            Shape and unit of `values`.
        """
        return np.asarray(self.comm.allreduce(np.asarray(values, dtype=float)))

    def dot(self, first: Floats, second: Floats) -> float:
        """Inner product over the whole grid.

        Args:
            first: shape (components, planes, ny, nx), any unit.
            second: shape of `first`, any unit.

        Returns:
            Product of the two units.
        """
        return float(self.comm.allreduce(float(np.dot(first.ravel(), second.ravel()))))


def _offsets(counts: Sequence[int]) -> list[int]:
    return [0, *np.cumsum(counts)[:-1].tolist()]
