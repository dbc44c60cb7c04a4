"""Stage 3: a committee of polynomial potentials, with held-out errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage


class PotentialWorkChain(WorkerStage):
    """Train a committee of potentials on the reference frames."""

    TASK = "training"
    RANKS = 1


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    potential = study["potential"]
    return {**potential, "seed": study["seed"]}


def _needs(study: Mapping[str, Any]) -> str:
    return f"{study['potential']['members']} members, cut-off {study['potential']['cutoff']:g} Å"


STAGE = Stage(
    name="potential",
    title="Potential",
    process="hashigo.potential",
    files={"frames": "reference", "structure": "structure"},
    parameters=_parameters,
    task="training",
    needs=_needs,
)
