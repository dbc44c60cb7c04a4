"""Matrix-free homogenisation of periodic microstructures: conjugate gradients with a Fourier preconditioner.

The unknown is the displacement (temperature) on the corners of the voxels. The preconditioner is the inverse
of the same operator in a homogeneous isotropic medium, exact in Fourier space, so that the number of
iterations depends on the contrast and not on the grid. All loads are solved at once where memory allows.

A phase whose tensor is zero is a void. One that is infinite is rigid, or conducts perfectly: it gets `RIGID` times
the largest modulus of the others, which leaves a relative error of about the inverse.

Memory: `Medium.memory` tells it. Conjugate gradients hold four fields and their transform.

Source: Zeman et al., J. Comput. Phys. 229, 8065 (2010); Willot, C. R. Mécanique 343, 232 (2015); Schneider, Merkert &
Kabel, Int. J. Numer. Methods Eng. 109, 1461 (2017) for voids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization import conjugate_gradients, kernels
from hashigo.calculators.workers.homogenization.conjugate_gradients import Balanced, balance_loads
from hashigo.calculators.workers.homogenization.elements import element_matrices
from hashigo.calculators.workers.homogenization.slabs import Array, Slabs
from hashigo.calculators.workers.homogenization.tensors import (
    ROOT2,
    Floats,
    isotropic_moduli,
    mandel_stress_to_voigt,
    mandel_to_voigt,
    require_positive_definite,
)
from hashigo.errors import InputError, WorkerError

#: Stiffness of a rigid phase over the largest of the others, dimensionless.
RIGID = 1e6
#: Contrast of phases from which full integration converges faster, dimensionless.
EXTREME = 1e4
#: Fields of this many bytes on one rank are solved for all loads at once, larger ones for fewer.
TOGETHER = 4 << 30


@dataclass(frozen=True)
class Solution:
    """Answer to one load.

    Attributes:
        potential: displacement (voxels) or temperature fluctuation (K), shape (components, planes, ny, nx).
        iterations: number of iterations.
        residual: norm of the balance over its norm without fluctuations, dimensionless.
    """

    potential: Floats
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


@dataclass(frozen=True)
class ThermalStress:
    """A sample with eigenstrains, free of mean stress.

    Attributes:
        potential: displacement, shape (3, planes, ny, nx), voxels.
        strain: mean strain (Mandel), shape (6,), dimensionless.
        stress: in each voxel (Mandel), shape (6, planes, ny, nx), GPa.
        iterations: number of iterations.
    """

    potential: Floats
    strain: Floats
    stress: Floats
    iterations: int


def best_scheme(table: Floats) -> str:
    """The discretisation that serves some phases: full integration where one is void, rigid or of extreme contrast.

    Args:
        table: tensor of each phase, shape (n_phases, m, m), GPa or W/(m K).
    """
    size = np.trace(table, axis1=1, axis2=2)
    return "hexahedra" if size.min() == 0 or size.max() > EXTREME * size.min() else "rotated"


class Medium:
    """Linear balance on one microstructure with one tensor for each phase.

    Args:
        slabs: the grid, its ranks, and the precision of the fields: in single, the residual is computed anew in double
            at the end.
        phase: phase of each voxel of this rank, shape (planes, ny, nx), indices.
        table: tensor of each phase in sample axes, Mandel if a stiffness, shape (n_phases, m, m), GPa or W/(m K); zero
            for a void, infinite for a rigid or perfectly conducting one.
        names: of the phases, for errors.
        scheme: "rotated" or "hexahedra"; None takes hexahedra where phases are void, rigid or of
            extreme contrast.

    Raises:
        InputError: when a tensor is not positive definite, named.
    """

    loads: int
    components: int
    what: str

    def __init__(
        self,
        slabs: Slabs,
        phase: NDArray[np.int32],
        table: Floats,
        names: Sequence[str] = (),
        *,
        scheme: str | None = None,
    ) -> None:
        self.slabs = slabs
        self.phase = np.ascontiguousarray(phase, dtype=np.int32)
        table = np.array(table, dtype=float)
        self._check(table, list(names) or [f"phase {index}" for index in range(len(table))])
        rigid = np.isinf(table).any(axis=(1, 2))
        void = ~table.any(axis=(1, 2))
        solid = table[~(rigid | void)]
        self.scheme = scheme or best_scheme(table)
        self.precision = slabs.precision
        self.scale, self.ratio = self._reference(solid)
        table[rigid] = self._stiffest(RIGID * float(np.linalg.eigvalsh(solid).max()))
        self.table = table
        counts = np.bincount(self.phase.ravel(), minlength=len(table)).astype(float)
        self.fractions = slabs.total(counts) / slabs.voxels
        self._halo = slabs.with_plane_before(self.phase)
        self._tables: dict[Any, Array] = {}

    def _check(self, table: Floats, labels: list[str]) -> None:
        if self.phase.shape != self.slabs.local_shape:
            raise WorkerError(
                f"the phases have shape {self.phase.shape}, this rank's planes {self.slabs.local_shape}"
            )
        if table.shape[1:] != (self.loads, self.loads):
            raise WorkerError(f"the {self.what} table has shape {table.shape}")
        if self.phase.min() < 0 or self.phase.max() >= len(table):
            raise WorkerError(f"a voxel's phase is not in the {self.what} table of {len(table)} phases")
        # There may be a phase for each voxel at a grain boundary.
        infinite = np.isinf(np.diagonal(table, axis1=1, axis2=2)).all(axis=1)
        ordinary = np.flatnonzero(table.any(axis=(1, 2)) & ~infinite).tolist()
        if not ordinary:
            raise InputError(
                f"no phase has a finite {self.what} other than zero", fix="add the material itself"
            )

        def place(row: int) -> str:
            where = np.argwhere(self.phase == ordinary[row])
            if not len(where):  # on another rank
                return ""
            z, y, x = where[0] + [self.slabs.planes.start, 0, 0]
            return f" (at voxel {x}, {y}, {z} along x, y, z)"

        names = [labels[index] for index in ordinary]
        require_positive_definite(table[ordinary], self.what, names, place)

    def _reference(self, solid: Floats) -> tuple[float, float]:
        raise NotImplementedError

    def _stiffest(self, value: float) -> Floats:
        raise NotImplementedError

    def _rows(self, flux: Floats) -> Floats:
        """Fluxes of the phases, shape (n_phases, m, loads), as rows of stress, (n_phases, components, 3, loads)."""
        raise NotImplementedError

    def _kernel_table(self) -> Floats:
        """The table as the kernels take it."""
        raise NotImplementedError

    def _operator(self, kind: Any) -> tuple[Any, Array]:
        """The compiled balance, and its table in some precision."""
        rotated = self.scheme == "rotated"
        if kind not in self._tables:
            table = self._kernel_table()
            table = table if rotated else element_matrices(table, self.components)
            self._tables[kind] = np.ascontiguousarray(table, dtype=kind)
        law = kernels.elastic_rotated if self.components == 3 else kernels.thermal_rotated
        return law if rotated else kernels.hexahedra, self._tables[kind]

    @property
    def bytes_per_voxel(self) -> float:
        """Memory of conjugate gradients for one load, bytes: four fields and their transform, on many ranks twice.

        The phases take 8 more, each solution that is kept 8 for each component, and the check of single precision 28
        for each component, whatever the number of loads.
        """
        transforms = 2.0 - 1.0 / self.slabs.comm.size
        return self.components * (
            4.0 * self.precision.itemsize + transforms * conjugate_gradients.TRANSFORM.itemsize
        )

    @property
    def together(self) -> int:
        """Number of loads solved at once."""
        # The same on all ranks, some of which hold a plane less.
        local = max(self.slabs.comm.allgather(float(np.prod(self.slabs.local_shape))))
        counts = [count for count in range(self.loads, 0, -1) if self.loads % count == 0]
        fits = [count for count in counts if count * local * self.bytes_per_voxel <= TOGETHER]
        return fits[0] if fits else 1

    def balance(self, field: Array, force: Array, lanes: tuple[int, ...]) -> Floats:
        """Forces of a potential, and their work.

        Args:
            field: its halo is filled, shape (planes + 2, components, ny, nx · loads), voxels or K.
            force: result, shape (planes, components, ny, nx · loads), GPa or W/(m K).
            lanes: an entry for each load.

        Returns:
            Shape (loads,), unit of `force` times that of `field`.
        """
        kernel, table = self._operator(field.dtype)
        self.slabs.fill_halo(field)
        pieces = self.slabs.pieces(len(force), len(force))
        works = self.slabs.each(
            lambda piece: kernel(field, self._halo, table, force, piece.start, piece.stop, lanes), pieces
        )
        return self.slabs.total(np.sum(works, axis=0))

    def sources(self, flux: Floats, out: Array, lanes: tuple[int, ...]) -> None:
        """Forces on the corners of constant fluxes in the phases.

        Args:
            flux: shape (n_phases, components, 3, loads), GPa or W/(m K).
            out: result, shape (planes, components, ny, nx · loads), GPa or W/(m K).
            lanes: an entry for each load.
        """
        table = np.ascontiguousarray(flux, dtype=out.dtype)
        pieces = self.slabs.pieces(len(out), len(out))
        self.slabs.each(
            lambda piece: kernels.corner_loads(self._halo, table, out, piece.start, piece.stop, lanes), pieces
        )

    def solve(
        self,
        load: Floats,
        tolerance: float = 1e-6,
        guess: Floats | None = None,
        eigenstrain: Floats | None = None,
    ) -> Solution:
        """Find the potential that balances a mean load.

        Args:
            load: mean strain (Mandel, dimensionless) or gradient (K per voxel), shape (m,).
            tolerance: stop when the residual, relative to that without fluctuations, is below, dimensionless.
            guess: potential to start from, shape (components, planes, ny, nx), voxels or K.
            eigenstrain: of each phase, strain (Mandel) at which it has no stress, shape (n_phases, m), dimensionless.

        Raises:
            WorkerError: when it does not converge, or the numbers overflow.
        """
        strain = np.asarray(load, dtype=float) - (0.0 if eigenstrain is None else eigenstrain)
        flux = np.einsum("pij,pj->pi", self.table, np.broadcast_to(strain, (len(self.table), self.loads)))
        energy = np.einsum("p,pi,pi->", self.fractions, np.broadcast_to(strain, flux.shape), flux)
        start = None if guess is None else [guess]
        found = balance_loads(self, self._rows(flux[..., None]), np.array([energy]), tolerance, start)
        return Solution(np.moveaxis(found.unknown, 1, 0), found.iterations[0], found.relative[0])

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
        rows = self._rows(self.table)
        tensor = np.einsum("p,pij->ij", self.fractions, self.table)
        voigt = np.diag(tensor).copy()
        potentials: list[Array] = []
        iterations: list[int] = []
        residuals: list[float] = []
        count = self.together
        for first in range(0, self.loads, count):
            batch = slice(first, first + count)
            start = None if guesses is None else guesses[batch]
            found = balance_loads(self, rows[..., batch], voigt[batch], tolerance, start)
            iterations += found.iterations
            residuals += found.relative
            tensor[: first + count, batch] += self._energies(rows, found, potentials)
            tensor[batch, :first] = tensor[:first, batch].T
            potentials += [np.ascontiguousarray(found.unknown[..., lane::count]) for lane in range(count)]
        tensor = 0.5 * (tensor + tensor.T)
        return Effective(tensor, [np.moveaxis(one, 1, 0) for one in potentials], iterations, residuals)

    def _energies(self, rows: Floats, found: Balanced, before: list[Array]) -> Floats:
        """What fluctuations change in the energies of the loads so far with those of a batch, shape (loads, batch)."""
        count, nx = len(found.iterations), self.slabs.shape[2]
        flat, rest = (
            field.reshape(-1, count).astype(float, copy=False) for field in (found.unknown, found.residual)
        )
        products = [one.reshape(1, -1) @ rest for one in before] + [flat.T @ rest]
        energies = -np.concatenate(products)
        source = np.empty((*found.unknown.shape[:3], nx))
        for load in range(len(energies)):
            self.sources(rows[..., load : load + 1], source, (0,))
            energies[load] += source.reshape(-1) @ flat
        return self.slabs.total(energies) / self.slabs.voxels

    def flux(self, potential: Floats, load: Floats, eigenstrain: Floats | None = None) -> Floats:
        """Mean flux in each voxel of this rank.

        Args:
            potential: shape (components, planes, ny, nx), voxels or K.
            load: mean strain (Mandel, dimensionless) or gradient (K per voxel), shape (m,).
            eigenstrain: of each phase, strain (Mandel) at which it has no stress, shape (n_phases, m), dimensionless.

        Returns:
            Mandel stress (GPa) or conductivity times gradient (W/(m K) times K per voxel), shape
            (m, planes, ny, nx).
        """
        out = self.strain(potential, load)
        for plane, phase in enumerate(self.phase):
            local = out[:, plane]
            if eigenstrain is not None:
                local = local - np.moveaxis(eigenstrain[phase], -1, 0)
            out[:, plane] = np.einsum("yxij,jyx->iyx", self.table[phase], local)
        return out

    def strain(self, potential: Floats, load: Floats) -> Floats:
        """Mean strain or gradient in each voxel of this rank.

        Args:
            potential: shape (components, planes, ny, nx), voxels or K.
            load: mean strain (Mandel, dimensionless) or gradient (K per voxel), shape (m,).

        Returns:
            Mandel strain (dimensionless) or gradient (K per voxel), shape (m, planes, ny, nx).
        """
        planes, ny, nx = self.slabs.local_shape
        field = np.empty((planes + 2, self.components, ny, nx))
        field[1:-1] = np.moveaxis(potential, 0, 1)
        self.slabs.fill_halo(field)
        out = np.empty((planes, ny, self.loads, nx))
        kernels.gradients(field, out, 0, planes)
        if self.components == 3:
            out[:, :, 3:] /= ROOT2
        return np.asarray(np.moveaxis(out, 2, 0) + np.asarray(load, dtype=float)[:, None, None, None])


class ElasticMedium(Medium):
    """Linear elasticity, ∇·(C : ε) = 0; `Medium` has the arguments."""

    loads = 6
    components = 3
    what = "stiffness"

    def _reference(self, solid: Floats) -> tuple[float, float]:
        bulk, shear = (float(modulus.mean()) for modulus in isotropic_moduli(solid))
        return shear, (bulk + shear / 3.0) / shear

    def _stiffest(self, value: float) -> Floats:
        return value * np.eye(6)

    def _kernel_table(self) -> Floats:
        return mandel_to_voigt(self.table)

    def _rows(self, flux: Floats) -> Floats:
        stress = mandel_stress_to_voigt(flux, axis=1)
        return np.asarray(stress[:, [[0, 5, 4], [5, 1, 3], [4, 3, 2]]])

    def thermal_stress(
        self, eigenstrain: Floats, effective: Effective, tolerance: float = 1e-6
    ) -> ThermalStress:
        """Stress in a sample whose phases want to strain differently and which nothing holds.

        Args:
            eigenstrain: of each phase in sample axes (Mandel), shape (n_phases, 6), dimensionless.
            effective: of this medium.
            tolerance: relative residual, dimensionless.

        Raises:
            WorkerError: when it does not converge.
        """
        held = self.solve(np.zeros(6), tolerance, eigenstrain=eigenstrain)
        stress = self.flux(held.potential, np.zeros(6), eigenstrain)
        mean = self.slabs.total(stress.sum(axis=(1, 2, 3))) / self.slabs.voxels
        strain = np.asarray(-np.linalg.solve(effective.tensor, mean))
        potential = held.potential + np.einsum("i,i...->...", strain, np.array(effective.potentials))
        return ThermalStress(potential, strain, self.flux(potential, strain, eigenstrain), held.iterations)


class ThermalMedium(Medium):
    """Steady heat conduction, ∇·(κ ∇T) = 0; `Medium` has the arguments."""

    loads = 3
    components = 1
    what = "thermal conductivity"

    def _reference(self, solid: Floats) -> tuple[float, float]:
        return float(np.trace(solid, axis1=1, axis2=2).mean()) / 3.0, 0.0

    def _stiffest(self, value: float) -> Floats:
        return value * np.eye(3)

    def _kernel_table(self) -> Floats:
        return self.table

    def _rows(self, flux: Floats) -> Floats:
        return flux[:, None]
