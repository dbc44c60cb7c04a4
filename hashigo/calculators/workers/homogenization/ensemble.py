"""Effective properties of realisations of a polycrystal, of the mean model and of every member of a committee."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hashigo.calculators.workers.homogenization.bounds import Margin, margin, reuss_average, voigt_average
from hashigo.calculators.workers.homogenization.microstructure import Polycrystal
from hashigo.calculators.workers.homogenization.phonons import MeshError, MeshModes, PhononModels
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import Effective, ElasticMedium, ThermalMedium
from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    require_positive_definite,
    rotate_conductivity,
    rotate_stiffness,
)

#: Called after each solved problem with its cost (dimensionless) and what it was.
Tick = Callable[[float, str], None]

#: Cost of an elastic problem in units of a thermal one, dimensionless.
ELASTIC_COST = 10.0

#: Cost of a member's problem, which starts from the mean model's solution, in units of that one's, dimensionless.
MEMBER_COST = 0.4


def member_tolerance(tolerance: float) -> float:
    """Residual to which a member is solved, relative like `tolerance`, dimensionless.

    A member's tensor is an energy, whose error is the square of the residual's, and nothing else is taken from its
    solution. At a tolerance of 1e-6 it was 1e-8 of the tensor, where members differed by 1e-3 to 1e-2.

    Args:
        tolerance: relative residual of the mean model, dimensionless.
    """
    return float(np.sqrt(tolerance))


@dataclass(frozen=True)
class Ensemble:
    """Effective tensors of one property under some conditions.

    Attributes:
        realisations: of the mean model, shape (n_realisations, n_conditions, m, m), GPa (Mandel) or W/(m K).
        members: of each committee member, or None; shape (n_members, n_realisations, n_conditions, m, m), same
            unit.
        voigt: Voigt's tensor of each sample, shape of `realisations`.
        reuss: Reuss's tensor of each sample, shape of `realisations`.
        iterations: of each load, shape (n_realisations, n_conditions, m), count.
        residuals: of each load, shape (n_realisations, n_conditions, m), dimensionless.
        table: property of each grain of the first realisation under the first condition, shape (n_grains, m,
            m), same unit.
        potential: solution there of the first unit load, shape (components, planes, ny, nx), voxels or K.
        mesh: error from the mesh of the phonon modes; None where a series of meshes does not tell.
    """

    realisations: Floats
    members: Floats | None
    voigt: Floats
    reuss: Floats
    iterations: Floats
    residuals: Floats
    table: Floats
    potential: Floats
    mesh: MeshError | None = None

    @property
    def member_means(self) -> Floats | None:
        """Of each member the mean over the realisations, shape (n_members, n_conditions, m, m); None without."""
        return None if self.members is None else np.asarray(self.members.mean(axis=1))

    def margins(self, what: str) -> dict[str, Margin]:
        """How far each tensor is inside the bounds of its sample.

        Args:
            what: the property, for the names.
        """
        found = {}
        for index in np.ndindex(self.realisations.shape[:2]):
            name = f"{what} of realisation {index[0] + 1}"
            if self.realisations.shape[1] > 1:
                name += f" under condition {index[1] + 1}"
            found[name] = margin(self.realisations[index], self.voigt[index], self.reuss[index])
        return found


class _Collector:
    """Keeps what is reported of each realisation and condition."""

    def __init__(self, realisations: int, conditions: int, size: int) -> None:
        shape = (realisations, conditions, size, size)
        self.effective, self.voigt, self.reuss = np.empty(shape), np.empty(shape), np.empty(shape)
        self.iterations, self.residuals = np.empty(shape[:3]), np.empty(shape[:3])

    def add(self, index: tuple[int, int], found: Effective, table: Floats, fractions: Floats) -> None:
        """Keep what was found for a realisation and a condition, with the bounds of the sample."""
        self.effective[index] = found.tensor
        self.voigt[index] = voigt_average(table, fractions)
        self.reuss[index] = reuss_average(table, fractions)
        self.iterations[index] = found.iterations
        self.residuals[index] = found.residuals

    def ensemble(
        self, members: Floats | None, table: Floats, potential: Floats, mesh: MeshError | None = None
    ) -> Ensemble:
        """All that was kept."""
        tensors = self.effective, members, self.voigt, self.reuss
        return Ensemble(*tensors, self.iterations, self.residuals, table, potential, mesh)


def elastic_ensemble(
    samples: Sequence[Polycrystal],
    slabs: Slabs,
    stiffness: Floats,
    members: Floats | None,
    tolerance: float,
    tick: Tick,
) -> Ensemble:
    """Effective stiffness of each sample by the mean model and by each member.

    Args:
        samples: realisations of the polycrystal.
        slabs: grid of the samples.
        stiffness: Mandel stiffness of the crystal under each condition, shape (n_conditions, 6, 6), GPa.
        members: of each committee member, shape (n_members, n_conditions, 6, 6), GPa; or None.
        tolerance: relative residual of each load, dimensionless.
        tick: told of each problem solved.

    Returns:
        Mandel stiffness in GPa.

    Raises:
        InputError: when a stiffness is not positive definite.
    """
    members = None if members is None or len(members) == 0 else members
    require_positive_definite(stiffness, "stiffness", ["the crystal"] * len(stiffness))
    for index, member in enumerate(() if members is None else members):
        require_positive_definite(member, "stiffness", [f"committee member {index}"] * len(member))

    def solve(
        crystal: Floats, sample: Polycrystal, start: list[Floats] | None, limit: float
    ) -> tuple[Floats, Effective]:
        table = rotate_stiffness(crystal, sample.rotations)
        medium = ElasticMedium(slabs, sample.grain_id, table, _grain_names(len(table)))
        return table, medium.effective(limit, start)

    kept = _Collector(len(samples), len(stiffness), 6)
    results = None if members is None else np.empty((len(members), len(samples), *members.shape[1:]))
    first: tuple[Floats, Effective] | None = None
    for index, sample in enumerate(samples):
        start: list[Floats] | None = None
        for column, crystal in enumerate(stiffness):
            table, found = solve(crystal, sample, start, tolerance)
            kept.add((index, column), found, table, sample.fractions)
            first = first or (table, found)
            # Strains hardly change from one temperature, or member, to the next.
            start = found.potentials
            where = f"realisation {index + 1} of {len(samples)}"
            tick(ELASTIC_COST, f"stiffness of {where}")
            for member in range(0 if members is None else len(members)):
                assert members is not None
                assert results is not None
                of_member = solve(members[member, column], sample, start, member_tolerance(tolerance))[1]
                results[member, index, column] = of_member.tensor
                tick(MEMBER_COST * ELASTIC_COST, f"stiffness of committee member {member} on {where}")
    assert first is not None
    return kept.ensemble(results, first[0], first[1].potentials[0])


def thermal_ensemble(
    samples: Sequence[Polycrystal],
    slabs: Slabs,
    models: PhononModels,
    conditions: Sequence[tuple[int, float]],
    tolerance: float,
    tick: Tick,
    electronic: Floats | None = None,
) -> Ensemble:
    """Effective conductivity of each sample under each condition by the mean model and by each member.

    Args:
        samples: realisations of the polycrystal.
        slabs: grid of the samples.
        models: phonon modes.
        conditions: index of the temperature, and mean grain diameter in nm, of each condition.
        tolerance: relative residual of each load, dimensionless.
        tick: told of each problem solved.
        electronic: carried by electrons besides, in crystal axes, whatever the grain's size, shape
            (n_conditions, 3, 3), W/(m K); None where phonons are the only carriers.

    Returns:
        Conductivity in W/(m K).

    Raises:
        InputError: when the conductivity of a grain is not positive definite.
    """
    kept = _Collector(len(samples), len(conditions), 3)
    members = np.empty((len(models.members), len(samples), len(conditions), 3, 3))
    first: tuple[Floats, Floats] | None = None
    for place, sample in enumerate(samples):
        start: list[Floats] | None = None
        for column, (index, size) in enumerate(conditions):
            diameters = size * sample.diameters
            besides = 0.0 if electronic is None else electronic[column]
            table = rotate_conductivity(models.grains(index, diameters) + besides, sample.rotations)
            found = _conduct(slabs, sample, table, tolerance, start)
            kept.add((place, column), found, table, sample.fractions)
            first = first or (table, found.potentials[0])
            # Temperatures hardly change from one condition, or member, to the next.
            start = found.potentials
            where = f"realisation {place + 1} of {len(samples)}"
            tick(1.0, f"conductivity of {where}")
            for member in range(len(models.members)):
                changed = models.member_grains(member, index, diameters)
                table = rotate_conductivity(changed + besides, sample.rotations)
                of_member = _conduct(slabs, sample, table, member_tolerance(tolerance), start)
                members[member, place, column] = of_member.tensor
                tick(MEMBER_COST, f"conductivity of committee member {member} on {where}")
    assert first is not None
    mesh = _mesh_error(models.series, samples[0], conditions, electronic)
    return kept.ensemble(members if len(members) else None, *first, mesh)


def _mesh_error(
    series: MeshModes | None,
    sample: Polycrystal,
    conditions: Sequence[tuple[int, float]],
    electronic: Floats | None,
) -> MeshError | None:
    if series is None:
        return None
    errors = [
        series.relative_error(
            index, size * sample.diameters, sample.fractions, None if electronic is None else electronic[row]
        )
        for row, (index, size) in enumerate(conditions)
    ]
    return MeshError(np.array(errors), series.tolerance)


def _conduct(
    slabs: Slabs, sample: Polycrystal, table: Floats, tolerance: float, start: list[Floats] | None
) -> Effective:
    medium = ThermalMedium(slabs, sample.grain_id, table, _grain_names(len(table)))
    return medium.effective(tolerance, start)


def _grain_names(count: int) -> list[str]:
    return [f"grain {index}" for index in range(count)]
