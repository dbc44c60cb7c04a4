"""What the grains of a microstructure are like: sizes, neighbours, intercepts, texture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from hashigo.calculators.workers.homogenization.faces import find_faces, plane_above
from hashigo.calculators.workers.homogenization.microstructure import Microstructure
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.calculators.workers.homogenization.texture import mean_square_cosines


@dataclass(frozen=True)
class GrainStatistics:
    """Of one microstructure; lengths are over the mean sphere-equivalent diameter of the crystal's grains.

    Attributes:
        diameters: sphere-equivalent, of the crystal's grains, shape (n,), dimensionless.
        neighbours: grains that each of them shares a face with, shape (n,), count.
        voxels: of each of them, shape (n,), count.
        intercepts: mean length of the crystal's grains on lines along x, y, z, shape (3,), dimensionless; infinite
            where such lines cross no boundary.
        fractions: of the volume by material, shape (n_materials,), dimensionless.
        cosines: mean cos² between sample and crystal axes by volume, shape (3, 3), dimensionless.
    """

    diameters: Floats
    neighbours: NDArray[np.int64]
    voxels: NDArray[np.int64]
    intercepts: Floats
    fractions: Floats
    cosines: Floats


@dataclass(frozen=True)
class LogNormal:
    """A log-normal distribution fitted to diameters.

    Attributes:
        median: in the unit of the diameters, dimensionless.
        spread: standard deviation of the logarithm, dimensionless.
        distance: largest difference from their own cumulative distribution (Kolmogorov's), dimensionless.
    """

    median: float
    spread: float
    distance: float


def grain_statistics(sample: Microstructure, materials: int, comm: Any) -> GrainStatistics:
    """Measure a microstructure.

    Args:
        sample: it.
        materials: number of materials with the crystal.
        comm: communicator over which the planes of all ranks make up the grid.
    """
    grains = len(sample.fractions)
    faces = find_faces(sample.grain_id, plane_above(sample.grain_id, comm), grains, comm)
    crystal = sample.crystals
    touching = np.bincount(faces.first, minlength=grains) + np.bincount(faces.second, minlength=grains)
    # A chord has two ends; each face is that of as many as there are crystals on its sides.
    ends = (crystal[faces.first].astype(int) + crystal[faces.second]) @ faces.number
    voxels = np.rint(sample.fractions * np.prod(sample.shape)).astype(np.int64)
    with np.errstate(divide="ignore"):
        intercepts = sample.spacing * voxels[crystal].sum() / (0.5 * ends)
    return GrainStatistics(
        sample.diameters[crystal],
        touching[crystal],
        voxels[crystal],
        np.asarray(intercepts),
        np.asarray(np.bincount(sample.material, sample.fractions, minlength=materials), dtype=float),
        mean_square_cosines(sample.quaternions[crystal], sample.fractions[crystal]),
    )


def fit_log_normal(diameters: Floats) -> LogNormal:
    """The log-normal distribution of the same mean and standard deviation of the logarithm.

    Args:
        diameters: shape (n,), dimensionless.
    """
    logarithm = np.sort(np.log(diameters))
    mean, spread = float(logarithm.mean()), float(logarithm.std())
    below = ndtr((logarithm - mean) / spread) if spread > 0 else np.full(len(logarithm), 0.5)
    steps = np.arange(len(logarithm) + 1) / len(logarithm)
    distance = float(max((below - steps[:-1]).max(), (steps[1:] - below).max()))
    return LogNormal(float(np.exp(mean)), spread, distance)


def statistics_note(
    found: Sequence[GrainStatistics], materials: Sequence[str], asked: dict[str, float]
) -> dict[str, Any]:
    """Statistics over all realisations in plain values.

    Args:
        found: of each realisation.
        materials: names, the crystal's first.
        asked: what the study asks for, dimensionless: by name.
    """
    diameters = np.concatenate([one.diameters for one in found])
    neighbours = np.concatenate([one.neighbours for one in found])
    fit = fit_log_normal(diameters)
    shares = np.mean([one.fractions for one in found], axis=0)
    intercepts = np.mean([one.intercepts for one in found], axis=0)
    return {
        "grain_size": "sphere-equivalent diameter of the crystal's grains; lengths are over its arithmetic mean",
        "grains": len(diameters),
        "realisations": len(found),
        "diameter": {
            "smallest": float(diameters.min()),
            "largest": float(diameters.max()),
            "standard_deviation": float(diameters.std()),
            "log_normal": {"median": fit.median, "spread": fit.spread, "kolmogorov_distance": fit.distance},
        },
        "mean_intercept": dict(zip("xyz", [_finite(value) for value in intercepts], strict=True)),
        "neighbours": {"mean": float(neighbours.mean()), "standard_deviation": float(neighbours.std())},
        "voxels": {
            "mean": float(np.mean(np.concatenate([one.voxels for one in found]))),
            "smallest": int(min(one.voxels.min() for one in found)),
        },
        "fraction": dict(zip(materials, [float(share) for share in shares], strict=True)),
        "mean_square_cosines": np.mean([one.cosines for one in found], axis=0).tolist(),
        "asked": asked,
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
