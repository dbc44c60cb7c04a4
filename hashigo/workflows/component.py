"""Optional stage: a component that is heated and cooled, where the study has a section on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage, has_section


class ComponentWorkChain(WorkerStage):
    """Follow temperatures and thermal stress of a component in time; one rank computes."""

    TASK = "component"


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    return dict(study["component"])


def _needs(study: Mapping[str, Any]) -> str:
    section = study["component"]
    body = "a mask of voxels" if section["size"] is None else "x".join(map(str, section["cells"])) + " cells"
    stress = "" if section["stress_free_temperature"] is None else ", and thermal stress"
    return f"{section['duration']:g} s of heat conduction in {body}{stress}"


STAGE = Stage(
    name="component",
    title="Component",
    process="hashigo.component",
    files={"handover": "handover", "mesoscale": "mesoscale"},
    given=("body",),
    parameters=_parameters,
    task="component",
    needs=_needs,
    wanted=has_section("component"),
)
