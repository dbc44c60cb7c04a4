"""Effective properties of realisations of a polycrystal, and of a committee's members on the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hashigo.calculators.workers.homogenization.boundary import ModeSet, limited_conductivity, scale_by_ratio
from hashigo.calculators.workers.homogenization.bounds import Margin, margin, reuss_average, voigt_average
from hashigo.calculators.workers.homogenization.microstructure import Polycrystal
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import Effective, ElasticMedium, ThermalMedium
from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    require_positive_definite,
    rotate_conductivity,
    rotate_stiffness,
)
from hashigo.calculators.workers.lattice.mesh_series import MeshSeries

#: Called after each solved problem with its cost (dimensionless) and what it was.
Tick = Callable[[float, str], None]

#: Cost of an elastic problem in units of a thermal one, dimensionless.
ELASTIC_COST = 10.0


@dataclass(frozen=True)
class MeshError:
    """What the mesh of the phonon modes leaves open of an effective conductivity.

    Attributes:
        relative: estimated error relative to the conductivity, shape (n_conditions,), dimensionless.
        tolerance: relative error that counts as converged, dimensionless.
    """

    relative: Floats
    tolerance: float

    @property
    def converged(self) -> bool:
        """Whether the error is within the tolerance under every condition."""
        return bool(np.all(self.relative <= self.tolerance))


@dataclass(frozen=True)
class Ensemble:
    """Effective tensors of one property under some conditions.

    Attributes:
        realisations: of the mean model, shape (n_realisations, n_conditions, m, m), GPa (Mandel) or W/(m K).
        members: of each committee member on the first realisation, or None; shape
            (n_members, n_conditions, m, m), same unit.
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
    """Effective stiffness of each sample, and of each member on the first.

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

    def solve(crystal: Floats, sample: Polycrystal, start: list[Floats] | None) -> tuple[Floats, Effective]:
        table = rotate_stiffness(crystal, sample.rotations)
        medium = ElasticMedium(slabs, sample.grain_id, table, _grain_names(len(table)))
        return table, medium.effective(tolerance, start)

    kept = _Collector(len(samples), len(stiffness), 6)
    results = None if members is None else np.empty_like(members)
    first: tuple[Floats, Effective] | None = None
    for index, sample in enumerate(samples):
        start: list[Floats] | None = None
        for column, crystal in enumerate(stiffness):
            table, found = solve(crystal, sample, start)
            kept.add((index, column), found, table, sample.fractions)
            first = first or (table, found)
            # Strains hardly change from one temperature, or member, to the next.
            start = found.potentials
            tick(ELASTIC_COST, f"stiffness of realisation {index + 1} of {len(samples)}")
            for member in range(0 if results is None or index else len(results)):
                assert members is not None
                assert results is not None
                results[member, column] = solve(members[member, column], sample, start)[1].tensor
                tick(ELASTIC_COST, f"stiffness of committee member {member}")
    assert first is not None
    return kept.ensemble(results, first[0], first[1].potentials[0])


@dataclass(frozen=True)
class MeshModes:
    """Phonon modes of the mean model on the meshes that the error is estimated from.

    Attributes:
        meshes: ascending numbers of wave vectors along each reciprocal vector, count.
        modes: on each of them.
        tolerance: relative error that counts as converged, dimensionless.
    """

    meshes: tuple[int, ...]
    modes: tuple[ModeSet, ...]
    tolerance: float

    def relative_error(
        self, index: int, diameters: Floats, fractions: Floats, electronic: Floats | None = None
    ) -> float:
        """Error of the conductivity of grains, averaged over their volume, relative to it, dimensionless.

        A coarse mesh lacks modes of long waves. They carry much of the heat of the single crystal and little in
        small grains, whose boundaries cut them, so that the error is another one for each grain size.

        Args:
            index: index of the temperature.
            diameters: of the grains, shape (n_grains,), nm.
            fractions: of the volume, shape (n_grains,), dimensionless.
            electronic: carried by electrons besides, shape (3, 3), W/(m K); or None.
        """
        besides = 0.0 if electronic is None else electronic
        kappa = [
            np.tensordot(fractions, limited_conductivity(modes, index, diameters), axes=1) + besides
            for modes in self.modes
        ]
        relative = MeshSeries(np.array(self.meshes), np.array(kappa)[:, None]).relative_error()
        assert relative is not None
        return float(relative[0])


@dataclass(frozen=True)
class PhononModels:
    """Phonon modes of the mean model and, on a coarser mesh, of the committee.

    Attributes:
        fine: mean model on the finest mesh.
        coarse: mean model on the mesh of the members; None without members.
        members: committee members on the coarse mesh.
        series: mean model on the last meshes; None when the error of the finest cannot be told from them.
    """

    fine: ModeSet
    coarse: ModeSet | None = None
    members: tuple[ModeSet, ...] = ()
    series: MeshModes | None = None

    def grains(self, index: int, diameters: Floats) -> Floats:
        """Conductivity of grains by the mean model, in crystal axes.

        Args:
            index: index of the temperature.
            diameters: of the grains, shape (n_grains,), nm.

        Returns:
            Shape (n_grains, 3, 3), W/(m K).
        """
        return limited_conductivity(self.fine, index, diameters)

    def member_grains(self, member: int, index: int, diameters: Floats) -> Floats:
        """Conductivity of grains by a committee member: its ratio on the coarse mesh times the fine value.

        Args:
            member: index of the member.
            index: index of the temperature.
            diameters: of the grains, shape (n_grains,), nm.

        Returns:
            In crystal axes, shape (n_grains, 3, 3), W/(m K).
        """
        assert self.coarse is not None
        coarse = limited_conductivity(self.coarse, index, diameters)
        changed = limited_conductivity(self.members[member], index, diameters)
        return scale_by_ratio(self.grains(index, diameters), coarse, changed)


def thermal_ensemble(
    samples: Sequence[Polycrystal],
    slabs: Slabs,
    models: PhononModels,
    conditions: Sequence[tuple[int, float]],
    tolerance: float,
    tick: Tick,
    electronic: Floats | None = None,
) -> Ensemble:
    """Effective conductivity of each sample under each condition, and of each member on the first.

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
    members = np.empty((len(models.members), len(conditions), 3, 3))
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
            tick(1.0, f"conductivity of realisation {place + 1} of {len(samples)}")
            for member in range(len(models.members) if place == 0 else 0):
                changed = models.member_grains(member, index, diameters)
                table = rotate_conductivity(changed + besides, sample.rotations)
                members[member, column] = _conduct(slabs, sample, table, tolerance, start).tensor
                tick(1.0, f"conductivity of committee member {member}")
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
