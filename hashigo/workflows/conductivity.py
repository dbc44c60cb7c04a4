"""Stage 6: lattice thermal conductivity by the relaxation-time approximation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage


class ConductivityWorkChain(WorkerStage):
    """Compute third-order force constants and the conductivity on a series of meshes."""

    TASK = "conductivity"
    RANKS = 0


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    settings = dict(study["conductivity"])
    budget = settings.pop("budget")
    return {**settings, **budget, "seed": study["seed"]}


def _needs(study: Mapping[str, Any]) -> str:
    source = {"reference": " from the reference's frames", "sscha": " from renormalised force constants"}.get(
        study["conductivity"].get("force_constants"), ""
    )
    cell = f", supercell {study['conductivity']['supercell']}"
    meshes = study["conductivity"]["meshes"]
    if meshes == "auto":
        budget = study["conductivity"]["budget"]
        most = f"{budget['core_hours']:g} core·h at most"
        return f"q-meshes up to {budget['largest_mesh']}, {most}, until converged{cell}{source}"
    return f"q-meshes {list(meshes)}{cell}{source}"


STAGE = Stage(
    name="conductivity",
    title="Thermal conductivity",
    process="hashigo.conductivity",
    files={
        "structure": "reference.structure",
        "frames": "reference",
        "potential": "potential",
        "elasticity": "elasticity",
    },
    parameters=_parameters,
    task="conductivity",
    needs=_needs,
    gates=("phonons",),  # an unstable crystal has no conductivity
    optional={"sscha": "sscha"},
)
