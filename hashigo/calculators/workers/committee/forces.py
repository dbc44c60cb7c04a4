"""Compiled forces and virial of all models from the derivatives of their energies by the order parameters."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from hashigo.calculators.workers.committee.pairs import FAST

#: Largest number of order parameters whose gradients by the pairs of an atom are held at once.
GRADIENT_ROWS = 128


@numba.njit(cache=True, fastmath=FAST)
def add_forces(
    pairs: Any, begin: int, functions: Any, angular: Any, adjoint: Any, forces: Any, virial: Any
) -> None:
    """Add the forces and the virial that follow from the energies of a chunk of atoms.

    Args:
        pairs: of all atoms.
        begin: index of the chunk's first atom.
        functions: of `order_parameters`.
        angular: of `order_parameters`.
        adjoint: derivatives of the energies by the order parameters, shape (n_radial, n_heads, n_chunk, n_models), eV.
        forces: to add to, shape (n_atoms, 3, n_models), eV/Å.
        virial: to add to, shape (6, n_models), eV.
    """
    n_radial, n_heads, count, n_models = adjoint.shape
    n_types = (pairs.first.size - 1) // len(forces)
    n_lm = n_heads // n_types
    first = pairs.first[begin * n_types]
    gathered = np.empty((n_radial * n_lm, n_models))
    for segment in range(begin * n_types, (begin + count) * n_types):
        low, high = pairs.first[segment], pairs.first[segment + 1]
        if low == high:
            continue
        place, size = low - first, high - low
        f = functions[place * 2 * n_radial : (place + size) * 2 * n_radial].reshape(2, n_radial, size)
        y = angular[place * 4 * n_lm : (place + size) * 4 * n_lm].reshape(4, n_lm, size)
        atom, head = segment // n_types, segment % n_types * n_lm
        for n in range(n_radial):
            for lm in range(n_lm):
                for model in range(n_models):
                    gathered[n * n_lm + lm, model] = adjoint[n, head + lm, atom - begin, model]
        by_vector = _by_vectors(f, y, gathered, pairs.vector[low:high])
        _add_pairs(by_vector, atom, pairs.other[low:high], pairs.vector[low:high], forces, virial)


@numba.njit(inline="always")
def _by_vectors(f: Any, y: Any, adjoint: Any, vectors: Any) -> Any:
    """Derivatives of the energies by the pairs' vectors, shape (3 * n_pairs, n_models)."""
    n_radial, n_lm, k = f.shape[1], y.shape[1], f.shape[2]
    n_models = adjoint.shape[1]
    total, part = np.zeros((3 * k, n_models)), np.empty((3 * k, n_models))
    # Some radial functions at a time, so that the gradients stay in the second cache.
    group = max(1, GRADIENT_ROWS // n_lm)
    gradient = np.empty((group * n_lm, 3 * k))
    for start in range(0, n_radial, group):
        here = min(group, n_radial - start)
        for n in range(here):
            rows = gradient[n * n_lm : (n + 1) * n_lm]
            _fill_gradient(f[0, start + n], f[1, start + n], y, vectors, rows)
        np.dot(gradient[: here * n_lm].T, adjoint[start * n_lm : (start + here) * n_lm], part)
        for row in range(3 * k):
            for model in range(n_models):
                total[row, model] += part[row, model]
    return total


@numba.njit(inline="always")
def _add_pairs(by_vector: Any, atom: int, others: Any, vectors: Any, forces: Any, virial: Any) -> None:
    k = len(others)
    for pair in range(k):
        other = others[pair]
        dx, dy, dz = vectors[pair, 0], vectors[pair, 1], vectors[pair, 2]
        for model in range(by_vector.shape[1]):
            gx, gy, gz = by_vector[pair, model], by_vector[k + pair, model], by_vector[2 * k + pair, model]
            forces[atom, 0, model] += gx
            forces[atom, 1, model] += gy
            forces[atom, 2, model] += gz
            forces[other, 0, model] -= gx
            forces[other, 1, model] -= gy
            forces[other, 2, model] -= gz
            virial[0, model] += gx * dx
            virial[1, model] += gy * dy
            virial[2, model] += gz * dz
            virial[3, model] += gy * dz
            virial[4, model] += gx * dz
            virial[5, model] += gx * dy


@numba.njit(inline="always")
def _fill_gradient(f: Any, slope: Any, y: Any, vectors: Any, out: Any) -> None:
    """Gradients of one radial function times all harmonics, shape (n_lm, 3 * n_pairs)."""
    k = f.size
    for axis in range(3):
        radial = np.empty(k)
        for pair in range(k):
            radial[pair] = slope[pair] * vectors[pair, axis]
        for lm in range(len(out)):
            value, angular, row = y[0, lm], y[1 + axis, lm], out[lm, axis * k : (axis + 1) * k]
            for pair in range(k):
                row[pair] = radial[pair] * value[pair] + f[pair] * angular[pair]
