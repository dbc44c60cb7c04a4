"""Bounds and estimates of effective properties, and the gate between the bounds of the sample itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hashigo.calculators.workers.homogenization.tensors import Floats

GATE = "voigt_reuss_bounds"
FIX = "lower the solver's tolerance; if it stays, please report it as a bug"


@dataclass(frozen=True)
class Margin:
    """How far an effective tensor is inside the bounds of its sample.

    Attributes:
        voigt: lowest eigenvalue of Voigt's tensor less the effective one, over Voigt's highest,
            dimensionless.
        reuss: lowest eigenvalue of the effective tensor less Reuss's, over Voigt's highest, dimensionless.
    """

    voigt: float
    reuss: float

    def holds(self, tolerance: float) -> bool:
        """Whether both bounds hold.

        Args:
            tolerance: how far below zero a margin may be, dimensionless.
        """
        return bool(self.voigt >= -tolerance and self.reuss >= -tolerance)


@dataclass(frozen=True)
class CubicEstimates:
    """Moduli of an untextured aggregate of cubic crystals.

    Attributes:
        bulk: bulk modulus, exact, GPa.
        shear_lower: lower bound of Hashin and Shtrikman, GPa.
        shear_upper: upper bound of Hashin and Shtrikman, GPa.
        shear_self_consistent: self-consistent estimate, GPa.
    """

    bulk: float
    shear_lower: float
    shear_upper: float
    shear_self_consistent: float


def voigt_average(tensors: Floats, fractions: Floats) -> Floats:
    """Voigt's tensor of a sample: the mean of its stiffness or conductivity.

    Args:
        tensors: in sample axes, shape (n_phases, m, m), GPa or W/(m K).
        fractions: volume fractions, shape (n_phases,), dimensionless.

    Returns:
        Shape (m, m), the unit of `tensors`.
    """
    return np.asarray(np.einsum("p,pij->ij", fractions, tensors))


def reuss_average(tensors: Floats, fractions: Floats) -> Floats:
    """Reuss's tensor of a sample: the inverse of the mean of the inverses.

    Args:
        tensors: in sample axes, Mandel if a stiffness, shape (n_phases, m, m), GPa or W/(m K).
        fractions: volume fractions, shape (n_phases,), dimensionless.

    Returns:
        Shape (m, m), the unit of `tensors`.
    """
    return np.asarray(np.linalg.inv(np.einsum("p,pij->ij", fractions, np.linalg.inv(tensors))))


def margin(effective: Floats, voigt: Floats, reuss: Floats) -> Margin:
    """Compare an effective tensor with the bounds of its sample, as a matrix inequality.

    Args:
        effective: symmetric, Mandel if a stiffness, shape (m, m), GPa or W/(m K).
        voigt: Voigt's tensor, shape (m, m), same unit.
        reuss: Reuss's tensor, shape (m, m), same unit.
    """
    scale = float(np.linalg.eigvalsh(voigt)[-1])
    return Margin(
        voigt=float(np.linalg.eigvalsh(voigt - effective)[0]) / scale,
        reuss=float(np.linalg.eigvalsh(effective - reuss)[0]) / scale,
    )


def violated_bound(margins: Mapping[str, Margin], tolerance: float) -> str:
    """The gate: every effective tensor lies between Reuss's and Voigt's of its own sample.

    Args:
        margins: by what was homogenised.
        tolerance: how far below zero a margin may be, dimensionless.

    Returns:
        A sentence that names the gate, the first tensor outside and the bound; "" when all are within.
    """
    for what, found in margins.items():
        if not found.holds(tolerance):
            bound, value = ("Voigt", found.voigt) if found.voigt < found.reuss else ("Reuss", found.reuss)
            return (
                f"gate '{GATE}': the effective {what} violates the {bound} bound of its own sample by "
                f"{-value:.2e} of the largest eigenvalue, allowed are {tolerance:.0e}"
            )
    return ""


def cubic_constants(stiffness: Floats, tolerance: float = 1e-2) -> tuple[float, float, float] | None:
    """C11, C12 and C44 of a stiffness in cubic axes, or None when it is not cubic.

    Args:
        stiffness: Voigt matrix, shape (6, 6), GPa.
        tolerance: largest deviation from cubic form over the largest entry, dimensionless.

    Returns:
        C11, C12, C44 in GPa; or None.
    """
    c11 = float(np.diag(stiffness)[:3].mean())
    c12 = float((stiffness[0, 1] + stiffness[0, 2] + stiffness[1, 2]) / 3.0)
    c44 = float(np.diag(stiffness)[3:].mean())
    cubic = np.diag([c11 - c12] * 3 + [c44] * 3)
    cubic[:3, :3] += c12
    deviation = np.abs(cubic - stiffness).max() / np.abs(stiffness).max()
    return (c11, c12, c44) if deviation <= tolerance else None


def hashin_shtrikman_shear(c11: float, c12: float, c44: float) -> tuple[float, float]:
    """Bounds of the shear modulus of an untextured aggregate of cubic crystals.

    Args:
        c11: elastic constant, GPa.
        c12: elastic constant, GPa.
        c44: elastic constant, GPa.

    Returns:
        Lower and upper bound, GPa.

    Source: Hashin & Shtrikman, J. Mech. Phys. Solids 10, 343 (1962).
    """
    bulk = (c11 + 2.0 * c12) / 3.0
    first, second = (c11 - c12) / 2.0, c44
    if abs(second - first) < 1e-9 * c44:
        return first, first

    def beta(shear: float) -> float:
        return -3.0 * (bulk + 2.0 * shear) / (5.0 * shear * (3.0 * bulk + 4.0 * shear))

    ends = (
        first + 3.0 / (5.0 / (second - first) - 4.0 * beta(first)),
        second + 2.0 / (5.0 / (first - second) - 6.0 * beta(second)),
    )
    return min(ends), max(ends)


def self_consistent_shear(c11: float, c12: float, c44: float) -> float:
    """Self-consistent shear modulus of an untextured aggregate of cubic crystals.

    Args:
        c11: elastic constant, GPa.
        c12: elastic constant, GPa.
        c44: elastic constant, GPa.

    Returns:
        Shear modulus, GPa.

    Source: Hershey, J. Appl. Mech. 21, 236 (1954); Kröner, Z. Phys. 151, 504 (1958).
    """
    coefficients = [
        8.0,
        5.0 * c11 + 4.0 * c12,
        -c44 * (7.0 * c11 - 4.0 * c12),
        -c44 * (c11 - c12) * (c11 + 2.0 * c12),
    ]
    roots = np.roots(coefficients)
    real = roots[np.abs(roots.imag) < 1e-9 * np.abs(roots).max()].real
    # The coefficients change sign once: there is one positive root.
    return float(real[real > 0].max())


def cubic_estimates(constants: tuple[float, float, float]) -> CubicEstimates:
    """Bounds and estimate for an untextured aggregate of cubic crystals.

    Args:
        constants: C11, C12, C44 in GPa.
    """
    c11, c12, _ = constants
    lower, upper = hashin_shtrikman_shear(*constants)
    return CubicEstimates((c11 + 2.0 * c12) / 3.0, lower, upper, self_consistent_shear(*constants))
