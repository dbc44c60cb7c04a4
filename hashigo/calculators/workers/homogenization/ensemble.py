"""Effective properties of realisations of a polycrystal, of the mean model and of every member of a committee."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization.bounds import Margin, margin, reuss_average, voigt_average
from hashigo.calculators.workers.homogenization.materials import of_grains
from hashigo.calculators.workers.homogenization.microstructure import Microstructure
from hashigo.calculators.workers.homogenization.phonons import MeshError
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import Effective, ElasticMedium, best_scheme
from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    require_positive_definite,
    rotate_stiffness,
)
from hashigo.calculators.workers.homogenization.thermoelastic import Seen

#: Called after each solved problem with its cost (dimensionless) and what it was.
Tick = Callable[[float, str], None]

#: Cost of an elastic problem in units of a thermal one, dimensionless.
ELASTIC_COST = 10.0

#: Cost of a member's problem, which starts from the mean model's solution, in units of that one's, dimensionless.
MEMBER_COST = 0.4


def member_tolerance(tolerance: float) -> float:
    """Residual to which a member is solved, relative like `tolerance`, dimensionless.

    A member's tensor is an energy, whose error is the square of the residual's: at a tolerance of 1e-6 it was 1e-8 of
    the tensor, where members differed by 1e-3 to 1e-2. Its expansion and stress between grains are of first order in
    the residual, and tests hold them to a thousandth of what members differ by.

    Args:
        tolerance: relative residual of the mean model, dimensionless.
    """
    return float(np.sqrt(tolerance))


class Probe(Protocol):
    """Takes in each elastic problem that was solved."""

    def see(self, seen: Seen) -> None:
        """Take one in.

        Args:
            seen: the problem.
        """


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
        phase: phase of each voxel of the first realisation on this rank, shape (planes, ny, nx), indices.
        table: property of each phase there under the first condition, shape (n_phases, m, m), same unit.
        potential: solution there of the first unit load, shape (components, planes, ny, nx), voxels or K.
        mesh: error from the mesh of the phonon modes; None where a series of meshes does not tell.
        slope: rate of change of the conductivity with the resistance of the boundaries, times the resistance, shape
            of `realisations`, same unit; None where they have none.
        estimates: lower and upper bound of Hashin and Shtrikman and the self-consistent estimate of an isotropic
            aggregate of these grains, shape (n_conditions, 3), same unit; None where they do not hold.
    """

    realisations: Floats
    members: Floats | None
    voigt: Floats
    reuss: Floats
    iterations: Floats
    residuals: Floats
    phase: NDArray[np.int32]
    table: Floats
    potential: Floats
    mesh: MeshError | None = None
    slope: Floats | None = None
    estimates: Floats | None = None

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


class Collector:
    """Keeps what is reported of each realisation, condition and member.

    Args:
        realisations: number of realisations.
        conditions: number of conditions.
        members: number of members.
        size: number of unit loads.
    """

    def __init__(self, realisations: int, conditions: int, members: int, size: int) -> None:
        shape = (realisations, conditions, size, size)
        self.effective, self.voigt, self.reuss = np.empty(shape), np.empty(shape), np.empty(shape)
        self.iterations, self.residuals = np.empty(shape[:3]), np.empty(shape[:3])
        self.members = np.empty((members, *shape)) if members else None
        self.first: tuple[NDArray[np.int32], Floats, Floats] | None = None

    def add(
        self,
        index: tuple[int, int],
        found: Effective,
        phase: NDArray[np.int32],
        table: Floats,
        fractions: Floats,
    ) -> None:
        """Keep what was found for a realisation and a condition, with the bounds of the sample.

        Args:
            index: indices of the realisation and the condition.
            found: effective tensor.
            phase: phase of each voxel of this rank, shape (planes, ny, nx), indices.
            table: property of each phase, shape (n_phases, m, m), GPa or W/(m K).
            fractions: of their volume, shape (n_phases,), dimensionless.
        """
        self.effective[index] = found.tensor
        self.voigt[index] = voigt_average(table, fractions)
        self.reuss[index] = reuss_average(table, fractions)
        self.iterations[index] = found.iterations
        self.residuals[index] = found.residuals
        self.first = self.first or (phase, table, found.potentials[0])

    def add_member(self, member: int, index: tuple[int, int], tensor: Floats) -> None:
        """Keep what a member gave for a realisation and a condition.

        Args:
            member: its index.
            index: indices of the realisation and the condition.
            tensor: effective tensor, shape (m, m), GPa or W/(m K).
        """
        assert self.members is not None
        self.members[(member, *index)] = tensor

    def ensemble(
        self, mesh: MeshError | None = None, slope: Floats | None = None, estimates: Floats | None = None
    ) -> Ensemble:
        """All that was kept.

        Args:
            mesh: error from the mesh of the phonon modes.
            slope: rate of change with the resistance of the boundaries, times it, shape (n_realisations, n_conditions,
                m, m), W/(m K); or None.
            estimates: for isotropic aggregates, shape (n_conditions, 3), W/(m K); or None.
        """
        assert self.first is not None
        tensors = self.effective, self.members, self.voigt, self.reuss
        return Ensemble(*tensors, self.iterations, self.residuals, *self.first, mesh, slope, estimates)


