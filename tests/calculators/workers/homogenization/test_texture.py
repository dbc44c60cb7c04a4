from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.tensors import rotate_conductivity
from hashigo.calculators.workers.homogenization.texture import Texture, mean_square_cosines
from hashigo.errors import InputError


def draw(texture, grains=200, seed=0, fractions=None):
    volumes = np.ones(grains) if fractions is None else fractions
    return texture.draw(volumes, np.random.default_rng(seed))


DIRECTIONS = [
    ((0, 0, 1), (0, 0, 1)),
    ((1, 1, 1), (0, 1, 0)),
    ((0, 0, 1), (0, 0, -1)),
    ((1, 2, 3), (3, -1, 2)),
]


@pytest.mark.parametrize(("crystal", "sample"), DIRECTIONS)
def test_a_perfect_fibre_leaves_the_crystals_axis_where_it_is(crystal, sample):
    rotations = Rotation.from_quat(draw(Texture("fibre", crystal, sample)))
    axis, target = np.array(crystal) / np.linalg.norm(crystal), np.array(sample) / np.linalg.norm(sample)
    assert np.abs(rotations.apply(axis) - target).max() < 1e-14
    # About it grains are turned by any angle: what is across it averages out.
    across = np.linalg.svd(axis[None])[2][1]
    assert np.linalg.norm(rotations.apply(across).mean(axis=0)) < 0.15


def test_a_fibres_spread_is_that_of_its_tilt():
    rotations = Rotation.from_quat(draw(Texture("fibre", (1, 1, 0), (0, 0, 1), 5.0), 4000))
    x, y, z = rotations.apply(np.array([1, 1, 0]) / np.sqrt(2)).T
    tilt = np.degrees(np.arctan2(np.hypot(x, y), z))
    # Two normal deviates of 5°: the root of their mean square is the root of two times that.
    assert np.sqrt(np.mean(tilt**2)) == pytest.approx(5.0 * np.sqrt(2), rel=0.03)
    assert np.degrees(np.arctan2(x, z)).std() == pytest.approx(5.0, rel=0.04)


def test_random_grains_average_to_an_isotropic_tensor():
    tensor = np.diag([1.0, 2.0, 6.0])
    rotations = Rotation.from_quat(draw(Texture(), 20000)).as_matrix()
    mean = rotate_conductivity(tensor, rotations).mean(axis=0)
    assert np.abs(mean - 3.0 * np.eye(3)).max() < 0.04
    assert np.abs(mean_square_cosines(draw(Texture(), 20000), np.ones(20000)) - 1 / 3).max() < 0.01


def test_a_list_is_taken_in_order_and_must_be_long_enough():
    quaternions = Rotation.random(5, random_state=1).as_quat()
    found = draw(Texture("list", quaternions=quaternions), 5)
    assert np.array_equal(found, quaternions)
    with pytest.raises(InputError, match="list of 5 orientations is too short for 6 grains"):
        draw(Texture("list", quaternions=quaternions), 6)
    with pytest.raises(InputError, match="texture 'odf' has no list"):
        draw(Texture("odf"), 6)


def test_an_odf_is_drawn_by_volume_and_not_by_number():
    """Three orientations of weights 6, 3 and 1 in grains of very different volumes."""
    generator = np.random.default_rng(5)
    volumes = generator.lognormal(0.0, 1.0, 300)
    quaternions = Rotation.random(3, random_state=2).as_quat()
    texture = Texture("odf", quaternions=quaternions, weights=np.array([6.0, 3.0, 1.0]))
    shares = []
    for seed in range(20):
        found = draw(texture, 300, seed, volumes)
        which = np.argmax(np.abs(found @ quaternions.T), axis=1)
        shares.append([volumes[which == k].sum() / volumes.sum() for k in range(3)])
    shares = np.array(shares)
    # Each draw is within half the largest grain at either end, and their mean is right.
    assert np.abs(shares - [0.6, 0.3, 0.1]).max() < volumes.max() / volumes.sum()
    assert np.abs(shares.mean(axis=0) - [0.6, 0.3, 0.1]).max() < 0.005


def test_the_mean_of_cosines_is_weighted_by_volume():
    quaternions = Rotation.from_rotvec([[0, 0, 0], [0, np.pi / 2, 0]]).as_quat()
    found = mean_square_cosines(quaternions, np.array([3.0, 1.0]))
    assert found == pytest.approx(np.array([[0.75, 0, 0.25], [0, 1, 0], [0.25, 0, 0.75]]))
