"""Our own solver behind the interface of periodic problems."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from typing import Any

from hashigo.calculators.workers.homogenization.interface import (
    ROTATED,
    Homogenizer,
    Outcome,
    PeriodicProblem,
)
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import ElasticMedium, ThermalMedium
from hashigo.calculators.workers.job import SerialComm


def solve(problem: PeriodicProblem, tolerance: float, options: Mapping[str, Any] | None = None) -> Outcome:
    """Effective tensor by our solver, on one rank.

    Args:
        problem: what to homogenise.
        tolerance: relative residual of each load, dimensionless.
        options: none.

    Returns:
        Tensor from energies of pairs of solutions; wall and CPU time are those of all loads together.

    Raises:
        InputError: when a tensor is not positive definite.
        WorkerError: when a load does not converge.
    """
    nz, ny, nx = problem.phase.shape
    slabs = Slabs((nz, ny, nx), SerialComm())
    medium = (ElasticMedium if problem.loads == 6 else ThermalMedium)(
        slabs, problem.phase, problem.table, problem.labels
    )
    wall, cpu = time.perf_counter(), time.process_time()
    found = medium.effective(tolerance)
    return Outcome(
        tensor=found.tensor,
        iterations=tuple(found.iterations),
        wall=(time.perf_counter() - wall,),
        cpu=(time.process_time() - cpu,),
        memory=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        energies=found.tensor,
    )


HOMOGENIZER = Homogenizer(
    name="hashigo",
    title="Hashigo",
    discretisation=ROTATED,
    solve=solve,
)
