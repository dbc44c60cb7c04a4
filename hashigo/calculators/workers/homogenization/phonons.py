"""Phonon modes as the mesoscale uses them: conductivity of grains by the mean model, its meshes and its committee."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashigo.calculators.workers.homogenization.boundary import ModeSet, limited_conductivity, scale_by_ratio
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.calculators.workers.lattice.mesh_series import MeshSeries


@dataclass(frozen=True)
class MeshError:
    """What the mesh of the phonon modes leaves open of an effective conductivity.

    Attributes:
        relative: estimated error relative to the conductivity, shape (n_conditions,), dimensionless.
        tolerance: relative error that counts as converged, dimensionless.
    """

    relative: Floats
    tolerance: float

    @property
    def converged(self) -> bool:
        """Whether the error is within the tolerance under every condition."""
        return bool(np.all(self.relative <= self.tolerance))


@dataclass(frozen=True)
class MeshModes:
    """Phonon modes of the mean model on the meshes that the error is estimated from.

    Attributes:
        meshes: ascending numbers of wave vectors along each reciprocal vector, count.
        modes: on each of them.
        tolerance: relative error that counts as converged, dimensionless.
    """

    meshes: tuple[int, ...]
    modes: tuple[ModeSet, ...]
    tolerance: float

    def relative_error(
        self, index: int, diameters: Floats, fractions: Floats, electronic: Floats | None = None
    ) -> float:
        """Error of the conductivity of grains, averaged over their volume, relative to it, dimensionless.

        A coarse mesh lacks modes of long waves. They carry much of the heat of the single crystal and little in
        small grains, whose boundaries cut them, so that the error is another one for each grain size.

        Args:
            index: index of the temperature.
            diameters: of the grains, shape (n_grains,), nm.
            fractions: of the volume, shape (n_grains,), dimensionless.
            electronic: carried by electrons besides, shape (3, 3), W/(m K); or None.
        """
        besides = 0.0 if electronic is None else electronic
        kappa = [
            np.tensordot(fractions, limited_conductivity(modes, index, diameters), axes=1) + besides
            for modes in self.modes
        ]
        relative = MeshSeries(np.array(self.meshes), np.array(kappa)[:, None]).relative_error()
        assert relative is not None
        return float(relative[0])


@dataclass(frozen=True)
class PhononModels:
    """Phonon modes of the mean model and, on a coarser mesh, of the committee.

    Attributes:
        fine: mean model on the finest mesh.
        coarse: mean model on the mesh of the members; None without members.
        members: committee members on the coarse mesh.
        series: mean model on the last meshes; None when the error of the finest cannot be told from them.
    """

    fine: ModeSet
    coarse: ModeSet | None = None
    members: tuple[ModeSet, ...] = ()
    series: MeshModes | None = None

    def grains(self, index: int, diameters: Floats) -> Floats:
        """Conductivity of grains by the mean model, in crystal axes.

        Args:
            index: index of the temperature.
            diameters: of the grains, shape (n_grains,), nm.

        Returns:
            Shape (n_grains, 3, 3), W/(m K).
        """
        return limited_conductivity(self.fine, index, diameters)

    def member_grains(self, member: int, index: int, diameters: Floats) -> Floats:
        """Conductivity of grains by a committee member: its ratio on the coarse mesh times the fine value.

        Args:
            member: index of the member.
            index: index of the temperature.
            diameters: of the grains, shape (n_grains,), nm.

        Returns:
            In crystal axes, shape (n_grains, 3, 3), W/(m K).
        """
        assert self.coarse is not None
        coarse = limited_conductivity(self.coarse, index, diameters)
        changed = limited_conductivity(self.members[member], index, diameters)
        return scale_by_ratio(self.grains(index, diameters), coarse, changed)
