"""Whether grains hang together: pieces of equal numbers that touch by faces of voxels, across the box's faces too."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Voxels below which a piece is a crumb, their share of the grain, and the share that all its crumbs may have.
CRUMB, CRUMB_SHARE, ALL_CRUMBS = 8, 0.02, 0.1


def label_pieces(ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the pieces of a periodic sample.

    Args:
        ids: number of the grain of each voxel, shape (nz, ny, nx), indices.

    Returns:
        Piece of each voxel, shape (nz, ny, nx), indices, ordered by grain and then by place, and grain of each piece,
        shape (n_pieces,), indices.
    """
    from numba import njit  # takes half a second, and is needed only for files

    root = njit(cache=True)(_roots)(np.ascontiguousarray(ids)).ravel()
    _, first, piece = np.unique(root, return_index=True, return_inverse=True)
    grain = ids.ravel()[first]
    order = np.lexsort((first, grain))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[piece.ravel()].reshape(ids.shape), grain[order]


def without_crumbs(
    piece: NDArray[np.int64], grain: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count crumbs to the largest piece of their grain: few voxels that segmentation or a coarse grid left aside.

    Args:
        piece: piece of each voxel, shape (nz, ny, nx), indices.
        grain: of each piece, shape (n_pieces,), indices.

    Returns:
        The same for fewer pieces.
    """
    sizes = np.bincount(piece.ravel(), minlength=len(grain))
    kept = np.arange(len(grain))
    starts = np.flatnonzero(np.r_[True, grain[1:] != grain[:-1]])
    for start, stop in zip(starts, [*starts[1:], len(grain)], strict=True):
        own = sizes[start:stop]
        small = own < max(CRUMB, CRUMB_SHARE * own.sum())
        small[np.argmax(own)] = False
        if own[small].sum() <= ALL_CRUMBS * own.sum():
            kept[start:stop][small] = start + int(np.argmax(own))
    left, number = np.unique(kept, return_inverse=True)
    return number.ravel()[piece], grain[left]


def _roots(ids: Any) -> Any:
    """The first voxel of the piece that each voxel belongs to; joins sets, halving paths on the way."""
    nz, ny, nx = ids.shape
    parent = np.arange(ids.size)
    flat = ids.ravel()
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                place = (z * ny + y) * nx + x
                for axis in range(3):
                    if axis == 0:
                        other = (z * ny + y) * nx + (x + 1) % nx
                    elif axis == 1:
                        other = (z * ny + (y + 1) % ny) * nx + x
                    else:
                        other = ((z + 1) % nz * ny + y) * nx + x
                    if flat[place] != flat[other]:
                        continue
                    a, b = place, other
                    while parent[a] != a:
                        parent[a] = parent[parent[a]]
                        a = parent[a]
                    while parent[b] != b:
                        parent[b] = parent[parent[b]]
                        b = parent[b]
                    if a < b:
                        parent[b] = a
                    else:
                        parent[a] = b
    for place in range(parent.size):
        root = place
        while parent[root] != root:
            root = parent[root]
        parent[place] = root
    return parent.reshape(ids.shape)
