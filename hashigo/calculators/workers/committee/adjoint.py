"""Compiled derivatives of the members' energies by the order parameters, through the invariants."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from hashigo.calculators.workers.committee.pairs import FAST

#: Values (of some radial functions for some atoms) that a row is computed for at once; they stay in the first cache.
LANES = 64


@numba.njit(cache=True, fastmath=FAST)
def adjoint_of_invariants(table: Any, parameters: Any, adjoint: Any, energy: Any) -> None:
    """Energies of the invariants of degree 2 and more, and derivatives by the order parameters.

    The derivatives of the invariants are the same for all models; matrix products (BLAS) with the models' coefficients
    give those of the energies.

    Args:
        table: of the element, `tables.Invariants`.
        parameters: order parameters, shape (n_radial, n_heads, n_atoms), dimensionless.
        adjoint: derivatives to fill, shape (n_radial, n_heads, n_atoms, n_models), eV.
        energy: to add to, shape (n_models,), eV.
    """
    n_radial, n_heads, count = parameters.shape
    n_models = energy.size
    group = LANES // count
    tiles = _tiles(parameters, group)
    values = np.zeros((n_radial, table.linear.shape[1]))
    flat = adjoint.reshape(-1)
    largest = 0
    for block in range(table.block_head.size):
        largest = max(largest, table.block_row[block + 1] - table.block_row[block])
    jacobian, packed = np.empty((largest, LANES)), np.empty(largest * count)
    for block in range(table.block_head.size):
        low, high = table.block_row[block], table.block_row[block + 1]
        n_rows, n_features = high - low, table.block_features[block]
        if n_rows == 0:
            continue
        for n in range(n_radial):
            if n % group == 0:
                tile = tiles[n // group]
                _derivatives(table.first_item, table.width, table.first_factor, table.factors, table.weights,
                             tile, low, high, jacobian)  # fmt: skip
                _add_values(
                    table.head, table.feature, table.share, tile, low, high, jacobian, count, n, values
                )
            matrix = _packed(jacobian, n_rows, n % group * count, count, packed)
            start = table.block_coefficient[block] + n * n_features * n_models
            members = table.coefficients[start : start + n_features * n_models].reshape(n_features, n_models)
            place = (n * n_heads + table.block_head[block]) * count * n_models
            size = n_rows // n_features * count
            out = flat[place : place + size * n_models].reshape(size, n_models)
            np.dot(matrix.reshape(n_features, size).T, members, out)
    for n in range(n_radial):
        for feature in range(values.shape[1]):
            for model in range(n_models):
                energy[model] += values[n, feature] * table.linear[n, feature, model]


@numba.njit(inline="always")
def _tiles(parameters: Any, group: int) -> Any:
    """Order parameters of some radial functions side by side, and a last head that is 1."""
    n_radial, n_heads, count = parameters.shape
    tiles = np.zeros(((n_radial + group - 1) // group, n_heads + 1, LANES))
    for n in range(n_radial):
        for head in range(n_heads):
            for atom in range(count):
                tiles[n // group, head, n % group * count + atom] = parameters[n, head, atom]
    for tile in range(len(tiles)):
        for lane in range(LANES):
            tiles[tile, n_heads, lane] = 1.0
    return tiles


@numba.njit(inline="always")
def _packed(jacobian: Any, n_rows: int, lane: int, count: int, packed: Any) -> Any:
    """The lanes of one radial function of all rows, without gaps."""
    if count == LANES:
        return jacobian.reshape(-1)[: n_rows * LANES]
    for row in range(n_rows):
        for atom in range(count):
            packed[row * count + atom] = jacobian[row, lane + atom]
    return packed[: n_rows * count]


@numba.njit(inline="always")
def _derivatives(
    first_item: Any, width: Any, first_factor: Any, factors: Any, weights: Any, tile: Any, low: int, high: int,
    out: Any,
) -> None:  # fmt: skip
    """Sums of the items of some rows, for the lanes of a tile."""
    product = np.empty(LANES)
    for row in range(low, high):
        lanes = out[row - low]
        for lane in range(LANES):
            lanes[lane] = 0.0
        place = first_factor[row]
        if width[row] == 2:
            for item in range(first_item[row], first_item[row + 1], 4):
                a0, b0 = tile[factors[place]], tile[factors[place + 1]]
                a1, b1 = tile[factors[place + 2]], tile[factors[place + 3]]
                a2, b2 = tile[factors[place + 4]], tile[factors[place + 5]]
                a3, b3 = tile[factors[place + 6]], tile[factors[place + 7]]
                w0, w1, w2, w3 = weights[item], weights[item + 1], weights[item + 2], weights[item + 3]
                for lane in range(LANES):
                    lanes[lane] += (w0 * a0[lane] * b0[lane] + w1 * a1[lane] * b1[lane]) + (
                        w2 * a2[lane] * b2[lane] + w3 * a3[lane] * b3[lane]
                    )
                place += 8
            continue
        for item in range(first_item[row], first_item[row + 1]):
            for lane in range(LANES):
                product[lane] = weights[item]
            for factor in range(place, place + width[row]):
                head = tile[factors[factor]]
                for lane in range(LANES):
                    product[lane] *= head[lane]
            for lane in range(LANES):
                lanes[lane] += product[lane]
            place += width[row]


@numba.njit(inline="always")
def _add_values(
    head: Any, feature: Any, share: Any, tile: Any, low: int, high: int, jacobian: Any, count: int, n: int,
    values: Any,
) -> None:  # fmt: skip
    """Add the features' values, by Euler's theorem on the heads of one block of each."""
    for row in range(low, high):
        if share[row] == 0.0:
            continue
        mine, lanes = tile[head[row]], jacobian[row - low]
        for q in range(min(LANES // count, len(values) - n)):
            total = 0.0
            for lane in range(q * count, (q + 1) * count):
                total += mine[lane] * lanes[lane]
            values[n + q, feature[row]] += share[row] * total


@numba.njit(cache=True, fastmath=FAST)
def adjoint_of_pair_features(
    scale: float, single: Any, products: Any, coefficients: Any, parameters: Any, adjoint: Any, energy: Any
) -> None:
    """Energies of the pair features and of their products, and derivatives by the order parameters.

    Args:
        scale: of the pair features, dimensionless.
        single: their coefficients, shape (n_pair_features, n_models), eV.
        products: indices of the pair features that are multiplied, shape (n_products, 3), dimensionless.
        coefficients: of the products, shape (n_products, n_models), eV.
        parameters: order parameters, shape (n_radial, n_heads, n_atoms), dimensionless.
        adjoint: derivatives to add to, shape (n_radial, n_heads, n_atoms, n_models), eV.
        energy: to add to, shape (n_models,), eV.
    """
    n_radial, n_heads, count = parameters.shape
    n_single, n_models = single.shape
    n_types = n_single // n_radial
    n_lm = n_heads // n_types
    values = np.empty(n_single)
    slopes = np.empty((n_single, n_models))
    for atom in range(count):
        for one in range(n_single):
            values[one] = scale * parameters[one // n_types, one % n_types * n_lm, atom]
            for model in range(n_models):
                slopes[one, model] = single[one, model]
                energy[model] += values[one] * single[one, model]
        for index in range(products.shape[0]):
            i, j, k = products[index, 0], products[index, 1], products[index, 2]
            c = 1.0 if k < 0 else values[k]
            ij, jc, ic = values[i] * values[j], values[j] * c, values[i] * c
            for model in range(n_models):
                coefficient = coefficients[index, model]
                energy[model] += coefficient * ij * c
                slopes[i, model] += coefficient * jc
                slopes[j, model] += coefficient * ic
            if k >= 0:
                for model in range(n_models):
                    slopes[k, model] += coefficients[index, model] * ij
        for one in range(n_single):
            for model in range(n_models):
                adjoint[one // n_types, one % n_types * n_lm, atom, model] += scale * slopes[one, model]
