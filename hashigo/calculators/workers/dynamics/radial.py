"""Radial distribution function, for each pair of elements."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Width of a bin, Å.
BIN = 0.05


@dataclass(frozen=True)
class Radial:
    """Radial distribution functions.

    Attributes:
        distance: middles of the bins, up to the radius of the largest sphere in the cell, shape (n_bins,), Å.
        pairs: for each pair of elements such as "Si-Si", shape (n_bins,), dimensionless; 1 without correlation.
    """

    distance: Floats
    pairs: dict[str, Floats]


def inscribed_radius(cell: Floats) -> float:
    """Half the smallest distance of opposite faces: as far as no atom meets an image of a pair twice, Å.

    Args:
        cell: rows are cell vectors, shape (3, 3), Å.
    """
    volume = abs(np.linalg.det(cell))
    areas = np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    return float(volume / areas.max() / 2)


def radial_distribution(positions: Floats, cells: Floats, symbols: list[str]) -> Radial:
    """Average over frames.

    Args:
        positions: shape (n_frames, n_atoms, 3), Å.
        cells: of each frame, shape (n_frames, 3, 3), Å.
        symbols: chemical symbols of the atoms.

    Source: Allen & Tildesley, Computer Simulation of Liquids, 2nd edition (2017), section 2.6; an atom itself is not
    counted, and neither is its share of the density of its own kind.
    """
    reach = min(inscribed_radius(cell) for cell in cells)
    edges = np.arange(0.0, reach, BIN)
    kinds = sorted(set(symbols))
    of_kind = {kind: np.flatnonzero(np.array(symbols) == kind) for kind in kinds}
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    pairs = {}
    for first, second in combinations_with_replacement(kinds, 2):
        total = np.zeros(len(edges) - 1)
        a, b = of_kind[first], of_kind[second]
        for places, cell in zip(positions, cells, strict=True):
            counts = np.histogram(_distances(places[a], places[b], cell), edges)[0].astype(float)
            count = len(a) * len(b)
            if first == second:
                counts[0] -= len(a)  # each atom with itself, at no distance
                count -= len(a)
            total += counts * abs(np.linalg.det(cell)) / (max(count, 1) * shells)
        pairs[f"{first}-{second}"] = total / len(positions)
    return Radial((edges[1:] + edges[:-1]) / 2, pairs)


def _distances(first: Floats, second: Floats, cell: Floats) -> Floats:
    """All distances of two sets to the nearest image; right up to the inscribed radius, shape (n,), Å."""
    inverse = np.linalg.inv(cell)
    apart = (first[:, None] - second[None]) @ inverse
    return np.linalg.norm((apart - np.rint(apart)) @ cell, axis=2).ravel()
