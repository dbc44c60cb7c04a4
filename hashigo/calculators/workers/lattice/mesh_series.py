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

        What a mesh misses is the acoustic modes nearer to Γ than its first wave vectors; with lifetimes as ω^-2 the
        heat they carry goes with the radius of that sphere (Esfarjani, Chen & Stokes, Phys. Rev. B 84, 085204 (2011)).

        Returns:
            Shape (n_temperatures, 3, 3), W/(m K); None with fewer than three meshes.
        """
        if len(self.meshes) < 3:
            return None
        return self._line(3)

    def _line(self, count: int) -> Floats:
        """Limit of a least-squares line in 1/N through the last meshes."""
        inverse = 1.0 / self.meshes[-count:].astype(float)
        last = self.conductivity[-count:]
        slope = np.tensordot(inverse - inverse.mean(), last, axes=1) / np.sum((inverse - inverse.mean()) ** 2)
        return np.asarray(last.mean(axis=0) - slope * inverse.mean())

    def limit_error(self) -> Floats | None:
        """Error of the extrapolated limit: how far lines through two or four meshes lead from it.

        A fifth of the way from the finest mesh to the limit at least, since lines can meet by accident; all of the way
        where there are three meshes only. For silicon (PBEsol, 100 to 1000 K) the finest of 13, 15, 17 and 19 is 15 to
        23 % below the limit of the finest meshes known, and the limit is within 1.5 of these errors.

        Returns:
            Shape (n_temperatures, 3, 3), W/(m K); None with fewer than three meshes.
        """
        limit = self.extrapolated()
        if limit is None:
            return None
        way = np.abs(limit - self.finest)
        if len(self.meshes) == 3:
            return np.asarray(np.maximum(way, np.abs(limit - self._line(2))))
        others = [np.abs(limit - self._line(count)) for count in (2, 4)]
        return np.asarray(np.maximum.reduce([0.2 * way, *others]))

    def limit_converged(self, tolerance: float) -> bool:
        """Whether the error of the limit's trace, relative to it, is known and within a tolerance.

        Args:
            tolerance: dimensionless.
        """
        limit, error = self.extrapolated(), self.limit_error()
        if limit is None or error is None:
            return False
        relative = np.trace(error, axis1=-2, axis2=-1) / np.trace(limit, axis1=-2, axis2=-1)
        return bool(np.all(np.abs(relative) <= tolerance))

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
