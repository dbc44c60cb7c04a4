"""What a mesoscale job writes of its grains: sizes, orientations, neighbours, and statistics over all realisations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.homogenization.microstructure import Microstructure
from hashigo.calculators.workers.homogenization.recipe import Recipe
from hashigo.calculators.workers.homogenization.statistics import GrainStatistics, statistics_note


def write_grains(
    writer: ResultWriter, sample: Microstructure, found: Sequence[GrainStatistics], recipe: Recipe
) -> None:
    """Write the grains of the first realisation, and statistics of all.

    Args:
        writer: open result file.
        sample: the first realisation.
        found: statistics of each realisation.
        recipe: how they were made.
    """
    voxels = np.rint(sample.fractions * np.prod(sample.shape))
    arrays: dict[str, NDArray[Any]] = {
        "grains/diameter": sample.diameters,
        "grains/volume_fraction": sample.fractions,
        "grains/orientation": sample.quaternions,
        "grains/material": sample.material,
        "grains/voxels": voxels.astype(np.int64),
        "statistics/diameter": np.concatenate([one.diameters for one in found]),
        "statistics/neighbours": np.concatenate([one.neighbours for one in found]),
    }
    for name, array in arrays.items():
        writer.array(name, array, units="dimensionless")
    writer.note("grains", statistics_note(found, recipe.materials, recipe.asked))
