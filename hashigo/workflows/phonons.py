"""Stage 5: harmonic phonons by symfc on the frames and by the potential, with the gate of stability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hashigo.workflows.stage import Stage, WorkerStage, has_section


class PhononsWorkChain(WorkerStage):
    """Compute force constants, bands, DOS and thermal properties."""

    TASK = "phonons"
    RANKS = 0


def _parameters(study: Mapping[str, Any]) -> dict[str, Any]:
    return {**study["phonons"], "seed": study["seed"]}


def _needs(study: Mapping[str, Any]) -> str:
    return f"bands, DOS and thermal properties by three routes, supercell {study['phonons']['supercell']}"


def _judged_elsewhere(study: Mapping[str, Any]) -> tuple[str, ...]:
    # A strongly anharmonic crystal may have imaginary harmonic modes: the renormalised ones are judged.
    return ("imaginary_mode",) if has_section("sscha")(study) else ()


STAGE = Stage(
    name="phonons",
    title="Phonons",
    process="hashigo.phonons",
    files={
        "structure": "reference.structure",
        "frames": "reference",
        "potential": "potential",
        "elasticity": "elasticity",
    },
    parameters=_parameters,
    task="phonons",
    needs=_needs,
    judged_elsewhere=_judged_elsewhere,
)
