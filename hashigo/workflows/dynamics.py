"""Optional stage: molecular dynamics with the mean potential, where the study has a section on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage, has_section


class DynamicsWorkChain(WorkerStage):
    """Run trajectories at every temperature and volume, and average over them."""

    TASK = "dynamics"
    RANKS = 0


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    return {**study["dynamics"], "seed": study["seed"]}


def _needs(study: Mapping[str, Any]) -> str:
    section = study["dynamics"]
    cells = 1 if section["ensemble"] == "npt" else len(section["volumes"])
    count = cells * len(section["temperatures"]) * section["seeds"]
    time = section["equilibration"] + section["production"]
    return f"{count} {'trajectory' if count == 1 else 'trajectories'} of {time:g} ps"


STAGE = Stage(
    name="dynamics",
    title="Molecular dynamics",
    process="hashigo.dynamics",
    files={"elasticity": "elasticity", "phonons": "phonons", "potential": "potential"},
    parameters=_parameters,
    task="dynamics",
    needs=_needs,
    wanted=has_section("dynamics"),
)
