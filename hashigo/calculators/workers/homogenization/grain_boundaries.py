"""Grain boundaries on a grid of voxels: their area and normals, spread over the voxels around them.

A thermal (Kapitza) resistance of a boundary is added to the resistivity of these voxels. Boundaries of voxels are
stairs: area that were left on the faces of voxels would let heat leak through between them, the more the finer the
grid. Indicators of the grains are therefore smoothed by a binomial kernel, and each pair of grains a, b has the area
vector χ_a ∇χ_b − χ_b ∇χ_a in each voxel. Across a flat boundary along an axis it adds up to the area exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.tensors import Floats, symmetric_matrix

#: Voxels across a grain for each voxel that the smoothing reaches.
VOXELS_PER_REACH = 8
MOST_REACH = 3
#: Area of a voxel that counts as none, over that of a face.
LEAST_AREA = 1e-9


@dataclass(frozen=True)
class Interfaces:
    """Boundaries between grains, in voxels.

    Attributes:
        index: of this rank's voxels at a boundary, in the order of `area` from `start` on, shape (n_local,), flat
            indices into its planes.
        start: where this rank's voxels begin in `area`.
        owner: grain of each voxel at a boundary of the whole grid, shape (n,), indices.
        area: sum of area × n⊗n of each of them, shape (n, 3, 3), faces of a voxel.
        density: boundary area in the whole volume, 1/voxel.
        intercepts: the same from stereology, twice the number of boundaries that a line along an axis crosses in a
            unit of its length, mean over the axes; exact for boundaries of no preferred direction, 1/voxel.
    """

    index: NDArray[np.int64]
    start: int
    owner: NDArray[np.int64]
    area: Floats
    density: float
    intercepts: float


def smoothing_reach(diameter: float) -> int:
    """Voxels that the smoothing of indicators reaches: more where grains have more, so that normals converge.

    Args:
        diameter: mean grain diameter, voxels.
    """
    return int(np.clip(diameter / VOXELS_PER_REACH, 1, MOST_REACH))


def find_interfaces(
    grain_id: NDArray[np.int32], slabs: Slabs, reach: int = 1, voids: NDArray[np.bool_] | None = None
) -> Interfaces:
    """Find the boundaries of a periodic microstructure; the surface of a void is none.

    Args:
        grain_id: grain of each voxel of this rank's planes, shape (planes, ny, nx), indices.
        slabs: the grid and its ranks.
        reach: voxels that the smoothing reaches on each side, count.
        voids: which grains are void, shape (n_grains,), dimensionless; None where none is.

    Source: stereology: Underwood, Quantitative Stereology (1970), S_V = 2 P_L.
    """
    padded = _with_neighbours(_marked(grain_id, voids), slabs.comm, reach)
    dense = np.zeros((*grain_id.shape, 6))
    _fill_areas(padded, *_kernels(reach), dense)
    trace = dense[..., :3].sum(axis=-1)
    index = np.flatnonzero(trace.ravel() > LEAST_AREA)
    parts = slabs.comm.allgather((dense.reshape(-1, 6)[index], grain_id.ravel()[index].astype(np.int64)))
    rank = slabs.comm.rank
    own = padded[reach : reach + len(grain_id)]
    beyond = (
        np.roll(own, -1, 1), np.roll(own, -1, 2), padded[reach + 1 : reach + 1 + len(grain_id)]
    )  # fmt: skip
    crossings = sum(int(((own != other) & (own >= 0) & (other >= 0)).sum()) for other in beyond)
    return Interfaces(
        index=index,
        start=sum(len(part[0]) for part in parts[:rank]),
        owner=np.concatenate([part[1] for part in parts]),
        area=symmetric_matrix(np.concatenate([part[0] for part in parts])),
        density=float(sum(part[0][:, :3].sum() for part in parts)) / slabs.voxels,
        intercepts=2.0 * float(slabs.comm.allreduce(crossings)) / (3.0 * slabs.voxels),
    )


def _marked(grain_id: NDArray[np.int32], voids: NDArray[np.bool_] | None) -> NDArray[np.int32]:
    """All voids as -1."""
    if voids is None:
        return np.ascontiguousarray(grain_id)
    return np.where(voids[grain_id], np.int32(-1), grain_id)


def _with_neighbours(field: NDArray[np.int32], comm: Any, reach: int) -> NDArray[np.int32]:
    """Planes of the field with as many as `reach` of the neighbours' on both sides, a plane a pass."""
    planes, extended = len(field), field
    for passed in range(reach):
        # After k passes there are k planes more on both sides, of thin slabs from beyond the neighbours.
        below, above = extended[2 * passed], extended[planes - 1]
        if comm.size > 1:
            size, rank = comm.size, comm.rank
            before, after = (rank - 1) % size, (rank + 1) % size
            below, above = (
                comm.sendrecv(below, dest=before, source=after),
                comm.sendrecv(above, dest=after, source=before),
            )
        extended = np.concatenate([above[None], extended, below[None]])
    return extended


