"""Optional stage: quasi-harmonic thermal expansion, where the study has a section on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage, has_section


class ExpansionWorkChain(WorkerStage):
    """Find the cell of least Gibbs energy at each temperature."""

    TASK = "expansion"
    RANKS = 0


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    return dict(study["expansion"])


def _needs(study: Mapping[str, Any]) -> str:
    section = study["expansion"]
    if section["force_constants"] == "reference":
        return "vibrations at the volumes of the reference's frames"
    return f"vibrations at {section['volumes']} volumes by every member"


STAGE = Stage(
    name="expansion",
    title="Thermal expansion",
    process="hashigo.expansion",
    files={
        "structure": "reference.structure",
        "frames": "reference",
        "potential": "potential",
        "elasticity": "elasticity",
    },
    parameters=_parameters,
    task="expansion",
    needs=_needs,
    gates=("phonons",),  # an unstable crystal has no quasi-harmonic expansion
    wanted=has_section("expansion"),
)
