"""Stiffness and conductivity tensors: notations, rotations, isotropic parts, positive definiteness.

Inside the solver a stiffness is a Mandel matrix (order xx, yy, zz, yz, xz, xy, shear scaled by the root of
two), in which a rotation is orthogonal and eigenvalues do not depend on the axes; files hold Voigt matrices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Cartesian index pairs in Voigt's order.
PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
ROOT2 = float(np.sqrt(2.0))
#: Matrices handled at once, number; bounds the memory.
CHUNK = 100_000

_WEIGHT = np.array([1.0, 1.0, 1.0, ROOT2, ROOT2, ROOT2])
_ROWS = np.array([pair[0] for pair in PAIRS])
_COLUMNS = np.array([pair[1] for pair in PAIRS])


def voigt_to_mandel(stiffness: Floats) -> Floats:
    """Turn Voigt stiffness matrices into Mandel ones.

    Args:
        stiffness: shape (..., 6, 6), GPa, engineering shear strain.

    Returns:
        Mandel matrices, shape (..., 6, 6), GPa.
    """
    return np.asarray(stiffness, dtype=float) * np.outer(_WEIGHT, _WEIGHT)


def mandel_to_voigt(stiffness: Floats) -> Floats:
    """Turn Mandel stiffness matrices into Voigt ones.

    Args:
        stiffness: shape (..., 6, 6), GPa.

    Returns:
        Voigt matrices, shape (..., 6, 6), GPa, engineering shear strain.
    """
    return np.asarray(stiffness, dtype=float) / np.outer(_WEIGHT, _WEIGHT)


def mandel_stress_to_voigt(stress: Floats, axis: int = -1) -> Floats:
    """Turn Mandel stress vectors into Voigt ones.

    Args:
        stress: any shape with 6 entries along `axis`, GPa.
        axis: index of the axis of the components.

    Returns:
        Components xx, yy, zz, yz, xz, xy, shape of `stress`, GPa.
    """
    shape = [1] * np.ndim(stress)
    shape[axis] = 6
    return np.asarray(stress, dtype=float) / _WEIGHT.reshape(shape)


def von_mises(stress: Floats) -> Floats:
    """Von Mises equivalent of stresses.

    Args:
        stress: Voigt components, shape (..., 6), GPa.

    Returns:
        Equivalent stress, shape (...), GPa.
    """
    xx, yy, zz, yz, xz, xy = np.moveaxis(np.asarray(stress, dtype=float), -1, 0)
    normal = (xx - yy) ** 2 + (yy - zz) ** 2 + (zz - xx) ** 2
    return np.asarray(np.sqrt(0.5 * normal + 3.0 * (yz**2 + xz**2 + xy**2)))


def largest_principal(stress: Floats) -> Floats:
    """Largest principal stress.

    Args:
        stress: Voigt components, shape (..., 6), GPa.

    Returns:
        Positive in tension, shape (...), GPa.
    """
    stress = np.asarray(stress, dtype=float)
    flat = stress.reshape(-1, 6)
    out = np.empty(len(flat))
    for start in range(0, len(flat), CHUNK):
        piece = slice(start, start + CHUNK)
        out[piece] = np.linalg.eigvalsh(symmetric_matrix(flat[piece]))[:, -1]
    return out.reshape(stress.shape[:-1])


def matrix_to_mandel(matrix: Floats) -> Floats:
    """Symmetric second-rank tensors, such as strains, as Mandel vectors.

    Args:
        matrix: shape (..., 3, 3), any unit.

    Returns:
        Shape (..., 6), the unit of `matrix`.
    """
    return np.asarray(np.asarray(matrix, dtype=float)[..., _ROWS, _COLUMNS] * _WEIGHT)


def mandel_to_matrix(vector: Floats) -> Floats:
    """Mandel vectors as symmetric second-rank tensors.

    Args:
        vector: shape (..., 6), any unit.

    Returns:
        Shape (..., 3, 3), the unit of `vector`.
    """
    return symmetric_matrix(np.asarray(vector, dtype=float) / _WEIGHT)


def symmetric_matrix(components: Floats) -> Floats:
    """Symmetric second-rank tensors from their six components.

    Args:
        components: xx, yy, zz, yz, xz, xy without factors, shape (..., 6), any unit.

    Returns:
        Matrices, shape (..., 3, 3), the unit of `components`.
    """
    components = np.asarray(components, dtype=float)
    matrix = np.empty((*components.shape[:-1], 3, 3))
    matrix[..., _ROWS, _COLUMNS] = components
    matrix[..., _COLUMNS, _ROWS] = components
    return matrix


def mandel_rotation(rotation: Floats) -> Floats:
    """The orthogonal matrices that rotate Mandel vectors.

    Args:
        rotation: rotation matrices from crystal to sample axes, shape (..., 3, 3), dimensionless.

    Returns:
        Shape (..., 6, 6), dimensionless.
    """
    rotation = np.asarray(rotation, dtype=float)
    i, j = _ROWS[:, None], _COLUMNS[:, None]
    k, m = _ROWS[None, :], _COLUMNS[None, :]
    product = rotation[..., i, k] * rotation[..., j, m] + rotation[..., i, m] * rotation[..., j, k]
    return np.asarray(0.5 * product * np.outer(_WEIGHT, _WEIGHT))


def rotate_stiffness(stiffness: Floats, rotation: Floats) -> Floats:
    """Rotate Mandel stiffness matrices into sample axes.

    Args:
        stiffness: in crystal axes, shape (6, 6) or (n, 6, 6), GPa.
        rotation: from crystal to sample axes, shape (n, 3, 3), dimensionless.

    Returns:
        In sample axes, shape (n, 6, 6), GPa.
    """
    turn = mandel_rotation(rotation)
    return np.asarray(turn @ stiffness @ np.swapaxes(turn, -1, -2))


def rotate_conductivity(conductivity: Floats, rotation: Floats) -> Floats:
    """Rotate second-rank tensors into sample axes.

    Args:
        conductivity: in crystal axes, shape (3, 3) or (n, 3, 3), W/(m K).
        rotation: from crystal to sample axes, shape (n, 3, 3), dimensionless.

    Returns:
        In sample axes, shape (n, 3, 3), W/(m K).
    """
    return np.asarray(rotation @ conductivity @ np.swapaxes(rotation, -1, -2))


def isotropic_moduli(stiffness: Floats) -> tuple[Floats, Floats]:
    """Bulk and shear modulus of the isotropic part of stiffness matrices.

    Args:
        stiffness: Mandel matrices, shape (..., 6, 6), GPa.

    Returns:
        Bulk and shear modulus, each of shape (...), GPa.
    """
    stiffness = np.asarray(stiffness, dtype=float)
    bulk = stiffness[..., :3, :3].sum(axis=(-1, -2)) / 9.0
    shear = (np.trace(stiffness, axis1=-2, axis2=-1) - 3.0 * bulk) / 10.0
    return np.asarray(bulk), np.asarray(shear)


def isotropic_moduli_of_compliance(stiffness: Floats) -> tuple[Floats, Floats]:
    """Moduli of the isotropic part of the compliance, which are Reuss's for an average of compliances.

    Args:
        stiffness: Mandel matrices, shape (..., 6, 6), GPa; their inverses are projected.

    Returns:
        Bulk and shear modulus, each of shape (...), GPa; zero where the stiffness is.
    """
    stiffness = np.asarray(stiffness, dtype=float)
    none = np.asarray(~stiffness.any(axis=(-1, -2)))
    if none.any():
        stiffness = np.where(none[..., None, None], np.eye(6), stiffness)
    compliance = np.linalg.inv(stiffness)
    volumetric = compliance[..., :3, :3].sum(axis=(-1, -2))
    deviatoric = (np.trace(compliance, axis1=-2, axis2=-1) - volumetric / 3.0) / 5.0
    return np.where(none, 0.0, 1.0 / volumetric), np.where(none, 0.0, 0.5 / deviatoric)


def require_positive_definite(
    tensors: Floats, what: str, names: list[str], place: Callable[[int], str] = lambda index: ""
) -> None:
    """Make sure that symmetric matrices are finite and positive definite.

    Args:
        tensors: symmetric matrices, shape (n, m, m), any unit.
        what: what the tensors are, e.g. "stiffness".
        names: one for each tensor, for the error.
        place: says where the tensor of an index is, after its name.

    Raises:
        InputError: names the first tensor that is not.
    """
    tensors = np.asarray(tensors, dtype=float)
    finite = np.asarray(np.isfinite(tensors).all(axis=(1, 2)))
    known = np.where(finite[:, None, None], tensors, np.eye(tensors.shape[-1]))
    scale = np.abs(known).max(axis=(1, 2))
    symmetric = np.asarray(np.abs(known - np.swapaxes(known, 1, 2)).max(axis=(1, 2)) <= 1e-8 * scale)
    lowest = np.linalg.eigvalsh(known)[:, 0]
    wrong = ~(finite & symmetric & (lowest > 1e-12 * scale))
    if not wrong.any():
        return
    first = int(np.argmax(wrong))
    name = names[first] + place(first)
    if not finite[first]:
        raise InputError(f"the {what} of {name} has entries that are no numbers (NaN or infinite)")
    if not symmetric[first]:
        raise InputError(f"the {what} of {name} is not symmetric")
    raise InputError(
        f"the {what} of {name} is not positive definite: its lowest eigenvalue is {lowest[first]:.4g}",
        fix="look at the stage that computed it; no stable material has such a tensor",
    )
