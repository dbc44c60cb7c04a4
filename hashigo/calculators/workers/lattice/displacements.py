"""Thermal displacements of atoms: their mean squares as tensors, on a mesh and extrapolated to the infinitely fine.

phonopy's own sum runs over every mode of the mesh without symmetry, one at a time; here only irreducible wave vectors
are summed and the tensors symmetrised after, which is the same to rounding and serves every member of a committee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy
from scipy.constants import angstrom, hbar, k, physical_constants

from hashigo.calculators.workers.lattice.force_constants import ForceConstants
from hashigo.errors import WorkerError

Floats = NDArray[np.float64]

_AMU = physical_constants["atomic mass constant"][0]
_THZ = 1e12


@dataclass(frozen=True)
class Displacements:
    """Mean-square displacement tensors of the primitive cell's atoms.

    Attributes:
        tensors: U_ij = <u_i u_j>, Cartesian, shape (n_temperatures, n_primitive, 3, 3), Å^2.
        mesh_error: how far the extrapolation over the mesh may be off, shape of `tensors`, Å^2; None where there are
            too few meshes for one.
        left_out: share of the modes, besides the three translations, that were left out, dimensionless.
    """

    tensors: Floats
    mesh_error: Floats | None
    left_out: float


def mean_squares(
    lattice: Phonopy, constants: ForceConstants, mesh: int, temperatures: Sequence[float], cutoff: float
) -> tuple[Floats, float]:
    """Mean-square displacements on one mesh, without the three translations at Γ.

    U = 1/N Σ ħ/(2 m ω) coth(ħω/2kT) e e†, over all modes of the N wave vectors.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.
        mesh: count of wave vectors along each reciprocal vector.
        temperatures: K.
        cutoff: modes up to this frequency, imaginary ones among them, are left out, THz; not negative.

    Returns:
        Shape (n_temperatures, n_primitive, 3, 3), Å^2, and the share of the modes left out, dimensionless.

    Source: Willis & Pryor, Thermal Vibrations in Crystallography (1975), chapter 4.
    """
    lattice.force_constants = constants.second
    found = lattice.run_mesh([mesh] * 3, is_gamma_center=True, with_eigenvectors=True)
    masses = np.asarray(lattice.primitive.masses)
    sums = np.zeros((len(temperatures), len(masses), 3, 3))
    left = 0.0
    for qpoint, weight, frequency, vectors in zip(
        found.qpoints, found.weights, found.frequencies, found.eigenvectors, strict=True
    ):
        taken = frequency > cutoff
        if not np.any(qpoint):
            translations = np.argsort(np.abs(frequency))[:3]
            taken[translations] = False
            left -= 3.0 * weight
        left += weight * np.count_nonzero(~taken)
        # e e† of each mode on each atom; that of -q is its conjugate.
        parts = vectors[:, taken].T.reshape(-1, len(masses), 3)
        outer = np.einsum("bix,biy->bixy", parts, parts.conj()).real
        amplitudes = _amplitude(frequency[taken], temperatures)
        sums += weight * np.einsum("tb,bixy->tixy", amplitudes, outer)
    points = float(np.sum(found.weights))
    tensors = sums / masses[:, None, None] / points
    modes = 3 * len(masses) * points - 3
    return symmetrised(lattice, tensors), left / modes if modes else 0.0


def _amplitude(frequency: Floats, temperatures: Sequence[float]) -> Floats:
    """ħ/(2 ω) coth(ħω/2kT) of modes at temperatures, shape (n_temperatures, n_modes), Å^2 amu."""
    angular = 2 * np.pi * _THZ * frequency
    out = np.empty((len(temperatures), len(frequency)))
    for row, temperature in enumerate(temperatures):
        coth = 1 / np.tanh(hbar * angular / (2 * k * temperature)) if temperature > 0 else 1.0
        out[row] = hbar / (2 * angular) * coth
    return out / (_AMU * angstrom**2)


def symmetrised(lattice: Phonopy, tensors: Floats) -> Floats:
    """Tensors of the primitive cell's atoms, averaged over the operations of the crystal.

    Args:
        lattice: gives the primitive cell and its symmetry.
        tensors: Cartesian, shape (n_temperatures, n_primitive, 3, 3), any unit.

    Returns:
        Shape and unit of `tensors`.
    """
    cell = np.asarray(lattice.primitive.cell)
    places = np.asarray(lattice.primitive.scaled_positions)
    operations = lattice.primitive_symmetry.symmetry_operations
    mean = np.zeros_like(tensors)
    for rotation, shift in zip(operations["rotations"], operations["translations"], strict=True):
        steps = (places @ np.asarray(rotation).T + shift)[:, None] - places[None]
        apart = np.linalg.norm((steps - np.rint(steps)) @ cell, axis=-1)
        image = apart.argmin(axis=1)
        if len(set(image)) < len(image):
            raise WorkerError("an operation of the crystal maps two of its atoms onto one")
        turn = cell.T @ rotation @ np.linalg.inv(cell.T)
        mean[:, image] += turn @ tensors @ turn.T
    return np.asarray(mean / len(operations["rotations"]))


def meshes_of(mesh: int) -> list[int]:
    """Meshes that the extrapolation takes, the finest first: about three quarters and half as fine after it, count.

    Args:
        mesh: count of wave vectors along each reciprocal vector of the finest.
    """
    return sorted({mesh, max(1, round(0.75 * mesh)), max(1, mesh // 2)}, reverse=True)


def displacements(
    lattice: Phonopy, constants: ForceConstants, mesh: int, temperatures: Sequence[float], cutoff: float
) -> Displacements:
    """Mean-square displacements of the infinitely fine mesh.

    The cell around Γ that a mesh of N leaves out holds a part of order 1/N, at 0 K of 1/N²: a polynomial in 1/N through
    three meshes gives the limit, and its distance from the straight line through the finer two its error.

    Args:
        lattice: supercell and primitive cell; its force constants are set.
        constants: of this supercell.
        mesh: count of wave vectors along each reciprocal vector of the finest mesh.
        temperatures: K.
        cutoff: modes up to this frequency are left out, THz; not negative.
    """
    meshes = meshes_of(mesh)
    found = [mean_squares(lattice, constants, number, temperatures, cutoff) for number in meshes]
    series = np.array([tensors for tensors, _ in found])
    if len(meshes) < 3:
        return Displacements(series[0], None, found[0][1])
    limit = np.tensordot(_limit_weights(meshes), series, axes=1)
    line = np.tensordot(_limit_weights(meshes[:2]), series[:2], axes=1)
    return Displacements(limit, np.abs(limit - line), found[0][1])


def _limit_weights(meshes: Sequence[int]) -> Floats:
    """Weights of values at meshes N in the polynomial in 1/N through them, at 1/N = 0."""
    powers = np.vander(1 / np.asarray(meshes, dtype=float), increasing=True)
    return np.asarray(np.linalg.inv(powers)[0])


def by_conventional_atom(lattice: Phonopy) -> NDArray[np.int64]:
    """For each atom of the conventional cell the primitive cell's that it is an image of.

    Args:
        lattice: supercell, conventional and primitive cell.

    Returns:
        Indices, shape (n_conventional,), dimensionless.
    """
    places = {int(atom): index for index, atom in enumerate(lattice.primitive.p2s_map)}
    of_supercell = lattice.primitive.s2p_map
    return np.array([places[int(of_supercell[atom])] for atom in lattice.supercell.u2s_map])
