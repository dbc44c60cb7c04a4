"""Properties of single phonon modes: group velocity, participation, Grüneisen parameter; states projected on sites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy, PhonopyGruneisen
from phonopy.phonon.degeneracy import degenerate_sets
from phonopy.phonon.thermal_properties import mode_cv
from phonopy.physical_units import get_physical_units

from hashigo.calculators.workers.lattice.force_constants import ForceConstants
from hashigo.calculators.workers.lattice.harmonic import BandPath, Spectrum

Floats = NDArray[np.float64]

#: Relative change of volume, to either side, by which mode Grüneisen parameters are taken, dimensionless.
VOLUME_STEP = 0.01
#: phonopy's group velocity is dν/dq in THz·Å, which is this many m/s.
_METRES_PER_SECOND = 100.0
#: Eigenvectors of the mesh without symmetry, which projected states need, take at most this, bytes.
_MOST_MEMORY = 2**30


@dataclass(frozen=True)
class Modes:
    """Modes at wave vectors, ascending in frequency at each.

    Attributes:
        qpoints: fractions of the reciprocal primitive vectors, shape (n_q, 3), dimensionless.
        weight: count of wave vectors that each stands for, shape (n_q,).
        frequency: shape (n_q, n_bands), THz; imaginary ones negative.
        velocity: group velocity, shape (n_q, n_bands, 3), m/s; zero where the frequency is.
        participation: share of the primitive cell's atoms that take part, shape (n_q, n_bands), dimensionless.
    """

    qpoints: Floats
    weight: NDArray[np.int64]
    frequency: Floats
    velocity: Floats
    participation: Floats


def participation_ratio(frequency: Floats, eigenvectors: NDArray[np.complex128]) -> Floats:
    """Share of the atoms that take part in each mode: 1 where all move alike, 1/n_atoms where one does.

    Degenerate modes, whose eigenvectors are arbitrary, share the mean of their weights on each atom.

    Args:
        frequency: at one wave vector, ascending, shape (n_bands,), THz.
        eigenvectors: in columns, shape (n_bands, n_bands), dimensionless.

    Returns:
        Shape (n_bands,), dimensionless.

    Source: Bell & Dean, Discuss. Faraday Soc. 50, 55 (1970), with the mass-weighted eigenvectors.
    """
    bands = len(frequency)
    weights = (np.abs(eigenvectors) ** 2).reshape(bands // 3, 3, bands).sum(axis=1)
    for same in degenerate_sets(frequency):
        weights[:, same] = weights[:, same].mean(axis=1, keepdims=True)
    return np.asarray(weights.sum(axis=0) ** 2 / (len(weights) * (weights**2).sum(axis=0)))


def modes_at(
    lattice: Phonopy, constants: ForceConstants, qpoints: Floats, weight: NDArray[np.int64] | None = None
) -> Modes:
    """Frequencies, group velocities and participation at wave vectors.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.
        qpoints: fractions of the reciprocal primitive vectors, shape (n_q, 3), dimensionless.
        weight: count of wave vectors that each stands for, shape (n_q,); 1 by default.
    """
    lattice.force_constants = constants.second
    found = lattice.run_qpoints(qpoints, with_eigenvectors=True, with_group_velocities=True)
    frequency = np.asarray(found.frequencies)
    taken = [
        participation_ratio(row, vectors) for row, vectors in zip(frequency, found.eigenvectors, strict=True)
    ]
    return Modes(
        qpoints=np.asarray(qpoints, dtype=float),
        weight=np.ones(len(qpoints), dtype=np.int64) if weight is None else np.asarray(weight),
        frequency=frequency,
        velocity=np.asarray(found.group_velocities) * _METRES_PER_SECOND,
        participation=np.array(taken),
    )


def scaled(atoms: Atoms, step: float) -> Atoms:
    """The crystal at another volume, in the same shape.

    Args:
        atoms: any periodic cell; lengths in Å.
        step: relative change of volume, dimensionless.
    """
    other = atoms.copy()
    other.set_cell(atoms.cell.array * (1 + step) ** (1 / 3), scale_atoms=True)
    return other


@dataclass(frozen=True)
class Volumes:
    """One crystal at its volume and at a larger and a smaller one, each with its own force constants.

    Attributes:
        middle: the crystal at its own volume.
        larger: its volume `VOLUME_STEP` larger, positions relaxed.
        smaller: its volume as much smaller, positions relaxed.
    """

    middle: Phonopy
    larger: Phonopy
    smaller: Phonopy

    def parameters(self) -> PhonopyGruneisen:
        """phonopy's mode Grüneisen parameters γ = -∂ln ω/∂ln V."""
        return PhonopyGruneisen(self.middle, self.larger, self.smaller)


