"""Beyond the relaxation-time approximation on one mesh: direct solution of Boltzmann's equation, and Wigner transport.

Both cost little more than the relaxation-time approximation on the same mesh while the collision matrix is small; it
grows with the square of wave vectors times bands. They are therefore computed on a coarse mesh and on one that is
coarser still, as ratios to the relaxation-time approximation there: the change of the ratio tells its error.

Source: Chaput, Phys. Rev. Lett. 110, 265506 (2013), for the direct solution; Simoncelli, Marzari & Mauri, Nat. Phys.
15, 809 (2019), for the coherences of Wigner transport; both as phono3py has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phono3py import Phono3py
from phonopy.phonon.grid import get_ir_grid_points

from hashigo.calculators.workers.lattice.transport import voigt_to_tensor
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]

#: Largest collision matrix, bytes; phono3py holds two of them.
MOST_BYTES = 2e9
#: Relative difference of direct solution and relaxation-time approximation from which the value is marked.
FAR_APART = 0.1


@dataclass(frozen=True)
class DirectSolution:
    """Conductivity on one mesh by three methods, each of shape (n_temperatures, 3, 3), W/(m K).

    Attributes:
        mesh: count of wave vectors along each reciprocal vector.
        relaxation_time: shape (n_temperatures, 3, 3), W/(m K).
        direct: of Boltzmann's linearised equation, shape (n_temperatures, 3, 3), W/(m K).
        coherence: what pairs of bands add in Wigner transport, shape (n_temperatures, 3, 3), W/(m K).
    """

    mesh: int
    relaxation_time: Floats
    direct: Floats
    coherence: Floats

    @property
    def ratio(self) -> Floats:
        """Trace of the direct solution over that of the approximation, shape (n_temperatures,), dimensionless."""
        return _trace(self.direct) / _trace(self.relaxation_time)


def collision_bytes(crystal: Phono3py, mesh: int) -> float:
    """Size of the collision matrix of a mesh, bytes.

    Args:
        crystal: with its symmetry.
        mesh: count of wave vectors along each reciprocal vector.
    """
    crystal.mesh_numbers = [mesh] * 3
    points = len(get_ir_grid_points(crystal.grid)[0])
    return 8.0 * (points * len(crystal.primitive) * 3 * 3) ** 2


def solve(
    crystal: Phono3py, mesh: int, temperatures: Sequence[float], *, isotopes: bool = True
) -> DirectSolution | str:
    """Conductivity by all methods, or a sentence why the mesh is too much for the direct solution.

    Args:
        crystal: with force constants of second and third order.
        mesh: count of wave vectors along each reciprocal vector.
        temperatures: K, above 0.
        isotopes: whether the natural mix of isotopes scatters.

    Raises:
        WorkerError: when phono3py gives numbers that are not finite.
    """
    size = collision_bytes(crystal, mesh)
    if size > MOST_BYTES:
        return (
            f"the collision matrix of mesh {mesh} would take {size / 1e9:.1f} GB, more than {MOST_BYTES / 1e9:g}; the "
            "direct solution was left out"
        )
    crystal.init_phph_interaction()
    options = {"temperatures": list(temperatures), "is_isotope": isotopes, "log_level": 0}
    crystal.run_thermal_conductivity(is_LBTE=True, **options)
    solved = crystal.thermal_conductivity
    direct, relaxation_time = _tensor(solved.kappa), _tensor(solved.kappa_RTA)
    crystal.run_thermal_conductivity(transport_type="SMM19", **options)
    wigner = crystal.thermal_conductivity
    coherence = _tensor(wigner.kappa) - _tensor(wigner.kappa_intra)
    if not all(np.isfinite(one).all() for one in (direct, relaxation_time, coherence)):
        raise WorkerError(
            "phono3py's direct solution gave numbers that are not finite",
            fix="raise conductivity.coarse_mesh",
        )
    return DirectSolution(mesh, relaxation_time, direct, coherence)


@dataclass(frozen=True)
class BeyondRelaxation:
    """The methods on two meshes, and what they make of a conductivity by the relaxation-time approximation.

    Attributes:
        fine: on the finer of the two.
        coarse: on the coarser; None where there is none.
    """

    fine: DirectSolution
    coarse: DirectSolution | None = None

    def conductivity(self, relaxation_time: Floats) -> Floats:
        """The direct solution on a mesh where only the relaxation-time approximation is known.

        Args:
            relaxation_time: shape (..., n_temperatures, 3, 3), W/(m K).

        Returns:
            Of the same shape, W/(m K).
        """
        return np.asarray(self.fine.ratio[:, None, None] * relaxation_time)

    def error(self, relaxation_time: Floats) -> Floats:
        """Error of the ratio times a conductivity: its change from the coarser mesh.

        Args:
            relaxation_time: shape (n_temperatures, 3, 3), W/(m K).

        Returns:
            Shape (n_temperatures, 3, 3), W/(m K); with one mesh the whole difference of the methods.
        """
        other = 1.0 if self.coarse is None else self.coarse.ratio
        return np.asarray(np.abs((self.fine.ratio - other)[:, None, None] * relaxation_time))

    @property
    def apart(self) -> float:
        """Largest relative difference of the two methods over the temperatures, dimensionless."""
        return float(np.abs(self.fine.ratio - 1).max())


def beyond_relaxation(
    crystal: Phono3py, mesh: int, temperatures: Sequence[float], *, isotopes: bool = True
) -> BeyondRelaxation | str:
    """All methods on a mesh and on one two points coarser; or a sentence why not.

    Args:
        crystal: with force constants of second and third order.
        mesh: count of wave vectors along each reciprocal vector.
        temperatures: K, above 0.
        isotopes: whether the natural mix of isotopes scatters.
    """
    fine = solve(crystal, mesh, temperatures, isotopes=isotopes)
    if isinstance(fine, str):
        return fine
    coarse = solve(crystal, mesh - 2, temperatures, isotopes=isotopes) if mesh > 3 else None
    return BeyondRelaxation(fine, None if isinstance(coarse, str) else coarse)


def _tensor(kappa: Floats) -> Floats:
    """phono3py's (1, n_temperatures, 6) as tensors."""
    return voigt_to_tensor(np.asarray(kappa[0], dtype=float))


def _trace(tensors: Floats) -> Floats:
    return np.asarray(np.trace(tensors, axis1=-2, axis2=-1))
