"""Compiled functions of pairs of atoms: neighbours, radial functions, real spherical harmonics, order parameters.

numba's cache follows changes of a function's own file only, so compiled functions of one file call none of another.
Helpers are pasted into their callers (`inline`), so that each is compiled once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# Sums may be reordered for speed; NaN must stay NaN, so no more than that.
FAST = {"reassoc", "contract", "nsz"}


class Pairs(NamedTuple):
    """Pairs of atoms within the cut-off; atoms are sorted by element.

    Attributes:
        first: index of the first pair of each atom and element of its neighbours, shape (n_atoms * n_elements + 1,),
            dimensionless.
        other: index of the neighbour, shape (n_pairs,), dimensionless.
        vector: from the atom to the neighbour, shape (n_pairs, 3), Å.
    """

    first: Indices
    other: Indices
    vector: Floats


class Radial(NamedTuple):
    """Gaussian radial functions exp(-exponent (r - centre)^2) with a cosine cut-off.

    Attributes:
        exponent: shape (n_radial,), 1/Å^2.
        centre: shape (n_radial,), Å.
        cutoff: radius, Å.
    """

    exponent: Floats
    centre: Floats
    cutoff: float


def find_pairs(cell: Floats, positions: Floats, first_atom: Indices, cutoff: float) -> Pairs:
    """Find all pairs of atoms, and of atoms and periodic images, that are closer than the cut-off.

    Args:
        cell: rows are the lattice vectors, shape (3, 3), Å.
        positions: of atoms sorted by element, shape (n_atoms, 3), Å; need not be inside the cell.
        first_atom: index of the first atom of each element, and the number of atoms; shape (n_elements + 1,),
            dimensionless.
        cutoff: radius, Å.
    """
    inverse = np.linalg.inv(cell)
    # By how many lattice vectors the sphere reaches beyond its centre.
    reach = cutoff * np.linalg.norm(inverse, axis=0)
    fractions = positions @ inverse
    fractions -= np.floor(fractions)
    first = np.zeros(len(positions) * (len(first_atom) - 1) + 1, dtype=np.int64)
    other, vector = np.empty(0, dtype=np.int64), np.empty((0, 3))
    for _ in range(2):
        # The first pass counts, the second one stores.
        _scan(cell, fractions, first_atom, reach, cutoff, first, other, vector)
        if len(other) < first[-1]:
            other, vector = np.empty(first[-1], dtype=np.int64), np.empty((first[-1], 3))
    return Pairs(first, other, vector)


@numba.njit(cache=True)
def _scan(
    cell: Any, fractions: Any, first_atom: Any, reach: Any, cutoff: float, first: Any, other: Any, vector: Any
) -> None:
    n_types = first_atom.size - 1
    found = 0
    for i in range(len(fractions)):
        for element in range(n_types):
            for j in range(first_atom[element], first_atom[element + 1]):
                du = fractions[j, 0] - fractions[i, 0]
                dv = fractions[j, 1] - fractions[i, 1]
                dw = fractions[j, 2] - fractions[i, 2]
                for a in range(math.ceil(-reach[0] - du), math.floor(reach[0] - du) + 1):
                    for b in range(math.ceil(-reach[1] - dv), math.floor(reach[1] - dv) + 1):
                        for c in range(math.ceil(-reach[2] - dw), math.floor(reach[2] - dw) + 1):
                            u, v, w = du + a, dv + b, dw + c
                            x = u * cell[0, 0] + v * cell[1, 0] + w * cell[2, 0]
                            y = u * cell[0, 1] + v * cell[1, 1] + w * cell[2, 1]
                            z = u * cell[0, 2] + v * cell[1, 2] + w * cell[2, 2]
                            itself = i == j and a == 0 and b == 0 and c == 0
                            if itself or x * x + y * y + z * z >= cutoff * cutoff:
                                continue
                            if found < other.size:
                                other[found] = j
                                vector[found, 0], vector[found, 1], vector[found, 2] = x, y, z
                            found += 1
            first[i * n_types + element + 1] = found


@numba.njit(cache=True, fastmath=FAST)
def order_parameters(
    radial: Any, pairs: Any, begin: int, max_l: int, functions: Any, angular: Any, parameters: Any
) -> None:
    """Fill the functions of the pairs of a chunk of atoms, and their sums, the order parameters.

    Args:
        radial: radial functions.
        pairs: of all atoms.
        begin: index of the chunk's first atom.
        max_l: highest angular number.
        functions: for each atom and element of its neighbours, what `radial_functions` gives; shape (size,).
        angular: for each atom and element of its neighbours, what `harmonics` gives; shape (size,).
        parameters: shape (n_radial, n_elements * (max_l + 1)^2, n_chunk), dimensionless.
    """
    n_radial, n_lm = radial.centre.size, (max_l + 1) ** 2
    n_types = parameters.shape[1] // n_lm
    first = pairs.first[begin * n_types]
    for segment in range(begin * n_types, (begin + parameters.shape[2]) * n_types):
        low, high = pairs.first[segment], pairs.first[segment + 1]
        if low == high:
            continue
        place, size = low - first, high - low
        f = functions[place * 2 * n_radial : (place + size) * 2 * n_radial].reshape(2, n_radial, size)
        y = angular[place * 4 * n_lm : (place + size) * 4 * n_lm].reshape(4, n_lm, size)
        radial_functions(pairs.vector[low:high], radial.exponent, radial.centre, radial.cutoff, f)
        harmonics(pairs.vector[low:high], max_l, y)
        head = segment % n_types * n_lm
        _add_parameters(f[0], y[0], parameters[:, head : head + n_lm, segment // n_types - begin])


@numba.njit(inline="always")
def _add_parameters(f: Any, y: Any, parameters: Any) -> None:
    """Sums over neighbours of radial function times harmonic."""
    for n in range(len(f)):
        for lm in range(len(y)):
            total = 0.0
            for pair in range(f.shape[1]):
                total += f[n, pair] * y[lm, pair]
            parameters[n, lm] = total


@numba.njit(cache=True, fastmath=FAST)
def radial_functions(vectors: Floats, exponent: Floats, centre: Floats, cutoff: float, out: Any) -> None:
    """Gaussians times (1 + cos(pi r / cutoff)) / 2, and their derivatives over the distance.

    Args:
        vectors: shape (n_pairs, 3), Å.
        exponent: of each Gaussian, shape (n_radial,), 1/Å^2.
        centre: of each Gaussian, shape (n_radial,), Å.
        cutoff: radius, Å.
        out: values (dimensionless) and radial derivatives divided by the distance (1/Å^2), shape
            (2, n_radial, n_pairs).
    """
    n_pairs = len(vectors)
    for pair in range(n_pairs):
        r = math.sqrt(vectors[pair, 0] ** 2 + vectors[pair, 1] ** 2 + vectors[pair, 2] ** 2)
        angle = math.pi * r / cutoff
        cut, slope = 0.5 * (1.0 + math.cos(angle)), -0.5 * math.pi / cutoff * math.sin(angle)
        for n in range(centre.size):
            gap = r - centre[n]
            value = math.exp(-exponent[n] * gap * gap)
            out[0, n, pair] = value * cut
            out[1, n, pair] = value * (slope - 2.0 * exponent[n] * gap * cut) / r


@numba.njit(cache=True, fastmath=FAST)
def harmonics(vectors: Floats, max_l: int, out: Any) -> None:
    """Real and imaginary parts of the spherical harmonics with m <= 0, and their gradients.

    Y_l,-m = N_lm P_lm (x - iy)^m for a unit vector, with P_lm a polynomial of z; numbered from l*l: m = 0, then real
    and imaginary part of m = 1, 2, ...

    Args:
        vectors: shape (n_pairs, 3), Å; not 0.
        max_l: highest angular number.
        out: values (dimensionless) and Cartesian gradients (1/Å), shape (4, (max_l + 1)^2, n_pairs).

    Source: recursions of Limpanuparb & Milthorpe, arXiv:1410.1748, divided by sin^m.
    """
    n_pairs = len(vectors)
    unit = np.empty((4, n_pairs))
    for pair in range(n_pairs):
        r = math.sqrt(vectors[pair, 0] ** 2 + vectors[pair, 1] ** 2 + vectors[pair, 2] ** 2)
        unit[3, pair] = 1.0 / r
        for axis in range(3):
            unit[axis, pair] = vectors[pair, axis] / r
    # Real and imaginary part of (x + iy)^m and of (x + iy)^(m-1); P at l and l-1, and its derivatives.
    power, legendre = np.zeros((4, n_pairs)), np.empty((4, n_pairs))
    for pair in range(n_pairs):
        power[0, pair] = 1.0
    sectoral = math.sqrt(0.25 / math.pi)
    for m in range(max_l + 1):
        if m > 0:
            sectoral *= math.sqrt((2 * m + 1) / (2.0 * m))
            for pair in range(n_pairs):
                c, s, x, y = power[0, pair], power[1, pair], unit[0, pair], unit[1, pair]
                power[2, pair], power[3, pair] = c, s
                power[0, pair], power[1, pair] = c * x - s * y, c * y + s * x
        for pair in range(n_pairs):
            legendre[0, pair] = sectoral
            legendre[1, pair] = legendre[2, pair] = legendre[3, pair] = 0.0
        for angular in range(m, max_l + 1):
            if angular > m:
                _next_legendre(angular, m, unit[2], legendre)
            _harmonic_pair(angular, m, unit, power, legendre, out)


@numba.njit(inline="always")
def _next_legendre(angular: int, m: int, z: Any, legendre: Any) -> None:
    square, before = angular * angular, (angular - 1.0) ** 2
    a = math.sqrt((4.0 * square - 1.0) / (square - m * m))
    b = math.sqrt((before - m * m) / (4.0 * before - 1.0))
    for pair in range(z.size):
        p1, p2, d1, d2 = legendre[0, pair], legendre[1, pair], legendre[2, pair], legendre[3, pair]
        legendre[0, pair] = a * (z[pair] * p1 - b * p2)
        legendre[1, pair] = p1
        legendre[2, pair] = a * (p1 + z[pair] * d1 - b * d2)
        legendre[3, pair] = d1


@numba.njit(inline="always")
def _harmonic_pair(angular: int, m: int, unit: Any, power: Any, legendre: Any, out: Any) -> None:
    """Fill real and imaginary part of Y_l,-m: gradients are those of the polynomial, made tangential."""
    place = angular * angular + max(2 * m - 1, 0)
    for pair in range(unit.shape[1]):
        x, y, z, inverse = unit[0, pair], unit[1, pair], unit[2, pair], unit[3, pair]
        c, s = power[0, pair], power[1, pair]
        p, d = legendre[0, pair], legendre[2, pair]
        cx, sx = m * power[2, pair], m * power[3, pair]
        gx, gy, gz = p * cx, -p * sx, d * c
        along = gx * x + gy * y + gz * z
        out[0, place, pair] = p * c
        out[1, place, pair] = (gx - along * x) * inverse
        out[2, place, pair] = (gy - along * y) * inverse
        out[3, place, pair] = (gz - along * z) * inverse
        if m > 0:
            gx, gy, gz = -p * sx, -p * cx, -d * s
            along = gx * x + gy * y + gz * z
            out[0, place + 1, pair] = -p * s
            out[1, place + 1, pair] = (gx - along * x) * inverse
            out[2, place + 1, pair] = (gy - along * y) * inverse
            out[3, place + 1, pair] = (gz - along * z) * inverse
