"""Thermal expansion of a sample by Levin's theorem, and the stress between its grains after a change of temperature.

Both follow from the solutions under unit strains: the expansion without any further problem, the stress with one.

Source: Levin, Mekh. Tverd. Tela 2, 88 (1967); Rosen & Hashin, Int. J. Eng. Sci. 8, 157 (1970).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashigo.calculators.workers.homogenization.materials import of_grains
from hashigo.calculators.workers.homogenization.microstructure import Microstructure
from hashigo.calculators.workers.homogenization.solver import Effective, ElasticMedium
from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    largest_principal,
    mandel_rotation,
    mandel_stress_to_voigt,
    matrix_to_mandel,
    von_mises,
)

#: What is told of the distribution of a stress: percentiles over the volume that is not void.
PERCENTILES = (50.0, 95.0, 99.0)
#: Probabilities at which the distribution is kept.
PROBABILITIES = np.linspace(0.0, 1.0, 201)


@dataclass(frozen=True)
class Seen:
    """One elastic problem that was solved.

    Attributes:
        place: index of the realisation.
        column: index of the condition.
        member: index of the member; None for the mean model.
        sample: the realisation.
        medium: its medium.
        found: its effective stiffness, with the solutions.
        tolerance: relative residual that it was solved to, dimensionless.
    """

    place: int
    column: int
    member: int | None
    sample: Microstructure
    medium: ElasticMedium
    found: Effective
    tolerance: float


def levin(seen: Seen, others: Floats) -> tuple[Floats, Floats]:
    """The linear map from the crystal's expansion to that of a sample, <σ_j : α> = <σ_j> : α_eff.

    Mean fluxes are on both sides, so that an expansion that all voxels share comes out exactly, whatever the residual.

    Args:
        seen: the sample, solved.
        others: expansion of the materials beside the crystal, Mandel, shape (n_others, 6), 1/K.

    Returns:
        Matrix, shape (6, 6), dimensionless, and what the other materials add, shape (6,), 1/K.
    """
    stress = np.einsum("gab,lgb->lga", seen.medium.table, grain_strains(seen.medium, seen.found))
    share = seen.sample.fractions[None, :, None] * stress
    mean = share.sum(axis=1)
    turn = mandel_rotation(seen.sample.rotations)
    crystal = seen.sample.material == 0
    of_crystal = np.einsum("lga,gab->lb", share[:, crystal], turn[crystal])
    beside = np.zeros(6)
    if not crystal.all():
        alpha = np.einsum("gab,gb->ga", turn[~crystal], others[seen.sample.material[~crystal] - 1])
        beside = np.einsum("lga,ga->l", share[:, ~crystal], alpha)
    return np.linalg.solve(mean, of_crystal), np.linalg.solve(mean, beside)


def grain_strains(medium: ElasticMedium, found: Effective) -> Floats:
    """Mean strain of each phase under each unit strain.

    Args:
        medium: the sample.
        found: its effective stiffness, with the solutions.

    Returns:
        Mandel, shape (6 loads, n_phases, 6), dimensionless.
    """
    phases = len(medium.table)
    phase = medium.phase.ravel()
    sums = np.empty((6, phases, 6))
    for load, potential in enumerate(found.potentials):
        strain = medium.strain(potential, np.eye(6)[load]).reshape(6, -1)
        for row, values in enumerate(strain):
            sums[load, :, row] = np.bincount(phase, weights=values, minlength=phases)
    counts = np.maximum(medium.fractions * medium.slabs.voxels, 1.0)
    return np.asarray(medium.slabs.total(sums) / counts[None, :, None])


class ExpansionProbe:
    """Collects Levin's map of every sample that is solved.

    Args:
        shape: numbers of realisations, conditions and members.
        others: expansion of the materials beside the crystal, shape (n_others, 3, 3), 1/K.
    """

    def __init__(self, shape: tuple[int, int, int], others: Floats) -> None:
        places, columns, members = shape
        self.others = matrix_to_mandel(others.reshape(-1, 3, 3))
        self.maps, self.beside = np.zeros((places, columns, 6, 6)), np.zeros((places, columns, 6))
        self.member_maps = np.zeros((members, places, columns, 6, 6))
        self.member_beside = np.zeros((members, places, columns, 6))

    def see(self, seen: Seen) -> None:
        """Take one in.

        Args:
            seen: the problem.
        """
        index = seen.place, seen.column
        found = levin(seen, self.others)
        if seen.member is None:
            self.maps[index], self.beside[index] = found
        else:
            place = (seen.member, *index)
            self.member_maps[place], self.member_beside[place] = found

    def expansions(self, alpha: Floats, columns: Sequence[int]) -> Floats:
        """Expansion of each realisation.

        Args:
            alpha: of the crystal by temperature, Mandel, shape (n_temperatures, 6), 1/K.
            columns: index of the condition that each temperature's stiffness is of.

        Returns:
            Mandel, shape (n_realisations, n_temperatures, 6), 1/K.
        """
        columns = list(columns)
        return np.asarray(np.einsum("rtab,tb->rta", self.maps[:, columns], alpha) + self.beside[:, columns])

    def member_expansions(self, alpha: Floats, columns: Sequence[int]) -> Floats:
        """Expansion by each member, mean over the realisations.

        Args:
            alpha: of the crystal by each member, Mandel, shape (n_members, n_temperatures, 6), 1/K.
            columns: index of the condition that each temperature's stiffness is of.

        Returns:
            Mandel, shape (n_members, n_temperatures, 6), 1/K.
        """
        columns = list(columns)
        maps, beside = self.member_maps[:, :, columns], self.member_beside[:, :, columns]
        return np.asarray((np.einsum("mrtab,mtb->mrta", maps, alpha) + beside).mean(axis=1))


class StressProbe:
    """Solves for the stress between grains that a change of temperature leaves, free of mean stress.

    Args:
        shape: numbers of realisations, conditions and members.
        column: index of the condition whose stiffness holds.
        eigenstrain: of the crystal, shape (3, 3), dimensionless.
        members: of each member, shape (n_members, 3, 3), dimensionless; None where they are not known.
        others: of the materials beside the crystal, shape (n_others, 3, 3), dimensionless.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        column: int,
        eigenstrain: Floats,
        members: Floats | None,
        others: Floats,
    ) -> None:
        self.column = column
        self.eigenstrain, self.of_members = eigenstrain, members
        self.others = others.reshape(-1, 3, 3)
        places, kept = shape[0], 0 if members is None else len(members)
        self.percentiles = {name: np.zeros((places, len(PERCENTILES))) for name in STRESSES}
        self.member_percentiles = {name: np.zeros((kept, places, len(PERCENTILES))) for name in STRESSES}
        self.quantiles = {name: np.zeros((places, len(PROBABILITIES))) for name in STRESSES}
        self.field: Floats | None = None

    def see(self, seen: Seen) -> None:
        """Solve one, if it is of the condition.

        Args:
            seen: the problem.
        """
        if seen.column != self.column or (seen.member is not None and self.of_members is None):
            return
        own = self.eigenstrain if seen.member is None else self.of_members[seen.member]  # type: ignore[index]
        tensors = of_grains(own, self.others, seen.sample.material)
        turn = seen.sample.rotations
        table = matrix_to_mandel(turn @ tensors @ np.swapaxes(turn, 1, 2))
        stress = seen.medium.thermal_stress(table, seen.found, seen.tolerance).stress
        voigt = np.moveaxis(mandel_stress_to_voigt(stress, axis=0), 0, -1)
        if seen.member is None and seen.place == 0:
            self.field = voigt
        solid = np.asarray(seen.medium.table.any(axis=(1, 2)))[seen.medium.phase]
        comm = seen.medium.slabs.comm
        for name, measure in STRESSES.items():
            parts = comm.gather(measure(voigt[solid]), root=0)
            if comm.rank != 0:
                continue
            values = np.concatenate(parts)
            found = np.percentile(values, PERCENTILES)
            if seen.member is None:
                self.percentiles[name][seen.place] = found
                self.quantiles[name][seen.place] = np.quantile(values, PROBABILITIES)
            else:
                self.member_percentiles[name][seen.member, seen.place] = found


#: Measures of a stress, from Voigt components.
STRESSES: dict[str, Any] = {"von_mises": von_mises, "principal": largest_principal}
