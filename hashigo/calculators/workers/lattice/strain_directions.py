"""Strains that tell a free energy's first and second derivatives apart, as few and as symmetric as there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.lattice.elastic import VOIGT, strain_tensor

Floats = NDArray[np.float64]

_NORMAL = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
#: Least part of a direction's equation that those before do not have, tried one after the other.
_INDEPENDENT = (0.3, 0.1, 1e-3)


@dataclass(frozen=True)
class StrainDirection:
    """A direction in the space of strains.

    Attributes:
        voigt: xx, yy, zz and engineering shears yz, xz, xy, shape (6,), dimensionless; its tensor has norm one.
        even: whether the crystal's symmetry makes the opposite strain the same, so that one of the two will do.
    """

    voigt: Floats
    even: bool

    @property
    def signs(self) -> tuple[int, ...]:
        """Signs with which the crystal is strained along it."""
        return (1,) if self.even else (1, -1)


def strain_voigt(tensor: Floats) -> Floats:
    """Voigt vector of a symmetric strain tensor, the inverse of `strain_tensor`.

    Args:
        tensor: shape (3, 3), dimensionless.

    Returns:
        Shape (6,), dimensionless, with engineering shears.
    """
    return np.array([tensor[i, j] * (1 if i == j else 2) for i, j in VOIGT])


def invariant_stresses(rotations: Floats) -> Floats:
    """An orthonormal basis of the symmetric tensors, Voigt like a stress, that a point group allows.

    Args:
        rotations: shape (n_operations, 3, 3), dimensionless.

    Returns:
        Shape (n_invariants, 6), dimensionless; one row for cubic crystals, six for triclinic ones.
    """
    rows = []
    for i, j in VOIGT:
        unit = np.zeros((3, 3))
        unit[i, j] = unit[j, i] = 1.0
        mean = np.mean(rotations @ unit @ rotations.transpose(0, 2, 1), axis=0)
        rows.append([mean[k, m] for k, m in VOIGT])
    _, sizes, directions = np.linalg.svd(np.array(rows))
    return np.asarray(directions[: int(np.sum(sizes > 1e-6))])


def energy_directions(basis: Floats, rotations: Floats) -> list[StrainDirection]:
    """Strains whose energies determine every constant of a stiffness basis, the cheapest first.

    A strain costs the less the more operations it leaves to the crystal, and half where its opposite is its equal.

    Args:
        basis: of `stiffness_basis`, shape (n_constants, 6, 6), dimensionless.
        rotations: of the point group, shape (n_operations, 3, 3), dimensionless.
    """
    candidates = [_direction(voigt, rotations) for voigt in _candidates()]
    order = sorted(range(len(candidates)), key=lambda index: (round(candidates[index][1], 9), index))
    chosen: list[StrainDirection] = []
    span = np.zeros((0, len(basis)))
    for least in _INDEPENDENT:
        for index in order:
            direction = candidates[index][0]
            row = np.einsum("i,kij,j->k", direction.voigt, basis, direction.voigt)
            rest = row - span.T @ (span @ row)
            if len(span) < len(basis) and np.linalg.norm(rest) > least * np.linalg.norm(row) > 0:
                chosen.append(direction)
                span = np.vstack([span, rest / np.linalg.norm(rest)])
    return chosen


def _candidates() -> list[Floats]:
    """Stretch of all edges, of one, of two, against each other, and shears with or without these; norm one."""
    units = np.eye(6)
    vectors = [_NORMAL, *units]
    vectors += [2 * units[i] - units[j] - units[k] for i, j, k in ((2, 0, 1), (0, 1, 2), (1, 0, 2))]
    for i, j in combinations(range(6), 2):
        vectors += [units[i] + units[j], units[i] - units[j]]
    vectors.append(units[3] + units[4] + units[5])
    return [np.asarray(vector / np.linalg.norm(strain_tensor(vector))) for vector in vectors]


def _direction(voigt: Floats, rotations: Floats) -> tuple[StrainDirection, float]:
    """A direction and its cost, dimensionless."""
    tensor = strain_tensor(voigt)
    turned = rotations @ tensor @ rotations.transpose(0, 2, 1)
    kept = int(np.sum(np.abs(turned - tensor).max(axis=(1, 2)) < 1e-3))
    even = bool(np.any(np.abs(turned + tensor).max(axis=(1, 2)) < 1e-3))
    return StrainDirection(voigt, even), (1 if even else 2) / kept


def fit_curvature(basis: Floats, directions: Sequence[StrainDirection], curvatures: Floats) -> Floats:
    """The second derivatives with the crystal's symmetry, from those along directions.

    Args:
        basis: of `stiffness_basis`, shape (n_constants, 6, 6), dimensionless.
        directions: of `energy_directions`.
        curvatures: second derivative along each, shape (n_directions, n), any unit.

    Returns:
        Shape (n, 6, 6), unit of `curvatures`.
    """
    rows = np.array([np.einsum("i,kij,j->k", d.voigt, basis, d.voigt) for d in directions])
    constants = np.linalg.lstsq(rows, curvatures, rcond=None)[0]
    return np.asarray(np.einsum("kn,kij->nij", constants, basis))


def fit_slope(invariants: Floats, directions: Sequence[StrainDirection], slopes: Floats) -> Floats:
    """The first derivative with the crystal's symmetry, from those along directions that are not even.

    Args:
        invariants: of `invariant_stresses`, shape (n_invariants, 6), dimensionless.
        directions: those that are not even.
        slopes: first derivative along each, shape (n_directions, n), any unit.

    Returns:
        Voigt like a stress, shape (n, 6), unit of `slopes`.
    """
    rows = np.array([invariants @ d.voigt for d in directions])
    return np.asarray(np.linalg.lstsq(rows, slopes, rcond=None)[0].T @ invariants)
