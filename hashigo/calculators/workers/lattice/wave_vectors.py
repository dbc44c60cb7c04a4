"""The wave vectors of a mesh shared among ranks, and taken up again where an earlier try was ended.

phono3py computes the linewidths; what is here is who computes which. The cost of a wave vector is that of its
triplets, about half of the mesh over the order of its little group: it goes with the number of arms of its star.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phono3py import Phono3py
from phonopy.phonon.grid import get_ir_grid_points

from hashigo.calculators.workers.farm import wait_for_all
from hashigo.calculators.workers.job import PartialResult, SerialComm
from hashigo.calculators.workers.lattice.transport import Modes, assemble_modes
from hashigo.calculators.workers.saved import Saved

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: What is kept of a wave vector, as phono3py has it: THz, eV/K, THz, THz·Å, THz^2·Å^2.
FIELDS = ("frequency", "capacity", "width", "velocity", "star")

#: Work of a wave vector that does not depend on its triplets, in arms of its star (measured with silicon).
FIXED_COST = 4
#: Time after which finished wave vectors are written, s.
INTERVAL = 3.0


@dataclass(frozen=True)
class Work:
    """How work is shared, kept and ended.

    Attributes:
        comm: communicator; serial by default.
        saved: where finished pieces are kept; by default nowhere.
        reason: why the job is to end now, in words; "" while it is not.
        progress: told a mesh, and the fraction of it that is done, dimensionless.
    """

    comm: Any = field(default_factory=SerialComm)
    saved: Saved = field(default_factory=Saved)
    reason: Callable[[], str] = lambda: ""
    progress: Callable[[int, float], None] = lambda mesh, fraction: None

    def go_on(self, complete: bool, left: str) -> None:
        """End the job on every rank unless every rank's part is complete.

        Args:
            complete: whether this rank's is.
            left: what is left to be computed, in words.

        Raises:
            PartialResult: on every rank.
        """
        told = self.comm.allgather((complete, self.reason()))
        if not all(done for done, _ in told):
            why = next((reason for _, reason in told if reason), "the job is to end")
            raise PartialResult(
                f"{left} left to be computed: {why}", fix="run the study again: what is finished is kept"
            )


def share(costs: Floats, ranks: int) -> list[Integers]:
    """Indices for each rank, so that the ranks have about the same to do; the longest first.

    Args:
        costs: of each piece of work, shape (n,), dimensionless.
        ranks: count.
    """
    loads = np.zeros(ranks)
    parts: list[list[int]] = [[] for _ in range(ranks)]
    for index in np.argsort(-np.asarray(costs), kind="stable"):
        rank = int(np.argmin(loads))
        loads[rank] += costs[index]
        parts[rank].append(int(index))
    return [np.array(part, dtype=np.int64) for part in parts]


def mode_properties(
    crystal: Phono3py,
    mesh: int,
    temperatures: Sequence[float],
    *,
    isotopes: bool = True,
    work: Work | None = None,
    name: str = "mean",
) -> Modes:
    """Heat capacity, velocity and lifetime of every mode of a mesh; ranks share the wave vectors.

    Args:
        crystal: with force constants of second and third order.
        mesh: count of wave vectors along each reciprocal vector.
        temperatures: K, above 0.
        isotopes: whether the natural mix of isotopes scatters.
        work: how it is shared and kept; by default it is computed at once.
        name: of the crystal, among those whose pieces are kept.

    Returns:
        The same on every rank.

    Raises:
        PartialResult: when the job is to end before all is done; on every rank.
        WorkerError: when phono3py gives numbers that are not finite.
    """
    work = work or Work()
    crystal.mesh_numbers = [mesh] * 3
    crystal.init_phph_interaction()
    irreducible, weights, _ = get_ir_grid_points(crystal.grid)
    points = np.asarray(crystal.grid.grg2bzg[irreducible], dtype=np.int64)
    piece = f"{name}-{mesh}-"
    known = work.comm.bcast(_kept(work.saved, piece) if work.comm.rank == 0 else None)
    left = np.array([index for index in range(len(points)) if index not in known], dtype=np.int64)
    costs = np.asarray(weights, dtype=float) + FIXED_COST
    own = left[share(costs[left], work.comm.size)[work.comm.rank]]

    def solve(some: Integers) -> dict[int, tuple[Floats, ...]]:
        return solve_points(crystal, points, some, temperatures, isotopes)

    before = 1 - costs[left].sum() / costs.sum()
    found = _solve_own(
        own, costs, solve, work, piece, lambda part: work.progress(mesh, before + (1 - before) * part)
    )
    wait_for_all(work.comm)
    every: dict[int, tuple[Floats, ...]] = dict(known)
    for part in work.comm.allgather(found):
        every.update(part)
    missing = len(points) - len(every)
    work.go_on(not missing, f"{missing} of {len(points)} wave vectors of mesh {mesh} are")
    work.progress(mesh, 1.0)
    ordered = [every[index] for index in range(len(points))]
    return assemble_modes(
        ordered, np.asarray(weights, dtype=float), mesh**3 * float(crystal.primitive.volume)
    )


def _solve_own(
    own: Integers,
    costs: Floats,
    solve: Callable[[Integers], dict[int, tuple[Floats, ...]]],
    work: Work,
    piece: str,
    tell: Callable[[float], None],
) -> dict[int, tuple[Floats, ...]]:
    """Solve this rank's wave vectors, so many at a time that some seconds pass between two looks at the clock."""
    found: dict[int, tuple[Floats, ...]] = {}
    total, done, begun, size = costs[own].sum(), 0.0, time.monotonic(), 1
    while len(found) < len(own) and not work.reason():
        some = own[len(found) : len(found) + size]
        new = solve(some)
        work.saved.save(f"{piece}{some[0]}", _packed(new))
        found.update(new)
        done += costs[some].sum()
        tell(float(done / total))
        each = (time.monotonic() - begun) / len(found)
        size = max(1, min(4 * size, int(INTERVAL / max(each, 1e-6))))
    return found


