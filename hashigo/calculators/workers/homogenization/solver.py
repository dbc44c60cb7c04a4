"""Matrix-free homogenisation of periodic microstructures: conjugate gradients with a Fourier preconditioner.

The unknown is the displacement (temperature) on the corners of the voxels. The preconditioner is the inverse
of the same operator in a homogeneous isotropic medium, exact in Fourier space, so that the number of
iterations depends on the contrast and not on the grid.

Source: Zeman et al., J. Comput. Phys. 229, 8065 (2010); Willot, C. R. Mécanique 343, 232 (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization import kernels
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    isotropic_moduli,
    require_positive_definite,
)
from hashigo.errors import WorkerError

MAX_ITERATIONS = 2000
#: Residuals below this, relative to the load itself, are rounding, dimensionless.
ROUNDING = 1e-13


@dataclass(frozen=True)
class Solution:
    """Answer to one load.

    Attributes:
        potential: displacement (voxels) or temperature fluctuation (K), shape (components, planes, ny, nx).
        residual_force: what is left of the balance, shape of `potential`, GPa or W/(m K).
        mean_flux: mean stress (Mandel, GPa) or conductivity times gradient, shape (6,) or (3,).
        iterations: number of iterations.
        residual: norm of the balance over its norm without fluctuations, dimensionless.
    """

    potential: Floats
    residual_force: Floats
    mean_flux: Floats
    iterations: int
    residual: float


@dataclass(frozen=True)
class Effective:
    """Effective property of a microstructure.

    Attributes:
        tensor: Mandel stiffness, shape (6, 6), GPa; or conductivity, shape (3, 3), W/(m K).
        potentials: solution of each unit load, shape (components, planes, ny, nx) each, voxels or K.
        iterations: number of iterations of each load.
        residuals: residual of each load, dimensionless.
    """

    tensor: Floats
    potentials: list[Floats]
    iterations: list[int]
    residuals: list[float]


class _Medium:
    """Linear balance on one microstructure with one tensor for each phase."""

    loads: int
    components: int
    what: str

    def __init__(self, slabs: Slabs, phase: NDArray[np.int32], table: Floats, names: Sequence[str]) -> None:
        self.slabs = slabs
        self.phase = np.ascontiguousarray(phase, dtype=np.int32)
        self.table = np.ascontiguousarray(table, dtype=float)
        labels = list(names) or [f"phase {index}" for index in range(len(table))]
        self._check(labels)
        self.stiffness, self.coupling = self._reference()
        self._sines, self._cosines = slabs.half_angles()

    def _check(self, labels: list[str]) -> None:
        if self.phase.shape != self.slabs.local_shape:
            raise WorkerError(
                f"the phases have shape {self.phase.shape}, this rank's planes {self.slabs.local_shape}"
            )
        if self.table.shape[1:] != (self.loads, self.loads):
            raise WorkerError(f"the {self.what} table has shape {self.table.shape}")
        if self.phase.min() < 0 or self.phase.max() >= len(self.table):
            raise WorkerError(f"a voxel's phase is not in the {self.what} table of {len(self.table)} phases")
        require_positive_definite(self.table, self.what, labels)

    def _reference(self) -> tuple[float, float]:
        raise NotImplementedError

    def _add_forces(self, padded: Floats, load: Floats, force: Floats, total: Floats) -> None:
        raise NotImplementedError

    def _fill_flux(self, padded: Floats, load: Floats, flux: Floats) -> None:
        raise NotImplementedError

    def balance(self, potential: Floats, load: Floats) -> tuple[Floats, Floats]:
        """Out-of-balance forces of a potential under a mean load.

        Args:
            potential: shape (components, planes, ny, nx), voxels or K.
            load: mean strain (Mandel, dimensionless) or gradient (K per voxel), shape (loads,).

        Returns:
            Forces, shape of `potential`, and this rank's sum of the flux, shape (loads,), GPa or W/(m K).
        """
        padded = self.slabs.padded(potential)
        force = np.zeros_like(padded)
        total = np.empty(self.loads)
        self._add_forces(padded, load, force, total)
        return self.slabs.folded(force), total

    def precondition(self, residual: Floats) -> Floats:
        """Apply the inverse operator of the reference medium.

        Args:
            residual: shape (components, planes, ny, nx), GPa or W/(m K).

        Returns:
            Shape of `residual`, voxels or K.
        """
        spectrum = self.slabs.forward(residual)
        kernels.precondition(spectrum, self._sines, self._cosines, self.stiffness, self.coupling)
        return self.slabs.backward(spectrum)

    def flux(self, potential: Floats, load: Floats) -> Floats:
        """Flux in each voxel of this rank.

        Args:
            potential: shape (components, planes, ny, nx), voxels or K.
            load: mean strain (Mandel, dimensionless) or gradient (K per voxel), shape (loads,).

        Returns:
            Mandel stress (GPa) or conductivity times gradient (W/(m K) times K per voxel), shape
            (loads, planes, ny, nx).
        """
        out = np.empty((self.loads, *self.slabs.local_shape))
        self._fill_flux(self.slabs.padded(potential), np.asarray(load, dtype=float), out)
        return out

    def solve(self, load: Floats, tolerance: float = 1e-6, guess: Floats | None = None) -> Solution:
        """Find the potential that balances a mean load.

        Args:
            load: mean strain (Mandel, dimensionless) or gradient (K per voxel), shape (loads,).
            tolerance: stop when the residual, relative to that without fluctuations, is below, dimensionless.
            guess: potential to start from, shape (components, planes, ny, nx), voxels or K.

        Raises:
            WorkerError: when it does not converge, or the numbers overflow.
        """
        load = np.asarray(load, dtype=float)
        slabs = self.slabs
        potential = np.zeros((self.components, *slabs.local_shape))
        residual = -self.balance(potential, load)[0]
        correction = self.precondition(residual)
        start = slabs.dot(residual, correction)
        limit = max(tolerance**2 * start, ROUNDING**2 * slabs.voxels * self.stiffness * float(load @ load))
        square = start
        if guess is not None and start > limit:
            potential = guess.copy()
            residual = -self.balance(potential, load)[0]
            correction = self.precondition(residual)
            square = slabs.dot(residual, correction)
        direction = correction
        iterations = 0
        still = np.zeros(self.loads)
        while not square <= limit:
            if iterations == MAX_ITERATIONS or not np.isfinite(square):
                raise WorkerError(
                    f"the {self.what} problem under load {load.tolist()} does not converge: "
                    f"relative residual {np.sqrt(square / start):.1e} after {iterations} iterations",
                    fix="raise the tolerance, or look for phases of extreme contrast",
                )
            change = self.balance(direction, still)[0]
            step = square / slabs.dot(direction, change)
            potential += step * direction
            residual -= step * change
            correction = self.precondition(residual)
            previous, square = square, slabs.dot(residual, correction)
            direction = correction + (square / previous) * direction
            iterations += 1
        force, total = self.balance(potential, load)
        return Solution(
            potential=potential,
            residual_force=-force,
            mean_flux=slabs.total(total) / slabs.voxels,
            iterations=iterations,
            residual=float(np.sqrt(max(square, 0.0) / start)) if start > 0 else 0.0,
        )

    def effective(self, tolerance: float = 1e-6, guesses: Sequence[Floats] | None = None) -> Effective:
        """Effective tensor from one solution for each unit load.

        The entries are energies of pairs of solutions, whose error is the square of the residual's.

        Args:
            tolerance: relative residual of each load, dimensionless.
            guesses: potentials to start from, one for each load, shape (components, planes, ny, nx) each,
                voxels or K.

        Raises:
            WorkerError: when a load does not converge.
        """
        found = Effective(np.zeros((self.loads, self.loads)), [], [], [])
        for index, load in enumerate(np.eye(self.loads)):
            solution = self.solve(load, tolerance, None if guesses is None else guesses[index])
            found.potentials.append(solution.potential)
            found.iterations.append(solution.iterations)
            found.residuals.append(solution.residual)
            for other, potential in enumerate(found.potentials):
                # Energy of the pair: mean flux, less the work of what is left out of balance.
                left = self.slabs.dot(potential, solution.residual_force) / self.slabs.voxels
                energy = solution.mean_flux[other] - left
                found.tensor[index, other] = found.tensor[other, index] = energy
        return found


class ElasticMedium(_Medium):
    """Linear elasticity, ∇·(C : ε) = 0.

    Args:
        slabs: the grid and its ranks.
        phase: phase of each voxel of this rank, shape (planes, ny, nx), indices.
        table: Mandel stiffness of each phase in sample axes, shape (n_phases, 6, 6), GPa.
        names: of the phases, for errors.

    Raises:
        InputError: when a stiffness is not positive definite.
    """

    loads = 6
    components = 3
    what = "stiffness"

    def _reference(self) -> tuple[float, float]:
        bulk, shear = (float(modulus.mean()) for modulus in isotropic_moduli(self.table))
        return shear, (bulk + shear / 3.0) / (bulk + 4.0 * shear / 3.0)

    def _add_forces(self, padded: Floats, load: Floats, force: Floats, total: Floats) -> None:
        kernels.elastic_forces(padded, self.phase, self.table, load, force, total)

    def _fill_flux(self, padded: Floats, load: Floats, flux: Floats) -> None:
        kernels.elastic_field(padded, self.phase, self.table, load, flux)


class ThermalMedium(_Medium):
    """Steady heat conduction, ∇·(κ ∇T) = 0.

    Args:
        slabs: the grid and its ranks.
        phase: phase of each voxel of this rank, shape (planes, ny, nx), indices.
        table: conductivity of each phase in sample axes, shape (n_phases, 3, 3), W/(m K).
        names: of the phases, for errors.

    Raises:
        InputError: when a conductivity is not positive definite.
    """

    loads = 3
    components = 1
    what = "thermal conductivity"

    def _reference(self) -> tuple[float, float]:
        return float(np.trace(self.table, axis1=1, axis2=2).mean()) / 3.0, 0.0

    def _add_forces(self, padded: Floats, load: Floats, force: Floats, total: Floats) -> None:
        kernels.thermal_forces(padded, self.phase, self.table, load, force, total)

    def _fill_flux(self, padded: Floats, load: Floats, flux: Floats) -> None:
        kernels.thermal_field(padded, self.phase, self.table, load, flux)
