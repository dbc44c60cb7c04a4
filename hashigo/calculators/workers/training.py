"""Task "training": a potential of any kind; here, a committee of polynomial ones with calibrated uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame, read_frames, read_header
from hashigo.calculators.workers.calibration import NO_FORCE, Calibration, calibrate_committee
from hashigo.calculators.workers.extrapolation import trained_region
from hashigo.calculators.workers.fitting import (
    FORCE,
    RIDGES,
    DesignMatrix,
    Ridge,
    atomic_energies,
    design_matrix,
    polymlp_parameters,
)
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.lattice.crystal import read_structure
from hashigo.calculators.workers.models import DEFAULT, get_kind
from hashigo.calculators.workers.resampling import Indices, split, stratified_folds
from hashigo.calculators.workers.training_inputs import COMMON, complete_section, usable_frames
from hashigo.calculators.workers.training_record import Said, Spread
from hashigo.calculators.workers.training_result import Inputs, write
from hashigo.calculators.workers.uncertainty import LinearPosterior
from hashigo.errors import InputError, WorkerError

TASK_VERSION = 4

Floats = NDArray[np.float64]

#: Folds of the cross-validation that chooses the ridge penalty.
FOLDS = 5

#: Parameters of a polynomial potential, and their defaults; lengths in Å, errors in eV/Å, energies in eV.
DEFAULTS: dict[str, Any] = {
    **COMMON,
    "cutoff": 6.0,
    "model_type": 3,
    "max_power": 2,
    "invariant_order": 3,
    "invariant_max_l": [8, 8],
    "radial_functions": 10,
    "energy_weight": 1.0,
    "force_weight": 1.0,
    "stress_weight": 1.0,
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
        posterior: the fit to all training frames.
        calibration: of its uncertainty, by cross-fitting of the training frames.
        members: coefficients drawn from the posterior, shape (n_members, n_features), eV.
    """

    design: DesignMatrix
    train: Indices
    test: Indices
    ridge: float
    scores: Floats
    posterior: LinearPosterior
    calibration: Calibration
    members: Floats

    @property
    def mean(self) -> Floats:
        """Coefficients of the fit to all training frames, shape (n_features,), eV."""
        return self.posterior.coefficients

    def errors(self, frames: Indices, kind: int) -> Floats:
        """Reference minus prediction.

        Args:
            frames: indices of frames, shape (n_frames,), dimensionless.
            kind: number ENERGY, FORCE or STRESS.

        Returns:
            Shape (n_rows,), eV/atom, eV/Å or eV/Å^3.
        """
        rows = self.design.rows(frames, kind)
        return self.design.targets[rows] - self.posterior.predict(self.design.features[rows])

    def said(self, frames: Indices, kind: int) -> Said:
        """Reference, prediction and spread.

        Args:
            frames: indices of frames, shape (n_frames,), dimensionless.
            kind: number ENERGY, FORCE or STRESS.
        """
        rows = self.design.rows(frames, kind)
        features = self.design.features[rows]
        parts = self.posterior.parts(features, self.design.kind[rows])
        votes = features @ self.members.T
        return Said(
            self.design.targets[rows],
            self.posterior.predict(features),
            Spread(votes.std(axis=1, ddof=1), self.calibration.half_widths(parts, kind)),
        )


def run(job: Job) -> None:
    """Train a potential of the kind that the parameter "model" names on the input "frames".

    Raises:
        InputError: when there is no such kind, or parameters or frames do not serve it.
        MissingComponent: when its package is not installed.
        WorkerError: when the training diverges.
    """
    get_kind(job.parameters.get("model", DEFAULT)).run(job)


def run_polynomial(job: Job) -> None:
    """Train a committee of polynomial potentials and write it with its held-out errors.

    The input "structure", the crystal's conventional cell, tells how far the frames' cells are strained; without it
    that is not known.

    Raises:
        InputError: when parameters or frames cannot make a committee.
        MissingComponent: when pypolymlp is not installed.
        WorkerError: when the fit diverged.
    """
    if not job.is_root:
        return
    settings = check_settings(job.parameters)
    path = job.inputs["frames"]
    frames, atoms = usable_frames(read_frames(path), Path(path).name)
    energies, source = atomic_energies(frames, atoms, settings["atomic_energies"], read_header(path))
    parameters = polymlp_parameters(sorted(energies), settings, energies)
    training = train_committee(frames, parameters, settings, job)
    check_fit(training)
    structure = read_structure(job.inputs["structure"]) if "structure" in job.inputs else None
    inputs = Inputs(frames, parameters, settings, energies, source)
    write(job.output, training, inputs, trained_region(frames, structure), TASK_VERSION)
    job.progress(1, 1, "trained")


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in defaults and check what the study's own validation may not have seen.

    Args:
        parameters: any of `DEFAULTS`; lengths in Å, energies in eV, forces in eV/Å.

    Raises:
        InputError: names the parameter and what to do.
    """
    settings = complete_section(parameters, DEFAULTS, "the training")
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


def train_committee(
    frames: Sequence[Frame], parameters: Any, settings: Mapping[str, Any], job: Job | None = None
) -> Training:
    """Fit the mean model, a ridge regression, and draw the members from its posterior.

    The penalty minimises the error of a cross-validation over the training frames, and the same folds calibrate the
    uncertainty, so that those held out stay unseen.

    Args:
        frames: frames to train on and to hold out.
        parameters: of `polymlp_parameters`.
        settings: complete, of `check_settings`.
        job: told of the progress.
    """
    total = len(frames) + 2

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
    scores = Ridge(design, train).cross_validate(folds)
    ridge = float(RIDGES[np.argmin(scores)])
    tell(len(frames), "calibration of the uncertainty")
    calibration = calibrate_committee(design, folds, ridge)
    tell(len(frames) + 1, "members of the committee")
    posterior = LinearPosterior(design, train, ridge)
    members = posterior.draw(settings["members"], generator, calibration.factor)
    return Training(design, train, test, ridge, scores, posterior, calibration, members)


def check_fit(training: Training) -> None:
    """Refuse a fit that diverged: one that is worse on frames held out than no forces at all.

    Args:
        training: the committee.

    Raises:
        WorkerError: with both numbers.
    """
    rows = training.design.rows(training.test, FORCE)
    scale = float(np.sqrt(np.mean(training.design.targets[rows] ** 2))) if len(rows) else 0.0
    # Forces that vanish by symmetry have no scale.
    if scale < NO_FORCE:
        return
    error = float(np.sqrt(np.mean(training.errors(training.test, FORCE) ** 2)))
    if not error < scale:
        raise WorkerError(
            f"the fit diverged: its force error on held-out frames is {error:.3g} eV/Å, and the forces themselves are "
            f"{scale:.3g} eV/Å",
            fix="give more frames, or a smaller model (potential.radial_functions, potential.invariant_max_l)",
        )
