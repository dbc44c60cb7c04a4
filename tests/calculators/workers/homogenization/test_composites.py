from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.composites import (
    laminate_geometry,
    pack,
    semi_axes_of,
    with_inclusions,
)
from hashigo.calculators.workers.homogenization.microstructure import voronoi_geometry
from hashigo.calculators.workers.job import SerialComm
from hashigo.errors import InputError

COMM = SerialComm()


def composite(fraction, number, shape=(48, 48, 48), ratios=(1, 1, 1), seed=0, grains=1):
    generator = np.random.default_rng(seed)
    matrix = voronoi_geometry(grains, shape, generator, slice(None), COMM)
    return with_inclusions(matrix, fraction, number, ratios, 1, shape, generator, slice(None), COMM)


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5])
def test_spheres_do_not_overlap_across_faces_either(fraction):
    edge = np.cbrt(20 * 4 / 3 * np.pi / fraction)
    centres = pack(20, np.full(3, edge), np.random.default_rng(3))
    between = centres[:, None] - centres[None]
    between -= edge * np.round(between / edge)
    distance = np.linalg.norm(between, axis=-1) + 10 * np.eye(20)
    assert distance.min() >= 2.0


def test_spheres_fill_their_share():
    shape = (48, 48, 48)
    found = composite(0.2, 6, shape)
    inclusions = found.counts[found.material == 1] / 48**3
    assert len(inclusions) == 6
    # Voxels at the surface fall in or out at random: a relative error of the inverse radius at most.
    assert inclusions == pytest.approx(np.full(6, 0.2 / 6), rel=0.02)
    assert inclusions.sum() == pytest.approx(0.2, rel=5e-3)


def test_ellipsoids_have_their_axes():
    ratios = (2.0, 1.0, 0.5)
    found = composite(0.05, 1, (40, 50, 60), ratios)
    grain = int(np.flatnonzero(found.material == 1)[0])
    inside = found.grain_id == grain
    across = [len(np.unique(np.nonzero(inside)[axis])) for axis in (2, 1, 0)]
    expected = 2 * semi_axes_of(0.05, 1, ratios, (40, 50, 60))
    assert np.abs(np.array(across) - expected).max() <= 1.5
    assert inside.mean() == pytest.approx(0.05, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 60, 64), (60, 1, 64)])
def test_inclusions_of_a_plane_are_cylinders(shape):
    found = composite(0.3, 5, shape)
    inclusions = found.counts[found.material == 1] / (60 * 64)
    assert len(inclusions) == 5
    assert inclusions == pytest.approx(np.full(5, 0.06), rel=0.03)


def test_grains_that_inclusions_swallow_are_left_out():
    found = composite(0.4, 1, (24, 24, 24), grains=200)
    assert (found.counts > 0).all()
    assert np.array_equal(found.counts, np.bincount(found.grain_id.ravel()))
    assert found.counts[found.material == 1] == pytest.approx(0.4 * 24**3, rel=0.02)


def test_inclusions_that_do_not_fit_are_named():
    with pytest.raises(InputError, match=r"1 inclusions of a fraction of 0.6 do not fit"):
        composite(0.6, 1)
    with pytest.raises(InputError, match=r"semi-axis of 0.\d+ voxels") as caught:
        composite(0.01, 100, (16, 16, 16))
    assert "set voxels to" in caught.value.fix


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_layers_stand_along_their_axis(axis):
    shape = (8, 10, 20)
    found = laminate_geometry([(0, 0.5), (2, 0.3), (0, 0.2)], axis, shape, slice(2, 8), COMM)
    planes = {"x": (10, 6, 4), "y": (5, 3, 2), "z": (4, 2, 2)}[axis]
    assert found.grain_id.shape == (6, 10, 20)
    assert list(found.material) == [0, 2, 0]
    across = found.grain_id[:, 0, 0] if axis == "z" else found.grain_id[0, :, 0]
    across = found.grain_id[0, 0] if axis == "x" else across
    expected = np.repeat([0, 1, 2], planes)
    assert np.array_equal(across, expected[2:] if axis == "z" else expected)


def test_a_layer_thinner_than_a_voxel_is_named():
    with pytest.raises(InputError, match="layer 2 is thinner than a voxel of the 10 along x"):
        laminate_geometry([(0, 0.96), (1, 0.04)], "x", (10, 10, 10), slice(None), COMM)
