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
        Shape (m, m), the unit of `tensors`; zero where there are voids.
    """
    tensors = np.asarray(tensors, dtype=float)[np.asarray(fractions) > 0]
    if not tensors.any(axis=(1, 2)).all():
        return np.zeros(tensors.shape[1:])
    weights = np.asarray(fractions)[np.asarray(fractions) > 0]
    return np.asarray(np.linalg.inv(np.einsum("p,pij->ij", weights, np.linalg.inv(tensors))))


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
