"""Means of correlated series with their standard errors, by block averages.

Source: Flyvbjerg & Petersen, J. Chem. Phys. 91, 461 (1989).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Numbers of blocks that each trajectory is cut into; the larger error of all is taken.
BLOCKS = (10, 5)


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error.

    Attributes:
        value: shape of one sample, unit of the series.
        error: one standard error, shape of `value`, unit of the series.
        inefficiency: number of samples that count as one independent one, largest of all components, dimensionless.
    """

    value: Floats
    error: Floats
    inefficiency: float


def block_mean(series: Sequence[Floats]) -> Mean:
    """Mean over all samples of independent trajectories.

    Args:
        series: one array for each trajectory, shape (n_samples, ...) of ten samples or more, any unit.
    """
    pooled = np.concatenate([np.asarray(s, dtype=float) for s in series])
    errors = [_error(series, count) for count in BLOCKS]
    error = np.max(errors, axis=0)
    single = pooled.std(axis=0, ddof=1) / np.sqrt(len(pooled))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(single > 0, (error / single) ** 2, 1.0)
    return Mean(pooled.mean(axis=0), error, float(np.max(ratio)))


def _error(series: Sequence[Floats], count: int) -> Floats:
    means = np.array([block.mean(axis=0) for block in blocks(series, count)])
    return np.asarray(means.std(axis=0, ddof=1) / np.sqrt(len(means)))


def blocks(series: Sequence[Floats], count: int = BLOCKS[0]) -> list[Floats]:
    """Cut trajectories into blocks of equal length; the first samples that fill no block are left out.

    Args:
        series: one array for each trajectory, shape (n_samples, ...), any unit.
        count: number of blocks of each trajectory.
    """
    out: list[Floats] = []
    for samples in series:
        length = len(samples) // count
        out += np.split(np.asarray(samples, dtype=float)[len(samples) - count * length :], count)
    return out


def jackknife(parts: Sequence[Floats], estimate: Callable[[Floats], float]) -> tuple[float, float]:
    """A number that is no plain mean, with its standard error.

    Args:
        parts: independent blocks of samples, each of shape (n_samples, ...), any unit.
        estimate: makes the number from samples, shape (n_samples, ...).

    Returns:
        The number from all samples and its standard error, unit of the estimate.

    Source: Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982).
    """
    whole = estimate(np.concatenate(parts))
    without = [estimate(np.concatenate([*parts[:i], *parts[i + 1 :]])) for i in range(len(parts))]
    count = len(parts)
    spread = np.sqrt((count - 1) * np.mean((np.array(without) - np.mean(without)) ** 2))
    return whole, float(spread)
