"""Lattice thermal conductivity mode by mode, by phono3py in the relaxation-time approximation.

κ = 1/V Σ weight · heat capacity · (v⊗v averaged over the star of q) · lifetime, with V the volume of all primitive
cells of the mesh. It is the lattice's part only: electrons, where there are free ones, carry heat too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phono3py import Phono3py
from phonopy.physical_units import get_physical_units
from phonopy.structure.cells import guess_primitive_matrix

from hashigo.calculators.results import ResultWriter
from hashigo.calculators.workers.lattice.crystal import SYMMETRY_TOLERANCE
from hashigo.calculators.workers.lattice.force_constants import (
    ForceConstants,
    Integers,
    phonopy_cell,
    supercell_matrix,
)
from hashigo.calculators.workers.lattice.polar import Polar
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]

#: Cartesian indices of the Voigt order xx, yy, zz, yz, xz, xy.
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))

#: phono3py's group velocity is dν/dq in THz·Å, which is this many m/s.
_METRES_PER_SECOND = 100.0
_CUBIC_METRES = 1e-30
_THZ = 1e12
#: Modes below this frequency carry nothing, THz; phono3py's own limit.
_STILL = 1e-4
_NM = 1e-9

#: Share of the conductivity below which the cumulative curve begins, dimensionless.
NEGLIGIBLE = 1e-4


@dataclass(frozen=True)
class Modes:
    """Phonon modes at the irreducible wave vectors of a mesh; n_modes counts wave vectors times bands.

    Attributes:
        frequency: shape (n_modes,), THz.
        heat_capacity: of one mode, shape (n_temperatures, n_modes), J/K.
        lifetime: 1/(2·2π·Γ), shape (n_temperatures, n_modes), s; 0 where it is not defined, as for the acoustic modes
            at Γ, which then carry nothing.
        speed: magnitude of the group velocity, shape (n_modes,), m/s.
        velocity_outer: v⊗v averaged over the star of q, xx yy zz yz xz xy, shape (n_modes, 6), m^2/s^2.
        weight: number of wave vectors in the star, shape (n_modes,), count.
        volume: number of wave vectors of the mesh times the volume of the primitive cell, m^3.
    """

    frequency: Floats
    heat_capacity: Floats
    lifetime: Floats
    speed: Floats
    velocity_outer: Floats
    weight: Floats
    volume: float

    @property
    def carriers(self) -> Floats:
        """Conductivity by mode, Voigt, shape (n_temperatures, n_modes, 6), W/(m K)."""
        scalar = self.weight * self.heat_capacity * self.lifetime / self.volume
        return np.asarray(scalar[:, :, None] * self.velocity_outer[None])

    def conductivity(self) -> Floats:
        """Conductivity, shape (n_temperatures, 3, 3), W/(m K)."""
        return voigt_to_tensor(self.carriers.sum(axis=1))

    def bounded(self, length: float | None) -> Modes:
        """The modes in a specimen at whose surface phonons are scattered: 1/τ grows by |v|/L.

        Args:
            length: L, size of the specimen, nm; None for an infinite one.

        Source: Casimir, Physica 5, 495 (1938); Ziman, Electrons and Phonons (1960), section 8.
        """
        if length is None:
            return self
        slowed = 1 + self.lifetime * self.speed / (length * _NM)
        return replace(self, lifetime=self.lifetime / slowed)

    def mean_free_path(self) -> Floats:
        """Speed times lifetime, shape (n_temperatures, n_modes), nm."""
        return np.asarray(self.speed * self.lifetime / _NM)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The attributes by name, with their shapes and units."""
        return {one.name: np.asarray(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Modes:
        """Modes of such attributes.

        Args:
            arrays: of `arrays`, with their shapes and units.
        """
        values: dict[str, Any] = {
            name: array if array.ndim else float(array) for name, array in arrays.items()
        }
        return cls(**values)

    def write(self, writer: ResultWriter, group: str) -> None:
        """Write the modes as the mesoscale reads them.

        Args:
            writer: of the result file.
            group: path below /data.
        """
        units = {
            "frequency": "THz",
            "heat_capacity": "J/K",
            "lifetime": "s",
            "speed": "m/s",
            "velocity_outer": "m^2/s^2",
            "weight": "dimensionless",
            "volume": "m^3",
        }
        for name, unit in units.items():
            writer.array(f"{group}/{name}", getattr(self, name), units=unit)


def voigt_to_tensor(voigt: Floats) -> Floats:
    """Symmetric tensors of components xx yy zz yz xz xy.

    Args:
        voigt: shape (..., 6), any unit.

    Returns:
        Shape (..., 3, 3), unit of `voigt`.
    """
    tensor = np.empty((*voigt.shape[:-1], 3, 3))
    for index, (i, j) in enumerate(VOIGT):
        tensor[..., i, j] = tensor[..., j, i] = voigt[..., index]
    return tensor


def build_anharmonic(
    atoms: Atoms,
    supercell: Sequence[int] | Integers,
    constants: ForceConstants,
    *,
    second_supercell: Sequence[int] | Integers | None = None,
    polar: Polar | None = None,
) -> Phono3py:
    """A crystal with its force constants, ready for `wave_vectors.mode_properties`.

    Args:
        atoms: conventional cell; lengths in Å.
        supercell: of the force constants, repeats, shape (3,), or matrix, shape (3, 3), count.
        constants: of second and third order.
        second_supercell: of those of second order where it is another one, shape (3,) or (3, 3), count.
        polar: Born charges, with which phonons have their non-analytic term; without them they have none.
    """
    cell = phonopy_cell(atoms)
    crystal = Phono3py(
        cell,
        supercell_matrix=supercell_matrix(supercell),
        phonon_supercell_matrix=None if second_supercell is None else supercell_matrix(second_supercell),
        primitive_matrix=guess_primitive_matrix(cell, symprec=SYMMETRY_TOLERANCE),
        symprec=SYMMETRY_TOLERANCE,
        log_level=0,
    )
    if polar is not None:
        crystal.nac_params = polar.parameters(atoms, crystal.primitive)
    crystal.fc2 = constants.second
    crystal.fc3 = constants.third
    return crystal


def assemble_modes(points: list[tuple[Floats, ...]], weights: Floats, volume: float) -> Modes:
    """Modes of a mesh from what phono3py gives for each irreducible wave vector.

    Args:
        points: of each, frequency, shape (n_bands,), THz; heat capacity, shape (n_temperatures, n_bands), eV/K; half
            of the linewidth, same shape, THz; velocity, shape (n_bands, 3), THz·Å; and v⊗v averaged over the star,
            shape (n_bands, 6), THz^2·Å^2.
        weights: number of wave vectors in the star, shape (n_points,), count.
        volume: of all primitive cells of the mesh, Å^3.

    Raises:
        WorkerError: when numbers are not finite.
    """
    frequency = np.concatenate([point[0] for point in points])
    capacity = np.concatenate([point[1] for point in points], axis=1)
    width = np.concatenate([point[2] for point in points], axis=1)
    velocity = np.concatenate([point[3] for point in points])
    star = np.concatenate([point[4] for point in points])
    if not all(np.isfinite(array).all() for array in (frequency, capacity, width, velocity, star)):
        raise WorkerError("phono3py gave phonon modes with numbers that are not finite")
    # A mode without scattering, or without frequency, has no lifetime and is taken out.
    defined = (width > 0) & (frequency > _STILL)
    lifetime = np.zeros_like(width)
    lifetime[defined] = 1.0 / (4 * np.pi * width[defined] * _THZ)
    return Modes(
        frequency=frequency,
        heat_capacity=capacity * get_physical_units().EV,
        lifetime=lifetime,
        speed=np.linalg.norm(velocity, axis=1) * _METRES_PER_SECOND,
        velocity_outer=star * _METRES_PER_SECOND**2,
        weight=np.repeat(weights, len(frequency) // len(weights)),
        volume=volume * _CUBIC_METRES,
    )


def cumulative(modes: Modes, points: int = 200) -> tuple[Floats, Floats]:
    """Conductivity carried by modes of up to a mean free path.

    Args:
        modes: of one mesh.
        points: count of mean free paths.

    Returns:
        Mean free paths, shape (n,), nm, evenly spaced on a logarithmic scale; and a third of the trace of the
        conductivity carried up to each, shape (n_temperatures, n), W/(m K).
    """
    paths = modes.mean_free_path()
    carried = modes.carriers[..., :3].sum(axis=-1) / 3
    if not (carried.sum(axis=1) > 0).all():
        raise WorkerError("no phonon mode carries heat", fix="check the force constants")
    sums = []
    for path, kappa in zip(paths, carried, strict=True):
        order = np.argsort(path, kind="stable")
        sums.append((path[order], np.cumsum(kappa[order])))
    # Standing waves with paths of 1e-40 nm carry nothing and would stretch the scale.
    low = min(path[np.searchsorted(total, NEGLIGIBLE * total[-1])] for path, total in sums)
    grid = np.geomspace(low, paths.max() * (1 + 1e-12), points)
    steps = [
        np.concatenate([[0.0], total])[np.searchsorted(path, grid, side="right")] for path, total in sums
    ]
    return grid, np.array(steps)
