"""Stage 8: effective stiffness and conductivity of a periodic polycrystal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage

#: What a realisation of each kind of microstructure is called.
_NAMES = {
    "voronoi": "polycrystal",
    "laguerre": "polycrystal",
    "inclusions": "composite",
    "laminate": "laminate",
    "file": "sample",
}


#: Keys that name files, or tell how they are read.
_READ = ("file", "orientations", "phases", "periodic", "pieces")


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
        voxels, search = parameters["voxels"], parameters.get("representative")
        if search is None:
            return most_planes(voxels)
        # The search begins with a smaller sample, of which an edge of one voxel stays.
        axes = 3 if isinstance(voxels, int) else max(1, sum(number > 1 for number in voxels))
        smallest = min(1.0, (search["fewest_grains"] / parameters["grains"]) ** (1 / axes))
        return max(1, round(most_planes(voxels) * smallest))


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    # Temperatures and electrons come with the table, and what was read from files with a file.
    section = {key: v for key, v in study["mesoscale"].items() if key not in ("temperatures", "electronic")}
    arranged = {k: v for k, v in section["microstructure"].items() if k not in _READ}
    texture = {k: v for k, v in section["texture"].items() if k not in _READ}
    return {**section, "microstructure": arranged, "texture": texture, "seed": study["seed"]}


def _needs(study: Mapping[str, Any]) -> str:
    section = study["mesoscale"]
    voxels = section["voxels"]
    shown = f"{voxels}^3" if isinstance(voxels, int) else "×".join(str(number) for number in voxels)
    count, name = section["realisations"], _NAMES[section["microstructure"]["kind"]]
    return f"{count} {name}{'' if count == 1 else 's'} of {shown} voxels"


STAGE = Stage(
    name="mesoscale",
    title="Mesoscale",
    process="hashigo.mesoscale",
    files={"handover": "handover", "conductivity": "conductivity"},
    optional={"expansion": "expansion"},
    parameters=_parameters,
    task="mesoscale",
    needs=_needs,
    given=("microstructure",),
)
