"""Stage 4: relaxed cell and elastic constants at 0 K, with the gate of Born stability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage


class ElasticityWorkChain(WorkerStage):
    """Relax the cell and compute its stiffness by every member of the committee."""

    TASK = "elasticity"
    RANKS = 0


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    return dict(study["elasticity"])


def _needs(study: Mapping[str, Any]) -> str:
    return "relaxation and strains by every member"


STAGE = Stage(
    name="elasticity",
    title="Relaxation and elasticity",
    process="hashigo.elasticity",
    files={"structure": "structure", "frames": "reference", "potential": "potential"},
    parameters=_parameters,
    task="elasticity",
    needs=_needs,
)
