from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.power_cells import add_up, power_cells


def brute_force(points, weights, steps, shape):
    """All images of all cells."""
    lengths = np.array(shape[::-1]) * steps
    z, y, x = np.meshgrid(*[np.arange(n) + 0.5 for n in shape], indexing="ij")
    places = np.stack([x, y, z], axis=-1) * steps
    apart = places[..., None, :] - points
    apart -= lengths * np.round(apart / lengths)
    return np.argmin((apart**2).sum(axis=-1) - weights, axis=-1)


@pytest.mark.parametrize("spread", [0.0, 3.0, 100.0])
@pytest.mark.parametrize(
    ("shape", "cells"), [((9, 11, 14), 12), ((1, 20, 30), 9), ((8, 8, 8), 2), ((6, 7, 8), 1)]
)
def test_every_voxel_goes_to_the_cell_of_least_power(shape, cells, spread):
    generator = np.random.default_rng(cells)
    steps = np.array([1.0, 1.25, 0.8])
    points = generator.random((cells, 3)) * np.array(shape[::-1]) * steps
    weights = spread * generator.standard_normal(cells)
    expected = brute_force(points, weights, steps, shape)
    found = power_cells(points, weights, steps, shape, np.arange(shape[0]))
    assert np.array_equal(found, expected)
    part = power_cells(points, weights, steps, shape, np.array([shape[0] - 1, 0]))
    assert np.array_equal(part, expected[[-1, 0]])


def test_distances_are_added_up_by_nearest_images():
    cells = np.zeros((4, 5, 6), dtype=np.int32)
    cells[:, :, 5] = 1
    counts, offsets = np.zeros(2, dtype=np.int64), np.zeros((2, 3), dtype=np.int64)
    add_up(cells, 0, np.array([[2, 2, 1], [0, 2, 1]]), np.array([4, 5, 6]), counts, offsets)
    assert list(counts) == [100, 20]
    # x = 5 is next to x = 0, across the face; of z = 0..3 about 1 the last is -2 or 2.
    assert offsets[1, 0] == -20
    assert offsets[0, 1] == 0
    assert offsets[0, 0] == 0
