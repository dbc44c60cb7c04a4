"""Conductivity of one crystal over the study's meshes, and on its coarse mesh."""

from __future__ import annotations

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


def mesh_series(
    crystal: Phono3py, coarse: Modes | None, settings: Mapping[str, Any], work: Work
) -> tuple[MeshSeries, dict[int, Modes]]:
    """Conductivity over the meshes, and the modes of the last ones; the coarse mesh is not computed again.

    Args:
        crystal: with force constants of second and third order, on every rank.
        coarse: its modes on the coarse mesh, on rank 0.
        settings: complete, of the task; temperatures in K.
        work: how it is shared and kept.

    Raises:
        PartialResult: when the job is to end before all is done; on every rank.
    """
    meshes = check_meshes(settings["meshes"], "conductivity.meshes")
    coarse = work.comm.bcast(coarse)
    values = []
    kept: dict[int, Modes] = {}
    for mesh in (int(number) for number in meshes):
        modes = coarse
        if mesh != int(settings["coarse_mesh"]) or modes is None:
            modes = mode_properties(
                crystal, mesh, settings["temperatures"], isotopes=bool(settings["isotopes"]), work=work
            ).bounded(settings["boundary"])
        work.progress(mesh, 1.0)
        values.append(modes.conductivity())
        if mesh in meshes[-_KEPT:]:
            kept[mesh] = modes
    return MeshSeries(meshes, np.array(values)), kept
