"""Periodic Voronoi polycrystals with random texture on a cubic grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hashigo.calculators.workers.homogenization.tensors import Floats
from hashigo.errors import InputError


@dataclass(frozen=True)
class Polycrystal:
    """A periodic polycrystal; each rank holds some planes of its grid.

    Attributes:
        grain_id: grain of each voxel of this rank's planes, shape (planes, n, n), indices, axes z, y, x.
        quaternions: orientation of each grain, crystal to sample axes, scalar last, shape (n_grains, 4),
            dimensionless.
        fractions: volume fraction of each grain on the whole grid, shape (n_grains,), dimensionless.
    """

    grain_id: NDArray[np.int32]
    quaternions: Floats
    fractions: Floats

    @property
    def rotations(self) -> Floats:
        """Rotation matrices from crystal to sample axes, shape (n_grains, 3, 3), dimensionless."""
        return np.asarray(Rotation.from_quat(self.quaternions).as_matrix())

    @property
    def mean_diameter(self) -> float:
        """Mean of the sphere-equivalent diameters over the edge of the periodic box, dimensionless."""
        return float(np.mean(np.cbrt(6.0 * self.fractions / np.pi)))

    @property
    def diameters(self) -> Floats:
        """Sphere-equivalent diameters over their arithmetic mean, shape (n_grains,), dimensionless."""
        return np.asarray(np.cbrt(6.0 * self.fractions / np.pi) / self.mean_diameter)


def smallest_grid(grains: int) -> int:
    """Voxels per edge that give an average grain four voxels across.

    Args:
        grains: number of grains.

    Returns:
        Number of voxels per edge.
    """
    return math.ceil(4.0 * grains ** (1.0 / 3.0) - 1e-9)


def _nearest(points: Floats, voxels: int, planes: slice) -> NDArray[np.int32]:
    """Index of the nearest point, with periodic images, of each voxel's centre."""
    axis = (np.arange(voxels) + 0.5) / voxels
    z, y, x = np.meshgrid(axis[planes], axis, axis, indexing="ij")
    tree = cKDTree(points, boxsize=1.0)
    _, index = tree.query(np.stack([x, y, z], axis=-1).reshape(-1, 3))
    return np.asarray(index, dtype=np.int32).reshape(x.shape)


def voronoi_polycrystal(
    grains: int, voxels: int, seed: int | tuple[int, ...], *, planes: slice = slice(None), comm: Any = None
) -> Polycrystal:
    """Make a periodic Voronoi polycrystal of uniformly random seeds and orientations.

    Args:
        grains: number of grains.
        voxels: number of voxels along each edge of the box.
        seed: seed of the random numbers; equal seeds give equal polycrystals on any number of ranks.
        planes: indices of the z planes to fill here.
        comm: communicator over which the planes of all ranks make up the grid; None when they are all here.

    Returns:
        The polycrystal, with the planes asked for.

    Raises:
        InputError: when a grain gets no voxel.
    """
    generator = np.random.default_rng(seed)
    points = generator.random((grains, 3))
    normals = generator.standard_normal((grains, 4))
    # Four normal deviates on the unit sphere are a uniform rotation.
    quaternions = Rotation.from_quat(normals).as_quat()
    grain_id = _nearest(points, voxels, planes)
    counts = np.bincount(grain_id.ravel(), minlength=grains)
    if comm is not None and comm.size > 1:
        counts = comm.allreduce(counts)
    if counts.min() == 0:
        raise InputError(
            f"a grid of {voxels}×{voxels}×{voxels} voxels is too small for {grains} grains: "
            f"grain {int(np.argmin(counts))} gets no voxel",
            fix=f"set voxels to {max(smallest_grid(grains), voxels + 1)} or more, or take fewer grains",
        )
    return Polycrystal(grain_id=grain_id, quaternions=quaternions, fractions=counts / float(voxels) ** 3)
