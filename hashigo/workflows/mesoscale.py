"""Stage 8: effective stiffness and conductivity of a periodic polycrystal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage

#: What a realisation of each kind of microstructure is called.
_NAMES = {
    "voronoi": "polycrystals",
    "laguerre": "polycrystals",
    "inclusions": "composites",
    "laminate": "laminates",
}


def most_planes(voxels: Any) -> int:
    """Count of ranks that a grid can be shared by: each holds a plane of voxels, and in Fourier space a row.

    Args:
        voxels: number along each edge, or along x, y, z.
    """
    return int(voxels) if isinstance(voxels, int) else int(min(voxels[1:]))


class MesoscaleWorkChain(WorkerStage):
    """Homogenise random polycrystals, with phonons scattered at grain boundaries."""

    TASK = "mesoscale"

    @classmethod
    def most_ranks(cls, parameters: Mapping[str, Any]) -> int:
        """Count of MPI ranks: each needs a plane of voxels.

        Args:
            parameters: of the stage.
        """
        return most_planes(parameters["voxels"])


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    # Temperatures and electrons come with the table.
    section = {key: v for key, v in study["mesoscale"].items() if key not in ("temperatures", "electronic")}
    return {**section, "seed": study["seed"]}


def _needs(study: Mapping[str, Any]) -> str:
    section = study["mesoscale"]
    voxels = section["voxels"]
    shown = f"{voxels}^3" if isinstance(voxels, int) else "×".join(str(number) for number in voxels)
    return f"{section['realisations']} {_NAMES[section['microstructure']['kind']]} of {shown} voxels"


STAGE = Stage(
    name="mesoscale",
    title="Mesoscale",
    process="hashigo.mesoscale",
    files={"handover": "handover", "conductivity": "conductivity"},
    parameters=_parameters,
    task="mesoscale",
    needs=_needs,
)