@dataclass(frozen=True)
class GruneisenMesh:
    """Mode Grüneisen parameters on a mesh.

    Attributes:
        qpoints: fractions of the reciprocal primitive vectors, shape (n_q, 3), dimensionless.
        weight: count of wave vectors that each stands for, shape (n_q,).
        frequency: shape (n_q, n_bands), THz; imaginary ones negative.
        parameter: shape (n_q, n_bands), dimensionless; not a number for the acoustic modes at Γ.
    """

    qpoints: Floats
    weight: NDArray[np.int64]
    frequency: Floats
    parameter: Floats

    def thermal(self, temperatures: Sequence[float], cutoff: float) -> Floats:
        """Mean over the modes, weighted with their heat capacities: the parameter of thermal expansion.

        Args:
            temperatures: K.
            cutoff: modes below, imaginary ones among them, are left out, THz.

        Returns:
            Shape (n_temperatures,), dimensionless; not a number at 0 K, where no mode has a heat capacity.

        Source: Barron, Collins & White, Adv. Phys. 29, 609 (1980).
        """
        taken = np.isfinite(self.parameter) & (self.frequency > cutoff)
        energy = self.frequency[taken] * get_physical_units().THzToEv
        parameter = self.parameter[taken]
        weight = np.broadcast_to(self.weight[:, None], taken.shape)[taken]
        out = np.full(len(temperatures), np.nan)
        for row, temperature in enumerate(temperatures):
            if temperature > 0:
                capacity = weight * mode_cv(float(temperature), energy)
                total = capacity.sum()
                out[row] = (capacity * parameter).sum() / total if total > 0 else np.nan
        return out


def gruneisen_mesh(volumes: Volumes, mesh: int) -> GruneisenMesh:
    """Mode Grüneisen parameters on a mesh centred at Γ.

    Args:
        volumes: with force constants.
        mesh: count of wave vectors along each reciprocal vector.
    """
    found = volumes.parameters()
    with np.errstate(divide="ignore", invalid="ignore"):
        found.set_mesh([mesh] * 3, is_gamma_center=True)
        qpoints, weight, frequency, _, parameter = found.get_mesh()
    parameter = _without_acoustic(qpoints, frequency, parameter)
    return GruneisenMesh(qpoints, np.asarray(weight), frequency, parameter)


def gruneisen_bands(volumes: Volumes, path: BandPath) -> tuple[Floats, Floats]:
    """Mode Grüneisen parameters along the bands, which are followed through crossings within each straight line.

    Args:
        volumes: with force constants.
        path: of the bands.

    Returns:
        Frequencies, shape (n_q, n_bands), THz, and parameters, shape (n_q, n_bands), dimensionless; not a number
        for the acoustic modes at Γ.
    """
    found = volumes.parameters()
    with np.errstate(divide="ignore", invalid="ignore"):
        found.set_band_structure(list(path.segments))
        qpoints, _, frequency, _, parameter = found.get_band_structure()
    rows = np.concatenate(frequency)
    return rows, _without_acoustic(np.concatenate(qpoints), rows, np.concatenate(parameter))


def _without_acoustic(qpoints: Floats, frequency: Floats, parameter: Floats) -> Floats:
    """Parameters without those of the three modes at Γ that are translations: there it is nothing over nothing."""
    kept = np.array(parameter)
    for row in np.flatnonzero(np.abs(qpoints - np.rint(qpoints)).max(axis=1) < 1e-9):
        kept[row, np.argsort(np.abs(frequency[row]))[:3]] = np.nan
    return kept


@dataclass(frozen=True)
class Projected:
    """Density of states by the atom that moves.

    Attributes:
        frequency: shape (n,), THz.
        density: of each atom of the primitive cell, its three directions together, shape (n_primitive, n), 1/THz; the
            integral of each is 3.
        mesh: count of wave vectors along each reciprocal vector.
    """

    frequency: Floats
    density: Floats
    mesh: int

    @property
    def spectrum(self) -> Spectrum:
        """The sum over the atoms."""
        return Spectrum(self.frequency, self.density.sum(axis=0))


def projected_states(lattice: Phonopy, constants: ForceConstants, mesh: int) -> Projected:
    """Density of states projected on atoms, by the tetrahedron method.

    phonopy keeps all eigenvectors of the mesh without symmetry: the mesh is taken coarser where they would fill the
    memory.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.
        mesh: count of wave vectors along each reciprocal vector, at most.
    """
    bands = 3 * len(lattice.primitive)
    mesh = min(mesh, max(1, int((_MOST_MEMORY / (16 * bands**2)) ** (1 / 3))))
    lattice.force_constants = constants.second
    lattice.run_mesh([mesh] * 3, is_gamma_center=True, with_eigenvectors=True, is_mesh_symmetry=False)
    found = lattice.run_projected_dos()
    return Projected(np.asarray(found.frequency_points), np.asarray(found.projected_dos), mesh)
