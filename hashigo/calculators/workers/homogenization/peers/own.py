"""Our own solver behind the interface of periodic problems."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from hashigo.calculators.workers.homogenization.interface import (
    HEXAHEDRA,
    ROTATED,
    Homogenizer,
    Outcome,
    PeriodicProblem,
)
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium, best_scheme
from hashigo.calculators.workers.job import SerialComm


def discretisation(problem: PeriodicProblem, scheme: str | None = None) -> str:
    """That of a problem.

    Args:
        problem: what is homogenised.
        scheme: "rotated" or "hexahedra"; None for the one that serves the problem.
    """
    return HEXAHEDRA if (scheme or best_scheme(problem.table)) == "hexahedra" else ROTATED


def solve(problem: PeriodicProblem, tolerance: float, options: Mapping[str, Any] | None = None) -> Outcome:
    """Effective tensor by our solver, on one rank.

    Args:
        problem: what to homogenise.
        tolerance: relative residual of each load, dimensionless.
        options: "scheme", rotated or hexahedra, where given.

    Returns:
        Tensor from energies of pairs of solutions; wall and CPU time are those of all loads together.

    Raises:
        InputError: when a tensor is not positive definite.
        WorkerError: when a load does not converge.
    """
    nz, ny, nx = problem.phase.shape
    slabs = Slabs((nz, ny, nx), SerialComm())
    scheme = (options or {}).get("scheme")
    medium = (ElasticMedium if problem.loads == 6 else ThermalMedium)(
        slabs, problem.phase, problem.table, problem.labels, scheme=scheme
    )
    wall, cpu = time.perf_counter(), time.process_time()
    found = medium.effective(tolerance)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    held = None
    if problem.eigenstrain is not None:
        still = np.zeros(6)
        potential = medium.solve(still, tolerance, eigenstrain=problem.eigenstrain).potential
        held = medium.flux(potential, still, problem.eigenstrain).mean(axis=(1, 2, 3))
    return Outcome(
        tensor=found.tensor,
        iterations=tuple(found.iterations),
        wall=(wall,),
        cpu=(cpu,),
        memory=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        energies=found.tensor,
        discretisation=discretisation(problem, scheme),
        held_stress=held,
    )


HOMOGENIZER = Homogenizer(
    name="hashigo",
    title="Hashigo",
    discretisation=ROTATED,
    solve=solve,
    options={"scheme": "rotated or hexahedra; else the one that serves the problem"},
)
