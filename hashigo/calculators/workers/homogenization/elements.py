"""Matrices of the trilinear hexahedron of unit edge, fully integrated (two Gauss points along each axis)."""

from __future__ import annotations

from itertools import product

import numpy as np

from hashigo.calculators.workers.homogenization.tensors import PAIRS, Floats


def shape_gradients() -> Floats:
    """Gradients of the eight shape functions in the Gauss points.

    Returns:
        Shape (8 points, 3 axes x y z, 8 corners with x slowest, then z, then y), 1/voxel.
    """
    points = 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3.0)
    out = np.empty((8, 3, 8))
    for row, (z, y, x) in enumerate(product(points, repeat=3)):
        for corner, (cx, cz, cy) in enumerate(product((0, 1), repeat=3)):
            values = [x if cx else 1 - x, y if cy else 1 - y, z if cz else 1 - z]
            slopes = [2 * cx - 1, 2 * cy - 1, 2 * cz - 1]
            for axis in range(3):
                others = [values[other] for other in range(3) if other != axis]
                out[row, axis, corner] = slopes[axis] * others[0] * others[1]
    return out


def element_matrices(tensors: Floats, components: int) -> Floats:
    """Stiffness (conduction) matrices.

    Args:
        tensors: Voigt stiffness, shape (n, 6, 6), GPa, or conductivity, shape (n, 3, 3), W/(m K).
        components: number of components of the unknown, 3 or 1.

    Returns:
        Shape (n, 8 · components, 8 · components), the corners as in `shape_gradients`, components within, the unit of
        `tensors`.
    """
    gradients = shape_gradients()
    if components == 1:
        operator = gradients
    else:
        operator = np.zeros((8, 6, 8, 3))
        for row, (i, j) in enumerate(PAIRS):
            operator[:, row, :, i] = gradients[:, j]
            if i != j:
                operator[:, row, :, j] = gradients[:, i]
        operator = operator.reshape(8, 6, 24)
    return np.asarray(np.einsum("gai,pab,gbj->pij", operator, tensors, operator, optimize=True) / 8.0)
