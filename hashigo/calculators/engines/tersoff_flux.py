"""Energy, forces, stress and exact heat flux of Tersoff's potential, compiled.

An atom's energy U_i is half the sum over its bonds, a function of the vectors r_ij to its neighbours alone. With
E_i = m v_i²/2 + U_i the heat flux J = d/dt Σ r_i E_i is then, without approximation,

    J = Σ_i v_i E_i - Σ_i Σ_j r_ij (∂U_i/∂r_ij · v_j).

Stresses of atoms as LAMMPS divides those of three-body terms give another, wrong flux.

Source: Fan et al., Phys. Rev. B 92, 094301 (2015).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
from ase.units import _amu, _e
from numpy.typing import NDArray

from hashigo.errors import InputError

Floats = NDArray[np.float64]

#: u Å²/ps² in eV.
KINETIC = _amu * 1e4 / _e
#: Neighbours are looked for this much farther out than the cut-off, Å, and again once an atom has moved half of it.
SKIN = 1.2
#: Most neighbours of an atom within cut-off and skin.
MOST = 64

_ORDER = ("m", "gamma", "lambda3", "c", "d", "h", "n", "beta", "lambda2", "B", "R", "D", "lambda1", "A")


def snapshots(
    parameters: Mapping[str, float], positions: Floats, velocities: Floats, cell: Floats, masses: Floats
) -> tuple[Floats, Floats]:
    """Potential energy and heat flux of each snapshot of one kind of atom in a periodic, orthogonal cell.

    Args:
        parameters: of the potential, energies in eV and lengths in Å; `R` and `D` are those of the cut-off function.
        positions: wrapped or not, shape (n_frames, n_atoms, 3), Å.
        velocities: shape (n_frames, n_atoms, 3), Å/ps.
        cell: lengths of its edges, shape (3,), Å.
        masses: shape (n_atoms,), atomic mass units.

    Returns:
        Energies, shape (n_frames,), eV; fluxes, shape (n_frames, 3), eV Å/ps.

    Raises:
        InputError: when the cell is too small for the nearest image to be the only one.
    """
    energies, fluxes, _, _ = _evaluate(parameters, positions, velocities, cell, masses)
    return energies, fluxes


def forces(parameters: Mapping[str, float], positions: Floats, cell: Floats) -> tuple[Floats, Floats]:
    """Forces and stress of one configuration, by the same derivatives that the flux is made of.

    Args:
        parameters: as in `snapshots`.
        positions: shape (n_atoms, 3), Å.
        cell: lengths of its edges, shape (3,), Å.

    Returns:
        Forces, shape (n_atoms, 3), eV/Å; stress, shape (3, 3), eV/Å^3, positive under tension.
    """
    frames = np.asarray(positions, dtype=float)[None]
    _, _, force, virial = _evaluate(parameters, frames, np.zeros_like(frames), cell, np.ones(len(positions)))
    return force, virial / np.prod(cell)


def _evaluate(
    parameters: Mapping[str, float], positions: Floats, velocities: Floats, cell: Floats, masses: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    reach = parameters["R"] + parameters["D"] + SKIN
    if cell.min() < 2 * reach:
        raise InputError(
            f"an edge of the cell is {cell.min():.2f} Å, and the heat flux needs at least {2 * reach:.2f} Å",
            fix="take a larger supercell",
        )
    n_frames, n_atoms, _ = positions.shape
    energies, fluxes = np.zeros(n_frames), np.zeros((n_frames, 3))
    force, virial = np.zeros((n_atoms, 3)), np.zeros((3, 3))
    crowded = _frames(
        np.ascontiguousarray(positions, dtype=float), np.ascontiguousarray(velocities, dtype=float),
        np.asarray(cell, dtype=float), np.asarray(masses, dtype=float),
        np.array([parameters[name] for name in _ORDER]), energies, fluxes, force, virial,
    )  # fmt: skip
    if crowded:
        raise InputError(f"an atom has more than {MOST} neighbours: the structure has collapsed")
    return energies, fluxes, force, virial


@numba.njit(cache=True)
def _wrap(d: Any, cell: Any) -> None:
    """Nearest image of a vector."""
    for a in range(3):
        d[a] -= cell[a] * round(d[a] / cell[a])


@numba.njit(cache=True)
def _neighbours(x: Any, cell: Any, reach: float, count: Any, table: Any) -> bool:
    """Fill the table of neighbours; whether one has too many."""
    d = np.empty(3)
    count[:] = 0
    for i in range(len(x)):
        for j in range(i):
            for a in range(3):
                d[a] = x[j, a] - x[i, a]
            _wrap(d, cell)
            if d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < reach * reach:
                if count[i] == MOST or count[j] == MOST:
                    return True
                table[i, count[i]] = j
                table[j, count[j]] = i
                count[i] += 1
                count[j] += 1
    return False


@numba.njit(cache=True)
def _has_moved(x: Any, before: Any, cell: Any) -> bool:
    d = np.empty(3)
    for i in range(len(x)):
        for a in range(3):
            d[a] = x[i, a] - before[i, a]
        _wrap(d, cell)
        if d[0] * d[0] + d[1] * d[1] + d[2] * d[2] > 0.25 * SKIN * SKIN:
            return True
    return False


@numba.njit(cache=True)
def _frames(
    positions: Any, velocities: Any, cell: Any, masses: Any, p: Any, energies: Any, fluxes: Any, force: Any, virial: Any
) -> bool:  # fmt: skip
    """All frames; forces and virial are those of the last. Whether an atom has too many neighbours."""
    n_frames, n_atoms, _ = positions.shape
    cutoff = p[10] + p[11]
    count = np.zeros(n_atoms, np.int64)
    table = np.zeros((n_atoms, MOST), np.int64)
    before = np.empty((n_atoms, 3))
    near = np.empty(MOST, np.int64)
    vectors, lengths, slopes = np.empty((MOST, 3)), np.empty(MOST), np.empty((MOST, 3))
    d = np.empty(3)
    for frame in range(n_frames):
        x, v = positions[frame], velocities[frame]
        if frame == 0 or _has_moved(x, before, cell):
            if _neighbours(x, cell, cutoff + SKIN, count, table):
                return True
            before[:] = x
        force[:] = 0.0
        virial[:] = 0.0
        for i in range(n_atoms):
            bonds = 0
            for k in range(count[i]):
                j = table[i, k]
                for a in range(3):
                    d[a] = x[j, a] - x[i, a]
                _wrap(d, cell)
                r = math.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
                if r < cutoff:
                    near[bonds], lengths[bonds] = j, r
                    vectors[bonds] = d
                    bonds += 1
            own = _atom(vectors, lengths, bonds, p, slopes)
            energies[frame] += own
            speed = v[i, 0] * v[i, 0] + v[i, 1] * v[i, 1] + v[i, 2] * v[i, 2]
            own += 0.5 * KINETIC * masses[i] * speed
            for a in range(3):
                fluxes[frame, a] += own * v[i, a]
            for k in range(bonds):
                j = near[k]
                power = slopes[k, 0] * v[j, 0] + slopes[k, 1] * v[j, 1] + slopes[k, 2] * v[j, 2]
                for a in range(3):
                    fluxes[frame, a] -= vectors[k, a] * power
                    force[i, a] += slopes[k, a]
                    force[j, a] -= slopes[k, a]
                    for b in range(3):
                        virial[a, b] += vectors[k, a] * slopes[k, b]
    return False


@numba.njit(cache=True)
def _cut(r: float, middle: float, half: float) -> tuple[float, float]:
    """Cut-off function and its derivative."""
    if r < middle - half:
        return 1.0, 0.0
    phase = 0.5 * math.pi * (r - middle) / half
    return 0.5 - 0.5 * math.sin(phase), -0.25 * math.pi / half * math.cos(phase)


@numba.njit(cache=True)
def _atom(vectors: Any, lengths: Any, bonds: int, p: Any, slopes: Any) -> float:
    """Energy U_i of an atom, and its derivatives by the vectors to the neighbours into `slopes`."""
    m, gamma, lambda3, c, d, h, n, beta = p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7]
    lambda2, strength, middle, half, lambda1, repulsion = p[8], p[9], p[10], p[11], p[12], p[13]
    slopes[:bonds] = 0.0
    energy = 0.0
    for j in range(bonds):
        rj = lengths[j]
        zeta = 0.0
        for k in range(bonds):
            if k != j:
                cosine = _cosine(vectors, lengths, j, k)
                angular = gamma * (1.0 + c * c / (d * d) - c * c / (d * d + (h - cosine) ** 2))
                zeta += (
                    _cut(lengths[k], middle, half)[0] * angular * math.exp((lambda3 * (rj - lengths[k])) ** m)
                )
        order, by_zeta = 1.0, 0.0
        if zeta > 0.0:
            power = (beta * zeta) ** n
            order = (1.0 + power) ** (-0.5 / n)
            by_zeta = -0.5 * order / (1.0 + power) * power / zeta
        cut, cut_slope = _cut(rj, middle, half)
        repel, attract = repulsion * math.exp(-lambda1 * rj), -strength * math.exp(-lambda2 * rj)
        energy += 0.5 * cut * (repel + order * attract)
        radial = cut_slope * (repel + order * attract) - cut * (lambda1 * repel + lambda2 * order * attract)
        for a in range(3):
            slopes[j, a] += 0.5 * radial * vectors[j, a] / rj
        weight = 0.5 * cut * attract * by_zeta
        if weight == 0.0:
            continue
        for k in range(bonds):
            if k == j:
                continue
            rk = lengths[k]
            cosine = _cosine(vectors, lengths, j, k)
            apart = d * d + (h - cosine) ** 2
            angular = gamma * (1.0 + c * c / (d * d) - c * c / apart)
            angular_slope = -2.0 * gamma * c * c * (h - cosine) / (apart * apart)
            stretch = lambda3 * (rj - rk)
            growth = math.exp(stretch**m)
            growth_slope = growth * m * lambda3 * stretch ** (m - 1.0)
            cut_k, cut_k_slope = _cut(rk, middle, half)
            for a in range(3):
                uj, uk = vectors[j, a] / rj, vectors[k, a] / rk
                turn = cut_k * growth * angular_slope
                slopes[j, a] += weight * (
                    turn * (uk - cosine * uj) / rj + cut_k * angular * growth_slope * uj
                )
                slopes[k, a] += weight * (
                    turn * (uj - cosine * uk) / rk
                    + (cut_k_slope * growth - cut_k * growth_slope) * angular * uk
                )
    return energy


@numba.njit(cache=True)
def _cosine(vectors: Any, lengths: Any, j: int, k: int) -> float:
    dot = vectors[j, 0] * vectors[k, 0] + vectors[j, 1] * vectors[k, 1] + vectors[j, 2] * vectors[k, 2]
    return float(dot / (lengths[j] * lengths[k]))
