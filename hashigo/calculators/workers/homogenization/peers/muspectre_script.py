"""Homogenise a problem with muSpectre; run by another interpreter, which has it, and imports nothing of ours.

Arguments are the file of the problem and the file to write, both in NumPy's npz format.
"""

from __future__ import annotations

import gc
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import muSpectre
import numpy as np
from muFFT import Stencils3D

PAIRS = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
ROOT2 = np.sqrt(2.0)
WEIGHT = np.array([1.0, 1.0, 1.0, ROOT2, ROOT2, ROOT2])
MAX_ITERATIONS = 2000


def gradient(scheme: str) -> tuple[list[Any], list[float]]:
    """Derivatives of a discretisation at each of its quadrature points, and their relative weights, dimensionless."""
    if scheme == "fourier":
        return [muSpectre.FourierDerivative(3, axis) for axis in range(3)], [1.0]
    if scheme == "rotated":
        return list(Stencils3D.averaged_upwind), [1.0]
    # Five linear tetrahedra a voxel, of which the inner one has twice the volume of the others.
    return list(Stencils3D.linear_finite_elements_5), [5 / 3, 5 / 6, 5 / 6, 5 / 6, 5 / 6]


class Solver:
    """One medium, set up anew for each load so that no load starts from another's solution."""

    def __init__(self, phase: Any, table: Any, scheme: str, tolerance: float) -> None:
        self.elastic = table.shape[1] == 6
        self.phase = phase
        self.shape = phase.shape[::-1]
        self.points, self.weights = gradient(scheme)
        self.cell = muSpectre.cell.CellData.make(list(self.shape), [float(n) for n in self.shape])
        self.cell.nb_quad_pts = len(self.weights)
        self._fill(phase, table)
        self.krylov = muSpectre.solvers.KrylovSolverCG(tolerance, MAX_ITERATIONS)
        # One linear solution: its change of the strain always passes for Newton's method.
        self.newton = muSpectre.solvers.SolverNewtonCG(
            self.cell, self.krylov, muSpectre.Verbosity.Silent, 1e300, 0.0, 2, self.points, self.weights
        )
        if self.elastic:
            self.newton.formulation = muSpectre.Formulation.small_strain
        self.newton.initialise_cell()

    def _fill(self, phase: Any, table: Any) -> None:
        names = muSpectre.material
        kind = names.MaterialLinearElasticGeneric1_3d if self.elastic else names.MaterialLinearDiffusion_3d
        scale = np.outer(WEIGHT, WEIGHT) if self.elastic else 1.0
        add = {}
        for index in np.unique(phase):
            tensor = np.asfortranarray(table[index] / scale)
            add[int(index)] = kind.make(self.cell, f"phase {index}", tensor).add_pixel
        # The pixels' order is that of a grid with x fastest.
        for pixel, index in enumerate(phase.ravel().tolist()):
            add[index](pixel)

    def solve(self, load: Any, eigenstrain: Any = None) -> tuple[Any, Any]:
        """Gradient and flux, as muSpectre keeps them, under a load and the eigenstrain of each phase, if any."""
        if self.elastic:
            mean = np.zeros((3, 3))
            for (i, j), value in zip(PAIRS, load / WEIGHT, strict=True):
                mean[i, j] = mean[j, i] = value
        else:
            mean = load.reshape(3, 1)
        extra = () if eigenstrain is None else (self._subtracts(eigenstrain),)
        result = self.newton.solve_load_increment(np.asfortranarray(mean), *extra)
        if not result.success:
            raise RuntimeError(f"no convergence after {self.krylov.counter} iterations: {result.message}")
        return result.grad, result.stress

    def _subtracts(self, eigenstrain: Any) -> Any:
        """Function that takes the eigenstrain of each phase from the strain."""
        matrices = np.zeros((len(eigenstrain), 3, 3))
        for place, (i, j) in enumerate(PAIRS):
            matrices[:, i, j] = matrices[:, j, i] = eigenstrain[:, place] / WEIGHT[place]
        # Shape (3, 3, nx, ny, nz); the strain has its quadrature points before the voxels.
        field = matrices[self.phase.transpose()].transpose(3, 4, 0, 1, 2)

        def subtract(strain: Any) -> None:
            strain[...] -= field[:, :, None]

        return subtract

    def components(self, values: Any) -> Any:
        """Mandel or vector components of a field, shape (components, quadrature points, voxels)."""
        points = len(self.weights)
        if not self.elastic:
            return np.asarray(values).reshape((3, points, -1), order="F")
        matrix = np.asarray(values).reshape((3, 3, points, -1), order="F")
        return np.array([w * matrix[i, j] for (i, j), w in zip(PAIRS, WEIGHT, strict=True)])

    def mean(self, field: Any) -> Any:
        """Mean over quadrature points and voxels of a field of shape (..., points, voxels)."""
        return field.mean(axis=-1) @ (np.array(self.weights) / np.sum(self.weights))


def peak() -> int:
    """Most memory that this process has held, bytes."""
    status = Path("/proc/self/status")
    if status.is_file():
        # What getrusage says was handed down by the process that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(source: str, target: str) -> None:
    """Solve every load of the problem in file `source` and write what was found to `target`."""
    given = np.load(source)
    phase, table = given["phase"], given["table"]
    scheme, tolerance, pairs = str(given["scheme"]), float(given["tolerance"]), bool(given["energies"])
    loads = table.shape[1]
    found: dict[str, Any] = {"tensor": np.zeros((loads, loads)), "memory_before": peak()}
    wall, cpu, iterations, memory = [], [], [], 0
    energies = np.zeros((loads, loads))
    with tempfile.TemporaryDirectory() as folder:
        kept: list[Path] = []
        for row in range(loads):
            solver = Solver(phase, table, scheme, tolerance)
            start = time.perf_counter(), time.process_time()
            strain, stress = solver.solve(np.eye(loads)[row])
            wall.append(time.perf_counter() - start[0])
            cpu.append(time.process_time() - start[1])
            iterations.append(solver.krylov.counter)
            # What follows is ours, not the solver's.
            memory = memory or peak()
            flux = solver.components(stress)
            found["tensor"][row] = solver.mean(flux)
            if pairs:
                kept.append(Path(folder) / f"{row}.npy")
                np.save(kept[-1], solver.components(strain))
                for column, path in enumerate(kept):
                    # Energy of the pair.
                    energy = solver.mean((flux * np.load(path)).sum(axis=0))
                    energies[row, column] = energies[column, row] = energy
            del solver, strain, stress, flux
            gc.collect()
    if "eigenstrain" in given:
        solver = Solver(phase, table, scheme, tolerance)
        found["held_stress"] = solver.mean(
            solver.components(solver.solve(np.zeros(6), given["eigenstrain"])[1])
        )
    found.update(wall=wall, cpu=cpu, iterations=iterations, memory=memory)
    found.update({"energies": energies} if pairs else {})
    np.savez(target, **found)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
