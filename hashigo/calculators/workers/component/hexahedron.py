"""The brick element: trilinear displacements with incompatible modes, which bend without locking.

Bodies here are made of equal bricks, so that an element's matrix is a sum over the 36 components of its stiffness, each
with a matrix that is the same for all: no assembly over points is needed. With the modes an element is exact in bending
and under a temperature that varies linearly.

Source: Wilson et al., in Numerical and Computer Methods in Structural Mechanics (1973); Taylor, Beresford & Wilson,
Int. J. Numer. Meth. Eng. 10, 1211 (1976).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Corners of the brick by their place along x, y, z.
CORNERS = tuple(product((0, 1), repeat=3))
#: Degrees of freedom: displacements of the corners, and amplitudes of the modes.
OUTER, INNER = 24, 9
#: Places where stress is told, in edges from the centre: there, and in the middle of each face.
PLACES = np.array(
    [[0, 0, 0], [-1, 0, 0], [1, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, -1], [0, 0, 1]], dtype=float
)


def strain_matrix(place: Floats, spacing: Floats) -> Floats:
    """Strain by degrees of freedom.

    Args:
        place: local coordinates from -1 to 1, shape (3,), dimensionless.
        spacing: edges, shape (3,), m.

    Returns:
        Voigt xx, yy, zz, yz, xz, xy with engineering shear, shape (6, 33), 1/m.
    """
    slopes = np.zeros((OUTER + INNER) // 3 * 3).reshape(-1, 3)
    for index, corner in enumerate(CORNERS):
        sides = 2.0 * np.array(corner) - 1
        values = (1 + sides * place) / 2
        for axis in range(3):
            slopes[index, axis] = sides[axis] / 2 * np.prod(np.delete(values, axis)) * 2 / spacing[axis]
    for axis in range(3):
        slopes[8 + axis, axis] = -2 * place[axis] * 2 / spacing[axis]
    out = np.zeros((6, OUTER + INNER))
    for index, (x, y, z) in enumerate(slopes):
        out[:, 3 * index : 3 * index + 3] = [[x, 0, 0], [0, y, 0], [0, 0, z], [0, z, y], [z, 0, x], [y, x, 0]]
    return out


@dataclass(frozen=True)
class Brick:
    """Integrals over one brick.

    Attributes:
        spacing: edges, shape (3,), m.
        product: of strain matrices for each pair of components, shape (36, 33 * 33), m.
        mean: of the strain matrix times volume, shape (6, 33), m^2.
        moment: of the strain matrix along x, y, z from the centre, shape (3, 6, 33), m^3.
    """

    spacing: Floats
    product: Floats
    mean: Floats
    moment: Floats

    @classmethod
    def of(cls, spacing: Floats) -> Brick:
        """Integrate by Gauss's rule of two points along each edge, which is exact here.

        Args:
            spacing: edges, shape (3,), m.
        """
        count = OUTER + INNER
        pairs, mean, moment = np.zeros((6, 6, count, count)), np.zeros((6, count)), np.zeros((3, 6, count))
        weight = float(np.prod(spacing)) / 8
        for signs in product((-1, 1), repeat=3):
            place = np.array(signs) / np.sqrt(3)
            strain = strain_matrix(place, spacing)
            pairs += weight * np.einsum("ai,bj->abij", strain, strain)
            mean += weight * strain
            moment += weight * np.multiply.outer(place * spacing / 2, strain)
        return cls(np.asarray(spacing, dtype=float), pairs.reshape(36, count * count), mean, moment)

    def matrices(self, stiffness: Floats) -> Floats:
        """Element matrices with the modes.

        Args:
            stiffness: Voigt, shape (n, 6, 6), GPa.

        Returns:
            Shape (n, 33, 33), GPa m.
        """
        count = OUTER + INNER
        return (stiffness.reshape(-1, 36) @ self.product).reshape(-1, count, count)

    def loads(self, stress: Floats, slope: Floats) -> Floats:
        """Forces of a stress that would be without any strain, by degrees of freedom.

        Args:
            stress: at the centre, Voigt, shape (n, 6), GPa.
            slope: how it changes along x, y, z, shape (n, 3, 6), GPa/m.

        Returns:
            Shape (n, 33), GPa m^2.
        """
        return np.asarray(stress @ self.mean + np.einsum("nka,kai->ni", slope, self.moment))


def condensed(matrices: Floats, loads: Floats) -> tuple[Floats, Floats]:
    """Matrices and forces of the corners alone: each element's modes follow them.

    Args:
        matrices: of `Brick.matrices`, shape (n, 33, 33), GPa m.
        loads: of `Brick.loads`, shape (n, 33), GPa m^2.

    Returns:
        Shapes (n, 24, 24), GPa m, and (n, 24), GPa m^2.
    """
    across = matrices[:, :OUTER, OUTER:]
    solved = np.linalg.solve(matrices[:, OUTER:, OUTER:], np.swapaxes(across, 1, 2))
    small = matrices[:, :OUTER, :OUTER] - across @ solved
    # What rounding leaves unequal would disturb conjugate gradients.
    small = 0.5 * (small + np.swapaxes(small, 1, 2))
    return small, loads[:, :OUTER] - np.einsum("nij,ni->nj", solved, loads[:, OUTER:])


def amplitudes(matrices: Floats, loads: Floats, displacements: Floats) -> Floats:
    """Amplitudes of the modes.

    Args:
        matrices: as for `condensed`, shape (n, 33, 33), GPa m.
        loads: likewise, shape (n, 33), GPa m^2.
        displacements: of the corners, shape (n, 24), m.

    Returns:
        Shape (n, 9), m.
    """
    right = loads[:, OUTER:] - np.einsum("nij,nj->ni", matrices[:, OUTER:, :OUTER], displacements)
    return np.asarray(np.linalg.solve(matrices[:, OUTER:, OUTER:], right[..., None])[..., 0])
