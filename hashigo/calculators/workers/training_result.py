"""What the task "training" writes: models, errors and intervals of every frame, calibration, gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.calibration import LEVELS, coverage, summary, telling, why_not_credible
from hashigo.calculators.workers.extrapolation import TrainedRegion
from hashigo.calculators.workers.fitting import ENERGY, FORCE, RIDGES, SCALES, STRESS
from hashigo.calculators.workers.polynomial import pack_text, polynomial_text
from hashigo.calculators.workers.resampling import groups

if TYPE_CHECKING:
    from hashigo.calculators.workers.training import Training

Floats = NDArray[np.float64]

#: Name, quantity, unit in the result file and the factor to it, of each kind of row.
PARITY = {
    ENERGY: ("energy", "energy_error", "eV/atom", 1.0),
    FORCE: ("forces", "force_error", "eV/Å", 1.0),
    STRESS: ("stress", "stress_error", "GPa", 1 / GPa),
}


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
        _write_parity(writer, training)
        writer.note("training", _summary(training, inputs))
        writer.note("calibration", calibration_note(training))
        writer.note("region", asdict(region))
        fix = "add reference frames or raise potential.cutoff"
        write_gate(writer, held_out_error(training, FORCE), inputs.settings["max_force_error"], fix)


def held_out_error(training: Training, kind: int) -> float | None:
    """Root-mean-square error of the mean model on the frames held out.

    Args:
        training: the committee.
        kind: number ENERGY, FORCE or STRESS.

    Returns:
        eV/atom, eV/Å or GPa; None where no frame held out has the value.
    """
    errors = training.errors(training.test, kind)
    return float(np.sqrt(np.mean(errors**2)) * PARITY[kind][3]) if len(errors) else None


def calibration_note(training: Training) -> dict[str, Any]:
    """Whether and how the uncertainty is calibrated, and what it covers of frames used for nothing else.

    Args:
        training: the committee.
    """
    judged = {kind: one for kind in PARITY if (one := _judged(training, kind)) is not None}
    lacking = training.calibration.lacking or why_not_credible(judged)
    return {
        "calibrated": not lacking,
        "lacking": lacking,
        "method": "cross-fitting over the training frames; members are draws from the posterior of the coefficients, "
        "their distance from the mean scaled so that it covers 68.3 % of the cross-fitted force errors",
        "member_factor": training.calibration.factor,
        "levels": list(LEVELS),
        "scales": summary(training.calibration.scales),
        "held_out": {PARITY[kind][0]: one for kind, one in judged.items()},
    }


def _judged(training: Training, kind: int) -> dict[str, Any] | None:
    design, rows = training.design, training.design.rows(training.test, kind)
    told = telling(design.kind[rows], design.targets[rows])
    if not told.any():
        return None
    errors = training.errors(training.test, kind)[told]
    widths = training.half_widths(training.test, kind)[:, told]
    votes = design.features[rows[told]] @ training.members.T
    found = coverage(errors, widths, widths[0])
    return {
        "members_68": float(np.mean(np.abs(errors) <= votes.std(axis=1, ddof=1))),
        "rows": len(errors),
        "coverage": found["all"],
        "terciles_68": found["groups"],
        "scaled": kind in training.calibration.scales,
    }


def write_gate(writer: ResultWriter, error: float | None, limit: float | None, fix: str) -> None:
    """Write whether the potential is good enough.

    Args:
        writer: of the result.
        error: of forces on the frames held out, eV/Å; None where none has forces.
        limit: largest that is allowed, eV/Å; None for any.
        fix: what makes a better potential.
    """
    if limit is None or (error is not None and error <= limit):
        message = ""
    elif error is None:
        message = "no frame held out has forces to judge the potential by"
    else:
        message = (
            f"the potential's force error on held-out frames is {1e3 * error:.1f} meV/Å, "
            f"above the limit of {1e3 * limit:.1f} meV/Å"
        )
    fix = f"{fix}; or raise potential.max_force_error"
    writer.gate("held_out_error", message, fix=fix, value=error, limit=limit, unit="eV/Å")


def _write_models(writer: ResultWriter, training: Training, parameters: Any) -> None:
    for name, coefficients in [
        ("potential/mean", training.mean),
        *((f"potential/members/{index}", member) for index, member in enumerate(training.members)),
    ]:
        writer.array(name, pack_text(polynomial_text(parameters[0], coefficients)), units="dimensionless")


def _write_parity(writer: ResultWriter, training: Training) -> None:
    design = training.design
    for kind, (name, quantity, unit, factor) in PARITY.items():
        error = held_out_error(training, kind)
        if error is not None:
            writer.quantity(quantity, error)
        for prefix, frames in (("", training.test), ("train_", training.train)):
            rows = design.rows(frames, kind)
            votes = design.features[rows] @ training.members.T
            widths = training.half_widths(frames, kind)
            for what, values in (
                ("reference", design.targets[rows]),
                ("predicted", training.posterior.predict(design.features[rows])),
                ("committee", votes.std(axis=1, ddof=1)),
                ("spread", widths[0]),
                ("interval_95", widths[1]),
            ):
                writer.array(f"parity/{name}/{prefix}{what}", values * factor, units=unit)


def _summary(training: Training, inputs: Inputs) -> dict[str, Any]:
    frames, settings = inputs.frames, inputs.settings
    held_out = set(training.test.tolist())
    return {
        "n_features": int(training.design.features.shape[1]),
        "n_train": len(training.train),
        "n_test": len(training.test),
        "members": len(training.members),
        "alpha": training.ridge,
        "alpha_selection": "cross-validation over training frames, stratified by kind",
        "alphas": RIDGES.tolist(),
        "alpha_scores": training.scores.tolist(),
        "committee": "draws from the posterior of the coefficients",
        "elements": sorted(inputs.energies),
        "atomic_energies": dict(inputs.energies),
        "atomic_energies_source": inputs.source,
        "energies": "parity plots count energies from the free atoms",
        "row_scales": {"energy_ev_per_atom": SCALES[ENERGY], "force_ev_per_angstrom": SCALES[FORCE],
                       "stress_ev_per_cubic_angstrom": SCALES[STRESS]},
        "settings": {key: value for key, value in settings.items() if key != "atomic_energies"},
        "frames": {
            kind: {
                "total": len(members),
                "held_out": len(held_out & set(members.tolist())),
                "without_energy": sum(frames[i].energy is None for i in members),
                "without_forces": sum(frames[i].forces is None for i in members),
                "without_stress": sum(frames[i].stress is None for i in members),
            }
            for kind, members in groups([frame.kind for frame in frames]).items()
        },
        # Indices, free atoms not counted: an identity is a hash by which a guessed frame is recognised.
        "held_out": training.test.tolist(),
    }  # fmt: skip
