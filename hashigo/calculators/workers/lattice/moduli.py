"""Moduli of an untextured polycrystal, and how anisotropic its crystals are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moduli:
    """Moduli of an untextured polycrystal, GPa: Voigt's and Reuss's bounds and Hill's mean."""

    bulk_voigt: float
    bulk_reuss: float
    shear_voigt: float
    shear_reuss: float

    @property
    def bulk(self) -> float:
        """Hill's bulk modulus, GPa."""
        return (self.bulk_voigt + self.bulk_reuss) / 2

    @property
    def shear(self) -> float:
        """Hill's shear modulus, GPa."""
        return (self.shear_voigt + self.shear_reuss) / 2

    @property
    def young(self) -> float:
        """Young's modulus that belongs to Hill's bulk and shear modulus, GPa."""
        return 9 * self.bulk * self.shear / (3 * self.bulk + self.shear)

    @property
    def poisson(self) -> float:
        """Poisson's ratio that belongs to Hill's bulk and shear modulus, dimensionless."""
        return (3 * self.bulk - 2 * self.shear) / (2 * (3 * self.bulk + self.shear))

    @property
    def universal_anisotropy(self) -> float:
        """Zero for an isotropic crystal and positive for any other that is stable, dimensionless.

        Source: Ranganathan & Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504 (2008).
        """
        return 5 * self.shear_voigt / self.shear_reuss + self.bulk_voigt / self.bulk_reuss - 6


def hill_moduli(stiffness: Floats) -> Moduli:
    """Average a single crystal's stiffness over all orientations.

    Args:
        stiffness: shape (6, 6), GPa, Voigt; Reuss's bound is meaningless where it is not positive definite.

    Source: Hill, Proc. Phys. Soc. A 65, 349 (1952).
    """
    compliance = np.asarray(np.linalg.pinv(stiffness), dtype=np.float64)
    normal, shear = slice(0, 3), slice(3, 6)
    c_diagonal, c_all, c_shear = _traces(stiffness, normal, shear)
    s_diagonal, s_all, s_shear = _traces(compliance, normal, shear)
    c_cross, s_cross = (c_all - c_diagonal) / 2, (s_all - s_diagonal) / 2
    return Moduli(
        bulk_voigt=c_all / 9,
        bulk_reuss=1 / s_all,
        shear_voigt=(c_diagonal - c_cross + 3 * c_shear) / 15,
        shear_reuss=15 / (4 * s_diagonal - 4 * s_cross + 3 * s_shear),
    )


def _traces(matrix: Floats, normal: slice, shear: slice) -> tuple[float, float, float]:
    return (
        float(np.trace(matrix[normal, normal])),
        float(np.sum(matrix[normal, normal])),
        float(np.trace(matrix[shear, shear])),
    )


def zener_ratio(stiffness: Floats) -> float | None:
    """Shear modulus across the edges of the cell over that across its face diagonals, of a cubic crystal.

    Args:
        stiffness: shape (6, 6), GPa, Voigt, in the axes of the conventional cell.

    Returns:
        2 C44 / (C11 - C12), dimensionless; None where the stiffness is not a cubic crystal's in its own axes.

    Source: Zener, Elasticity and Anelasticity of Metals (1948).
    """
    c11, c12, c44 = stiffness[0, 0], stiffness[0, 1], stiffness[3, 3]
    cubic = np.diag([c11 - c12] * 3 + [c44] * 3)
    cubic[:3, :3] += c12
    # symmetry has made its entries equal to rounding, if it is one
    if not np.allclose(stiffness, cubic, rtol=0, atol=1e-6 * np.abs(stiffness).max()):
        return None
    return float(2 * c44 / (c11 - c12))
