"""Optional stage: elastic constants at temperature, where the study has a section on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage, has_section

#: What the vibrations have in common with those of the thermal expansion, so that their cells are in equilibrium.
SHARED = ("supercell", "mesh", "imaginary_tolerance")


class ThermoelasticityWorkChain(WorkerStage):
    """Derive the free energy by strain at the cell of each temperature."""

    TASK = "thermoelasticity"
    RANKS = 0


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    return {**study["thermoelasticity"], **{name: study["expansion"][name] for name in SHARED}}


def _needs(study: Mapping[str, Any]) -> str:
    return "vibrations of strained cells along the thermal path, by every member"


STAGE = Stage(
    name="thermoelasticity",
    title="Elasticity at temperature",
    process="hashigo.thermoelasticity",
    files={
        "structure": "reference.structure",
        "frames": "reference",
        "potential": "potential",
        "elasticity": "elasticity",
        "expansion": "expansion",
    },
    parameters=_parameters,
    task="thermoelasticity",
    needs=_needs,
    gates=("phonons",),
    wanted=has_section("thermoelasticity"),
)
