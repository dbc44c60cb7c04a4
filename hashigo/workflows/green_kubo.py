"""Optional stage: thermal conductivity from the heat flux at equilibrium, where the study has a section on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage, has_section


class GreenKuboWorkChain(WorkerStage):
    """Run trajectories by LAMMPS with the engine's own potential, and analyse their heat flux."""

    TASK = "green_kubo"
    RANKS = 0
    PROGRAM = "lmp"


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    reference = study["reference"]
    engine = {"name": reference["engine"], "settings": reference["settings"]}
    return {**study["green_kubo"], "engine": engine, "seed": study["seed"]}


def _needs(study: Mapping[str, Any]) -> str:
    section = study["green_kubo"]
    count = len(section["temperatures"]) * section["seeds"]
    return f"{count} trajectories of {section['duration']:g} ps by LAMMPS"


STAGE = Stage(
    name="green_kubo",
    title="Green-Kubo conductivity",
    process="hashigo.green_kubo",
    files={"structure": "structure"},
    parameters=_parameters,
    task="green_kubo",
    needs=_needs,
    gates=("phonons",),  # an unstable crystal has no conductivity
    wanted=has_section("green_kubo"),
)
