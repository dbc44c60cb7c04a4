"""Task "training": a committee of polynomial potentials from reference frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame, check_frame, read_frames, read_header
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.fitting import (
    ENERGY,
    FORCE,
    RIDGES,
    SCALES,
    STRESS,
    DesignMatrix,
    Ridge,
    atomic_energies,
    design_matrix,
    polymlp_parameters,
)
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.polynomial import pack_text, polynomial_text
from hashigo.calculators.workers.resampling import Indices, groups, resample, split, stratified_folds
from hashigo.errors import InputError

TASK_VERSION = 2

Floats = NDArray[np.float64]

#: Folds of the cross-validation that chooses the ridge penalty.
FOLDS = 5
#: With fewer frames nothing is left to resample after one is held out and one folded away.
MIN_FRAMES = 4

#: Parameters and their defaults; lengths in Å, energies in eV, forces in eV/Å, the others dimensionless.
DEFAULTS: dict[str, Any] = {
    "members": 8,
    "cutoff": 6.0,
    "model_type": 3,
    "max_power": 2,
    "invariant_order": 3,
    "invariant_max_l": [8, 8],
    "radial_functions": 10,
    "held_out": 0.2,
    "energy_weight": 1.0,
    "force_weight": 1.0,
    "stress_weight": 1.0,
    "seed": 0,
    "atomic_energies": {},
    "max_force_error": None,
}

#: Name, quantity, unit in the result file and the factor to it, of each kind of row.
_PARITY = {
    ENERGY: ("energy", "energy_error", "eV/atom", 1.0),
    FORCE: ("forces", "force_error", "eV/Å", 1.0),
    STRESS: ("stress", "stress_error", "GPa", 1 / GPa),
}


@dataclass(frozen=True)
class Training:
    """A trained committee.

    Attributes:
        design: rows of all frames.
        train: indices of the training frames, shape (n_train,), dimensionless.
        test: indices of the frames held out, shape (n_test,), dimensionless.
        ridge: strength of the penalty, dimensionless.
        scores: cross-validated error of each strength tried, shape (n_ridges,), dimensionless.
        mean: coefficients of the fit to all training frames, shape (n_features,), eV.
        members: coefficients of the fits to resampled frames, shape (n_members, n_features), eV.
    """

    design: DesignMatrix
    train: Indices
    test: Indices
    ridge: float
    scores: Floats
    mean: Floats
    members: Floats


def run(job: Job) -> None:
    """Train a committee on the input "frames" and write it with its held-out errors.

    Raises:
        InputError: when parameters or frames cannot make a committee.
        MissingComponent: when pypolymlp is not installed.
    """
    if not job.is_root:
        return
    settings = check_settings(job.parameters)
    path = job.inputs["frames"]
    frames, atoms = usable_frames(read_frames(path), Path(path).name)
    energies, source = atomic_energies(frames, atoms, settings["atomic_energies"], read_header(path))
    parameters = polymlp_parameters(sorted(energies), settings, energies)
    training = train_committee(frames, parameters, settings, job)
    errors = {kind: held_out_error(training, kind) for kind in _PARITY}
    with ResultWriter(job.output, task="training", task_version=TASK_VERSION) as writer:
        _write_models(writer, training, parameters)
        _write_parity(writer, training, errors)
        writer.note("training", _summary(training, frames, settings, energies, source))
        _write_gate(writer, errors[FORCE], settings["max_force_error"])
    job.progress(1, 1, "trained")


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check what the study's own validation may not have seen.

    Args:
        parameters: any of `DEFAULTS`; lengths in Å, energies in eV, forces in eV/Å.

    Raises:
        InputError: names the parameter and what to do.
    """
    unknown = sorted(set(parameters) - set(DEFAULTS))
    if unknown:
        raise InputError(
            f"potential.{unknown[0]} is not a parameter of the training",
            fix=f"known are {', '.join(DEFAULTS)}",
        )
    settings = {**DEFAULTS, **parameters}
    if settings["members"] < 2:
        raise InputError(
            f"potential.members is {settings['members']}, and a committee needs at least 2 to have a spread",
            fix="set potential.members to 8 or so",
        )
    if not 0 < settings["held_out"] < 1:
        raise InputError(
            f"potential.held_out is {settings['held_out']}, not a share of the frames between 0 and 1",
            fix="set potential.held_out to 0.2 or so",
        )
    if len(settings["invariant_max_l"]) < settings["invariant_order"] - 1:
        raise InputError(
            f"potential.invariant_max_l has {len(settings['invariant_max_l'])} values, "
            f"and invariants of order {settings['invariant_order']} need {settings['invariant_order'] - 1}",
            fix="give one maximum for each order from 2 on",
        )
    if not settings["cutoff"] > 1.0:
        raise InputError(
            f"potential.cutoff is {settings['cutoff']} Å, too short for any neighbour",
            fix="set it to 5 Å or so",
        )
    for name in ("energy_weight", "force_weight", "stress_weight"):
        if not settings[name] >= 0:
            raise InputError(f"potential.{name} is {settings[name]}, and a weight cannot be negative")
    return settings


