"""The representative volume: how many grains, and how many realisations, an effective property needs.

Samples of rising numbers of grains are made of voxels of one size. At each number realisations are added until the
standard error of their mean is within the tolerance; numbers are doubled until the mean drifts no more either.

Source: Kanit et al., Int. J. Solids Struct. 40, 3647 (2003).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.homogenization.laguerre import require_smallest
from hashigo.calculators.workers.homogenization.microstructure import extended_axes
from hashigo.calculators.workers.homogenization.recipe import Recipe
from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError

#: What is looked at of each property, and its unit.
VALUES = {
    "conductivity": (("third of the trace of the conductivity",), "W/(m K)"),
    "stiffness": (("bulk modulus", "shear modulus"), "GPa"),
}
#: Realisations of a size before its scatter is believed, number.
FIRST = 5

#: Values of one realisation, shape (n_values,), of a recipe and the number of the realisation.
Evaluate = Callable[[Recipe, int], Floats]


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        tolerance: relative standard error of the mean, and drift of the mean from one size to the next, dimensionless.
        quantity: "conductivity" or "stiffness"; `property` in the study.
        fewest_grains: number of grains to begin with.
        most_grains: number of grains of the largest sample.
        most_realisations: of one size, number.
    """

    tolerance: float = 0.01
    quantity: str = "conductivity"
    fewest_grains: int = 8
    most_grains: int = 400
    most_realisations: int = 30

    @classmethod
    def read(cls, section: Mapping[str, Any] | None) -> Wanted | None:
        """Take it from the parameters of a job; None where they do not ask.

        Raises:
            InputError: when the property is not known.
        """
        if not section:
            return None
        rest = {key: value for key, value in section.items() if key != "property"}
        found = cls(**rest, quantity=str(section.get("property", cls.quantity)))
        if found.quantity not in VALUES:
            raise InputError(
                f"representative.property is '{found.quantity}'", fix=f"one of {', '.join(VALUES)}"
            )
        return found

    @property
    def sizes(self) -> list[int]:
        """Numbers of grains, each twice the last."""
        count = int(math.log2(max(1.0, self.most_grains / self.fewest_grains)) + 1e-9) + 1
        return [self.fewest_grains * 2**place for place in range(count)]


@dataclass(frozen=True)
class Size:
    """Realisations of one number of grains.

    Attributes:
        grains: number of grains.
        shape: number of voxels along z, y, x.
        values: of each realisation, shape (n_realisations, n_values), W/(m K) or GPa.
    """

    grains: int
    shape: tuple[int, int, int]
    values: Floats

    @property
    def mean(self) -> Floats:
        """Over the realisations, shape (n_values,), W/(m K) or GPa."""
        return np.asarray(self.values.mean(axis=0))

    @property
    def scatter(self) -> Floats:
        """Standard deviation of a realisation over the mean, shape (n_values,), dimensionless."""
        return np.asarray(self.values.std(axis=0, ddof=1) / np.abs(self.mean))

    @property
    def error(self) -> float:
        """Largest relative standard error of a mean, dimensionless."""
        return float(self.scatter.max() / np.sqrt(len(self.values)))

    def drift(self, smaller: Size) -> float:
        """Largest relative change of a mean from a smaller size, dimensionless."""
        return float((np.abs(self.mean - smaller.mean) / np.abs(self.mean)).max())


@dataclass(frozen=True)
class Representative:
    """What was found.

    Attributes:
        wanted: what was asked for.
        sizes: all that were tried, rising.
    """

    wanted: Wanted
    sizes: tuple[Size, ...]

    @property
    def converged(self) -> bool:
        """Whether the last two sizes are known to the tolerance, and agree to it."""
        if len(self.sizes) < 2:
            return False
        before, last = self.sizes[-2:]
        return max(before.error, last.error, last.drift(before)) <= self.wanted.tolerance

    @property
    def scatter(self) -> float:
        """Scatter of a realisation times the root of its grains, over all sizes, dimensionless."""
        each = [size.scatter.max() * np.sqrt(size.grains) for size in self.sizes]
        weights = [len(size.values) - 1 for size in self.sizes]
        return float(np.sqrt(np.average(np.square(each), weights=weights)))

    def realisations(self, grains: int) -> int:
        """Realisations of so many grains whose mean would be known to the tolerance, by that scatter.

        Args:
            grains: number of grains.
        """
        return max(1, math.ceil((self.scatter / self.wanted.tolerance) ** 2 / grains - 1e-9))


