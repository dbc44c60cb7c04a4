from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from scipy.special import sph_harm_y

from hashigo.calculators.workers.committee.pairs import find_pairs, harmonics, radial_functions


@pytest.mark.parametrize("cutoff", [0.5, 3.0, 9.0])
def test_pairs_are_those_of_ase(cutoff: float) -> None:
    generator = np.random.default_rng(0)
    cell = 4.0 * np.eye(3) + generator.normal(size=(3, 3))
    atoms = Atoms("Si3Na4", positions=20 * generator.normal(size=(7, 3)), cell=cell, pbc=True)
    pairs = find_pairs(cell, atoms.positions, np.array([0, 3, 7]), cutoff)
    i, j, vectors = neighbor_list("ijD", atoms, cutoff)
    segments = np.repeat(np.arange(14), np.diff(pairs.first))
    np.testing.assert_array_equal(segments % 2, pairs.other >= 3)
    mine = np.column_stack([segments // 2, pairs.other, pairs.vector.round(8)])
    known = np.column_stack([i, j, vectors.round(8)])
    assert len(mine) == len(known)
    np.testing.assert_allclose(mine[np.lexsort(mine.T)], known[np.lexsort(known.T)], atol=2e-8)


def directions() -> np.ndarray:
    """Random vectors, and those along the axes."""
    return np.concatenate(
        [np.random.default_rng(1).normal(size=(5, 3)), np.eye(3), [[0.0, 0.0, -2.0], [1.0, 1.0, 0.0]]]
    )


def test_harmonics_are_parts_of_the_complex_ones() -> None:
    vectors = directions()
    out = np.empty((4, 49, len(vectors)))
    harmonics(vectors, 6, out)
    polar = np.arccos(vectors[:, 2] / np.linalg.norm(vectors, axis=1))
    azimuth = np.arctan2(vectors[:, 1], vectors[:, 0])
    for degree in range(7):
        for m in range(degree + 1):
            known = sph_harm_y(degree, -m, polar, azimuth)
            place = degree**2 + max(2 * m - 1, 0)
            # scipy's phase (-1)^m belongs to positive m.
            np.testing.assert_allclose(out[0, place], known.real, atol=1e-13)
            if m:
                np.testing.assert_allclose(out[0, place + 1], known.imag, atol=1e-13)


def test_gradients_of_harmonics_and_radial_functions_are_their_slopes() -> None:
    vectors, step = directions(), 1e-5
    exponent, centre = np.array([1.0, 0.7, 0.0]), np.array([0.0, 1.5, 0.0])
    angular, radial = np.empty((4, 36, len(vectors))), np.empty((2, 3, len(vectors)))
    harmonics(vectors, 5, angular)
    radial_functions(vectors, exponent, centre, 4.0, radial)
    for axis in range(3):
        ends_angular, ends_radial = [], []
        for sign in (1, -1):
            moved = vectors + sign * step * np.eye(3)[axis]
            a, r = np.empty_like(angular), np.empty_like(radial)
            harmonics(moved, 5, a)
            radial_functions(moved, exponent, centre, 4.0, r)
            ends_angular.append(a[0])
            ends_radial.append(r[0])
        np.testing.assert_allclose(
            angular[1 + axis], (ends_angular[0] - ends_angular[1]) / (2 * step), atol=1e-8
        )
        slope = (ends_radial[0] - ends_radial[1]) / (2 * step)
        np.testing.assert_allclose(radial[1] * vectors[:, axis], slope, atol=1e-8)


def test_radial_functions_vanish_at_the_cut_off() -> None:
    out = np.empty((2, 1, 1))
    radial_functions(np.array([[0.0, 0.0, 4.0]]), np.array([0.1]), np.array([3.0]), 4.0, out)
    np.testing.assert_allclose(out, 0, atol=1e-15)