def elastic_ensemble(
    samples: Sequence[Microstructure],
    slabs: Slabs,
    stiffness: Floats,
    members: Floats | None,
    tolerance: float,
    tick: Tick,
    others: Floats | None = None,
    probes: Sequence[Probe] = (),
) -> Ensemble:
    """Effective stiffness of each sample by the mean model and by each member.

    Args:
        samples: realisations of the polycrystal.
        slabs: grid of the samples.
        stiffness: Mandel stiffness of the crystal under each condition, shape (n_conditions, 6, 6), GPa.
        members: of each committee member, shape (n_members, n_conditions, 6, 6), GPa; or None.
        tolerance: relative residual of each load, dimensionless.
        tick: told of each problem solved.
        others: Mandel stiffness of the materials beside the crystal, shape (n_others, 6, 6), GPa; zero for voids.
        probes: take in each problem that was solved.

    Returns:
        Mandel stiffness in GPa.

    Raises:
        InputError: when a stiffness is not positive definite.
    """
    members = None if members is None or len(members) == 0 else members
    require_positive_definite(stiffness, "stiffness", ["the crystal"] * len(stiffness))
    for index, member in enumerate(() if members is None else members):
        require_positive_definite(member, "stiffness", [f"committee member {index}"] * len(member))

    def table_of(sample: Microstructure, crystal: Floats) -> Floats:
        return rotate_stiffness(of_grains(crystal, others, sample.material), sample.rotations)

    # One for all, lest members and temperatures differ by that of their discretisations.
    scheme = best_scheme(table_of(samples[0], stiffness[0]))

    def solve(
        index: tuple[int, int, int | None], crystal: Floats, start: list[Floats] | None, limit: float
    ) -> tuple[Floats, Effective]:
        sample = samples[index[0]]
        table = table_of(sample, crystal)
        medium = ElasticMedium(slabs, sample.grain_id, table, grain_names(len(table)), scheme=scheme)
        found = medium.effective(limit, start)
        for probe in probes:
            probe.see(Seen(*index, sample, medium, found, limit))
        return table, found

    count = 0 if members is None else len(members)
    kept = Collector(len(samples), len(stiffness), count, 6)
    for index, sample in enumerate(samples):
        start: list[Floats] | None = None
        where = f"realisation {index + 1} of {len(samples)}"
        for column, crystal in enumerate(stiffness):
            table, found = solve((index, column, None), crystal, start, tolerance)
            kept.add((index, column), found, sample.grain_id, table, sample.fractions)
            # Strains hardly change from one temperature, or member, to the next.
            start = found.potentials
            tick(ELASTIC_COST, f"stiffness of {where}")
            for member in range(count):
                assert members is not None
                limit = member_tolerance(tolerance)
                of_member = solve((index, column, member), members[member, column], start, limit)[1]
                kept.add_member(member, (index, column), of_member.tensor)
                tick(MEMBER_COST * ELASTIC_COST, f"stiffness of committee member {member} on {where}")
    return kept.ensemble()


def grain_names(count: int) -> list[str]:
    """Names of grains, for errors."""
    return [f"grain {index}" for index in range(count)]