def of_size(recipe: Recipe, grains: int) -> Recipe:
    """The same microstructure of another number of grains, and of as many inclusions as belong to them.

    Args:
        recipe: how it is made.
        grains: number of grains.
    """
    edge = (grains / recipe.grains) ** (1 / extended_axes(recipe.shape))
    z, y, x = (max(1, round(n * edge)) if n > 1 else 1 for n in recipe.shape)
    inclusions = max(1, round(recipe.inclusions * grains / recipe.grains))
    return replace(recipe, grains=grains, shape=(z, y, x), inclusions=inclusions)


def find_representative(recipe: Recipe, wanted: Wanted, evaluate: Evaluate) -> Representative:
    """Raise grains and realisations until a property is known to a tolerance, or the budget ends.

    Args:
        recipe: how microstructures are made.
        wanted: what is asked for.
        evaluate: solves one realisation.

    Raises:
        InputError: when realisations of the recipe do not differ, or have no size of their own.
    """
    if recipe.kind not in ("voronoi", "laguerre", "inclusions"):
        raise InputError(
            f"a microstructure of kind {recipe.kind} has no representative volume to look for",
            fix="leave out mesoscale.representative, or choose voronoi, laguerre or inclusions",
        )
    largest = of_size(recipe, wanted.sizes[-1])
    if recipe.size_spread > 0:
        require_smallest(largest.grains, largest.shape, recipe.size_spread)
    found = Representative(wanted, ())
    for grains in wanted.sizes:
        sample = of_size(recipe, grains)
        found = replace(found, sizes=(*found.sizes, _size(sample, wanted, evaluate)))
        if found.converged:
            break
    return found


def _size(recipe: Recipe, wanted: Wanted, evaluate: Evaluate) -> Size:
    """Realisations until their mean is known to the tolerance, or there are as many as allowed."""
    values: list[Floats] = []
    enough = min(FIRST, wanted.most_realisations)
    while len(values) < enough:
        values.append(evaluate(recipe, len(values)))
        if len(values) == enough and enough < wanted.most_realisations:
            error = Size(recipe.grains, recipe.shape, np.array(values)).error
            more = math.ceil(len(values) * (error / wanted.tolerance) ** 2 - 1e-9)
            enough = min(wanted.most_realisations, max(enough, min(more, 2 * enough)))
    return Size(recipe.grains, recipe.shape, np.array(values))


def write_representative(writer: ResultWriter, found: Representative, grains: int) -> None:
    """Write what was found, as arrays by size and in words.

    Args:
        writer: open result file.
        found: the search.
        grains: number of grains of the study's own samples.
    """
    names, unit = VALUES[found.wanted.quantity]
    sizes = found.sizes
    writer.array("representative/grains", [size.grains for size in sizes], units="dimensionless")
    writer.array("representative/voxels", [size.shape[::-1] for size in sizes], units="dimensionless")
    writer.array("representative/realisations", [len(size.values) for size in sizes], units="dimensionless")
    writer.array("representative/mean", np.array([size.mean for size in sizes]), units=unit)
    writer.array("representative/scatter", np.array([size.scatter for size in sizes]), units="dimensionless")
    writer.array("representative/values", np.concatenate([size.values for size in sizes]), units=unit)
    last = sizes[-1]
    writer.note(
        "representative",
        {
            "property": found.wanted.quantity,
            "values": list(names),
            "unit": unit,
            "tolerance": found.wanted.tolerance,
            "converged": found.converged,
            "grains": last.grains,
            "realisations": len(last.values),
            "error": last.error,
            "drift": None if len(sizes) < 2 else last.drift(sizes[-2]),
            "scatter": found.scatter,
            "study": {"grains": grains, "realisations_needed": found.realisations(grains)},
            "definition": "error: largest relative standard error of a mean; drift: largest relative change of a mean "
            "from half as many grains; scatter: relative standard deviation of a realisation times the root of its "
            "grains",
        },
    )