def _packed(found: dict[int, tuple[Floats, ...]]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"index": np.array(list(found), dtype=np.int64)}
    for place, name in enumerate(FIELDS):
        arrays[name] = np.array([values[place] for values in found.values()])
    return arrays


def _kept(saved: Saved, piece: str) -> dict[int, tuple[Floats, ...]]:
    known: dict[int, tuple[Floats, ...]] = {}
    for name in saved.names(piece):
        arrays = saved.load(name)
        if arrays is not None and set(arrays) == {"index", *FIELDS}:
            for row, index in enumerate(arrays["index"]):
                known[int(index)] = tuple(arrays[field][row] for field in FIELDS)
    return known


def solve_points(
    crystal: Phono3py,
    points: Integers,
    piece: Integers,
    temperatures: Sequence[float],
    isotopes: bool,
) -> dict[int, tuple[Floats, ...]]:
    """`FIELDS` of some grid points, by their index.

    Args:
        crystal: with its interaction made ready for the mesh.
        points: phono3py's numbers of the irreducible grid points, shape (n_points,), dimensionless.
        piece: indices of those to be solved, shape (n,), dimensionless.
        temperatures: K.
        isotopes: whether isotopes scatter.
    """
    crystal.run_thermal_conductivity(
        temperatures=list(temperatures), is_isotope=isotopes, grid_points=points[piece], log_level=0
    )
    solved = crystal.thermal_conductivity
    width = solved.gamma[0]
    if isotopes:
        width = width + solved.gamma_isotope[0]
    velocity = np.array(solved.group_velocities)
    # gv_by_gv is summed over the star, and the grid weights are the numbers of its arms.
    star = solved.gv_by_gv / np.asarray(solved.grid_weights)[:, None, None]
    return {
        int(index): (
            np.array(solved.frequencies[row]),
            np.array(solved.mode_heat_capacities[:, row]),
            np.array(width[:, row]),
            velocity[row],
            np.array(star[row]),
        )
        for row, index in enumerate(piece)
    }
