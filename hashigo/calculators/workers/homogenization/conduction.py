"""Effective conductivity of realisations of a polycrystal, by either of two models of what a grain boundary does.

Phonons are scattered at it mode by mode, which changes the conductivity of the grains; or it has a thermal (Kapitza)
resistance, and grains are those of the single crystal. Both for one boundary would count its scattering twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hashigo.calculators.workers.homogenization.boundary import METRES_PER_NM, scattering_lengths
from hashigo.calculators.workers.homogenization.ensemble import (
    MEMBER_COST,
    Collector,
    Ensemble,
    Tick,
    grain_names,
    member_tolerance,
)
from hashigo.calculators.workers.homogenization.estimates import conductive_estimates
from hashigo.calculators.workers.homogenization.grain_boundaries import Interfaces, resistive_tensors
from hashigo.calculators.workers.homogenization.materials import of_grains
from hashigo.calculators.workers.homogenization.microstructure import Microstructure
from hashigo.calculators.workers.homogenization.phonons import MeshError, PhononModels
from hashigo.calculators.workers.homogenization.slabs import Slabs
from hashigo.calculators.workers.homogenization.solver import Effective, ThermalMedium, best_scheme
from hashigo.calculators.workers.homogenization.tensors import (
    Floats,
    require_positive_definite,
    rotate_conductivity,
)


@dataclass(frozen=True)
class Phases:
    """Conductivity of a sample, phase by phase.

    Attributes:
        phase: phase of each voxel of this rank, shape (planes, ny, nx), indices.
        table: conductivity of each in sample axes, shape (n_phases, 3, 3), W/(m K).
        fractions: of the volume, shape (n_phases,), dimensionless.
    """

    phase: NDArray[np.int32]
    table: Floats
    fractions: Floats


class BoundaryLaw(Protocol):
    """What grain boundaries do, for some conditions and the members of a committee."""

    @property
    def conditions(self) -> int:
        """Number of conditions."""

    @property
    def members(self) -> int:
        """Number of members."""

    def phases(self, place: int, column: int, member: int | None = None) -> Phases:
        """Conductivity of a realisation under a condition, by the mean model or a member.

        Args:
            place: index of the realisation.
            column: index of the condition.
            member: index of the member; None for the mean model.
        """

    def slope(self, place: int, column: int, medium: ThermalMedium, found: Effective) -> Floats | None:
        """Rate of change with the resistance, times it, shape (3, 3), W/(m K); None where there is none.

        Args:
            place: index of the realisation.
            column: index of the condition.
            medium: the conducting sample.
            found: its effective conductivity, with the solutions.
        """

    def mesh_error(self) -> MeshError | None:
        """Error from the mesh of the phonon modes; None where it is not known for each condition."""


@dataclass(frozen=True)
class ModeByMode:
    """Phonons scattered at grain boundaries, 1/τ = 1/τ_bulk + (1-p)/(1+p) |v|/L.

    Attributes:
        samples: realisations of the polycrystal.
        models: phonon modes.
        pairs: index of the temperature, and mean grain diameter in nm, of each condition.
        specularity: share p of phonons that a boundary reflects like a mirror, dimensionless.
        electronic: carried by electrons besides, in crystal axes, whatever the grain's size, shape
            (n_conditions, 3, 3), W/(m K); None where phonons are the only carriers.
        others: of the materials beside the crystal, whatever the grain's size, shape (n_others, 3, 3), W/(m K).
    """

    samples: Sequence[Microstructure]
    models: PhononModels
    pairs: Sequence[tuple[int, float]]
    specularity: float = 0.0
    electronic: Floats | None = None
    others: Floats | None = None

    @property
    def conditions(self) -> int:
        """Number of conditions."""
        return len(self.pairs)

    @property
    def members(self) -> int:
        """Number of members."""
        return len(self.models.members)

    def phases(self, place: int, column: int, member: int | None = None) -> Phases:
        """Conductivity of each grain, by its size.

        Args:
            place: index of the realisation.
            column: index of the condition.
            member: index of the member; None for the mean model.
        """
        sample = self.samples[place]
        index, _ = self.pairs[column]
        lengths = self._lengths(sample, column)
        if member is None:
            grains = self.models.grains(index, lengths)
        else:
            grains = self.models.member_grains(member, index, lengths)
        besides = 0.0 if self.electronic is None else self.electronic[column]
        own = of_grains(grains + besides, self.others, sample.material)
        table = rotate_conductivity(own, sample.rotations)
        return Phases(sample.grain_id, table, sample.fractions)

    def slope(self, place: int, column: int, medium: ThermalMedium, found: Effective) -> None:
        """No resistance.

        Args:
            place: index of the realisation.
            column: index of the condition.
            medium: the conducting sample.
            found: effective conductivity.
        """

    def mesh_error(self) -> MeshError | None:
        """From the last meshes of modes, for each condition; None where these are not known."""
        series = self.models.series
        if series is None:
            return None
        sample = self.samples[0]
        errors = [
            series.relative_error(
                index,
                self._lengths(sample, row)[sample.crystals],
                sample.fractions[sample.crystals] / sample.fractions[sample.crystals].sum(),
                None if self.electronic is None else self.electronic[row],
            )
            for row, (index, _) in enumerate(self.pairs)
        ]
        return MeshError(np.array(errors), series.tolerance)

    def _lengths(self, sample: Microstructure, column: int) -> Floats:
        return scattering_lengths(self.pairs[column][1] * sample.diameters, self.specularity)


@dataclass(frozen=True)
class Resistive:
    """Grains of the single crystal, whose boundaries have a thermal resistance.

    Attributes:
        samples: realisations of the polycrystal.
        interfaces: boundaries of each.
        slabs: grid of the samples.
        crystal: conductivity of the single crystal for each condition, in crystal axes, shape (n_conditions, 3, 3),
            W/(m K).
        of_members: of each member, shape (n_members, n_conditions, 3, 3), W/(m K); or None.
        resistance: of a boundary, shape (n_conditions,), m^2 K/W.
        sizes: mean grain diameter, shape (n_conditions,), nm.
        others: of the materials beside the crystal, shape (n_others, 3, 3), W/(m K).
    """

    samples: Sequence[Microstructure]
    interfaces: Sequence[Interfaces]
    slabs: Slabs
    crystal: Floats
    of_members: Floats | None
    resistance: Floats
    sizes: Floats
    others: Floats | None = None

    @property
    def conditions(self) -> int:
        """Number of conditions."""
        return len(self.crystal)

    @property
    def members(self) -> int:
        """Number of members."""
        return 0 if self.of_members is None else len(self.of_members)

    def voxel(self, place: int, column: int) -> float:
        """Edge of a voxel, m.

        Args:
            place: index of the realisation.
            column: index of the condition.
        """
        return float(self.sizes[column] * METRES_PER_NM * self.samples[place].spacing)

    def phases(self, place: int, column: int, member: int | None = None) -> Phases:
        """Conductivity of each grain, and of each voxel at a boundary.

        Args:
            place: index of the realisation.
            column: index of the condition.
            member: index of the member; None for the mean model.
        """
        sample, found = self.samples[place], self.interfaces[place]
        crystal = self.crystal if member is None or self.of_members is None else self.of_members[member]
        require_positive_definite(crystal[column][None], "thermal conductivity", ["the crystal"])
        own = of_grains(crystal[column], self.others, sample.material)
        grains = rotate_conductivity(own, sample.rotations)
        resistance = self.resistance[column] / self.voxel(place, column)
        table = np.concatenate([grains, resistive_tensors(grains, found, resistance)])
        phase = np.array(sample.grain_id, dtype=np.int32)
        phase.ravel()[found.index] = len(grains) + found.start + np.arange(len(found.index))
        rest = sample.fractions - np.bincount(found.owner, minlength=len(grains)) / self.slabs.voxels
        fractions = np.concatenate([rest, np.full(len(found.owner), 1.0 / self.slabs.voxels)])
        return Phases(phase, table, fractions)

    def slope(self, place: int, column: int, medium: ThermalMedium, found: Effective) -> Floats:
        """Rate of change of the conductivity with the resistance, times it.

        By the energies of the solutions, which do not change to first order: -<q_i · R S n⊗n · q_j>.

        Args:
            place: index of the realisation.
            column: index of the condition.
            medium: the conducting sample.
            found: its effective conductivity, with the solutions.

        Returns:
            Shape (3, 3), W/(m K).
        """
        boundary = self.interfaces[place]
        area = boundary.area[boundary.start : boundary.start + len(boundary.index)]
        fluxes = [
            medium.flux(potential, load).reshape(3, -1)[:, boundary.index].T
            for potential, load in zip(found.potentials, np.eye(3), strict=True)
        ]
        pairs = np.array([[np.einsum("na,nab,nb->", one, area, other) for other in fluxes] for one in fluxes])
        factor = self.resistance[column] / self.voxel(place, column) / self.slabs.voxels
        return np.asarray(-factor * self.slabs.total(pairs))

    def mesh_error(self) -> None:
        """Not by condition: that of the single crystal is carried over."""


def thermal_ensemble(samples: int, slabs: Slabs, law: BoundaryLaw, tolerance: float, tick: Tick) -> Ensemble:
    """Effective conductivity of each sample under each condition by the mean model and by each member.

    Args:
        samples: number of realisations.
        slabs: grid of the samples.
        law: what their boundaries do.
        tolerance: relative residual of each load, dimensionless.
        tick: told of each problem solved.

    Returns:
        Conductivity in W/(m K).

    Raises:
        InputError: when the conductivity of a grain is not positive definite.
    """
    kept = Collector(samples, law.conditions, law.members, 3)
    slopes = np.zeros((samples, law.conditions, 3, 3))
    estimates = np.zeros((samples, law.conditions, 3))
    known = True

    # One for all, lest members and temperatures differ by that of their discretisations.
    scheme = best_scheme(law.phases(0, 0).table)

    def medium(phases: Phases) -> ThermalMedium:
        names = grain_names(len(phases.table))
        return ThermalMedium(slabs, phases.phase, phases.table, names, scheme=scheme)

    for place in range(samples):
        start: list[Floats] | None = None
        where = f"realisation {place + 1} of {samples}"
        for column in range(law.conditions):
            phases = law.phases(place, column)
            conducting = medium(phases)
            found = conducting.effective(tolerance, start)
            kept.add((place, column), found, phases.phase, phases.table, phases.fractions)
            slope = law.slope(place, column, conducting, found)
            known = slope is not None
            slopes[place, column] = 0.0 if slope is None else slope
            if not known:
                aggregate = conductive_estimates(phases.table, phases.fractions)
                estimates[place, column] = aggregate.lower, aggregate.upper, aggregate.self_consistent
            # Temperatures hardly change from one condition, or member, to the next.
            start = found.potentials
            tick(1.0, f"conductivity of {where}")
            for member in range(law.members):
                of_member = medium(law.phases(place, column, member))
                tensor = of_member.effective(member_tolerance(tolerance), start).tensor
                kept.add_member(member, (place, column), tensor)
                tick(MEMBER_COST, f"conductivity of committee member {member} on {where}")
    # Tensors of boundaries stand along their normals: that aggregate is not one of grains of all orientations.
    return kept.ensemble(
        law.mesh_error(), slopes if known else None, None if known else estimates.mean(axis=0)
    )
