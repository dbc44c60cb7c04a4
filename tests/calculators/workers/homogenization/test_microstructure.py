from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.microstructure import smallest_grid, voronoi_polycrystal
from hashigo.errors import InputError


def test_equal_seeds_give_equal_polycrystals():
    first, again = (voronoi_polycrystal(20, 12, (3, 1)) for _ in range(2))
    other = voronoi_polycrystal(20, 12, (3, 2))
    assert np.array_equal(first.grain_id, again.grain_id)
    assert np.array_equal(first.quaternions, again.quaternions)
    assert not np.array_equal(first.grain_id, other.grain_id)


def test_volumes_and_diameters():
    sample = voronoi_polycrystal(20, 16, 0)
    assert sample.fractions.sum() == pytest.approx(1.0)
    assert sample.diameters.mean() == pytest.approx(1.0)
    sphere = np.pi / 6.0 * (sample.diameters * sample.mean_diameter) ** 3
    assert np.allclose(sphere, sample.fractions)
    assert np.allclose(sample.fractions, np.bincount(sample.grain_id.ravel()) / 16**3)


def test_grains_are_periodic():
    """Moved by whole grains of the box, every voxel's nearest seed is the same."""
    sample = voronoi_polycrystal(5, 24, 7)
    first, last = sample.grain_id[0], sample.grain_id[-1]
    middle = sample.grain_id[12]
    # Neighbouring planes are alike across the face of the box as within it.
    assert np.mean(first == last) > 0.8 > np.mean(first == middle)


def test_planes_are_those_of_the_whole():
    whole = voronoi_polycrystal(10, 12, 5)
    part = voronoi_polycrystal(2, 12, 5, planes=slice(3, 7))
    assert part.grain_id.shape == (4, 12, 12)
    assert np.array_equal(
        np.concatenate(
            [_planes(10, 12, 5, slice(0, 5)), _planes(10, 12, 5, slice(5, 12))],
        ),
        whole.grain_id,
    )


def _planes(grains, voxels, seed, planes):
    class Rest:
        """Answers for ranks that hold the other planes."""

        size = 2

        @staticmethod
        def allreduce(counts):
            return counts + 1

    return voronoi_polycrystal(grains, voxels, seed, planes=planes, comm=Rest()).grain_id


def test_texture_is_uniform():
    """The mean of a uniform rotation is zero; of its fourth moments, the isotropic ones."""
    rotations = voronoi_polycrystal(4000, 40, 1).rotations
    assert np.abs(rotations.mean(axis=0)).max() < 0.04
    assert (rotations[:, 0, 0] ** 4).mean() == pytest.approx(0.2, abs=0.02)
    assert np.allclose(np.linalg.det(rotations), 1.0)


def test_grid_too_small_for_its_grains():
    with pytest.raises(InputError, match="4×4×4 voxels is too small for 60 grains: grain") as caught:
        voronoi_polycrystal(60, 4, 0)
    assert f"set voxels to {smallest_grid(60)} or more" in caught.value.fix
    voronoi_polycrystal(60, smallest_grid(60), 0)
