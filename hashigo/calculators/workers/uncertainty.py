"""Predictive uncertainty of a potential that is linear in its coefficients, split into its parts.

Three parts, each a standard deviation of every row of a design matrix:

- epistemic: coefficients that the frames leave open; from the posterior, with a variance of its own for each kind of
  row (energies that no potential can follow beside the stresses, as at a low cut-off, would otherwise count for little
  among thousands of forces: silicon's C11 moved by 0.7 GPa without them, and its spread was 0.3), or from a bootstrap
  over frames (whose spread scatters from model to model: where the model misfits, the scale found by cross-fitting on
  few frames fits it less well);
- misfit: forms that the model does not have; from pointwise optimal parameter sets (POPS), the least changes of the
  coefficients that make the model exact for one training row each;
- noise: what is left of the residuals, one number for each kind of row.

None of them is true by itself: `calibration` weighs them on frames that the model did not see.

Source: Swinburne & Perez, Mach. Learn.: Sci. Technol. 6, 015008 (2025), for POPS, as an ensemble over the half of the
rows with the largest leverage; White, Econometrica 48, 817 (1980), for the covariance of a fit to rows of unequal
variance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.fitting import ENERGY, FORCE, STRESS, DesignMatrix, Ridge
from hashigo.calculators.workers.resampling import Indices, resample

Floats = NDArray[np.float64]

#: Names of the parts, in the order of their first axis.
PARTS = ("epistemic", "misfit", "noise")

#: Rows of the smaller leverages are left out of POPS: their corrections are large and say little.
_LEVERAGE_QUANTILE = 0.5


class LinearPosterior(Ridge):
    """Ridge regression with the posterior of its coefficients.

    Args:
        design: rows of all frames.
        frames: indices of the frames to fit, shape (n_frames,), dimensionless.
        ridge: strength of the penalty, dimensionless.
    """

    def __init__(self, design: DesignMatrix, frames: Sequence[int] | Indices, ridge: float) -> None:
        super().__init__(design, frames)
        self._ridge = ridge
        normal, right, n_rows = self._normal(np.ones(len(self._targets)))
        values, vectors = np.linalg.eigh(normal)
        # The inverse of the penalised normal matrix is root @ root.T.
        self._root = vectors / np.sqrt(np.maximum(values, 0) + ridge * n_rows)
        solution = self._root @ (self._root.T @ right)
        self._coefficients = solution / self._scale
        projected = self._matrix @ self._root
        leverage = np.sum(projected**2, axis=1)
        residuals = self._targets - self._matrix @ solution
        fitted = leverage > 0  # a row of weight 0 is not
        free = float(np.sum(1 - leverage[fitted]))
        variance = float(np.sum(residuals[fitted] ** 2)) / max(free, 1.0)
        kind = design.kind[design.rows(frames)]
        self._spread = self._root @ _spread_root(
            projected, residuals, leverage, kind, variance, ridge * n_rows * self._root.T @ self._root
        )
        self._pops = _pops(projected[fitted], residuals[fitted], leverage[fitted])
        self._noise = _noise(design, design.rows(frames), self._coefficients, leverage)

    @property
    def coefficients(self) -> Floats:
        """Mean of the posterior, of the unscaled features: shape (n_features,), eV."""
        return self._coefficients

    @property
    def noise(self) -> Floats:
        """Standard deviation of the noise of ENERGY, FORCE and STRESS rows: shape (3,), eV/atom, eV/Å, eV/Å^3."""
        return self._noise

    def bootstrap(self, kinds: Sequence[str], count: int, generator: np.random.Generator) -> Floats:
        """Fit members to frames drawn with replacement, each kind among its own.

        Args:
            kinds: kind of each frame of the whole set.
            count: number of members.
            generator: source of random numbers.

        Returns:
            Coefficients, shape (n_members, n_features), eV.
        """
        frames = np.unique(self._frame)
        return np.array([self.fit(self._ridge, resample(kinds, frames, generator)) for _ in range(count)])

    def draw(self, count: int, generator: np.random.Generator, factor: float = 1.0) -> Floats:
        """Draw members from the posterior.

        Args:
            count: number of members.
            generator: source of random numbers.
            factor: what the distance of a member from the mean is multiplied with, dimensionless.

        Returns:
            Coefficients, shape (n_members, n_features), eV.
        """
        normal = generator.standard_normal((count, self._spread.shape[1]))
        apart = factor * (normal @ self._spread.T) / self._scale
        return np.asarray(self._coefficients + apart)

    def predict(self, features: Floats) -> Floats:
        """Mean prediction.

        Args:
            features: unweighted, shape (n_rows, n_features), unit of the row over eV.

        Returns:
            Shape (n_rows,), eV/atom, eV/Å or eV/Å^3.
        """
        return np.asarray(features @ self._coefficients)

    def parts(self, features: Floats, kind: Indices, members: Floats | None = None) -> Floats:
        """Standard deviation of each of `PARTS`, uncalibrated.

        Args:
            features: unweighted, shape (n_rows, n_features), unit of the row over eV.
            kind: ENERGY, FORCE or STRESS of each row, shape (n_rows,), dimensionless.
            members: coefficients of `bootstrap`, whose spread is then the epistemic part in place of the
                posterior's, shape (n_members, n_features), eV.

        Returns:
            Shape (3, n_rows), eV/atom, eV/Å or eV/Å^3.
        """
        scaled = features / self._scale
        projected = scaled @ self._root
        if members is None:
            epistemic = np.linalg.norm(scaled @ self._spread, axis=1)
        else:
            epistemic = (features @ members.T).std(axis=1, ddof=1)
        misfit = np.sqrt(np.maximum(np.sum((projected @ self._pops) * projected, axis=1), 0))
        return np.array([epistemic, misfit, self._noise[kind]])


def _spread_root(
    projected: Floats, residuals: Floats, leverage: Floats, kind: Indices, variance: float, prior: Floats
) -> Floats:
    """Root of the coefficients' covariance, in the coordinates in which the inverse normal matrix is a unit one.

    With one variance for all rows it would be that variance times the unit matrix: the rows' part and the prior's add
    up to it. Here each kind of row counts with its own, where it has rows enough to tell.
    """
    total = variance * prior
    for each in (ENERGY, FORCE, STRESS):
        mask = kind == each
        free = float(np.sum(1 - leverage[mask]))
        own = float(np.sum(residuals[mask] ** 2)) / free if free > 1 else variance
        total = total + own * projected[mask].T @ projected[mask]
    values, vectors = np.linalg.eigh(total)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def _pops(projected: Floats, residuals: Floats, leverage: Floats) -> Floats:
    """Second moment of the pointwise corrections, in the coordinates in which the posterior is a unit sphere."""
    chosen = leverage >= np.quantile(leverage, _LEVERAGE_QUANTILE)
    corrections = projected[chosen] * (residuals[chosen] / leverage[chosen])[:, None]
    return corrections.T @ corrections / len(corrections)


def _noise(design: DesignMatrix, rows: Indices, coefficients: Floats, leverage: Floats) -> Floats:
    residuals = design.targets[rows] - design.features[rows] @ coefficients
    kinds = design.kind[rows]
    out = np.zeros(3)
    for kind in (ENERGY, FORCE, STRESS):
        mask = kinds == kind
        if mask.any():
            # A fit of p coefficients to n rows leaves n - p of them to judge by; the leverages add up to p.
            out[kind] = np.sqrt(np.sum(residuals[mask] ** 2) / max(float(np.sum(1 - leverage[mask])), 1.0))
    return out
