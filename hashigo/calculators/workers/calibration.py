"""Calibration of a potential's uncertainty on its own training frames, by cross-fitting.

Each training frame is predicted by a model that did not see it. From these errors each kind of row gets, first, the
weights with which the parts of its variance are added; second, factors from the combined spread to intervals, one for
each level and depending on the spread itself. The members of a committee get one factor in common: the one by which
their forces alone cover the errors, so that what is computed from them carries it on. Frames that are held out take no
part: they are left to judge by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from hashigo.calculators.workers.fitting import ENERGY, FORCE, STRESS, DesignMatrix
from hashigo.calculators.workers.resampling import Indices
from hashigo.calculators.workers.uncertainty import PARTS, LinearPosterior
from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: Levels of the intervals: one and nearly two standard deviations of a normal distribution.
LEVELS = (0.683, 0.95)
#: Half-width of the second interval over that of the first, for a normal distribution.
_NORMAL_RATIO = 1.95996

#: With fewer training frames a model without a fold is no likeness of the one with it.
MIN_FRAMES = 5
#: With fewer rows a kind stays uncalibrated.
MIN_ROWS = 8
#: Rows of a bin of the factors, at least, and the largest number of bins.
_BIN_ROWS, _BINS = 10, 6
#: A force component below this vanishes by symmetry, and so does every prediction of it: it tells nothing, eV/Å.
NO_FORCE = 1e-6
#: Coverage of held-out forces by the members' spread, nominally 68.3 %, within which it is taken for calibrated; of
#: held-out stresses it must be the lower one at least, dimensionless.
CREDIBLE = (0.5, 0.85)
#: Stress components held out, at least, to judge by: five frames.
MIN_STRESSES = 30
#: How far the weights of the parts lie apart, in natural logarithms, where the rows do not tell.
_APART = 5.0


@dataclass(frozen=True)
class CrossFit:
    """Errors and spreads of training frames, each by a model that did not see it.

    Attributes:
        kind: ENERGY, FORCE or STRESS of each row, shape (n_rows,), dimensionless.
        errors: reference minus prediction, shape (n_rows,), eV/atom, eV/Å or eV/Å^3.
        parts: of `uncertainty.PARTS`, shape (3, n_rows), eV/atom, eV/Å or eV/Å^3.
    """

    kind: Indices
    errors: Floats
    parts: Floats


@dataclass(frozen=True)
class Scale:
    """How the parts of one kind of row become intervals.

    Attributes:
        weights: what the variance of each part is multiplied with, shape (3,), dimensionless.
        knots: combined spreads at which the factors are known, ascending, shape (n_knots,), eV/atom, eV/Å or eV/Å^3.
        factors: half-width of the interval of each of `LEVELS` over the combined spread, shape (2, n_knots),
            dimensionless.
    """

    weights: Floats
    knots: Floats
    factors: Floats

    def spread(self, parts: Floats) -> Floats:
        """Combine the parts into one standard deviation.

        Args:
            parts: of `uncertainty.PARTS`, shape (3, n_rows), eV/atom, eV/Å or eV/Å^3.

        Returns:
            Shape (n_rows,), same unit.
        """
        return np.asarray(np.sqrt(self.weights @ parts**2))

    def half_widths(self, parts: Floats) -> Floats:
        """Half-widths of the intervals of `LEVELS`; the first is the standard uncertainty.

        Args:
            parts: of `uncertainty.PARTS`, shape (3, n_rows), eV/atom, eV/Å or eV/Å^3.

        Returns:
            Shape (2, n_rows), same unit.
        """
        spread = self.spread(parts)
        return np.array([spread * np.interp(spread, self.knots, factor) for factor in self.factors])


@dataclass(frozen=True)
class Calibration:
    """What cross-fitting says of a potential's uncertainty.

    Attributes:
        scales: of each kind of row that has enough of them.
        factor: what the distance of a member from the mean is multiplied with, dimensionless.
        lacking: why there is none; empty when there is one.
    """

    scales: Mapping[int, Scale]
    factor: float = 1.0
    lacking: str = ""

    def half_widths(self, parts: Floats, kind: int) -> Floats:
        """Half-widths of the intervals of `LEVELS`; where the kind is not calibrated, those of a normal distribution.

        Args:
            parts: of `uncertainty.PARTS`, shape (3, n_rows), eV/atom, eV/Å or eV/Å^3.
            kind: number ENERGY, FORCE or STRESS.

        Returns:
            Shape (2, n_rows), same unit.
        """
        if kind in self.scales:
            return self.scales[kind].half_widths(parts)
        total = np.sqrt(np.sum(parts**2, axis=0))
        return np.array([total, _NORMAL_RATIO * total])


def calibrate_committee(design: DesignMatrix, folds: Sequence[Indices], ridge: float) -> Calibration:
    """Calibrate a committee on its training frames.

    Args:
        design: rows of all frames.
        folds: indices of the training frames of each fold, shapes (n_fold,), dimensionless.
        ridge: strength of the penalty, dimensionless.
    """
    try:
        seen = cross_fit(design, folds, ridge)
    except InputError as error:
        return Calibration({}, lacking=error.message)
    scales = calibrate(seen)
    if FORCE not in scales:
        return Calibration(scales, lacking=f"fewer than {MIN_ROWS} force components to calibrate on")
    forces = seen.kind == FORCE
    return Calibration(scales, covering_factor(seen.errors[forces], seen.parts[0, forces]))


def covering_factor(errors: Floats, spread: Floats) -> float:
    """What a spread is multiplied with to cover 68.3 % of errors, dimensionless.

    Args:
        errors: reference minus prediction, shape (n_rows,), any unit.
        spread: standard deviation of the members, shape (n_rows,), same unit.
    """
    return float(_quantiles(np.abs(errors) / np.maximum(spread, np.finfo(float).tiny))[0])


def telling(kind: Indices, targets: Floats) -> NDArray[np.bool_]:
    """Which rows tell of an uncertainty: all but forces that vanish by symmetry.

    Args:
        kind: ENERGY, FORCE or STRESS of each row, shape (n_rows,), dimensionless.
        targets: reference values, shape (n_rows,), eV/atom, eV/Å or eV/Å^3.

    Returns:
        Shape (n_rows,), dimensionless.
    """
    return np.asarray((kind != FORCE) | (np.abs(targets) >= NO_FORCE))


def why_not_credible(judged: Mapping[int, Mapping[str, Any]]) -> str:
    """Why the members' spread is not taken for calibrated; empty where it is.

    Args:
        judged: by kind: "members_68", share of the errors of frames held out that it covers, of how many "rows".
    """
    if FORCE not in judged:
        return "no frame held out has forces to judge it by"
    low, high = CREDIBLE
    for kind, name, most, rows in ((FORCE, "force", high, 1), (STRESS, "stress", 1.0, MIN_STRESSES)):
        found = judged.get(kind)
        if found is None or found["rows"] < rows:
            continue
        share = found["members_68"]
        if not low <= share <= most:
            return (
                f"the members' spread covers {100 * share:.0f} % of the {name} components held out, not 68 %"
            )
    return ""


def cross_fit(
    design: DesignMatrix,
    folds: Sequence[Indices],
    ridge: float,
    kinds: Sequence[str] = (),
    members: int = 0,
    generator: np.random.Generator | None = None,
) -> CrossFit:
    """Predict each training frame by a model fitted without its fold.

    Args:
        design: rows of all frames.
        folds: indices of the training frames of each fold, shapes (n_fold,), dimensionless.
        ridge: strength of the penalty, dimensionless.
        kinds: kind of each frame of the whole set, for the bootstrap.
        members: number of bootstrap members for the epistemic part; 0 for the Bayesian posterior.
        generator: source of random numbers of the bootstrap.

    Raises:
        InputError: when there are too few frames.
    """
    count = sum(len(fold) for fold in folds)
    if count < MIN_FRAMES or len(folds) < 2:
        raise InputError(
            f"the uncertainty cannot be calibrated on {count} training frames in {len(folds)} folds",
            fix=f"give at least {MIN_FRAMES} training frames; 20 are a fair start",
        )
    parts, errors, found = [], [], []
    for index, fold in enumerate(folds):
        others = np.sort(np.concatenate([other for i, other in enumerate(folds) if i != index]))
        model = LinearPosterior(design, others, ridge)
        committee = None
        if members:
            committee = model.bootstrap(kinds, members, generator or np.random.default_rng(0))
        rows = design.rows(fold)
        rows = rows[telling(design.kind[rows], design.targets[rows])]
        features = design.features[rows]
        errors.append(design.targets[rows] - model.predict(features))
        parts.append(model.parts(features, design.kind[rows], committee))
        found.append(design.kind[rows])
    return CrossFit(np.concatenate(found), np.concatenate(errors), np.concatenate(parts, axis=1))


def calibrate(fitted: CrossFit) -> dict[int, Scale]:
    """Find the scale of each kind of row; a kind with fewer rows than `MIN_ROWS` gets none.

    Args:
        fitted: of `cross_fit`.

    Returns:
        By ENERGY, FORCE or STRESS.
    """
    out = {}
    for kind in (ENERGY, FORCE, STRESS):
        mask = fitted.kind == kind
        if mask.sum() >= MIN_ROWS:
            out[kind] = _scale(fitted.errors[mask], fitted.parts[:, mask])
    return out


def constant_width(errors: Floats) -> Floats:
    """Half-widths of intervals that are the same for all rows: what a calibrated spread must be sharper than.

    Args:
        errors: of one kind of row, by `cross_fit`; shape (n_rows,), eV/atom, eV/Å or eV/Å^3.

    Returns:
        For each of `LEVELS`: shape (2,), same unit.
    """
    return _quantiles(np.abs(errors))


def coverage(
    errors: Floats, half_widths: Floats, spread: Floats, n_groups: int = 3
) -> dict[str, list[float]]:
    """Share of errors inside their intervals, over all rows and in groups of equal size by predicted spread.

    Args:
        errors: reference minus prediction, shape (n_rows,), eV/atom, eV/Å or eV/Å^3.
        half_widths: of `Scale.half_widths`, shape (2, n_rows), same unit.
        spread: what the groups are made by, shape (n_rows,), same unit.
        n_groups: number of groups, 3 for terciles.

    Returns:
        "all": for each of `LEVELS`; "groups": for the first level, in ascending order of the spread.
    """
    inside = np.abs(errors) <= half_widths
    groups = np.array_split(np.argsort(spread, kind="stable"), n_groups)
    return {
        "all": [float(value) for value in inside.mean(axis=1)],
        "groups": [float(inside[0, group].mean()) for group in groups if len(group)],
    }


def summary(scales: Mapping[int, Scale]) -> dict[str, dict[str, list[float]]]:
    """The scales as they are written down, by the name of the kind; weights by the name of the part."""
    names = {ENERGY: "energy", FORCE: "force", STRESS: "stress"}
    return {
        names[kind]: {
            **{part: [float(weight)] for part, weight in zip(PARTS, scale.weights, strict=True)},
            "factors_68": scale.factors[0].tolist(),
            "factors_95": scale.factors[1].tolist(),
        }
        for kind, scale in scales.items()
    }


def _scale(errors: Floats, parts: Floats) -> Scale:
    weights = _weights(errors, parts)
    spread = np.sqrt(weights @ parts**2)
    order = np.argsort(spread, kind="stable")
    bins = np.array_split(order, max(1, min(_BINS, len(order) // _BIN_ROWS)))
    knots = np.array([np.median(spread[one]) for one in bins])
    ratio = np.abs(errors) / np.maximum(spread, np.finfo(float).tiny)
    return Scale(weights, knots, np.array([_quantiles(ratio[one]) for one in bins]).T)


def _weights(errors: Floats, parts: Floats) -> Floats:
    """Weights of the parts' variances by maximum likelihood of normal errors."""
    unit = max(float(np.mean(errors**2)), np.finfo(float).tiny)
    variances = np.maximum(parts**2 / unit, 1e-12)
    squares = errors**2 / unit

    def loss(logarithms: Floats) -> tuple[float, Floats]:
        terms = np.exp(logarithms)[:, None] * variances
        total = terms.sum(axis=0)
        # The few rows of a small set cannot tell the parts apart: then they keep a common weight.
        apart = logarithms - logarithms.mean()
        value = 0.5 * np.sum(np.log(total) + squares / total) + 0.5 * np.sum((apart / _APART) ** 2)
        slope = 0.5 * np.sum(terms * (1 - squares / total) / total, axis=1) + apart / _APART**2
        return float(value), slope

    start = np.full(len(parts), -np.log(np.mean(variances.sum(axis=0))))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-25.0, 25.0)] * len(parts))
    return np.asarray(np.exp(found.x))


def _quantiles(values: Floats) -> Floats:
    """Conformal quantiles of `LEVELS`; of few values the upper one as for a normal distribution."""
    ordered = np.sort(values)
    ranks = [int(np.ceil((len(ordered) + 1) * level)) for level in LEVELS]
    first = ordered[min(ranks[0], len(ordered)) - 1]
    return np.array([first, ordered[ranks[1] - 1] if ranks[1] <= len(ordered) else _NORMAL_RATIO * first])