def _kernels(reach: int) -> tuple[Floats, Floats]:
    """Weights of the smoothed indicator and of its gradient along x, y, z, shapes (k, k, k) and (3, k, k, k)."""
    half = np.array([0.5, 0.5])
    smooth = slope = np.ones(1)
    for _ in range(2 * reach):
        smooth = np.convolve(smooth, half)
    for _ in range(2 * reach - 2):
        slope = np.convolve(slope, half)
    slope = np.convolve(slope, [-0.5, 0.0, 0.5])

    def product(z: Floats, y: Floats, x: Floats) -> Floats:
        return np.asarray(z[:, None, None] * y[None, :, None] * x[None, None, :])

    gradient = np.array(
        [product(smooth, smooth, slope), product(smooth, slope, smooth), product(slope, smooth, smooth)]
    )
    return product(smooth, smooth, smooth), gradient


@numba.njit(cache=True)
def _fill_areas(grains: Any, smooth: Any, gradient: Any, areas: Any) -> None:
    """Area tensors xx, yy, zz, yz, xz, xy of each voxel; `grains`, -1 in voids, has as many planes more as the kernels
    reach."""
    planes, ny, nx = areas.shape[0], areas.shape[1], areas.shape[2]
    size = smooth.shape[0]
    reach = size // 2
    found = np.empty(size**3, np.int64)
    share = np.empty(size**3)
    slope = np.empty((size**3, 3))
    for i in range(planes):
        for j in range(ny):
            for k in range(nx):
                count = 0
                for a in range(size):
                    for b in range(size):
                        for c in range(size):
                            grain = grains[i + a, (j + b - reach) % ny, (k + c - reach) % nx]
                            m = 0
                            while m < count and found[m] != grain:
                                m += 1
                            if m == count:
                                found[m] = grain
                                share[m] = 0.0
                                slope[m, :] = 0.0
                                count += 1
                            share[m] += smooth[a, b, c]
                            for e in range(3):
                                slope[m, e] += gradient[e, a, b, c]
                for m in range(count):
                    for n in range(m):
                        if found[m] < 0 or found[n] < 0:
                            continue
                        x = share[m] * slope[n, 0] - share[n] * slope[m, 0]
                        y = share[m] * slope[n, 1] - share[n] * slope[m, 1]
                        z = share[m] * slope[n, 2] - share[n] * slope[m, 2]
                        area = np.sqrt(x * x + y * y + z * z)
                        if area > 1e-12:
                            areas[i, j, k, 0] += x * x / area
                            areas[i, j, k, 1] += y * y / area
                            areas[i, j, k, 2] += z * z / area
                            areas[i, j, k, 3] += y * z / area
                            areas[i, j, k, 4] += x * z / area
                            areas[i, j, k, 5] += x * y / area


def resistive_tensors(conductivity: Floats, interfaces: Interfaces, resistance: float) -> Floats:
    """Conductivity of the voxels at a boundary, whose resistance adds to the resistivity of their grain.

    Args:
        conductivity: of each grain in sample axes, shape (n_grains, 3, 3), W/(m K); zero for voids, which stay so.
        interfaces: boundaries of the microstructure.
        resistance: of a boundary over the edge of a voxel, m K/W.

    Returns:
        Shape (n, 3, 3), W/(m K).
    """
    void = np.asarray(~conductivity.any(axis=(1, 2)))
    known = np.where(void[:, None, None], np.eye(3), conductivity)
    tensors = np.linalg.inv(np.linalg.inv(known)[interfaces.owner] + resistance * interfaces.area)
    tensors[void[interfaces.owner]] = 0.0
    return np.asarray(0.5 * (tensors + np.swapaxes(tensors, 1, 2)))


def series_estimate(conductivity: Floats, resistance: Floats, density: Floats) -> Floats:
    """Conductivity of grains in series with their boundaries, an effective-medium estimate: k / (1 + R k S / 3).

    For cubes of edge d the density of boundaries S is 3/d, and it is k / (1 + R k / d).

    Args:
        conductivity: of a polycrystal without resistance of its boundaries, shape (...), W/(m K).
        resistance: of a boundary, shape (...), m^2 K/W.
        density: area of boundaries in the volume, shape (...), 1/m.

    Returns:
        Shape (...), W/(m K).

    Source: Nan & Birringer, Phys. Rev. B 57, 8264 (1998).
    """
    conductivity = np.asarray(conductivity, dtype=float)
    return np.asarray(conductivity / (1.0 + resistance * conductivity * density / 3.0))
