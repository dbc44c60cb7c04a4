"""The preconditioner: the inverse operator of a homogeneous isotropic medium, by real Fourier transforms.

Its rounding only changes the path of the conjugate gradients and not where they end, so that single precision serves:
half the time and half the memory of double.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft

from hashigo.calculators.workers.homogenization import updates
from hashigo.calculators.workers.homogenization.slabs import Array, Slabs
from hashigo.calculators.workers.homogenization.tensors import Floats

#: Bytes of a field that are transformed at once: they stay in a core's cache.
CACHE = 1 << 20
_Axes = tuple[Floats, Floats, Floats]


def symbols(slabs: Slabs, scheme: str) -> tuple[_Axes, _Axes, _Axes]:
    """Mass, stiffness and derivative of a line of elements in Fourier space.

    Args:
        slabs: the grid and its ranks.
        scheme: "rotated" or "hexahedra".

    Returns:
        Each along z, y (this rank's rows) and x, one array of shape (n,) each, dimensionless.
    """
    nz, ny, nx = slabs.shape
    angles = (
        2.0 * np.pi * np.fft.fftfreq(nz),
        2.0 * np.pi * np.fft.fftfreq(ny)[slabs.rows],
        2.0 * np.pi * np.fft.rfftfreq(nx),
    )
    # At the Nyquist frequency the derivative is zero, and so is the mass with one integration point.
    last = [np.isclose(np.abs(angle), np.pi) for angle in angles]
    cosines = [np.where(end, -1.0, np.cos(angle)) for angle, end in zip(angles, last, strict=True)]
    slopes = [np.where(end, 0.0, np.sin(angle)) for angle, end in zip(angles, last, strict=True)]
    masses = [0.5 * (1.0 + c) if scheme == "rotated" else (2.0 + c) / 3.0 for c in cosines]
    stiffnesses = [2.0 - 2.0 * c for c in cosines]
    z, y, x = range(3)
    return (
        (masses[z], masses[y], masses[x]),
        (stiffnesses[z], stiffnesses[y], stiffnesses[x]),
        (slopes[z], slopes[y], slopes[x]),
    )


class Green:
    """Inverse operator of a homogeneous medium, for some loads at once.

    Args:
        slabs: the grid and its ranks.
        scheme: "rotated" or "hexahedra".
        components: number of components of the unknown, 1 or 3.
        loads: number of loads.
        ratio: (λ + μ) / μ of the medium, dimensionless; not used with one component.
        precision: of the transforms, float32 or float64.
    """

    def __init__(
        self, slabs: Slabs, scheme: str, components: int, loads: int, ratio: float, precision: Any
    ) -> None:
        nz, ny, nx = slabs.shape
        self.slabs, self.loads, self.components, self.ratio = slabs, loads, components, ratio
        self.precision = np.dtype(precision)
        self._symbols = symbols(slabs, scheme)
        self._weight = np.full(nx // 2 + 1, 2.0)
        self._weight[0] = 1.0
        if nx % 2 == 0:
            self._weight[-1] = 1.0
        kind = np.complex64 if self.precision == np.float32 else np.complex128
        width, planes = (nx // 2 + 1) * loads, slabs.local_shape[0]
        self._spectrum = np.empty((ny, planes, components, width), dtype=kind)
        rows = slabs.rows.stop - slabs.rows.start
        self._received = np.empty(rows * (nz - planes) * components * width, dtype=kind)
        plane = components * ny * nx * loads * self.precision.itemsize
        self.pieces = slabs.pieces(planes, CACHE // plane)
        self._row_pieces = slabs.pieces(rows, CACHE // (nz * components * width * kind().itemsize))

    def put(self, piece: slice, field: Array) -> None:
        """Take the residual of some planes, scaled to the unit of the unknown.

        Args:
            piece: the planes, out of `pieces`.
            field: contiguous, in this precision, shape (planes, components, ny, nx · loads), voxels or K.
        """
        _, ny, nx = self.slabs.shape
        shape = (-1, self.components, ny, nx, self.loads)
        found = scipy.fft.rfft2(field.reshape(shape), axes=(2, 3), overwrite_x=True)
        self._spectrum[:, piece] = found.reshape(*found.shape[:3], -1).transpose(2, 0, 1, 3)

    def run(self) -> Floats:
        """Apply the inverse operator to what was put.

        Returns:
            Inner product over the grid of what came and what is left, for each load, shape (loads,), the unit of the
            field squared.
        """
        several = self.slabs.comm.size > 1
        if several:
            self.slabs.to_rows(self._spectrum, self._received)
        products = self.slabs.each(self._apply, self._row_pieces)
        if several:
            self.slabs.to_planes(self._received, self._spectrum)
        return self.slabs.total(np.sum(products, axis=0)) / self.slabs.voxels

    def get(self, piece: slice) -> Array:
        """What is left of some planes.

        Args:
            piece: the planes, out of `pieces`.

        Returns:
            Shape (planes, components, ny, nx · loads), voxels or K.
        """
        _, ny, nx = self.slabs.shape
        lines = self._spectrum[:, piece].transpose(1, 2, 0, 3)
        whole = lines.reshape(*lines.shape[:3], -1, self.loads)
        found = scipy.fft.irfft2(whole, s=(ny, nx), axes=(2, 3), overwrite_x=True)
        return np.asarray(found.reshape(*found.shape[:3], -1))

    def _apply(self, rows: slice) -> Floats:
        """Transform some rows along z, apply the operator, and transform them back, in place."""
        blocks = self._blocks()
        parts = [block[rows] for block in blocks]
        lines = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        lines = scipy.fft.fft(lines, axis=1, overwrite_x=True)
        mass, stiff, slope = ((z, y[rows], x) for z, y, x in self._symbols)
        product = updates.precondition(lines, mass, stiff, slope, self._weight, self.ratio, (0,) * self.loads)
        lines = scipy.fft.ifft(lines, axis=1, overwrite_x=True)
        for part, planes in zip(parts, self.slabs.all_planes, strict=True):
            part[:] = lines[:, planes]
        return np.asarray(product)

    def _blocks(self) -> list[Array]:
        """This rank's rows by the rank whose planes they are, shape (rows, planes, components, width) each."""
        rows, blocks, start = self.slabs.rows, [], 0
        for planes in self.slabs.all_planes:
            if planes == self.slabs.planes:
                blocks.append(self._spectrum[rows])
                continue
            shape = (rows.stop - rows.start, planes.stop - planes.start, *self._spectrum.shape[2:])
            stop = start + int(np.prod(shape))
            blocks.append(self._received[start:stop].reshape(shape))
            start = stop
        return blocks
