"""Cells of a power diagram on voxels: each grain claims those around it, as far as it may reach."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization.microstructure import Indices
from hashigo.calculators.workers.homogenization.tensors import Floats


def power_cells(
    points: Floats, weights: Floats, steps: Floats, shape: tuple[int, int, int], planes: NDArray[np.int64]
) -> Indices:
    """Cell with the least |x - p|² - w of each voxel of some planes, in a periodic box.

    A cell whose point is further from a voxel than the root of b + w cannot own it where another has a power below b.
    The bound b is raised until no voxel's power is above.

    Args:
        points: of the cells as x, y, z, shape (n_cells, 3), in voxels of the sample, count.
        weights: shape (n_cells,), in square voxels, dimensionless.
        steps: edges of a voxel of the grid along x, y, z, shape (3,), in voxels of the sample, count.
        shape: number of voxels of the grid along z, y, x.
        planes: z planes to fill, shape (n_planes,), indices.

    Returns:
        Shape (n_planes, ny, nx), indices.
    """
    lengths = np.array(shape[::-1]) * steps
    wide = np.array(shape[::-1]) > 1
    spacing = (float(np.prod(lengths[wide])) / len(points)) ** (
        2.0 / int(wide.sum())
    )  # of neighbours, squared
    farthest = 0.25 * float(lengths @ lengths)
    bound = spacing - float(weights.mean())
    owner = np.empty((len(planes), *shape[1:]), dtype=np.int32)
    while True:
        power = np.full(owner.shape, np.inf)
        _claim(points, weights, bound, lengths, steps, np.array(shape), planes, power, owner)
        if power.max() <= bound or bound + weights.min() > farthest:
            return owner
        bound += 0.5 * spacing


@numba.njit(cache=True)
def _claim(
    points: Any,
    weights: Any,
    bound: Any,
    lengths: Any,
    steps: Any,
    shape: Any,
    planes: Any,
    power: Any,
    owner: Any,
) -> None:
    """Of equal powers the first cell's counts."""
    ny, nx = shape[1], shape[2]
    for cell in range(len(points)):
        if bound + weights[cell] < 0.0:
            continue
        reach = np.sqrt(bound + weights[cell])
        first_x, count_x = _span(points[cell, 0], reach, steps[0], nx)
        first_y, count_y = _span(points[cell, 1], reach, steps[1], ny)
        for k in range(len(planes)):
            dz = (planes[k] + 0.5) * steps[2] - points[cell, 2]
            dz -= lengths[2] * np.round(dz / lengths[2])
            if abs(dz) > reach:
                continue
            for j in range(first_y, first_y + count_y):
                dy = (j + 0.5) * steps[1] - points[cell, 1]
                level = dz * dz + dy * dy - weights[cell]
                if level > bound:
                    continue
                row = j % ny
                for i in range(first_x, first_x + count_x):
                    dx = (i + 0.5) * steps[0] - points[cell, 0]
                    found = level + dx * dx
                    if found < power[k, row, i % nx]:
                        power[k, row, i % nx] = found
                        owner[k, row, i % nx] = cell


@numba.njit(cache=True)
def _span(place: Any, reach: Any, step: Any, count: Any) -> Any:
    """First voxel, and how many, within reach along an axis; no more than there are, the nearest images."""
    first = int(np.ceil((place - reach) / step - 0.5))
    last = int(np.floor((place + reach) / step - 0.5))
    if last - first + 1 > count:
        return int(np.ceil(place / step - 0.5 * count - 0.5)), count
    return first, last - first + 1


@numba.njit(cache=True)
def add_up(cells: Any, first_plane: Any, anchor: Any, shape: Any, counts: Any, offsets: Any) -> None:
    """Add up voxels, and their distances along x, y, z from a voxel of their cell, by nearest images: integers."""
    nz, ny, nx = shape[0], shape[1], shape[2]
    for k in range(cells.shape[0]):
        for j in range(ny):
            for i in range(nx):
                cell = cells[k, j, i]
                counts[cell] += 1
                offsets[cell, 0] += (i - anchor[cell, 0] + nx // 2) % nx - nx // 2
                offsets[cell, 1] += (j - anchor[cell, 1] + ny // 2) % ny - ny // 2
                offsets[cell, 2] += (first_plane + k - anchor[cell, 2] + nz // 2) % nz - nz // 2