def usable_frames(frames: Sequence[Frame], name: str) -> tuple[list[Frame], list[Frame]]:
    """Check frames, and set those of free atoms apart.

    Args:
        frames: all of a file.
        name: the file's name, for messages.

    Returns:
        Frames to train on, and frames of free atoms.

    Raises:
        InputError: when a frame is not finite, or there are too few to train on and hold out.
    """
    for index, frame in enumerate(frames):
        check_frame(frame, index, name)
    atoms = [frame for frame in frames if frame.kind == "atom"]
    bulk = [frame for frame in frames if frame.kind != "atom"]
    if len(bulk) < MIN_FRAMES or all(len(members) < 2 for members in groups([f.kind for f in bulk]).values()):
        raise InputError(
            f"{name} has {len(bulk)} frames to train on, too few to hold one out and resample the others",
            fix=f"give at least {MIN_FRAMES} frames, two or more of a kind; 10 supercells are a fair start",
        )
    bare = [index for index, frame in enumerate(frames) if frame.kind != "atom" and frame.forces is None]
    if bare:
        raise InputError(
            f"frame {bare[0]} of {name} has no forces ({len(bare)} of {len(bulk)} frames have none)",
            fix="compute it with forces or leave it out; energy and stress may be missing",
        )
    return bulk, atoms


def train_committee(
    frames: Sequence[Frame], parameters: Any, settings: Mapping[str, Any], job: Job | None = None
) -> Training:
    """Fit the mean model and the members; all are ridge regressions on one design matrix.

    The penalty minimises the error of a cross-validation over the training frames, so that those held out
    stay unseen. Members are fitted, with the same penalty, to training frames drawn with replacement, each
    kind among its own.

    Args:
        frames: frames to train on and to hold out.
        parameters: of `polymlp_parameters`.
        settings: complete, of `check_settings`.
        job: told of the progress.
    """
    total = len(frames) + settings["members"] + 1

    def tell(done: int, text: str) -> None:
        if job is not None:
            job.progress(done, total, text)

    generator = np.random.default_rng(settings["seed"])
    kinds = [frame.kind for frame in frames]
    train, test = split(kinds, settings["held_out"], generator)
    folds = stratified_folds(kinds, train, FOLDS, generator)
    weights = {
        kind: float(settings[f"{name}_weight"]) for kind, name in enumerate(("energy", "force", "stress"))
    }
    design = design_matrix(frames, parameters, weights, lambda done: tell(done, "features of the frames"))
    regression = Ridge(design, train)
    scores = regression.cross_validate(folds)
    ridge = float(RIDGES[np.argmin(scores)])
    mean = regression.fit(ridge)
    members = []
    for index in range(settings["members"]):
        tell(len(frames) + index + 1, "members of the committee")
        members.append(regression.fit(ridge, resample(kinds, train, generator)))
    return Training(design, train, test, ridge, scores, mean, np.array(members))


def held_out_error(training: Training, kind: int) -> float | None:
    """Root-mean-square error of the mean model on the frames held out.

    Args:
        training: the committee.
        kind: number ENERGY, FORCE or STRESS.

    Returns:
        eV/atom, eV/Å or GPa; None where no frame held out has the value.
    """
    rows = training.design.rows(training.test, kind)
    if not len(rows):
        return None
    residual = training.design.features[rows] @ training.mean - training.design.targets[rows]
    return float(np.sqrt(np.mean(residual**2)) * _PARITY[kind][3])


def _write_gate(writer: ResultWriter, error: float | None, limit: float | None) -> None:
    if limit is None or (error is not None and error <= limit):
        message = ""
    elif error is None:
        message = "no frame held out has forces to judge the potential by"
    else:
        message = (
            f"the potential's force error on held-out frames is {1e3 * error:.1f} meV/Å, "
            f"above the limit of {1e3 * limit:.1f} meV/Å"
        )
    fix = "add reference frames or raise potential.cutoff; or raise potential.max_force_error"
    writer.gate("held_out_error", message, fix=fix, value=error, limit=limit, unit="eV/Å")


def _write_models(writer: ResultWriter, training: Training, parameters: Any) -> None:
    for name, coefficients in [
        ("potential/mean", training.mean),
        *((f"potential/members/{index}", member) for index, member in enumerate(training.members)),
    ]:
        writer.array(name, pack_text(polynomial_text(parameters[0], coefficients)), units="dimensionless")


def _write_parity(writer: ResultWriter, training: Training, errors: Mapping[int, float | None]) -> None:
    design = training.design
    for kind, (name, quantity, unit, factor) in _PARITY.items():
        error = errors[kind]
        if error is not None:
            writer.quantity(quantity, error)
        for prefix, frames in (("", training.test), ("train_", training.train)):
            rows = design.rows(frames, kind)
            votes = design.features[rows] @ training.members.T
            for what, values in (
                ("reference", design.targets[rows]),
                ("predicted", design.features[rows] @ training.mean),
                ("spread", votes.std(axis=1, ddof=1)),
            ):
                writer.array(f"parity/{name}/{prefix}{what}", values * factor, units=unit)


def _summary(
    training: Training,
    frames: Sequence[Frame],
    settings: Mapping[str, Any],
    energies: Mapping[str, float],
    source: str,
) -> dict[str, Any]:
    held_out = set(training.test.tolist())
    return {
        "n_features": int(training.design.features.shape[1]),
        "n_train": len(training.train),
        "n_test": len(training.test),
        "members": len(training.members),
        "alpha": training.ridge,
        "alpha_selection": f"{FOLDS}-fold cross-validation over training frames, stratified by kind",
        "alphas": RIDGES.tolist(),
        "alpha_scores": training.scores.tolist(),
        "committee": "bootstrap over frames within each kind; committee spread, uncalibrated",
        "elements": sorted(energies),
        "atomic_energies": dict(energies),
        "atomic_energies_source": source,
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
