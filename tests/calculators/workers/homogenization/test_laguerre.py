from __future__ import annotations

import numpy as np
import pytest

from hashigo.calculators.workers.homogenization.laguerre import laguerre_geometry, lognormal_volumes
from hashigo.calculators.workers.job import SerialComm
from hashigo.errors import InputError


def laguerre(grains, shape, spread, seed=0):
    generator = np.random.default_rng(seed)
    return laguerre_geometry(grains, shape, spread, generator, slice(None), SerialComm())


def test_sizes_are_log_normal():
    volumes = lognormal_volumes(400, 0.4, np.random.default_rng(0))
    logarithm = np.log(np.cbrt(volumes))
    assert volumes.sum() == pytest.approx(1.0)
    assert logarithm.std() == pytest.approx(0.4, rel=0.03)
    skewness = np.mean((logarithm - logarithm.mean()) ** 3) / logarithm.std() ** 3
    assert abs(skewness) < 0.15
    # Of each n-th part of the distribution there is one: far nearer to it than 400 random ones would be.
    scaled = np.sort((logarithm - logarithm.mean()) / logarithm.std())
    assert abs(np.median(scaled)) < 0.02


@pytest.mark.parametrize(
    ("shape", "grains"), [((24, 24, 24), 20), ((16, 20, 30), 15), ((64, 64, 1), 20), ((1, 64, 64), 20)]
)
def test_cells_have_the_volumes_asked_for(shape, grains):
    cells = laguerre(grains, shape, 0.3, seed=4)
    axes = sum(n > 1 for n in shape)
    asked = lognormal_volumes(grains, 0.3, np.random.default_rng(4), axes) * np.prod(shape)
    assert cells.counts.sum() == np.prod(shape)
    assert np.array_equal(cells.counts, np.bincount(cells.grain_id.ravel()))
    # Within four hundredths, or four voxels where grains are small.
    assert (np.abs(cells.counts - asked) <= np.maximum(0.04 * asked, 4.0)).all()


def test_volumes_fitted_on_a_coarser_grid():
    """96³ voxels for 30 grains: fitted where each has 8000, assigned on the whole."""
    cells = laguerre(30, (96, 96, 96), 0.4, seed=1)
    asked = lognormal_volumes(30, 0.4, np.random.default_rng(1)) * 96**3
    relative = np.abs(cells.counts / asked - 1)
    assert relative.max() < 0.04
    assert np.sqrt(np.mean(relative**2)) < 0.012
    assert np.log(cells.counts).std() == pytest.approx(np.log(asked).std(), rel=0.005)


def test_grains_are_compact_and_periodic():
    """Every grain is near its centre across the box's faces too: its spread is near that of a ball."""
    cells = laguerre(12, (24, 24, 24), 0.3, seed=2).grain_id
    place = 2 * np.pi * (np.indices(cells.shape) + 0.5) / 24
    for grain in range(12):
        mask = cells == grain
        variance = 0.0
        for axis in range(3):
            angle = place[axis][mask]
            mean = np.angle(np.exp(1j * angle).mean())
            off = (angle - mean + np.pi) % (2 * np.pi) - np.pi
            variance += float((off**2).mean()) * (24 / (2 * np.pi)) ** 2
        ball = 0.6 * (3 * mask.sum() / (4 * np.pi)) ** (2 / 3)
        assert 0.9 < variance / ball < 1.35


def test_grains_too_small_for_the_grid_are_told_before_they_are_made():
    with pytest.raises(InputError, match=r"smallest of 200 grains would have \d\.\d voxels") as caught:
        laguerre(200, (64, 64, 64), 0.5)
    voxels = int(caught.value.fix.split()[3])
    assert 64 < voxels < 75
