"""Optional stage: force constants renormalised by temperature, where the study has a section on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage, has_section


class SschaWorkChain(WorkerStage):
    """Iterate to self-consistent force constants at each temperature; the gate of stability is judged on them."""

    TASK = "sscha"

    @classmethod
    def most_ranks(cls, parameters: Mapping[str, Any]) -> int:
        """Count of MPI ranks that the job can use: one a temperature.

        Args:
            parameters: of the stage.
        """
        return len(parameters["temperatures"])


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    return {**study["sscha"], "seed": study["seed"]}


def _needs(study: Mapping[str, Any]) -> str:
    section = study["sscha"]
    return (
        f"{section['iterations']} iterations of {section['snapshots']} supercells at "
        f"{len(section['temperatures'])} temperatures"
    )


STAGE = Stage(
    name="sscha",
    title="Renormalised force constants",
    process="hashigo.sscha",
    files={"frames": "reference", "potential": "potential", "elasticity": "elasticity"},
    parameters=_parameters,
    task="sscha",
    needs=_needs,
    wanted=has_section("sscha"),
)
