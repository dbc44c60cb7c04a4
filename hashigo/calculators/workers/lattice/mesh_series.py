"""Conductivity over a series of meshes, its error, and the committee's ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import InputError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class MeshSeries:
    """Conductivity over a series of meshes.

    Attributes:
        meshes: ascending numbers of wave vectors along each reciprocal vector, shape (n_meshes,), count.
        conductivity: shape (n_meshes, n_temperatures, 3, 3), W/(m K).
    """

    meshes: Integers
    conductivity: Floats

    @property
    def finest(self) -> Floats:
        """Conductivity on the finest mesh, shape (n_temperatures, 3, 3), W/(m K)."""
        return np.asarray(self.conductivity[-1])

    def extrapolated(self) -> Floats | None:
        """Limit of an infinite mesh: a least-squares line in 1/N through the last three meshes.

        Returns:
            Shape (n_temperatures, 3, 3), W/(m K); None with fewer than three meshes.
        """
        if len(self.meshes) < 3:
            return None
        inverse = 1.0 / self.meshes[-3:].astype(float)
        last = self.conductivity[-3:]
        slope = np.tensordot(inverse - inverse.mean(), last, axes=1) / np.sum((inverse - inverse.mean()) ** 2)
        return np.asarray(last.mean(axis=0) - slope * inverse.mean())

    def error(self) -> Floats | None:
        """Estimated error of the finest mesh: its distance from the limit or from the mesh before, the larger.

        A series that scatters can have its limit on the finest mesh by accident; its last step tells then. Of two
        meshes it is their difference.

        Returns:
            Shape (n_temperatures, 3, 3), W/(m K); None with one mesh, which tells nothing of its error.
        """
        if len(self.meshes) < 2:
            return None
        step = np.abs(self.finest - self.conductivity[-2])
        limit = self.extrapolated()
        return np.asarray(step if limit is None else np.maximum(step, np.abs(limit - self.finest)))

    def relative_error(self) -> Floats | None:
        """Error of the trace, relative to the trace, shape (n_temperatures,), dimensionless; None with one mesh."""
        error = self.error()
        if error is None:
            return None
        return np.asarray(np.trace(error, axis1=-2, axis2=-1) / np.trace(self.finest, axis1=-2, axis2=-1))

    def converged(self, tolerance: float) -> bool:
        """Whether the error of the trace, relative to the trace, is known and within a tolerance.

        Args:
            tolerance: dimensionless.
        """
        relative = self.relative_error()
        return relative is not None and bool(np.all(relative <= tolerance))


def check_meshes(meshes: Sequence[int], name: str) -> Integers:
    """Check a series of meshes.

    Args:
        meshes: count of wave vectors along each reciprocal vector.
        name: key of the setting, for the message.

    Returns:
        Ascending, shape (n_meshes,), count.

    Raises:
        InputError: when there is none, one is repeated, or one is not positive.
    """
    series = sorted(int(mesh) for mesh in meshes)
    if not series or series[0] < 1 or len(set(series)) < len(series):
        raise InputError(
            f"{name} is {list(meshes)}; give different positive numbers", fix=f"set {name} to [7, 9, 11]"
        )
    return np.array(series, dtype=np.int64)


def member_conductivity(fine: Floats, coarse: Floats, members: Floats) -> Floats:
    """Conductivity of each member on the fine mesh: that of the mean model times a ratio on the coarse mesh.

    Args:
        fine: of the mean model on the fine mesh, shape (n_temperatures, 3, 3), W/(m K).
        coarse: of the mean model on the coarse mesh, shape (n_temperatures, 3, 3), W/(m K).
        members: on the coarse mesh, shape (n_members, n_temperatures, 3, 3), W/(m K).

    Returns:
        Shape (n_members, n_temperatures, 3, 3), W/(m K); the ratio is that of the traces.
    """
    ratio = np.trace(members, axis1=-2, axis2=-1) / np.trace(coarse, axis1=-2, axis2=-1)
    return np.asarray(ratio[..., None, None] * fine)
