"""Task "hyperparameters": the models of a grid by cross-validated error and by the cost of evaluating them.

Chosen is the cheapest model whose weighted error is within one standard error of the best one's. The cost that counts
is a count, estimated from the model's size: equal inputs make equal choices and equal files, which measured times do
not.

Source: Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, 2nd ed. (2009), sec. 7.10, for
cross-validation and the one-standard-error rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from ase.units import GPa
from numpy.typing import NDArray

from hashigo.calculators.frames import Frame, read_frames, read_header
from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.fitting import (
    ENERGY,
    FORCE,
    RIDGES,
    STRESS,
    Ridge,
    atomic_energies,
    design_matrix,
    polymlp_parameters,
)
from hashigo.calculators.workers.job import Job
from hashigo.calculators.workers.resampling import Indices, split, stratified_folds
from hashigo.calculators.workers.training import FOLDS, check_settings
from hashigo.calculators.workers.training_inputs import usable_frames
from hashigo.errors import InputError
from hashigo.study.search import GRID, MAX_CANDIDATES

TASK_VERSION = 2

Floats = NDArray[np.float64]

#: What a feature costs, in basis functions of a neighbour: silicon, cut-offs of 4.5 to 7.5 Å, l up to 10.
FEATURE_COST = 100.0

#: Name, kind of row, unit and factor to it of each error.
ERRORS = (
    ("energy_error", ENERGY, "eV/atom", 1.0),
    ("force_error", FORCE, "eV/Å", 1.0),
    ("stress_error", STRESS, "GPa", 1 / GPa),
)
RULE = "the cheapest model whose weighted error is within one standard error of the best"


@dataclass(frozen=True)
class Score:
    """What cross-validation says of one candidate.

    Attributes:
        n_features: number of features.
        cost: of one evaluation, in basis functions for each atom, dimensionless.
        ridge: strength of the penalty, dimensionless.
        weighted: error of each fold, of weighted rows; shape (n_folds,), dimensionless.
        errors: root-mean-square error of each fold of each of `ERRORS`, shape (3, n_folds), in their units; NaN
            where a fold has no such value.
    """

    n_features: int
    cost: float
    ridge: float
    weighted: Floats
    errors: Floats


def run(job: Job) -> None:
    """Score each candidate of the grid on the input "frames", the ranks sharing them, and write scores and choice.

    Raises:
        InputError: when grid or frames are wrong.
        MissingComponent: when pypolymlp is not installed.
    """
    candidates, settings = candidates_of(job.parameters)
    path = job.inputs["frames"]
    frames, atoms = usable_frames(read_frames(path), Path(path).name)
    energies, _ = atomic_energies(frames, atoms, settings["atomic_energies"], read_header(path))
    own = _share([_weight(candidate) for candidate in candidates], job.comm.size)[job.comm.rank]
    scores = {}
    for count, index in enumerate(own):
        job.progress(count, len(own), f"models cross-validated, of {len(candidates)} in all")
        scores[index] = score(frames, energies, {**settings, **candidates[index]})
    gathered = job.comm.gather(scores)
    if job.is_root:
        found = {index: value for part in gathered for index, value in part.items()}
        _write(job, candidates, [found[index] for index in range(len(candidates))], len(frames))
        job.progress(1, 1, "chosen")


def candidates_of(parameters: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The candidates of a grid, and what they have in common.

    Args:
        parameters: "grid" with a list of values for each of `GRID`, lengths in Å; and any of the training's.

    Raises:
        InputError: names the parameter and what to do.
    """
    grid = dict(parameters.get("grid") or {})
    common = {key: value for key, value in parameters.items() if key != "grid"}
    for name in GRID:
        if not isinstance(grid.get(name), (list, tuple)) or not grid[name]:
            raise InputError(f"potential.search has no values of {name}", fix="give a list of at least one")
    unknown = sorted(set(grid) - set(GRID))
    if unknown:
        raise InputError(f"potential.search.{unknown[0]} is not searched", fix=f"known are {', '.join(GRID)}")
    candidates = [dict(zip(GRID, values, strict=True)) for values in product(*(grid[name] for name in GRID))]
    if len(candidates) > MAX_CANDIDATES:
        raise InputError(
            f"potential.search has {len(candidates)} candidates, more than {MAX_CANDIDATES}",
            fix="give fewer values",
        )
    for candidate in candidates:
        check_settings({**common, **candidate})
    return candidates, check_settings(common)


def score(frames: Sequence[Frame], energies: Mapping[str, float], settings: Mapping[str, Any]) -> Score:
    """Cross-validate one model on the frames that it would be trained on; those held out take no part.

    Args:
        frames: to train on and to hold out.
        energies: of the free atom of each element, eV.
        settings: complete, of `check_settings`.
    """
    parameters = polymlp_parameters(sorted(energies), settings, energies)
    train, folds = folds_of(frames, settings)
    weights = {kind: float(settings[f"{name.split('_')[0]}_weight"]) for name, kind, _, _ in ERRORS}
    # Frames held out are not computed, but keep their indices.
    chosen = [frames[index] for index in train]
    design = design_matrix(chosen, parameters, weights)
    local = [np.searchsorted(train, fold) for fold in folds]
    everything = np.arange(len(train))
    regression = Ridge(design, everything)
    ridge = float(RIDGES[np.argmin(regression.cross_validate(local))])
    weighted, errors = [], []
    for fold in local:
        coefficients = regression.fit(ridge, np.setdiff1d(everything, fold))
        residuals = design.features @ coefficients - design.targets
        rows = design.rows(fold)
        weighted.append(_rms(residuals[rows] * design.weights[rows]))
        errors.append([_rms(residuals[design.rows(fold, kind)]) * factor for _, kind, _, factor in ERRORS])
    n_features = int(design.features.shape[1])
    return Score(
        n_features=n_features,
        cost=evaluation_cost(n_features, settings, _density(chosen)),
        ridge=ridge,
        weighted=np.array(weighted),
        errors=np.array(errors).T,
    )


