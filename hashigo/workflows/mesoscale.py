"""Stage 8: effective stiffness and conductivity of a periodic polycrystal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage


class MesoscaleWorkChain(WorkerStage):
    """Homogenise random polycrystals, with phonons scattered at grain boundaries."""

    TASK = "mesoscale"

    @classmethod
    def most_ranks(cls, parameters: Mapping[str, Any]) -> int:
        """Count of MPI ranks: each needs a plane of voxels.

        Args:
            parameters: of the stage.
        """
        return int(parameters["voxels"])


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    # Temperatures and electrons come with the table.
    section = {key: v for key, v in study["mesoscale"].items() if key not in ("temperatures", "electronic")}
    return {**section, "seed": study["seed"]}


def _needs(study: Mapping[str, Any]) -> str:
    return f"{study['mesoscale']['realisations']} polycrystals of {study['mesoscale']['voxels']}^3 voxels"


STAGE = Stage(
    name="mesoscale",
    title="Mesoscale",
    process="hashigo.mesoscale",
    files={"handover": "handover", "conductivity": "conductivity"},
    parameters=_parameters,
    task="mesoscale",
    needs=_needs,
)
