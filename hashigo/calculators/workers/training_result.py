"""The result file of a committee of polynomial potentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.extrapolation import TrainedRegion
from hashigo.calculators.workers.fitting import ENERGY, FORCE, RIDGES, SCALES, STRESS
from hashigo.calculators.workers.polynomial import pack_text, polynomial_text
from hashigo.calculators.workers.training_record import (
    calibration_note,
    training_note,
    write_gate,
    write_parity,
)

if TYPE_CHECKING:
    from hashigo.calculators.workers.training import Training

Floats = NDArray[np.float64]

_METHOD = (
    "cross-fitting over the training frames; members are draws from the posterior of the coefficients, their distance "
    "from the mean scaled so that it covers 68.3 % of the cross-fitted force errors"
)


@dataclass(frozen=True)
class Inputs:
    """What a committee was trained from.

    Attributes:
        frames: those of the crystal.
        parameters: of `polymlp_parameters`.
        settings: complete, of `training.check_settings`.
        energies: of the free atoms by element, eV.
        source: where they are from, in words.
    """

    frames: Sequence[Frame]
    parameters: Any
    settings: Mapping[str, Any]
    energies: Mapping[str, float]
    source: str


def write(path: Path, training: Training, inputs: Inputs, region: TrainedRegion, task_version: int) -> None:
    """Write the result file of the task.

    Args:
        path: file to write.
        training: the committee.
        inputs: what it was trained from.
        region: in which it was trained.
        task_version: number of the task's version.
    """
    with ResultWriter(path, task="training", task_version=task_version) as writer:
        _write_models(writer, training, inputs.parameters)
        error = write_parity(writer, training.said, training.train, training.test)
        writer.note("training", _summary(training, inputs))
        note = calibration_note(training.calibration, training.said, training.test, _METHOD)
        writer.note("calibration", note)
        writer.note("region", asdict(region))
        fix = "add reference frames or raise potential.cutoff"
        write_gate(writer, error, inputs.settings["max_force_error"], fix)


def _write_models(writer: ResultWriter, training: Training, parameters: Any) -> None:
    for name, coefficients in [
        ("potential/mean", training.mean),
        *((f"potential/members/{index}", member) for index, member in enumerate(training.members)),
    ]:
        writer.array(name, pack_text(polynomial_text(parameters[0], coefficients)), units="dimensionless")


def _summary(training: Training, inputs: Inputs) -> dict[str, Any]:
    common = training_note(inputs.frames, training.train, training.test, inputs.energies, inputs.source)
    return {
        **common,
        "n_features": int(training.design.features.shape[1]),
        "members": len(training.members),
        "alpha": training.ridge,
        "alpha_selection": "cross-validation over training frames, stratified by kind",
        "alphas": RIDGES.tolist(),
        "alpha_scores": training.scores.tolist(),
        "committee": "draws from the posterior of the coefficients",
        "row_scales": {"energy_ev_per_atom": SCALES[ENERGY], "force_ev_per_angstrom": SCALES[FORCE],
                       "stress_ev_per_cubic_angstrom": SCALES[STRESS]},
        "settings": {key: value for key, value in inputs.settings.items() if key != "atomic_energies"},
    }  # fmt: skip
