"""Conductivity of one crystal over the study's meshes, and on its coarse mesh."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phono3py import Phono3py

from hashigo.calculators.workers.lattice.direct import BeyondRelaxation, beyond_relaxation
from hashigo.calculators.workers.lattice.mesh_series import MeshSeries, check_meshes
from hashigo.calculators.workers.lattice.transport import Modes
from hashigo.calculators.workers.lattice.wave_vectors import Work, mode_properties

Floats = NDArray[np.float64]

#: The setting that leaves the meshes to be found.
AUTO = "auto"
#: Shares of the tolerance; the sum of their squares is one.
SHARES = {"mesh": 0.8, "cutoff": 0.5, "sampling": 0.33}
#: Fewest meshes of which the limit is believed.
_FOR_A_LIMIT = 4
#: A mesh is finer than the one before by this share, or by two wave vectors.
_GROWTH = 0.15
#: Meshes at the end of the series whose modes are kept: those that the error is estimated from.
_KEPT = 3


def coarse_modes(crystal: Phono3py, settings: Mapping[str, Any]) -> Modes:
    """Modes on the coarse mesh.

    Args:
        crystal: with force constants of second and third order.
        settings: complete, of the task; temperatures in K.
    """
    mesh, temperatures = int(settings["coarse_mesh"]), settings["temperatures"]
    modes = mode_properties(crystal, mesh, temperatures, isotopes=bool(settings["isotopes"]))
    return modes.bounded(settings["boundary"])


def other_methods(crystal: Phono3py, settings: Mapping[str, Any]) -> BeyondRelaxation | str:
    """Direct solution and Wigner coherences on the coarse mesh, or a sentence why not.

    Args:
        crystal: with force constants of second and third order.
        settings: complete, of the task; temperatures in K.
    """
    if not settings["beyond_relaxation"]:
        return "the study does not ask for other methods than the relaxation-time approximation"
    mesh, temperatures = int(settings["coarse_mesh"]), settings["temperatures"]
    return beyond_relaxation(crystal, mesh, temperatures, isotopes=bool(settings["isotopes"]))


def isotropic(modes: Modes) -> Floats:
    """A third of the trace of the conductivity, shape (n_temperatures,), W/(m K)."""
    return np.asarray(modes.conductivity().trace(axis1=1, axis2=2) / 3)


def expected_meshes(settings: Mapping[str, Any]) -> list[int]:
    """Meshes of the settings, or a guess at those that will be found to be needed, count; for telling the progress.

    Args:
        settings: complete, of the task.
    """
    if settings["meshes"] != AUTO:
        return [int(mesh) for mesh in settings["meshes"]]
    return [mesh for mesh in (7, 9, 11, 13, 15, 17) if mesh <= int(settings["largest_mesh"])] or [7]


class Meshes:
    """Which meshes are computed: those given, or ever finer ones until the limit is known or the budget is spent.

    Args:
        settings: complete, of the task; budget in core·h.
        work: how it is shared; the ranks' CPU time counts.

    Attributes:
        stopped: what ended it before that, in words; "" while nothing has.
    """

    def __init__(self, settings: Mapping[str, Any], work: Work) -> None:
        self._auto = settings["meshes"] == AUTO
        self._given = (
            [] if self._auto else [int(m) for m in check_meshes(settings["meshes"], "conductivity.meshes")]
        )
        self._first = int(settings["coarse_mesh"])
        self._largest = int(settings["largest_mesh"])
        self._core_seconds = 3600 * float(settings["core_hours"])
        self._due = SHARES["mesh"] * float(settings["tolerance"])
        self._work = work
        self._spent = 0.0
        self._cost = 0.0
        self.stopped = ""

    def following(self, done: MeshSeries | None) -> int | None:
        """The next mesh, count of wave vectors along each reciprocal vector; None when there is none.

        Args:
            done: what was computed so far; None at first.
        """
        number = 0 if done is None else len(done.meshes)
        if not self._auto:
            return self._given[number] if number < len(self._given) else None
        if done is None:
            return self._first
        if number >= _FOR_A_LIMIT and done.limit_converged(self._due):
            return None
        last = int(done.meshes[-1])
        mesh = last + 2 * max(1, round(_GROWTH * last / 2))
        if mesh > self._largest:
            self.stopped = f"conductivity.budget.largest_mesh is {self._largest}"
        elif self._spent + self._cost * (mesh / last) ** 6 > self._core_seconds:
            self.stopped = (
                f"mesh {mesh} would be beyond conductivity.budget.core_hours of {self._core_seconds / 3600:g}"
            )
        return None if self.stopped else mesh

    def spent(self, mesh: int, seconds: float) -> None:
        """Tell what a mesh has cost; what it cost in an earlier try counts too.

        Args:
            mesh: count of wave vectors along each reciprocal vector.
            seconds: CPU time of this rank, s.
        """
        name = f"cost-{mesh}"
        before = self._work.saved.load(name) if self._work.comm.rank == 0 else None
        here = max(seconds, float(before["seconds"])) if before else seconds
        if self._work.comm.rank == 0 and not before:
            self._work.saved.save(name, {"seconds": np.array(seconds)})
        self._cost = float(sum(self._work.comm.allgather(here)))
        self._spent += self._cost


def mesh_series(
    crystal: Phono3py, coarse: Modes | None, settings: Mapping[str, Any], work: Work
) -> tuple[MeshSeries, dict[int, Modes], str]:
    """Conductivity over the meshes; the coarse mesh is not computed again.

    Args:
        crystal: with force constants of second and third order, on every rank.
        coarse: its modes on the coarse mesh, on rank 0.
        settings: complete, of the task; temperatures in K.
        work: how it is shared and kept.

    Returns:
        The series, the modes of the last meshes, and what ended it before it was converged ("" when nothing did).

    Raises:
        PartialResult: when the job is to end before all is done; on every rank.
    """
    meshes = Meshes(settings, work)
    coarse = work.comm.bcast(coarse)
    series: MeshSeries | None = None
    kept: dict[int, Modes] = {}
    while mesh := meshes.following(series):
        begin, modes = time.process_time(), coarse
        if mesh != int(settings["coarse_mesh"]) or modes is None:
            modes = mode_properties(
                crystal, mesh, settings["temperatures"], isotopes=bool(settings["isotopes"]), work=work
            ).bounded(settings["boundary"])
        meshes.spent(mesh, time.process_time() - begin)
        work.progress(mesh, 1.0)
        new = modes.conductivity()[None]
        series = MeshSeries(
            np.array([mesh]) if series is None else np.append(series.meshes, mesh),
            new if series is None else np.concatenate([series.conductivity, new]),
        )
        kept = {number: kept[number] for number in list(kept)[1 - _KEPT :]} | {mesh: modes}
    assert series is not None
    return series, kept, meshes.stopped