def folds_of(frames: Sequence[Frame], settings: Mapping[str, Any]) -> tuple[Indices, list[Indices]]:
    """The training frames and their folds, the same as in the training with the same seed.

    Args:
        frames: to train on and to hold out.
        settings: with "held_out", a share, and "seed".

    Returns:
        Indices of the training frames, shape (n_train,), and those of each fold, shapes (n_fold,); dimensionless.
    """
    generator = np.random.default_rng(settings["seed"])
    kinds = [frame.kind for frame in frames]
    train, _ = split(kinds, settings["held_out"], generator)
    return train, stratified_folds(kinds, train, FOLDS, generator)


def evaluation_cost(n_features: int, settings: Mapping[str, Any], density: float) -> float:
    """Estimate what one evaluation costs for each atom: basis functions of its neighbours, and features.

    Args:
        n_features: number of features.
        settings: cutoff [Å], radial_functions, invariant_max_l.
        density: of atoms, 1/Å^3.

    Returns:
        Number of basis functions that cost as much, dimensionless.
    """
    neighbours = density * 4 / 3 * np.pi * float(settings["cutoff"]) ** 3
    angular = (max(settings["invariant_max_l"]) + 1) ** 2
    return float(neighbours * settings["radial_functions"] * angular + FEATURE_COST * n_features)


def choose(errors: Floats, standard_errors: Floats, costs: Floats) -> tuple[int, int]:
    """Apply the one-standard-error rule.

    Args:
        errors: cross-validated error of each candidate, shape (n_candidates,), dimensionless.
        standard_errors: their standard errors over the folds, shape (n_candidates,), dimensionless.
        costs: of one evaluation, shape (n_candidates,), dimensionless.

    Returns:
        Indices of the chosen candidate and of the one with the least error.
    """
    best = int(np.argmin(errors))
    near = np.flatnonzero(errors <= errors[best] + standard_errors[best])
    return int(min(near, key=lambda index: (costs[index], errors[index], index))), best


def mean_and_error(folds: Floats) -> tuple[Floats, Floats]:
    """Mean over the folds and its standard error; folds without a value do not count.

    Args:
        folds: values of each fold, shape (..., n_folds), any unit.

    Returns:
        Two arrays of shape (...), same unit; NaN where no fold has a value, and no standard error of one fold.
    """
    known = np.isfinite(folds)
    count = known.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, folds, 0.0).sum(axis=-1) / count
        squares = np.where(known, folds - mean[..., None], 0.0) ** 2
        return mean, np.sqrt(squares.sum(axis=-1) / (count - 1) / count)


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def _density(frames: Sequence[Frame]) -> float:
    return float(np.mean([len(frame.symbols) / abs(np.linalg.det(frame.cell)) for frame in frames]))


def _weight(candidate: Mapping[str, Any]) -> float:
    """How long a candidate takes compared with others, roughly."""
    angular = (max(candidate["invariant_max_l"]) + 1) ** 2
    return float(candidate["cutoff"] ** 3 * candidate["radial_functions"] * angular)


def _share(weights: Sequence[float], size: int) -> list[list[int]]:
    """Deal candidates to ranks, the heaviest first, each to the rank that has least to do."""
    loads = [0.0] * size
    shares: list[list[int]] = [[] for _ in range(size)]
    for index in sorted(range(len(weights)), key=lambda index: (-weights[index], index)):
        rank = loads.index(min(loads))
        loads[rank] += weights[index]
        shares[rank].append(index)
    return shares


def _write(job: Job, candidates: Sequence[Mapping[str, Any]], scores: Sequence[Score], n_frames: int) -> None:
    errors, standard = mean_and_error(np.array([one.weighted for one in scores]))
    costs = np.array([one.cost for one in scores])
    # One fold, which cannot be, would have no standard error.
    chosen, best = choose(errors, np.nan_to_num(standard), costs)
    with ResultWriter(job.output, task="hyperparameters", task_version=TASK_VERSION) as writer:
        for name in GRID:
            unit = "Å" if name == "cutoff" else "dimensionless"
            writer.array(f"search/{name}", [candidate[name] for candidate in candidates], units=unit)
        for name in ("n_features", "cost", "ridge"):
            writer.array(f"search/{name}", [getattr(one, name) for one in scores], units="dimensionless")
        writer.array("search/weighted_error", errors, units="dimensionless")
        writer.array("search/weighted_error_standard_error", standard, units="dimensionless")
        for row, (name, _, unit, _) in enumerate(ERRORS):
            mean, spread = mean_and_error(np.array([one.errors[row] for one in scores]))
            writer.array(f"search/{name}", mean, units=unit)
            writer.array(f"search/{name}_standard_error", spread, units=unit)
        note = {
            "chosen": chosen, "best": best, "parameters": dict(candidates[chosen]), "rule": RULE,
            "folds": len(scores[0].weighted), "candidates": len(candidates), "n_frames": n_frames,
        }  # fmt: skip
        writer.note("search", note)
